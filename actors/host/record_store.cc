#include "actors/host/record_store.h"

#include <openssl/sha.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/host/record_entry.h"
#include "enclave_core/sealing/record.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

uint32_t KeyEpochOf(std::string_view sealed) {
  const absl::StatusOr<sealing::Header> header = sealing::ParseHeader(sealed);
  return header.ok() ? header->key_epoch : 0;
}

}  // namespace

RecordDigest DigestOf(std::string_view sealed) {
  RecordDigest digest;
  SHA256(reinterpret_cast<const unsigned char*>(sealed.data()), sealed.size(), digest.data());
  return digest;
}

// ---- recovery
// ------------------------------------------------------------------------------------------------------

absl::StatusOr<std::unique_ptr<RecordStore>> RecordStore::Open(Disk* disk, Options options) {
  std::unique_ptr<RecordStore> store(new RecordStore(disk, options));
  if (absl::Status s = store->Recover(); !s.ok()) return s;
  return store;
}

absl::Status RecordStore::Recover() {
  absl::StatusOr<std::vector<std::string>> names = disk_->List();
  if (!names.ok()) return names.status();
  std::vector<std::string> unfinished;
  for (const std::string& name : *names) {
    if (const std::optional<uint64_t> first = ParseSegmentName(name)) {
      segments_.push_back({*first, std::nullopt});
    }
    if (const std::optional<uint64_t> at = ParseSnapshotName(name)) snapshots_.push_back(*at);
    if (absl::EndsWith(name, ".tmp") &&
        (absl::StartsWith(name, "segment-") || absl::StartsWith(name, "snapshot-"))) {
      unfinished.push_back(name);
    }
  }
  std::sort(segments_.begin(), segments_.end(),
            [](const Segment& a, const Segment& b) { return a.first < b.first; });
  std::sort(snapshots_.begin(), snapshots_.end());
  if (!snapshots_.empty()) {
    snapshot_ = snapshots_.back();
    if (absl::Status s = CheckSnapshot(snapshot_); !s.ok()) return s;
  }
  if (absl::Status s = ScanSegments(); !s.ok()) return s;
  for (const std::string& name : unfinished) {
    if (absl::Status s = disk_->Remove(name); !s.ok()) return s;
  }
  RemoveOlder(!options_.hold_segments);
  return absl::OkStatus();
}

absl::Status RecordStore::CheckSnapshot(uint64_t sequence) {
  absl::StatusOr<SnapshotReader> reader = SnapshotReader::Open(*disk_, sequence);
  if (!reader.ok()) return reader.status();
  for (bool first = true;; first = false) {
    absl::StatusOr<std::optional<std::string>> chunk = reader->Next();
    if (!chunk.ok()) return chunk.status();
    if (!chunk->has_value()) return absl::OkStatus();
    if (first) oldest_key_epoch_ = KeyEpochOf(**chunk);
  }
}

