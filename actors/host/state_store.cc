#include "actors/host/state_store.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/record_entry.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {

StateStore::StateStore(Options options, runtime::Dispatcher* dispatcher,
                       std::unique_ptr<RecordStore> store, runtime::Mailbox<StoreEvent>* events,
                       LeafSink* leaves)
    : options_(options),
      dispatcher_(dispatcher),
      store_(std::move(store)),
      events_(events),
      leaves_(leaves) {
  COFFER_CHECK(leaves_ == nullptr || store_->holds_segments(),
               "segments stay until the log has their leaves");
  if (leaves_ != nullptr) dispatcher_->Post([this] { CleanUp(); });
  Publish("");
}

void StateStore::Receive(StoreMessage message) {
  std::visit([this](auto&& m) { On(std::forward<decltype(m)>(m)); }, std::move(message));
}

void StateStore::EndOfBatch() { Commit(); }

void StateStore::On(StoreRecord record) { waiting_.push_back(std::move(record)); }
void StateStore::On(StoreChunk chunk) { waiting_.push_back(std::move(chunk)); }
void StateStore::On(TellLast) { waiting_.push_back(TellLast{}); }
void StateStore::On(StartReading) { waiting_.push_back(StartReading{}); }
void StateStore::On(Flush) { waiting_.push_back(Flush{}); }
void StateStore::On(ReadMore) {
  if (reader_.has_value()) ReadOn();
}

void StateStore::Commit() {
  if (retry_ != nullptr) return;  // a full disk: the timer comes back here
  while (!waiting_.empty() || !group_.empty()) {
    absl::Status status;
    if (!group_.empty()) {
      status = group_chunks_.has_value() ? CommitChunks() : CommitRecords();
    } else if (std::holds_alternative<StoreRecord>(waiting_.front())) {
      status = CommitRecords();
    } else if (std::holds_alternative<StoreChunk>(waiting_.front())) {
      status = CommitChunks();
    } else if (std::holds_alternative<TellLast>(waiting_.front())) {
      waiting_.pop_front();
      LastRecord last{broken_, store_->last_sequence(), {}};
      if (auto digest = store_->Digest(last.sequence)) last.digest = *digest;
      events_->Send(last);
    } else if (std::holds_alternative<StartReading>(waiting_.front())) {
      waiting_.pop_front();
      if (broken_.ok()) {
        reader_.emplace(store_->Read());
        ReadOn();
      } else {
        // What failed to be written may be there after a restart: an enclave that went on from what
        // is sure now would then have another record of the same number.
        events_->Send(ReadBatch{broken_, {}, false});
      }
    } else {
      waiting_.pop_front();
      // So that little has to be written again at the next start. It reports its own troubles.
      if (leaves_ != nullptr) (void)leaves_->Sync();
      events_->Send(Flushed{});
    }
    if (status.ok()) continue;
    Failed(status);
    if (retry_ != nullptr) return;
  }
}

bool StateStore::AnswerRepeated(const StoreRecord& record) {
  const uint64_t next = store_->last_sequence() + 1 + group_.size();
  const size_t bytes = record.sealed.size() + record.leaves.size();
  if (bytes + kEntryHeaderBytes > kMaxSealedBytes || record.sealed.empty()) {
    Contradict(absl::DataLossError(absl::StrCat("the enclave sent record ", record.sequence, " of ",
                                                bytes, " bytes to be stored")),
               bytes);
  } else if (record.sequence == next) {
    return false;
  } else if (record.sequence > next) {
    Contradict(absl::DataLossError(absl::StrCat("the enclave sent record ", record.sequence,
                                                " to be stored, but the next one is ", next)),
               bytes);
  } else if (store_->Digest(record.sequence) == DigestOf(record.sealed)) {
    // The sealed bytes decide; the leaves that came with them first stay.
    events_->Send(StoredUpTo{store_->last_sequence(), 0, 0, 1, bytes});
  } else {
    Contradict(absl::DataLossError(
                   absl::StrCat("the enclave sent record ", record.sequence,
                                " again with other bytes than those stored: two enclaves, or two "
                                "hosts, have been working on copies of one state")),
               bytes);
  }
  return true;
}

