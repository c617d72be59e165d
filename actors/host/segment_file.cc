#include "actors/host/segment_file.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "actors/host/crc32c.h"
#include "actors/host/little_endian.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

constexpr std::string_view kFileMagic = "COFFSEG1";
constexpr std::string_view kGroupMagic = "CofGroup";
constexpr std::string_view kGroupEnd = "GroupEnd";
constexpr size_t kGroupHeaderBytes = 32;
constexpr uint64_t kWindowBytes = 1u << 20;
// Every record carries a length of its own, and none is empty.
constexpr uint64_t kMaxBodyBytes = kMaxGroupBytes + kMaxSealedBytes + 4;

bool AllZero(std::string_view bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

bool AnyZero(std::string_view bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](char c) { return c == 0; });
}

struct GroupHeader {
  uint32_t body_bytes = 0;
  uint32_t count = 0;
  uint64_t first_sequence = 0;
  uint32_t body_crc = 0;
};

std::optional<GroupHeader> ParseGroupHeader(std::string_view bytes) {
  if (bytes.size() < kGroupHeaderBytes || bytes.substr(24, 8) != kGroupMagic ||
      ReadLittleEndian<uint32_t>(bytes, 20) != Crc32c(bytes.substr(0, 20))) {
    return std::nullopt;
  }
  GroupHeader header{ReadLittleEndian<uint32_t>(bytes, 0), ReadLittleEndian<uint32_t>(bytes, 4),
                     ReadLittleEndian<uint64_t>(bytes, 8), ReadLittleEndian<uint32_t>(bytes, 16)};
  if (header.body_bytes > kMaxBodyBytes || header.count == 0) return std::nullopt;
  return header;
}

// The records of a body whose CRC is right; nothing if it does not divide into exactly `count` of
// them.
std::optional<std::vector<std::string>> SplitBody(std::string_view body, uint32_t count) {
  std::vector<std::string> records;
  while (!body.empty()) {
    if (body.size() < 4) return std::nullopt;
    const uint32_t length = ReadLittleEndian<uint32_t>(body, 0);
    body.remove_prefix(4);
    if (length == 0 || length > body.size()) return std::nullopt;
    records.emplace_back(body.substr(0, length));
    body.remove_prefix(length);
  }
  if (records.size() != count) return std::nullopt;
  return records;
}

// Whether an extent that starts at a sector was never completely written.
bool Incomplete(std::string_view extent) {
  if (AnyZero(extent.substr(extent.size() - kGroupEnd.size()))) return true;
  for (size_t at = 0; at < extent.size(); at += kSectorBytes) {
    if (AllZero(extent.substr(at, kSectorBytes))) return true;
  }
  return false;
}

}  // namespace

std::string SegmentName(uint64_t first_sequence) {
  return absl::StrFormat("segment-%020d.log", first_sequence);
}

std::optional<uint64_t> ParseSegmentName(std::string_view name) {
  uint64_t sequence = 0;
  if (name.size() != 32 || !absl::SimpleAtoi(std::string(name).substr(8, 20), &sequence) ||
      name != SegmentName(sequence)) {
    return std::nullopt;
  }
  return sequence;
}

uint64_t AlignToSector(uint64_t offset) {
  return (offset + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
}

std::string EncodeSegmentHeader(uint64_t first_sequence) {
  std::string header(kFileMagic);
  AppendLittleEndian(header, first_sequence);
  AppendLittleEndian(header, Crc32c(header));
  header.resize(kSectorBytes, '\0');
  return header;
}

std::string EncodeGroup(uint64_t first_sequence, absl::Span<const std::string> records) {
  size_t body_bytes = 0;
  for (const std::string& record : records) {
    COFFER_CHECK(!record.empty() && record.size() <= kMaxSealedBytes, "a record has a bad size");
    body_bytes += 4 + record.size();
  }
  COFFER_CHECK(body_bytes > 0 && body_bytes <= kMaxBodyBytes, "a group has a bad size");
  std::string out;
  out.reserve(kGroupHeaderBytes + body_bytes + kGroupEnd.size());
  AppendLittleEndian(out, static_cast<uint32_t>(body_bytes));
  AppendLittleEndian(out, static_cast<uint32_t>(records.size()));
  AppendLittleEndian(out, first_sequence);
  out.append(kGroupHeaderBytes - out.size(), '\0');
  for (const std::string& record : records) {
    AppendLittleEndian(out, static_cast<uint32_t>(record.size()));
    out.append(record);
  }
  std::string checks;
  AppendLittleEndian(checks, Crc32c(std::string_view(out).substr(kGroupHeaderBytes)));
  out.replace(16, 4, checks);
  checks.clear();
  AppendLittleEndian(checks, Crc32c(std::string_view(out).substr(0, 20)));
  checks.append(kGroupMagic);
  out.replace(20, 12, checks);
  out.append(kGroupEnd);
  return out;
}

absl::StatusOr<SegmentReader> SegmentReader::Open(Disk& disk, uint64_t first_sequence, bool last) {
  const std::string name = SegmentName(first_sequence);
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk.Open(name);
  if (!file.ok()) return file.status();
  absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  SegmentReader reader(absl::StrCat(disk.path(), "/", name), *std::move(file), *size,
                       first_sequence, last);
  absl::StatusOr<std::string> header = reader.Bytes(0, kSectorBytes);
  if (!header.ok()) return header.status();
  // A segment gets its name only after its header is durable: whatever is wrong here is damage.
  if (*header != EncodeSegmentHeader(first_sequence)) {
    return absl::DataLossError(absl::StrCat(
        reader.path_, ": the header (offset 0) is damaged or of another format, so record ",
        first_sequence, " and those after it cannot be read"));
  }
  return reader;
}

absl::StatusOr<std::string> SegmentReader::Bytes(uint64_t offset, uint64_t size) {
  if (offset >= size_) return std::string();
  size = std::min(size, size_ - offset);
  if (offset < window_offset_ || offset + size > window_offset_ + window_.size()) {
    absl::StatusOr<std::string> read =
        file_->Read(offset, static_cast<size_t>(std::max(size, kWindowBytes)));
    if (!read.ok()) return read.status();
    window_ = *std::move(read);
    window_offset_ = offset;
  }
  return window_.substr(static_cast<size_t>(offset - window_offset_), static_cast<size_t>(size));
}

absl::Status SegmentReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": record ", next_sequence_, " at offset ",
                                          offset_, ": ", what, "; restore this file from a copy"));
}

