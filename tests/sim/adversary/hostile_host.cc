#include "tests/sim/adversary/hostile_host.h"

#include <algorithm>

#include "tests/sim/wire/asked.h"

namespace coffer::sim {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

std::string NameOf(const ClientFrame& frame) {
  if (frame.body_case() == ClientFrame::BODY_NOT_SET) return "none";
  const std::string& name = ClientFrame::descriptor()->FindFieldByNumber(frame.body_case())->name();
  const boundary::v1::Strategy strategy = frame.prepare_funding().strategy();
  return wire::IsMove(strategy) ? name + ":" + boundary::v1::Strategy_Name(strategy) : name;
}

}  // namespace

HostileHost::HostileHost(HostileWorld* world, AdversaryOptions::Mode mode, uint64_t seed)
    : world_(world),
      mode_(mode),
      signing_ciphertext_(world->kms().Encrypt(std::string(32, '\x42'))),
      foreign_ciphertext_(world->kms().Encrypt(std::string(32, '\x43'))) {
  Draw draw(seed ^ 0x4ab1);
  habits_.transfers = 2 + draw.Below(8);
  habits_.failures = 2 + draw.Below(5);
  habits_.small_deposits = 1 + draw.Below(6);
  world_->OnFrame([this](Session* session, std::string payload) { OnFrame(session, payload); });
}

// Processes are anywhere; what is said is mostly said to an enclave that has a state.
size_t HostileHost::Where(const HostileAction& action, Draw& draw) const {
  const size_t slot = action.a % kSlots;
  switch (action.kind) {
    case Kind::kRecover:
    case Kind::kStart:
    case Kind::kKill:
    case Kind::kCut:
    case Kind::kLoad:
    case Kind::kLoadPiece:
      return slot;
    default:
      break;
  }
  if (draw.OneIn(10)) return slot;
  for (size_t i = 0; i < kSlots; ++i) {
    if (places_[(slot + i) % kSlots].answered) return (slot + i) % kSlots;
  }
  return slot;
}

