#include "tools/key_file.h"

#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/ethereum/secret_hex.h"
#include "host_proxy/keystore.h"
#include "runtime/socket_address.h"

namespace coffer::tools {

using ethereum::SecretBytes;

namespace {

constexpr size_t kMaxPasswordBytes = 4096;
constexpr size_t kMaxWitnessKeyBytes = 1024;
constexpr std::string_view kWitnessKeyTag = "PRIVATE+KEY+";

void Wipe(std::string& secret) { OPENSSL_cleanse(secret.data(), secret.size()); }

absl::Status Trouble(const std::string& path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat("the key file ", path, " ", what));
}

std::string_view WithoutNewline(std::string_view text) {
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.ends_with('\r')) text.remove_suffix(1);
  return text;
}

absl::Status WriteAndSync(const runtime::Fd& fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = write(fd.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return absl::UnavailableError(runtime::ErrnoText(errno));
    text.remove_prefix(static_cast<size_t>(n));
  }
  if (fsync(fd.get()) != 0) return absl::UnavailableError(runtime::ErrnoText(errno));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SecretBytes> ReadSecretFile(const std::string& path, size_t limit) {
  const runtime::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid() && errno == ENOENT) {
    return absl::NotFoundError(absl::StrCat("the key file ", path, " does not exist"));
  }
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return Trouble(path, "cannot be read: " + runtime::ErrnoText(errno));
  }
  if (!S_ISREG(info.st_mode)) return Trouble(path, "is not a file");
  if (info.st_uid != geteuid() && info.st_uid != 0) return Trouble(path, "is another user's");
  if ((info.st_mode & 077) != 0) {
    return Trouble(path, "may be read or written by others: chmod 600 it");
  }
  const auto size = static_cast<size_t>(info.st_size);
  if (size == 0 || size > limit) {
    return Trouble(path, absl::StrCat("is empty, or longer than ", limit, " bytes"));
  }
  absl::StatusOr<SecretBytes> secret = SecretBytes::Create(size);
  if (!secret.ok()) return secret.status();
  size_t got = 0;
  while (got < size) {
    const ssize_t n = read(fd.get(), secret->data().data() + got, size - got);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return Trouble(path, "changed while it was read");
    got += static_cast<size_t>(n);
  }
  return secret;
}

absl::StatusOr<ethereum::PrivateKey> EthereumKeyFromHex(std::string_view hex) {
  const absl::StatusOr<SecretBytes> secret = ethereum::SecretFromHex(WithoutNewline(hex), 32);
  if (absl::IsInvalidArgument(secret.status())) {
    return absl::InvalidArgumentError("a private key is 64 hex digits");
  }
  if (!secret.ok()) return secret.status();
  return ethereum::PrivateKey::FromBytes(secret->view());
}

absl::StatusOr<ethereum::PrivateKey> ReadEthereumKey(const std::string& path,
                                                     const std::string& password_file) {
  const absl::StatusOr<SecretBytes> text = ReadSecretFile(path, host_proxy::kMaxKeystoreBytes);
  if (!text.ok()) return text.status();
  const auto named = [&](const absl::Status& why) {
    return absl::Status(why.code(), absl::StrCat("the key file ", path, ": ", why.message()));
  };
  if (text->view().find('{') == std::string_view::npos) {
    absl::StatusOr<ethereum::PrivateKey> key = EthereumKeyFromHex(text->view());
    if (!key.ok()) return named(key.status());
    return key;
  }
  if (password_file.empty()) return Trouble(path, "is a keystore: give --password-file too");
  const absl::StatusOr<SecretBytes> password = ReadSecretFile(password_file, kMaxPasswordBytes);
  if (!password.ok()) return password.status();
  const absl::StatusOr<SecretBytes> secret =
      host_proxy::OpenKeystore(text->view(), WithoutNewline(password->view()));
  if (!secret.ok()) return named(secret.status());
  return ethereum::PrivateKey::FromBytes(secret->view());
}

