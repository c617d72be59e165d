#include "actors/host/dead_letter_replay.h"

#include <optional>
#include <utility>

namespace coffer::host {

DeadLetterReplay::DeadLetterReplay(std::unique_ptr<DiskFile> file, uint64_t size)
    : file_(std::move(file)), resolutions_(file_.get(), 0, size), letters_(file_.get(), 0, size) {}

absl::StatusOr<std::unique_ptr<DeadLetterReplay>> DeadLetterReplay::Open(Disk* disk,
                                                                         const std::string& name,
                                                                         uint64_t size) {
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk->Open(name);
  if (!file.ok()) return file.status();
  return std::unique_ptr<DeadLetterReplay>(new DeadLetterReplay(*std::move(file), size));
}

absl::Status DeadLetterReplay::ReadResolutions() {
  for (size_t i = 0; i < kEntriesAtOnce; ++i) {
    const auto entry = resolutions_.Next();
    if (!entry.ok()) return entry.status();
    if (!entry->has_value()) {
      resolutions_read_ = true;
      return absl::OkStatus();
    }
    if ((*entry)->resolution) seen_.insert((*entry)->sha256);
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Chunk>> DeadLetterReplay::Next() {
  auto chunk = std::make_shared<Chunk>();
  if (!resolutions_read_) {
    if (absl::Status status = ReadResolutions(); !status.ok()) return status;
    return chunk;
  }
  for (size_t i = 0; i < kEntriesAtOnce && chunk->bytes.size() < kBytesAtOnce; ++i) {
    const auto entry = letters_.Next();
    if (!entry.ok()) return entry.status();
    if (!entry->has_value()) {
      return i == 0 ? std::shared_ptr<const Chunk>() : std::shared_ptr<const Chunk>(chunk);
    }
    const DeadLetterReader::Entry& letter = **entry;
    if (letter.resolution || !letter.whole || !seen_.insert(letter.sha256).second) continue;
    chunk->bytes += letter.line;
  }
  return chunk;
}

}  // namespace coffer::host