absl::Status RecordStore::ScanSegments() {
  if (segments_.empty()) {
    if (snapshot_ == 0) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(disk_->path(), ": there is a snapshot of record ",
                                            snapshot_, " but no segment that holds this record"));
  }
  // Those wholly below the snapshot are only waiting to be removed, and some may be gone already.
  size_t first = 0;
  while (first + 1 < segments_.size() && segments_[first + 1].first <= snapshot_) ++first;
  const uint64_t needed = std::max<uint64_t>(snapshot_, 1);
  if (segments_[first].first > needed) {
    return absl::DataLossError(absl::StrCat(
        disk_->path(), ": records ", needed, " to ", segments_[first].first - 1,
        " are missing: the first segment there is ", SegmentName(segments_[first].first)));
  }
  uint64_t next = segments_[first].first;
  for (size_t i = first; i < segments_.size(); ++i) {
    const std::string name = SegmentName(segments_[i].first);
    if (segments_[i].first != next) {
      return absl::DataLossError(absl::StrCat(disk_->path(), ": records ", next, " to ",
                                              segments_[i].first - 1, " are missing between ",
                                              SegmentName(segments_[i - 1].first), " and ", name));
    }
    const bool last = i + 1 == segments_.size();
    absl::StatusOr<SegmentReader> reader = SegmentReader::Open(*disk_, segments_[i].first, last);
    if (!reader.ok()) return reader.status();
    uint64_t last_group = reader->offset();
    while (true) {
      absl::StatusOr<std::optional<SegmentReader::Group>> group = reader->Next();
      if (!group.ok()) return group.status();
      if (!group->has_value()) break;
      last_group = (*group)->offset;
      for (const std::string& record : (*group)->records) {
        if (absl::Status s = Remember(record); !s.ok()) {
          return absl::DataLossError(absl::StrCat(disk_->path(), "/", name,
                                                  ": in the group of record ",
                                                  (*group)->first_sequence, ": ", s.message()));
        }
      }
    }
    segments_[i].tree_size = tree_size_;
    next = reader->next_sequence();
    last_sequence_ = next - 1;
    if (last && last_sequence_ < snapshot_) {
      return absl::DataLossError(absl::StrCat(disk_->path(), ": records ", next, " to ", snapshot_,
                                              ", on which the snapshot stands, are missing at "
                                              "the end of ",
                                              name));
    }
    if (last) return OpenForAppending(*reader, last_group);
  }
  return absl::OkStatus();
}

// A process that died between a write and its sync, or after a sync that failed, leaves bytes that
// can be read and are on no disk; and after a failed sync the next one would claim success for
// them.
absl::Status RecordStore::WriteAgain(uint64_t from, uint64_t to) {
  if (from < to) {
    const absl::StatusOr<std::string> bytes = file_->Read(from, static_cast<size_t>(to - from));
    if (!bytes.ok()) return bytes.status();
    if (absl::Status s = file_->Write(from, *bytes); !s.ok()) return s;
  }
  if (absl::Status s = file_->Sync(); !s.ok()) return s;
  return disk_->SyncDirectory();
}

absl::Status RecordStore::OpenForAppending(const SegmentReader& end, uint64_t last_group) {
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_->Open(SegmentName(segments_.back().first));
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  file_offset_ = end.offset();
  // Each group is synced before the next is written: only the last one can be in doubt.
  if (absl::Status s = WriteAgain(last_group, file_offset_); !s.ok()) return s;
  dropped_ = end.torn();
  if (!dropped_.empty()) {
    // What comes here next must be written into zeros again, or a later crash could not be told
    // from damage.
    if (absl::Status s = file_->Truncate(file_offset_); !s.ok()) return s;
    if (absl::Status s = file_->Sync(); !s.ok()) return s;
    const uint64_t wanted = std::max(options_.segment_bytes, file_offset_);
    if (absl::Status s = file_->Allocate(wanted); !s.ok() && !absl::IsResourceExhausted(s)) {
      return s;
    }
    if (absl::Status s = file_->Sync(); !s.ok()) return s;
  }
  absl::StatusOr<uint64_t> size = file_->Size();
  if (!size.ok()) return size.status();
  file_bytes_ = *size;
  return absl::OkStatus();
}

// ---- writing
// -------------------------------------------------------------------------------------------------------

absl::Status RecordStore::Append(absl::Span<const std::string> records) {
  const uint64_t first_sequence = last_sequence_ + 1;
  const std::string group = EncodeGroup(first_sequence, records);
  if (file_ == nullptr || file_offset_ + AlignToSector(group.size()) > file_bytes_) {
    if (absl::Status s = StartSegment(first_sequence, group.size()); !s.ok()) return s;
  }
  if (absl::Status s = file_->Write(file_offset_, group); !s.ok()) return s;
  if (absl::Status s = file_->Sync(); !s.ok()) return s;
  file_offset_ += AlignToSector(group.size());
  last_sequence_ += records.size();
  for (const std::string& record : records) {
    COFFER_CHECK(Remember(record).ok(), "what is stored is an entry");
  }
  segments_.back().tree_size = tree_size_;
  return absl::OkStatus();
}

