// The transparency log as the commands write it: which leaves, with what in them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "enclave_core/audit/leaf.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using audit::Leaf;
using audit::LeafKind;
using authority::Authority;

// The leaves of what was done since the last call.
std::vector<Leaf> TakeLeaves(Authority* state) {
  std::vector<Leaf> leaves;
  std::string bundle = state->TakeLeaves().bundle;
  for (std::string_view rest = bundle; !rest.empty();) {
    const size_t length =
        size_t{static_cast<uint8_t>(rest[0])} << 8 | static_cast<uint8_t>(rest[1]);
    const absl::StatusOr<Leaf> leaf = audit::ParseLeaf(rest.substr(2, length));
    EXPECT_TRUE(leaf.ok()) << leaf.status();
    if (!leaf.ok()) return leaves;
    leaves.push_back(*leaf);
    rest.remove_prefix(2 + length);
  }
  return leaves;
}

std::vector<std::string> Names(const std::vector<Leaf>& leaves) {
  std::vector<std::string> names;
  for (const Leaf& leaf : leaves) names.emplace_back(audit::KindName(leaf.kind));
  return names;
}

std::string Moved(const Leaf& leaf) {
  if (!leaf.balances.has_value()) return "nothing";
  const audit::Balances& b = *leaf.balances;
  return absl::StrCat(leaf.account, " ", static_cast<int64_t>(b.delta), " -> ",
                      static_cast<int64_t>(b.available), " ", static_cast<int64_t>(b.reserved), " ",
                      static_cast<int64_t>(b.paid));
}

// Runs commands without Bank's own bookkeeping of the log.
class LeafLogTest : public testing::Test {
 protected:
  LeafLogTest() {
    state.SetTime(1'700'000'000, 123);
    state.Found(Key().address(), WidePolicy(), Bytes32(0x55), &batch);
  }
  v1::EventsApplied Apply(const v1::Event& event, bool want_entries = false) {
    v1::ApplyEvents request;
    *request.add_events() = event;
    request.set_want_audit_entries(want_entries);
    v1::EventsApplied answer;
    state.ApplyEvents(request, &answer, &batch);
    return answer;
  }
  // Prepares and signs.
  v1::Payout Pay(const v1::PreparePayout& request) {
    const auto job = state.PreparePayout(request, &batch);
    EXPECT_TRUE(job.ok()) << job.status();
    state.CompleteSigning(payouts::Sign(Key(), *job), &batch);
    v1::Payout payout;
    EXPECT_TRUE(state.GetPayout(job->payout_id, true, &payout).ok());
    return payout;
  }

  Authority state;
  Authority::Batch batch;
};

TEST_F(LeafLogTest, TheFirstLeafIsTheGenesis) {
  const std::vector<Leaf> leaves = TakeLeaves(&state);
  ASSERT_EQ(leaves.size(), 1u);
  Leaf expected;
  expected.kind = LeafKind::kGenesis;
  expected.claimed_time = 1'700'000'000'123;
  expected.recipient = Key().address();
  expected.content_hash = policy::PolicyHash(WidePolicy());
  EXPECT_EQ(leaves[0], expected);
  EXPECT_TRUE(state.pristine());
}

TEST_F(LeafLogTest, ACreditHasItsTextsHashAndWhatItMoved) {
  (void)TakeLeaves(&state);
  v1::Event event = MakeEvent("ev-1", "alice", 500);
  event.set_content_hash(Bytes32(0x77));
  EXPECT_EQ(Apply(event).applied(), 1u);
  EXPECT_EQ(Apply(MakeEvent("ev-2", "alice", 80, v1::Event::KIND_ADJUST_DOWN)).applied(), 1u);
  EXPECT_EQ(Apply(MakeEvent("ev-3", "alice", 5, v1::Event::KIND_ADJUST_UP)).applied(), 1u);
  const std::vector<Leaf> leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves),
              testing::ElementsAre("account_opened", "credit", "adjust_down", "adjust_up"));
  EXPECT_EQ(leaves[1].event_id, "ev-1");
  EXPECT_EQ(leaves[1].content_hash->view(), Bytes32(0x77));
  EXPECT_EQ(leaves[1].recipient->view(), RecipientOf("alice"));
  EXPECT_EQ(Moved(leaves[1]), "alice 500 -> 500 0 0");
  EXPECT_EQ(Moved(leaves[2]), "alice -80 -> 420 0 0");
  EXPECT_FALSE(leaves[2].content_hash.has_value());
  EXPECT_EQ(Moved(leaves[3]), "alice 5 -> 425 0 0");
  EXPECT_FALSE(state.pristine());
}

