#include "tests/sim/auditor.h"

#include "absl/strings/str_cat.h"

namespace coffer::sim {
namespace {

using boundary::v1::Event;
using Fate = EventTruth::Fate;

struct Sums {
  // At least (answered as applied) and at most (ever sent).
  uint64_t credited_least = 0, credited_most = 0, up_least = 0, up_most = 0, down_least = 0,
           down_most = 0;
};

Sums Expect(const std::vector<EventTruth>& events, uint32_t account) {
  Sums sums;
  for (const EventTruth& event : events) {
    if (event.account != account || !event.sent) continue;
    uint64_t& least = event.kind == Event::KIND_CREDIT      ? sums.credited_least
                      : event.kind == Event::KIND_ADJUST_UP ? sums.up_least
                                                            : sums.down_least;
    uint64_t& most = event.kind == Event::KIND_CREDIT      ? sums.credited_most
                     : event.kind == Event::KIND_ADJUST_UP ? sums.up_most
                                                           : sums.down_most;
    if (event.fate == Fate::kApplied) least += event.amount;
    most += event.amount;
  }
  return sums;
}

bool Within(ledger::Wei value, uint64_t least, uint64_t most) {
  return value >= least && value <= most;
}

}  // namespace

std::string Auditor::CheckAlways() const {
  if (!world_->log_failure().empty()) return world_->log_failure();
  const authority::Authority* state = world_->state();
  if (state == nullptr) return "";
  for (uint32_t account = 0; account < Workload::kAccounts; ++account) {
    const std::string name = Workload::NameOf(account);
    const auto index = state->ledger().Find(name);
    const Sums sums = Expect(workload_->events(), account);
    const ledger::Balances balances =
        index ? state->ledger().at(*index).balances : ledger::Balances{};
    if (index && state->ledger().at(*index).recipient != Workload::RecipientOf(account)) {
      return absl::StrCat("I1: the recipient of ", name, " changed");
    }
    if (!Within(balances.credited, sums.credited_least, sums.credited_most) ||
        !Within(balances.adjusted_up, sums.up_least, sums.up_most) ||
        !Within(balances.adjusted_down, sums.down_least, sums.down_most)) {
      return absl::StrCat("I5/I7: ", name, " was credited ", ledger::ToDecimal(balances.credited),
                          " (acknowledged ", sums.credited_least, ", sent ", sums.credited_most,
                          "), corrected up by ", ledger::ToDecimal(balances.adjusted_up), " (",
                          sums.up_least, ", ", sums.up_most, "), down by ",
                          ledger::ToDecimal(balances.adjusted_down), " (", sums.down_least, ", ",
                          sums.down_most, ")");
    }
    if (balances.credited + balances.adjusted_up - balances.adjusted_down !=
        balances.available + balances.reserved + balances.paid) {
      return absl::StrCat("I2: ", name, " does not add up");
    }
    // What the chain has paid was held for it: it can be on the chain before it is in the ledger,
    // never beyond both.
    const U256 on_chain = chain_->Paid(Workload::RecipientOf(account));
    if (on_chain > ledger::ToU256(balances.reserved + balances.paid)) {
      return absl::StrCat("I3: ", name, " got ", ethereum::ToDecimal(on_chain),
                          " on the chain, reserved and paid are ",
                          ledger::ToDecimal(balances.reserved + balances.paid));
    }
  }
  return "";
}

std::string Auditor::CheckAtRest() const {
  const authority::Authority* state = world_->state();
  if (state == nullptr) return "liveness: no state is loaded";
  if (!state->payouts().open().empty()) {
    boundary::v1::Payout payout;
    if (state->GetPayout(*state->payouts().open().begin(), false, &payout).ok()) {
      return absl::StrCat("liveness: a payout is open at rest: ", payout.ShortDebugString());
    }
  }
  for (uint32_t account = 0; account < Workload::kAccounts; ++account) {
    const auto index = state->ledger().Find(Workload::NameOf(account));
    if (!index) continue;
    const ledger::Balances& balances = state->ledger().at(*index).balances;
    if (balances.reserved != 0)
      return absl::StrCat("liveness: ", Workload::NameOf(account), " has funds held at rest");
    const U256 on_chain = chain_->Paid(Workload::RecipientOf(account));
    if (on_chain != ledger::ToU256(balances.paid)) {
      return absl::StrCat("I3: ", Workload::NameOf(account), " got ", ethereum::ToDecimal(on_chain),
                          " on the chain, the ledger says ", ledger::ToDecimal(balances.paid));
    }
  }
  if (world_->log().tree().Root() != state->log().Root()) {
    return absl::StrCat("liveness: ", world_->log().tree().size(), " leaves are published, of ",
                        state->log().size());
  }
  if (std::string differs = test::CompareWithLedger(world_->log(), state->ledger());
      !differs.empty()) {
    return absl::StrCat("I9: ", differs);
  }
  return CheckAlways();
}

}  // namespace coffer::sim
