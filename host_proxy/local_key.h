// The signing key of mode local, from the environment: PAYMENT_PRIVATE_KEY, or a keystore.
#ifndef COFFER_HOST_PROXY_LOCAL_KEY_H_
#define COFFER_HOST_PROXY_LOCAL_KEY_H_

#include <string>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"

namespace coffer::host_proxy {

struct LocalKey {
  ethereum::SecretBytes private_key;        // PAYMENT_PRIVATE_KEY as it was written, or empty
  std::string keystore_path;                // PAYMENT_KEYSTORE_PATH
  ethereum::SecretBytes keystore_password;  // PAYMENT_KEYSTORE_PASSWORD
  std::string password_file;                // PAYMENT_KEYSTORE_PASSWORD_FILE

  // Reads the variables and removes the secret ones from the process's environment, after which no
  // other part of the program, and nobody who looks at it, has them. Before threads run.
  static absl::StatusOr<LocalKey> TakeFromEnvironment();

  bool has_private_key() const { return private_key.size() > 0; }
  bool has_password() const { return keystore_password.size() > 0 || !password_file.empty(); }
  // The key's 32 bytes. Opening a keystore takes about a second. Errors name the variable or the
  // field, never a secret.
  absl::StatusOr<ethereum::SecretBytes> Open() const;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_LOCAL_KEY_H_
