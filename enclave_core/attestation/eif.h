// Enclave image files (EIF): the form in which AWS Nitro Enclaves boot a kernel and its ramdisks.
// Source: aws/aws-nitro-enclaves-image-format, src/defs/mod.rs (layout) and src/utils (measuring).
//
// All integers are big-endian. A header of 548 bytes: ".eif", u16 version, u16 flags (bit 0:
// arm64), u64 default memory, u64 default cpus, u16 reserved, u16 number of sections, u64[32]
// offsets, u64[32] sizes, u32 unused, u32 CRC-32 of all other bytes. Then the sections, one after
// the other: u16 type, u16 flags, u64 size, data.
//
// Read strictly, because a loader goes by the header's offsets and AWS's own tool from one section
// to the next: where the two could see different sections, a prediction would be worth nothing. So
// the sections must fill the file in the header's order, what is reserved must be zero, and every
// file that is taken is exactly what BuildEif writes of its parts.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_EIF_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_EIF_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/attestation/pcrs.h"

namespace coffer::attestation {

inline constexpr size_t kEifHeaderBytes = 548;
inline constexpr size_t kEifSectionHeaderBytes = 12;
inline constexpr size_t kMaxEifSections = 32;
inline constexpr uint64_t kMaxEifBytes = uint64_t{1} << 31;  // an image lives in memory as a whole
inline constexpr size_t kMaxCmdlineBytes = 4096;             // Linux takes 2048 on x86_64
inline constexpr size_t kMaxMetadataBytes = 1 << 20;
inline constexpr size_t kMaxEifSignatureBytes = 1 << 16;

enum class EifArchitecture : uint16_t { kX86_64 = 0, kArm64 = 1 };
const char* ArchitectureName(EifArchitecture architecture);  // "x86_64", "arm64"

enum class EifSectionType : uint16_t {
  kKernel = 1,
  kCmdline = 2,
  kRamdisk = 3,
  kSignature = 4,  // eif_signature.h
  kMetadata = 5,   // JSON; not measured
};
const char* SectionName(EifSectionType type);  // "kernel", "cmdline", ...

struct EifSection {
  EifSectionType type = EifSectionType::kKernel;
  std::string_view data;  // into the file, or into what the builder was given
};

struct Eif {
  uint16_t version = 4;  // or 3, which has no metadata
  EifArchitecture architecture = EifArchitecture::kX86_64;
  uint64_t default_memory = uint64_t{1} << 30;  // bytes; nitro-cli's default, not measured
  uint64_t default_cpus = 2;
  // One kernel, then one cmdline, then at least one ramdisk; at most one metadata and one
  // signature, anywhere. AWS's builder writes kernel, cmdline, metadata, ramdisks, signature.
  std::vector<EifSection> sections;

  // The data of the first section of this type; nullptr when there is none.
  const std::string_view* Find(EifSectionType type) const;
};

// `file` must outlive the result. InvalidArgument says what is wrong and at which section or byte.
// Nothing is allocated by what the file claims.
absl::StatusOr<Eif> ParseEif(std::string_view file);

// The file of these parts, with its checksum. InvalidArgument when ParseEif would refuse it.
absl::StatusOr<std::string> BuildEif(const Eif& eif);

// E(x) = SHA-384(48 zero bytes || SHA-384(x)): a register extended once with what was measured.
// PCR0 = E(kernel || cmdline || ramdisks), PCR1 = E(kernel || cmdline || first ramdisk), PCR2 =
// E(the other ramdisks), and of a signed image PCR8 = E(DER of the signing certificate): the last
// can fail, InvalidArgument, when the signature section is malformed. Whether the signature is
// right is another question (eif_signature.h).
absl::StatusOr<ImagePcrs> MeasureEif(const Eif& eif);

// E over the concatenation of `parts`: for whoever predicts another register.
std::string ExtendedOnce(const std::vector<std::string_view>& parts);

// SHA-384 of `bytes`, 48 bytes.
std::string Sha384(std::string_view bytes);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_EIF_H_
