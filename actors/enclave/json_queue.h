// The JSON protocol has no request ids, so a connection's answers go in the order of its requests,
// however they were finished.
#ifndef COFFER_ACTORS_ENCLAVE_JSON_QUEUE_H_
#define COFFER_ACTORS_ENCLAVE_JSON_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "enclave_core/json_protocol/json_protocol.h"
#include "proto/boundary.pb.h"

namespace coffer::enclave {

class JsonQueue {
 public:
  // A request is on its way; the id its answer comes back with. From 1.
  uint64_t Add(json_protocol::Call call);
  // A request that was answered before it went anywhere.
  void AddAnswered(std::string answer);
  void Answer(uint64_t id, const boundary::v1::ServerFrame& frame);
  // Hands out the answers whose turn has come, in order.
  void Take(absl::FunctionRef<void(std::string_view)> send);
  // Bytes of answers that wait for one before them.
  size_t waiting_bytes() const { return waiting_bytes_; }
  // Requests whose answer has not been taken.
  size_t size() const { return slots_.size(); }

 private:
  struct Slot {
    json_protocol::Call call;
    std::string answer;  // empty: not yet
  };
  std::deque<Slot> slots_;
  uint64_t first_id_ = 1;  // of slots_.front()
  size_t waiting_bytes_ = 0;
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_JSON_QUEUE_H_