absl::StatusOr<std::optional<SegmentReader::Group>> SegmentReader::Next() {
  if (ended_) return std::nullopt;
  absl::StatusOr<std::string> head = Bytes(offset_, kGroupHeaderBytes);
  if (!head.ok()) return head.status();
  const std::optional<GroupHeader> header = ParseGroupHeader(*head);
  if (!header.has_value()) {
    const bool torn =
        head->size() < kGroupHeaderBytes || AnyZero(std::string_view(*head).substr(24));
    if (!torn) return Damaged("its group's header is damaged");
    if (absl::Status s = EndHere("its group's header is missing"); !s.ok()) return s;
    return std::nullopt;
  }
  if (header->first_sequence != next_sequence_) {
    return Damaged(absl::StrCat("record ", header->first_sequence, " is there instead"));
  }
  const uint64_t extent = kGroupHeaderBytes + header->body_bytes + kGroupEnd.size();
  absl::StatusOr<std::string> bytes = Bytes(offset_, AlignToSector(extent));
  if (!bytes.ok()) return bytes.status();
  const std::string_view whole = std::string_view(*bytes).substr(0, extent);
  const std::string_view body = whole.size() < extent
                                    ? std::string_view()
                                    : whole.substr(kGroupHeaderBytes, header->body_bytes);
  if (whole.size() < extent || whole.substr(extent - kGroupEnd.size()) != kGroupEnd ||
      Crc32c(body) != header->body_crc) {
    if (whole.size() == extent && !Incomplete(whole)) {
      return Damaged("its bytes are all there but were changed (CRC-32C differs)");
    }
    if (absl::Status s = EndHere("its group is not complete"); !s.ok()) return s;
    return std::nullopt;
  }
  if (!AllZero(std::string_view(*bytes).substr(extent))) {
    return Damaged("the zeros after its group were changed");
  }
  std::optional<std::vector<std::string>> records = SplitBody(body, header->count);
  if (!records.has_value()) return Damaged("its group does not divide into its records");
  Group group{next_sequence_, offset_, *std::move(records)};
  next_sequence_ += group.records.size();
  offset_ += AlignToSector(extent);
  return group;
}

absl::Status SegmentReader::EndHere(absl::string_view what) {
  bool all_zero = true;
  if (absl::Status s = FindLaterGroup(&all_zero); !s.ok()) return s;
  ended_ = true;
  if (all_zero) return absl::OkStatus();
  if (!last_) return Damaged(absl::StrCat(what, ", and there are segments after this one"));
  torn_ = absl::StrCat(path_, ": a crash left a part of record ", next_sequence_, " at offset ",
                       offset_, " (", what, "); it was never acknowledged and is dropped");
  return absl::OkStatus();
}

absl::Status SegmentReader::FindLaterGroup(bool* all_zero) {
  for (uint64_t at = offset_; at < size_; at += kWindowBytes) {
    absl::StatusOr<std::string> block = Bytes(at, std::min(kWindowBytes, size_ - at));
    if (!block.ok()) return block.status();
    if (AllZero(*block)) continue;
    *all_zero = false;
    for (size_t i = 0; i < block->size(); i += kSectorBytes) {
      const std::optional<GroupHeader> header =
          ParseGroupHeader(std::string_view(*block).substr(i, kGroupHeaderBytes));
      if (header.has_value() && header->first_sequence > next_sequence_) {
        return Damaged(absl::StrCat("its group is damaged or missing, while that of record ",
                                    header->first_sequence, " at offset ", at + i, " is there"));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace coffer::host
