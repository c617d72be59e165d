#include "actors/host/decimal_wei.h"

#include <array>
#include <cstddef>

#include "absl/status/status.h"

namespace coffer::host {
namespace {

constexpr size_t kMaxText = 256;  // bytes; the longest exact amount below 2^127 wei needs 41
constexpr int kMaxExponentDigits =
    4;  // beyond it only zero would be in range, whatever the mantissa
constexpr int kWeiDecimals = 18;
constexpr int kMaxWeiDigits = 39;                             // 2^127 has 39 digits
constexpr absl::uint128 kWeiLimit = absl::uint128{1} << 127;  // what the boundary's Wei carries

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

absl::Status NotANumber() {
  return absl::InvalidArgumentError(
      "not a decimal number; write it like 0.25, -1.5 or 1E-7, without spaces");
}
absl::Status TooLarge() { return absl::OutOfRangeError("the amount is 2^127 wei or more"); }

// The significant digits of a mantissa and the power of ten of the last of them.
struct Mantissa {
  std::array<char, kMaxText> digits;
  int count = 0;
  int exponent = 0;
};

// Reads digits[.digits] from text[at...]; false when that is not what is there.
bool ReadMantissa(std::string_view text, size_t& at, Mantissa& out) {
  const auto read_digits = [&](bool fraction) {
    const size_t start = at;
    for (; at < text.size() && IsDigit(text[at]); ++at) {
      if (out.count > 0 || text[at] != '0') out.digits[static_cast<size_t>(out.count++)] = text[at];
      if (fraction) --out.exponent;
    }
    return at > start;
  };
  if (!read_digits(false)) return false;
  if (at == text.size() || text[at] != '.') return true;
  ++at;
  return read_digits(true);
}

// Reads (e|E)[+|-]digits, if it is there. A longer exponent than allowed is clamped: too large
// stays too large.
bool ReadExponent(std::string_view text, size_t& at, int& exponent) {
  exponent = 0;
  if (at == text.size() || (text[at] != 'e' && text[at] != 'E')) return true;
  ++at;
  bool negative = false;
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) negative = text[at++] == '-';
  const size_t start = at;
  int digits = 0;
  for (; at < text.size() && IsDigit(text[at]); ++at) {
    if (digits == 0 && text[at] == '0') continue;
    if (++digits <= kMaxExponentDigits) exponent = exponent * 10 + (text[at] - '0');
  }
  if (digits > kMaxExponentDigits) exponent = 10'000;
  if (negative) exponent = -exponent;
  return at > start;
}

}  // namespace

absl::StatusOr<SignedWei> ParseEthToWei(std::string_view text) {
  if (text.size() > kMaxText) {
    return absl::InvalidArgumentError("the amount's text is longer than 256 bytes");
  }
  SignedWei wei;
  size_t at = 0;
  if (!text.empty() && text[0] == '-') {
    wei.negative = true;
    at = 1;
  }
  Mantissa mantissa;
  int exponent = 0;
  if (!ReadMantissa(text, at, mantissa) || !ReadExponent(text, at, exponent) || at != text.size()) {
    return NotANumber();
  }
  if (mantissa.count == 0) return SignedWei{};
  exponent += mantissa.exponent + kWeiDecimals;
  while (mantissa.digits[static_cast<size_t>(mantissa.count - 1)] == '0') {
    --mantissa.count;
    ++exponent;
  }
  if (exponent < 0) {
    return absl::FailedPreconditionError(
        "the amount has more than 18 decimals that are not zero; a part of a wei cannot be "
        "credited");
  }
  if (mantissa.count + exponent > kMaxWeiDigits) return TooLarge();
  // Up to 39 digits may still be more than 128 bits hold, so each step is checked.
  for (int i = 0; i < mantissa.count + exponent; ++i) {
    if (wei.magnitude > kWeiLimit / 10) return TooLarge();
    const int digit = i < mantissa.count ? mantissa.digits[static_cast<size_t>(i)] - '0' : 0;
    wei.magnitude = wei.magnitude * 10 + static_cast<unsigned>(digit);
  }
  if (wei.magnitude >= kWeiLimit) return TooLarge();
  return wei;
}

}  // namespace coffer::host
