#include "tests/sim/auditor.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "actors/host/dead_letters.h"
#include "actors/host/journal_tailer.h"
#include "enclave_core/authority/authority.h"

namespace coffer::sim {
namespace {

using Kind = EventTruth::Kind;

constexpr uint64_t kDust = 1'000'000'000'000'000'000;  // wei

audit::LeafKind LeafOf(Kind kind) {
  return kind == Kind::kCredit ? audit::LeafKind::kCredit
         : kind == Kind::kUp   ? audit::LeafKind::kAdjustUp
                               : audit::LeafKind::kAdjustDown;
}

// What of an account's events must be in its sums, and what may be.
struct Sums {
  struct Range {
    uint64_t least = 0, most = 0;
  };
  Range credited, up, down;
};

Sums Expect(const Truth& truth, uint64_t account) {
  Sums sums;
  for (const auto& [id, event] : truth.events) {
    if (event.account != account || !event.sent) continue;
    Sums::Range& range = event.kind == Kind::kCredit ? sums.credited
                         : event.kind == Kind::kUp   ? sums.up
                                                     : sums.down;
    if (event.acknowledged) range.least += event.amount;
    range.most += event.amount;
  }
  return sums;
}

bool Within(ledger::Wei value, const Sums::Range& range) {
  return value >= range.least && value <= range.most;
}

}  // namespace

std::string Auditor::Observed() const {
  if (!world_->wire().broken().empty()) return world_->wire().broken();
  if (!world_->broken().empty()) return world_->broken();
  if (!world_->log().broken().empty()) return world_->log().broken();
  if (!world_->watch().broken().empty()) return world_->watch().broken();
  return world_->truth().broken;
}

std::string Auditor::CheckAccount(uint64_t account) const {
  const ledger::Ledger& ledger = world_->state()->ledger();
  const std::string name = AccountName(account);
  const auto index = ledger.Find(name);
  const ledger::Balances balances = index ? ledger.at(*index).balances : ledger::Balances{};
  if (index && ledger.at(*index).recipient != RecipientOf(account)) {
    return absl::StrCat("I1: the recipient of ", name, " changed");
  }
  const Sums sums = Expect(world_->truth(), account);
  if (!Within(balances.credited, sums.credited) || !Within(balances.adjusted_up, sums.up) ||
      !Within(balances.adjusted_down, sums.down)) {
    return absl::StrCat("I5/I7: ", name, " was credited ", ledger::ToDecimal(balances.credited),
                        " (acknowledged ", sums.credited.least, ", asked for ", sums.credited.most,
                        "), corrected up by ", ledger::ToDecimal(balances.adjusted_up), " (",
                        sums.up.least, ", ", sums.up.most, "), down by ",
                        ledger::ToDecimal(balances.adjusted_down), " (", sums.down.least, ", ",
                        sums.down.most, ")");
  }
  if (balances.credited + balances.adjusted_up - balances.adjusted_down !=
      balances.available + balances.reserved + balances.paid) {
    return absl::StrCat("I2: ", name, " does not add up");
  }
  // It can be on the chain before it is in the ledger, never beyond what is held for it.
  const ethereum::U256 on_chain = world_->chain().Paid(RecipientOf(account));
  if (on_chain > ledger::ToU256(balances.reserved + balances.paid)) {
    return absl::StrCat("I3: ", name, " got ", ethereum::ToDecimal(on_chain),
                        " on the chain; reserved and paid are ",
                        ledger::ToDecimal(balances.reserved + balances.paid));
  }
  return "";
}

std::string Auditor::CheckAlways() const {
  world_->watch().LookAtNodes();
  if (std::string broken = Observed(); !broken.empty()) return broken;
  if (world_->state() == nullptr) return "";
  for (uint64_t account = 0; account < kAccounts; ++account) {
    if (std::string broken = CheckAccount(account); !broken.empty()) return broken;
  }
  return "";
}

std::string Auditor::CheckEvents() const {
  const auto& leaves = world_->log().events();
  for (const auto& [id, event] : world_->truth().events) {
    const auto found = leaves.find(id);
    if (found == leaves.end()) {
      if (event.must)
        return absl::StrCat("I7: ", id, " of ", AccountName(event.account), " is lost");
      continue;
    }
    const audit::Leaf& leaf = found->second;
    const absl::int128 sign = event.kind == Kind::kDown ? -1 : 1;
    if (leaf.kind != LeafOf(event.kind) || leaf.account != AccountName(event.account) ||
        !leaf.balances.has_value() || leaf.balances->delta != sign * absl::int128(event.amount)) {
      return absl::StrCat("I9: the leaf of ", id, " says something else than was asked for");
    }
  }
  for (const auto& [id, leaf] : leaves) {
    const auto asked = world_->truth().events.find(id);
    if (asked == world_->truth().events.end() || !asked->second.sent) {
      return absl::StrCat("I7: ", id, " is in the log and was never asked for");
    }
  }
  return "";
}

std::string Auditor::CheckLetters() const {
  std::set<std::string> letters;
  auto file = world_->journal_disk().Open(host::JournalOptions().dead_letters);
  if (file.ok()) {
    host::DeadLetterReader reader(file->get(), 0, *(*file)->Size());
    for (;;) {
      const auto entry = reader.Next();
      if (!entry.ok() || !entry->has_value()) break;
      if (!(*entry)->resolution) letters.insert("ledger:" + (*entry)->sha256);
    }
  }
  for (const auto& [id, must] : world_->truth().rejected) {
    if (must && !letters.contains(id)) {
      return absl::StrCat("journal: a line that cannot be applied is not in the dead letters: ",
                          id);
    }
  }
  // A correction that is in no leaf was refused, and somebody has to be told.
  for (const auto& [id, event] : world_->truth().events) {
    if (event.kind == Kind::kDown && event.readable && !letters.contains(id) &&
        !world_->log().events().contains(id)) {
      return absl::StrCat("journal: a correction is neither applied nor in the dead letters: ", id);
    }
  }
  return "";
}

std::string Auditor::CheckPaid() const {
  const authority::Authority& state = *world_->state();
  // Without void_on_host_word, an expired ticket holds its funds for ever.
  const bool held_for_ever = !world_->policy().void_on_host_word;
  for (uint64_t account = 0; account < kAccounts; ++account) {
    const auto index = state.ledger().Find(AccountName(account));
    if (!index) continue;
    const ledger::Balances& balances = state.ledger().at(*index).balances;
    if (balances.available != 0) {
      return absl::StrCat("liveness: ", AccountName(account), " is still owed ",
                          ledger::ToDecimal(balances.available), " (", world_->Trouble(), ")");
    }
    if (balances.reserved != 0 && !held_for_ever) {
      return absl::StrCat("liveness: ", AccountName(account), " has ",
                          ledger::ToDecimal(balances.reserved), " held at rest (",
                          world_->Trouble(), ")");
    }
    const ethereum::U256 on_chain = world_->chain().Paid(RecipientOf(account));
    if (on_chain != ledger::ToU256(balances.paid)) {
      return absl::StrCat("I3: ", AccountName(account), " got ", ethereum::ToDecimal(on_chain),
                          " on the chain, the ledger says ", ledger::ToDecimal(balances.paid));
    }
  }
  return "";
}

// What is still open can come to nothing any more: its tickets have expired, and nothing that was
// signed for it, or is to be signed, waits.
std::string Auditor::CheckOpen() const {
  const authority::Authority& state = *world_->state();
  for (const uint64_t id : state.payouts().open()) {
    const payouts::Payout& payout = *state.payouts().Find(id);
    const std::string name = absl::StrCat("liveness: payout ", id, " is open at rest and ");
    if (payout.pending.has_value()) return absl::StrCat(name, "waits for its signature");
    if (payout.UnderWay()) {
      return absl::StrCat(name, "under way (", world_->Trouble(), ")");
    }
    const bool expired = payout.IsTickets() && world_->chain().broker().round() >=
                                                   payout.aux_data.creation_round +
                                                       world_->policy().ticket_validity_rounds;
    if (payout.IsTickets() && !expired) {
      return absl::StrCat(name, "its tickets are good (", world_->Trouble(), ")");
    }
  }
  return "";
}

std::string Auditor::CheckKeys() const {
  const payouts::Payouts& payouts = world_->state()->payouts();
  // What is open at rest is so for ever (CheckOpen).
  const payouts::SigningKey* draining = payouts.draining();
  if (draining != nullptr && draining->open == 0) {
    return absl::StrCat("liveness: the key of ", draining->address.ToHex(), " still drains (",
                        world_->Trouble(), ")");
  }
  if (draining == nullptr && !world_->rotation_rests()) {
    return absl::StrCat("liveness: a rotation of the signing key has no end (", world_->Trouble(),
                        ")");
  }
  for (const payouts::SigningKey& key : payouts.keys()) {
    if (!key.retired) continue;
    const chain::BrokerModel& broker = world_->chain().broker();
    if (broker.Deposit(key.address) != 0 || broker.ReserveFunds(key.address) != 0) {
      return absl::StrCat("liveness: the retired key of ", key.address.ToHex(),
                          " has a deposit left");
    }
    // What is less than the next transaction would cost stays.
    if (world_->chain().Balance(key.address) >= kDust) {
      return absl::StrCat("liveness: the retired key of ", key.address.ToHex(), " has ",
                          ethereum::ToDecimal(world_->chain().Balance(key.address)), " wei left");
    }
  }
  return "";
}

std::string Auditor::CheckAtRest() const {
  const authority::Authority* state = world_->state();
  if (state == nullptr) return absl::StrCat("liveness: no state is loaded: ", world_->Trouble());
  if (!world_->journal_caught_up()) return "liveness: the journal is not taken in";
  if (world_->log().sums().tree().Root() != state->log().Root()) {
    return absl::StrCat("liveness: ", world_->log().sums().tree().size(),
                        " leaves are published, of ", state->log().size());
  }
  if (std::string broken = CheckEvents(); !broken.empty()) return broken;
  if (std::string broken = CheckLetters(); !broken.empty()) return broken;
  if (std::string broken = CheckPaid(); !broken.empty()) return broken;
  if (std::string broken = CheckOpen(); !broken.empty()) return broken;
  if (world_->requests_in_flight() != 0) {
    return absl::StrCat("liveness: the enclave counts ", world_->requests_in_flight(),
                        " requests in flight when there is none");
  }
  if (std::string differs = test::CompareWithLedger(world_->log().sums(), state->ledger());
      !differs.empty()) {
    return absl::StrCat("I9: ", differs);
  }
  return CheckAlways();
}

}  // namespace coffer::sim