absl::Status RecordStore::StartSegment(uint64_t first_sequence, uint64_t group_bytes) {
  const std::string name = SegmentName(first_sequence);
  const std::string temporary = name.substr(0, name.size() - 4) + ".tmp";
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_->Create(temporary);
  if (!file.ok()) return file.status();
  const uint64_t bytes =
      std::max(options_.segment_bytes, kSectorBytes + AlignToSector(group_bytes));
  if (absl::Status s = (*file)->Allocate(bytes); !s.ok()) return s;
  if (absl::Status s = (*file)->Write(0, EncodeSegmentHeader(first_sequence)); !s.ok()) return s;
  if (absl::Status s = (*file)->Sync(); !s.ok()) return s;
  if (absl::Status s = disk_->Rename(temporary, name); !s.ok()) return s;
  if (absl::Status s = disk_->SyncDirectory(); !s.ok()) return s;
  file_ = *std::move(file);
  file_offset_ = kSectorBytes;
  file_bytes_ = bytes;
  if (segments_.empty() || segments_.back().first != first_sequence) {
    segments_.push_back({first_sequence, tree_size_});
  }
  return absl::OkStatus();
}

absl::Status RecordStore::AppendChunks(uint64_t sequence, uint32_t index, uint32_t count,
                                       absl::Span<const std::string> chunks) {
  const bool fits = count > 0 && count <= kMaxSnapshotChunks && index < count && !chunks.empty() &&
                    chunks.size() <= count - index && sequence > 0 && sequence >= snapshot_ &&
                    sequence <= last_sequence_;
  const bool next = index == 0 || (writing_.has_value() && writing_->sequence() == sequence &&
                                   writing_->chunk_count() == count && writing_->chunks() == index);
  if (!fits || !next) {
    return absl::InvalidArgumentError(absl::StrCat(
        "chunk ", index, " of ", count, " of a snapshot of record ", sequence,
        " is not what comes next: the newest record is ", last_sequence_,
        ", the newest snapshot stands on ", snapshot_, ", and of the snapshot under way ",
        writing_.has_value() ? writing_->chunks() : 0, " chunks are there"));
  }
  if (index == 0) {
    writing_.reset();
    absl::StatusOr<SnapshotWriter> writer = SnapshotWriter::Create(*disk_, sequence, count);
    if (!writer.ok()) return writer.status();
    writing_.emplace(*std::move(writer));
    writing_key_epoch_ = KeyEpochOf(chunks.front());
  }
  if (absl::Status s = writing_->Append(chunks); !s.ok()) return s;
  if (writing_->complete()) {
    snapshot_ = sequence;
    oldest_key_epoch_ = writing_key_epoch_;
    if (snapshots_.empty() || snapshots_.back() != sequence) snapshots_.push_back(sequence);
    writing_.reset();
    RemoveOlder(!options_.hold_segments);
  }
  return absl::OkStatus();
}

bool RecordStore::removal_due() const {
  return segments_.size() > 1 && segments_[1].first <= snapshot_;
}

void RecordStore::RemoveOlder(bool segments_too) {
  cleanup_error_.clear();
  bool removed = false;
  const auto remove = [&](const std::string& name) {
    const absl::Status s = disk_->Remove(name);
    removed = true;
    if (s.ok() || absl::IsNotFound(s)) return true;
    cleanup_error_ = std::string(s.message());
    return false;
  };
  while (snapshots_.size() > 1 && remove(SnapshotName(snapshots_.front()))) {
    snapshots_.erase(snapshots_.begin());
  }
  while (segments_too && removal_due() && remove(SegmentName(segments_[0].first))) {
    segments_.erase(segments_.begin());
  }
  if (!removed) return;
  if (absl::Status s = disk_->SyncDirectory(); !s.ok()) cleanup_error_ = std::string(s.message());
}

