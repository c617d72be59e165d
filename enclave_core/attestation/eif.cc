#include "enclave_core/attestation/eif.h"

#include <algorithm>
#include <array>
#include <boost/crc.hpp>
#include <string>

#include "absl/strings/str_cat.h"

namespace coffer::attestation {
namespace {

constexpr std::string_view kMagic = ".eif";
constexpr size_t kOffsetsAt = 28;  // after magic, version, flags, memory, cpus, reserved and count
constexpr size_t kSizesAt = kOffsetsAt + 8 * kMaxEifSections;
constexpr size_t kUnusedAt = kSizesAt + 8 * kMaxEifSections;
constexpr size_t kCrcAt = kUnusedAt + 4;
static_assert(kCrcAt + 4 == kEifHeaderBytes);

// The caller has made sure that `bytes` reach there.
uint64_t Read(std::string_view bytes, size_t at, size_t size) {
  uint64_t value = 0;
  for (const char c : bytes.substr(at, size)) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

void Append(uint64_t value, size_t size, std::string& out) {
  for (size_t i = size; i-- > 0;) out.push_back(static_cast<char>(value >> (8 * i) & 0xff));
}

uint32_t ChecksumOf(std::string_view file) {
  boost::crc_32_type crc;
  crc.process_bytes(file.data(), kCrcAt);
  crc.process_bytes(file.data() + kEifHeaderBytes, file.size() - kEifHeaderBytes);
  return crc.checksum();
}

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("enclave image: ", parts...));
}

absl::Status CheckSection(const EifSection& section, size_t index) {
  const auto too_long = [&](size_t most) {
    return Wrong("section ", index, ", the ", SectionName(section.type), ", has ",
                 section.data.size(), " bytes, more than the ", most, " that it may");
  };
  switch (section.type) {
    case EifSectionType::kKernel:
    case EifSectionType::kRamdisk:
      if (!section.data.empty()) return absl::OkStatus();
      return Wrong("section ", index, ", a ", SectionName(section.type), ", is empty");
    case EifSectionType::kCmdline:
      if (section.data.size() > kMaxCmdlineBytes) return too_long(kMaxCmdlineBytes);
      if (section.data.find('\0') == std::string_view::npos) return absl::OkStatus();
      return Wrong("the command line has a zero byte, where the kernel would stop reading it");
    case EifSectionType::kSignature:
      if (section.data.size() > kMaxEifSignatureBytes) return too_long(kMaxEifSignatureBytes);
      return absl::OkStatus();
    case EifSectionType::kMetadata:
      if (section.data.size() > kMaxMetadataBytes) return too_long(kMaxMetadataBytes);
      return absl::OkStatus();
  }
  return Wrong("section ", index, " is of the unknown type ", static_cast<int>(section.type));
}

// What holds of the sections together. What is measured is a concatenation, so its order is part of
// the rule.
absl::Status CheckTogether(const Eif& eif) {
  std::array<size_t, 6> seen{};
  for (size_t i = 0; i < eif.sections.size(); ++i) {
    const EifSectionType type = eif.sections[i].type;
    const bool after_kernel = seen[1] == 1, after_cmdline = seen[2] == 1;
    const bool measured_early = (type == EifSectionType::kCmdline && !after_kernel) ||
                                (type == EifSectionType::kRamdisk && !after_cmdline);
    if (measured_early) {
      return Wrong("section ", i, ", a ", SectionName(type),
                   ", is out of order: the kernel, the cmdline, then the ramdisks");
    }
    if (++seen[static_cast<size_t>(type)] > 1 && type != EifSectionType::kRamdisk) {
      return Wrong("section ", i, " is a second ", SectionName(type));
    }
  }
  if (seen[1] == 0) return Wrong("has no kernel");
  if (seen[2] == 0) return Wrong("has no cmdline");
  if (seen[3] == 0) return Wrong("has no ramdisk");
  if (eif.version == 3 && seen[5] != 0) return Wrong("version 3 has no metadata section");
  return absl::OkStatus();
}

// Everything that is a rule of the parts and not of their layout: what is read and what is built.
absl::Status Check(const Eif& eif) {
  if (eif.version != 3 && eif.version != 4) {
    return Wrong("is of EIF version ", eif.version, "; 3 and 4 are known");
  }
  if (eif.architecture != EifArchitecture::kX86_64 && eif.architecture != EifArchitecture::kArm64) {
    return Wrong("has flags ", static_cast<int>(eif.architecture),
                 "; 0 (x86_64) and 1 (arm64) are known");
  }
  if (eif.sections.size() > kMaxEifSections) {
    return Wrong("says that it has ", eif.sections.size(), " sections; at most ", kMaxEifSections,
                 " have a place in the header");
  }
  uint64_t total = kEifHeaderBytes;
  for (size_t i = 0; i < eif.sections.size(); ++i) {
    if (absl::Status status = CheckSection(eif.sections[i], i); !status.ok()) return status;
    total += kEifSectionHeaderBytes + eif.sections[i].data.size();
  }
  if (total > kMaxEifBytes) {
    return Wrong("has ", total, " bytes, more than the ", kMaxEifBytes, " that it may");
  }
  return CheckTogether(eif);
}

// The section that must begin at `position`, which moves behind it.
absl::StatusOr<EifSection> ReadSection(std::string_view file, size_t index, size_t& position) {
  const uint64_t offset = Read(file, kOffsetsAt + 8 * index, 8);
  if (offset != position) {
    return Wrong("section ", index, " is said to begin at byte ", offset,
                 ", but what is before it ends at ", position);
  }
  if (file.size() - position < kEifSectionHeaderBytes) {
    return Wrong("ends at byte ", file.size(), ", within the head of section ", index);
  }
  const uint64_t type = Read(file, position, 2), flags = Read(file, position + 2, 2);
  const uint64_t size = Read(file, position + 4, 8);
  position += kEifSectionHeaderBytes;
  if (type < 1 || type > 5) return Wrong("section ", index, " is of the unknown type ", type);
  if (flags != 0) return Wrong("section ", index, " has the unknown flags ", flags);
  if (const uint64_t said = Read(file, kSizesAt + 8 * index, 8); said != size) {
    return Wrong("section ", index, " has ", size, " bytes by its own head and ", said,
                 " by the file's header");
  }
  if (size > file.size() - position) {
    return Wrong("section ", index, " is said to have ", size, " bytes; the file has ",
                 file.size() - position, " from there on");
  }
  const EifSection section{static_cast<EifSectionType>(type),
                           file.substr(position, static_cast<size_t>(size))};
  position += section.data.size();
  return section;
}

absl::Status CheckUnused(std::string_view file, size_t count) {
  if (Read(file, 24, 2) != 0) return Wrong("the reserved field of its header is not zero");
  if (Read(file, kUnusedAt, 4) != 0) return Wrong("the unused field of its header is not zero");
  for (size_t i = count; i < kMaxEifSections; ++i) {
    if (Read(file, kOffsetsAt + 8 * i, 8) == 0 && Read(file, kSizesAt + 8 * i, 8) == 0) continue;
    return Wrong("its header has an offset or a size for section ", i, ", but it has ", count,
                 " sections");
  }
  return absl::OkStatus();
}

}  // namespace

