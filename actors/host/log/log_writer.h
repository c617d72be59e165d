// LogWriter: the actor that keeps the transparency log's files. It shares the store's dispatcher,
// because its calls block.
//
// Accepts CutLog and PublishLog from the LogPublisher and answers each once with a LogEvent. As the
// StateStore's LeafSink it gets the leaves of each record that became durable.
//
// At start, and after any trouble with the disk, it goes through the stored records' public parts
// from where the log is durable on, a slice at a time, so that records are acknowledged in between;
// only then does it take leaves directly. While it does not, leaves that come are passed over: the
// records have them. What it cannot get over (the log's folder was lost and the records begin
// later) stops the log and nothing else: no file is touched, the records stay, status() says it.
#ifndef COFFER_ACTORS_HOST_LOG_LOG_WRITER_H_
#define COFFER_ACTORS_HOST_LOG_LOG_WRITER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/leaf_sink.h"
#include "actors/host/log/log_adoption.h"
#include "actors/host/log/log_files.h"
#include "actors/host/log/log_store.h"
#include "actors/host/log/messages.h"
#include "actors/host/record_store.h"
#include "runtime/dispatcher.h"
#include "runtime/mailbox.h"

namespace coffer::host {

class LogWriter final : public runtime::Actor<LogCommand>, public LeafSink {
 public:
  struct Options {
    // What is published is made durable after this time, or this many leaves: what lies between is
    // written again after a crash, at about a million leaves a second. The store's thread waits for
    // the disk meanwhile, so more at a time is no gain.
    absl::Duration sync_interval = absl::Seconds(10);
    uint64_t sync_leaves = 250'000;
    absl::Duration retry = absl::Seconds(1);  // of a full disk; of other trouble up to max_retry
    absl::Duration max_retry = absl::Minutes(1);
    size_t slice_bytes = 2u << 20;  // of leaves read from the records at a time
  };
  // For /readyz and the metrics; a copy, from any thread.
  struct Status {
    uint64_t size = 0;            // leaves that are in the log's files or on their way there
    uint64_t durable_size = 0;    // leaves for which no record is needed any more
    uint64_t published_size = 0;  // of the checkpoint in the folder
    uint64_t syncs = 0;
    absl::Duration last_sync;  // how long it took
    bool recovering = false;   // going through the records
    std::string trouble;       // why the log does not go on; empty when all is well
    // Two histories: what the log here and what the enclave signed. Stays until a restart.
    std::string alarm;
  };

  // `records` is the StateStore's, on this dispatcher too. Bind this to its mailbox, and `events`
  // to its reader, before the first message. All must outlive the dispatcher's loop.
  LogWriter(Options options, runtime::Dispatcher* dispatcher, LogFiles* files,
            const RecordStore* records, runtime::Mailbox<LogEvent>* events);

  // Begins with the recovery, on the dispatcher. From any thread, once.
  void Start();

  void Receive(LogCommand command) override;
  void Append(uint64_t tree_size, std::string_view leaves) override;
  absl::Status Sync() override;
  Status status() const;

 private:
  void Recover();
  // Whether the records have the leaves from this index on.
  absl::StatusOr<bool> RecordsGoOnAt(uint64_t size) const;
  absl::Status OpenStore();
  void Adopt();
  void CatchUp();
  absl::Status ReadSlice();
  void CaughtUp();
  void Later();  // CatchUp or Adopt, after what waits

  LogEvent On(const CutLog& command);
  LogEvent On(const PublishLog& command);
  // Why nothing can be cut or synced now; OK when it can.
  absl::Status NotLive() const;
  absl::Status SyncNow();
  // After an error of the disk, or of what is on it.
  void Failed(const absl::Status& why);
  void Halt(const absl::Status& why);
  void Alarm(const absl::Status& why);
  void Publish();

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  LogFiles* const files_;
  const RecordStore* const records_;
  runtime::Mailbox<LogEvent>* const events_;

  std::unique_ptr<LogStore> store_;  // none until recovered, and after a failed sync
  std::optional<LogAdoption> adoption_;
  bool adopted_ = false;  // what is here is a copy, and no signed head was compared with it yet
  std::optional<PublicReader> reader_;
  bool live_ = false;    // leaves are taken as they come
  absl::Status halted_;  // not OK: until a restart
  absl::Status alarm_;
  std::string trouble_;
  std::unique_ptr<runtime::Timer> retry_;
  absl::Duration wait_;
  absl::Time last_sync_ = absl::InfinitePast();
  uint64_t syncs_ = 0;
  absl::Duration sync_took_;
  mutable std::mutex mutex_;
  Status status_;  // guarded by mutex_
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_WRITER_H_
