// The auditor at the door names each rule that is broken: every test tells the same good story and
// spoils one thing in it. The story itself breaks nothing.
#include "tests/sim/wire/wire_auditor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tests/sim/wire/door.h"

namespace coffer::sim {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
namespace v1 = boundary::v1;

#define EXPECT_BROKEN(door, rule, words)                       \
  EXPECT_THAT((door).auditor.broken(), StartsWith(rule ": ")); \
  EXPECT_THAT((door).auditor.broken(), HasSubstr(words))

ServerFrame AccountAnswer(const v1::Account& account) {
  ServerFrame frame;
  *frame.mutable_account() = account;
  return frame;
}

ClientFrame GetAlice() {
  ClientFrame frame;
  frame.mutable_get_account()->set_id("alice");
  return frame;
}

TEST(WireAuditorTest, AGoodStoryBreaksNothing) {
  Door door;
  door.auditor.ExpectOneHistory();
  door.FoundAndCredit();
  Door::Payment payment = door.NewPayment(1, 7, 60);
  door.Pay(payment);
  const uint64_t id = door.Ask(door.ReceiptRequest(payment, 50));
  door.AddPaid(payment, 50);
  door.HandOutAndStore();
  ServerFrame known;
  known.mutable_receipt()->set_known(true);
  door.Say(known, id);
  door.Say(AccountAnswer(door.Account()), door.Ask(GetAlice()));
  Door::Payment second = door.NewPayment(2, 8, 50);  // what came back, too
  door.Pay(second);
  EXPECT_EQ(door.auditor.broken(), "");
  // And goes on in another life.
  door.enclave = 2;
  door.auditor.OnEnclaveStarted(2);
  door.Load(door.records);
  door.Say(AccountAnswer(door.Account()), door.Ask(GetAlice()));
  EXPECT_EQ(door.auditor.broken(), "");
  EXPECT_EQ(door.auditor.seen().tickets, 2u);
  EXPECT_EQ(door.auditor.seen().loads, 2u);
}

// ---- I1, I2, I7, I9: leaves
TEST(WireAuditorTest, I1ARecipientThatNobodyNamed) {
  Door door;
  door.Found();
  door.Ask(Door::CreditRequest("e1", 100));
  door.AddOpened().recipient = kBroker;
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I1", "no event named");
}

TEST(WireAuditorTest, I1ARecipientThatChanges) {
  Door door;
  door.FoundAndCredit();
  ClientFrame request = Door::CreditRequest("e2", 5);
  request.mutable_apply_events()->mutable_events(0)->set_recipient(std::string(kBroker.view()));
  door.Ask(request);
  Leaf& leaf = door.AddMove(LeafKind::kCredit, 5);
  leaf.event_id = "e2";
  leaf.recipient = kBroker;
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I1", "changed");
}

TEST(WireAuditorTest, I2BalancesThatDoNotFollow) {
  Door door;
  door.Found();
  door.Ask(Door::CreditRequest("e1", 100));
  door.AddOpened();
  Leaf& leaf = door.AddMove(LeafKind::kCredit, 100);
  leaf.event_id = "e1";
  leaf.balances->available = 101;
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I2", "does not follow");
}

TEST(WireAuditorTest, I2LessThanNothing) {
  Door door;
  door.FoundAndCredit();
  ClientFrame request = Door::CreditRequest("e2", 150);
  request.mutable_apply_events()->mutable_events(0)->set_kind(v1::Event::KIND_ADJUST_DOWN);
  door.Ask(request);
  Leaf& leaf = door.AddMove(LeafKind::kAdjustDown, -150);
  leaf.event_id = "e2";
  leaf.balances->available = 0;
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I2", "less than nothing");
}

TEST(WireAuditorTest, I7AnEventThatIsAppliedTwice) {
  Door door;
  door.FoundAndCredit();
  door.Ask(Door::CreditRequest("e1", 100));
  door.AddMove(LeafKind::kCredit, 100).event_id = "e1";
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I7", "applied again");
}

TEST(WireAuditorTest, I7TwoContentsUnderOneId) {
  Door door;
  door.FoundAndCredit();
  ServerFrame duplicate;
  duplicate.mutable_events_applied()->add_duplicates(0);
  door.Say(duplicate, door.Ask(Door::CreditRequest("e1", 7)));
  EXPECT_BROKEN(door, "I7", "two contents");
}

TEST(WireAuditorTest, I7AnAppliedEventThatIsForgotten) {
  Door door;
  door.FoundAndCredit();
  ServerFrame refused;
  auto* refusal = refused.mutable_events_applied()->add_refusals();
  refusal->mutable_error()->set_code(v1::ERROR_INSUFFICIENT);
  door.Say(refused, door.Ask(Door::CreditRequest("e1", 100)));
  EXPECT_BROKEN(door, "I7", "forgotten");
}

TEST(WireAuditorTest, I7ARefusedEventThatHasALeaf) {
  Door door;
  door.FoundAndCredit();
  const uint64_t id = door.Ask(Door::CreditRequest("e2", 5));
  door.AddMove(LeafKind::kCredit, 5).event_id = "e2";
  door.HandOutAndStore();
  ServerFrame refused;
  refused.mutable_events_applied()->add_refusals()->mutable_error()->set_code(
      v1::ERROR_OUT_OF_RANGE);
  door.Say(refused, id);
  EXPECT_BROKEN(door, "I7", "refused and has a leaf");
}

TEST(WireAuditorTest, I9ACreditThatNobodyAskedFor) {
  Door door;
  door.FoundAndCredit();
  door.AddMove(LeafKind::kCredit, 5).event_id = "invented";
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I9", "never asked for");
}

TEST(WireAuditorTest, I9ALeafOutOfItsPlace) {
  Door door;
  door.FoundAndCredit();
  door.Ask(Door::CreditRequest("e2", 5));
  Leaf& leaf = door.AddMove(LeafKind::kCredit, 5);
  leaf.event_id = "e2";
  ++leaf.sequence;
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I9", "is at index");
}

// ---- I5: what leaves too early
TEST(WireAuditorTest, I5AnAcknowledgementBeforeItsRecordIsStored) {
  Door door;
  door.FoundAndCredit();
  const uint64_t id = door.Ask(Door::CreditRequest("e2", 5));
  door.AddMove(LeafKind::kCredit, 5).event_id = "e2";
  door.HandOut();
  door.Stored(/*connection=*/2);  // which is not the storage
  door.Say(Door::Applied(), id);
  EXPECT_BROKEN(door, "I5", "before record 3 is stored");
}

TEST(WireAuditorTest, I5AReadThatShowsWhatIsNotStored) {
  Door door;
  door.FoundAndCredit();
  const uint64_t id = door.Ask(GetAlice());
  door.Ask(Door::CreditRequest("e2", 5));
  door.AddMove(LeafKind::kCredit, 5).event_id = "e2";
  door.HandOut();
  door.Say(AccountAnswer(door.Account()), id);
  EXPECT_BROKEN(door, "I5", "no stored leaf explains");
}

TEST(WireAuditorTest, I5AReadThatIsOlderThanItsQuestion) {
  Door door;
  door.FoundAndCredit();
  const v1::Account before = door.Account();
  door.Ask(Door::CreditRequest("e2", 5));
  door.AddMove(LeafKind::kCredit, 5).event_id = "e2";
  door.HandOutAndStore();
  door.Say(AccountAnswer(before), door.Ask(GetAlice()));
  EXPECT_BROKEN(door, "I5", "no stored leaf explains");
}

TEST(WireAuditorTest, I5ATransactionBeforeItsRecordIsStored) {
  Door door;
  door.FoundAndCredit();
  Door::Payment payment = door.NewPayment(1, 7, 60);
  door.Sign(payment);
  const uint64_t id = door.Ask(door.PrepareRequest(payment));
  door.AddReserved(payment);
  door.HandOutAndStore();
  door.AddSigned(payment);
  door.AddTicket(payment);
  door.HandOut();
  door.Say(door.PayoutAnswer(payment), id);
  EXPECT_THAT(door.auditor.broken(), testing::AnyOf(StartsWith("I5: "), StartsWith("I9: ")));
}

TEST(WireAuditorTest, I5TwoAnswersAndARecordThatBuildsOnNothing) {
  Door twice;
  twice.FoundAndCredit();
  const uint64_t id = twice.Ask(GetAlice());
  twice.Say(AccountAnswer(twice.Account()), id);
  twice.Say(AccountAnswer(twice.Account()), id);
  EXPECT_BROKEN(twice, "I5", "answered twice");
  Door chain;
  chain.FoundAndCredit();
  chain.head = Hash{{9}};
  chain.HandOut();
  EXPECT_BROKEN(chain, "I5", "does not build on");
}

TEST(WireAuditorTest, I5AndI9Heads) {
  for (const bool early : {true, false}) {
    Door door;
    door.FoundAndCredit();
    ServerFrame frame;
    auto* head = frame.mutable_audit_checkpoint();
    head->set_size(door.tree.size() + (early ? 1 : 0));
    head->set_root(std::string(32, '\x01'));
    door.Say(frame, 0);
    if (early) {
      EXPECT_BROKEN(door, "I5", "before they are stored");
    } else {
      EXPECT_BROKEN(door, "I9", "is not made of them");
    }
  }
}

// ---- I6: loads
TEST(WireAuditorTest, I6StatesFromNowhereAndFromThePast) {
  Door nowhere;
  nowhere.FoundAndCredit();
  nowhere.enclave = 2;
  nowhere.Load({"made up"});
  EXPECT_BROKEN(nowhere, "I6", "no enclave handed out");
  Door gap;
  gap.FoundAndCredit();
  gap.enclave = 2;
  gap.Load({gap.records[1]});
  EXPECT_BROKEN(gap, "I6", "not the next one");
  for (const bool one_history : {false, true}) {
    Door past;
    if (one_history) past.auditor.ExpectOneHistory();
    past.FoundAndCredit();
    past.enclave = 2;
    past.Load({past.records[0]});
    if (one_history) {
      EXPECT_BROKEN(past, "I6", "lacks record 2");
    } else {
      EXPECT_EQ(past.auditor.broken(), "") << "along each line all is well";
    }
  }
}

// Whether a word about storing counts is decided by who is the storage when the enclave reads it.
TEST(WireAuditorTest, I6AStorageThatIsBehindWhatWasSurelyStored) {
  for (const uint64_t connection : {uint64_t{1}, uint64_t{2}}) {
    Door door;
    door.FoundAndCredit();
    ClientFrame attach;
    attach.mutable_attach_storage()->set_last_sequence(door.sequence);
    attach.mutable_attach_storage()->set_last_hash(std::string(door.head.view()));
    door.Ask(Door::CreditRequest("e2", 5));
    door.AddMove(LeafKind::kCredit, 5).event_id = "e2";
    door.HandOut();
    if (connection == 1) door.Stored(1);  // the storage
    attach.set_request_id(1'000);
    door.auditor.OnToEnclave(1, 2, attach.SerializeAsString());
    if (connection == 2) door.Stored(2);  // one that is about to be
    attach.set_request_id(1'001);
    door.auditor.OnToEnclave(1, 2, attach.SerializeAsString());
    ServerFrame answer;
    answer.mutable_storage_attached();
    for (const uint64_t id : {1'000, 1'001}) {
      answer.set_request_id(id);
      door.auditor.OnFromEnclave(1, 2, answer.SerializeAsString());
    }
    if (connection == 1) {
      EXPECT_BROKEN(door, "I6", "but record 3 was acknowledged");
    } else {
      EXPECT_EQ(door.auditor.broken(), "");
    }
  }
}

// ---- I3, I4: payments
TEST(WireAuditorTest, I3AndI4Settlements) {
  struct Case {
    const char* rule;
    const char* words;
    std::function<void(Door&, Door::Payment&)> act;
  };
  const Case cases[] = {
      {"I3", "no receipt shows",
       [](Door& door, Door::Payment& p) {  // the face value, where 50 was transferred
         door.Ask(door.ReceiptRequest(p, 50));
         door.AddPaid(p, 60);
       }},
      {"I3", "no receipt shows",
       [](Door& door, Door::Payment& p) {  // status 1, and no logs
         door.Ask(door.ReceiptRequest(p, 60, /*logs=*/false));
         door.AddPaid(p, 60);
       }},
      {"I4", "nobody reported", [](Door& door, Door::Payment& p) { door.AddPaid(p, 60); }},
      {"I4", "settled again",
       [](Door& door, Door::Payment& p) {
         door.Ask(door.ReceiptRequest(p, 60));
         const Leaf paid = door.AddPaid(p, 60);
         Leaf& again = door.AddMove(LeafKind::kItemPaid, 0);
         again.payout = paid.payout;
         again.item = paid.item;
         again.amount = paid.amount;
         again.tx_hash = paid.tx_hash;
         again.ticket_hash = paid.ticket_hash;
         again.hosts_word = true;
       }},
      {"I4", "a reorg that nobody reported",
       [](Door& door, Door::Payment& p) {
         door.Ask(door.ReceiptRequest(p, 60));
         door.AddPaid(p, 60);
         Leaf& leaf = door.AddMove(LeafKind::kPayoutReverted, 0, 60, -60);
         leaf.payout = p.id;
         leaf.item = 0;
         leaf.amount = 60;
         leaf.tx_hash = p.made.TransactionHash();
       }},
      {"I3", "on the host's word alone",
       [](Door& door, Door::Payment& p) {
         Leaf& leaf = door.AddMove(LeafKind::kItemVoided, 60, -60);
         leaf.payout = p.id;
         leaf.item = 0;
         leaf.ticket_hash = p.ticket.TicketHash();
       }},
      {"I3", "a second ticket for the same funds",
       [](Door& door, Door::Payment& p) {
         Door::Payment other = p;
         other.ticket.sender_nonce = 99;
         door.AddTicket(other);
       }},
      {"I3", "signed for a second time", [](Door& door, Door::Payment& p) { door.AddSigned(p); }},
      {"I3", "more payouts than requests",
       [](Door& door, Door::Payment&) { door.AddReserved(door.NewPayment(2, 8, 40)); }},
  };
  for (const Case& one : cases) {
    Door door;
    door.FoundAndCredit();
    Door::Payment payment = door.NewPayment(1, 7, 60);
    door.Pay(payment);
    ASSERT_EQ(door.auditor.broken(), "");
    one.act(door, payment);
    door.HandOutAndStore();
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith(one.rule));
  }
}

TEST(WireAuditorTest, I3ANonceOrASenderNonceThatIsUsedTwice) {
  Door nonce;
  nonce.FoundAndCredit();
  Door::Payment first = nonce.NewPayment(1, 7, 60);
  nonce.Pay(first);
  Door::Payment second = nonce.NewPayment(2, 7, 40);
  nonce.Pay(second);
  EXPECT_BROKEN(nonce, "I3", "nonce 7 belongs to payout 1");
  Door sender;
  sender.FoundAndCredit();
  first = sender.NewPayment(1, 7, 60);
  sender.Pay(first);
  second = sender.NewPayment(2, 8, 40);
  second.ticket.sender_nonce = 1;
  sender.Pay(second);
  EXPECT_BROKEN(sender, "I3", "senderNonce 1 is used for two tickets");
}

// ---- I10: what is signed
TEST(WireAuditorTest, I10WhatThePolicyDoesNotAllow) {
  struct Case {
    const char* words;
    std::function<void(Door::Payment&)> spoil;
  };
  const Case cases[] = {
      {"another chain", [](Door::Payment& p) { p.transaction.chain_id = 1; }},
      {"more gas", [](Door::Payment& p) { p.transaction.gas_limit = 1'000'001; }},
      {"a higher fee", [](Door::Payment& p) { p.transaction.max_fee_per_gas = 1001; }},
      {"a tip above", [](Door::Payment& p) { p.transaction.max_priority_fee_per_gas = 101; }},
      {"goes to", [](Door::Payment& p) { p.transaction.to = kAlice; }},
      {"sends ether", [](Door::Payment& p) { p.transaction.value = 1; }},
      {"winProb", [](Door::Payment& p) { p.ticket.win_prob = 1; }},
      {"none of the payout's", [](Door::Payment& p) { p.ticket.recipient = kBroker; }},
      {"of a round that nobody named",
       [](Door::Payment& p) { p.ticket.aux_data.creation_round = 9; }},
      {"another sender", [](Door::Payment& p) { p.ticket.sender = kAlice; }},
      {"below the one that the chain was said to have",
       [](Door::Payment& p) { p.transaction.nonce = 6; }},
  };
  for (const Case& one : cases) {
    Door door;
    door.FoundAndCredit();
    Door::Payment payment = door.NewPayment(1, 7, 60);
    const Hash good = payment.ticket.TicketHash();
    one.spoil(payment);
    door.Sign(payment);
    const uint64_t id = door.Ask(door.PrepareRequest(payment));
    door.AddReserved(payment);
    door.AddSigned(payment);
    Leaf& leaf = door.AddTicket(payment);
    ServerFrame answer = door.PayoutAnswer(payment);
    answer.mutable_payout()->mutable_items(0)->set_creation_round(
        payment.ticket.aux_data.creation_round);
    if (payment.ticket.recipient != kAlice) {
      leaf.ticket_hash = good;
      answer.mutable_payout()->mutable_items(0)->set_ticket_hash(std::string(good.view()));
    }
    door.HandOutAndStore();
    door.Say(answer, id);
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith("I"));
  }
}

TEST(WireAuditorTest, I10APolicyWithoutItsAdmins) {
  for (const size_t admin : {size_t{1}, size_t{0}}) {
    Door door;
    door.FoundAndCredit();
    policy::Policy next = DoorPolicy();
    next.max_face_value = 5;
    ClientFrame frame;
    auto* change = frame.mutable_change_policy();
    policy::ToProto(next, change->mutable_policy());
    change->set_sequence(1);
    change->add_signatures(
        AdminKey(admin)
            .Sign(policy::PolicyChangeDigest(HostileWorldKey().address(), 1, next))
            .ToBytes65());
    door.Ask(frame);
    door.Add(LeafKind::kPolicyChanged).content_hash = policy::PolicyHash(next);
    door.HandOutAndStore();
    if (admin == 0) {
      EXPECT_EQ(door.auditor.broken(), "");
    } else {
      EXPECT_BROKEN(door, "I10", "without its admins");
    }
  }
}

TEST(WireAuditorTest, I10ATicketBeyondTheDeposit) {
  Door door;
  door.FoundAndCredit();
  Door::Payment payment = door.NewPayment(1, 7, 60);
  door.Sign(payment);
  ClientFrame request = door.PrepareRequest(payment);
  request.mutable_prepare_payout()->mutable_reading()->mutable_deposit()->set_low(59);
  const uint64_t id = door.Ask(request);
  door.AddReserved(payment);
  door.AddSigned(payment);
  door.AddTicket(payment);
  door.HandOutAndStore();
  door.Say(door.PayoutAnswer(payment), id);
  EXPECT_BROKEN(door, "I10", "the deposit");
}

TEST(WireAuditorTest, I2TotalsThatAreNotTheSums) {
  Door door;
  door.FoundAndCredit();
  ServerFrame frame;
  *frame.mutable_status() = door.Status(0);
  frame.mutable_status()->mutable_totals()->mutable_available()->set_low(99);
  ClientFrame request;
  request.mutable_status();
  door.Say(frame, door.Ask(request));
  EXPECT_BROKEN(door, "I2", "totals");
}

}  // namespace
}  // namespace coffer::sim
