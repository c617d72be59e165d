// Memory for secrets (rule I8): locked pages of its own, left out of core dumps and of forked
// children, wiped when freed.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace coffer::ethereum {

// A fixed number of secret bytes. Move-only; a moved-from object is empty. Every object takes whole
// pages (4 KiB at least) of RLIMIT_MEMLOCK, so it is for keys, not for bulk data.
class SecretBytes {
 public:
  static constexpr size_t kMaxSize = 64 * 1024;  // bytes

  // `size` zero bytes, 1..kMaxSize. ResourceExhausted when the pages cannot be locked (the sentence
  // names RLIMIT_MEMLOCK); there is no fall-back to memory that could be swapped out or dumped.
  static absl::StatusOr<SecretBytes> Create(size_t size);
  // The same, filled with a copy of `secret`. The caller wipes its own copy.
  static absl::StatusOr<SecretBytes> CopyOf(std::string_view secret);

  SecretBytes() = default;  // empty
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  ~SecretBytes();

  absl::Span<uint8_t> data() { return {data_, size_}; }
  absl::Span<const uint8_t> data() const { return {data_, size_}; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
  size_t size() const { return size_; }

  // In time that depends on the lengths only.
  bool ConstantTimeEquals(std::string_view other) const;

 private:
  SecretBytes(uint8_t* data, size_t size, size_t mapped);
  void Release() noexcept;

  uint8_t* data_ = nullptr;
  size_t size_ = 0;
  size_t mapped_ = 0;  // bytes, whole pages
};

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_SECRET_H_
