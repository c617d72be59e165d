// Any bytes as an enclave image, as they are or with the right checksum, and as the signature
// section of one. An image that is taken is what the builder writes of its parts, and both ways of
// reading that there are in the field, by the header's offsets and from one section to the next,
// see the same parts: otherwise what boots would not be what was measured.
#include <algorithm>
#include <boost/crc.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "enclave_core/attestation/eif.h"
#include "enclave_core/attestation/eif_signature.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

namespace attestation = coffer::attestation;
using coffer::fuzz::Input;
using Parts = std::vector<std::pair<uint64_t, std::string_view>>;

uint64_t At(std::string_view file, size_t at, size_t size) {
  return Input(file.substr(at)).Number(size);
}

// As aws-nitro-enclaves-image-format does.
Parts OneAfterTheOther(std::string_view file) {
  Parts parts;
  for (size_t at = 548; at < file.size();) {
    const uint64_t size = At(file, at + 4, 8);
    parts.emplace_back(At(file, at, 2), file.substr(at + 12, size));
    at += 12 + size;
  }
  return parts;
}

// As QEMU's nitro-enclave machine does.
Parts ByOffsets(std::string_view file) {
  Parts parts;
  for (size_t i = 0; i < At(file, 26, 2); ++i) {
    const uint64_t at = At(file, 28 + 8 * i, 8), size = At(file, 284 + 8 * i, 8);
    parts.emplace_back(At(file, at, 2), file.substr(at + 12, size));
  }
  return parts;
}

void CheckSignature(const attestation::Eif& eif, std::string_view pcr0) {
  const auto signature = attestation::ReadEifSignature(eif);
  if (!signature.ok()) return;
  const bool right = attestation::VerifyEifSignature(*signature, pcr0).ok();
  std::string other(pcr0);
  other[0] = static_cast<char>(other[0] ^ 1);
  COFFER_CHECK(!right || !attestation::VerifyEifSignature(*signature, other).ok(),
               "a signature is over one image");
}

void CheckImage(std::string_view file) {
  const auto eif = attestation::ParseEif(file);
  if (!eif.ok()) return;
  COFFER_CHECK(attestation::BuildEif(*eif).value() == file, "an image has one form");
  Parts ours;
  std::vector<std::string_view> measured;
  for (const attestation::EifSection& section : eif->sections) {
    ours.emplace_back(static_cast<uint64_t>(section.type), section.data);
    if (ours.back().first <= 3) measured.push_back(section.data);
  }
  COFFER_CHECK(ours == OneAfterTheOther(file) && ours == ByOffsets(file),
               "all readers see one image");
  const auto pcrs = attestation::MeasureEif(*eif);
  if (!pcrs.ok()) return;
  COFFER_CHECK(pcrs->pcr0 == attestation::ExtendedOnce(measured), "PCR0 is over all that boots");
  CheckSignature(*eif, pcrs->pcr0);
}

void MendChecksum(std::string& file) {
  if (file.size() < 548) return;
  boost::crc_32_type crc;
  crc.process_bytes(file.data(), 544);
  crc.process_bytes(file.data() + 548, file.size() - 548);
  for (size_t i = 0; i < 4; ++i) file[547 - i] = static_cast<char>(crc.checksum() >> (8 * i));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  const size_t how = input.Below(3);
  if (how == 0) {
    CheckImage(input.rest());
  } else if (how == 1) {
    std::string file(input.rest());
    MendChecksum(file);
    CheckImage(file);
  } else {
    using enum attestation::EifSectionType;
    attestation::Eif eif;
    eif.sections = {{kKernel, "kernel"}, {kCmdline, ""}, {kRamdisk, "boot"}};
    const std::string pcr0 = attestation::MeasureEif(eif).value().pcr0;
    eif.sections.push_back({kSignature, input.rest()});
    CheckSignature(eif, pcr0);
  }
  return 0;
}
