// A connection to an enclave's port, as the harness uses it: calls with answers, and the storage's
// side of the boundary.
#ifndef COFFER_BENCH_LOAD_CLIENT_H_
#define COFFER_BENCH_LOAD_CLIENT_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "bench/load/storage.h"
#include "proto/boundary.pb.h"
#include "runtime/event_loop.h"
#include "runtime/stream.h"

namespace coffer::load {

// Everything on the loop's thread; the functions that say so run the loop until they are done. A
// connection that is lost stops the process with a sentence: a measurement without it means
// nothing.
class Client : public runtime::StreamHandler {
 public:
  using Reply = absl::AnyInvocable<void(const boundary::v1::ServerFrame&)>;

  // Runs the loop until connected. Retries for 10 s, because the enclave may be starting.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(runtime::EventLoop* loop,
                                                         runtime::Network* network,
                                                         const runtime::Endpoint& endpoint);

  // One attempt; the loop goes on. `then` is called once.
  using Connected = absl::AnyInvocable<void(absl::StatusOr<std::unique_ptr<Client>>)>;
  static void ConnectThen(runtime::EventLoop* loop, runtime::Network* network,
                          const runtime::Endpoint& endpoint, Connected then);

  // Sends a request; its request_id is set here.
  void Call(boundary::v1::ClientFrame frame, Reply reply);
  // The same for a frame that was serialized before, with this request_id in it.
  void CallSerialized(uint64_t request_id, const std::string& frame, Reply reply);
  // Runs the loop until the answer is there; an Error body becomes a status.
  absl::StatusOr<boundary::v1::ServerFrame> CallAndWait(boundary::v1::ClientFrame frame);
  absl::StatusOr<boundary::v1::Status> AskStatus();

  // Makes this connection the enclave's storage: loads what is stored into an empty enclave, or
  // attaches to one that has a state. Runs the loop. `seconds` gets how long the load took.
  absl::Status BecomeStorage(Storage* storage, bool with_snapshot, double* seconds);
  void SendStored(const boundary::v1::Stored& stored);

  void OnFrame(runtime::FramedStream& stream, std::string payload) override;
  void OnWritable(runtime::FramedStream& stream) override;
  void OnClosed(runtime::FramedStream& stream, const absl::Status& why) override;

 private:
  explicit Client(runtime::EventLoop* loop) : loop_(loop) {}
  absl::Status Load(bool with_snapshot, double* seconds);

  runtime::EventLoop* const loop_;
  std::unique_ptr<runtime::FramedStream> stream_;
  uint64_t last_id_ = 1ull << 40;  // above what callers number themselves
  absl::flat_hash_map<uint64_t, Reply> waiting_;
  Storage* storage_ = nullptr;
};

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_CLIENT_H_
