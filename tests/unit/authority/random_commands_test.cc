// Random commands, hostile ones among them, against the reference model; and the state after a
// replay, or after a snapshot and the rest, against the live one.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "enclave_core/policy/typed_data.h"
#include "runtime/random.h"
#include "tests/support/bank.h"
#include "tests/unit/authority/reference_model.h"

namespace coffer::test {
namespace {

using Int = ReferenceModel::Int;
using authority::Authority;

Int ToInt(Wei wei) { return (Int(absl::Uint128High64(wei)) << 64) + absl::Uint128Low64(wei); }

std::string Views(const Authority& state) {
  v1::Status status;
  state.FillStatus(&status);
  v1::ListPayouts list;
  list.set_limit(1000);
  list.set_with_transactions(true);
  v1::PayoutList payouts;
  COFFER_CHECK(state.ListPayouts(list, &payouts).ok(), "a list");
  v1::ListAccounts all;
  all.set_limit(5000);
  v1::AccountList accounts;
  COFFER_CHECK(state.ListAccounts(all, &accounts).ok(), "a list");
  return status.DebugString() + payouts.DebugString() + accounts.DebugString();
}

void Replay(const std::vector<Bank::Batch>& batches, size_t from, Authority* state) {
  for (size_t i = from; i < batches.size(); ++i) {
    Bank::Batch copy;
    ASSERT_TRUE(copy.ParseFromString(batches[i].SerializeAsString()));
    for (const auto& event : copy.events()) ASSERT_TRUE(state->Apply(event).ok());
    if (copy.audit_tree().empty()) continue;
    ASSERT_TRUE(state->RestoreLog(copy.audit_tree(), copy.audit_head()).ok());
  }
}

// A window in which much is remembered, and limits that nothing reaches: the model knows none.
policy::Policy CountingPolicy() {
  policy::Policy policy = WidePolicy();
  policy.velocity_window = 50;
  policy.admins = {Key(0x44).address()};
  policy.admin_threshold = 1;
  return policy;
}

class Trial {
 public:
  explicit Trial(uint64_t seed) : bank(CountingPolicy()), random_(seed) {}

  void Step() {
    time_ += random_.Below(10);
    bank.state.SetTime(time_ - random_.Below(3));
    switch (random_.Below(15)) {
      case 14:
        return Keys();
      case 10:
      case 11:
        return Redeem();
      case 12:
        return Confirm();
      case 13:
        return ChangeWindow();
      case 0:
      case 1:
      case 2:
        return Event();
      case 3:
      case 4:
        return Pay();
      case 5:
      case 6:
        return Receipt();
      case 7:
        return Reorg();
      case 8:
        return Sign();
      default:
        return Void();
    }
  }

  // I2, I3 and the model, account by account and item by item.
  void Check() {
    Int available = 0, reserved = 0, paid = 0;
    for (const auto& [name, expected] : model.accounts) {
      const ledger::Balances b = bank.Of(name);
      ASSERT_EQ(ToInt(b.available), expected.available()) << name;
      ASSERT_EQ(ToInt(b.reserved), expected.held) << name;
      ASSERT_EQ(ToInt(b.paid), expected.paid) << name;
      ASSERT_EQ(ToInt(b.credited) + ToInt(b.adjusted_up) - ToInt(b.adjusted_down), expected.in);
      ASSERT_GE(expected.available(), 0) << "I2";
      available += expected.available();
      reserved += expected.held;
      paid += expected.paid;
    }
    const ledger::Balances& t = bank.state.ledger().totals();
    ASSERT_EQ(ToInt(t.available), available);
    ASSERT_EQ(ToInt(t.reserved), reserved);
    ASSERT_EQ(ToInt(t.paid), paid);
    const std::vector<payouts::SigningKey>& keys = bank.state.payouts().keys();
    std::vector<Int> open(keys.size());
    for (const auto& [ref, expected] : model.items) {
      const payouts::Payout& payout = *bank.state.payouts().Find(ref.first);
      const payouts::Item& item = payout.items[ref.second];
      ASSERT_EQ(static_cast<int>(item.state), static_cast<int>(expected.state)) << "I3";
      ASSERT_EQ(ToInt(item.paid), expected.paid);
      if (expected.state == ReferenceModel::Item::kOpen && payout.IsTickets()) {
        open[payout.key] += expected.amount;
      }
      const auto signer = signers_.try_emplace(ref.first, payout.key);
      ASSERT_EQ(signer.first->second, payout.key) << "I3: one key pays a payout";
      if (!item.ticket.has_value()) continue;
      const auto kept = tickets_.try_emplace(ref, item.ticket->ticket_hash);
      ASSERT_EQ(kept.first->second, item.ticket->ticket_hash) << "I3: tickets are kept for life";
    }
    for (size_t i = 0; i < keys.size(); ++i) {
      ASSERT_EQ(ToInt(keys[i].outstanding_tickets), open[i]) << "signing key " << i;
    }
    CheckTransactions();
  }
  // Each is by its payout's key, and no key uses a nonce for two payouts.
  void CheckTransactions() {
    for (uint64_t id = 1; id <= bank.state.payouts().size(); ++id) {
      const payouts::Payout& payout = *bank.state.payouts().Find(id);
      for (const payouts::Attempt& attempt : payout.attempts) {
        if (!seen_.insert(attempt.tx_hash).second) continue;
        const auto read = ethereum::ParseSignedTransaction(attempt.raw_tx);
        ASSERT_TRUE(read.ok()) << read.status();
        const auto sender = read->Sender();
        ASSERT_TRUE(sender.ok()) << sender.status();
        ASSERT_EQ(*sender, bank.state.payouts().keys()[payout.key].address) << "I3";
        const auto used = nonces_.try_emplace({payout.key, attempt.nonce}, id);
        ASSERT_EQ(used.first->second, id) << "nonce " << attempt.nonce << " of key " << payout.key;
      }
    }
  }

