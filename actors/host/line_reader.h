// Cuts a file that may still grow into chunks of whole lines, in bounded memory whatever the lines'
// length.
#ifndef COFFER_ACTORS_HOST_LINE_READER_H_
#define COFFER_ACTORS_HOST_LINE_READER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "actors/host/journal_file.h"
#include "actors/host/sha256.h"

namespace coffer::host {

// Of a line too long to be kept, what the dead letters still get.
inline constexpr size_t kLineHeadBytes = 4096;

// Whole lines, the last byte being a newline.
struct Chunk {
  std::string bytes;
  uint64_t base = 0;  // offset of bytes[0] in its file
};

// A line that was not buffered whole.
struct LongLine {
  uint64_t offset = 0;
  uint64_t length = 0;  // bytes, the newline included if there was one
  Sha256Digest sha256{};
  std::string head;  // its first kLineHeadBytes
};

struct LineRead {
  enum class Kind {
    kEnd,  // no whole line is there now
    kLines,
    kLongLine,  // longer than kMaxLineBytes
    kPartial,   // a last line that lacks its newline and will never get it: `long_line`
    kFinished,  // nothing will ever follow (files that are not followed)
  };
  Kind kind = Kind::kEnd;
  std::shared_ptr<const Chunk> chunk;
  LongLine long_line;
};

class LineReader {
 public:
  // `file` must outlive the reader. `offset` is where a line begins.
  LineReader(JournalFile* file, uint64_t offset, size_t chunk_bytes)
      : file_(file), line_start_(offset), read_at_(offset), chunk_bytes_(chunk_bytes) {}

  // The next whole lines. Reads at most one chunk beyond what is needed to find a newline.
  absl::StatusOr<LineRead> Next();
  // Gives up on the partial last line: kPartial, or kEnd when there is none.
  LineRead TakePartial();

  // Where the first line that Next has not returned begins.
  uint64_t line_start() const { return line_start_; }
  // Bytes from here on were not read yet.
  uint64_t read_at() const { return read_at_; }

 private:
  LineRead EndLongLine(LineRead::Kind kind);
  // Takes in bytes of a long line; true when its newline was among them.
  bool ContinueLongLine(const std::string& bytes);

  JournalFile* const file_;
  uint64_t line_start_;
  uint64_t read_at_;
  const size_t chunk_bytes_;
  std::string partial_;  // bytes [line_start_, read_at_) unless in a long line
  bool in_long_line_ = false;
  LongLine long_line_;
  Sha256 sha256_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LINE_READER_H_