TEST_F(LeafLogTest, WhatIsRefusedOrRepeatedLeavesNoLeaf) {
  Apply(MakeEvent("ev-1", "alice", 500));
  const uint64_t size = state.log().size();
  v1::Event again = MakeEvent("ev-1", "alice", 500);
  again.set_content_hash(Bytes32(0x78));
  const v1::EventsApplied repeated = Apply(again, true);
  EXPECT_EQ(repeated.duplicates_size(), 1) << "another text about it is no other event";
  EXPECT_EQ(repeated.audit_entries_size(), 0);
  Apply(MakeEvent("ev-1", "alice", 501));
  Apply(MakeEvent("ev-2", "alice", 501, v1::Event::KIND_ADJUST_DOWN));
  v1::Event odd = MakeEvent("ev-3", "alice", 1);
  odd.set_content_hash("short");
  EXPECT_EQ(Apply(odd).refusals(0).error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(state.log().size(), size);
}

TEST_F(LeafLogTest, EntriesComeWithTheAnswerWhenAskedFor) {
  const v1::EventsApplied answer = Apply(MakeEvent("ev-1", "alice", 500), true);
  ASSERT_EQ(answer.audit_entries_size(), 1);
  EXPECT_EQ(answer.audit_entries(0).leaf_index(), 2u) << "after the genesis and the account";
  const absl::StatusOr<Leaf> leaf = audit::ParseLeaf(answer.audit_entries(0).leaf());
  ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(leaf->event_id, "ev-1");
  EXPECT_EQ(leaf->sequence, 2u);
  EXPECT_EQ(Apply(MakeEvent("ev-2", "alice", 500)).audit_entries_size(), 0);
}

TEST_F(LeafLogTest, APayoutFromTheReservationToAReorg) {
  Apply(MakeEvent("ev-1", "alice", 500));
  Apply(MakeEvent("ev-2", "bob", 300));
  (void)TakeLeaves(&state);
  const v1::Payout payout = Pay(MakePayout({{"alice", 400}, {"bob", 300}}));
  std::vector<Leaf> leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves),
              testing::ElementsAre("payout_reserved", "payout_reserved", "payout_signed",
                                   "ticket_signed", "ticket_signed"));
  EXPECT_EQ(Moved(leaves[0]), "alice -400 -> 100 400 0");
  EXPECT_EQ(Moved(leaves[1]), "bob -300 -> 0 300 0");
  EXPECT_EQ(leaves[2].tx_hash->view(), payout.attempts(0).tx_hash());
  EXPECT_EQ(leaves[4].ticket_hash->view(), payout.items(1).ticket_hash());
  EXPECT_EQ(leaves[4].amount, Wei(300));

  Bank reader;  // only for what a redemption looks like
  v1::ReportReceipt receipt = MakeReceipt(payout.attempts(0).tx_hash());
  for (size_t i : {size_t{0}, size_t{1}}) {
    const payouts::Payout& own = *state.payouts().Find(payout.id());
    const payouts::Item& item = own.items[i];
    AddLogs({Key().address(), RecipientOf(i == 0 ? "alice" : "bob"), item.amount, item.sender_nonce,
             item.ticket->recipient_rand, own.aux_data, i == 0 ? Wei(150) : item.amount},
            &receipt);
  }
  v1::ReceiptResult result;
  ASSERT_TRUE(state.ReportReceipt(receipt, &result, &batch).ok());
  leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves), testing::ElementsAre("item_paid", "item_paid"));
  EXPECT_EQ(Moved(leaves[0]), "alice 250 -> 350 0 150") << "the shortfall came back";
  EXPECT_EQ(leaves[0].amount, Wei(150));
  EXPECT_EQ(Moved(leaves[1]), "bob 0 -> 0 0 300");
  EXPECT_TRUE(leaves[0].hosts_word) << "tier T0";
  EXPECT_EQ(leaves[0].ticket_hash->view(), payout.items(0).ticket_hash());

  v1::ReportReorg reorg;
  reorg.set_tx_hash(payout.attempts(0).tx_hash());
  ASSERT_TRUE(state.ReportReorg(reorg, &result, &batch).ok());
  leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves), testing::ElementsAre("payout_reverted", "payout_reverted"));
  EXPECT_EQ(Moved(leaves[0]), "alice -250 -> 100 400 0");
  EXPECT_EQ(leaves[0].amount, Wei(150));
  EXPECT_EQ(Moved(leaves[1]), "bob 0 -> 0 300 0");

  v1::VoidTickets voided;
  voided.set_payout_id(payout.id());
  voided.set_round(200);
  ASSERT_TRUE(state.VoidTickets(voided, &batch).ok());
  leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves), testing::ElementsAre("item_voided", "item_voided"));
  EXPECT_EQ(Moved(leaves[0]), "alice 400 -> 500 0 0");
}