void HostileHost::Act(const HostileAction& action) {
  ++counted_.actions;
  Draw draw(action.c);
  const size_t slot = Where(action, draw);
  asked_place_ = &places_[slot];
  switch (action.kind) {
    case Kind::kRecover:
      return Recover(slot, draw);
    case Kind::kStart:
      return world_->Start(slot);
    case Kind::kKill:
      return Kill(slot);
    case Kind::kConnect:
      Connect(slot);
      return;
    case Kind::kClose:
      if (Session* session = Any(slot, draw)) session->Close();
      return;
    case Kind::kCut:
      return world_->Cut(slot);
    case Kind::kLoad:
      return Load(slot, action.b % 10, draw);
    case Kind::kLoadPiece:
      return LoadPiece(slot, action.b % 4, draw);
    case Kind::kAttach:
      return Attach(slot, action.b % 6, draw);
    case Kind::kStorageMode:
      places_[slot].acknowledges = action.b % 3 != 0;
      return;
    case Kind::kAck:
      return Acknowledge(slot, action.b % 8, draw);
    case Kind::kClock:
      return world_->SetClock(slot, absl::Minutes(static_cast<int64_t>(draw.Below(4000)) - 1000));
    case Kind::kRotate:
      return Rotate(slot, action.b, draw);
    case Kind::kSlowSigner:
      return world_->StopSigner(slot, absl::Microseconds(static_cast<int64_t>(draw.Below(60'000))));
    case Kind::kGarbage: {
      Session* session = Any(slot, draw);
      if (session == nullptr) return;
      std::string bytes(1 + draw.Below(40), '\0');
      for (char& c : bytes) c = static_cast<char>(draw.Below(256));
      if (action.b % 3 == 0) bytes = R"({"method":"status"})";
      if (action.b % 3 == 1) bytes = R"({"method":"withdraw","params":{"to":"me"}})";
      return session->Send(bytes);
    }
    case Kind::kSameId: {
      Session* session = Any(slot, draw);
      if (session == nullptr) return;
      ClientFrame frame = Request(Kind::kRead, action.b, draw);
      Send(session, frame);
      frame.set_request_id(last_id_);
      return session->Send(frame.SerializeAsString());
    }
    default:
      if (Session* session = Any(slot, draw)) {
        Send(session, Request(action.kind, action.b, draw));
      }
  }
}

// ---- processes and storage ----------------------------------------------------------------------

HostileHost::Session* HostileHost::Connect(size_t slot) {
  Session* session = world_->Connect(slot);
  if (session != nullptr) places_[slot].sessions.push_back(session);
  return session;
}

HostileHost::Session* HostileHost::Any(size_t slot, Draw& draw) {
  std::vector<Session*> open;
  for (Session* session : places_[slot].sessions) {
    if (session->open()) open.push_back(session);
  }
  return open.empty() ? nullptr : open[draw.Below(open.size())];
}

void HostileHost::Kill(size_t slot) {
  world_->Kill(slot);
  places_[slot] = Place();
}

// In the mode without roll-backs one enclave at a time has a state: what two of them release from
// one state is no longer one history, whoever acknowledges what.
bool HostileHost::MayLoad(size_t slot) const {
  if (mode_ == AdversaryOptions::Mode::kRollback) return true;
  for (size_t other = 0; other < kSlots; ++other) {
    if (other != slot && (places_[other].answered || places_[other].loading)) return false;
  }
  return true;
}

void HostileHost::Recover(size_t slot, Draw& draw) {
  if (!MayLoad(slot)) {
    for (size_t other = 0; other < kSlots; ++other) {
      if (places_[other].answered || places_[other].loading) slot = other;
    }
  }
  Place& place = places_[slot];
  world_->Start(slot);
  Session* session = Any(slot, draw);
  if (session == nullptr) {
    Connect(slot);
    // The next action of this kind goes on from here; a fresh session opens within a millisecond.
    world_->Advance(absl::Milliseconds(2));
    session = Any(slot, draw);
  }
  if (session == nullptr) return;
  if (!place.answered && !place.loading && (place.lost || !HasKeys(place))) {
    // With these keys it loads nothing that is there; without any, it waits for some.
    if (place.lost || !place.keys.state.empty()) return Kill(slot);
    if (draw.OneIn(3)) {
      ClientFrame frame;
      BadProvision(draw.Below(8), draw, &frame);
      Send(session, frame);
      world_->Advance(absl::Milliseconds(4));
    }
    Provision(session, draw);
    world_->Advance(absl::Milliseconds(4));
  }
  if (!place.answered) {
    // A load that is refused leaves the enclave as it was, so one can be tried with every start.
    if (!place.loading || draw.OneIn(2)) Load(slot, draw.OneIn(2) ? 9 : draw.Below(10), draw);
  } else if (place.storage == nullptr || !place.storage->open()) {
    Attach(slot, 5, draw);
  }
  if (draw.OneIn(2)) place.acknowledges = true;
  if (place.acknowledges && place.storage != nullptr && place.newest >= 0 && MayAcknowledge(slot)) {
    Stored(slot, place.storage, memory_.records()[static_cast<size_t>(place.newest)].sequence);
  }
}

int HostileHost::ChooseRecord(Draw& draw) const {
  if (memory_.records().empty()) return -1;
  const int count = static_cast<int>(memory_.records().size());
  if (mode_ == AdversaryOptions::Mode::kRollback) {
    if (draw.OneIn(20)) return -1;
    // The newest, or any.
    return draw.OneIn(2) ? count - 1 : static_cast<int>(draw.Below(memory_.records().size()));
  }
  // Nothing that lacks what was acknowledged; what was never acknowledged may be there or not.
  std::vector<int> allowed;
  for (int i = std::max(released_, 0); i < count; ++i) {
    if (memory_.BuildsOn(i, released_)) allowed.push_back(i);
  }
  if (released_ < 0) allowed.push_back(-1);
  return allowed[draw.Below(allowed.size())];
}

// The record, or the chunk, of another line that has the number of this one; itself when there is
// none.
void HostileHost::Exchange(Draw& draw, std::string* sealed) const {
  const std::vector<KeptRecord>& records = memory_.records();
  const auto own = std::find_if(records.begin(), records.end(),
                                [&](const KeptRecord& one) { return one.sealed == *sealed; });
  if (own == records.end()) {
    std::vector<std::string> chunks = memory_.ChunksLike(*sealed);
    if (!chunks.empty()) *sealed = std::move(chunks[draw.Below(chunks.size())]);
    return;
  }
  std::vector<const KeptRecord*> others;
  for (const KeptRecord& one : records) {
    if (one.sequence == own->sequence && one.hash != own->hash) others.push_back(&one);
  }
  if (!others.empty()) *sealed = others[draw.Below(others.size())]->sealed;
}

void HostileHost::Load(size_t slot, uint64_t how, Draw& draw) {
  Session* session = Any(slot, draw);
  if (session == nullptr || !MayLoad(slot)) return;
  Place& place = places_[slot];
  // What is sealed under a key that nobody was told of is lost.
  if (place.keys.state.empty()) return Provision(session, draw);
  // Which of two loads was taken is not known before the answer, so with one history to keep both
  // are of one record: what is acknowledged from then on would be taken for another line's.
  const bool once_more = place.loading && mode_ == AdversaryOptions::Mode::kAdversary;
  const int record = once_more ? place.newest : ChooseRecord(draw);
  std::vector<std::string> pieces = memory_.Pieces(record, !draw.OneIn(4));
  const size_t at = pieces.empty() ? 0 : draw.Below(pieces.size());
  if (!pieces.empty()) {
    const auto it = pieces.begin() + static_cast<std::ptrdiff_t>(at);
    // A piece that is left out at the end is a roll-back and no damage.
    if (how == 0 && at + 1 < pieces.size()) pieces.erase(it);
    if (how == 1) pieces.insert(it, *it);
    if (how == 2 && at > 0) std::swap(pieces[at - 1], pieces[at]);
    if (how == 3)
      pieces[at][draw.Below(pieces[at].size())] ^= static_cast<char>(1 + draw.Below(255));
    if (how == 4) {
      pieces.push_back(ForeignRecord(memory_.records()[static_cast<size_t>(record)], draw));
    }
    if (how == 5) pieces.push_back(memory_.records()[draw.Below(memory_.records().size())].sealed);
    // At the end it is another state, and no damage either.
    if (how == 6 && (mode_ == AdversaryOptions::Mode::kRollback || at + 1 < pieces.size())) {
      Exchange(draw, &pieces[at]);
    }
  }
  // A record too many may be the next one, so that such a load counts as one that may succeed.
  if (!place.answered) {
    place.loading = true;
    place.storage = session;
    place.newest = place.acknowledged = record;
  }
  ClientFrame frame;
  frame.mutable_load_begin();
  Send(session, frame);
  for (const std::string& piece : pieces) {
    frame.mutable_load_record()->set_sealed(piece);
    Send(session, frame);
  }
  frame.mutable_load_end();
  Send(session, frame);
}

void HostileHost::LoadPiece(size_t slot, uint64_t how, Draw& draw) {
  Session* session = Any(slot, draw);
  if (session == nullptr) return;
  ClientFrame frame;
  if (how == 0) frame.mutable_load_begin();
  if (how == 1 || how == 2) {
    const auto& records = memory_.records();
    std::string* sealed = frame.mutable_load_record()->mutable_sealed();
    if (records.empty()) return;
    *sealed = records[draw.Below(records.size())].sealed;
    if (how == 2) sealed->resize(draw.Below(sealed->size()));
  }
  if (how == 3 && places_[slot].keys.state.empty()) return;
  // Alone it would load an empty state, which is a roll-back unless there is nothing yet.
  if (how == 3 && mode_ == AdversaryOptions::Mode::kAdversary && !places_[slot].answered) return;
  if (how == 3) frame.mutable_load_end();
  Send(session, frame);
}

void HostileHost::Attach(size_t slot, uint64_t how, Draw& draw) {
  Session* session = Any(slot, draw);
  Place& place = places_[slot];
  if (session == nullptr) return;
  const auto& records = memory_.records();
  int claim = place.acknowledged;
  if (how == 0 && !records.empty()) claim = static_cast<int>(draw.Below(records.size()));
  if (how == 1) claim = place.newest;  // more than it acknowledged
  if (claim == place.newest && claim != place.acknowledged && !MayAcknowledge(slot)) return;
  ClientFrame frame;
  auto* attach = frame.mutable_attach_storage();
  if (claim >= 0) {
    attach->set_last_sequence(records[static_cast<size_t>(claim)].sequence);
    attach->set_last_hash(std::string(records[static_cast<size_t>(claim)].hash.view()));
  }
  if (how == 2) attach->set_last_hash(std::string(32, '\x13'));
  if (how == 3) attach->set_last_sequence(attach->last_sequence() + 1 + draw.Below(5));
  if (how == 4) attach->set_last_sequence(UINT64_MAX);
  // A true claim of a record that this enclave has handed out acknowledges it.
  const bool names = how < 2 && memory_.BuildsOn(place.newest, claim);
  if (how == 0 && names && claim > place.acknowledged && !MayAcknowledge(slot)) return;
  Send(session, frame);
  if (names && claim > place.acknowledged) {
    place.acknowledged = claim;
    released_ = std::max(released_, claim);
  }
}

// With one history to keep, only the line that has everything acknowledged so far goes on.
bool HostileHost::MayAcknowledge(size_t slot) const {
  return mode_ == AdversaryOptions::Mode::kRollback ||
         memory_.BuildsOn(places_[slot].newest, released_);
}

void HostileHost::Stored(size_t slot, Session* session, uint64_t sequence) {
  ClientFrame frame;
  frame.mutable_stored()->set_sequence(sequence);
  session->Send(frame.SerializeAsString());
  Place& place = places_[slot];
  if (session != place.storage) return;
  for (int at = place.newest; at >= 0 && at > place.acknowledged;) {
    const KeptRecord& record = memory_.records()[static_cast<size_t>(at)];
    if (record.sequence <= sequence) {
      place.acknowledged = at;
      released_ = std::max(released_, at);
      break;
    }
    at = record.parent;
  }
}

void HostileHost::Acknowledge(size_t slot, uint64_t how, Draw& draw) {
  Place& place = places_[slot];
  if (place.storage == nullptr || !MayAcknowledge(slot)) return;
  const uint64_t newest =
      place.newest < 0 ? 0 : memory_.records()[static_cast<size_t>(place.newest)].sequence;
  const uint64_t done = place.acknowledged < 0
                            ? 0
                            : memory_.records()[static_cast<size_t>(place.acknowledged)].sequence;
  switch (how) {
    case 0:  // somebody who is not the storage
      if (Session* other = Any(slot, draw); other != nullptr && other != place.storage) {
        Stored(slot, other, newest);
      }
      return;
    case 1:  // what it never got; whatever is handed out until this arrives counts
      if (mode_ == AdversaryOptions::Mode::kAdversary) return;
      return Stored(slot, place.storage, newest + 1 + draw.Below(1000));
    case 2:
      return Stored(slot, place.storage, done);
    case 3: {  // a snapshot's chunks that were not asked for
      ClientFrame frame;
      frame.mutable_stored()->set_snapshot_sequence(draw.Below(newest + 2));
      frame.mutable_stored()->set_snapshot_chunks(static_cast<uint32_t>(draw.Below(100)));
      return place.storage->Send(frame.SerializeAsString());
    }
    case 4:
      // After a roll-back what was stored can be ahead of what was handed out since.
      return Stored(slot, place.storage, done + draw.Below(std::max(newest, done) - done + 1));
    default:
      Stored(slot, place.storage, newest);
      if (how == 5) Stored(slot, place.storage, newest);
  }
}

// ---- what comes ---------------------------------------------------------------------------------

uint64_t HostileHost::Send(Session* session, ClientFrame frame) {
  frame.set_request_id(++last_id_);
  asked_[{session->id(), last_id_}] = NameOf(frame);
  session->Send(frame.SerializeAsString());
  return last_id_;
}

void HostileHost::OnStore(Session* session, const boundary::v1::Store& store) {
  Place& place = places_[session->slot()];
  const int record = memory_.Keep(store);
  const auto& sessions = place.sessions;
  if (std::find(sessions.begin(), sessions.end(), session) == sessions.end())
    return;  // another life
  place.answered = true;
  place.loading = false;
  place.storage = session;
  NoteSealed(place, record, store);
  if (record < 0) {
    ClientFrame frame;
    frame.mutable_stored()->set_snapshot_sequence(store.sequence());
    frame.mutable_stored()->set_snapshot_chunks(store.chunk_index() + 1);
    if (place.acknowledges) session->Send(frame.SerializeAsString());
    return;
  }
  if (record > place.newest) place.newest = record;
  if (place.acknowledges && MayAcknowledge(session->slot())) {
    Stored(session->slot(), session, store.sequence());
  }
}

void HostileHost::Count(const std::string& kind, const ServerFrame& answer) {
  AdversaryResult::Answers& answers = counted_.by_request[kind];
  const auto refused = [&](const boundary::v1::Error& error) {
    ++answers.refused;
    ++counted_.by_code[static_cast<uint32_t>(error.code())];
  };
  if (answer.has_error()) return refused(answer.error());
  if (!answer.has_events_applied()) {
    ++answers.accepted;
    return;
  }
  for (const auto& refusal : answer.events_applied().refusals()) refused(refusal.error());
  if (answer.events_applied().applied() != 0) ++answers.accepted;
}

void HostileHost::OnFrame(Session* session, const std::string& payload) {
  if (!payload.empty() && payload[0] == '{') return;
  ServerFrame frame;
  if (!frame.ParseFromString(payload)) return;
  if (frame.has_store()) return OnStore(session, frame.store());
  const auto asked = asked_.find({session->id(), frame.request_id()});
  if (asked != asked_.end()) Count(asked->second, frame);
  Place& place = places_[session->slot()];
  if (frame.has_load_done() || frame.has_storage_attached()) {
    place.storage = session;
    place.answered = true;
    place.loading = false;
  }
  const auto& own = place.sessions;
  if (std::find(own.begin(), own.end(), session) != own.end()) LearnKeys(place, frame);
  if (frame.has_state_blob()) blob_ = frame.state_blob().blob();
  if (frame.has_policy()) policy_sequence_ = frame.policy().sequence();
  const auto learn = [&](const boundary::v1::Payout& payout) {
    memory_.Learn(payout, Signers(), world_->policy().broker);
  };
  if (frame.has_payout()) learn(frame.payout());
  for (const auto& payout : frame.payouts().payouts()) learn(payout);
}

}  // namespace coffer::sim
