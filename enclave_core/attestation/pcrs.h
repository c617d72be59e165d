// Platform configuration registers (PCRs): what an enclave's image and its circumstances were
// measured to be.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_PCRS_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_PCRS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::attestation {

// AWS Nitro measures with SHA-384: a register is 48 bytes.
inline constexpr size_t kPcrBytes = 48;

// What is predicted of an image (AWS Nitro Enclaves user guide, "Cryptographic attestation"); each
// is kPcrBytes raw bytes.
struct ImagePcrs {
  std::string pcr0;                 // the whole image: kernel, command line, all ramdisks
  std::string pcr1;                 // kernel, command line, first ramdisk
  std::string pcr2;                 // the other ramdisks: the application
  std::optional<std::string> pcr8;  // the certificate that signed the image; none when unsigned
  bool operator==(const ImagePcrs&) const = default;
};

// A register that was never extended is all zero. PCR0, 1 and 2 are that in a debug enclave, whose
// memory and console its host can read.
bool IsZeroPcr(std::string_view pcr);

// 96 hexadecimal digits in lower case.
std::string PcrText(std::string_view pcr);
// 96 digits in any case, with or without "0x". InvalidArgument says how many there are, or where it
// stops being hexadecimal.
absl::StatusOr<std::string> ParsePcr(std::string_view text);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_PCRS_H_
