// An enclave behind the EnclaveClient that applies events as the boundary says, loses connections
// on demand, and remembers everything. On a Dispatcher, so that its answers come later.
#ifndef COFFER_TESTS_SUPPORT_FAKE_ENCLAVE_H_
#define COFFER_TESTS_SUPPORT_FAKE_ENCLAVE_H_

#include <cstdint>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "actors/host/enclave_client.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

// What outlives processes: the events that were applied, by id, as they were applied.
struct FakeLedger {
  std::map<std::string, boundary::v1::Event> applied;
  std::vector<std::string> order;
  std::set<std::string> refused_accounts;    // their events are refused
  std::set<std::string> malformed_accounts;  // a request with one of theirs is an Error as a whole
};

class FakeEnclave final : public EnclaveClient {
 public:
  FakeEnclave(runtime::Dispatcher* dispatcher, FakeLedger* ledger)
      : dispatcher_(dispatcher), ledger_(ledger) {}

  void Call(boundary::v1::ClientFrame request, Reply reply) override {
    max_pending_ = std::max(max_pending_, pending_.size() + 1);
    pending_.emplace_back(std::move(request), std::move(reply));
    if (!silent_) dispatcher_->Post([this] { Answer(); });
  }
  bool ready() const override { return ready_; }
  void Watch(absl::AnyInvocable<void(bool)> observer) override {
    observers_.push_back(std::move(observer));
  }

  void SetReady(bool ready) {
    ready_ = ready;
    for (auto& observer : observers_) observer(ready);
  }
  // Requests are kept and not answered until Resume.
  void Hold() { silent_ = true; }
  void Resume() {
    silent_ = false;
    for (size_t i = pending_.size(); i > 0; --i) dispatcher_->Post([this] { Answer(); });
  }
  // The connection breaks after the first `applied` of the pending requests took effect.
  void Lose(size_t applied) {
    std::deque<std::pair<boundary::v1::ClientFrame, Reply>> lost;
    lost.swap(pending_);
    SetReady(false);
    for (size_t i = 0; i < lost.size(); ++i) {
      if (i < applied) (void)Apply(lost[i].first.apply_events());
    }
    for (auto& [request, reply] : lost) reply(absl::UnavailableError("the connection was lost"));
  }
  // The next `count` requests are answered with this code.
  void FailNext(boundary::v1::ErrorCode code, int count) {
    fail_code_ = code;
    fail_count_ = count;
  }
  size_t pending() const { return pending_.size(); }
  size_t max_pending() const { return max_pending_; }

 private:
  void Answer() {
    if (pending_.empty() || silent_) return;
    auto [request, reply] = std::move(pending_.front());
    pending_.pop_front();
    reply(Apply(request.apply_events()));
  }

  boundary::v1::ServerFrame Apply(const boundary::v1::ApplyEvents& request) {
    namespace v1 = boundary::v1;
    v1::ServerFrame frame;
    if (fail_count_ > 0) {
      --fail_count_;
      frame.mutable_error()->set_code(fail_code_);
      return frame;
    }
    for (const v1::Event& event : request.events()) {
      if (ledger_->malformed_accounts.count(event.account()) == 0) continue;
      frame.mutable_error()->set_code(v1::ERROR_MALFORMED);
      return frame;
    }
    v1::EventsApplied& out = *frame.mutable_events_applied();
    for (int i = 0; i < request.events_size(); ++i) {
      const v1::Event& event = request.events(i);
      const auto index = static_cast<uint32_t>(i);
      const auto it = ledger_->applied.find(event.id());
      v1::ErrorCode code = v1::ERROR_UNSPECIFIED;
      if (ledger_->refused_accounts.count(event.account()) != 0) code = v1::ERROR_INSUFFICIENT;
      if (it != ledger_->applied.end()) {
        if (it->second.SerializeAsString() == event.SerializeAsString()) {
          out.add_duplicates(index);
          continue;
        }
        code = v1::ERROR_EVENT_CONFLICT;
      }
      if (code != v1::ERROR_UNSPECIFIED) {
        v1::EventRefusal& refusal = *out.add_refusals();
        refusal.set_index(index);
        refusal.mutable_error()->set_code(code);
        refusal.mutable_error()->set_message("no");
        continue;
      }
      ledger_->applied[event.id()] = event;
      ledger_->order.push_back(event.id());
      out.set_applied(out.applied() + 1);
    }
    return frame;
  }

  runtime::Dispatcher* const dispatcher_;
  FakeLedger* const ledger_;
  bool ready_ = true;
  bool silent_ = false;
  boundary::v1::ErrorCode fail_code_ = boundary::v1::ERROR_UNSPECIFIED;
  int fail_count_ = 0;
  size_t max_pending_ = 0;
  std::deque<std::pair<boundary::v1::ClientFrame, Reply>> pending_;
  std::vector<absl::AnyInvocable<void(bool)>> observers_;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_SUPPORT_FAKE_ENCLAVE_H_
