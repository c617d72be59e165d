// What a hostile host still can do, done: one test for each item of docs/threat-model.md that the
// enclave's side can show. Each says what is lost, what bounds it, and which alarm notices it. All
// of them hold I1..I5, I7, I9 and I10 along each line of records, as the auditor at the door
// confirms at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "enclave_core/authority/authority.h"
#include "tests/sim/adversary/scripted_host.h"

namespace coffer::sim {
namespace {

namespace v1 = boundary::v1;

policy::Policy WithTransfers() {
  policy::Policy policy = ScenarioPolicy();
  policy.allow_eth_transfer = true;
  return policy;
}

const std::string kPayee(20, '\x77');
const std::string kHost(20, '\x66');

class Scenario : public ScriptedHost {
 protected:
  void Begin(const policy::Policy& policy = WithTransfers()) {
    Open(policy);
    Load(0, -1);
  }
  // Starts (again) in this place with the state that ends at this record.
  void Load(size_t slot, int record) {
    Restart(slot);
    ASSERT_TRUE(LoadState(slot, record).has_load_done());
  }
  ServerFrame Prepare(size_t slot, uint64_t nonce, uint64_t round, uint64_t deposit = 1'000'000,
                      v1::Strategy strategy = v1::STRATEGY_LIVEPEER_TICKET) {
    ClientFrame frame;
    auto* prepare = frame.mutable_prepare_payout();
    prepare->set_strategy(strategy);
    prepare->add_items()->set_account("payee");
    Read(nonce, prepare->mutable_reading(), round, deposit);
    Fees(prepare->mutable_fees());
    return Call(slot, frame);
  }
  ServerFrame Retry(size_t slot, uint64_t nonce) {
    ClientFrame frame;
    frame.mutable_retry_payout()->set_payout_id(1);
    Read(nonce, frame.mutable_retry_payout()->mutable_reading());
    Fees(frame.mutable_retry_payout()->mutable_fees());
    return Call(slot, frame);
  }
  wire::SignedTransaction Last(const v1::Payout& payout) {
    return ScriptedHost::Last(payout, {world_->address()});
  }
  v1::Account Account(size_t slot) {
    ClientFrame frame;
    frame.mutable_get_account()->set_id("payee");
    return Call(slot, frame).account();
  }
  ServerFrame Void(size_t slot, uint64_t round) {
    ClientFrame frame;
    frame.mutable_void_tickets()->set_payout_id(1);
    frame.mutable_void_tickets()->set_round(round);
    return Call(slot, frame);
  }
};

// Item 1.
TEST_F(Scenario, WithheldAcknowledgementsDelayAndReleaseNothing) {
  Begin();
  Credit(0, "e1", 100);
  acknowledges_ = false;
  EXPECT_EQ(Prepare(0, 7, 100).body_case(), ServerFrame::BODY_NOT_SET);
  EXPECT_EQ(Account(0).id(), "") << "nor is anybody told of what is not stored";
  acknowledges_ = true;
  Load(0, newest_);
  EXPECT_EQ(Account(0).reserved().low(), 100u) << "what was on its way is there, and nothing else";
}

// Item 2.
TEST_F(Scenario, CreditsWhomItLikes) {
  Begin();
  EXPECT_EQ(Credit(0, "invented", 1'000'000).events_applied().applied(), 1u);
  EXPECT_EQ(Last(Prepare(0, 7, 100).payout()).tickets[0].face_value, 1'000'000u)
      << "bounded by the policy's face value, ticket by ticket, and by the deposit";
}

// Item 3.
TEST_F(Scenario, ChoosesTheFirstRecipientAndNoOther) {
  Begin();
  EXPECT_EQ(Credit(0, "e1", 100, kHost).events_applied().applied(), 1u);
  const ServerFrame honest = Credit(0, "e2", 100, kPayee);
  ASSERT_EQ(honest.events_applied().refusals_size(), 1);
  EXPECT_EQ(honest.events_applied().refusals(0).error().code(), v1::ERROR_RECIPIENT_MISMATCH)
      << "which is the alarm: the true recipient's first credit is refused";
  EXPECT_EQ(Last(Prepare(0, 7, 100).payout()).tickets[0].recipient.view(), kHost);
}

// Item 4.
TEST_F(Scenario, RollsBackAndPaysTwice) {
  Begin();
  Credit(0, "e0", 10);
  Receipt(0, Last(Prepare(0, 7, 100).payout()), 10);
  Credit(0, "e1", 100);
  const int before = newest_;
  const wire::SignedTransaction first = Last(Prepare(0, 8, 100).payout());
  SignHead(0);
  Load(0, before);
  EXPECT_EQ(Account(0).available().low(), 100u) << "the payout is forgotten";
  // The chain's true nonce is an alarm.
  EXPECT_EQ(Prepare(0, 9, 100).error().code(), v1::ERROR_NONCE_ALARM);
  // A lie about it is not, and another round makes another ticket.
  const wire::SignedTransaction second = Last(Prepare(0, 8, 101).payout());
  SignHead(0);
  ASSERT_NE(first.tickets[0].hash, second.tickets[0].hash);
  EXPECT_EQ(first.tickets[0].face_value + second.tickets[0].face_value, 200u)
      << "100 is owed, 200 is signed: for each roll-back as much again as was available then";
  // They share nonce and senderNonce: one of them is redeemed by a stranger, and counts as foreign.
  EXPECT_EQ(first.nonce, second.nonce);
  EXPECT_EQ(first.tickets[0].sender_nonce, second.tickets[0].sender_nonce);
  EXPECT_EQ(Receipt(0, first, 100).receipt().foreign_redemptions(), 1u);
  EXPECT_TRUE(HeadsContradict());
}

// Item 4: a state that has signed nothing yet starts where the chain is.
TEST_F(Scenario, ARollBackToBeforeTheFirstSignatureHasNoNonceAlarm) {
  Begin();
  Credit(0, "e1", 100);
  const int before = newest_;
  const wire::SignedTransaction first = Last(Prepare(0, 7, 100).payout());
  SignHead(0);
  Load(0, before);
  const wire::SignedTransaction second = Last(Prepare(0, 8, 101).payout());
  SignHead(0);
  EXPECT_EQ(second.nonce, 8u) << "the truth about the chain raises nothing";
  EXPECT_NE(first.tickets[0].hash, second.tickets[0].hash);
  EXPECT_EQ(Receipt(0, first, 100).receipt().foreign_redemptions(), 1u);
  EXPECT_TRUE(HeadsContradict());
}

// Item 4: nothing is drawn at random, so the same question gives the same ticket.
TEST_F(Scenario, ARollBackWithTheSameAnswersSignsTheSameBytes) {
  Begin();
  Credit(0, "e1", 100);
  const int before = newest_;
  const ServerFrame first = Prepare(0, 7, 100);
  Load(0, before);
  const ServerFrame second = Prepare(0, 7, 100);
  EXPECT_EQ(first.payout().attempts(0).raw_tx(), second.payout().attempts(0).raw_tx())
      << "a ticket that is there already pays once";
}

// Item 4: to say that something is stored and not to keep it is a roll-back.
TEST_F(Scenario, AcknowledgesWhatItDoesNotKeep) {
  Begin();
  Credit(0, "e1", 100);
  const int kept = newest_;
  EXPECT_EQ(Credit(0, "e2", 50).events_applied().applied(), 1u);
  Load(0, kept);
  EXPECT_EQ(Account(0).available().low(), 100u) << "an acknowledged credit is gone";
  EXPECT_EQ(Credit(0, "e2", 50).events_applied().applied(), 1u)
      << "and comes again, once, when the journal is replayed";
  EXPECT_EQ(Account(0).available().low(), 150u);
}

// Item 5.
TEST_F(Scenario, ForksAndPaysTwice) {
  Begin();
  Credit(0, "e1", 100);
  Load(1, newest_);
  const wire::SignedTransaction here = Last(Prepare(0, 7, 100).payout());
  const wire::SignedTransaction there = Last(Prepare(1, 7, 101).payout());
  SignHead(0);
  SignHead(1);
  EXPECT_NE(here.tickets[0].hash, there.tickets[0].hash);
  EXPECT_EQ(here.tickets[0].face_value + there.tickets[0].face_value, 200u);
  EXPECT_EQ(Receipt(1, here, 100).receipt().foreign_redemptions(), 1u);
  EXPECT_TRUE(HeadsContradict());
}

// Item 6.
TEST_F(Scenario, AMadeUpReceiptHurtsThePayee) {
  Begin();
  Credit(0, "e1", 100);
  const wire::SignedTransaction made = Last(Prepare(0, 7, 100).payout());
  EXPECT_TRUE(Receipt(0, made, 100).receipt().known());
  EXPECT_EQ(Account(0).paid().low(), 100u) << "nothing of it was on a chain";
  EXPECT_EQ(Prepare(0, 7, 101).error().code(), v1::ERROR_NOTHING_TO_PAY)
      << "the loss is the payee's, at most the face value; its ticket is as good as before";
}

// Item 6.
TEST_F(Scenario, AMadeUpReorgKeepsTheTickets) {
  Begin();
  Credit(0, "e1", 100);
  const wire::SignedTransaction made = Last(Prepare(0, 7, 100).payout());
  Receipt(0, made, 100);
  ClientFrame reorg;
  reorg.mutable_report_reorg()->set_tx_hash(std::string(made.hash.view()));
  EXPECT_TRUE(Call(0, reorg).receipt().known());
  Receipt(0, made, 0, /*succeeded=*/false);
  const wire::SignedTransaction again = Last(Retry(0, 8).payout());
  EXPECT_EQ(again.nonce, 8u);
  EXPECT_EQ(again.tickets[0].hash, made.tickets[0].hash) << "which the broker redeems once";
}

// Item 6.
TEST_F(Scenario, AMadeUpDepositComesBackWithTheReceipt) {
  Begin();
  Credit(0, "e1", 100);
  EXPECT_EQ(Prepare(0, 7, 100, /*deposit=*/60).error().code(), v1::ERROR_DEPOSIT);
  const wire::SignedTransaction made = Last(Prepare(0, 7, 100, /*deposit=*/1'000'000).payout());
  Receipt(0, made, 60);  // all that there was
  EXPECT_EQ(Account(0).paid().low(), 60u);
  EXPECT_EQ(Account(0).available().low(), 40u) << "still owed, and nobody lost anything but time";
}

// Item 7.
TEST_F(Scenario, AVoidThatIsALiePaysTwiceWhereThePolicyLetsIt) {
  policy::Policy policy = WithTransfers();
  policy.void_on_host_word = true;
  Begin(policy);
  Credit(0, "e1", 100);
  const wire::SignedTransaction first = Last(Prepare(0, 7, 100).payout());
  EXPECT_EQ(Void(0, 101).error().code(), v1::ERROR_WRONG_STATE) << "not before it expires";
  EXPECT_TRUE(Void(0, 102).has_payout()) << "the round, too, is the host's word";
  const wire::SignedTransaction second = Last(Prepare(0, 7, 101).payout());
  EXPECT_NE(first.tickets[0].hash, second.tickets[0].hash) << "for the same 100";
  EXPECT_EQ(Receipt(0, first, 100).error().code(), v1::ERROR_EVIDENCE)
      << "the alarm: a ticket that was called unused is redeemed";
}

// Item 7.
TEST_F(Scenario, NothingIsVoidOnTheHostsWordByDefault) {
  Begin();
  Credit(0, "e1", 100);
  Prepare(0, 7, 100);
  EXPECT_EQ(Void(0, UINT64_MAX).error().rule(), "void_on_host_word");
  EXPECT_EQ(Account(0).reserved().low(), 100u);
}

// Item 7: the same word decides about transfers.
TEST_F(Scenario, ATransferThatIsSaidToHaveFailedPaysTwiceWhereThePolicyLetsIt) {
  for (const bool lets : {false, true}) {
    policy::Policy policy = WithTransfers();
    policy.void_on_host_word = lets;
    memory_ = Memory();
    newest_ = -1;
    Begin(policy);
    Credit(0, "e1", 100);
    const wire::SignedTransaction first =
        Last(Prepare(0, 7, 100, 0, v1::STRATEGY_ETH_TRANSFER).payout());
    Receipt(0, first, 0, /*succeeded=*/false);
    const ServerFrame second = Retry(0, 8);
    if (!lets) {
      EXPECT_EQ(second.error().rule(), "void_on_host_word");
      continue;
    }
    EXPECT_EQ(Last(second.payout()).value, first.value) << "100 each, under two nonces";
    EXPECT_EQ(Last(second.payout()).nonce, 8u);
  }
}

// Item 8.
TEST_F(Scenario, AClockThatIsSetForwardLetsAWindowPass) {
  policy::Policy policy = WithTransfers();
  policy.velocity_window = 3600;
  policy.velocity_total = 150;
  Begin(policy);
  Credit(0, "e1", 100);
  EXPECT_TRUE(Prepare(0, 7, 100).has_payout());
  Credit(0, "e2", 100);
  EXPECT_EQ(Prepare(0, 7, 100).error().rule(), "velocity_total");
  world_->SetClock(0, -absl::Hours(10));
  EXPECT_EQ(Prepare(0, 7, 100).error().rule(), "velocity_total") << "back does nothing";
  world_->SetClock(0, absl::Hours(2));
  EXPECT_TRUE(Prepare(0, 7, 100).has_payout())
      << "the limit of a window for each window that the clock is moved";
}

// Item 8: and a roll-back takes back what was counted.
TEST_F(Scenario, ARollBackForgetsWhatAWindowCounted) {
  policy::Policy policy = WithTransfers();
  policy.velocity_window = 3600;
  policy.velocity_total = 150;
  Begin(policy);
  Credit(0, "e1", 100);
  const int before = newest_;
  EXPECT_TRUE(Prepare(0, 7, 100).has_payout());
  Load(0, before);
  EXPECT_TRUE(Prepare(0, 7, 101).has_payout());
}

// Item 14.
TEST_F(Scenario, AStatusTellsOfWhatIsNotStored) {
  Begin();
  acknowledges_ = false;
  const int before = newest_;
  EXPECT_EQ(Credit(0, "e1", 100).body_case(), ServerFrame::BODY_NOT_SET) << "not acknowledged";
  ClientFrame ask;
  ask.mutable_status();
  EXPECT_EQ(Call(0, ask).status().totals().available().low(), 100u);
  acknowledges_ = true;
  Load(0, before);
  EXPECT_EQ(Call(0, ask).status().totals().available().low(), 0u);
}

}  // namespace
}  // namespace coffer::sim
