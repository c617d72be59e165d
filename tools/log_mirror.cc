#include "tools/log_mirror.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"
#include "tools/log_block.h"
#include "tools/log_scan.h"
#include "tools/seen_log.h"
#include "tools/small_files.h"
#include "tools/verified_tiles.h"

namespace coffer::tools {

using audit::Checkpoint;
using audit::SignedCheckpoint;

absl::StatusOr<std::string> MirrorSource::Read(const std::string& path, size_t max_bytes) {
  absl::StatusOr<std::string> content = absl::NotFoundError("");
  if (!distrusted_.contains(path)) content = local_.Read(path, max_bytes);
  if (absl::IsNotFound(content.status())) content = staged_.Read(path, max_bytes);
  if (!absl::IsNotFound(content.status())) return content;
  content = from_->Read(path, max_bytes);
  if (!content.ok()) return content;
  const std::string file = absl::StrCat(incoming_, "/", path);
  if (absl::Status status = ReplaceFile(file, *content, Durability::kRename); !status.ok()) {
    return status;
  }
  ++downloaded_;
  bytes_ += content->size();
  return content;
}

void MirrorSource::StartAgain(const std::vector<std::string>& distrusted) {
  distrusted_.insert(distrusted.begin(), distrusted.end());
  std::error_code ignored;
  std::filesystem::remove_all(incoming_, ignored);
}

absl::Status MirrorSource::Commit() {
  namespace fs = std::filesystem;
  std::error_code error;
  if (!fs::exists(incoming_, error)) return absl::OkStatus();
  for (fs::recursive_directory_iterator at(incoming_, error), end; !error && at != end;
       at.increment(error)) {
    if (!at->is_regular_file(error)) continue;
    const fs::path target = fs::path(folder_) / fs::relative(at->path(), incoming_, error);
    // What a killed run was writing is no tile.
    if (!audit::ParseTilePath(fs::relative(at->path(), incoming_, error).string()).ok()) continue;
    if (!error) fs::create_directories(target.parent_path(), error);
    if (!error) fs::rename(at->path(), target, error);
    if (error) break;
  }
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("what is in ", incoming_, " cannot be put in place: ", error.message()));
  }
  fs::remove_all(incoming_, error);
  return absl::OkStatus();
}

namespace {

class Mirror {
 public:
  Mirror(LogSource& from, const std::string& folder, const MirrorOptions& options)
      : from_(from), folder_(folder), options_(options), source_(&from, folder) {}

  Report Run() {
    if (ReadHead() && CheckTrust() && CheckGrowth() && Download()) Publish();
    return std::move(report_);
  }

 private:
  bool Add(const char* name, Outcome outcome, std::string sentence) {
    report_.Add(name, outcome, std::move(sentence));
    return outcome == Outcome::kPassed || outcome == Outcome::kSkipped;
  }
  bool Fail(const char* name, const absl::Status& status) {
    const bool wrong = IsLogsFault(status) || absl::IsInvalidArgument(status) ||
                       absl::IsPermissionDenied(status) || absl::IsFailedPrecondition(status);
    return Add(name, wrong ? Outcome::kFailed : Outcome::kUnknown, std::string(status.message()));
  }
  std::string CheckpointFile() const { return absl::StrCat(folder_, "/checkpoint"); }

  bool ReadHead() {
    // Always the other side's: the one in the folder is what was mirrored before.
    absl::StatusOr<std::string> note = from_.Read("checkpoint", audit::kMaxNoteBytes);
    if (!note.ok()) return Fail("checkpoint", note.status());
    absl::StatusOr<SignedCheckpoint> head = audit::ParseCheckpoint(*note);
    if (!head.ok()) return Fail("checkpoint", head.status());
    if (head->checkpoint.size > audit::kMaxTreeSize) {
      return Add("checkpoint", Outcome::kFailed, "the checkpoint's size is more than a log's");
    }
    note_ = *std::move(note);
    head_ = *std::move(head);
    return Add("checkpoint", Outcome::kPassed,
               absl::StrCat("the log ", head_.checkpoint.origin, ", size ", head_.checkpoint.size));
  }

  bool CheckTrust() {
    memory_ = Recall(options_.trust, head_.checkpoint.origin);
    absl::StatusOr<TrustedKey> key =
        CheckSignature(options_.trust, head_, memory_.ok() ? &*memory_ : nullptr);
    if (!key.ok()) return Fail("signature", key.status());
    key_ = key->key;
    Add("signature", Outcome::kPassed, key->sentence);
    if (options_.trust.policy) {
      audit::QuorumVerdict quorum = options_.trust.policy->Judge(head_);
      if (!Add("witnesses", quorum.satisfied ? Outcome::kPassed : Outcome::kFailed,
               std::move(quorum.sentence))) {
        return false;
      }
    }
    return ReadMirrored();
  }