TEST_F(LeafLogTest, AFundingIsLoggedWhenAskedForSignedAndMined) {
  (void)TakeLeaves(&state);
  v1::PrepareFunding request;
  request.set_strategy(v1::STRATEGY_FUND_DEPOSIT);
  ledger::ToProto(Wei(700), request.mutable_amount());
  *request.mutable_reading() = Reading();
  *request.mutable_fees() = MakeFees(100);
  const auto job = state.PrepareFunding(request, &batch);
  ASSERT_TRUE(job.ok()) << job.status();
  state.CompleteSigning(payouts::Sign(Key(), *job), &batch);
  v1::Payout payout;
  ASSERT_TRUE(state.GetPayout(job->payout_id, true, &payout).ok());
  v1::ReceiptResult result;
  ASSERT_TRUE(state.ReportReceipt(MakeReceipt(payout.attempts(0).tx_hash()), &result, &batch).ok());
  const std::vector<Leaf> leaves = TakeLeaves(&state);
  EXPECT_THAT(Names(leaves), testing::ElementsAre("funding", "payout_signed", "funding"));
  EXPECT_EQ(leaves[0].amount, Wei(700));
  EXPECT_FALSE(leaves[0].tx_hash.has_value());
  EXPECT_EQ(leaves[2].tx_hash->view(), payout.attempts(0).tx_hash());
  EXPECT_TRUE(leaves[2].hosts_word);
}

