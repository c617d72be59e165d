// The plain values of Ethereum: fixed-size byte strings, 256-bit integers, hex.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_TYPES_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_TYPES_H_

#include <array>
#include <boost/multiprecision/cpp_int.hpp>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coffer::ethereum {

// An unsigned 256-bit integer of the EVM (wraps like the EVM's; amounts that must not are checked
// by their owner).
using U256 = boost::multiprecision::uint256_t;

// N bytes with a meaning of their own. Ordered and hashable, so usable as a key.
template <size_t N, typename Tag>
struct FixedBytes {
  std::array<uint8_t, N> bytes{};

  static constexpr size_t kSize = N;
  auto operator<=>(const FixedBytes&) const = default;
  bool IsZero() const { return *this == FixedBytes{}; }
  std::string_view view() const {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // Error unless exactly N bytes.
  static absl::StatusOr<FixedBytes> FromBytes(std::string_view raw);
  // "0x" or "0X" optional, any case, exactly 2N digits.
  static absl::StatusOr<FixedBytes> FromHex(std::string_view hex);
  std::string ToHex() const;  // "0x" + lower case

  template <typename H>
  friend H AbslHashValue(H h, const FixedBytes& v) {
    return H::combine(std::move(h), v.view());
  }
};

struct HashTag;
struct AddressTag;
using Hash = FixedBytes<32, HashTag>;        // keccak-256 digests, transaction and ticket hashes
using Address = FixedBytes<20, AddressTag>;  // the last 20 bytes of keccak-256(public key)

extern template struct FixedBytes<32, HashTag>;
extern template struct FixedBytes<20, AddressTag>;

// Hex of any bytes. FromHex takes "0x", "0X" or none, any case, an even number of digits; the error
// says where.
std::string ToHex(std::string_view bytes);
absl::StatusOr<std::string> FromHex(std::string_view hex);

// 32 bytes big-endian, as in the ABI and in hashes.
std::string ToBytes32(const U256& value);
// At most 32 bytes, big-endian.
absl::StatusOr<U256> U256FromBytes(std::string_view big_endian);
// Decimal digits or 0x hex; nothing else, no sign, no space, below 2^256.
absl::StatusOr<U256> U256FromString(std::string_view text);
std::string ToDecimal(const U256& value);

// EIP-55 checksummed text of an address.
std::string ToChecksum(const Address& address);
// Reads 0x + 40 digits. All-lower and all-upper are accepted; mixed case must satisfy EIP-55.
absl::StatusOr<Address> AddressFromText(std::string_view text);

// keccak-256 (the pre-standard padding that Ethereum uses, not SHA3-256).
Hash Keccak256(std::string_view data);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_TYPES_H_
