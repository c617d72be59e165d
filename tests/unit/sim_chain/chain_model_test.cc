#include "tests/sim/chain/chain_model.h"

#include <cstdlib>

#include "runtime/random.h"
#include "tests/unit/sim_chain/chain_fixture.h"

namespace coffer::sim::chain {
namespace {

class ChainModelTest : public ChainTest {
 protected:
  std::string Transfer(uint64_t nonce, const U256& max_fee, const U256& tip = 0,
                       uint64_t value = 5) {
    TransactionPlan plan;
    plan.nonce = nonce;
    plan.gas_limit = 21'000;
    plan.max_fee = max_fee;
    plan.tip = tip;
    plan.to = Somebody(9);
    plan.value = value;
    return MakeTransaction(key_, plan);
  }
};

TEST_F(ChainModelTest, TakesTransactionsAsAPoolDoes) {
  const std::string first = Transfer(7, 1000, 10);
  EXPECT_EQ(chain_.Submit("nonsense"), Refusal::kMalformed);
  EXPECT_EQ(chain_.Submit(Transfer(6, 1000)), Refusal::kNonceTooLow);
  EXPECT_EQ(chain_.Submit(Transfer(8, 1000)), Refusal::kNonceTooHigh);
  EXPECT_EQ(chain_.Submit(Transfer(7, 1000, 1001)), Refusal::kTipAboveFee);
  EXPECT_EQ(chain_.Submit(first), Refusal::kNone);
  EXPECT_EQ(chain_.Submit(first), Refusal::kAlreadyKnown);
  EXPECT_EQ(chain_.Submit(Transfer(8, 1000)), Refusal::kNone);
  EXPECT_EQ(chain_.Submit(Transfer(7, 1099, 11)), Refusal::kUnderpricedReplacement);
  EXPECT_EQ(chain_.Submit(Transfer(7, 1100, 10)), Refusal::kUnderpricedReplacement);
  EXPECT_EQ(chain_.Submit(Transfer(7, 1100, 11)), Refusal::kNone);
  EXPECT_EQ(chain_.Submit(Transfer(9, 1000, 0, 2'000'000'000'000'000'000)),
            Refusal::kInsufficientFunds);
  EXPECT_EQ(chain_.pending(), 2u);
  EXPECT_EQ(chain_.PendingNonce(sender()), 9u);
  EXPECT_EQ(chain_.FindSubmission(HashOf(first))->times, 2u);
}

TEST_F(ChainModelTest, MinesWhatPaysTheBaseFeeInTheOrderOfNonces) {
  ASSERT_EQ(chain_.Submit(Transfer(7, 1000)), Refusal::kNone);
  ASSERT_EQ(chain_.Submit(Transfer(8, 150)), Refusal::kNone);
  ASSERT_EQ(chain_.Submit(Transfer(9, 1000)), Refusal::kNone);
  chain_.SetBaseFee(160);
  chain_.Mine(10);
  EXPECT_EQ(chain_.Nonce(sender()), 8u);
  EXPECT_EQ(chain_.pending(), 2u);
  EXPECT_EQ(chain_.head().base_fee, 160);
  chain_.Mine(10);  // an empty block: the base fee falls by an eighth, to 140
  EXPECT_EQ(chain_.head().base_fee, 141);
  EXPECT_EQ(chain_.Nonce(sender()), 10u);
  EXPECT_EQ(chain_.Paid(Somebody(9)), 15);
}

TEST_F(ChainModelTest, GasIsPaidFromTheEtherAlsoOfWhatFails) {
  const U256 before = chain_.Balance(sender());
  const std::string raw = Single(7, Ticket(1, 10));
  ASSERT_EQ(chain_.Submit(raw), Refusal::kNone);
  chain_.Mine(1, /*fail_one=*/true);
  const Receipt& receipt = ReceiptOf(raw);
  EXPECT_FALSE(receipt.succeeded);
  EXPECT_EQ(receipt.gas_used, 1'000'000u);
  EXPECT_EQ(chain_.Balance(sender()), before - receipt.effective_gas_price * 1'000'000);
  EXPECT_EQ(chain_.Paid(Somebody(1)), 0);
  EXPECT_EQ(chain_.BalanceAt(sender(), chain_.height() - 1), before);
}

TEST_F(ChainModelTest, AReorgTakesEverythingBackAndMayBringItAgain) {
  const std::string one = Single(7, Ticket(1, 10));
  const std::string two = Single(8, Ticket(2, 20));
  ASSERT_EQ(chain_.Submit(one), Refusal::kNone);
  ASSERT_EQ(chain_.Submit(two), Refusal::kNone);
  chain_.Mine(1);
  chain_.Mine(1);
  const Hash old_block = ReceiptOf(two).block_hash;
  ASSERT_TRUE(chain_.Reorg(2, 1));
  EXPECT_EQ(chain_.Paid(Somebody(1)), 0);
  EXPECT_EQ(chain_.Nonce(sender()), 7u);
  EXPECT_EQ(chain_.FindReceipt(HashOf(one)), nullptr);
  EXPECT_EQ(chain_.FindOrphan(HashOf(two))->block_hash, old_block);
  EXPECT_TRUE(chain_.Pending(HashOf(one)));
  EXPECT_FALSE(chain_.Pending(HashOf(two)));
  chain_.Mine(5);
  EXPECT_EQ(chain_.Paid(Somebody(1)), 10);
  EXPECT_EQ(chain_.FindOrphan(HashOf(one)), nullptr);
  EXPECT_EQ(chain_.Submit(two), Refusal::kNone);
  chain_.Mine(5);
  EXPECT_EQ(chain_.Paid(Somebody(1)), 30);
  EXPECT_NE(ReceiptOf(two).block_hash, old_block);
}

TEST_F(ChainModelTest, WhatOthersDidComesAgainInTheOtherBranch) {
  chain_.AdvanceRound(true);
  chain_.AddDeposit(sender(), 500);
  ASSERT_TRUE(chain_.Reorg(2, 0));
  EXPECT_EQ(chain_.broker().round(), 3u);
  EXPECT_EQ(chain_.broker().Deposit(sender()), 1000);
  chain_.Mine(0);
  EXPECT_EQ(chain_.broker().round(), 4u);
  EXPECT_EQ(chain_.broker().Deposit(sender()), 1500);
}

TEST_F(ChainModelTest, TheOtherBranchMayHoldTheReplacedTransaction) {
  const std::string cheap = Single(7, Ticket(1, 10));
  TransactionPlan plan = Plan(7, EncodeRedeem(Ticket(1, 10)));
  plan.max_fee = 2000;
  const std::string dear = MakeTransaction(key_, plan);
  ASSERT_EQ(chain_.Submit(cheap), Refusal::kNone);
  ASSERT_EQ(chain_.Submit(dear), Refusal::kNone);
  chain_.Mine(1);
  EXPECT_NE(chain_.FindReceipt(HashOf(dear)), nullptr);
  ASSERT_TRUE(chain_.Reorg({.depth = 1, .new_blocks = 2, .swap_replaced = true}));
  EXPECT_EQ(chain_.FindReceipt(HashOf(dear)), nullptr);
  EXPECT_NE(chain_.FindReceipt(HashOf(cheap)), nullptr);
  EXPECT_EQ(chain_.Paid(Somebody(1)), 10);
}

TEST_F(ChainModelTest, NothingBelowTheFinalizedBlockVanishes) {
  for (int i = 0; i < 200; ++i) chain_.Mine(0);
  const uint64_t height = chain_.height();
  EXPECT_EQ(chain_.finalized(), height - kFinalizedDepth);
  EXPECT_EQ(chain_.safe(), height - kSafeDepth);
  ASSERT_TRUE(chain_.Reorg(1000, 0));
  EXPECT_EQ(chain_.height(), height - kFinalizedDepth);
  EXPECT_FALSE(chain_.Reorg(1, 0));
  chain_.Mine(0);
  EXPECT_EQ(chain_.finalized(), height - kFinalizedDepth);  // it never goes back
}

TEST_F(ChainModelTest, AStrangerIsFasterAndOurTransactionPaysNothing) {
  const std::string raw = Batch(7, {Ticket(1, 10), Ticket(2, 20)});
  ASSERT_EQ(chain_.Submit(raw), Refusal::kNone);
  ASSERT_TRUE(chain_.StrangerRedeems(1));
  chain_.Mine(5);
  ASSERT_EQ(chain_.strangers().size(), 1u);
  const Receipt* theirs = chain_.FindReceipt(chain_.strangers()[0]);
  ASSERT_NE(theirs, nullptr);
  EXPECT_EQ(theirs->tickets[0].paid, 20);
  EXPECT_EQ(ReceiptOf(raw).tickets[1].revert, "ticket is used");
  EXPECT_EQ(chain_.Paid(Somebody(1)), 30);
  EXPECT_FALSE(chain_.StrangerRedeems(0));  // all are used
  // In another branch ours comes first.
  ASSERT_TRUE(chain_.Reorg({.depth = 1, .new_blocks = 1, .strangers_last = true}));
  EXPECT_EQ(ReceiptOf(raw).tickets[1].paid, 20);
  EXPECT_FALSE(chain_.FindReceipt(chain_.strangers()[0])->succeeded);
  EXPECT_EQ(chain_.Paid(Somebody(1)), 30);
}

TEST_F(ChainModelTest, DroppedTransactionsLeaveAGapAndComeAgain) {
  ASSERT_EQ(chain_.Submit(Transfer(7, 1000)), Refusal::kNone);
  ASSERT_EQ(chain_.Submit(Transfer(8, 1000)), Refusal::kNone);
  ASSERT_TRUE(chain_.DropPending(0));
  chain_.Mine(5);
  EXPECT_EQ(chain_.Nonce(sender()), 7u);
  ASSERT_TRUE(chain_.Resurface(0));
  chain_.Mine(5);
  EXPECT_EQ(chain_.Nonce(sender()), 9u);
  EXPECT_FALSE(chain_.DropPending(0));
  chain_.Overhear(Transfer(9, 1000));
  EXPECT_EQ(chain_.pending(), 0u);
  EXPECT_EQ(chain_.submissions().size(), 3u);
}

// Every lever at random: ether is conserved, and what the sums say is what the events say.
TEST_F(ChainModelTest, ConservesEtherWhateverHappens) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 7;
  SCOPED_TRACE("COFFER_TEST_SEED=" + std::to_string(seed));
  runtime::SeededRandom random(seed);
  uint64_t sender_nonce = 0;
  std::vector<TicketCall> old;
  for (int step = 0; step < 1500; ++step) {
    switch (random.Below(10)) {
      case 0:
      case 1: {
        std::vector<TicketCall> tickets;
        for (uint64_t i = random.Below(3); i > 0; --i) {
          tickets.push_back(Ticket(++sender_nonce, random.Below(400), random.Below(3)));
          if (!old.empty() && random.Below(4) == 0)
            tickets.push_back(old[random.Below(old.size())]);
        }
        old.insert(old.end(), tickets.begin(), tickets.end());
        chain_.Submit(Batch(chain_.PendingNonce(sender()), tickets));
        break;
      }
      case 2:
        chain_.Reorg({.depth = random.Below(5),
                      .keep = random.Below(4),
                      .keep_strangers = random.Below(2) == 0,
                      .new_blocks = random.Below(3)});
        break;
      case 3:
        chain_.StrangerRedeems(random.NextUint64());
        break;
      case 4:
        chain_.AddDeposit(sender(), random.Below(2000));
        break;
      case 5:
        chain_.AddReserve(sender(), random.Below(100));
        break;
      case 6:
        if (random.Below(10) == 0) chain_.AdvanceRound(random.Below(4) != 0);
        if (random.Below(10) == 0) chain_.InitializeRound();
        break;
      default:
        chain_.FailInner(random.Below(2));
        chain_.Mine(random.Below(4), random.Below(6) == 0);
    }
    U256 credited = 0;
    for (uint64_t i = 0; i < 3; ++i) credited += chain_.broker().FeesCredited(Somebody(i));
    const Contracts& contracts = chain_.options().broker.contracts;
    ASSERT_EQ(chain_.Balance(contracts.minter),
              chain_.broker().Deposit(sender()) + chain_.broker().ReserveFunds(sender()) + credited)
        << "step " << step;
    U256 transferred = 0;
    uint64_t redeemed = 0;
    for (uint64_t n = chain_.options().first_block; n <= chain_.height(); ++n) {
      for (const Receipt& receipt : chain_.ReceiptsOf(n)) {
        const auto redemptions = ethereum::DecodeRedemptions(contracts.broker, receipt.logs);
        ASSERT_TRUE(redemptions.ok()) << redemptions.status();
        redeemed += redemptions->size();
        for (const ethereum::Redemption& one : *redemptions) transferred += one.paid;
      }
    }
    ASSERT_EQ(transferred, credited) << "step " << step;
    ASSERT_EQ(redeemed, chain_.TicketsUsed()) << "step " << step;
  }
  EXPECT_GT(chain_.TicketsUsed(), 20u);
  EXPECT_GT(chain_.reorgs(), 20u);
}

}  // namespace
}  // namespace coffer::sim::chain
