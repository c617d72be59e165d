#include "tests/sim/wire/wire_auditor.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/wire/answers.h"
#include "tests/sim/wire/asked.h"
#include "tests/sim/wire/heads.h"
#include "tests/sim/wire/leaf_world.h"
#include "tests/sim/wire/records.h"
#include "tests/sim/wire/requests.h"
#include "tests/sim/wire/state_keys.h"

namespace coffer::sim {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using wire::Address;
using wire::Asked;
using wire::Hash;
using wire::LeafWorld;
using wire::Record;

// Of a request that was not answered yet.
struct Pending {
  ClientFrame frame;
  Hash piece;             // load_record: the hash of what it brought
  uint64_t leaves = 0;    // handed out when it came in
  uint64_t sequence = 0;  // likewise, of the last record
  uint64_t stored = 0;    // the last record that was surely stored then
};

struct Enclave {
  uint64_t number = 0;
  bool stopped = false;
  Asked asked;
  std::unique_ptr<LeafWorld> world;  // what is stored; null while no state is loaded
  const Record* stored = nullptr;    // the last record of `world`
  uint64_t surely_stored = 0;        // as the enclave, too, must know
  const Record* handed = nullptr;    // the last one handed out
  std::deque<const Record*> unstored;
  uint64_t storage = 0;                    // connection
  std::map<uint64_t, uint64_t> attaching;  // attach requests in flight, by connection
  std::vector<Hash> pieces;                // that were accepted, of the state that is being loaded
  // What was sent to be loaded, by connection; and what was sent whole. A connection that closes
  // before load_done takes the answers along, and the state is loaded all the same.
  std::map<uint64_t, std::vector<Hash>> sent;
  std::vector<std::vector<Hash>> sent_whole;
  bool found_early = false;
  std::map<std::pair<uint64_t, uint64_t>, std::vector<Pending>> pending;
  uint64_t payouts_made = 0;
  uint64_t prepares_refused = 0;
  // Statuses about a tree that is not stored yet, by its size.
  std::multimap<uint64_t, boundary::v1::Status> statuses;
  // A state that is loaded with leaves is signed for at once, a moment before load_done.
  std::vector<boundary::v1::AuditCheckpoint> early_heads;
  wire::HeadChecker heads;
};

std::string Text(const Hash& hash) { return std::string(hash.view()); }
uint64_t SizeOf(const Record* record) { return record == nullptr ? 0 : record->tree_size; }
uint64_t SequenceOf(const Record* record) { return record == nullptr ? 0 : record->sequence; }

}  // namespace

class WireAuditor::Impl {
 public:
  Impl(const policy::Policy& policy, const ethereum::Address& signer)
      : policy_(policy), signer_(signer) {}

  void ExpectOneHistory() { one_history_ = true; }
  void DistrustClocks() { book_.clocks_are_true = false; }
  Enclave& At(uint64_t number) {
    Enclave& enclave = enclaves_[number];
    enclave.number = number;
    return enclave;
  }
  void ToEnclave(Enclave& e, uint64_t connection, std::string_view payload);
  void FromEnclave(Enclave& e, uint64_t connection, std::string_view payload);

  std::string broken_;
  Seen seen_;

 private:
  void Broken(const std::string& sentence) {
    if (!sentence.empty() && broken_.empty()) broken_ = sentence;
  }
  void Acknowledge(Enclave& e, uint64_t sequence);
  void Stored(Enclave& e, const Record* record);
  void HandOut(Enclave& e, uint64_t connection, const boundary::v1::Store& store);
  void FinishLoad(Enclave& e, uint64_t connection, const std::vector<Hash>& pieces);
  void FindLoad(Enclave& e, uint64_t connection, const std::string& last);
  std::unique_ptr<LeafWorld> WorldAt(const Record* record);
  void Answered(Enclave& e, uint64_t connection, const Pending& pending, const ServerFrame& answer);
  std::string CheckBody(Enclave& e, const Pending& pending, const ServerFrame& answer);
  std::string CheckAttached(const Enclave& e, const Pending& pending) const;
  std::string CheckRefusal(Enclave& e, const Pending& pending, const boundary::v1::Error& error);
  std::string CheckStatus(Enclave& e, const boundary::v1::Status& status);
  std::string CheckHead(Enclave& e, const boundary::v1::AuditCheckpoint& head);
  wire::View ViewOf(Enclave& e, uint64_t from) {
    return {e.world.get(), &book_, &told_, policy_.broker, from};
  }

