#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "actors/host/dead_letters.h"

namespace coffer::host {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// A whole line of 1 MiB, every byte escaped to six; longer is no entry of ours and is passed over.
constexpr size_t kMaxEntryBytes = 8u << 20;

}  // namespace

struct DeadLetterReader::Json {
  simdjson::dom::parser parser;
};

DeadLetterReader::DeadLetterReader(DiskFile* file, uint64_t from, uint64_t end)
    : file_(file), at_(from), end_(end), json_(std::make_unique<Json>()) {}
DeadLetterReader::~DeadLetterReader() = default;

// Makes buffer_[begin_...] begin with a whole line; false at the end.
absl::StatusOr<bool> DeadLetterReader::FillLine() {
  size_t searched = begin_;
  bool overlong = false;
  while (true) {
    const size_t newline = buffer_.find('\n', searched);
    if (newline != std::string::npos && !overlong) return true;
    if (newline != std::string::npos) {
      begin_ = searched = newline + 1;
      overlong = false;
      ++damaged_;
      continue;
    }
    if (at_ >= end_) return false;
    buffer_.erase(0, overlong ? buffer_.size() : begin_);
    begin_ = 0;
    if (buffer_.size() > kMaxEntryBytes) {
      overlong = true;
      buffer_.clear();
    }
    searched = buffer_.size();
    const absl::StatusOr<std::string> piece =
        file_->Read(at_, static_cast<size_t>(std::min<uint64_t>(kReadBytes, end_ - at_)));
    if (!piece.ok()) return piece.status();
    if (piece->empty()) return false;
    at_ += piece->size();
    buffer_ += *piece;
  }
}

bool DeadLetterReader::Decode(std::string_view line, Entry& out) {
  simdjson::dom::object object;
  if (json_->parser.parse(line.data(), line.size()).get(object) != simdjson::SUCCESS) return false;
  std::string_view text;
  if (object["resolved"].get(text) == simdjson::SUCCESS) {
    out.resolution = true;
    out.sha256 = std::string(text);
    return true;
  }
  std::string_view reason;
  if (object["sha256"].get(text) != simdjson::SUCCESS || text.size() != 64 ||
      object["offset"].get(out.offset) != simdjson::SUCCESS ||
      object["reason"].get(reason) != simdjson::SUCCESS ||
      object["whole"].get(out.whole) != simdjson::SUCCESS) {
    return false;
  }
  out.sha256 = std::string(text);
  out.reason = std::string(reason);
  if (object["line"].get(text) == simdjson::SUCCESS) {
    out.line = std::string(text);
  } else if (object["line_base64"].get(text) != simdjson::SUCCESS ||
             !absl::Base64Unescape(absl::string_view(text.data(), text.size()), &out.line)) {
    return false;
  }
  if (out.whole) out.line.push_back('\n');
  return true;
}

absl::StatusOr<std::optional<DeadLetterReader::Entry>> DeadLetterReader::Next() {
  while (true) {
    const absl::StatusOr<bool> found = FillLine();
    if (!found.ok()) return found.status();
    if (!*found) return std::nullopt;
    const size_t newline = buffer_.find('\n', begin_);
    const std::string_view line(buffer_.data() + begin_, newline - begin_);
    begin_ = newline + 1;
    Entry entry;
    if (Decode(line, entry)) return entry;
    ++damaged_;
  }
}

}  // namespace coffer::host
