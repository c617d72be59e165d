#include "enclave_core/ethereum/types.h"

#include <cryptopp/keccak.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

constexpr char kLowerDigits[] = "0123456789abcdef";

// The value of a hex digit, or -1.
int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool HasHexPrefix(std::string_view text) {
  return text.size() >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

// Exactly out.size() bytes out of 2 * out.size() digits; `prefix` is what precedes them, for the
// error's position.
template <typename Byte>
absl::Status HexInto(std::string_view digits, size_t prefix, Byte* out) {
  for (size_t i = 0; i < digits.size(); ++i) {
    const int value = DigitValue(digits[i]);
    if (value < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("hex: the character at position ", prefix + i, " is not a hex digit"));
    }
    const auto nibble = static_cast<uint8_t>(value);
    const auto high = static_cast<uint8_t>(i % 2 == 0 ? 0 : out[i / 2]);
    out[i / 2] = static_cast<Byte>(i % 2 == 0 ? nibble << 4 : high | nibble);
  }
  return absl::OkStatus();
}

// Boost keeps a 256-bit integer as limbs, least significant first. Reading them beats shifting the
// whole number.
using Backend = U256::backend_type;
constexpr size_t kLimbBytes = sizeof(boost::multiprecision::limb_type);
static_assert(32 % kLimbBytes == 0, "a 256-bit value must be a whole number of limbs");

}  // namespace

template <size_t N, typename Tag>
absl::StatusOr<FixedBytes<N, Tag>> FixedBytes<N, Tag>::FromBytes(std::string_view raw) {
  if (raw.size() != N) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected exactly ", N, " bytes, got ", raw.size()));
  }
  FixedBytes out;
  std::memcpy(out.bytes.data(), raw.data(), N);
  return out;
}

template <size_t N, typename Tag>
absl::StatusOr<FixedBytes<N, Tag>> FixedBytes<N, Tag>::FromHex(std::string_view hex) {
  const size_t prefix = HasHexPrefix(hex) ? 2 : 0;
  hex.remove_prefix(prefix);
  if (hex.size() != 2 * N) {
    return absl::InvalidArgumentError(
        absl::StrCat("hex: expected exactly ", 2 * N, " digits, got ", hex.size()));
  }
  FixedBytes out;
  if (absl::Status status = HexInto(hex, prefix, out.bytes.data()); !status.ok()) return status;
  return out;
}

template <size_t N, typename Tag>
std::string FixedBytes<N, Tag>::ToHex() const {
  return ethereum::ToHex(view());
}

template struct FixedBytes<32, HashTag>;
template struct FixedBytes<20, AddressTag>;

std::string ToHex(std::string_view bytes) {
  std::string out = "0x";
  out.reserve(2 + 2 * bytes.size());
  for (const char c : bytes) {
    const auto byte = static_cast<uint8_t>(c);
    out.push_back(kLowerDigits[byte >> 4]);
    out.push_back(kLowerDigits[byte & 0xf]);
  }
  return out;
}

absl::StatusOr<std::string> FromHex(std::string_view hex) {
  const size_t prefix = HasHexPrefix(hex) ? 2 : 0;
  hex.remove_prefix(prefix);
  if (hex.size() % 2 != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("hex: an odd number of digits (", hex.size(), ")"));
  }
  std::string out(hex.size() / 2, '\0');
  if (absl::Status status = HexInto(hex, prefix, out.data()); !status.ok()) return status;
  return out;
}

std::string ToBytes32(const U256& value) {
  const Backend& backend = value.backend();
  std::string out(32, '\0');
  for (size_t limb = 0; limb < backend.size(); ++limb) {
    for (size_t i = 0; i < kLimbBytes; ++i) {
      out[31 - limb * kLimbBytes - i] =
          static_cast<char>(static_cast<uint8_t>(backend.limbs()[limb] >> (8 * i)));
    }
  }
  return out;
}

