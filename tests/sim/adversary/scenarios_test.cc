// What a hostile host still can do, done: one test for each item of docs/threat-model.md that the
// enclave's side can show. Each says what is lost, what bounds it, and which alarm notices it. All
// of them hold I1..I5, I7, I9 and I10 along each line of records, as the auditor at the door
// confirms at the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "enclave_core/authority/authority.h"
#include "tests/sim/adversary/hostile_world.h"
#include "tests/sim/adversary/memory.h"

namespace coffer::sim {
namespace {

namespace v1 = boundary::v1;
using v1::ClientFrame;
using v1::ServerFrame;

policy::Policy ScenarioPolicy() {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  policy.allow_eth_transfer = true;
  policy.max_face_value = policy.max_transfer = policy.max_batch_total = 1'000'000;
  policy.max_tickets = 4;
  policy.max_gas_limit = 1'000'000;
  policy.max_fee_per_gas = policy.max_priority_fee_per_gas = 1'000;
  policy.ticket_validity_rounds = 2;
  return policy;
}

const std::string kPayee(20, '\x77');
const std::string kHost(20, '\x66');

// A host that does exactly what its test says.
class Scenario : public testing::Test {
 protected:
  void Begin(const policy::Policy& policy = ScenarioPolicy()) {
    world_ = std::make_unique<HostileWorld>(1, policy);
    world_->OnFrame([this](HostileWorld::Session* session, std::string payload) {
      ServerFrame frame;
      ASSERT_TRUE(frame.ParseFromString(payload));
      if (frame.has_store()) {
        newest_ = std::max(newest_, memory_.Keep(frame.store()));
        ClientFrame stored;
        stored.mutable_stored()->set_sequence(frame.store().sequence());
        if (acknowledges_) session->Send(stored.SerializeAsString());
      } else if (frame.has_audit_checkpoint()) {
        heads_.push_back(frame.audit_checkpoint());
      }
      answers_[frame.request_id()] = frame;
    });
    Load(0, -1);
  }
  void TearDown() override { EXPECT_EQ(world_->auditor().broken(), ""); }

  // Starts (again) in this place with the state that ends at this record.
  void Load(size_t slot, int record) {
    world_->Kill(slot);
    world_->Start(slot);
    sessions_[slot] = world_->Connect(slot);
    world_->Advance(absl::Milliseconds(5));
    ClientFrame frame;
    frame.mutable_load_begin();
    Call(slot, frame);
    for (const std::string& piece : memory_.Pieces(record, true)) {
      frame.mutable_load_record()->set_sealed(piece);
      ASSERT_TRUE(Call(slot, frame).has_record_loaded());
    }
    frame.mutable_load_end();
    ASSERT_TRUE(Call(slot, frame).has_load_done());
    world_->Advance(absl::Milliseconds(5));
  }
  ServerFrame Call(size_t slot, ClientFrame frame) {
    frame.set_request_id(++id_);
    sessions_[slot]->Send(frame.SerializeAsString());
    world_->Advance(absl::Milliseconds(20));
    return answers_[id_];
  }

  ServerFrame Credit(size_t slot, const std::string& id, uint64_t amount,
                     const std::string& recipient = kPayee) {
    ClientFrame frame;
    v1::Event* event = frame.mutable_apply_events()->add_events();
    event->set_id(id);
    event->set_kind(v1::Event::KIND_CREDIT);
    event->set_account("payee");
    event->set_recipient(recipient);
    event->mutable_amount()->set_low(amount);
    return Call(slot, frame);
  }
  ServerFrame Prepare(size_t slot, uint64_t nonce, uint64_t round, uint64_t deposit = 1'000'000,
                      v1::Strategy strategy = v1::STRATEGY_LIVEPEER_TICKET) {
    ClientFrame frame;
    auto* prepare = frame.mutable_prepare_payout();
    prepare->set_strategy(strategy);
    prepare->add_items()->set_account("payee");
    Read(nonce, round, deposit, prepare->mutable_reading());
    Fees(prepare->mutable_fees());
    return Call(slot, frame);
  }
  ServerFrame Retry(size_t slot, uint64_t nonce) {
    ClientFrame frame;
    frame.mutable_retry_payout()->set_payout_id(1);
    Read(nonce, 100, 1'000'000, frame.mutable_retry_payout()->mutable_reading());
    Fees(frame.mutable_retry_payout()->mutable_fees());
    return Call(slot, frame);
  }
  static void Read(uint64_t nonce, uint64_t round, uint64_t deposit, v1::ChainReading* out) {
    out->set_account_nonce(nonce);
    out->mutable_deposit()->set_low(deposit);
    out->set_round(round);
    out->set_round_block_hash(std::string(32, '\x0b'));
  }
  static void Fees(v1::Fees* out) {
    out->set_gas_limit(1'000'000);
    out->mutable_max_fee_per_gas()->set_low(100);
    out->mutable_max_priority_fee_per_gas()->set_low(10);
  }
  // What the last transaction of this payout is, read from its bytes.
  wire::SignedTransaction Last(const v1::Payout& payout) {
    wire::SignedTransaction transaction;
    transaction.tickets.resize(1);
    EXPECT_GT(payout.attempts_size(), 0);
    if (payout.attempts().empty()) return transaction;
    transaction.tickets.clear();
    EXPECT_EQ(ReadTransaction(payout.attempts().rbegin()->raw_tx(), {world_->address()},
                              world_->policy().broker, &transaction),
              "");
    return transaction;
  }
  ServerFrame Receipt(size_t slot, const wire::SignedTransaction& transaction, uint64_t paid,
                      bool succeeded = true) {
    ClientFrame frame;
    auto* receipt = frame.mutable_report_receipt();
    receipt->set_tx_hash(std::string(transaction.hash.view()));
    receipt->set_succeeded(succeeded);
    receipt->set_block_hash(std::string(32, '\x0c'));
    for (const wire::Ticket& ticket : transaction.tickets) {
      if (succeeded) AppendLogs(world_->policy().broker, ticket, paid, receipt->mutable_logs());
    }
    return Call(slot, frame);
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
  void SignHead(size_t slot) {
    ClientFrame frame;
    frame.mutable_get_checkpoint();
    heads_.push_back(Call(slot, frame).audit_checkpoint());
  }
  // Two heads of one size and different roots: what a witness, the registry and every reader who
  // comes back refuse.
  bool HeadsContradict() const {
    for (const auto& one : heads_) {
      for (const auto& other : heads_) {
        if (one.size() == other.size() && one.root() != other.root()) return true;
      }
    }
    return false;
  }

  std::unique_ptr<HostileWorld> world_;
  Memory memory_;
  int newest_ = -1;
  bool acknowledges_ = true;
  std::vector<v1::AuditCheckpoint> heads_;

 private:
  std::map<size_t, HostileWorld::Session*> sessions_;
  std::map<uint64_t, ServerFrame> answers_;
  uint64_t id_ = 0;
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
  policy::Policy policy = ScenarioPolicy();
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
    policy::Policy policy = ScenarioPolicy();
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
  policy::Policy policy = ScenarioPolicy();
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
  policy::Policy policy = ScenarioPolicy();
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