  const policy::Policy policy_;
  const ethereum::Address signer_;
  bool one_history_ = false;
  std::map<uint64_t, Enclave> enclaves_;
  wire::Records records_;
  wire::Book book_;
  wire::Told told_;
  std::map<Address, wire::LogNames> names_;  // by the first signing key of a line, for good
  wire::StateKeys state_keys_;
  const Record* newest_ = nullptr;  // that was acknowledged, with one history
};

void WireAuditor::Impl::ToEnclave(Enclave& e, uint64_t connection, std::string_view payload) {
  if (!payload.empty() && payload[0] == '{') return;  // JSON; it may ask, it must change nothing
  ClientFrame frame;
  if (!frame.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) return;
  if (frame.has_stored()) {
    const auto attaching = e.attaching.find(connection);
    const bool may = connection == e.storage || attaching != e.attaching.end();
    if (may) Acknowledge(e, frame.stored().sequence());
    // While another one attaches, or this one does, whose word counts is decided in the enclave.
    if (connection == e.storage && e.attaching.empty()) e.surely_stored = SequenceOf(e.stored);
    return;
  }
  ++seen_.requests;
  const uint64_t stored = e.surely_stored;
  if (frame.has_attach_storage()) {
    ++e.attaching[connection];
    // What such a host says it has counts as stored if it can name its hash.
    const auto& claim = frame.attach_storage();
    for (const Record* record : e.unstored) {
      if (record->sequence == claim.last_sequence() && claim.last_hash() == record->hash.view()) {
        Acknowledge(e, claim.last_sequence());
        break;
      }
    }
  }
  if (frame.has_adopt_state_key() || frame.has_adopt_signing_key()) {
    state_keys_.OnAdopt(e.number, e.storage);
  }
  e.asked.Note(frame, policy_.broker, &told_);
  const uint64_t id = frame.request_id();
  Pending pending;
  pending.leaves = SizeOf(e.handed);
  pending.sequence = SequenceOf(e.handed);
  pending.stored = stored;
  if (frame.has_load_record()) {
    pending.piece = audit::Sha256(frame.load_record().sealed());
    frame.mutable_load_record()->clear_sealed();
    e.sent[connection].push_back(pending.piece);
  }
  if (frame.has_load_begin()) e.sent[connection].clear();
  if (frame.has_load_end()) e.sent_whole.push_back(e.sent[connection]);
  pending.frame = std::move(frame);
  e.pending[{connection, id}].push_back(std::move(pending));
}

void WireAuditor::Impl::Acknowledge(Enclave& e, uint64_t sequence) {
  while (!e.unstored.empty() && e.unstored.front()->sequence <= sequence) {
    const Record* record = e.unstored.front();
    e.unstored.pop_front();
    if (one_history_) {
      if (!BuildsOn(record, newest_)) {
        return Broken(absl::StrCat("I6: record ", record->sequence, " of enclave ", e.number,
                                   " is acknowledged and lacks record ", newest_->sequence,
                                   ", which was acknowledged before"));
      }
      newest_ = record;
    }
    Stored(e, record);
  }
}

void WireAuditor::Impl::Stored(Enclave& e, const Record* record) {
  Broken(e.world->Add(record->leaves, record->tree_size, enclaves_[record->enclave].asked));
  e.stored = record;
  const auto [first, last] = e.statuses.equal_range(e.world->size());
  for (auto it = first; it != last; ++it) Broken(wire::CheckStatus(ViewOf(e, 0), it->second));
  e.statuses.erase(e.statuses.begin(), last);
}

void WireAuditor::Impl::HandOut(Enclave& e, uint64_t connection, const boundary::v1::Store& store) {
  Broken(state_keys_.OnStore(e.number, connection, store));
  if (e.world == nullptr) FindLoad(e, connection, wire::PreviousOf(store));
  if (e.world == nullptr) return;
  if (store.kind() == boundary::v1::Store::KIND_SNAPSHOT_CHUNK) {
    return Broken(records_.AddChunk(store));
  }
  std::string wrong;
  const uint64_t before = records_.count();
  const Record* record = records_.Add(e.number, e.handed, store, &wrong);
  if (record == nullptr) return Broken(wrong);
  if (records_.count() == before) return;  // once more
  ++seen_.records;
  seen_.leaves += record->tree_size - SizeOf(record->parent);
  e.handed = record;
  e.unstored.push_back(record);
  e.payouts_made += wire::PayoutsIn(record->leaves);
  if (e.payouts_made + e.prepares_refused > e.asked.prepares) {
    Broken("I3: there are more payouts than requests for them");
  }
}