absl::Status StateStore::CommitRecords() {
  while (!frozen_ && !waiting_.empty()) {
    auto* record = std::get_if<StoreRecord>(&waiting_.front());
    if (record == nullptr) break;
    const size_t bytes = record->sealed.size() + record->leaves.size();
    if (!group_.empty() && group_bytes_ + bytes > options_.group_bytes) break;
    if (!broken_.ok()) {
      waiting_.pop_front();  // never acknowledged; the enclave has it
      continue;
    }
    // A repetition within the group is answered once the group is stored.
    if (!group_.empty() && record->sequence <= store_->last_sequence() + group_.size()) break;
    if (!AnswerRepeated(*record)) {
      group_bytes_ += bytes;
      group_.push_back(EncodeEntry(std::move(record->sealed), record->leaves, record->tree_size));
    }
    waiting_.pop_front();
  }
  if (group_.empty()) return absl::OkStatus();
  const absl::Time began = dispatcher_->Now();
  absl::Status stored = store_->Append(group_);
  NoteDuration(began);
  if (!stored.ok()) return stored;
  GroupDone({store_->last_sequence(), 0, 0, group_.size(), group_bytes_});
  return absl::OkStatus();
}

void StateStore::HandLeavesOn() {
  if (leaves_ == nullptr || group_chunks_.has_value()) return;
  for (const std::string& record : group_) {
    const absl::StatusOr<RecordEntry> entry = ParseEntry(record);
    COFFER_CHECK(entry.ok(), "what was stored is an entry");
    if (!entry->leaves.empty()) leaves_->Append(entry->tree_size, entry->leaves);
  }
}

void StateStore::GroupDone(const StoredUpTo& stored) {
  ++groups_;
  bytes_ += group_bytes_;
  Publish("");
  events_->Send(stored);
  HandLeavesOn();
  ForgetGroup();
}

void StateStore::ForgetGroup() {
  group_.clear();
  group_bytes_ = 0;
  group_chunks_.reset();
  frozen_ = false;
}

absl::Status StateStore::CommitChunks() {
  while (!frozen_ && !waiting_.empty()) {
    auto* chunk = std::get_if<StoreChunk>(&waiting_.front());
    if (chunk == nullptr) break;
    if (!group_.empty()) {
      const bool follows = chunk->sequence == group_chunks_->sequence &&
                           chunk->count == group_chunks_->count &&
                           chunk->index == group_chunks_->index + group_.size();
      if (!follows || group_bytes_ + chunk->sealed.size() > options_.group_bytes) break;
    } else if (!broken_.ok()) {
      waiting_.pop_front();
      continue;
    } else {
      group_chunks_ = StoreChunk{chunk->sequence, chunk->index, chunk->count, ""};
    }
    group_bytes_ += chunk->sealed.size();
    group_.push_back(std::move(chunk->sealed));
    waiting_.pop_front();
  }
  if (group_.empty()) return absl::OkStatus();
  StoredUpTo stored{store_->last_sequence(), group_chunks_->sequence,
                    group_chunks_->index + static_cast<uint32_t>(group_.size()), group_.size(),
                    group_bytes_};
  absl::Status status;
  // One on the very record of the newest is stored in its place when it comes from its beginning.
  const uint64_t newest = store_->snapshot_sequence();
  const auto& writing = store_->writing();
  const bool again = group_chunks_->index == 0 || (writing && writing->sequence() == newest);
  const bool known =
      group_chunks_->sequence < newest || (group_chunks_->sequence == newest && !again);
  if (!known) {
    const absl::Time began = dispatcher_->Now();
    status = store_->AppendChunks(group_chunks_->sequence, group_chunks_->index,
                                  group_chunks_->count, group_);
    NoteDuration(began);
  }
  if (absl::IsInvalidArgument(status)) {
    // Chunks of a snapshot whose beginning is not here. Not acknowledged, so it is never taken for
    // complete, and no reason to stop: the records are all there.
    ++failures_;
    stored.snapshot_sequence = 0;
    stored.snapshot_chunks = 0;
  } else if (!status.ok()) {
    return status;
  } else if (!known && stored.snapshot_chunks == group_chunks_->count) {
    ++snapshots_;
  }
  GroupDone(stored);
  if (leaves_ != nullptr) CleanUp();
  return absl::OkStatus();
}

