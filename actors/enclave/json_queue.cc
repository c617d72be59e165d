#include "actors/enclave/json_queue.h"

#include <utility>

#include "invariant/check.h"

namespace coffer::enclave {

uint64_t JsonQueue::Add(json_protocol::Call call) {
  slots_.push_back({std::move(call), ""});
  return first_id_ + slots_.size() - 1;
}

void JsonQueue::AddAnswered(std::string answer) {
  waiting_bytes_ += answer.size();
  slots_.push_back({{}, std::move(answer)});
}

void JsonQueue::Answer(uint64_t id, const boundary::v1::ServerFrame& frame) {
  COFFER_CHECK(id >= first_id_ && id - first_id_ < slots_.size(), "an answer to no request");
  Slot& slot = slots_[id - first_id_];
  slot.answer = json_protocol::WriteAnswer(slot.call, frame);
  waiting_bytes_ += slot.answer.size();
}

void JsonQueue::Take(absl::FunctionRef<void(std::string_view)> send) {
  while (!slots_.empty() && !slots_.front().answer.empty()) {
    send(slots_.front().answer);
    waiting_bytes_ -= slots_.front().answer.size();
    slots_.pop_front();
    ++first_id_;
  }
}

}  // namespace coffer::enclave
