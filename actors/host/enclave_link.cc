#include "actors/host/enclave_link.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/secret_frames.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

EnclaveLink::EnclaveLink(Options options, runtime::Dispatcher* dispatcher,
                         runtime::Network* network, runtime::Random* random,
                         runtime::Mailbox<StoreMessage>* store)
    : options_(std::move(options)),
      dispatcher_(dispatcher),
      network_(network),
      store_(store),
      backoff_(options_.first_retry, options_.max_retry, random) {}

EnclaveLink::~EnclaveLink() = default;

void EnclaveLink::Start() { Connect(); }

void EnclaveLink::Watch(absl::AnyInvocable<void(bool)> observer) {
  observers_.push_back(std::move(observer));
}

// ---- connection
// ----------------------------------------------------------------------------------------------------

void EnclaveLink::Connect() {
  retry_.reset();
  dying_.reset();
  SetState(State::kConnecting, reason_.empty()
                                   ? absl::StrCat("connecting to ", options_.endpoint.ToString())
                                   : reason_);
  const uint64_t connection = ++connection_;
  network_->Connect(
      options_.endpoint,
      [this, connection](absl::StatusOr<std::unique_ptr<runtime::FramedStream>> stream) {
        if (!stream.ok()) {
          if (connection == connection_) {
            Drop(absl::StrCat("no connection to the enclave at ", options_.endpoint.ToString(),
                              ": ", stream.status().message()),
                 backoff_.Next());
          }
          return;
        }
        (*stream)->SetHandler(this);
        if (connection != connection_ || state_ != State::kConnecting) return;
        stream_ = *std::move(stream);
        reading_paused_ = false;
        ++counters_.connections;
        last_frame_ = dispatcher_->Now();
        probing_ = false;
        AskStatus();
      });
}

void EnclaveLink::AskStatus() {
  SetState(State::kStatus, "asking the enclave for its status");
  ClientFrame request;
  request.mutable_status();
  SendRequest(
      std::move(request),
      [this](absl::StatusOr<ServerFrame> frame) {
        if (frame.ok()) OnStatus(*frame);
      },
      options_.request_timeout);
}

void EnclaveLink::Drop(const std::string& reason, absl::Duration wait) {
  ++connection_;
  // Not destroyed here: one of its calls may be on the stack.
  if (stream_ != nullptr) dying_ = std::move(stream_);
  for (Waiting& unsent : outbox_) {
    if (unsent.secret) Wipe(&unsent.payload);
  }
  outbox_.clear();
  load_items_.clear();
  load_in_flight_ = 0;
  SetState(State::kIdle, reason);
  retry_ = dispatcher_->After(wait, [this] { Connect(); });
  FailPending(reason);
}

void EnclaveLink::FailPending(const std::string& reason) {
  timeout_.reset();
  std::map<uint64_t, Pending> pending = std::move(pending_);
  pending_.clear();
  counters_.lost += pending.size();
  for (auto& [id, request] : pending) {
    request.reply(absl::UnavailableError(absl::StrCat(
        "no answer from the enclave, and whether the request took effect is unknown: ", reason)));
  }
  MaybeStopped();
}

void EnclaveLink::OnClosed(runtime::FramedStream& stream, const absl::Status& why) {
  if (&stream != stream_.get()) return;
  Drop(absl::StrCat("the connection to the enclave was lost: ", why.message()), backoff_.Next());
}

void EnclaveLink::SetState(State state, const std::string& reason) {
  state_ = state;
  if (reason != reason_) {
    reason_ = reason;
    if (state == State::kIdle && !stopping_ && log_) log_(reason);
  }
  if (ready() == was_ready_) return;
  was_ready_ = ready();
  for (auto& observer : observers_) observer(was_ready_);
}

absl::Status EnclaveLink::ErrorOf(const ServerFrame& frame) {
  if (!frame.has_error()) return absl::OkStatus();
  return absl::FailedPreconditionError(frame.error().message());
}

// ---- loading and attaching
// -----------------------------------------------------------------------------------------

void EnclaveLink::OnStatus(const ServerFrame& frame) {
  if (state_ != State::kStatus) return;
  if (!frame.has_status()) {
    return Drop(absl::StrCat("the enclave does not say its status: ", frame.error().message()),
                options_.refused_retry);
  }
  if (check_) {
    if (absl::Status s = check_(frame.status()); !s.ok()) {
      return Drop(std::string(s.message()), options_.refused_retry);
    }
  }
  Prepare(frame.status());
}