absl::StatusOr<audit::NoteSigner> ReadWitnessKey(const std::string& path, const std::string& name) {
  const absl::StatusOr<SecretBytes> file = ReadSecretFile(path, kMaxWitnessKeyBytes);
  if (!file.ok()) return file.status();
  std::string_view line = WithoutNewline(file->view());
  const std::string prefix = absl::StrCat(std::string(kWitnessKeyTag), name, "+");
  if (!line.starts_with(kWitnessKeyTag)) {
    return Trouble(path, "is not a witness's key: want a line PRIVATE+KEY+<name>+...");
  }
  if (!line.starts_with(prefix) || line.size() < prefix.size() + 9) {
    return Trouble(path, absl::StrCat("is not the key of ", name));
  }
  line.remove_prefix(prefix.size());
  const std::string_view id = line.substr(0, 8);
  std::optional<std::string> bytes = audit::DecodeBase64(line.substr(9));
  const bool fits = line[8] == '+' && bytes && bytes->size() == 1 + audit::kSeedBytes &&
                    (*bytes)[0] == static_cast<char>(audit::KeyType::kCosignatureV1);
  absl::StatusOr<audit::NoteSigner> signer = Trouble(path, "is damaged, or of another type");
  if (fits) {
    absl::StatusOr<SecretBytes> seed = SecretBytes::CopyOf(std::string_view(*bytes).substr(1));
    signer = seed.ok()
                 ? audit::NoteSigner::Create(name, audit::KeyType::kCosignatureV1, *std::move(seed))
                 : absl::StatusOr<audit::NoteSigner>(seed.status());
  }
  if (bytes) Wipe(*bytes);
  if (signer.ok() && absl::StrFormat("%08x", signer->key().id()) != id) {
    return Trouble(path, "is damaged: its key ID is another one's");
  }
  return signer;
}

absl::Status WriteNewSecretFile(const std::string& path, std::string_view content) {
  // Under another name first: a key that a crash cut off never has the real one.
  const std::string temporary = path + ".new";
  unlink(temporary.c_str());
  const runtime::Fd fd(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) return Trouble(path, "cannot be made: " + runtime::ErrnoText(errno));
  const absl::Status written = WriteAndSync(fd, content);
  const int linked = written.ok() ? link(temporary.c_str(), path.c_str()) : 0;
  const int error = errno;
  unlink(temporary.c_str());
  if (!written.ok()) return Trouble(path, absl::StrCat("cannot be written: ", written.message()));
  if (linked != 0 && error == EEXIST) {
    return absl::AlreadyExistsError(absl::StrCat("the key file ", path, " is there already"));
  }
  if (linked != 0) return Trouble(path, "cannot be made: " + runtime::ErrnoText(error));
  const std::filesystem::path folder = std::filesystem::absolute(path).parent_path();
  const runtime::Fd parent(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent.valid() || fsync(parent.get()) != 0) {
    return Trouble(path, "may not survive a power cut: " + runtime::ErrnoText(errno));
  }
  return absl::OkStatus();
}

absl::Status MakeWitnessKey(const std::string& path, const std::string& name,
                            runtime::Random& random) {
  absl::StatusOr<SecretBytes> typed = SecretBytes::Create(1 + audit::kSeedBytes);
  if (!typed.ok()) return typed.status();
  typed->data()[0] = static_cast<uint8_t>(audit::KeyType::kCosignatureV1);
  random.Fill(typed->data().subspan(1));
  absl::StatusOr<SecretBytes> seed = SecretBytes::CopyOf(typed->view().substr(1));
  if (!seed.ok()) return seed.status();
  const absl::StatusOr<audit::NoteSigner> signer =
      audit::NoteSigner::Create(name, audit::KeyType::kCosignatureV1, *std::move(seed));
  if (!signer.ok()) return signer.status();
  std::string base64 = audit::EncodeBase64(typed->view());
  std::string line = absl::StrCat(std::string(kWitnessKeyTag), name, "+",
                                  absl::StrFormat("%08x", signer->key().id()), "+", base64, "\n");
  absl::Status written = WriteNewSecretFile(path, line);
  Wipe(base64);
  Wipe(line);
  return written;
}

}  // namespace coffer::tools
