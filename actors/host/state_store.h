// StateStore: the actor that keeps sealed bytes. It has a dispatcher of its own, because fdatasync
// blocks there.
//
// Accepts (StoreMessage), all from the EnclaveLink, which bounds what is outstanding:
//   StoreRecord, StoreChunk   make it durable. All that wait are made durable together: one write,
//                             one fdatasync
//   TellLast                  what the store ends with, after everything sent before
//   StartReading, ReadMore    stream what a fresh enclave is loaded with
//   Flush                     say when everything sent before is done or given up
// Answers (StoreEvent) to the link's mailbox.
//
// A full disk: nothing is acknowledged, what waits is tried again every second, and status() says
// so. Any other failure of the disk: nothing is acknowledged any more until a restart has read back
// what is really there, because after a failed fdatasync a later one may claim success for bytes
// that are lost.
#ifndef COFFER_ACTORS_HOST_STATE_STORE_H_
#define COFFER_ACTORS_HOST_STATE_STORE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/leaf_sink.h"
#include "actors/host/record_store.h"
#include "runtime/dispatcher.h"
#include "runtime/mailbox.h"

namespace coffer::host {

struct StoreRecord {
  uint64_t sequence = 0;
  std::string sealed;
  std::string leaves;      // the record's public part (Store in proto/boundary.proto)
  uint64_t tree_size = 0;  // of the transparency log after them
};
struct StoreChunk {
  uint64_t sequence = 0;  // the record that the snapshot stands on
  uint32_t index = 0;
  uint32_t count = 0;
  std::string sealed;
};
struct TellLast {};
// Begins a new stream; ends the one before. The first batch comes without being asked for.
struct StartReading {};
struct ReadMore {};
struct Flush {};
using StoreMessage = std::variant<StoreRecord, StoreChunk, TellLast, StartReading, ReadMore, Flush>;

// Durable up to here, and how much of what was sent that settles.
struct StoredUpTo {
  uint64_t sequence = 0;           // all records up to this one
  uint64_t snapshot_sequence = 0;  // 0: nothing said of a snapshot
  uint32_t snapshot_chunks = 0;
  size_t messages = 0;
  size_t bytes = 0;
};
// The enclave sent a record that contradicts what is stored: no more may be taken from it.
struct StoreContradiction {
  absl::Status why;
  size_t messages = 0;
  size_t bytes = 0;
};
struct LastRecord {
  absl::Status status;  // why the store takes no more, or OK
  uint64_t sequence = 0;
  RecordDigest digest{};  // when sequence is not 0
};
struct ReadBatch {
  absl::Status status;
  std::vector<std::string> items;
  bool end = false;
};
struct Flushed {};
using StoreEvent = std::variant<StoredUpTo, StoreContradiction, LastRecord, ReadBatch, Flushed>;

class StateStore final : public runtime::Actor<StoreMessage> {
 public:
  struct Options {
    size_t group_bytes = 8u << 20;                     // of one write
    size_t read_bytes = 4u << 20;                      // of one ReadBatch
    absl::Duration retry = absl::Seconds(1);           // of a full disk
    absl::Duration cleanup_retry = absl::Seconds(10);  // of a removal that is held back
    absl::Duration slow_write = absl::Seconds(1);      // a write that takes longer is told of
  };
  // For /readyz and the metrics; a copy, from any thread.
  struct Status {
    uint64_t last_sequence = 0;
    uint64_t snapshot_sequence = 0;
    uint32_t oldest_key_epoch = 0;  // RecordStore::oldest_key_epoch
    uint64_t groups = 0;            // writes made durable since start
    uint64_t bytes = 0;             // sealed bytes and leaves made durable since start
    uint64_t failures = 0;
    uint64_t snapshots = 0;    // made whole and durable since start
    uint64_t slow_writes = 0;  // took longer than slow_write, whatever came of them
    std::string trouble;       // why nothing is acknowledged; empty when all is well
    std::string cleanup;       // why files that are no longer needed stay; empty when none do
  };

  // Bind this to its mailbox and `events` to its reader before the first message. `leaves` may be
  // null; otherwise `store` was opened with hold_segments, and all outlive the dispatcher's loop.
  StateStore(Options options, runtime::Dispatcher* dispatcher, std::unique_ptr<RecordStore> store,
             runtime::Mailbox<StoreEvent>* events, LeafSink* leaves = nullptr);

  void Receive(StoreMessage message) override;
  void EndOfBatch() override;
  Status status() const;

 private:
  using Waiting = std::variant<StoreRecord, StoreChunk, TellLast, StartReading, Flush>;

  void On(StoreRecord record);
  void On(StoreChunk chunk);
  void On(TellLast);
  void On(StartReading);
  void On(ReadMore);
  void On(Flush);

  // Makes as much of waiting_ durable as can be, in order.
  void Commit();
  absl::Status CommitRecords();
  absl::Status CommitChunks();
  // True when the record is known already or refused; it is answered then.
  bool AnswerRepeated(const StoreRecord& record);
  // What group_ holds is durable.
  void GroupDone(const StoredUpTo& stored);
  void HandLeavesOn();
  void ForgetGroup();
  void CleanUp();
  void ReadOn();
  void Contradict(absl::Status why, size_t bytes);
  void Failed(const absl::Status& why);
  // Of a write that began then: answers wait for it, and a disk that hangs looks like an enclave
  // that does.
  void NoteDuration(absl::Time began);
  void Publish(const std::string& trouble);

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  const std::unique_ptr<RecordStore> store_;
  runtime::Mailbox<StoreEvent>* const events_;
  LeafSink* const leaves_;  // or null
  std::deque<Waiting> waiting_;
  // What is being written: entries of records, or chunks. Once a try has failed it is frozen: the
  // same bytes are tried again (RecordStore::Append).
  std::vector<std::string> group_;
  size_t group_bytes_ = 0;  // of these, as the link counts what is outstanding
  bool frozen_ = false;
  std::optional<StoreChunk>
      group_chunks_;  // index and count of the first one, when group_ is chunks
  std::unique_ptr<runtime::Timer> retry_;
  std::unique_ptr<runtime::Timer> cleanup_;
  std::string held_;  // why segments are not removed
  std::optional<StoreReader> reader_;
  absl::Status broken_;  // not OK: nothing is written any more
  uint64_t groups_ = 0;
  uint64_t bytes_ = 0;
  uint64_t failures_ = 0;
  uint64_t snapshots_ = 0;
  uint64_t slow_writes_ = 0;
  mutable std::mutex mutex_;
  Status status_;  // guarded by mutex_
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_STATE_STORE_H_