  // What the folder has is compared even when this machine remembers nothing.
  bool ReadMirrored() {
    std::error_code error;
    std::filesystem::create_directories(folder_, error);
    lock_ = LockPath(folder_, WhenLocked::kRefuse);
    if (!lock_.ok()) return Add("mirror", Outcome::kUnknown, std::string(lock_.status().message()));
    const absl::StatusOr<std::string> note = ReadWholeFile(CheckpointFile(), audit::kMaxNoteBytes);
    if (absl::IsNotFound(note.status())) return true;
    if (!note.ok()) return Fail("consistency", note.status());
    absl::StatusOr<SignedCheckpoint> before = audit::ParseCheckpoint(*note);
    if (before.ok()) {
      if (absl::Status status = audit::VerifyLogSignature(*before, *key_); !status.ok()) {
        before = status;
      }
    }
    if (!before.ok()) {
      return Add("consistency", Outcome::kFailed,
                 absl::StrCat(CheckpointFile(), " is no head of this log: ",
                              before.status().message(), "; give another --dir"));
    }
    mirrored_ = SeenLog{*key_, *note, std::move(before->checkpoint)};
    return true;
  }

  bool Download() {
    ScanResult result;
    // A second time from the other side alone: what an earlier run left may be damaged.
    for (int attempt = 0; attempt < 2; ++attempt) {
      result = ScanLog(source_, head_.checkpoint,
                       {.threads = options_.threads, .on_progress = options_.on_progress});
      if (result.tiles.empty()) break;
      source_.StartAgain(result.bad_files);
    }
    if (!result.tiles.empty()) {
      return Add("tiles", Outcome::kFailed,
                 absl::StrCat(result.tiles.Sentence(),
                              "; what was wrong is not kept, and the head is not put in place"));
    }
    if (!result.source.ok()) {
      return Add("tiles", Outcome::kUnknown,
                 absl::StrCat(result.source.message(),
                              "; what was downloaded is kept: run it again to go on"));
    }
    return Add("tiles", Outcome::kPassed,
               absl::StrCat("all leaves and tiles of size ", head_.checkpoint.size,
                            " are here and make up the root that was signed"));
  }

  // What the folder has, and what this machine remembers; null when that cannot be read.
  std::array<const std::optional<SeenLog>*, 2> Before() const {
    return {&mirrored_, memory_.ok() ? &memory_->seen : nullptr};
  }

  bool CheckSeen(const SeenLog& seen, VerifiedTiles& tiles) {
    const Memory memory{memory_.ok() ? memory_->file : absl::StrCat(folder_, "/checkpoint"), seen};
    const absl::StatusOr<std::string> history = CheckHistory(memory, tiles, head_, note_, *key_);
    if (!history.ok()) return Fail("consistency", history.status());
    consistency_ = *history;
    return true;
  }

  // Before anything is downloaded: a head that contradicts what was seen is not worth it.
  bool CheckGrowth() {
    const Checkpoint& now = head_.checkpoint;
    VerifiedTiles tiles(&from_, now.size, now.root);
    bool edge = false;
    for (const std::optional<SeenLog>* seen : Before()) {
      if (seen == nullptr || !*seen) continue;
      if (!edge && (*seen)->checkpoint.size < now.size) {
        if (absl::Status status = tiles.LoadEdge(); !status.ok()) {
          return Fail("consistency", status);
        }
        edge = true;
      }
      if (!CheckSeen(**seen, tiles)) return false;
    }
    return consistency_.empty()
               ? Add("consistency", Outcome::kSkipped, "nothing was seen of this log before")
               : Add("consistency", Outcome::kPassed, consistency_);
  }

  void Publish() {
    if (memory_.ok()) {
      const auto remembered = RememberHead(*memory_, from_, head_, note_, *key_);
      if (!remembered.ok()) {
        Fail("mirror", remembered.status());
        return;
      }
    }
    absl::Status status = source_.Commit();
    sync();  // the tiles, before a head says that they are there
    if (status.ok()) status = ReplaceFile(CheckpointFile(), note_, Durability::kSynced);
    if (!status.ok()) {
      Add("mirror", Outcome::kUnknown, std::string(status.message()));
      return;
    }
    RemoveOldPartials();
    Add("mirror", Outcome::kPassed,
        absl::StrCat(folder_, " is a whole copy: ", source_.downloaded(), " files with ",
                     source_.bytes(), " bytes were downloaded"));
  }

  // Partial tiles of the size before, which nobody needs any more.
  void RemoveOldPartials() {
    if (!mirrored_) return;
    const uint64_t before = mirrored_->checkpoint.size;
    for (uint8_t level = 0; level < audit::kTileLevels; ++level) {
      const uint64_t index = (before >> (audit::kTileHeight * level)) / audit::kTileWidth;
      const uint32_t was = audit::TileWidthAt(level, index, before);
      if (was == 0 || was == audit::TileWidthAt(level, index, head_.checkpoint.size)) continue;
      for (const bool entries : {false, true}) {
        if (entries && level > 0) continue;
        const audit::TileRef old{.entries = entries, .level = level, .index = index, .width = was};
        std::remove(absl::StrCat(folder_, "/", audit::TilePath(old)).c_str());
      }
    }
  }

  LogSource& from_;
  const std::string& folder_;
  const MirrorOptions& options_;
  MirrorSource source_;
  Report report_;
  std::string note_;
  SignedCheckpoint head_;
  absl::StatusOr<Memory> memory_ = absl::UnavailableError("not read yet");
  std::optional<audit::VerifierKey> key_;
  absl::StatusOr<runtime::Fd> lock_ = absl::UnavailableError("not locked yet");
  std::optional<SeenLog> mirrored_;
  std::string consistency_;
};

}  // namespace

Report MirrorLog(LogSource& from, const std::string& folder, const MirrorOptions& options) {
  return Mirror(from, folder, options).Run();
}

}  // namespace coffer::tools
