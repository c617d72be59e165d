// An enclave without cryptography, for tests of the host: it keeps a chain of records in the clear,
// refuses a wrong load, and says what a test told it to say.
#ifndef COFFER_TESTS_SUPPORT_SCRIPTED_ENCLAVE_H_
#define COFFER_TESTS_SUPPORT_SCRIPTED_ENCLAVE_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/record_store.h"
#include "proto/boundary.pb.h"
#include "runtime/stream.h"

namespace coffer::host {

class ScriptedEnclave final : public runtime::StreamHandler {
 public:
  using ClientFrame = boundary::v1::ClientFrame;
  using ServerFrame = boundary::v1::ServerFrame;

  ScriptedEnclave(runtime::Network* network, const runtime::Endpoint& endpoint) {
    listener_ = *network->Listen(endpoint, [this](std::unique_ptr<runtime::FramedStream> stream) {
      stream->SetHandler(this);
      streams_.push_back(std::move(stream));
    });
  }

  static std::string RecordBytes(uint64_t sequence) {
    return absl::StrCat("record ", sequence, " ", std::string(sequence % 300, 'r'));
  }
  static std::string ChunkBytes(uint64_t sequence, uint32_t index) {
    return absl::StrCat("chunk ", sequence, "/", index);
  }

  // Makes the next record and sends it to the storage.
  void Seal() { SendRecord(++sealed_); }
  void SendRecord(uint64_t sequence) {
    ServerFrame frame;
    frame.mutable_store()->set_kind(boundary::v1::Store::KIND_RECORD);
    frame.mutable_store()->set_sequence(sequence);
    frame.mutable_store()->set_sealed(fork_ ? "another history" : RecordBytes(sequence));
    if (leaves) {
      frame.mutable_store()->set_leaves(leaves(sequence));
      frame.mutable_store()->set_tree_size(sequence);
    }
    Send(frame);
  }
  void SendChunk(uint64_t sequence, uint32_t index, uint32_t count) {
    ServerFrame frame;
    frame.mutable_store()->set_kind(boundary::v1::Store::KIND_SNAPSHOT_CHUNK);
    frame.mutable_store()->set_sequence(sequence);
    frame.mutable_store()->set_chunk_index(index);
    frame.mutable_store()->set_chunk_count(count);
    frame.mutable_store()->set_sealed(ChunkBytes(sequence, index));
    Send(frame);
  }
  void Send(const ServerFrame& frame) {
    if (storage_ != nullptr) storage_->Send(frame.SerializeAsString());
  }
  void SendRaw(const std::string& payload) { storage_->Send(payload); }
  void CloseAll() { streams_.clear(), storage_ = nullptr; }

  // What a test sets.
  boundary::v1::Phase phase = boundary::v1::PHASE_EMPTY;
  uint32_t state_key_epoch = 0;
  std::string refuse_load;                                           // a sentence, or empty
  std::string refuse_attach;                                         // likewise
  bool fork_ = false;                                                // resends other bytes
  bool without_storage = false;                                      // as --storage none
  bool mute = false;                                                 // answers no request
  std::function<std::string(uint64_t sequence)> leaves;              // beside each record
  std::function<bool(const ClientFrame&, ServerFrame&)> on_request;  // false: no answer yet
  std::function<void(boundary::v1::Status*)> on_status;              // adds to an answer
  std::function<void()> on_loaded;

  // What a test reads.
  uint64_t sealed_ = 0;
  uint64_t stored_ = 0;
  uint64_t stored_snapshot = 0;
  uint32_t stored_chunks = 0;
  uint64_t attached_sequence = 0;
  std::string attached_hash;
  std::vector<std::string> loaded;
  int statuses = 0;
  int loads = 0;
  int attaches = 0;
  size_t most_unanswered_loads = 0;

  void OnFrame(runtime::FramedStream& stream, std::string payload) override {
    ClientFrame request;
    if (!request.ParseFromString(payload)) return;
    ServerFrame answer;
    answer.set_request_id(request.request_id());
    if (Handle(stream, request, answer)) stream.Send(answer.SerializeAsString());
  }
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream& stream, const absl::Status&) override {
    if (storage_ == &stream) storage_ = nullptr;
    for (auto it = streams_.begin(); it != streams_.end(); ++it) {
      if (it->get() == &stream) {
        streams_.erase(it);
        return;
      }
    }
  }

 private:
  bool Handle(runtime::FramedStream& stream, const ClientFrame& request, ServerFrame& answer) {
    switch (request.body_case()) {
      case ClientFrame::kStatus:
        ++statuses;
        answer.mutable_status()->set_phase(phase);
        answer.mutable_status()->set_without_storage(without_storage);
        answer.mutable_status()->set_state_key_epoch(state_key_epoch);
        if (on_status) on_status(answer.mutable_status());
        return !mute;
      case ClientFrame::kLoadBegin:
        ++loads;
        phase = boundary::v1::PHASE_LOADING;
        loaded.clear();
        answer.mutable_load_begun();
        return true;
      case ClientFrame::kLoadRecord:
        loaded.push_back(request.load_record().sealed());
        if (refuse_load.empty()) {
          answer.mutable_record_loaded();
        } else {
          phase = boundary::v1::PHASE_EMPTY;
          answer.mutable_error()->set_code(boundary::v1::ERROR_STATE_REFUSED);
          answer.mutable_error()->set_message(refuse_load);
        }
        return true;
      case ClientFrame::kLoadEnd:
        phase = boundary::v1::PHASE_READY;
        storage_ = &stream;
        answer.mutable_load_done()->set_phase(phase);
        stored_ = sealed_ = loaded.empty() ? 0 : sealed_;
        if (loaded.empty()) Seal();  // genesis, before the answer
        if (on_loaded) on_loaded();
        return true;
      case ClientFrame::kAttachStorage:
        ++attaches;
        attached_sequence = request.attach_storage().last_sequence();
        attached_hash = request.attach_storage().last_hash();
        if (!refuse_attach.empty()) {
          answer.mutable_error()->set_code(boundary::v1::ERROR_STORAGE_BEHIND);
          answer.mutable_error()->set_message(refuse_attach);
          return true;
        }
        storage_ = &stream;
        answer.mutable_storage_attached();
        for (uint64_t s = stored_ + 1; s <= sealed_; ++s) SendRecord(s);
        return true;
      case ClientFrame::kStored:
        if (request.stored().sequence() > stored_) stored_ = request.stored().sequence();
        if (request.stored().snapshot_sequence() != 0) {
          stored_snapshot = request.stored().snapshot_sequence();
          stored_chunks = request.stored().snapshot_chunks();
        }
        return false;
      default:
        if (mute) return false;
        if (on_request) return on_request(request, answer);
        answer.mutable_error()->set_code(boundary::v1::ERROR_UNKNOWN_METHOD);
        return true;
    }
  }

  std::unique_ptr<runtime::Listener> listener_;
  std::vector<std::unique_ptr<runtime::FramedStream>> streams_;
  runtime::FramedStream* storage_ = nullptr;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_SUPPORT_SCRIPTED_ENCLAVE_H_
