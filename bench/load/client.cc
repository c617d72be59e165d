#include "bench/load/client.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace coffer::load {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(runtime::EventLoop* loop,
                                                        runtime::Network* network,
                                                        const runtime::Endpoint& endpoint) {
  const absl::Time deadline = loop->Now() + absl::Seconds(10);
  while (true) {
    absl::StatusOr<std::unique_ptr<Client>> client;
    bool done = false;
    ConnectThen(loop, network, endpoint, [&](absl::StatusOr<std::unique_ptr<Client>> connected) {
      client = std::move(connected);
      done = true;
      loop->Stop();
    });
    while (!done) loop->Run();
    if (client.ok() || loop->Now() > deadline) return client;
    const std::unique_ptr<runtime::Timer> pause =
        loop->After(absl::Milliseconds(10), [loop] { loop->Stop(); });
    loop->Run();
  }
}

void Client::ConnectThen(runtime::EventLoop* loop, runtime::Network* network,
                         const runtime::Endpoint& endpoint, Connected then) {
  network->Connect(endpoint,
                   [client = std::unique_ptr<Client>(new Client(loop)), then = std::move(then)](
                       absl::StatusOr<std::unique_ptr<runtime::FramedStream>> stream) mutable {
                     if (!stream.ok()) return then(stream.status());
                     (*stream)->SetHandler(client.get());
                     client->stream_ = *std::move(stream);
                     then(std::move(client));
                   });
}

void Client::Call(ClientFrame frame, Reply reply) {
  frame.set_request_id(++last_id_);
  CallSerialized(last_id_, frame.SerializeAsString(), std::move(reply));
}

void Client::CallSerialized(uint64_t request_id, const std::string& frame, Reply reply) {
  waiting_.emplace(request_id, std::move(reply));
  stream_->Send(frame);
}

absl::StatusOr<ServerFrame> Client::CallAndWait(ClientFrame frame) {
  ServerFrame answer;
  bool done = false;
  Call(std::move(frame), [&](const ServerFrame& a) {
    answer = a;
    done = true;
    loop_->Stop();
  });
  // A Stop of before may still be on its way.
  while (!done) loop_->Run();
  if (answer.has_error()) return absl::InternalError(answer.error().message());
  return answer;
}

absl::StatusOr<boundary::v1::Status> Client::AskStatus() {
  ClientFrame ask;
  ask.mutable_status();
  absl::StatusOr<ServerFrame> answer = CallAndWait(std::move(ask));
  if (!answer.ok()) return answer.status();
  return std::move(*answer->mutable_status());
}

absl::Status Client::BecomeStorage(Storage* storage, bool with_snapshot, double* seconds) {
  storage_ = storage;
  const absl::StatusOr<boundary::v1::Status> status = AskStatus();
  if (!status.ok()) return status.status();
  if (status->phase() == boundary::v1::PHASE_EMPTY) return Load(with_snapshot, seconds);
  ClientFrame attach;
  attach.mutable_attach_storage()->set_last_sequence(storage->last_sequence());
  attach.mutable_attach_storage()->set_last_hash(storage->last_hash());
  return CallAndWait(std::move(attach)).status();
}

// Sends everything without waiting for the single answers, within what the stream may hold.
absl::Status Client::Load(bool with_snapshot, double* seconds) {
  const absl::Time start = loop_->Now();
  absl::Status first_error = absl::OkStatus();
  size_t in_flight = 0;
  const auto answered = [&](const ServerFrame& answer) {
    --in_flight;
    if (answer.has_error() && first_error.ok())
      first_error = absl::InternalError(answer.error().message());
    loop_->Stop();
  };
  const auto send = [&](ClientFrame frame) {
    while (in_flight >= 16) loop_->Run();
    ++in_flight;
    Call(std::move(frame), answered);
  };
  ClientFrame begin;
  begin.mutable_load_begin();
  send(std::move(begin));
  absl::Status read = storage_->ForEach(with_snapshot, [&](const boundary::v1::Store& store) {
    ClientFrame record;
    record.mutable_load_record()->set_sealed(store.sealed());
    send(std::move(record));
  });
  if (!read.ok()) return read;
  ClientFrame end;
  end.mutable_load_end();
  send(std::move(end));
  while (in_flight > 0) loop_->Run();
  *seconds = absl::ToDoubleSeconds(loop_->Now() - start);
  return first_error;
}

void Client::SendStored(const boundary::v1::Stored& stored) {
  ClientFrame frame;
  *frame.mutable_stored() = stored;
  stream_->Send(frame.SerializeAsString());
}

void Client::OnFrame(runtime::FramedStream&, std::string payload) {
  ServerFrame frame;
  if (!frame.ParseFromString(payload)) {
    std::fprintf(stderr, "coffer-bench: the enclave sent a frame that is no ServerFrame\n");
    std::exit(1);
  }
  if (frame.has_store()) {
    if (storage_ != nullptr) storage_->Add(std::move(*frame.mutable_store()));
    return;
  }
  const auto waiting = waiting_.find(frame.request_id());
  if (waiting == waiting_.end()) return;
  Reply reply = std::move(waiting->second);
  waiting_.erase(waiting);
  reply(frame);
}

void Client::OnWritable(runtime::FramedStream&) {}

void Client::OnClosed(runtime::FramedStream&, const absl::Status& why) {
  std::fprintf(stderr, "coffer-bench: the enclave closed the connection: %s\n",
               std::string(why.message()).c_str());
  std::exit(1);
}

}  // namespace coffer::load