// The world at a record: another enclave's, if that got no further, and what is missing in it.
std::unique_ptr<LeafWorld> WireAuditor::Impl::WorldAt(const Record* record) {
  const Record* from = nullptr;
  std::unique_ptr<LeafWorld> world;
  for (auto it = enclaves_.rbegin(); it != enclaves_.rend() && world == nullptr; ++it) {
    Enclave& other = it->second;
    if (other.world == nullptr || other.stored == nullptr || !BuildsOn(record, other.stored)) {
      continue;
    }
    from = other.stored;
    if (other.stopped) {
      world = std::move(other.world);
    } else {
      world = std::make_unique<LeafWorld>(*other.world);
    }
  }
  if (world == nullptr) world = std::make_unique<LeafWorld>(policy_, signer_, &book_, &told_);
  std::vector<const Record*> missing;
  for (const Record* r = record; r != from; r = r->parent) missing.push_back(r);
  std::reverse(missing.begin(), missing.end());
  for (const Record* r : missing) {
    Broken(world->Add(r->leaves, r->tree_size, enclaves_[r->enclave].asked));
  }
  for (const wire::PayoutSeen& payout : world->payouts()) {
    for (const auto& moment : payout.transactions) {
      if (book_.transactions.contains(moment.value)) Broken(world->Release(moment.value));
    }
  }
  return world;
}

// A state is there whose load_done was not seen: its connection closed before, or a record overtook
// it. The hash of its last record tells which one it is.
void WireAuditor::Impl::FindLoad(Enclave& e, uint64_t connection, const std::string& last) {
  for (const std::vector<Hash>& pieces : e.sent_whole) {
    std::string wrong;
    const Record* at = records_.Loaded(pieces, &wrong);
    if (!wrong.empty() || (at == nullptr ? Hash{} : at->hash).view() != last) continue;
    e.found_early = true;
    return FinishLoad(e, connection, pieces);
  }
  Broken("I6: an enclave has a state that nobody sent it");
}

void WireAuditor::Impl::FinishLoad(Enclave& e, uint64_t connection,
                                   const std::vector<Hash>& pieces) {
  ++seen_.loads;
  std::string wrong;
  const Record* at = records_.Loaded(pieces, &wrong);
  if (!wrong.empty()) return Broken(wrong);
  if (e.world != nullptr) return Broken("I6: a state is loaded over another one");
  if (one_history_ && !BuildsOn(at, newest_)) {
    return Broken(absl::StrCat("I6: enclave ", e.number, " is loaded up to record ", SequenceOf(at),
                               " and lacks record ", newest_->sequence,
                               ", which was acknowledged before"));
  }
  e.world = WorldAt(at);
  Broken(e.world->CheckHeld(e.asked));
  e.stored = e.handed = at;
  e.surely_stored = SequenceOf(at);
  e.storage = connection;
  for (const auto& head : std::exchange(e.early_heads, {})) Broken(CheckHead(e, head));
}

void WireAuditor::Impl::FromEnclave(Enclave& e, uint64_t connection, std::string_view payload) {
  if (!payload.empty() && payload[0] == '{') return;
  ServerFrame frame;
  if (!frame.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    return Broken("I9: the enclave says what nobody can read");
  }
  if (frame.has_store()) return HandOut(e, connection, frame.store());
  if (frame.request_id() == 0) {
    if (frame.has_audit_checkpoint()) return Broken(CheckHead(e, frame.audit_checkpoint()));
    if (!frame.has_error()) Broken("I5: an answer to a question that nobody asked");
    const auto none = e.pending.find({connection, 0});
    if (none != e.pending.end()) e.pending.erase(none);
    return;
  }
  const auto found = e.pending.find({connection, frame.request_id()});
  if (found == e.pending.end()) return Broken("I5: a question is answered twice, or was not asked");
  // A second request with an id in flight is refused at once; the first one's answer comes later.
  std::vector<Pending>& same = found->second;
  const bool second =
      same.size() > 1 && frame.has_error() && frame.error().code() == boundary::v1::ERROR_MALFORMED;
  const auto which = second ? same.end() - 1 : same.begin();
  const Pending pending = std::move(*which);
  same.erase(which);
  if (same.empty()) e.pending.erase(found);
  Answered(e, connection, pending, frame);
}

