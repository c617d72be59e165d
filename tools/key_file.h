// Private keys in files, for commands: read into locked memory, refused when others may read them.
#ifndef COFFER_TOOLS_KEY_FILE_H_
#define COFFER_TOOLS_KEY_FILE_H_

#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/signature.h"
#include "runtime/random.h"

namespace coffer::tools {

// A regular file of this user's (or root's) with no permission for anybody else, of at most `limit`
// bytes. Errors name the file, never what is in it.
absl::StatusOr<ethereum::SecretBytes> ReadSecretFile(const std::string& path, size_t limit);

// An Ethereum key: 64 hex digits, or a version 3 keystore, whose password is the first line of
// `password_file`.
absl::StatusOr<ethereum::PrivateKey> ReadEthereumKey(const std::string& path,
                                                     const std::string& password_file);
absl::StatusOr<ethereum::PrivateKey> EthereumKeyFromHex(std::string_view hex);

// A witness's key, as one line "PRIVATE+KEY+<name>+<key ID>+base64(4 | seed)", the form that Go's
// note package has for signers. The name in it must be `name`.
absl::StatusOr<audit::NoteSigner> ReadWitnessKey(const std::string& path, const std::string& name);
// A new file of mode 0600, whole and durable, or none. AlreadyExists rather than replace one.
absl::Status WriteNewSecretFile(const std::string& path, std::string_view content);
// Makes a key and writes it there, mode 0600, durably. AlreadyExists rather than replace a file.
absl::Status MakeWitnessKey(const std::string& path, const std::string& name,
                            runtime::Random& random);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_KEY_FILE_H_
