#include "actors/host/enclave_link.h"

#include <utility>

#include "absl/strings/str_cat.h"

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
        SetState(State::kStatus, "asking the enclave for its status");
        ClientFrame request;
        request.mutable_status();
        SendRequest(
            std::move(request),
            [this](absl::StatusOr<ServerFrame> frame) {
              if (frame.ok()) OnStatus(*frame);
            },
            options_.request_timeout);
      });
}

void EnclaveLink::Drop(const std::string& reason, absl::Duration wait) {
  ++connection_;
  // Not destroyed here: one of its calls may be on the stack.
  if (stream_ != nullptr) dying_ = std::move(stream_);
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
  if (frame.status().without_storage() && frame.status().phase() == boundary::v1::PHASE_READY) {
    return BecomeReady();
  }
  switch (frame.status().phase()) {
    case boundary::v1::PHASE_EMPTY: {
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
      return;
    }
    case boundary::v1::PHASE_READY:
      SetState(State::kAskStore, "waiting for the store to tell what it ends with");
      store_->Send(TellLast{});
      return;
    default:
      return Drop("the enclave is being loaded through another connection", backoff_.Next());
  }
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
  SendFrame(frame);
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

// ---- requests
// ------------------------------------------------------------------------------------------------------

void EnclaveLink::Call(ClientFrame request, Reply reply) {
  if (!ready()) {
    dispatcher_->Post([reply = std::move(reply),
                       reason = stopping_ ? "this host is shutting down" : reason_]() mutable {
      reply(absl::UnavailableError(absl::StrCat("the enclave is not ready: ", reason)));
    });
    return;
  }
  ++counters_.requests;
  SendRequest(std::move(request), std::move(reply), options_.request_timeout);
}

uint64_t EnclaveLink::SendRequest(ClientFrame request, Reply reply, absl::Duration timeout) {
  const uint64_t id = next_id_++;
  request.set_request_id(id);
  pending_.emplace(id, Pending{std::move(reply), dispatcher_->Now() + timeout});
  SendFrame(request);
  if (timeout != absl::InfiniteDuration() && timeout_ == nullptr) ArmTimeout();
  return id;
}

void EnclaveLink::SendFrame(const ClientFrame& frame) {
  if (stream_ == nullptr) return;
  if (outbox_.empty() && stream_->PendingOutput() < stream_->OutputLimit()) {
    stream_->Send(frame.SerializeAsString());
  } else {
    outbox_.push_back(frame.SerializeAsString());
  }
}

void EnclaveLink::FlushOutbox() {
  while (!outbox_.empty() && stream_->PendingOutput() < stream_->OutputLimit()) {
    stream_->Send(outbox_.front());
    outbox_.pop_front();
  }
}

void EnclaveLink::OnWritable(runtime::FramedStream& stream) {
  if (&stream != stream_.get()) return;
  FlushOutbox();
  LoadOn();
}

void EnclaveLink::OnFrame(runtime::FramedStream& stream, std::string payload) {
  if (&stream != stream_.get()) return;
  last_frame_ = dispatcher_->Now();
  ServerFrame frame;
  if (!frame.ParseFromString(payload)) {
    return Drop("the enclave sent a frame that is not a ServerFrame", options_.refused_retry);
  }
  if (frame.has_store()) return OnStore(std::move(*frame.mutable_store()));
  if (frame.request_id() == 0 && frame.has_audit_checkpoint()) {
    if (on_head_) on_head_(std::move(*frame.mutable_audit_checkpoint()));
    return;
  }
  const auto it = pending_.find(frame.request_id());
  if (it == pending_.end()) {
    // An answer that came after its time-out is dropped; an id never given out is no answer at all.
    if (frame.request_id() != 0 && frame.request_id() < next_id_) return;
    return Drop(
        absl::StrCat("the enclave answered request ", frame.request_id(), ", which was never made"),
        options_.refused_retry);
  }
  Reply reply = std::move(it->second.reply);
  pending_.erase(it);
  ++counters_.answers;
  reply(std::move(frame));
  MaybeStopped();
}

void EnclaveLink::ArmTimeout() {
  timeout_ = dispatcher_->After(options_.request_timeout / 4, [this] { Expire(); });
}

void EnclaveLink::Expire() {
  timeout_.reset();
  const absl::Time now = dispatcher_->Now();
  std::vector<Reply> late;
  bool waiting = false;
  for (auto it = pending_.begin(); it != pending_.end();) {
    if (it->second.deadline > now) {
      waiting = true;
      ++it;
      continue;
    }
    late.push_back(std::move(it->second.reply));
    it = pending_.erase(it);
  }
  if (waiting) ArmTimeout();
  counters_.timeouts += late.size();
  for (Reply& reply : late) {
    reply(absl::UnavailableError(absl::StrCat("the enclave gave no answer within ",
                                              absl::FormatDuration(options_.request_timeout),
                                              "; whether the request took effect is unknown")));
  }
  if (state_ == State::kStatus && !late.empty()) {
    Drop("the enclave did not answer a status request", backoff_.Next());
  } else if (state_ == State::kReady && !late.empty()) {
    Probe();
  }
  MaybeStopped();
}

void EnclaveLink::Probe() {
  const auto silent = [this] {
    // What it sends is not looked at while the store is behind.
    return !reading_paused_ && dispatcher_->Now() - last_frame_ >= options_.request_timeout;
  };
  if (probing_ || stopping_ || !silent()) return;
  probing_ = true;
  ClientFrame request;
  request.mutable_status();
  SendRequest(
      std::move(request),
      [this, silent, connection = connection_](const absl::StatusOr<ServerFrame>& frame) {
        if (connection != connection_) return;
        probing_ = false;
        if (frame.ok() || state_ != State::kReady || !silent()) return;
        Drop(absl::StrCat("the enclave hangs: it has sent nothing for ",
                          absl::FormatDuration(
                              absl::Trunc(dispatcher_->Now() - last_frame_, absl::Seconds(1)))),
             backoff_.Next());
      },
      options_.request_timeout);
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
