#include "actors/host/tail_file.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "runtime/log.h"

namespace coffer::host {
namespace {

using runtime::Level;
using runtime::Log;
constexpr char kComponent[] = "journal";
// Times of files are of another, coarser clock than ours.
constexpr absl::Duration kFileTimeSlack = absl::Seconds(1);

// True when the bytes that `print` is of are still there.
bool Matches(JournalFile& file, uint64_t offset, const Fingerprint& print) {
  const auto now = TakeFingerprint(file, offset, print.length);
  return now.ok() && *now == print;
}

}  // namespace

absl::Status TailFile::Start(absl::Time now) {
  const absl::StatusOr<Cursor> cursor = LoadCursor(*disk_, options_.cursor);
  if (cursor.ok()) return Resume(*cursor);
  if (!absl::IsNotFound(cursor.status()) && !absl::IsDataLoss(cursor.status())) {
    return cursor.status();
  }
  if (absl::IsDataLoss(cursor.status())) {
    ++counters_.bad_cursors;
    Log(Level::kError, kComponent,
        "the cursor is damaged; the journal is read from its beginning, all rotated files first",
        {{"path", options_.path}, {"error", cursor.status()}});
    done_before_nanos_ = std::numeric_limits<int64_t>::min();
  }
  if (absl::Status status = GoToNextFile(); !status.ok() || file_ != nullptr) return status;
  // The first file may come, and be rotated while we are dead.
  if (!done_before_nanos_.has_value()) done_before_nanos_ = absl::ToUnixNanos(now - kFileTimeSlack);
  Cursor none;
  none.done_before_nanos = done_before_nanos_;
  return SaveCursor(*disk_, options_.cursor, none);
}

absl::Status TailFile::Resume(const Cursor& cursor) {
  generation_ = generation_at_start_ = cursor.generation;
  done_before_nanos_ = cursor.done_before_nanos;
  if (cursor.path.empty()) return GoToNextFile();  // there was no file yet
  dead_letters_at_start_ = cursor.dead_letters;
  if (TryResume(options_.path, cursor)) return absl::OkStatus();
  if (options_.follow) {
    for (const RotatedFile& rotated : files_->Rotated(options_.path)) {
      if (!TryResume(rotated.path, cursor)) continue;
      Log(Level::kInfo, kComponent, "the journal was rotated meanwhile; its old file comes first",
          {{"path", rotated.path}, {"offset", cursor.offset}});
      return absl::OkStatus();
    }
  }
  const auto written_anew = [&](const std::string& path, const FileFacts& facts) {
    if (facts.identity != cursor.file) return false;
    ++counters_.truncations;
    Log(Level::kError, kComponent,
        "the journal was truncated or written anew; it is read from its beginning",
        {{"path", path}, {"offset", cursor.offset}, {"size", facts.size}});
    return true;
  };
  if (options_.follow) {
    for (const RotatedFile& rotated : files_->Rotated(options_.path)) {
      if (written_anew(rotated.path, rotated.facts)) return BeginNamed(rotated.path);
    }
  }
  const absl::StatusOr<FileFacts> now = files_->Facts(options_.path);
  if (!now.ok() || !written_anew(options_.path, *now)) {
    ++counters_.lost;
    Log(Level::kError, kComponent,
        "the file that the cursor is of was not found, by its name or among the rotated ones; "
        "lines in it may be missing",
        {{"path", options_.path}, {"inode", cursor.file.inode}, {"offset", cursor.offset}});
  }
  return GoToNextFile();
}

bool TailFile::TryResume(const std::string& path, const Cursor& cursor) {
  absl::StatusOr<std::unique_ptr<JournalFile>> file = files_->Open(path);
  if (!file.ok()) return false;
  const absl::StatusOr<FileFacts> facts = (*file)->Facts();
  if (!facts.ok() || facts->identity != cursor.file || facts->size < cursor.offset ||
      !Matches(**file, 0, cursor.head) ||
      !Matches(**file, cursor.offset - cursor.tail.length, cursor.tail)) {
    return false;
  }
  Begin(*std::move(file), *facts, path, cursor.offset);
  if (!done_before_nanos_.has_value()) done_before_nanos_ = facts->modified_nanos;
  head_ = cursor.head;
  tail_ = cursor.tail;
  tail_at_ = cursor.offset - cursor.tail.length;
  return true;
}

void TailFile::Begin(std::unique_ptr<JournalFile> file, const FileFacts& facts, std::string path,
                     uint64_t offset) {
  file_ = std::move(file);
  facts_ = facts;
  open_path_ = std::move(path);
  head_ = tail_ = Fingerprint{.length = 0, .sha256 = Sha256().Hash("")};
  tail_at_ = 0;
  replaced_ = false;
  rotated_since_.reset();
  reader_ = std::make_unique<LineReader>(file_.get(), offset, options_.chunk_bytes);
}

absl::Status TailFile::BeginNamed(const std::string& path) {
  absl::StatusOr<std::unique_ptr<JournalFile>> file = files_->Open(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<FileFacts> facts = (*file)->Facts();
  if (!facts.ok()) return facts.status();
  ++generation_;
  Begin(*std::move(file), *facts, path, 0);
  return absl::OkStatus();
}

std::vector<RotatedFile> TailFile::RotatedToCome(const absl::StatusOr<FileFacts>& named) {
  std::vector<RotatedFile> to_come;
  if (!done_before_nanos_.has_value() || !options_.follow) return to_come;
  for (RotatedFile& rotated : files_->Rotated(options_.path)) {
    const FileFacts& facts = rotated.facts;
    if ((file_ != nullptr && facts.identity == facts_.identity) ||
        facts.modified_nanos < *done_before_nanos_ ||
        (named.ok() && facts.identity == named->identity) ||
        std::any_of(finished_.begin(), finished_.end(),
                    [&](const FileFacts& done) { return done.identity == facts.identity; })) {
      continue;
    }
    to_come.push_back(std::move(rotated));
  }
  return to_come;
}

void TailFile::SetDoneBefore(const absl::StatusOr<FileFacts>& named,
                             const std::vector<RotatedFile>& to_come) {
  if (to_come.empty() && !named.ok()) return;
  int64_t oldest = named.ok() ? named->modified_nanos : to_come.front().facts.modified_nanos;
  for (const RotatedFile& file : to_come) oldest = std::min(oldest, file.facts.modified_nanos);
  done_before_nanos_ = oldest;
  std::erase_if(finished_, [&](const FileFacts& done) { return done.modified_nanos < oldest; });
}

// Rotation renames files while we look: what is opened must be what was listed, or the list is made
// anew. The name is looked at before the list: what is rotated in between is then in both.
absl::Status TailFile::GoToNextFile() {
  if (file_ != nullptr) {
    std::erase_if(finished_,
                  [&](const FileFacts& done) { return done.identity == facts_.identity; });
    finished_.push_back(facts_);
  }
  const absl::StatusOr<FileFacts> named = files_->Facts(options_.path);
  const std::vector<RotatedFile> to_come = RotatedToCome(named);
  for (const RotatedFile& rotated : to_come) {
    absl::StatusOr<std::unique_ptr<JournalFile>> file = files_->Open(rotated.path);
    if (!file.ok()) continue;
    const absl::StatusOr<FileFacts> facts = (*file)->Facts();
    if (!facts.ok()) return facts.status();
    if (facts->identity != rotated.facts.identity) {
      return absl::UnavailableError("the journal is being rotated");
    }
    ++generation_;
    Begin(*std::move(file), *facts, rotated.path, 0);
    SetDoneBefore(named, to_come);
    return absl::OkStatus();
  }
  const absl::Status status = BeginNamed(options_.path);
  if (status.ok()) SetDoneBefore(named.ok() ? named : facts_, {});
  if (status.ok() || !options_.follow || !absl::IsNotFound(status)) return status;
  return absl::OkStatus();  // the present file, if any, is looked at again later
}

absl::StatusOr<bool> TailFile::StillTheSame() {
  const absl::StatusOr<FileFacts> facts = file_->Facts();
  if (!facts.ok()) return facts.status();
  if (facts->size != facts_.size) rotated_since_.reset();
  const bool touched = facts->size != facts_.size || facts->modified_nanos != facts_.modified_nanos;
  facts_ = *facts;
  // Once seen, it stays: it is acted upon only when everything before is dealt with.
  replaced_ = replaced_ || facts->size < reader_->read_at();
  return touched ? WhatWasReadIsThere() : !replaced_;
}

bool TailFile::WhatWasReadIsThere() {
  replaced_ = replaced_ || !(Matches(*file_, 0, head_) && Matches(*file_, tail_at_, tail_));
  return !replaced_;
}

// What was read is what the file is known by from now on, a line without its end included: with
// another beginning it would be a line that nobody wrote.
void TailFile::UpdateFingerprints() {
  const uint64_t read = reader_->read_at();
  if (read == tail_at_ + tail_.length) return;
  const uint64_t length = std::min<uint64_t>(Fingerprint::kMaxBytes, read);
  if (length > head_.length) {
    const absl::StatusOr<Fingerprint> taken = TakeFingerprint(*file_, 0, length);
    if (taken.ok()) head_ = *taken;
  }
  const absl::StatusOr<Fingerprint> tail = TakeFingerprint(*file_, read - length, length);
  if (!tail.ok()) return;
  tail_ = *tail;
  tail_at_ = read - length;
}

absl::StatusOr<LineRead> TailFile::Next(absl::Time now, bool drained) {
  if (file_ == nullptr) {
    if (absl::Status status = GoToNextFile(); !status.ok()) return status;
    if (file_ == nullptr) return LineRead{};
  }
  const absl::StatusOr<bool> same = StillTheSame();
  if (!same.ok()) return same.status();
  if (!*same) {
    if (!drained) return LineRead{};
    ++counters_.truncations;
    Log(Level::kError, kComponent,
        "the journal was truncated or written anew; it is read from its beginning",
        {{"path", open_path_}, {"offset", reader_->line_start()}, {"size", facts_.size}});
    ++generation_;
    Begin(std::move(file_), facts_, open_path_, 0);
  }
  absl::StatusOr<LineRead> read = reader_->Next();
  if (!read.ok()) return read.status();
  UpdateFingerprints();
  if (read->kind == LineRead::Kind::kEnd) return AtEnd(now, drained);
  return read;
}

absl::StatusOr<LineRead> TailFile::AtEnd(absl::Time now, bool drained) {
  if (!options_.follow) {
    if (!drained) return LineRead{};
    LineRead partial = reader_->TakePartial();
    if (partial.kind != LineRead::Kind::kPartial) partial.kind = LineRead::Kind::kFinished;
    return partial;
  }
  // Whoever has the file open may still write to it after its renaming, until the grace is over.
  const absl::StatusOr<FileFacts> named = files_->Facts(options_.path);
  // Without a file of that name the next may still be on its way, or rotated already.
  if (named.ok() ? named->identity == facts_.identity : RotatedToCome(named).empty()) {
    rotated_since_.reset();
    return LineRead{};
  }
  if (!rotated_since_.has_value()) rotated_since_ = now;
  if (!drained || now - *rotated_since_ < options_.rotation_grace) return LineRead{};
  LineRead partial = reader_->TakePartial();
  if (partial.kind == LineRead::Kind::kPartial) return partial;
  ++counters_.rotations;
  Log(Level::kInfo, kComponent, "this file of the journal is done; going to the next one",
      {{"path", open_path_}, {"inode", facts_.identity.inode}, {"bytes", facts_.size}});
  if (absl::Status status = GoToNextFile(); !status.ok()) return status;
  return LineRead{};
}

absl::Status TailFile::Save(uint64_t offset, uint64_t dead_letters) {
  if (file_ == nullptr || !WhatWasReadIsThere()) return absl::OkStatus();
  Cursor cursor{.path = open_path_,
                .file = facts_.identity,
                .generation = generation_,
                .offset = offset,
                .head = head_,
                .tail = {},
                .dead_letters = dead_letters,
                .done_before_nanos = done_before_nanos_};
  if (head_.length > offset) {  // more was read than is done
    const absl::StatusOr<Fingerprint> head = TakeFingerprint(*file_, 0, offset);
    if (!head.ok()) return head.status();
    cursor.head = *head;
  }
  const uint64_t length = std::min<uint64_t>(Fingerprint::kMaxBytes, offset);
  const absl::StatusOr<Fingerprint> tail = TakeFingerprint(*file_, offset - length, length);
  if (!tail.ok()) return tail.status();
  cursor.tail = *tail;
  // Or else the fingerprints are of bytes that nobody read: those of a file written anew, which a
  // restart would go on with in the middle.
  if (!WhatWasReadIsThere()) return absl::OkStatus();
  return SaveCursor(*disk_, options_.cursor, cursor);
}

LinePlace TailFile::place() const {
  return {.path = open_path_,
          .file = facts_.identity,
          .generation = generation_,
          .offset = reader_ == nullptr ? 0 : reader_->line_start()};
}

uint64_t TailFile::lag_bytes() const {
  if (reader_ == nullptr || facts_.size <= reader_->read_at()) return 0;
  return facts_.size - reader_->read_at();
}

}  // namespace coffer::host
