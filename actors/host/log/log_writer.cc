#include "actors/host/log/log_writer.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "actors/host/record_entry.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

constexpr char kRestore[] =
    "; payments go on and the records stay, but nothing is published: restore the log's folder "
    "from a copy, or with `coffer log mirror` from a peer, remove the file `durable` in it, and "
    "restart coffer-host";

}  // namespace

LogWriter::LogWriter(Options options, runtime::Dispatcher* dispatcher, LogFiles* files,
                     const RecordStore* records, runtime::Mailbox<LogEvent>* events)
    : options_(options),
      dispatcher_(dispatcher),
      files_(files),
      records_(records),
      events_(events),
      wait_(options.retry) {
  Publish();
}

void LogWriter::Start() {
  dispatcher_->Post([this] { Recover(); });
}

// ---- recovery
// ------------------------------------------------------------------------------------------------------

void LogWriter::Recover() {
  if (absl::Status s = OpenStore(); !s.ok()) return Failed(s);
  if (!halted_.ok()) return;
  if (adoption_.has_value()) return Adopt();
  CatchUp();
}

absl::StatusOr<bool> LogWriter::RecordsGoOnAt(uint64_t size) const {
  PublicReader reader = records_->ReadPublic(size);
  while (true) {
    absl::StatusOr<std::optional<PublicPart>> part = reader.Next();
    if (!part.ok()) return part.status();
    if (!part->has_value()) return false;
    if ((*part)->tree_size <= size) continue;
    return (*part)->tree_size - CountLeaves((*part)->leaves).value_or(0) <= size;
  }
}

absl::Status LogWriter::OpenStore() {
  absl::StatusOr<std::unique_ptr<LogStore>> opened = LogStore::Open(files_);
  if (!opened.ok() && !absl::IsDataLoss(opened.status())) return opened.status();
  const uint64_t size = opened.ok() ? (*opened)->size() : 0;
  // More is published than is known to be durable: a crash, after which the records go on from
  // here, or a copy that somebody put here.
  const bool more = opened.ok() && (*opened)->published_size() > size;
  if (opened.ok() && !more) {
    store_ = *std::move(opened);
    return absl::OkStatus();
  }
  const absl::StatusOr<bool> records = RecordsGoOnAt(size);
  if (!records.ok()) return records.status();
  if (*records && opened.ok() && (*opened)->marked()) {
    store_ = *std::move(opened);
  } else if (*records) {
    runtime::Log(runtime::Level::kWarn, "log",
                 absl::StrCat("the log is made again from the records: ",
                              opened.ok() ? std::string("what is there is a copy")
                                          : std::string(opened.status().message())));
    absl::StatusOr<std::unique_ptr<LogStore>> fresh = LogStore::Fresh(files_);
    if (!fresh.ok()) return fresh.status();
    store_ = *std::move(fresh);
  } else if (more) {
    adoption_.emplace(files_, (*opened)->published());
  } else {
    Halt(absl::DataLossError(absl::StrCat(opened.status().message(), kRestore)));
  }
  return absl::OkStatus();
}

void LogWriter::Adopt() {
  const absl::StatusOr<bool> done = adoption_->Step();
  if (!done.ok()) {
    adoption_.reset();
    if (!absl::IsDataLoss(done.status())) return Failed(done.status());
    return Halt(absl::DataLossError(absl::StrCat(done.status().message(), kRestore)));
  }
  if (!*done) return Later();
  store_ = LogStore::Adopted(files_, adoption_->Take());
  adopted_ = true;
  adoption_.reset();
  if (absl::Status s = SyncNow(); !s.ok()) return Failed(s);
  CatchUp();
}

void LogWriter::Later() {
  Publish();
  dispatcher_->Post([this] { adoption_.has_value() ? Adopt() : CatchUp(); });
}