const char* ArchitectureName(EifArchitecture architecture) {
  return architecture == EifArchitecture::kArm64 ? "arm64" : "x86_64";
}

const char* SectionName(EifSectionType type) {
  switch (type) {
    case EifSectionType::kKernel:
      return "kernel";
    case EifSectionType::kCmdline:
      return "cmdline";
    case EifSectionType::kRamdisk:
      return "ramdisk";
    case EifSectionType::kSignature:
      return "signature";
    case EifSectionType::kMetadata:
      return "metadata";
  }
  return "unknown";
}

const std::string_view* Eif::Find(EifSectionType type) const {
  const auto found = std::find_if(sections.begin(), sections.end(),
                                  [&](const EifSection& section) { return section.type == type; });
  return found == sections.end() ? nullptr : &found->data;
}

absl::StatusOr<Eif> ParseEif(std::string_view file) {
  if (file.size() < kEifHeaderBytes) {
    return Wrong("has ", file.size(), " bytes; its header alone has ", kEifHeaderBytes);
  }
  if (file.substr(0, kMagic.size()) != kMagic) {
    return Wrong("does not begin with \".eif\", so it is none");
  }
  Eif eif;
  eif.version = static_cast<uint16_t>(Read(file, 4, 2));
  eif.architecture = static_cast<EifArchitecture>(Read(file, 6, 2));
  eif.default_memory = Read(file, 8, 8);
  eif.default_cpus = Read(file, 16, 8);
  const auto count = static_cast<size_t>(Read(file, 26, 2));
  if (count > kMaxEifSections) {
    return Wrong("says that it has ", count, " sections; at most ", kMaxEifSections,
                 " have a place in the header");
  }
  size_t position = kEifHeaderBytes;
  for (size_t i = 0; i < count; ++i) {
    absl::StatusOr<EifSection> section = ReadSection(file, i, position);
    if (!section.ok()) return section.status();
    eif.sections.push_back(*section);
  }
  if (position != file.size()) {
    return Wrong("has ", file.size() - position, " bytes after its last section");
  }
  if (absl::Status status = CheckUnused(file, count); !status.ok()) return status;
  if (absl::Status status = Check(eif); !status.ok()) return status;
  const uint32_t checksum = ChecksumOf(file);
  if (const uint64_t said = Read(file, kCrcAt, 4); said != checksum) {
    return Wrong("is damaged: its CRC-32 is ", absl::Hex(checksum, absl::kZeroPad8),
                 ", its header says ", absl::Hex(said, absl::kZeroPad8));
  }
  return eif;
}

absl::StatusOr<std::string> BuildEif(const Eif& eif) {
  if (absl::Status status = Check(eif); !status.ok()) return status;
  std::string file(kMagic);
  size_t total = kEifHeaderBytes;
  for (const EifSection& section : eif.sections)
    total += kEifSectionHeaderBytes + section.data.size();
  file.reserve(total);
  Append(eif.version, 2, file);
  Append(static_cast<uint16_t>(eif.architecture), 2, file);
  Append(eif.default_memory, 8, file);
  Append(eif.default_cpus, 8, file);
  Append(0, 2, file);
  Append(eif.sections.size(), 2, file);
  uint64_t offset = kEifHeaderBytes;
  for (size_t i = 0; i < kMaxEifSections; ++i) {
    const bool used = i < eif.sections.size();
    Append(used ? offset : 0, 8, file);
    if (used) offset += kEifSectionHeaderBytes + eif.sections[i].data.size();
  }
  for (size_t i = 0; i < kMaxEifSections; ++i) {
    Append(i < eif.sections.size() ? eif.sections[i].data.size() : 0, 8, file);
  }
  Append(0, 8, file);  // unused, and the checksum's place
  for (const EifSection& section : eif.sections) {
    Append(static_cast<uint16_t>(section.type), 2, file);
    Append(0, 2, file);
    Append(section.data.size(), 8, file);
    file.append(section.data);
  }
  std::string checksum;
  Append(ChecksumOf(file), 4, checksum);
  file.replace(kCrcAt, 4, checksum);
  return file;
}

}  // namespace coffer::attestation