absl::Status RecordStore::Remember(std::string_view entry) {
  const absl::StatusOr<RecordEntry> parsed = ParseEntry(entry);
  if (!parsed.ok()) return parsed.status();
  if (snapshot_ == 0 && digests_.empty()) oldest_key_epoch_ = KeyEpochOf(parsed->sealed);
  digests_.push_back(DigestOf(parsed->sealed));
  if (digests_.size() > kDigests) digests_.pop_front();
  if (parsed->tree_size == 0) return absl::OkStatus();
  // Leaves that cannot be counted are the log's trouble; here they only mean that it is asked for
  // the segments from the beginning on.
  if (!first_tree_size_.has_value()) {
    const uint64_t leaves = CountLeaves(parsed->leaves).value_or(parsed->tree_size);
    first_tree_size_ = parsed->tree_size - std::min(leaves, parsed->tree_size);
  }
  tree_size_ = std::max(tree_size_, parsed->tree_size);
  return absl::OkStatus();
}

std::optional<RecordDigest> RecordStore::Digest(uint64_t sequence) const {
  if (sequence > last_sequence_ || last_sequence_ - sequence >= digests_.size())
    return std::nullopt;
  return digests_[digests_.size() - 1 - static_cast<size_t>(last_sequence_ - sequence)];
}

// ---- reading
// -------------------------------------------------------------------------------------------------------

StoreReader RecordStore::Read() const {
  std::vector<uint64_t> segments;
  for (size_t i = 0; i < segments_.size(); ++i) {
    if (i + 1 < segments_.size() && segments_[i + 1].first <= snapshot_) continue;  // only held
    segments.push_back(segments_[i].first);
  }
  return StoreReader(disk_, snapshot_, last_sequence_, std::move(segments));
}

PublicReader RecordStore::ReadPublic(uint64_t tree_size) const {
  std::vector<uint64_t> segments;
  size_t optional = 0;
  for (const Segment& segment : segments_) {
    const bool needed = segment.tree_size.has_value() ? *segment.tree_size > tree_size
                                                      : tree_size < first_tree_size_.value_or(0);
    if (!needed && segments.empty()) continue;
    if (!segment.tree_size.has_value()) ++optional;
    segments.push_back(segment.first);
  }
  return PublicReader(disk_, last_sequence_, std::move(segments), optional);
}

absl::StatusOr<std::optional<std::string>> StoreReader::Next() {
  if (after_ > 0 && next_segment_ == 0) {
    if (!snapshot_.has_value()) {
      absl::StatusOr<SnapshotReader> reader = SnapshotReader::Open(*disk_, after_);
      if (!reader.ok()) return reader.status();
      snapshot_.emplace(*std::move(reader));
    }
    absl::StatusOr<std::optional<std::string>> chunk = snapshot_->Next();
    if (!chunk.ok() || chunk->has_value()) return chunk;
  }
  while (true) {
    while (next_record_ < group_.records.size()) {
      const uint64_t sequence = group_.first_sequence + next_record_;
      std::string& record = group_.records[next_record_++];
      if (sequence > last_) return std::nullopt;
      if (sequence <= after_) continue;
      const absl::StatusOr<RecordEntry> entry = ParseEntry(record);
      if (!entry.ok()) return entry.status();
      if (entry->sealed.size() == record.size()) return std::optional(std::move(record));
      return std::optional(std::string(entry->sealed));
    }
    if (segment_.has_value()) {
      absl::StatusOr<std::optional<SegmentReader::Group>> group = segment_->Next();
      if (!group.ok()) return group.status();
      next_record_ = 0;
      group_ = group->has_value() ? **std::move(group) : SegmentReader::Group();
      if (!group_.records.empty()) continue;
    }
    if (next_segment_ == segments_.size()) return std::nullopt;
    const uint64_t first = segments_[next_segment_++];
    absl::StatusOr<SegmentReader> reader =
        SegmentReader::Open(*disk_, first, next_segment_ == segments_.size());
    if (!reader.ok()) return reader.status();
    segment_.emplace(*std::move(reader));
  }
}

}  // namespace coffer::host
