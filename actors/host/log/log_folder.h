// The log's folder as readers see it (messages.h): `checkpoint` and tile/... . Calls block on the
// disk. Nothing here is believed: what is read is only as good as the check against a signed head.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_FOLDER_H_
#define COFFER_ACTORS_HOST_LOG_LOG_FOLDER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::host {

// The head that readers may rely on: all of its tiles are there.
struct PublishedHead {
  std::string note;  // verbatim, with cosignatures
  audit::Checkpoint checkpoint;
  std::string log_key_id;  // "<origin>+<8 hex digits>" of the log's own signature line
  // Names of the other lines, as they claim; whoever relies on them verifies them with their keys.
  std::vector<std::string> cosigners;
  absl::Time written;  // when the file was made, by this machine's clock
};

class LogFolder {
 public:
  // `folder` need not exist yet: there is no log then.
  explicit LogFolder(std::string folder) : folder_(std::move(folder)) {}

  // The published head; read again only when the file was replaced. NotFound while there is none;
  // DataLoss for a file that is no checkpoint.
  absl::StatusOr<std::shared_ptr<const PublishedHead>> Published();

  // Exactly the bytes of this tile or bundle. A wider one is cut when this one is gone: writers
  // may remove partial tiles that they replaced. NotFound when there is none; DataLoss for one of
  // the wrong size.
  absl::StatusOr<std::string> Read(const audit::TileRef& tile) const;

  const std::string& folder() const { return folder_; }

 private:
  struct Version {  // of the file `checkpoint`: replaced, never written in place
    uint64_t inode = 0;
    int64_t modified_ns = 0;
    int64_t size = -1;
    bool operator==(const Version&) const = default;
  };

  absl::StatusOr<std::string> ReadWider(const audit::TileRef& tile) const;

  const std::string folder_;
  Version version_;
  std::shared_ptr<const PublishedHead> head_;
};

// Parses a published note. DataLoss with a sentence.
absl::StatusOr<PublishedHead> ParsePublishedHead(std::string note);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_FOLDER_H_
