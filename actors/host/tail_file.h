// One journal, followed through appends, rotations and truncations, from where its cursor says.
// Knows the files and nothing of events. Calls block for small pieces of file access.
//
// Rotation: the name leads to another file. The old one is read to its end and, once it has not
// grown for the grace time, left for the next: rotated files modified after it first, then the one
// that has the name now. Truncation, or other content under the same name: reported, and read from
// 0 as a new generation; ids make that safe.
#ifndef COFFER_ACTORS_HOST_TAIL_FILE_H_
#define COFFER_ACTORS_HOST_TAIL_FILE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/cursor.h"
#include "actors/host/dead_letters.h"
#include "actors/host/disk.h"
#include "actors/host/journal_file.h"
#include "actors/host/line_reader.h"

namespace coffer::host {

class TailFile {
 public:
  struct Options {
    std::string path;
    std::string cursor;  // its file's name in the disk
    bool follow = true;  // false: read to the end once
    size_t chunk_bytes = 512 << 10;
    absl::Duration rotation_grace = absl::Seconds(2);
  };
  struct Counters {
    uint64_t rotations = 0;
    uint64_t truncations = 0;  // also other content under the same name
    uint64_t lost =
        0;  // times that the file of the cursor was not to be found: lines may be missing
    uint64_t bad_cursors = 0;
  };

  // `files` and `disk` must outlive this object.
  TailFile(JournalFiles* files, Disk* disk, Options options)
      : files_(files), disk_(disk), options_(std::move(options)) {}

  // Reads the cursor and finds its place. A journal that does not exist yet is waited for when
  // following, else NotFound.
  absl::Status Start(absl::Time now);

  // What is there to be done. `drained`: everything returned before has been dealt with; only then
  // does it go to another file, so that offsets told since belong to place().
  absl::StatusOr<LineRead> Next(absl::Time now, bool drained);

  // Makes `offset` of the present file the place to start from next time.
  absl::Status Save(uint64_t offset, uint64_t dead_letters);

  // The present file; `offset` is where its unreturned lines begin.
  LinePlace place() const;
  // The size of the dead-letter file when the loaded cursor was saved, 0 without one.
  uint64_t dead_letters_at_start() const { return dead_letters_at_start_; }
  // The loaded cursor's, 0 without one.
  uint64_t generation_at_start() const { return generation_at_start_; }
  // Not yet read, in the present file.
  uint64_t lag_bytes() const;
  uint64_t read_at() const { return reader_ == nullptr ? 0 : reader_->read_at(); }
  bool is_open() const { return file_ != nullptr; }
  const Counters& counters() const { return counters_; }
  const std::string& path() const { return options_.path; }

 private:
  absl::Status Resume(const Cursor& cursor);
  // Opens `path` at `offset` if it is that file with that content.
  bool TryResume(const std::string& path, const Cursor& cursor);
  void Begin(std::unique_ptr<JournalFile> file, const FileFacts& facts, std::string path,
             uint64_t offset);
  absl::Status BeginNamed(const std::string& path);
  // Keeps in mind that of `to_come` and `named` none is done, and everything older is.
  void SetDoneBefore(const absl::StatusOr<FileFacts>& named,
                     const std::vector<RotatedFile>& to_come);
  // False when the present file lost bytes that were read, or has others in their place.
  absl::StatusOr<bool> StillTheSame();
  bool WhatWasReadIsThere();
  absl::StatusOr<LineRead> AtEnd(absl::Time now, bool drained);
  // The rotated files that are still to be read, oldest first.
  std::vector<RotatedFile> RotatedToCome(const absl::StatusOr<FileFacts>& named);
  absl::Status GoToNextFile();
  void UpdateFingerprints();

  JournalFiles* const files_;
  Disk* const disk_;
  const Options options_;
  std::unique_ptr<JournalFile> file_;
  std::unique_ptr<LineReader> reader_;
  std::string open_path_;  // by which file_ was opened
  FileFacts facts_;        // of file_, when last looked at
  Fingerprint head_;
  uint64_t generation_ = 0;
  Fingerprint tail_;       // of the last bytes that were read
  uint64_t tail_at_ = 0;   // where tail_ begins
  bool replaced_ = false;  // the present file has other bytes than were read
  // Rotated files last modified before this are done with: set when a file is begun, to the time of
  // the oldest of those to come. A finished file may still be written to, which makes it younger
  // than its followers, so its own time says nothing of them. None before the first file.
  std::optional<int64_t> done_before_nanos_;
  // Finished files modified no earlier than that.
  std::vector<FileFacts> finished_;
  std::optional<absl::Time> rotated_since_;
  uint64_t dead_letters_at_start_ = 0;
  uint64_t generation_at_start_ = 0;
  Counters counters_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_TAIL_FILE_H_
