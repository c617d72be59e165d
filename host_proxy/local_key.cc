#include "host_proxy/local_key.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/secret_hex.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/keystore.h"
#include "runtime/os_env.h"
#include "runtime/socket_address.h"

namespace coffer::host_proxy {

using ethereum::SecretBytes;

namespace {

constexpr size_t kMaxPasswordBytes = 4096;

void Wipe(std::string& secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

// Nothing when the variable is not set or empty.
absl::StatusOr<SecretBytes> TakeSecret(const char* name) {
  std::optional<std::string> value = runtime::OsEnv(name);
  if (!value.has_value()) return SecretBytes();
  runtime::OsForgetEnv(name);
  if (value->empty()) return SecretBytes();
  absl::StatusOr<SecretBytes> secret = SecretBytes::CopyOf(*value);
  Wipe(*value);
  if (!secret.ok())
    return absl::Status(secret.status().code(),
                        absl::StrCat(name, ": ", secret.status().message()));
  return secret;
}

// A regular file of at most `limit` bytes, read without a buffer that would keep a copy.
absl::StatusOr<std::string> ReadFile(const std::string& path, const char* variable, size_t limit) {
  const runtime::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat(variable, ": ", path, " cannot be read: ", runtime::ErrnoText(errno)));
  }
  if (!S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat(variable, ": ", path, " is not a file"));
  }
  std::string text(limit + 1, 0);
  size_t size = 0;
  for (ssize_t n = 1; n > 0 && size<text.size(); size += n> 0 ? static_cast<size_t>(n) : 0) {
    n = read(fd.get(), &text[size], text.size() - size);
  }
  if (size > limit) {
    Wipe(text);
    return absl::InvalidArgumentError(
        absl::StrCat(variable, ": ", path, " is longer than ", limit, " bytes"));
  }
  text.resize(size);
  return text;
}

absl::StatusOr<SecretBytes> FromHexText(const SecretBytes& text) {
  absl::StatusOr<SecretBytes> key = ethereum::SecretFromHex(text.view(), 32);
  if (absl::IsInvalidArgument(key.status())) {
    return absl::InvalidArgumentError("PAYMENT_PRIVATE_KEY must be 64 hex digits");
  }
  return key;
}

}  // namespace

absl::StatusOr<LocalKey> LocalKey::TakeFromEnvironment() {
  LocalKey local;
  absl::StatusOr<SecretBytes> key = TakeSecret("PAYMENT_PRIVATE_KEY");
  if (!key.ok()) return key.status();
  absl::StatusOr<SecretBytes> password = TakeSecret("PAYMENT_KEYSTORE_PASSWORD");
  if (!password.ok()) return password.status();
  local.private_key = *std::move(key);
  local.keystore_password = *std::move(password);
  local.keystore_path = runtime::OsEnv("PAYMENT_KEYSTORE_PATH").value_or("");
  local.password_file = runtime::OsEnv("PAYMENT_KEYSTORE_PASSWORD_FILE").value_or("");
  return local;
}

absl::StatusOr<SecretBytes> LocalKey::Open() const {
  if (has_private_key() && !keystore_path.empty()) {
    return absl::InvalidArgumentError(
        "PAYMENT_PRIVATE_KEY and PAYMENT_KEYSTORE_PATH are both set; which key shall sign? Unset "
        "one");
  }
  if (has_private_key()) return FromHexText(private_key);
  const absl::StatusOr<std::string> keystore =
      ReadFile(keystore_path, "PAYMENT_KEYSTORE_PATH", kMaxKeystoreBytes);
  if (!keystore.ok()) return keystore.status();
  if (keystore_password.size() > 0) return OpenKeystore(*keystore, keystore_password.view());
  if (password_file.empty()) {
    return absl::InvalidArgumentError(
        "PAYMENT_KEYSTORE_PATH needs PAYMENT_KEYSTORE_PASSWORD_FILE or PAYMENT_KEYSTORE_PASSWORD");
  }
  absl::StatusOr<std::string> password =
      ReadFile(password_file, "PAYMENT_KEYSTORE_PASSWORD_FILE", kMaxPasswordBytes);
  if (!password.ok()) return password.status();
  // The newline that editors and echo put at the end is not part of it.
  std::string_view text = *password;
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  absl::StatusOr<SecretBytes> key = OpenKeystore(*keystore, text);
  Wipe(*password);
  return key;
}

}  // namespace coffer::host_proxy
