// Credentials of AWS as the host hands them to an enclave, and where they come from.
#ifndef COFFER_ACTORS_HOST_AWS_CREDENTIALS_H_
#define COFFER_ACTORS_HOST_AWS_CREDENTIALS_H_

#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::host::aws {

// What is longer is no credential of AWS's: keys have tens of bytes, session tokens up to some
// thousand.
inline constexpr size_t kMaxAccessKeyBytes = 128;
inline constexpr size_t kMaxSecretBytes = 256;
inline constexpr size_t kMaxTokenBytes = 16 * 1024;
inline constexpr size_t kMaxRegionBytes = 64;

struct Credentials {
  std::string region;         // "us-east-2"
  std::string access_key_id;  // no secret
  ethereum::SecretBytes secret_access_key;
  ethereum::SecretBytes session_token;   // empty: these are not temporary
  std::optional<absl::Time> expiration;  // of temporary ones, where the source says it
  std::string source;                    // "the environment", for people
};

// Nothing is kept between two calls: who asks gets what holds now, and no secret lies in memory
// while nobody needs it.
class CredentialsSource {
 public:
  virtual ~CredentialsSource() = default;
  // NotFound: no source has any, with what each of them said. FailedPrecondition: there are some
  // and no region. Unavailable: a source that should have them did not answer. No sentence has a
  // secret.
  using Done = absl::AnyInvocable<void(absl::StatusOr<Credentials>)>;
  // `done` is called exactly once, later, on the dispatcher, unless this object is destroyed first.
  virtual void Get(Done done) = 0;
};

// InvalidArgument when it can be no region's name ("us-east-2"): it becomes part of a host's name.
absl::Status CheckRegion(const std::string& region);

}  // namespace coffer::host::aws

#endif  // COFFER_ACTORS_HOST_AWS_CREDENTIALS_H_