void WireAuditor::Impl::Answered(Enclave& e, uint64_t connection, const Pending& pending,
                                 const ServerFrame& answer) {
  const ClientFrame& request = pending.frame;
  Broken(state_keys_.OnAnswer(e.number, request, answer, &book_, &e.asked));
  if (answer.has_storage_attached() || answer.has_load_done()) {
    state_keys_.OnStorage(e.number, connection);
  }
  if (request.has_attach_storage()) {
    if (--e.attaching[connection] == 0) e.attaching.erase(connection);
    if (answer.has_storage_attached()) {
      Broken(CheckAttached(e, pending));
      e.storage = connection;
      if (e.world == nullptr) {
        const auto& status = answer.storage_attached();
        FindLoad(e, connection,
                 status.stored_sequence() == 0 ? Text(Hash{}) : status.stored_hash());
      }
    }
  }
  if (answer.has_load_begun()) return e.pieces.clear();
  if (answer.has_record_loaded()) return e.pieces.push_back(pending.piece);
  if (answer.has_load_done() && !std::exchange(e.found_early, false)) {
    FinishLoad(e, connection, e.pieces);
  }
  const std::string what =
      absl::StrCat(" (enclave ", e.number, ", record ", SequenceOf(e.stored), " stored, answer to ",
                   request.ShortDebugString().substr(0, 160), ")");
  if (wire::WaitsForStorage(request, answer)) {
    ++seen_.answers;
    const uint64_t stored = SequenceOf(e.stored);
    const uint64_t needed = pending.sequence + (wire::SaysChanged(request, answer) ? 1 : 0);
    if (e.world == nullptr || stored < needed) {
      return Broken(
          absl::StrCat("I5: an answer leaves before record ", needed, " is stored", what));
    }
  }
  if (wire::Prepares(request) && answer.has_error()) ++e.prepares_refused;
  std::string wrong = CheckBody(e, pending, answer);
  if (!wrong.empty()) Broken(absl::StrCat(wrong, what));
  seen_.transactions = book_.transactions.size();
  seen_.tickets = book_.tickets.size();
}

std::string WireAuditor::Impl::CheckBody(Enclave& e, const Pending& pending,
                                         const ServerFrame& answer) {
  const ClientFrame& request = pending.frame;
  const wire::View view = ViewOf(e, pending.leaves);
  switch (answer.body_case()) {
    case ServerFrame::kError:
      return CheckRefusal(e, pending, answer.error());
    case ServerFrame::kStatus:
      return CheckStatus(e, answer.status());
    case ServerFrame::kLoadDone:
      return CheckStatus(e, answer.load_done());
    case ServerFrame::kStorageAttached:
      return CheckStatus(e, answer.storage_attached());
    case ServerFrame::kSigningKeyAdopted:
      return wire::CheckAdopted(view, request.adopt_signing_key(), answer.signing_key_adopted());
    case ServerFrame::kSigningKeyRetired:
      return wire::CheckRetired(view, request.retire_signing_key(), answer.signing_key_retired());
    case ServerFrame::kEventsApplied:
      return wire::CheckEvents(view, request.apply_events(), answer.events_applied(), &e.asked);
    case ServerFrame::kAccount:
      return wire::CheckAccount(view, answer.account());
    case ServerFrame::kAccounts:
      for (const auto& account : answer.accounts().accounts()) {
        if (std::string wrong = wire::CheckAccount(view, account); !wrong.empty()) return wrong;
      }
      return {};
    case ServerFrame::kPayout:
      return wire::Prepares(request) || request.has_retry_payout() || request.has_bump_transaction()
                 ? wire::CheckSigned(view, request, answer.payout())
                 : wire::CheckPayout(view, answer.payout());
    case ServerFrame::kReceipt:
      return wire::CheckReceipt(view, request.report_receipt(), answer.receipt());
    case ServerFrame::kPayouts:
      return wire::CheckPayouts(view, request.list_payouts(), answer.payouts());
    case ServerFrame::kPayoutConfirmed:
      return wire::CheckConfirmed(view, answer.payout_confirmed());
    case ServerFrame::kPolicy:
      return wire::CheckPolicy(view, answer.policy());
    case ServerFrame::kAuditCheckpoint:
      return CheckHead(e, answer.audit_checkpoint());
    case ServerFrame::kSignedTransaction:
    case ServerFrame::kMessageSignature:
    case ServerFrame::kSignedTicket:
      return "I10: an authority signs what a client asked it to sign";
    case ServerFrame::kStateImported:
      return "I6: a state is imported into an enclave that has a storage";
    default:
      return {};
  }
}

