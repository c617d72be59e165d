#include "actors/host/snapshot_file.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "actors/host/crc32c.h"
#include "actors/host/little_endian.h"
#include "actors/host/segment_file.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

constexpr std::string_view kMagic = "COFFSNP1";
constexpr std::string_view kSnapshotEnd = "SnapDone";
constexpr size_t kHeaderBytes = 32;
constexpr size_t kChunkHeaderBytes = 8;

std::string TemporaryName(uint64_t sequence) {
  return absl::StrFormat("snapshot-%020d.tmp", sequence);
}

std::string EncodeHeader(uint64_t sequence, uint32_t chunk_count) {
  std::string header(kMagic);
  AppendLittleEndian(header, sequence);
  AppendLittleEndian(header, chunk_count);
  AppendLittleEndian(header, Crc32c(header));
  header.resize(kHeaderBytes, '\0');
  return header;
}

uint32_t ChunkCrc(uint32_t index, std::string_view sealed) {
  std::string prefix;
  AppendLittleEndian(prefix, index);
  return Crc32c(sealed, Crc32c(prefix));
}

}  // namespace

std::string SnapshotName(uint64_t sequence) {
  return absl::StrFormat("snapshot-%020d.snap", sequence);
}

std::optional<uint64_t> ParseSnapshotName(std::string_view name) {
  uint64_t sequence = 0;
  if (name.size() != 34 || !absl::SimpleAtoi(std::string(name).substr(9, 20), &sequence) ||
      name != SnapshotName(sequence)) {
    return std::nullopt;
  }
  return sequence;
}

absl::StatusOr<SnapshotWriter> SnapshotWriter::Create(Disk& disk, uint64_t sequence,
                                                      uint32_t chunk_count) {
  COFFER_CHECK(chunk_count > 0 && chunk_count <= kMaxSnapshotChunks, "a snapshot's chunk count");
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk.Create(TemporaryName(sequence));
  if (!file.ok()) return file.status();
  const std::string header = EncodeHeader(sequence, chunk_count);
  if (absl::Status s = (*file)->Write(0, header); !s.ok()) return s;
  return SnapshotWriter(&disk, *std::move(file), sequence, chunk_count, header.size());
}

absl::Status SnapshotWriter::Append(absl::Span<const std::string> chunks) {
  COFFER_CHECK(chunks.size() <= chunk_count_ - chunks_, "more chunks than the snapshot has");
  std::string bytes;
  uint32_t index = chunks_;
  for (const std::string& sealed : chunks) {
    AppendLittleEndian(bytes, static_cast<uint32_t>(sealed.size()));
    AppendLittleEndian(bytes, ChunkCrc(index++, sealed));
    bytes.append(sealed);
  }
  const bool last = index == chunk_count_;
  if (last) bytes.append(kSnapshotEnd);
  if (absl::Status s = file_->Write(offset_, bytes); !s.ok()) return s;
  if (absl::Status s = file_->Sync(); !s.ok()) return s;
  if (last) {
    absl::Status s = disk_->Rename(TemporaryName(sequence_), SnapshotName(sequence_));
    // A call that is repeated because of the directory finds the new name there already.
    if (!s.ok() && !absl::IsNotFound(s)) return s;
    if (s = disk_->SyncDirectory(); !s.ok()) return s;
  }
  offset_ += bytes.size();
  chunks_ = index;
  return absl::OkStatus();
}

absl::StatusOr<SnapshotReader> SnapshotReader::Open(Disk& disk, uint64_t sequence) {
  const std::string name = SnapshotName(sequence);
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk.Open(name);
  if (!file.ok()) return file.status();
  absl::StatusOr<uint64_t> size = (*file)->Size();
  if (!size.ok()) return size.status();
  SnapshotReader reader(absl::StrCat(disk.path(), "/", name), *std::move(file), *size);
  absl::StatusOr<std::string> header = reader.file_->Read(0, kHeaderBytes);
  if (!header.ok()) return header.status();
  if (header->size() == kHeaderBytes) {
    reader.chunk_count_ = ReadLittleEndian<uint32_t>(*header, 16);
  }
  if (reader.chunk_count_ == 0 || reader.chunk_count_ > kMaxSnapshotChunks ||
      *header != EncodeHeader(sequence, reader.chunk_count_)) {
    return reader.Damaged("the header is damaged or of another format");
  }
  reader.offset_ = kHeaderBytes;
  return reader;
}

absl::Status SnapshotReader::Damaged(absl::string_view what) const {
  return absl::DataLossError(absl::StrCat(path_, ": chunk ", index_, " of ", chunk_count_,
                                          " at offset ", offset_, ": ", what,
                                          "; restore this file from a copy"));
}

absl::StatusOr<std::optional<std::string>> SnapshotReader::Next() {
  if (index_ == chunk_count_) {
    absl::StatusOr<std::string> end = file_->Read(offset_, kSnapshotEnd.size());
    if (!end.ok()) return end.status();
    if (*end != kSnapshotEnd || offset_ + kSnapshotEnd.size() != size_) {
      return Damaged("the file does not end where it should");
    }
    return std::nullopt;
  }
  absl::StatusOr<std::string> head = file_->Read(offset_, kChunkHeaderBytes);
  if (!head.ok()) return head.status();
  if (head->size() < kChunkHeaderBytes) return Damaged("the file ends before it");
  const uint32_t length = ReadLittleEndian<uint32_t>(*head, 0);
  if (length == 0 || length > kMaxSealedBytes || length > size_ - offset_ - kChunkHeaderBytes) {
    return Damaged("its length is damaged");
  }
  absl::StatusOr<std::string> sealed = file_->Read(offset_ + kChunkHeaderBytes, length);
  if (!sealed.ok()) return sealed.status();
  if (sealed->size() < length ||
      ChunkCrc(index_, *sealed) != ReadLittleEndian<uint32_t>(*head, 4)) {
    return Damaged("its bytes were changed (CRC-32C differs)");
  }
  offset_ += kChunkHeaderBytes + length;
  ++index_;
  return std::optional<std::string>(*std::move(sealed));
}

}  // namespace coffer::host