  Bank bank;
  ReferenceModel model;

 private:
  std::string AnyAccount() { return std::string(1, static_cast<char>('a' + random_.Below(5))); }
  uint64_t AnyPayout() { return 1 + random_.Below(bank.state.payouts().size() + 1); }

  void Event() {
    const std::string id =
        absl::StrCat("e", random_.Below(4) == 0 ? random_.Below(50) : ++events_ + 50);
    const std::string account = AnyAccount();
    const Wei amount = random_.Below(200);
    const bool down = random_.Below(4) == 0;
    const v1::EventsApplied answer = bank.Apply({MakeEvent(
        id, account, amount, down ? v1::Event::KIND_ADJUST_DOWN : v1::Event::KIND_CREDIT)});
    const bool taken = model.Event(id, account, down ? -ToInt(amount) : ToInt(amount));
    ASSERT_EQ(answer.applied(), taken ? 1u : 0u) << id;
  }

  void Pay() {
    std::vector<Ask> asks;
    std::vector<std::pair<std::string, Int>> wanted;
    const bool transfer = random_.Below(4) == 0;
    const uint64_t count = transfer ? 1 : 1 + random_.Below(3);
    for (uint64_t i = 0; i < count; ++i) {
      asks.push_back({AnyAccount(), Wei(1 + random_.Below(150))});
      wanted.emplace_back(asks.back().account, ToInt(asks.back().amount));
    }
    const bool possible = model.CanReserve(wanted);
    const auto payout = bank.Prepare(
        MakePayout(asks, transfer ? v1::STRATEGY_ETH_TRANSFER : v1::STRATEGY_LIVEPEER_TICKET));
    ASSERT_EQ(payout.ok(), possible) << payout.status();
    if (possible) model.Reserve(payout->id(), wanted);
  }

