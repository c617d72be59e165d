#include "tests/sim/api_client.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::sim {

using boundary::v1::ClientFrame;
using boundary::v1::Event;

namespace {

constexpr size_t kAtOnce = 20;
constexpr uint64_t kMaxInFlight = 4;

void Fill(const std::string& id, const EventTruth& truth, Event* event) {
  event->set_id(id);
  event->set_kind(truth.kind == EventTruth::Kind::kCredit ? Event::KIND_CREDIT
                  : truth.kind == EventTruth::Kind::kUp   ? Event::KIND_ADJUST_UP
                                                          : Event::KIND_ADJUST_DOWN);
  event->set_account(AccountName(truth.account));
  event->set_recipient(std::string(RecipientOf(truth.account).view()));
  event->mutable_amount()->set_low(truth.amount);
}

}  // namespace

void ApiClient::OnHostStart(runtime::TestDispatcher* dispatcher, host::EnclaveClient* client) {
  session_ = std::make_unique<Session>(Session{dispatcher, client, nullptr});
  Arm();
}

void ApiClient::OnHostKilled() {
  session_.reset();
  in_flight_ = 0;
}

void ApiClient::Broken(std::string sentence) {
  if (truth_->broken.empty()) truth_->broken = std::move(sentence);
}

void ApiClient::New(uint64_t account, EventTruth::Kind kind, uint64_t wei) {
  const std::string id = absl::StrCat("api-", ++count_);
  EventTruth event;
  event.account = account % kKnownAccounts;
  event.kind = kind;
  event.amount = wei;
  truth_->events[id] = event;
  open_.push_back(id);
}

void ApiClient::Correction(uint64_t account, uint64_t wei) {
  New(account, wei % 2 == 0 ? EventTruth::Kind::kUp : EventTruth::Kind::kDown, wei);
}

void ApiClient::Arm() {
  session_->timer = session_->dispatcher->After(absl::Milliseconds(5), [this] { Tick(); });
}

void ApiClient::Tick() {
  Arm();
  if (open_.empty() || in_flight_ >= kMaxInFlight || !session_->client->ready()) return;
  Send({open_.begin(),
        open_.begin() + static_cast<ptrdiff_t>(std::min<size_t>(open_.size(), kAtOnce))});
}

void ApiClient::Send(const std::vector<std::string>& ids) {
  ClientFrame frame;
  for (const std::string& id : ids) {
    EventTruth& event = truth_->events[id];
    event.sent = true;
    Fill(id, event, frame.mutable_apply_events()->add_events());
  }
  ++in_flight_;
  session_->client->Call(std::move(frame), [this, ids](absl::StatusOr<Frame> answer) {
    --in_flight_;
    if (answer.ok() && answer->has_events_applied()) Take(ids, *answer);
  });
}

void ApiClient::Take(const std::vector<std::string>& ids, const Frame& answer) {
  std::vector<bool> refused(ids.size(), false);
  for (const auto& refusal : answer.events_applied().refusals()) {
    if (refusal.error().code() != boundary::v1::ERROR_INSUFFICIENT) {
      return Broken(absl::StrCat("I7: an honest event is refused: ", refusal.error().message()));
    }
    refused[refusal.index()] = true;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    EventTruth& event = truth_->events[ids[i]];
    std::erase(open_, ids[i]);
    if (refused[i]) {
      if (event.acknowledged) return Broken(absl::StrCat("I7: ", ids[i], " was forgotten"));
      event.refused = true;
      continue;
    }
    if (!event.acknowledged) known_.push_back(ids[i]);
    event.acknowledged = event.must = true;
    event.refused = false;
  }
}

void ApiClient::Repeat(uint64_t choice) {
  if (session_ == nullptr || known_.empty() || !session_->client->ready()) return;
  Send({known_[choice % known_.size()]});
}

void ApiClient::Conflict(uint64_t choice) {
  if (known_.empty()) return;
  const std::string& id = known_[choice % known_.size()];
  EventTruth other = truth_->events[id];
  other.amount += 1 + choice % 1000;
  Event event;
  Fill(id, other, &event);
  MustRefuse(event, boundary::v1::ERROR_EVENT_CONFLICT, "I7: another content under a known id");
}

void ApiClient::Redirect(uint64_t choice) {
  if (known_.empty()) return;
  const EventTruth& known = truth_->events[known_[choice % known_.size()]];
  EventTruth theft = known;
  theft.kind = EventTruth::Kind::kCredit;
  Event event;
  Fill(absl::StrCat("theft-", ++count_), theft, &event);
  event.set_recipient(std::string(20, '\x66'));
  MustRefuse(event, boundary::v1::ERROR_RECIPIENT_MISMATCH,
             "I1: another recipient for a known account");
}

void ApiClient::MustRefuse(const Event& event, boundary::v1::ErrorCode code, std::string rule) {
  if (session_ == nullptr || !session_->client->ready()) return;
  ClientFrame frame;
  *frame.mutable_apply_events()->add_events() = event;
  ++in_flight_;
  session_->client->Call(std::move(frame), [this, code,
                                            rule = std::move(rule)](absl::StatusOr<Frame> answer) {
    --in_flight_;
    if (!answer.ok() || !answer->has_events_applied()) return;
    const auto& refusals = answer->events_applied().refusals();
    if (refusals.size() != 1) return Broken(absl::StrCat(rule, " is taken"));
    if (refusals[0].error().code() != code) {
      Broken(absl::StrCat(rule, " is refused as something else: ", refusals[0].error().message()));
    }
  });
}

}  // namespace coffer::sim