void EnclaveLink::Prepare(const boundary::v1::Status& status) {
  if (provisioner_ == nullptr) return GoOn(status);
  SetState(State::kPreparing, status.phase() == boundary::v1::PHASE_UNPROVISIONED
                                  ? "the enclave is being given its key"
                                  : "looking whether the enclave's keys are stored");
  const uint64_t connection = connection_;
  provisioner_->Prepare(
      status,
      [this, connection](ClientFrame frame, absl::Duration timeout, Reply reply) {
        if (connection == connection_) {
          SendRequest(std::move(frame), std::move(reply), timeout);
          return;
        }
        WipeCredentials(&frame);
        dispatcher_->Post([reply = std::move(reply)]() mutable {
          reply(absl::UnavailableError("the connection to the enclave was lost"));
        });
      },
      [this, connection, status](const absl::Status& prepared, absl::Duration wait) {
        if (connection != connection_ || state_ != State::kPreparing) return;
        if (!prepared.ok()) return Drop(std::string(prepared.message()), wait);
        if (status.phase() == boundary::v1::PHASE_UNPROVISIONED) return AskStatus();
        GoOn(status);
      });
}

void EnclaveLink::GoOn(const boundary::v1::Status& status) {
  if (status.without_storage() && status.phase() == boundary::v1::PHASE_READY) {
    return BecomeReady();
  }
  switch (status.phase()) {
    case boundary::v1::PHASE_EMPTY:
      return Load();
    case boundary::v1::PHASE_READY:
      SetState(State::kAskStore, "waiting for the store to tell what it ends with");
      store_->Send(TellLast{});
      return;
    case boundary::v1::PHASE_UNPROVISIONED:
      return Drop("the enclave has no key yet", backoff_.Next());
    default:
      return Drop("the enclave is being loaded through another connection", backoff_.Next());
  }
}

void EnclaveLink::Load() {
  SetState(State::kLoading, "loading the stored state into the enclave");
  load_items_.clear();
  load_end_ = false;
  load_asked_ = true;
  load_in_flight_ = 1;
  ClientFrame begin;
  begin.mutable_load_begin();
  SendRequest(
      std::move(begin), [this](absl::StatusOr<ServerFrame> f) { OnLoaded(std::move(f)); },
      absl::InfiniteDuration());
  store_->Send(StartReading{});
}

void EnclaveLink::On(ReadBatch batch) {
  load_asked_ = false;
  if (state_ != State::kLoading) return;
  if (!batch.status.ok()) {
    // Out of descriptors: that passes.
    const bool passing = absl::IsUnavailable(batch.status);
    return Drop(absl::StrCat("the stored state cannot be read: ", batch.status.message()),
                passing ? backoff_.Next() : options_.refused_retry);
  }
  load_end_ = batch.end;
  for (std::string& item : batch.items) load_items_.push_back(std::move(item));
  LoadOn();
}

void EnclaveLink::LoadOn() {
  if (state_ != State::kLoading) return;
  while (!load_items_.empty() && load_in_flight_ < options_.load_window &&
         stream_->PendingOutput() < stream_->OutputLimit()) {
    ClientFrame frame;
    frame.mutable_load_record()->set_sealed(std::move(load_items_.front()));
    load_items_.pop_front();
    ++load_in_flight_;
    SendRequest(
        std::move(frame), [this](absl::StatusOr<ServerFrame> f) { OnLoaded(std::move(f)); },
        absl::InfiniteDuration());
  }
  if (!load_end_ && !load_asked_ && load_items_.size() < options_.load_window) {
    load_asked_ = true;
    store_->Send(ReadMore{});
  }
  if (!load_end_ || !load_items_.empty() || load_in_flight_ > 0) return;
  SetState(State::kLoadEnd, "waiting for the enclave to take the loaded state over");
  ClientFrame end;
  end.mutable_load_end();
  SendRequest(
      std::move(end), [this](absl::StatusOr<ServerFrame> f) { OnLoaded(std::move(f)); },
      absl::InfiniteDuration());
}

void EnclaveLink::OnLoaded(absl::StatusOr<ServerFrame> frame) {
  if (!frame.ok() || (state_ != State::kLoading && state_ != State::kLoadEnd)) return;
  if (absl::Status s = ErrorOf(*frame); !s.ok()) {
    // Somebody else was quicker: then it is a matter of attaching.
    const bool late = frame->error().code() == boundary::v1::ERROR_ALREADY_LOADED;
    return Drop(absl::StrCat("the enclave refused the stored state: ", s.message()),
                late ? backoff_.Next() : options_.refused_retry);
  }
  if (state_ == State::kLoadEnd) {
    if (!frame->has_load_done()) {
      return Drop("the enclave answered load_end with something else", options_.refused_retry);
    }
    return BecomeReady();
  }
  --load_in_flight_;
  LoadOn();
}

