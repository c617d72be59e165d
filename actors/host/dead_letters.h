// The lines that could not be applied, with the reason, kept until they can be: an append-only file
// of one JSON object a line.
//
// A letter:
// {"time","reason","code","detail","path","device","inode","generation","offset","length","sha256",
//                 "line" or "line_base64","whole"}
// A resolution:  {"time","resolved"}, the sha256 of a line that a replay has applied since.
// `code` is the enclave's ErrorCode when it refused the event, else 0. `line` is the line's bytes
// without its newline when they are UTF-8, `line_base64` when not; `whole` is false when only the
// first 4 KiB are kept.
#ifndef COFFER_ACTORS_HOST_DEAD_LETTERS_H_
#define COFFER_ACTORS_HOST_DEAD_LETTERS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/disk.h"
#include "actors/host/journal_file.h"
#include "actors/host/journal_line.h"
#include "actors/host/sha256.h"

namespace coffer::host {

// Where a line stands.
struct LinePlace {
  std::string path;
  FileIdentity file;
  uint64_t generation = 0;
  uint64_t offset = 0;
};

struct DeadLetter {
  LinePlace place;
  RejectReason reason = RejectReason::kNotJson;
  int code = 0;
  std::string_view detail;
  std::string_view line;  // as much of it as there is, newline included
  uint64_t length = 0;    // of the whole line, bytes
  Sha256Digest sha256{};  // of the whole line
};

// The writer. One at a time.
class DeadLetters {
 public:
  // Makes the file if it is missing and cuts off a torn last line. Letters in it from byte
  // `known_from` on are remembered: a line that comes again after a crash, at the same offset with
  // the same bytes, is not written twice.
  static absl::StatusOr<std::unique_ptr<DeadLetters>> Open(Disk* disk, std::string name,
                                                           uint64_t known_from);

  // Buffered until Sync. False when the file has this letter already.
  bool Add(const DeadLetter& letter, absl::Time now);
  void Resolve(const Sha256Digest& sha256, absl::Time now);

  // Writes what is buffered and makes it durable. After an error everything is still buffered and
  // the next call writes it anew.
  absl::Status Sync();

  // The lines of the letters that were there at Open have all come again.
  void Forget() { known_.clear(); }

  // Where the next letter will begin, bytes.
  uint64_t position() const { return size_ + buffer_.size(); }
  size_t buffered() const { return buffer_.size(); }
  uint64_t size() const { return size_; }  // durable bytes
  const std::string& name() const { return name_; }

 private:
  // A letter's identity: offset and content of its line.
  using Known = absl::flat_hash_set<std::string>;
  // Beyond this many the file may come to hold some letters twice, which is harmless.
  static constexpr size_t kMaxKnown = 1'000'000;

  DeadLetters(std::string name, std::unique_ptr<DiskFile> file)
      : name_(std::move(name)), file_(std::move(file)) {}
  absl::Status CutTornLine();
  // Makes the bytes from here on durable, which a process that died may have left in memory only.
  absl::Status WriteAgain(uint64_t from);
  static std::string KnownKey(uint64_t offset, std::string_view sha256_hex);

  const std::string name_;
  const std::unique_ptr<DiskFile> file_;
  uint64_t size_ = 0;
  std::string buffer_;
  Known known_;
};

// Reads the file from a place on, entry by entry.
class DeadLetterReader {
 public:
  struct Entry {
    bool resolution = false;
    std::string sha256;  // hex
    uint64_t offset = 0;
    std::string reason;
    bool whole = false;
    std::string line;  // with its newline when whole
  };
  // Up to byte `end` of the file, which must outlive the reader.
  DeadLetterReader(DiskFile* file, uint64_t from, uint64_t end);
  ~DeadLetterReader();

  // Nothing at the end. Lines that are no entry (damage, or an operator's edit) are counted and
  // left out.
  absl::StatusOr<std::optional<Entry>> Next();
  uint64_t damaged() const { return damaged_; }

 private:
  struct Json;
  absl::StatusOr<bool> FillLine();
  bool Decode(std::string_view line, Entry& out);

  DiskFile* const file_;
  uint64_t at_;
  const uint64_t end_;
  std::string buffer_;
  size_t begin_ = 0;  // of the line in buffer_
  uint64_t damaged_ = 0;
  std::unique_ptr<Json> json_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_DEAD_LETTERS_H_
