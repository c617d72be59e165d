// The shared files of AWS's tools, ~/.aws/credentials and ~/.aws/config, as text (AWS SDKs and
// Tools Reference Guide, "Shared config and credentials files").
#ifndef COFFER_ACTORS_HOST_AWS_PROFILE_FILES_H_
#define COFFER_ACTORS_HOST_AWS_PROFILE_FILES_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::host::aws {

inline constexpr size_t kMaxProfileFileBytes = 256 * 1024;

enum class ProfileFile {
  kCredentials,  // sections are [NAME]
  kConfig,       // sections are [default] and [profile NAME]
};

// What a file says of one profile.
struct Profile {
  bool found = false;
  std::string access_key_id;
  ethereum::SecretBytes secret_access_key;
  ethereum::SecretBytes session_token;
  std::string region;
  // A setting by which the credentials would come from elsewhere ("role_arn"), which is not done
  // here; empty: there is none.
  std::string elsewhere;
};

// A section that comes twice is one, the later of two settings holds. Lines that are indented
// belong to the setting before them, and none of those is looked at. InvalidArgument names a line
// that is no section, setting or comment, or a value that is too long, and never shows it.
absl::StatusOr<Profile> ReadProfile(std::string_view text, ProfileFile kind,
                                    std::string_view profile);

}  // namespace coffer::host::aws

#endif  // COFFER_ACTORS_HOST_AWS_PROFILE_FILES_H_
