// Every small text that becomes a number or bytes, against a second implementation: decimal ETH
// and wei against Boost's big integers, base64 against OpenSSL, hex and ABI words against a few
// lines of arithmetic.
//
// Input: any text.
#include <openssl/evp.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "actors/host/decimal_wei.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"
#include "host_proxy/api_json.h"
#include "invariant/check.h"
#include "tools/balance_claims.h"

namespace {

using Big = boost::multiprecision::cpp_int;
namespace ethereum = coffer::ethereum;
namespace abi = coffer::ethereum::abi;

bool IsDigits(std::string_view text) {
  if (text.empty()) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

// Digits as a number; Boost takes a leading zero for octal.
Big ToBig(std::string_view digits) {
  Big value = 0;
  for (const char c : digits) value = value * 10 + (c - '0');
  return value;
}

Big ToBig(absl::uint128 value) {
  return Big(absl::Uint128High64(value)) * (Big(1) << 64) + absl::Uint128Low64(value);
}

struct Decimal {
  bool negative = false;
  Big digits;  // the value times 10^scale
  long scale = 0;
};

// [-]digits[.digits][(e|E)[+|-]digits] within 256 bytes, or nothing.
std::optional<Decimal> ReadDecimal(std::string_view text) {
  if (text.size() > 256) return std::nullopt;
  Decimal out;
  if (!text.empty() && text[0] == '-') {
    out.negative = true;
    text.remove_prefix(1);
  }
  long exponent = 0;
  if (const size_t e = text.find_first_of("eE"); e != std::string_view::npos) {
    std::string_view digits = text.substr(e + 1);
    const bool minus = !digits.empty() && digits[0] == '-';
    if (!digits.empty() && (digits[0] == '-' || digits[0] == '+')) digits.remove_prefix(1);
    if (!IsDigits(digits)) return std::nullopt;
    const Big value = ToBig(digits);
    exponent = value > 100'000 ? 100'000 : static_cast<long>(value);
    if (minus) exponent = -exponent;
    text = text.substr(0, e);
  }
  std::string digits(text);
  if (const size_t dot = digits.find('.'); dot != std::string::npos) {
    if (!IsDigits(digits.substr(0, dot)) || !IsDigits(digits.substr(dot + 1))) return std::nullopt;
    out.scale = static_cast<long>(digits.size() - dot - 1);
    digits.erase(dot, 1);
  }
  if (!IsDigits(digits)) return std::nullopt;
  out.digits = ToBig(digits);
  out.scale -= exponent;
  return out;
}

Big Power(long exponent) {
  Big power = 1;
  for (; exponent > 0; --exponent) power *= 10;
  return power;
}

void CheckEth(std::string_view text) {
  const auto wei = coffer::host::ParseEthToWei(text);
  const std::optional<Decimal> decimal = ReadDecimal(text);
  COFFER_CHECK(decimal.has_value() == (wei.ok() || !absl::IsInvalidArgument(wei.status())),
               "the grammar is one");
  if (!decimal.has_value()) return;
  const Big limit = Big(1) << 127;
  const long shift = 18 - decimal->scale;
  Big exact = decimal->digits;
  bool whole = true;
  if (exact != 0 && shift >= 0) {
    exact = shift > 400 ? limit : Big(exact * Power(shift));
  } else if (exact != 0) {
    whole = -shift <= 600 && exact % Power(-shift) == 0;
    if (whole) exact /= Power(-shift);
  }
  if (!whole) {
    COFFER_CHECK(!wei.ok(), "nothing is rounded");
    return;
  }
  COFFER_CHECK(wei.ok() == (exact < limit), "the range is one");
  if (!wei.ok()) return;
  COFFER_CHECK(ToBig(wei->magnitude) == exact, "the amount is exact");
  COFFER_CHECK(wei->negative == (decimal->negative && exact != 0), "and so is its sign");
}

void CheckWei(std::string_view text) {
  const auto claim = coffer::tools::ParseWei(text);
  if (claim.ok()) {
    COFFER_CHECK(IsDigits(text) && ToBig(text) == ToBig(*claim), "digits are their value");
  } else {
    COFFER_CHECK(!IsDigits(text) || ToBig(text) >= Big(1) << 127 || text.size() > 39,
                 "digits below the limit are taken");
  }
  const auto wei = coffer::host_proxy::WeiFromText(text);
  if (wei.ok()) {
    COFFER_CHECK(IsDigits(text) && ToBig(text) == Big(wei->high()) * (Big(1) << 64) + wei->low(),
                 "digits are their value");
    COFFER_CHECK(ToBig(text) > 0 && ToBig(text) < Big(1) << 127, "within its range");
  }
  const auto wide = ethereum::U256FromString(text);
  if (wide.ok() && IsDigits(text))
    COFFER_CHECK(ToBig(text) == Big(*wide), "digits are their value");
  if (wide.ok()) {
    const auto again = ethereum::U256FromString(ethereum::ToDecimal(*wide));
    COFFER_CHECK(again.ok() && *again == *wide, "what is written is read back");
  }
  const auto size = coffer::audit::ParseDecimal(text);
  const bool plain = IsDigits(text) && (text == "0" || text[0] != '0');
  COFFER_CHECK(size.has_value() == (plain && text.size() <= 30 && ToBig(text) < Big(1) << 63),
               "a size is a plain decimal below 2^63");
  if (size.has_value()) COFFER_CHECK(ToBig(text) == *size, "and its value");
}

void CheckBase64(std::string_view text) {
  const auto bytes = coffer::audit::DecodeBase64(text);
  if (bytes.has_value()) {
    std::string encoded(4 * ((bytes->size() + 2) / 3) + 1, '\0');
    const int length = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                       reinterpret_cast<const unsigned char*>(bytes->data()),
                                       static_cast<int>(bytes->size()));
    encoded.resize(static_cast<size_t>(length));
    COFFER_CHECK(encoded == text, "OpenSSL writes the same text");
  }
  const std::string encoded = coffer::audit::EncodeBase64(text);
  const auto again = coffer::audit::DecodeBase64(encoded);
  COFFER_CHECK(again.has_value() && *again == text, "what is written is read back");
}

int Nibble(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const int lower = std::tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

void CheckHex(std::string_view text) {
  std::string_view digits = text;
  if (digits.substr(0, 2) == "0x" || digits.substr(0, 2) == "0X") digits.remove_prefix(2);
  std::optional<std::string> naive(std::in_place);
  if (digits.size() % 2 != 0) naive.reset();
  for (size_t i = 0; naive.has_value() && i < digits.size(); i += 2) {
    const int high = Nibble(digits[i]);
    const int low = Nibble(digits[i + 1]);
    if (high < 0 || low < 0) {
      naive.reset();
    } else {
      naive->push_back(static_cast<char>(high * 16 + low));
    }
  }
  const auto bytes = ethereum::FromHex(text);
  COFFER_CHECK(bytes.ok() == naive.has_value() && (!bytes.ok() || *bytes == *naive), "hex is hex");
  const auto address = ethereum::AddressFromText(text);
  if (address.ok()) {
    COFFER_CHECK(naive.has_value() && *naive == address->view(), "an address is its digits");
    COFFER_CHECK(ethereum::AddressFromText(ethereum::ToChecksum(*address)).ok(),
                 "its checksum is right");
  }
}

void CheckWords(std::string_view bytes) {
  const std::string_view word = bytes.substr(0, 33);
  Big value = 0;
  for (const char c : word) value = value * 256 + static_cast<unsigned char>(c);
  const bool whole = word.size() == 32;
  const auto number = abi::ReadUint(word);
  COFFER_CHECK(number.ok() == whole && (!whole || Big(*number) == value), "a word is big-endian");
  const auto small = abi::ReadUint64(word);
  COFFER_CHECK(small.ok() == (whole && value < Big(1) << 64), "a small word has zeros in front");
  if (small.ok()) COFFER_CHECK(value == *small, "and its value");
  const auto truth = abi::ReadBool(word);
  COFFER_CHECK(truth.ok() == (whole && value <= 1) && (!truth.ok() || *truth == (value == 1)),
               "a bool is 0 or 1");
  const auto address = abi::ReadAddress(word);
  COFFER_CHECK(address.ok() == (whole && value < Big(1) << 160),
               "an address has 12 zeros in front");
  if (whole) COFFER_CHECK(abi::ReadHash(word).ok(), "any word is a hash");
  const auto info = ethereum::DecodeSenderInfo(bytes);
  if (info.ok()) {
    COFFER_CHECK(bytes.size() == 128, "exactly four words");
    const std::string again = ethereum::ToBytes32(info->deposit) +
                              ethereum::ToBytes32(info->withdraw_round) +
                              ethereum::ToBytes32(info->reserve_funds_remaining) +
                              ethereum::ToBytes32(info->claimed_in_current_round);
    COFFER_CHECK(again == bytes, "they are their words");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (size > 512) return 0;
  CheckEth(text);
  CheckWei(text);
  CheckBase64(text);
  CheckHex(text);
  CheckWords(text);
  return 0;
}