void LogWriter::CatchUp() {
  live_ = false;
  if (!reader_.has_value()) reader_.emplace(records_->ReadPublic(store_->size()));
  if (absl::Status s = ReadSlice(); !s.ok()) return Failed(s);
  if (reader_.has_value()) return Later();
  CaughtUp();
}

absl::Status LogWriter::ReadSlice() {
  for (size_t bytes = 0; bytes < options_.slice_bytes;) {
    absl::StatusOr<std::optional<PublicPart>> part = reader_->Next();
    if (!part.ok()) return part.status();
    if (!part->has_value()) {
      const bool more = records_->last_sequence() > reader_->last_sequence();
      if (!reader_->skipped().empty()) {
        runtime::Log(runtime::Level::kWarn, "log",
                     absl::StrCat("a segment is passed over: ", reader_->skipped()));
      }
      reader_.reset();
      if (more) reader_.emplace(records_->ReadPublic(store_->size()));
      return absl::OkStatus();
    }
    absl::Status status = store_->Append((*part)->tree_size, (*part)->leaves);
    if (!status.ok()) {
      const bool gap = absl::IsFailedPrecondition(status);
      if (!gap && !absl::IsDataLoss(status)) return status;
      return absl::DataLossError(
          absl::StrCat("record ", (*part)->sequence, ": ", status.message()));
    }
    bytes += (*part)->leaves.size();
    if (store_->size() - store_->durable_size() < options_.sync_leaves) continue;
    if (status = SyncNow(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

void LogWriter::CaughtUp() {
  const uint64_t known = records_->tree_size();
  if (known > store_->size()) {
    return Failed(absl::DataLossError(absl::StrCat("the records know of ", known,
                                                   " leaves, and no leaf from ", store_->size(),
                                                   " on is to be found")));
  }
  if (known != 0 && known < store_->size()) {
    return Failed(absl::DataLossError(absl::StrCat("the log has ", store_->size(),
                                                   " leaves and the records know of ", known,
                                                   " only: these records are older than the log")));
  }
  absl::Status status = store_->RestorePublished();
  if (absl::IsDataLoss(status)) {
    Alarm(status);
    status = absl::OkStatus();
  }
  if (status.ok()) status = SyncNow();
  if (!status.ok()) return Failed(status);
  live_ = true;
  wait_ = options_.retry;
  if (!trouble_.empty()) runtime::Log(runtime::Level::kInfo, "log", "the log goes on");
  trouble_.clear();
  Publish();
}

// ---- leaves
// --------------------------------------------------------------------------------------------------------

void LogWriter::Append(uint64_t tree_size, std::string_view leaves) {
  if (!live_) return;  // CatchUp finds them in the records
  if (CountLeaves(leaves) != tree_size - store_->size()) {
    // New leaves begin where the log ends, whatever they are.
    return Failed(absl::DataLossError(
        absl::StrCat("a new record brings the leaves up to index ", tree_size,
                     ", which do not begin at the end of the log, index ", store_->size())));
  }
  if (absl::Status s = store_->Append(tree_size, leaves); !s.ok()) return Failed(s);
  Publish();
}

absl::Status LogWriter::SyncNow() {
  if (store_->size() == store_->durable_size()) return absl::OkStatus();
  const absl::Time before = dispatcher_->Now();
  absl::Status status = store_->Sync();
  last_sync_ = dispatcher_->Now();
  sync_took_ = last_sync_ - before;
  ++syncs_;
  return status;
}

absl::Status LogWriter::Sync() {
  if (!alarm_.ok()) return alarm_;
  if (absl::Status s = NotLive(); !s.ok()) return s;
  // Until then the records may be all that there is of the true log.
  if (adopted_) {
    return absl::FailedPreconditionError(
        "the log here is a copy that no head of the enclave has confirmed yet");
  }
  absl::Status status = SyncNow();
  if (!status.ok()) Failed(status);
  Publish();
  return status;
}

// ---- commands
// ------------------------------------------------------------------------------------------------------

absl::Status LogWriter::NotLive() const {
  if (!halted_.ok()) return halted_;
  if (live_) return absl::OkStatus();
  return absl::UnavailableError(trouble_.empty() ? "the log is being made again from the records"
                                                 : trouble_);
}

void LogWriter::Receive(LogCommand command) {
  LogEvent event = std::visit([this](const auto& c) { return On(c); }, command);
  Publish();
  events_->Send(std::move(event));
}

LogEvent LogWriter::On(const CutLog& command) {
  LogCut cut{command.size, NotLive()};
  if (!cut.status.ok()) return cut;
  cut.status = store_->Cut(command.size, command.root);
  if (cut.status.ok()) adopted_ = false;
  if (absl::IsDataLoss(cut.status)) {
    Alarm(cut.status);
  } else if (!cut.status.ok() && !absl::IsUnavailable(cut.status)) {
    Failed(cut.status);
    cut.status = absl::UnavailableError(trouble_);
  }
  return cut;
}

LogEvent LogWriter::On(const PublishLog& command) {
  LogPublished published{command.size, NotLive()};
  if (!published.status.ok()) return published;
  absl::Status status;
  if (dispatcher_->Now() - last_sync_ >= options_.sync_interval ||
      store_->size() - store_->durable_size() >= options_.sync_leaves) {
    status = SyncNow();
  } else {
    files_->BeginSync();  // or all of an interval's tiles would be waited for at once
  }
  if (status.ok()) status = store_->Publish(command.size, command.note);
  if (!status.ok() && !absl::IsFailedPrecondition(status)) {
    Failed(status);
    status = absl::UnavailableError(trouble_);
  }
  published.status = status;
  return published;
}

// ---- troubles
// ------------------------------------------------------------------------------------------------------

void LogWriter::Failed(const absl::Status& why) {
  live_ = false;
  reader_.reset();
  // What the disk has lost for good, or what never was: no other try finds it.
  if (absl::IsDataLoss(why) && (store_ == nullptr || !store_->broken())) {
    return Halt(absl::DataLossError(absl::StrCat(why.message(), kRestore)));
  }
  const bool full = absl::IsResourceExhausted(why);
  if (trouble_.empty()) {
    runtime::Log(runtime::Level::kError, "log",
                 absl::StrCat("the log stands still: ", why.message()));
  }
  trouble_ = absl::StrCat(full ? "the log's disk is full; it goes on when there is space: "
                               : "the log's disk failed; it is tried again: ",
                          why.message());
  if (!full || (store_ != nullptr && store_->broken())) store_.reset();
  Publish();
  retry_ = dispatcher_->After(wait_, [this] {
    // Destroyed after, because this runs inside it.
    const std::unique_ptr<runtime::Timer> fired = std::move(retry_);
    store_ == nullptr ? Recover() : CatchUp();
  });
  wait_ = full ? options_.retry : std::min(2 * wait_, options_.max_retry);
}

void LogWriter::Halt(const absl::Status& why) {
  live_ = false;
  reader_.reset();
  // Not DataLoss, which would say that the enclave signed another log.
  halted_ = absl::FailedPreconditionError(why.message());
  trouble_ = std::string(why.message());
  runtime::Log(runtime::Level::kError, "log", absl::StrCat("the log stands still: ", trouble_));
  Publish();
}

void LogWriter::Alarm(const absl::Status& why) {
  if (alarm_.ok()) runtime::Log(runtime::Level::kError, "log", std::string(why.message()));
  alarm_ = why;
}

void LogWriter::Publish() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (store_ != nullptr) {
    status_.size = store_->size();
    status_.durable_size = store_->durable_size();
    status_.published_size = store_->published_size();
  }
  status_.syncs = syncs_;
  status_.last_sync = sync_took_;
  status_.recovering = !live_ && halted_.ok();
  status_.trouble = trouble_;
  status_.alarm = std::string(alarm_.message());
}

LogWriter::Status LogWriter::status() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return status_;
}

}  // namespace coffer::host
