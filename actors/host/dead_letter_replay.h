// Goes through the dead letters once more: hands out, in their order, the whole lines that no
// replay has resolved yet.
#ifndef COFFER_ACTORS_HOST_DEAD_LETTER_REPLAY_H_
#define COFFER_ACTORS_HOST_DEAD_LETTER_REPLAY_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "actors/host/dead_letters.h"
#include "actors/host/disk.h"
#include "actors/host/line_reader.h"

namespace coffer::host {

class DeadLetterReplay {
 public:
  // Looks at the first `size` bytes of the file; what is appended meanwhile is for the next replay.
  static absl::StatusOr<std::unique_ptr<DeadLetterReplay>> Open(Disk* disk, const std::string& name,
                                                                uint64_t size);

  // Some lines as one chunk, empty while it is still reading resolutions; null at the end. Each
  // call is a small piece of work.
  absl::StatusOr<std::shared_ptr<const Chunk>> Next();

 private:
  static constexpr size_t kEntriesAtOnce = 2000;
  static constexpr size_t kBytesAtOnce = 1u << 20;

  DeadLetterReplay(std::unique_ptr<DiskFile> file, uint64_t size);
  absl::Status ReadResolutions();

  const std::unique_ptr<DiskFile> file_;
  DeadLetterReader resolutions_;
  DeadLetterReader letters_;
  bool resolutions_read_ = false;
  absl::flat_hash_set<std::string> seen_;  // hashes of lines that are resolved, or were handed out
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_DEAD_LETTER_REPLAY_H_
