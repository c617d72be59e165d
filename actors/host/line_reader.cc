#include "actors/host/line_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "actors/host/journal_line.h"

namespace coffer::host {

absl::StatusOr<LineRead> LineReader::Next() {
  while (true) {
    const absl::StatusOr<FileFacts> facts = file_->Facts();
    if (!facts.ok()) return facts.status();
    if (facts->size <= read_at_) return LineRead{};
    const size_t wanted =
        static_cast<size_t>(std::min<uint64_t>(chunk_bytes_, facts->size - read_at_));
    auto chunk = std::make_shared<Chunk>();
    chunk->base = line_start_;
    const size_t before = partial_.size();
    chunk->bytes.reserve(before + wanted);
    chunk->bytes = partial_;
    chunk->bytes.resize(before + wanted);
    const absl::StatusOr<size_t> got =
        file_->ReadAt(read_at_, chunk->bytes.data() + before, wanted);
    if (!got.ok()) return got.status();
    if (*got == 0) return LineRead{};
    chunk->bytes.resize(before + *got);
    if (in_long_line_) {
      if (ContinueLongLine(chunk->bytes)) return EndLongLine(LineRead::Kind::kLongLine);
      continue;
    }
    read_at_ += *got;
    const size_t newline = chunk->bytes.rfind('\n');
    if (newline != std::string::npos) {
      partial_.assign(chunk->bytes, newline + 1);
      chunk->bytes.resize(newline + 1);
      line_start_ += newline + 1;
      return LineRead{.kind = LineRead::Kind::kLines, .chunk = std::move(chunk), .long_line = {}};
    }
    if (chunk->bytes.size() <= kMaxLineBytes) {
      partial_ = std::move(chunk->bytes);
      continue;
    }
    in_long_line_ = true;
    long_line_ = {.offset = line_start_,
                  .length = chunk->bytes.size(),
                  .sha256 = {},
                  .head = chunk->bytes.substr(0, kLineHeadBytes)};
    sha256_.Update(chunk->bytes);
    std::string().swap(partial_);
  }
}

bool LineReader::ContinueLongLine(const std::string& bytes) {
  const size_t newline = bytes.find('\n');
  const size_t taken = newline == std::string::npos ? bytes.size() : newline + 1;
  sha256_.Update(std::string_view(bytes).substr(0, taken));
  long_line_.length += taken;
  read_at_ += taken;  // what follows the newline is read again, as a line
  return newline != std::string::npos;
}

LineRead LineReader::EndLongLine(LineRead::Kind kind) {
  long_line_.sha256 = sha256_.Finish();
  in_long_line_ = false;
  line_start_ = read_at_;
  return LineRead{.kind = kind, .chunk = nullptr, .long_line = std::move(long_line_)};
}

LineRead LineReader::TakePartial() {
  if (!in_long_line_) {
    if (partial_.empty()) return LineRead{};
    long_line_ = {.offset = line_start_,
                  .length = partial_.size(),
                  .sha256 = {},
                  .head = partial_.substr(0, kLineHeadBytes)};
    sha256_.Update(partial_);
    std::string().swap(partial_);
  }
  return EndLongLine(LineRead::Kind::kPartial);
}

}  // namespace coffer::host
