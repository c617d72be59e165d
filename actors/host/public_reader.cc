#include "actors/host/public_reader.h"

#include "absl/strings/str_cat.h"
#include "actors/host/record_entry.h"

namespace coffer::host {

absl::StatusOr<SegmentReader::Group> PublicReader::NextGroup() {
  if (!segment_.has_value()) {
    const uint64_t first = segments_[next_segment_++];
    absl::StatusOr<SegmentReader> reader =
        SegmentReader::Open(*disk_, first, next_segment_ == segments_.size());
    if (!reader.ok()) return reader.status();
    segment_.emplace(*std::move(reader));
  }
  // What comes after the last record is still being written.
  if (segment_->next_sequence() > last_) return SegmentReader::Group();
  absl::StatusOr<std::optional<SegmentReader::Group>> group = segment_->Next();
  if (!group.ok()) return group.status();
  return group->has_value() ? **std::move(group) : SegmentReader::Group();
}

absl::StatusOr<std::optional<PublicPart>> PublicReader::Next() {
  while (true) {
    while (next_record_ < group_.records.size()) {
      const uint64_t sequence = group_.first_sequence + next_record_;
      absl::StatusOr<RecordEntry> entry = ParseEntry(group_.records[next_record_++]);
      if (!entry.ok()) {
        return absl::DataLossError(
            absl::StrCat(disk_->path(), ": record ", sequence, ": ", entry.status().message()));
      }
      if (entry->leaves.empty()) continue;
      return PublicPart{sequence, entry->tree_size, std::string(entry->leaves)};
    }
    if (!segment_.has_value() && next_segment_ == segments_.size()) return std::nullopt;
    absl::StatusOr<SegmentReader::Group> group = NextGroup();
    next_record_ = 0;
    if (!group.ok()) {
      if (next_segment_ > optional_) return group.status();
      skipped_ = std::string(group.status().message());
      group = SegmentReader::Group();
    }
    group_ = *std::move(group);
    if (group_.records.empty()) segment_.reset();
  }
}

}  // namespace coffer::host
