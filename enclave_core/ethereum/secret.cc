#include "enclave_core/ethereum/secret.h"

#include <openssl/crypto.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::ethereum {

absl::StatusOr<SecretBytes> SecretBytes::Create(size_t size) {
  if (size == 0 || size > kMaxSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("secret memory: ", size, " bytes asked for, allowed are 1 to ", kMaxSize));
  }
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t mapped = (size + page - 1) / page * page;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    return absl::ResourceExhaustedError(
        absl::StrCat("secret memory: cannot map ", mapped, " bytes: ", std::strerror(errno)));
  }
  SecretBytes secret(static_cast<uint8_t*>(memory), size, mapped);
  if (mlock(memory, mapped) != 0) {
    return absl::ResourceExhaustedError(
        absl::StrCat("secret memory: cannot lock ", mapped, " bytes: ", std::strerror(errno),
                     "; raise RLIMIT_MEMLOCK (ulimit -l, LimitMEMLOCK=)"));
  }
  if (madvise(memory, mapped, MADV_DONTDUMP) != 0 ||
      madvise(memory, mapped, MADV_WIPEONFORK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("secret memory: the kernel refuses to keep pages out of core dumps or forks: ",
                     std::strerror(errno), "; Linux 4.14 or later is needed"));
  }
  return secret;
}

absl::StatusOr<SecretBytes> SecretBytes::CopyOf(std::string_view secret) {
  absl::StatusOr<SecretBytes> copy = Create(secret.size());
  if (copy.ok()) std::memcpy(copy->data_, secret.data(), secret.size());
  return copy;
}

SecretBytes::SecretBytes(uint8_t* data, size_t size, size_t mapped)
    : data_(data), size_(size), mapped_(mapped) {}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    Release();
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
    mapped_ = std::exchange(other.mapped_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() { Release(); }

void SecretBytes::Release() noexcept {
  if (data_ == nullptr) return;
  OPENSSL_cleanse(data_, mapped_);
  COFFER_CHECK(munmap(data_, mapped_) == 0, "I8: secret pages are unmapped");  // unlocks them too
  data_ = nullptr;
  size_ = mapped_ = 0;
}

bool SecretBytes::ConstantTimeEquals(std::string_view other) const {
  return other.size() == size_ && CRYPTO_memcmp(data_, other.data(), size_) == 0;
}

}  // namespace coffer::ethereum