  void Sign() {
    const uint64_t id = AnyPayout();
    if (random_.Below(2) == 0) {
      (void)bank.Bump(id, 100 + random_.Below(900));
    } else {
      (void)bank.Retry(id);
    }
    if (random_.Below(5) == 0)
      (void)bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 1 + random_.Below(10'000));
  }

  // One signing key after another, and what the older one does at its end.
  void Keys() {
    const payouts::SigningKey* draining = bank.state.payouts().draining();
    const bool may_rotate = draining == nullptr;
    switch (random_.Below(6)) {
      case 0: {
        const size_t count = bank.state.payouts().keys().size();
        if (count > 100) return;
        ASSERT_EQ(bank.Rotate(static_cast<uint8_t>(0x80 + count)).ok(), may_rotate);
        return;
      }
      case 1:
      case 2: {
        if (draining == nullptr) return;
        const bool possible = draining->open == 0;
        ASSERT_EQ(bank.Retire(draining->address).ok(), possible);
        return;
      }
      default: {
        const v1::Strategy moves[] = {v1::STRATEGY_UNLOCK, v1::STRATEGY_WITHDRAW,
                                      v1::STRATEGY_SWEEP};
        const v1::Strategy move = moves[random_.Below(3)];
        const bool possible = draining != nullptr && draining->open == 0;
        ASSERT_EQ(bank.Fund(move, move == v1::STRATEGY_SWEEP ? 5 : 0).ok(), possible);
      }
    }
  }

  // A receipt of an own transaction, or a stranger's, that claims redemptions of any tickets.
  void Receipt() {
    const payouts::Payout* payout = bank.state.payouts().Find(AnyPayout());
    if (payout == nullptr) return;
    std::string tx = Bytes32(static_cast<uint8_t>(1 + random_.Below(6)));
    const payouts::Attempt* attempt = nullptr;
    if (random_.Below(3) != 0) {
      attempt = &payout->attempts[random_.Below(payout->attempts.size())];
      tx = std::string(attempt->tx_hash.view());
    }
    v1::ReportReceipt receipt = MakeReceipt(tx, random_.Below(5) != 0);
    std::vector<std::pair<ReferenceModel::Ref, Int>> paid;
    const bool transfer = attempt != nullptr && !payout->IsTickets();
    for (uint64_t i = random_.Below(4); i > 0 && receipt.succeeded(); --i) {
      const uint64_t id = random_.Below(2) == 0 ? payout->id : AnyPayout();
      const payouts::Payout* of = bank.state.payouts().Find(id);
      if (of == nullptr || !of->IsTickets()) continue;
      const size_t item = random_.Below(of->items.size());
      const Wei amount = of->items[item].amount;
      const Wei pays =
          random_.Below(3) == 0 ? random_.Below(absl::Uint128Low64(amount) + 1) : amount;
      AddLogs(bank.RedemptionOf(id, item, pays), &receipt);
      paid.push_back({{id, item}, ToInt(pays)});
    }
    bool possible = model.CanPay(paid, tx);
    if (transfer && receipt.succeeded() && !payout->items.empty()) {
      paid.push_back({{payout->id, 0}, ToInt(payout->items[0].amount)});
      possible = possible && payout->items[0].state == payouts::Item::State::kOpen;
    }
    const auto result = bank.Report(receipt);
    if (result.ok() && result->known()) {
      ASSERT_TRUE(possible);
      model.Pay(paid, tx);
    }
  }

  void Redeem() {
    const std::string account = AnyAccount();
    const uint64_t next = bank.state.payouts().current().next_nonce.value_or(0);
    const uint64_t nonce = random_.Below(2) == 0 ? next : random_.Below(next + 2);
    const uint64_t before = bank.state.payouts().size();
    const auto payout = bank.Redeem(account, nonce, random_.Below(2) * random_.Below(100));
    if (!payout.ok()) return;
    ASSERT_EQ(payout->items_size(), 1);
    ASSERT_EQ(payout->items(0).account(), account);
    const auto signed_for = std::find_if(payout->attempts().begin(), payout->attempts().end(),
                                         [&](const auto& a) { return a.nonce() == nonce; });
    ASSERT_NE(signed_for, payout->attempts().end());
    if (bank.state.payouts().size() == before) return;
    const std::vector<std::pair<std::string, Int>> wanted = {
        {account, ToInt(ledger::FromProto(payout->items(0).amount()))}};
    ASSERT_TRUE(model.CanReserve(wanted));
    model.Reserve(payout->id(), wanted);
  }

  // A transaction's status and nothing else.
  void Confirm() {
    const payouts::Payout* payout = bank.state.payouts().Find(AnyPayout());
    if (payout == nullptr) return;
    const payouts::Attempt& attempt = payout->attempts[random_.Below(payout->attempts.size())];
    const std::string tx(attempt.tx_hash.view());
    const bool succeeded = random_.Below(3) != 0;
    std::vector<std::pair<ReferenceModel::Ref, Int>> paid;
    for (size_t i = 0; i < payout->items.size() && succeeded; ++i) {
      const payouts::Item& item = payout->items[i];
      // A ticket is in a transaction when its signature is.
      const bool in = !payout->IsTickets() ||
                      attempt.raw_tx.find(item.ticket->signature.r.view()) != std::string::npos;
      if (in && item.state == payouts::Item::State::kOpen) {
        paid.push_back({{payout->id, i}, ToInt(item.amount)});
      }
    }
    const auto result = bank.Confirm(tx, succeeded);
    if (!result.ok() || !result->known()) return;
    ASSERT_TRUE(model.CanPay(paid, tx));
    model.Pay(paid, tx);
  }

  void ChangeWindow() {
    policy::Policy policy = bank.state.policy();
    policy.velocity_window = random_.Below(4) * 25;
    v1::PolicyState state;
    bank.state.FillPolicy(&state);
    v1::ChangePolicy change;
    policy::ToProto(policy, change.mutable_policy());
    change.set_sequence(state.sequence() + random_.Below(2));
    change.add_signatures(
        Key(0x44)
            .Sign(policy::PolicyChangeDigest(bank.state.address(), state.sequence() + 1, policy))
            .ToBytes65());
    ASSERT_EQ(bank.state.ChangePolicy(change, bank.Next()).ok(),
              change.sequence() == state.sequence() + 1);
  }

  void Reorg() {
    const payouts::Payout* payout = bank.state.payouts().Find(AnyPayout());
    std::string tx = Bytes32(static_cast<uint8_t>(1 + random_.Below(6)));
    if (payout != nullptr && random_.Below(3) != 0) {
      tx = std::string(payout->attempts[random_.Below(payout->attempts.size())].tx_hash.view());
    }
    const bool possible = model.CanReorg(tx);
    const auto result = bank.Reorg(tx);
    if (!possible) {
      ASSERT_FALSE(result.ok());
    }
    if (result.ok()) model.Reorg(tx);
  }

  void Void() {
    const uint64_t id = AnyPayout();
    if (bank.Void(id, 100 + random_.Below(4)).ok()) model.VoidOpen(id);
  }

  runtime::SeededRandom random_;
  uint64_t events_ = 0;
  uint64_t time_ = 1000;
  std::map<ReferenceModel::Ref, ethereum::Hash> tickets_;
  std::map<uint64_t, uint32_t> signers_;                      // epoch, by payout
  std::set<ethereum::Hash> seen_;                             // transactions
  std::map<std::pair<uint32_t, uint64_t>, uint64_t> nonces_;  // payout, by key and nonce
};

void RestoreParts(const std::vector<std::string>& parts, Authority* state) {
  for (const std::string& bytes : parts) {
    sealed::v1::SnapshotPart part;
    ASSERT_TRUE(part.ParseFromString(bytes));
    ASSERT_TRUE(state->RestorePart(part).ok());
  }
  ASSERT_TRUE(state->FinishRestore().ok());
}

TEST(RandomCommandsTest, TheBooksAgreeWithTheModelAndTheFoldWithTheState) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t first = given != nullptr ? std::strtoull(given, nullptr, 10) : 1;
  const uint64_t last = given != nullptr ? first : 30;
  for (uint64_t seed = first; seed <= last; ++seed) {
    SCOPED_TRACE(absl::StrCat("COFFER_TEST_SEED=", seed));
    Trial run(seed);
    size_t cut = 0;
    std::vector<std::string> parts;
    // The same, written a part at a time while the state goes on.
    std::vector<std::string> slow_parts;
    uint32_t to_come = 0;
    for (int step = 0; step < 300; ++step) {
      if (step == 150) {
        cut = run.bank.Batches().size();
        run.bank.state.WriteSnapshot([&](const sealed::v1::SnapshotPart& part) {
          parts.push_back(part.SerializeAsString());
        });
        to_come = run.bank.state.BeginSnapshot();
      }
      if (step % 20 == 15 && to_come > 0) {
        slow_parts.push_back(run.bank.state.NextSnapshotPart().SerializeAsString());
        if (--to_come == 0) run.bank.state.EndSnapshot();
      }
      ASSERT_NO_FATAL_FAILURE(run.Step()) << "step " << step;
      ASSERT_NO_FATAL_FAILURE(run.Check()) << "step " << step;
      (void)run.bank.Batches();
      ASSERT_EQ(CompareWithLedger(run.bank.log, run.bank.state.ledger()), "") << "step " << step;
    }
    EXPECT_GT(run.bank.state.ledger().totals().paid, 0u) << "a run that pays nothing shows nothing";
    EXPECT_EQ(run.bank.log.tree().Root(), run.bank.state.log().Root());
    ASSERT_EQ(to_come, 0u);
    Authority replayed, restored, slow;
    RestoreParts(slow_parts, &slow);
    ASSERT_NO_FATAL_FAILURE(Replay(run.bank.Batches(), 0, &replayed));
    RestoreParts(parts, &restored);
    EXPECT_EQ(SnapshotBytes(slow), SnapshotBytes(restored));
    ASSERT_NO_FATAL_FAILURE(Replay(run.bank.Batches(), cut, &restored));
    EXPECT_EQ(SnapshotBytes(replayed), SnapshotBytes(run.bank.state));
    EXPECT_EQ(SnapshotBytes(restored), SnapshotBytes(run.bank.state));
    EXPECT_EQ(Views(replayed), Views(run.bank.state));
    EXPECT_EQ(Views(restored), Views(run.bank.state));
    EXPECT_EQ(restored.LedgerRoot(), run.bank.state.LedgerRoot());
    EXPECT_EQ(replayed.LedgerRoot(), run.bank.state.LedgerRoot());
  }
}

}  // namespace
}  // namespace coffer::test