void StateStore::CleanUp() {
  // Destroyed at the end, because this may run inside it.
  const std::unique_ptr<runtime::Timer> fired = std::move(cleanup_);
  held_.clear();
  if (!store_->removal_due()) return;
  if (absl::Status s = leaves_->Sync(); s.ok()) {
    store_->RemoveHeld();
  } else {
    held_ = absl::StrCat("the records below the snapshot stay, because the transparency log has ",
                         "not all of their leaves yet: ", std::string(s.message()));
    cleanup_ = dispatcher_->After(options_.cleanup_retry, [this] { CleanUp(); });
  }
  Publish(status().trouble);
}

void StateStore::ReadOn() {
  ReadBatch batch;
  size_t bytes = 0;
  while (bytes < options_.read_bytes) {
    absl::StatusOr<std::optional<std::string>> item = reader_->Next();
    if (!item.ok()) {
      batch.status = item.status();
      break;
    }
    if (!item->has_value()) {
      batch.end = true;
      break;
    }
    bytes += (*item)->size();
    batch.items.push_back(**std::move(item));
  }
  if (batch.end || !batch.status.ok()) reader_.reset();
  events_->Send(std::move(batch));
}

void StateStore::Contradict(absl::Status why, size_t bytes) {
  ++failures_;
  events_->Send(StoreContradiction{std::move(why), 1, bytes});
}

void StateStore::Failed(const absl::Status& why) {
  ++failures_;
  if (absl::IsResourceExhausted(why) || absl::IsUnavailable(why)) {
    frozen_ = true;
    Publish(absl::StrCat(absl::IsUnavailable(why)
                             ? "there are too many open files, nothing is acknowledged until some "
                               "are closed: "
                             : "the disk is full, nothing is acknowledged until there is space: ",
                         why.message()));
    retry_ = dispatcher_->After(options_.retry, [this] {
      // Moved out first, so that Commit goes on; destroyed after, because this runs inside it.
      const std::unique_ptr<runtime::Timer> fired = std::move(retry_);
      Commit();
    });
    return;
  }
  broken_ = absl::DataLossError(absl::StrCat(
      "the disk failed, nothing is acknowledged until coffer-host is restarted: ", why.message()));
  ForgetGroup();
  Publish(std::string(broken_.message()));
}

void StateStore::NoteDuration(absl::Time began) {
  const absl::Duration took = dispatcher_->Now() - began;
  if (took < options_.slow_write) return;
  ++slow_writes_;
  static runtime::LogEvery log(absl::Seconds(10));
  log.Log(runtime::Level::kWarn, "store", "the disk is slow: answers waited for one write",
          {{"seconds", absl::ToDoubleSeconds(took)}, {"bytes", group_bytes_}});
}

void StateStore::Publish(const std::string& trouble) {
  // Once when it begins and once when it is over: the retries in between are counted.
  if (trouble.empty() != status_.trouble.empty()) {
    runtime::Log(trouble.empty() ? runtime::Level::kInfo : runtime::Level::kError, "store",
                 trouble.empty() ? "records are made durable again" : trouble,
                 {{"record", store_->last_sequence()}});
  }
  std::lock_guard<std::mutex> lock(mutex_);
  status_ = Status{store_->last_sequence(),
                   store_->snapshot_sequence(),
                   store_->oldest_key_epoch(),
                   groups_,
                   bytes_,
                   failures_,
                   snapshots_,
                   slow_writes_,
                   trouble,
                   held_.empty() ? store_->cleanup_error() : held_};
}

StateStore::Status StateStore::status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

}  // namespace coffer::host