// Who attaches has what was acknowledged, of this enclave's own history.
std::string WireAuditor::Impl::CheckAttached(const Enclave& e, const Pending& pending) const {
  if (e.world == nullptr) return {};
  const auto& claim = pending.frame.attach_storage();
  if (claim.last_sequence() < pending.stored) {
    return absl::StrCat("I6: a storage attaches that ends with record ", claim.last_sequence(),
                        ", but record ", pending.stored, " was acknowledged");
  }
  const Record* own = e.handed;
  while (own != nullptr && own->sequence > claim.last_sequence()) own = own->parent;
  if (claim.last_sequence() == 0 || (own != nullptr && own->sequence == claim.last_sequence() &&
                                     own->hash.view() == claim.last_hash())) {
    return {};
  }
  return "I6: a storage attaches that is of another history";
}

// A receipt that was refused, and nobody else reported, changed nothing. A deposit that has room is
// not refused.
std::string WireAuditor::Impl::CheckRefusal(Enclave& e, const Pending& pending,
                                            const boundary::v1::Error& error) {
  if (pending.frame.has_prepare_payout() && error.code() == boundary::v1::ERROR_DEPOSIT) {
    return wire::CheckDepositRefusal(ViewOf(e, pending.leaves), pending.frame.prepare_payout());
  }
  const std::string& tx_hash = pending.frame.has_report_receipt()
                                   ? pending.frame.report_receipt().tx_hash()
                                   : pending.frame.confirm_payout().tx_hash();
  const auto told = e.asked.receipts.find(tx_hash);
  if (e.world == nullptr || told == e.asked.receipts.end() || told->second.size() != 1) return {};
  for (const wire::PayoutSeen& payout : e.world->payouts()) {
    for (const wire::ItemSeen& item : payout.items) {
      const auto& last = item.fate.moments().back();
      if (last.leaves > pending.leaves && last.value.paid_by.view() == tx_hash) {
        return "I4: a receipt is refused and settles something all the same";
      }
    }
  }
  return {};
}

std::string WireAuditor::Impl::CheckStatus(Enclave& e, const boundary::v1::Status& status) {
  if (e.world == nullptr || status.phase() != boundary::v1::PHASE_READY) return {};
  if (status.stored_sequence() > SequenceOf(e.stored)) {
    return "I5: a status calls stored what nobody stored";
  }
  const Record* named = e.stored;
  while (named != nullptr && named->sequence > status.stored_sequence()) named = named->parent;
  if (named != nullptr && status.stored_hash() != named->hash.view()) {
    return "I5: a status names another hash of the last record that is stored";
  }
  if (!e.world->keys().empty()) {
    const Address& first = e.world->keys().front().address;
    std::string wrong = names_[first].Check(status.audit(), first);
    if (!wrong.empty()) return wrong;
  }
  const uint64_t size = status.audit().size();
  if (size < e.world->size()) return "I9: a status shows a log that has shrunk";
  if (size == e.world->size()) return wire::CheckStatus(ViewOf(e, 0), status);
  e.statuses.emplace(size, status);
  return {};
}

std::string WireAuditor::Impl::CheckHead(Enclave& e, const boundary::v1::AuditCheckpoint& head) {
  if (e.world == nullptr) {
    e.early_heads.push_back(head);
    return {};
  }
  ++seen_.heads;
  if (head.size() > e.world->size()) {
    return absl::StrCat("I5: a head over ", head.size(), " leaves leaves before they are stored");
  }
  if (head.size() == 0) return "I9: a head over nothing";
  const Address& first = e.world->keys().front().address;
  return e.heads.Check(head, e.world->leaf_hashes(), names_[first], first);
}

WireAuditor::WireAuditor(const policy::Policy& policy, const ethereum::Address& signer)
    : impl_(std::make_unique<Impl>(policy, signer)) {}
WireAuditor::~WireAuditor() = default;

void WireAuditor::ExpectOneHistory() { impl_->ExpectOneHistory(); }
void WireAuditor::DistrustClocks() { impl_->DistrustClocks(); }
void WireAuditor::OnEnclaveStarted(uint64_t enclave) { impl_->At(enclave); }
void WireAuditor::OnEnclaveStopped(uint64_t enclave) { impl_->At(enclave).stopped = true; }
void WireAuditor::OnToEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) {
  if (impl_->broken_.empty()) impl_->ToEnclave(impl_->At(enclave), connection, payload);
}
void WireAuditor::OnFromEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) {
  if (impl_->broken_.empty()) impl_->FromEnclave(impl_->At(enclave), connection, payload);
}
const std::string& WireAuditor::broken() const { return impl_->broken_; }
const WireAuditor::Seen& WireAuditor::seen() const { return impl_->seen_; }

}  // namespace coffer::sim
