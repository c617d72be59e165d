#include "actors/host/dead_letters.h"

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/string_view.h"
#include "actors/host/json_text.h"
#include "actors/host/line_reader.h"

namespace coffer::host {
namespace {

// What only the form of is wrong is cut; what may be applied one day is kept whole.
bool KeepsWhole(RejectReason reason) {
  return reason == RejectReason::kUnknownOrchestrator || reason == RejectReason::kRefused;
}

void AppendTime(absl::Time now, std::string& out) {
  out += "{\"time\":\"" + absl::FormatTime(absl::RFC3339_full, now, absl::UTCTimeZone()) + "\"";
}

void AppendLine(const DeadLetter& letter, std::string& out) {
  std::string_view kept = letter.line;
  if (!KeepsWhole(letter.reason)) kept = kept.substr(0, kLineHeadBytes);
  const bool whole = kept.size() == letter.length && !kept.empty() && kept.back() == '\n';
  if (whole) kept.remove_suffix(1);
  if (IsUtf8(kept)) {
    out += ",\"line\":";
    AppendJsonString(kept, out);
  } else {
    out += ",\"line_base64\":\"" + absl::Base64Escape(absl::string_view(kept.data(), kept.size())) +
           "\"";
  }
  out += whole ? ",\"whole\":true}\n" : ",\"whole\":false}\n";
}

}  // namespace

std::string DeadLetters::KnownKey(uint64_t offset, std::string_view sha256_hex) {
  return std::to_string(offset) + " " + std::string(sha256_hex.substr(0, 32));
}

absl::StatusOr<std::unique_ptr<DeadLetters>> DeadLetters::Open(Disk* disk, std::string name,
                                                               uint64_t known_from) {
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk->Open(name);
  if (absl::IsNotFound(file.status())) {
    file = disk->Create(name);
    if (!file.ok()) return file.status();
    if (absl::Status status = disk->SyncDirectory(); !status.ok()) return status;
  }
  if (!file.ok()) return file.status();
  std::unique_ptr<DeadLetters> letters(new DeadLetters(std::move(name), *std::move(file)));
  if (absl::Status status = letters->CutTornLine(); !status.ok()) return status;
  // A file smaller than it was has been replaced: nothing is known of where its new part begins.
  if (known_from > letters->size_) known_from = 0;
  if (absl::Status status = letters->WriteAgain(known_from); !status.ok()) return status;
  DeadLetterReader reader(letters->file_.get(), known_from, letters->size_);
  while (true) {
    const auto entry = reader.Next();
    if (!entry.ok()) return entry.status();
    if (!entry->has_value() || letters->known_.size() >= kMaxKnown) break;
    if (!(*entry)->resolution) letters->known_.insert(KnownKey((*entry)->offset, (*entry)->sha256));
  }
  return letters;
}

absl::Status DeadLetters::CutTornLine() {
  constexpr size_t kPiece = 64 << 10;
  const absl::StatusOr<uint64_t> size = file_->Size();
  if (!size.ok()) return size.status();
  uint64_t end = *size;
  while (end > 0) {
    const uint64_t from = end > kPiece ? end - kPiece : 0;
    const absl::StatusOr<std::string> piece = file_->Read(from, static_cast<size_t>(end - from));
    if (!piece.ok()) return piece.status();
    const size_t newline = piece->rfind('\n');
    if (newline != std::string::npos) {
      end = from + newline + 1;
      break;
    }
    end = from;
  }
  size_ = end;
  return end == *size ? absl::OkStatus() : file_->Truncate(end);
}

absl::Status DeadLetters::WriteAgain(uint64_t from) {
  constexpr size_t kPiece = 1 << 20;
  for (uint64_t at = from; at < size_; at += kPiece) {
    const absl::StatusOr<std::string> piece =
        file_->Read(at, static_cast<size_t>(std::min<uint64_t>(kPiece, size_ - at)));
    if (!piece.ok()) return piece.status();
    if (absl::Status status = file_->Write(at, *piece); !status.ok()) return status;
  }
  return file_->Sync();
}

bool DeadLetters::Add(const DeadLetter& letter, absl::Time now) {
  const std::string sha256 = ToHex(letter.sha256);
  if (!known_.empty() && known_.contains(KnownKey(letter.place.offset, sha256))) return false;
  const LinePlace& place = letter.place;
  AppendTime(now, buffer_);
  buffer_ += ",\"reason\":\"" + std::string(RejectReasonName(letter.reason)) +
             "\",\"code\":" + std::to_string(letter.code) + ",\"detail\":";
  AppendJsonString(IsUtf8(letter.detail) ? letter.detail : std::string_view(), buffer_);
  buffer_ += ",\"path\":";
  AppendJsonString(IsUtf8(place.path) ? std::string_view(place.path) : std::string_view(), buffer_);
  buffer_ += ",\"device\":" + std::to_string(place.file.device) +
             ",\"inode\":" + std::to_string(place.file.inode) +
             ",\"generation\":" + std::to_string(place.generation) +
             ",\"offset\":" + std::to_string(place.offset) +
             ",\"length\":" + std::to_string(letter.length) + ",\"sha256\":\"" + sha256 + "\"";
  AppendLine(letter, buffer_);
  return true;
}

void DeadLetters::Resolve(const Sha256Digest& sha256, absl::Time now) {
  AppendTime(now, buffer_);
  buffer_ += ",\"resolved\":\"" + ToHex(sha256) + "\"}\n";
}

absl::Status DeadLetters::Sync() {
  if (buffer_.empty()) return absl::OkStatus();
  // Everything since the last success is written again after a failure, so a sync that lost pages
  // loses nothing.
  if (absl::Status status = file_->Write(size_, buffer_); !status.ok()) return status;
  if (absl::Status status = file_->Sync(); !status.ok()) return status;
  size_ += buffer_.size();
  buffer_.clear();
  return absl::OkStatus();
}

}  // namespace coffer::host
