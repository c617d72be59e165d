#include "actors/host/payout_tracker.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::host {
namespace {

using boundary::v1::Attempt;
using boundary::v1::PayoutItem;

const absl::Time kNow = absl::UnixEpoch() + absl::Hours(1000);

// A ticket payout with one open item and one transaction of nonce 7, seen by a healthy chain whose
// nonce is 7.
class Tracker : public testing::Test {
 protected:
  Tracker() {
    record_.payout.set_id(1);
    record_.payout.set_strategy(boundary::v1::STRATEGY_LIVEPEER_TICKET);
    record_.payout.set_under_way(true);
    PayoutItem* item = record_.payout.add_items();
    item->set_state(PayoutItem::STATE_OPEN);
    item->set_creation_round(100);
    AddAttempt("A", 7, 200);
    options_.stuck_after = absl::Seconds(60);
    options_.retry_after = absl::Seconds(10);
    chain_.nonce = 7;
    chain_.number = 50;
    chain_.confirmed = 48;
    chain_.has_broker = true;
    chain_.round = 100;
    chain_.base_fee = 100;
    context_.now = kNow;
    context_.chain = &chain_;
    context_.receipts = &receipts_;
    context_.options = &options_;
    context_.fee_limits.max_fee_ceiling = 1000;
    context_.fee_limits.max_priority_fee_ceiling = 100;
    context_.ticket_validity = 2;
    context_.may_sign = true;
    context_.broker_open = true;
    receipts_["A"] = std::nullopt;
  }

  Attempt* AddAttempt(const char* hash, uint64_t nonce, uint64_t max_fee) {
    Attempt* attempt = record_.payout.add_attempts();
    attempt->set_tx_hash(hash);
    attempt->set_nonce(nonce);
    ledger::ToProto(max_fee, attempt->mutable_fees()->mutable_max_fee_per_gas());
    ledger::ToProto(1, attempt->mutable_fees()->mutable_max_priority_fee_per_gas());
    return attempt;
  }

  void Tried(const char* hash, uint32_t tries, absl::Duration first, absl::Duration last,
             bool accepted) {
    record_.sends[hash] = {kNow - first, kNow - last, tries, accepted};
    if (accepted) accepted_.insert(7);
  }

  void Mined(const char* hash, uint64_t block) {
    Receipt receipt;
    receipt.block_number = block;
    receipts_[hash] = receipt;
  }

  void NothingUnderWay() {
    record_.payout.set_under_way(false);
    record_.payout.mutable_attempts(0)->set_mined(true);
    chain_.nonce = 8;
  }

  PayoutDecision Next() {
    return Decide(record_, context_, [this](uint64_t nonce) { return accepted_.contains(nonce); });
  }

  // "send", "bump", ... and the condition.
  void Expect(PayoutAction action, PayoutCondition condition) {
    const PayoutDecision decision = Next();
    EXPECT_EQ(decision.action, action);
    EXPECT_EQ(PayoutConditionName(decision.condition), PayoutConditionName(condition));
  }