void EnclaveLink::On(LastRecord last) {
  if (state_ != State::kAskStore) return;
  if (!last.status.ok()) {
    return Drop(std::string(last.status.message()), options_.refused_retry);
  }
  Attach(last);
}

void EnclaveLink::Attach(const LastRecord& last) {
  SetState(State::kAttaching, "attaching to the enclave as its storage");
  ClientFrame frame;
  frame.mutable_attach_storage()->set_last_sequence(last.sequence);
  if (last.sequence > 0) {
    frame.mutable_attach_storage()->set_last_hash(last.digest.data(), last.digest.size());
  }
  SendRequest(
      std::move(frame),
      [this](absl::StatusOr<ServerFrame> answer) {
        if (!answer.ok() || state_ != State::kAttaching) return;
        if (absl::Status s = ErrorOf(*answer); !s.ok()) {
          return Drop(absl::StrCat("the enclave refused this host as its storage: ", s.message()),
                      options_.refused_retry);
        }
        BecomeReady();
      },
      absl::InfiniteDuration());
}

void EnclaveLink::BecomeReady() {
  backoff_.Reset();
  SetState(State::kReady, "");
}

// ---- storage
// -------------------------------------------------------------------------------------------------------

void EnclaveLink::OnStore(boundary::v1::Store store) {
  const bool record = store.kind() == boundary::v1::Store::KIND_RECORD;
  const bool chunk = store.kind() == boundary::v1::Store::KIND_SNAPSHOT_CHUNK;
  if ((!record && !chunk) || store.sealed().empty() ||
      (state_ != State::kLoadEnd && state_ != State::kAttaching && state_ != State::kReady)) {
    return Drop("the enclave sent something to be stored that makes no sense here",
                options_.refused_retry);
  }
  ++store_messages_;
  store_bytes_ += store.sealed().size() + store.leaves().size();
  if (record) {
    store_->Send(StoreRecord{store.sequence(), std::move(*store.mutable_sealed()),
                             std::move(*store.mutable_leaves()), store.tree_size()});
  } else {
    store_->Send(StoreChunk{store.sequence(), store.chunk_index(), store.chunk_count(),
                            std::move(*store.mutable_sealed())});
  }
  if (!reading_paused_ && stream_ != nullptr &&
      (store_messages_ >= options_.store_messages || store_bytes_ >= options_.store_bytes)) {
    reading_paused_ = true;
    stream_->PauseReading();
  }
}

void EnclaveLink::Settled(size_t messages, size_t bytes) {
  store_messages_ -= messages;
  store_bytes_ -= bytes;
  counters_.stored_messages += messages;
  if (reading_paused_ && stream_ != nullptr && store_messages_ <= options_.store_messages / 2 &&
      store_bytes_ <= options_.store_bytes / 2) {
    reading_paused_ = false;
    stream_->ResumeReading();
  }
}

void EnclaveLink::On(StoredUpTo stored) {
  Settled(stored.messages, stored.bytes);
  if (state_ != State::kLoadEnd && state_ != State::kAttaching && state_ != State::kReady) return;
  ClientFrame frame;
  frame.mutable_stored()->set_sequence(stored.sequence);
  frame.mutable_stored()->set_snapshot_sequence(stored.snapshot_sequence);
  frame.mutable_stored()->set_snapshot_chunks(stored.snapshot_chunks);
  SendFrame(std::move(frame));
}

void EnclaveLink::On(StoreContradiction contradiction) {
  Settled(contradiction.messages, contradiction.bytes);
  if (stream_ == nullptr) return;
  Drop(std::string(contradiction.why.message()), options_.refused_retry);
}

void EnclaveLink::On(Flushed) {
  flushed_ = true;
  MaybeStopped();
}

void EnclaveLink::Receive(StoreEvent event) {
  std::visit([this](auto&& e) { On(std::forward<decltype(e)>(e)); }, std::move(event));
}

// ---- shutdown
// ------------------------------------------------------------------------------------------------------

void EnclaveLink::Stop(runtime::Task done) {
  stopping_ = true;
  stopped_ = std::move(done);
  SetState(state_, "this host is shutting down");
  store_->Send(Flush{});
  MaybeStopped();
}

void EnclaveLink::MaybeStopped() {
  if (!stopping_ || !stopped_ || !pending_.empty() || store_messages_ > 0) return;
  if (!flushed_) return;
  ++connection_;
  retry_.reset();
  timeout_.reset();
  if (stream_ != nullptr) dying_ = std::move(stream_);
  state_ = State::kIdle;
  dispatcher_->Post([this, done = std::move(stopped_)]() mutable {
    dying_.reset();
    done();
  });
  stopped_ = nullptr;
}

}  // namespace coffer::host
