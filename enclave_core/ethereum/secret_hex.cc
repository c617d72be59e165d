#include "enclave_core/ethereum/secret_hex.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::ethereum {
namespace {

// All ones when least <= c <= most, else 0. Arithmetic on ints of a byte's size: nothing overflows,
// and a negative number shifts to all ones (C++20).
int InRange(int c, int least, int most) { return ~((c - least) | (most - c)) >> 31; }

// 0 when all of an even number of characters are hex digits; otherwise what is in `out` means
// nothing.
int Decode(std::string_view digits, uint8_t* out) {
  int wrong = 0;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    int byte = 0;
    for (size_t half = 0; half < 2; ++half) {
      const int c = static_cast<uint8_t>(digits[i + half]);
      const int lower = c | 0x20;
      const int decimal = InRange(c, '0', '9');
      const int letter = InRange(lower, 'a', 'f');
      byte = (byte << 4) | (decimal & (c - '0')) | (letter & (lower - 'a' + 10));
      wrong |= ~(decimal | letter);
    }
    out[i / 2] = static_cast<uint8_t>(byte);
  }
  return wrong;
}

}  // namespace

absl::StatusOr<SecretBytes> SecretFromHex(std::string_view hex, size_t size) {
  // The length decides whether there is a prefix; looking for one would branch on the first digits.
  const bool prefixed = hex.size() == 2 * size + 2;
  if (!prefixed && hex.size() != 2 * size) {
    return absl::InvalidArgumentError(
        absl::StrCat("a secret in hex: expected ", 2 * size, " digits, got ", hex.size()));
  }
  if (prefixed && (hex[0] != '0' || (hex[1] | 0x20) != 'x')) {
    return absl::InvalidArgumentError("a secret in hex: there are two digits too many");
  }
  absl::StatusOr<SecretBytes> secret = SecretBytes::Create(size);
  if (!secret.ok()) return secret;
  // One branch on all digits together: what is not hex is refused aloud, so that much is public.
  if (Decode(hex.substr(prefixed ? 2 : 0), secret->data().data()) != 0) {
    return absl::InvalidArgumentError("a secret in hex: not all characters are hex digits");
  }
  return secret;
}

}  // namespace coffer::ethereum