TEST_F(LeafLogTest, TheSealedTreeGoesOnWhereTheLogWas) {
  Apply(MakeEvent("ev-1", "alice", 500));
  const authority::NewLeaves taken = state.TakeLeaves();
  EXPECT_EQ(taken.tree_size, 3u);
  EXPECT_TRUE(state.TakeLeaves().empty());
  Authority restored = Restored(state);
  EXPECT_EQ(restored.log().size(), 3u);
  EXPECT_EQ(restored.log().head().view(), taken.head);
  for (Authority* each : {&state, &restored}) {
    v1::ApplyEvents request;
    *request.add_events() = MakeEvent("ev-2", "alice", 1);
    v1::EventsApplied answer;
    each->SetTime(1'700'000'001);
    each->ApplyEvents(request, &answer, &batch);
  }
  EXPECT_EQ(state.log().Root(), restored.log().Root()) << "no gap, no fork";
  EXPECT_FALSE(restored.RestoreLog("no tree", std::string(32, 'x')).ok());
  EXPECT_FALSE(restored.RestoreLog(taken.tree, "short").ok());
}

// Whatever a command lets through can be written as a leaf: a leaf that is refused would stop the
// process.
TEST_F(LeafLogTest, TheLongestIdsAndTheLargestAmountsFitALeaf) {
  const std::string longest(128, 'x');
  constexpr Wei kMostOwed = (Wei(1) << 126) - 1;
  EXPECT_EQ(Apply(MakeEvent(longest, longest, kMostOwed)).applied(), 1u);
  EXPECT_EQ(Apply(MakeEvent("more", longest, 1)).refusals_size(), 1);
  EXPECT_EQ(Apply(MakeEvent(longest + "x", "a", 1)).refusals_size(), 1);
  EXPECT_EQ(Apply(MakeEvent("id", longest + "x", 1)).refusals_size(), 1);
  EXPECT_EQ(Apply(MakeEvent("", "a", 1)).refusals_size(), 1);
  EXPECT_EQ(Apply(MakeEvent("down", longest, kMostOwed, v1::Event::KIND_ADJUST_DOWN)).applied(),
            1u);
  const std::vector<Leaf> leaves = TakeLeaves(&state);
  EXPECT_EQ(leaves.back().balances->delta, -static_cast<absl::int128>(kMostOwed));
}

// Store carries a record and its leaves in one frame.
TEST_F(LeafLogTest, TheLargestBatchOfEventsFitsAFrameWithItsLeaves) {
  (void)TakeLeaves(&state);
  v1::ApplyEvents request;
  for (int i = 0; i < authority::kMaxEventsPerRequest; ++i) {
    const std::string number = absl::StrCat(i);
    const std::string longest = std::string(128 - number.size(), 'x') + number;
    v1::Event event = MakeEvent(longest, longest, 1);
    event.set_content_hash(Bytes32(0x77));
    *request.add_events() = event;
  }
  v1::EventsApplied answer;
  Authority::Batch events;
  state.ApplyEvents(request, &answer, &events);
  EXPECT_EQ(answer.applied(), 10'000u);
  const size_t bytes = events.ByteSizeLong() + state.TakeLeaves().bundle.size();
  EXPECT_LT(bytes, size_t{12} << 20) << "and 4 MiB of others may be in the record before it";
}

TEST_F(LeafLogTest, AClockThatGoesBackIsHeldInTheLeavesToo) {
  state.SetTime(1'700'000'005, 999);
  state.SetTime(1'700'000'005, 1);
  Apply(MakeEvent("a", "alice", 1));
  state.SetTime(1'600'000'000, 500);
  Apply(MakeEvent("b", "alice", 1));
  const std::vector<Leaf> leaves = TakeLeaves(&state);
  EXPECT_EQ(leaves[1].claimed_time, 1'700'000'005'999u);
  EXPECT_EQ(leaves.back().claimed_time, 1'700'000'005'999u);
}

TEST_F(LeafLogTest, OneTransactionPaysNoMoreTicketsThanABlockCanHold) {
  Apply(MakeEvent("ev", "alice", 5'000'000));
  v1::ReportReceipt receipt = MakeReceipt(Bytes32(0x66));
  v1::ReceiptResult result;
  uint64_t taken = 0;
  for (int round = 0; round <= 10; ++round) {
    receipt.clear_logs();
    for (int i = 0; i < 1000 + (round == 10 ? 1 : 0); ++i) {
      v1::PreparePayout request = MakePayout({{"alice", 1}});
      const auto job = state.PreparePayout(request, &batch);
      ASSERT_TRUE(job.ok()) << job.status();
      payouts::SigningResult signed_job = payouts::Sign(Key(), *job);
      state.CompleteSigning(std::move(signed_job), &batch);
      const payouts::Payout& own = *state.payouts().Find(job->payout_id);
      AddLogs({Key().address(), RecipientOf("alice"), Wei(1), own.items[0].sender_nonce,
               own.items[0].ticket->recipient_rand, own.aux_data, Wei(0)},
              &receipt);
    }
    const absl::Status reported = state.ReportReceipt(receipt, &result, &batch);
    if (reported.ok()) taken += static_cast<uint64_t>(receipt.logs_size());
    ASSERT_EQ(reported.ok(), round < 10) << round << " " << reported;
  }
  EXPECT_EQ(taken, authority::kMaxPaidByTransaction);
}

TEST(SignerLeafTest, EverySignatureIsALeafAndNoRefusalIs) {
  Bank bank(WidePolicy(), 0x11, v1::PROFILE_SIGNER);
  (void)bank.Batches();
  v1::SignTransaction request;
  request.set_type(2);
  request.set_chain_id(WidePolicy().chain_id);
  request.set_gas_limit(21'000);
  request.set_to(std::string(WidePolicy().broker.view()));
  const uint64_t before = bank.state.log().size();
  EXPECT_FALSE(bank.state.SignTransaction(request, bank.Next()).ok()) << "no call of the broker's";
  EXPECT_EQ(bank.state.log().size(), before);
  v1::SignTicket ticket;
  ticket.set_recipient(RecipientOf("alice"));
  ticket.set_face_value("\x05");
  ticket.set_recipient_rand_hash(Bytes32(0x01));
  ticket.set_aux_data(std::string(31, '\0') + "\x07" + Bytes32(0xbb));
  const auto allowed = bank.state.SignTicket(ticket, bank.Next());
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  const std::vector<Leaf> leaves = TakeLeaves(&bank.state);
  ASSERT_EQ(Names(leaves), std::vector<std::string>{"signature"});
  const auto& signed_ticket = std::get<ethereum::Ticket>(*allowed);
  EXPECT_EQ(leaves[0].digest, signed_ticket.SigningHash());
  EXPECT_EQ(leaves[0].ticket_hash, signed_ticket.TicketHash());
  EXPECT_EQ(leaves[0].recipient->view(), RecipientOf("alice"));
  EXPECT_EQ(leaves[0].amount, Wei(5));
}

// A state from a version that knew no log.
TEST(CarriedOverTest, AnOldStateBeginsItsLogWithWhatItHas) {
  Bank bank;
  bank.Credit("alice", 500);
  bank.Credit("bob", 300);
  ASSERT_TRUE(bank.Pay({{"alice", 400}}).ok());
  Authority old;
  for (const Bank::Batch& batch : bank.Batches()) {
    for (const auto& event : batch.events()) ASSERT_TRUE(old.Apply(event).ok());
  }
  EXPECT_EQ(old.log().size(), 0u);
  Bank::Batch batch;
  ASSERT_TRUE(old.Adopt({bank.key().address()}, WidePolicy(), false, &batch).ok());
  LeafAuditor auditor;
  EXPECT_EQ(auditor.AddBundle(old.TakeLeaves().bundle), "");
  EXPECT_EQ(auditor.count(LeafKind::kCarriedOver), 2u);
  EXPECT_EQ(CompareWithLedger(auditor, old.ledger()), "");
  EXPECT_EQ(auditor.tree().Root(), old.log().Root());
  ASSERT_TRUE(old.Adopt({bank.key().address()}, WidePolicy(), false, &batch).ok());
  EXPECT_TRUE(old.TakeLeaves().empty()) << "once";
}

}  // namespace
}  // namespace coffer::test