  PayoutRecord record_;
  ChainState chain_;
  Receipts receipts_;
  PayoutDriverOptions options_;
  TrackerContext context_;
  std::set<uint64_t> accepted_;
};

TEST_F(Tracker, SendsWhatNoNodeHas) {
  Expect(PayoutAction::kSend, PayoutCondition::kPending);
  EXPECT_EQ(Next().tx_hash, "A");
}

TEST_F(Tracker, WaitsForTheNonceBefore) {
  chain_.nonce = 6;
  Expect(PayoutAction::kNone, PayoutCondition::kQueued);
  accepted_.insert(6);
  Expect(PayoutAction::kSend, PayoutCondition::kPending);
}

TEST_F(Tracker, HoldsAFirstSendWhileTheBrokerWouldRefuse) {
  context_.broker_open = false;
  Expect(PayoutAction::kNone, PayoutCondition::kHeld);
  record_.payout.mutable_items(0)->set_state(PayoutItem::STATE_PAID);
  Expect(PayoutAction::kSend, PayoutCondition::kPending);  // its nonce has to be used all the same
}

TEST_F(Tracker, ReportsAReceiptWhenItIsFinalEnough) {
  Mined("A", 49);
  Expect(PayoutAction::kNone, PayoutCondition::kConfirming);
  Mined("A", 48);
  Expect(PayoutAction::kReport, PayoutCondition::kConfirming);
}

// The log of a ticket that should have paid 1000 wei.
std::vector<ethereum::Log> Redeemed(const ethereum::Address& broker, uint64_t paid) {
  const std::string sender = std::string(12, '\0') + std::string(20, '\x51');
  const std::string recipient = std::string(12, '\0') + std::string(20, '\x52');
  const auto word = [](const ethereum::U256& value) { return ethereum::ToBytes32(value); };
  std::vector<ethereum::Log> logs;
  const auto add = [&](const ethereum::Hash& topic, std::string data) {
    logs.push_back(
        {broker,
         {topic, *ethereum::Hash::FromBytes(sender), *ethereum::Hash::FromBytes(recipient)},
         std::move(data),
         logs.size()});
  };
  if (paid != 0) add(ethereum::WinningTicketTransferTopic(), word(paid));
  add(ethereum::WinningTicketRedeemedTopic(),
      absl::StrCat(word(1000), word(~ethereum::U256(0)), word(1), word(2), word(160), word(64),
                   word(100), word(3)));
  return logs;
}

// Its rest is owed again once it is reported, and may go out in another ticket: on another branch
// the first may be paid in full (I3).
TEST_F(Tracker, ReportsWhatPaidInPartWhenNoReorgIsReckonedWith) {
  options_.reorg_window = 20;
  for (const uint64_t paid : {uint64_t{0}, uint64_t{999}}) {
    Mined("A", 40);
    receipts_["A"]->logs = Redeemed(context_.broker, paid);
    chain_.number = 59;
    chain_.confirmed = 59;
    Expect(PayoutAction::kNone, PayoutCondition::kConfirming);
    chain_.number = 60;
    Expect(PayoutAction::kReport, PayoutCondition::kConfirming);
    chain_.confirmed = 39;
    Expect(PayoutAction::kNone, PayoutCondition::kConfirming);
  }
  chain_.number = 41;
  chain_.confirmed = 40;
  receipts_["A"]->logs = Redeemed(context_.broker, 1000);
  Expect(PayoutAction::kReport, PayoutCondition::kConfirming);
  receipts_["A"]->logs = Redeemed(ethereum::Address(), 1);
  context_.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  Expect(PayoutAction::kReport, PayoutCondition::kConfirming);  // another contract says so
}

TEST_F(Tracker, AFinalizedBlockNeedsNoDepth) {
  Mined("A", 40);
  receipts_["A"]->logs = Redeemed(context_.broker, 1);
  chain_.number = 41;
  chain_.confirmed = 40;
  Expect(PayoutAction::kNone, PayoutCondition::kConfirming);
  options_.finality = PayoutDriverOptions::Finality::kSafe;  // may still be reorganised
  Expect(PayoutAction::kNone, PayoutCondition::kConfirming);
  options_.finality = PayoutDriverOptions::Finality::kFinalized;
  Expect(PayoutAction::kReport, PayoutCondition::kConfirming);
}

TEST_F(Tracker, AnyAttemptsReceiptCounts) {
  AddAttempt("B", 7, 300);
  receipts_["B"] = std::nullopt;
  Mined("A", 40);
  Expect(PayoutAction::kReport, PayoutCondition::kConfirming);
  EXPECT_EQ(Next().tx_hash, "A");
}

TEST_F(Tracker, StuckIsSentAgainThenBumped) {
  Tried("A", 1, absl::Seconds(59), absl::Seconds(59), true);
  Expect(PayoutAction::kNone, PayoutCondition::kPending);
  Tried("A", 1, absl::Seconds(60), absl::Seconds(60), true);
  Expect(PayoutAction::kSend, PayoutCondition::kPending);
  Tried("A", 2, absl::Seconds(119), absl::Seconds(59), true);
  Expect(PayoutAction::kNone, PayoutCondition::kPending);
  Tried("A", 2, absl::Seconds(120), absl::Seconds(60), true);
  Expect(PayoutAction::kBump, PayoutCondition::kPending);
  EXPECT_GE(Next().fees.max_fee, 225);  // 12.5% more
  EXPECT_GE(Next().fees.max_priority_fee, 2);
}

TEST_F(Tracker, OnlyTheFirstInLineIsBumped) {
  Tried("A", 5, absl::Hours(1), absl::Seconds(60), true);
  chain_.nonce = 6;
  accepted_.insert(6);
  Expect(PayoutAction::kSend, PayoutCondition::kPending);
}

TEST_F(Tracker, TheCeilingEndsBumps) {
  Tried("A", 5, absl::Hours(1), absl::Seconds(30), true);
  context_.fee_limits.max_fee_ceiling = 210;
  Expect(PayoutAction::kNone, PayoutCondition::kFeeCeiling);
  Tried("A", 5, absl::Hours(1), absl::Seconds(60), true);
  Expect(PayoutAction::kSend, PayoutCondition::kFeeCeiling);
  context_.fee_limits.max_fee_ceiling = 1000;
  record_.bump_refused = true;
  Expect(PayoutAction::kSend, PayoutCondition::kFeeCeiling);
}

// Simulation seed 20509: only the newest transaction is sent, so one that cannot be paid ends it.
TEST_F(Tracker, NoBumpBeyondTheBalance) {
  record_.payout.set_strategy(boundary::v1::STRATEGY_SWEEP);
  record_.payout.clear_items();
  ledger::ToProto(500, record_.payout.mutable_total());
  record_.payout.mutable_attempts(0)->mutable_fees()->set_gas_limit(10);
  Tried("A", 2, absl::Seconds(120), absl::Seconds(60), true);
  chain_.balance = 1'000'000;
  Expect(PayoutAction::kBump, PayoutCondition::kPending);
  const absl::uint128 needed = 500 + 10 * Next().fees.max_fee;
  chain_.balance = needed;
  Expect(PayoutAction::kBump, PayoutCondition::kPending);
  chain_.balance = needed - 1;
  Expect(PayoutAction::kSend, PayoutCondition::kFeeCeiling);
  chain_.balance = 499;
  Expect(PayoutAction::kSend, PayoutCondition::kFeeCeiling);
}

TEST_F(Tracker, HigherFeesAreNoHelpWithoutMoney) {
  Tried("A", 5, absl::Hours(2), absl::Hours(1), false);
  Expect(PayoutAction::kBump, PayoutCondition::kWaiting);
  record_.sends["A"].no_funds = true;
  Expect(PayoutAction::kSend, PayoutCondition::kWaiting);
}

TEST_F(Tracker, ASpentNonceWithoutAReceipt) {
  chain_.nonce = 8;
  // Its tickets are good all the same: strangers' redemptions are looked for.
  Expect(PayoutAction::kScan, PayoutCondition::kNonceLost);
  record_.scan_complete = kNow - absl::Seconds(9);
  Expect(PayoutAction::kNone, PayoutCondition::kNonceLost);
  record_.scan_complete = kNow - absl::Seconds(11);
  Expect(PayoutAction::kScan, PayoutCondition::kNonceLost);
  record_.payout.set_strategy(boundary::v1::STRATEGY_ETH_TRANSFER);
  Expect(PayoutAction::kNone, PayoutCondition::kNonceLost);
  receipts_.clear();  // no answer is no evidence
  Expect(PayoutAction::kNone, PayoutCondition::kPending);
}

TEST_F(Tracker, TheLowestOpenNonceGoesFirst) {
  AddAttempt("C", 9, 200);
  receipts_["C"] = std::nullopt;
  EXPECT_EQ(Next().tx_hash, "A");
  record_.payout.mutable_attempts(0)->set_mined(true);
  chain_.nonce = 9;
  EXPECT_EQ(Next().tx_hash, "C");
}

TEST_F(Tracker, ASignatureThatIsStillToCome) {
  record_.payout.clear_attempts();
  Expect(PayoutAction::kNone, PayoutCondition::kSigning);
}

TEST_F(Tracker, LooksForStrangersBeforeItRetries) {
  NothingUnderWay();
  Expect(PayoutAction::kScan, PayoutCondition::kWaiting);
  record_.scan_complete = kNow - absl::Seconds(5);
  Expect(PayoutAction::kRetry, PayoutCondition::kWaiting);
  record_.scan_complete = kNow - absl::Seconds(11);
  Expect(PayoutAction::kScan, PayoutCondition::kWaiting);
  record_.not_before = kNow + absl::Seconds(1);
  Expect(PayoutAction::kNone, PayoutCondition::kWaiting);
}

TEST_F(Tracker, RetriesOnlyWhenSigningIsAllowed) {
  NothingUnderWay();
  record_.scan_complete = kNow;
  context_.may_sign = false;
  Expect(PayoutAction::kNone, PayoutCondition::kWaiting);
  context_.may_sign = true;
  context_.broker_open = false;
  Expect(PayoutAction::kNone, PayoutCondition::kHeld);
}

TEST_F(Tracker, ATransferIsRetriedWithoutASearch) {
  NothingUnderWay();
  record_.payout.set_strategy(boundary::v1::STRATEGY_ETH_TRANSFER);
  context_.broker_open = false;
  Expect(PayoutAction::kNone, PayoutCondition::kFailedTransfer);
  context_.retry_transfers = true;
  Expect(PayoutAction::kRetry, PayoutCondition::kWaiting);
}

TEST_F(Tracker, ExpiredTicketsAreVoidOrNothing) {
  NothingUnderWay();
  record_.scan_complete = kNow;
  chain_.round = 101;
  Expect(PayoutAction::kRetry, PayoutCondition::kWaiting);
  chain_.round = 102;
  Expect(PayoutAction::kNone, PayoutCondition::kExpired);
  context_.may_void = true;
  Expect(PayoutAction::kVoid, PayoutCondition::kExpired);
  record_.scan_complete = absl::InfinitePast();
  Expect(PayoutAction::kScan, PayoutCondition::kExpired);
}

TEST(RetryDelay, DoublesUpToItsCeiling) {
  PayoutDriverOptions options;
  options.retry_after = absl::Seconds(10);
  options.retry_max = absl::Seconds(60);
  EXPECT_EQ(RetryDelay(0, options), absl::ZeroDuration());
  EXPECT_EQ(RetryDelay(1, options), absl::Seconds(10));
  EXPECT_EQ(RetryDelay(3, options), absl::Seconds(40));
  EXPECT_EQ(RetryDelay(4, options), absl::Seconds(60));
  EXPECT_EQ(RetryDelay(UINT32_MAX, options), absl::Seconds(60));
}

TEST_F(Tracker, WithoutItsKeyAStuckTransactionOnlyGoesOutAgain) {
  context_.may_bump = false;
  Tried("A", 2, absl::Minutes(30), absl::Seconds(61), true);
  ASSERT_EQ(Next().action, PayoutAction::kSend);
  EXPECT_EQ(Next().condition, PayoutCondition::kPending);
  context_.may_bump = true;
  EXPECT_EQ(Next().action, PayoutAction::kBump);
}

TEST(FindHalts, NamesEveryReason) {
  boundary::v1::Status enclave;
  enclave.set_chain_id(5);
  enclave.set_nonce_known(true);
  enclave.set_next_nonce(3);
  ChainState chain;
  chain.chain_id = 5;
  chain.number = 10;
  chain.nonce = 3;
  chain.has_broker = true;
  chain.round_initialized = true;
  chain.round_block_hash.bytes[0] = 1;
  EXPECT_TRUE(FindHalts(enclave, chain, 10, {}).empty());
  chain.chain_id = 6;
  chain.nonce = 4;
  chain.paused = true;
  chain.round_block_hash = {};
  chain.round = chain.withdraw_round = 7;
  std::vector<std::string> codes;
  for (const PayoutHalt& halt : FindHalts(enclave, chain, 11, {})) codes.push_back(halt.code);
  EXPECT_EQ(codes,
            (std::vector<std::string>{"wrong_chain", "node_behind", "nonce_alarm", "broker_paused",
                                      "sender_unlocked", "round_not_initialized"}));
  // Of a key that begins nothing new: what its nonces have to do with.
  PayoutDriverOptions old_key;
  old_key.key = std::string(20, 'k');
  codes.clear();
  for (const PayoutHalt& halt : FindHalts(enclave, chain, 11, old_key)) codes.push_back(halt.code);
  EXPECT_EQ(codes, (std::vector<std::string>{"wrong_chain", "node_behind", "nonce_alarm"}));
}

}  // namespace
}  // namespace coffer::host