absl::StatusOr<U256> U256FromBytes(std::string_view big_endian) {
  if (big_endian.size() > 32) {
    return absl::InvalidArgumentError(
        absl::StrCat("an integer of ", big_endian.size(), " bytes does not fit into 256 bits"));
  }
  constexpr auto kLimbs = static_cast<unsigned>(32 / kLimbBytes);
  U256 value;
  Backend& backend = value.backend();
  backend.resize(kLimbs, kLimbs);
  std::fill_n(backend.limbs(), kLimbs, boost::multiprecision::limb_type{0});
  for (size_t i = 0; i < big_endian.size(); ++i) {
    const auto byte = static_cast<uint8_t>(big_endian[big_endian.size() - 1 - i]);
    backend.limbs()[i / kLimbBytes] |= boost::multiprecision::limb_type{byte}
                                       << (8 * (i % kLimbBytes));
  }
  backend.normalize();
  return value;
}

absl::StatusOr<U256> U256FromString(std::string_view text) {
  const bool hex = HasHexPrefix(text);
  const size_t prefix = hex ? 2 : 0;
  const std::string_view digits = text.substr(prefix);
  if (digits.empty()) return absl::InvalidArgumentError("number: no digits");
  // 2^256 - 1 has 78 decimal and 64 hex digits; leading zeros beyond that are nobody's honest
  // number.
  if (digits.size() > (hex ? 64u : 78u)) {
    return absl::OutOfRangeError(
        absl::StrCat("number: ", digits.size(), " digits do not fit into 256 bits"));
  }
  const unsigned base = hex ? 16 : 10;
  // One guard digit more than 256 bits can never overflow 512.
  boost::multiprecision::uint512_t value = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    const int digit = DigitValue(digits[i]);
    if (digit < 0 || static_cast<unsigned>(digit) >= base) {
      return absl::InvalidArgumentError(absl::StrCat("number: the character at position ",
                                                     prefix + i, " is not a ",
                                                     hex ? "hex" : "decimal", " digit"));
    }
    value = value * base + static_cast<unsigned>(digit);
  }
  if ((value >> 256) != 0) return absl::OutOfRangeError("number: 2^256 or more");
  return value.convert_to<U256>();
}

std::string ToDecimal(const U256& value) { return value.str(); }

std::string ToChecksum(const Address& address) {
  std::string text = address.ToHex();
  // EIP-55: a letter is upper case where the same nibble of keccak(lower-case digits) is 8 or more.
  const Hash hash = Keccak256(std::string_view(text).substr(2));
  for (size_t i = 0; i < 2 * Address::kSize; ++i) {
    const int nibble = (hash.bytes[i / 2] >> (i % 2 == 0 ? 4 : 0)) & 0xf;
    char& c = text[2 + i];
    if (c >= 'a' && nibble >= 8) c = static_cast<char>(c - 'a' + 'A');
  }
  return text;
}

absl::StatusOr<Address> AddressFromText(std::string_view text) {
  if (text.size() != 2 + 2 * Address::kSize || text[0] != '0' || text[1] != 'x') {
    return absl::InvalidArgumentError("address: expected 0x and exactly 40 hex digits");
  }
  absl::StatusOr<Address> address = Address::FromHex(text);
  if (!address.ok()) return address.status();
  const std::string_view digits = text.substr(2);
  const bool lower =
      std::any_of(digits.begin(), digits.end(), [](char c) { return c >= 'a' && c <= 'f'; });
  const bool upper =
      std::any_of(digits.begin(), digits.end(), [](char c) { return c >= 'A' && c <= 'F'; });
  if (lower && upper && ToChecksum(*address) != text) {
    return absl::InvalidArgumentError(
        "address: the EIP-55 checksum (its mixed case) is wrong; check for a typing error");
  }
  return address;
}

Hash Keccak256(std::string_view data) {
  Hash out;
  CryptoPP::Keccak_256 keccak;
  keccak.CalculateDigest(out.bytes.data(), reinterpret_cast<const uint8_t*>(data.data()),
                         data.size());
  return out;
}

}  // namespace coffer::ethereum
