#include "enclave_core/attestation/pcrs.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace coffer::attestation {

bool IsZeroPcr(std::string_view pcr) {
  return std::all_of(pcr.begin(), pcr.end(), [](char c) { return c == '\0'; });
}

std::string PcrText(std::string_view pcr) { return absl::BytesToHexString(std::string(pcr)); }

absl::StatusOr<std::string> ParsePcr(std::string_view text) {
  if (text.size() >= 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
    text.remove_prefix(2);
  }
  if (text.size() != 2 * kPcrBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a PCR has ", 2 * kPcrBytes, " hexadecimal digits (SHA-384), and this ", text.size()));
  }
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_isxdigit(static_cast<unsigned char>(text[i]))) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("digit ", i + 1, " of a PCR is not hexadecimal"));
  }
  return absl::HexStringToBytes(std::string(text));
}

}  // namespace coffer::attestation
