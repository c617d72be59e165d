// The auditor at the door and a second signing key: a good story with a rotation breaks nothing,
// and each rule about it is named when one thing in that story is spoiled.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "enclave_core/ethereum/ticket_broker.h"
#include "tests/sim/wire/door.h"

namespace coffer::sim {
namespace {

using testing::HasSubstr;
using testing::StartsWith;
using State = boundary::v1::SigningKeyState;
namespace v1 = boundary::v1;

#define EXPECT_BROKEN(door, rule, words)                       \
  EXPECT_THAT((door).auditor.broken(), StartsWith(rule ": ")); \
  EXPECT_THAT((door).auditor.broken(), HasSubstr(words))

State* AddState(uint32_t epoch, State::Use use, uint64_t next_nonce, v1::Status* status) {
  State* state = status->add_signing_keys();
  state->set_epoch(epoch);
  state->set_address(Text(DoorKey(epoch).address()));
  state->set_use(use);
  state->set_nonce_known(next_nonce != 0);
  state->set_next_nonce(next_nonce);
  return state;
}

// Founded, 100 credited, 60 of them in a payout of the first key, and the second key signs.
struct Rotated : Door {
  Rotated() {
    FoundAndCredit();
    first = NewPayment(1, 7, 60);
    Pay(first);
    RotateAndAdopt(1);
  }
  // With one payout of each key, both open.
  v1::Status BothStatus() {
    v1::Status status = Status(1);
    status.set_payouts(2);
    status.set_open_payouts(2);
    status.set_nonce_known(true);
    status.set_next_nonce(8);
    State* draining = AddState(0, State::USE_DRAINING, 8, &status);
    draining->set_open_payouts(1);
    draining->mutable_outstanding()->set_low(60);
    State* current = AddState(1, State::USE_CURRENT, 8, &status);
    current->set_open_payouts(1);
    current->mutable_outstanding()->set_low(40);
    return status;
  }
  void SayStatus(const v1::Status& status) {
    ClientFrame request;
    ServerFrame answer;
    request.mutable_status();
    *answer.mutable_status() = status;
    Say(answer, Ask(request));
  }
  // Another transaction of the first payout is signed, stored and shown.
  void ShowAnother(const Payment& again) {
    AddSigned(again);
    HandOutAndStore();
    ServerFrame answer = PayoutAnswer(first);
    AddAttempt(again, answer.mutable_payout());
    ClientFrame get;
    get.mutable_get_payout()->set_id(1);
    Say(answer, Ask(get));
  }
  Payment first;
};

TEST(WireSigningKeysTest, AGoodStoryBreaksNothing) {
  Rotated door;
  door.auditor.ExpectOneHistory();
  Door::Payment second = door.NewPayment(2, 7, 40, 1);  // its own nonce 7, its own deposit
  door.Pay(second);
  door.SayStatus(door.BothStatus());
  door.Settle(door.first);
  Door::Payment unlock = door.NewMove(3, 8, ethereum::EncodeUnlock());
  door.DoMove(unlock, v1::STRATEGY_UNLOCK);
  door.ReportMined(unlock);
  Door::Payment withdraw = door.NewMove(4, 9, ethereum::EncodeWithdraw());
  door.DoMove(withdraw, v1::STRATEGY_WITHDRAW);
  door.ReportMined(withdraw);
  Door::Payment sweep = door.NewMove(5, 10, "", 5'000);
  door.DoMove(sweep, v1::STRATEGY_SWEEP);
  door.ReportMined(sweep);
  door.Retire(0);
  EXPECT_EQ(door.auditor.broken(), "");
  v1::Status status = door.Status(1);
  status.set_payouts(5);
  status.set_open_payouts(1);
  status.set_nonce_known(true);
  status.set_next_nonce(8);
  AddState(0, State::USE_RETIRED, 11, &status);
  State* current = AddState(1, State::USE_CURRENT, 8, &status);
  current->set_open_payouts(1);
  current->mutable_outstanding()->set_low(40);
  door.SayStatus(status);
  door.Settle(second);
  door.RotateAndAdopt(2);  // and the next one
  EXPECT_EQ(door.auditor.broken(), "");
  EXPECT_EQ(door.auditor.seen().transactions, 5u);
}

TEST(WireSigningKeysTest, EachPayoutHasOneKeyAndEachKeyItsNonces) {
  struct Case {
    const char* rule;
    const char* words;
    std::function<void(Rotated&)> act;
  };
  const Case cases[] = {
      {"I3", "not the key that signs this payout",
       [](Rotated& door) {  // something new by the key that drains
         Door::Payment p = door.NewPayment(2, 8, 40, 0);
         door.Pay(p);
       }},
      {"I10", "a ticket of another sender",
       [](Rotated& door) {  // something old by the new key
         Door::Payment again = door.first;
         again.made = ethereum::SignTransaction(again.transaction, DoorKey(1));
         door.ShowAnother(again);
       }},
      {"I10", "does not begin where the chain is",
       [](Rotated& door) {  // counted on from the other key's
         Door::Payment p = door.NewPayment(2, 8, 40, 1);
         door.Pay(p);
       }},
      {"I10", "another key than its reading",
       [](Rotated& door) {
         Door::Payment p = door.NewPayment(2, 7, 40, 1);
         door.Sign(p);
         ClientFrame request = door.PrepareRequest(p);
         request.mutable_prepare_payout()->mutable_reading()->set_address(
             Text(DoorKey(0).address()));
         const uint64_t id = door.Ask(request);
         door.AddReserved(p);
         door.AddSigned(p);
         door.AddTicket(p);
         door.HandOutAndStore();
         door.Say(door.PayoutAnswer(p), id);
       }},
      {"I3", "senderNonce 1 is used for two tickets",
       [](Rotated& door) {
         Door::Payment p = door.NewPayment(2, 7, 40, 1);
         p.ticket.sender_nonce = 1;
         door.Pay(p);
       }},
      {"I10", "what was signed cannot be",
       [](Rotated& door) {  // a ticket by the other key
         Door::Payment p = door.NewPayment(2, 7, 40, 1);
         p.ticket.sender = DoorKey(0).address();
         door.Pay(p);
       }},
      {"I3", "shown with another key",
       [](Rotated& door) {
         Door::Payment p = door.NewPayment(2, 7, 40, 1);
         door.Sign(p);
         const uint64_t id = door.Ask(door.PrepareRequest(p));
         door.AddReserved(p);
         door.AddSigned(p);
         door.AddTicket(p);
         door.HandOutAndStore();
         ServerFrame answer = door.PayoutAnswer(p);
         answer.mutable_payout()->set_sender(Text(DoorKey(0).address()));
         door.Say(answer, id);
       }},
      {"I3", "a key that is retired signs",
       [](Rotated& door) {
         door.Settle(door.first);
         door.Retire(0);
         Door::Payment again = door.first;
         again.transaction.max_fee_per_gas = 500;
         door.Sign(again);
         door.AddSigned(again);
         door.HandOutAndStore();
       }},
  };
  for (const Case& one : cases) {
    Rotated door;
    ASSERT_EQ(door.auditor.broken(), "");
    one.act(door);
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith(one.rule));
  }
}

TEST(WireSigningKeysTest, WhatADrainingKeyDoesAtItsEnd) {
  struct Case {
    const char* rule;
    const char* words;
    std::function<void(Rotated&)> act;
  };
  const auto sweep = [](Rotated& door, const std::function<void(Door::Payment&)>& spoil) {
    door.Settle(door.first);
    Door::Payment p = door.NewMove(2, 8, "", 500);
    spoil(p);
    door.DoMove(p, v1::STRATEGY_SWEEP);
  };
  const Case cases[] = {
      {"I10", "another address than that of the key after it",
       [&](Rotated& door) { sweep(door, [](auto& p) { p.transaction.to = kAlice; }); }},
      {"I10", "another amount is swept",
       [&](Rotated& door) { sweep(door, [](auto& p) { p.transaction.value = 501; }); }},
      {"I3", "not the key that signs this payout",
       [&](Rotated& door) { sweep(door, [](auto& p) { p.key = 1; }); }},
      {"I10", "sends ether along",
       [](Rotated& door) {
         door.Settle(door.first);
         Door::Payment p = door.NewMove(2, 8, ethereum::EncodeWithdraw());
         p.transaction.value = 1;
         door.DoMove(p, v1::STRATEGY_WITHDRAW);
       }},
      {"I10", "goes to",
       [](Rotated& door) {
         door.Settle(door.first);
         Door::Payment p = door.NewMove(2, 8, ethereum::EncodeUnlock());
         p.transaction.to = kAlice;
         door.DoMove(p, v1::STRATEGY_UNLOCK);
       }},
      {"I3", "funds are moved while payout 1 of it is open",
       [](Rotated& door) {
         Door::Payment p = door.NewMove(2, 8, ethereum::EncodeUnlock());
         door.DoMove(p, v1::STRATEGY_UNLOCK);
       }},
      {"I3", "funds are moved while payout 2 of it is open",
       [](Rotated& door) {  // the move before it is not mined
         door.Settle(door.first);
         Door::Payment p = door.NewMove(2, 8, ethereum::EncodeUnlock());
         door.DoMove(p, v1::STRATEGY_UNLOCK);
         p = door.NewMove(3, 9, ethereum::EncodeWithdraw());
         door.DoMove(p, v1::STRATEGY_WITHDRAW);
       }},
      {"I9", "a funding that nobody asked for",
       [](Rotated& door) {  // of a key that signs
         door.Settle(door.first);
         door.Retire(0);
         Door::Payment p = door.NewMove(2, 7, ethereum::EncodeUnlock());
         p.key = 1;
         door.DoMove(p, v1::STRATEGY_UNLOCK);
       }},
      {"I3", "not the key that signs this payout",
       [](Rotated& door) {  // a funding by the one that drains
         door.Settle(door.first);
         Door::Payment p = door.NewMove(2, 8, ethereum::EncodeFundDeposit(), 500);
         door.DoMove(p, v1::STRATEGY_FUND_DEPOSIT);
       }},
  };
  for (const Case& one : cases) {
    Rotated door;
    one.act(door);
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith(one.rule));
  }
}

TEST(WireSigningKeysTest, WhenAKeyComesAndGoes) {
  struct Case {
    const char* rule;
    const char* words;
    std::function<void(Door&)> act;
  };
  const auto added = [](Door& door, size_t epoch) {
    door.AddKeyLeaf(LeafKind::kSigningKeyAdded, epoch);
    door.HandOutAndStore();
  };
  const auto retired = [](Door& door, size_t epoch) {
    door.AddKeyLeaf(LeafKind::kSigningKeyRetired, epoch);
    door.HandOutAndStore();
  };
  const Case cases[] = {
      {"I8", "that no enclave had made",
       [&](Door& door) {
         door.AskAdopt(1);
         added(door, 1);
       }},
      {"I8", "made to follow another",
       [&](Door& door) {
         door.Rotate(2);
         door.AskAdopt(2);
         added(door, 2);
       }},
      {"I9", "nobody asked to adopt",
       [&](Door& door) {
         door.Rotate(1);
         added(door, 1);
       }},
      {"I10", "while the key of",
       [&](Door& door) {
         door.RotateAndAdopt(1);
         door.Rotate(2);
         door.AskAdopt(2);
         added(door, 2);
       }},
      {"I3", "comes a second time",
       [&](Door& door) {
         door.RotateAndAdopt(1);
         door.Retire(0);
         door.AskAdopt(1);
         added(door, 1);
       }},
      {"I10", "that does not drain",
       [&](Door& door) {
         door.AskRetire(0);
         retired(door, 0);
       }},
      {"I9", "nobody asked for that",
       [&](Door& door) {
         door.RotateAndAdopt(1);
         retired(door, 0);
       }},
      {"I5", "called adopted before",
       [](Door& door) {
         door.Rotate(1);
         ServerFrame answer;
         answer.mutable_signing_key_adopted();
         door.Say(answer, door.AskAdopt(1));
       }},
      {"I5", "before record 3 is stored",
       [](Door& door) {
         door.RotateAndAdopt(1);
         ServerFrame answer;
         answer.mutable_signing_key_retired();
         const uint64_t credit = door.Ask(Door::CreditRequest("e2", 1));
         door.AddMove(LeafKind::kCredit, 1).event_id = "e2";
         door.HandOut();
         door.Say(answer, door.AskRetire(0));
         door.Say(Door::Applied(), credit);
       }},
      {"I5", "called retired before",
       [](Door& door) {
         door.RotateAndAdopt(1);
         ServerFrame answer;
         answer.mutable_signing_key_retired();
         door.Say(answer, door.AskRetire(0));
       }},
      {"I8", "is no snapshot",
       [&](Door& door) {
         door.Rotate(1);
         door.AskAdopt(1);
         door.state_epoch = 2;
         added(door, 1);
       }},
      {"I8", "made for a second time",
       [](Door& door) {
         door.Rotate(1);
         ClientFrame frame;
         ServerFrame answer;
         frame.mutable_rotate_signing_key();
         *answer.mutable_next_signing_key() = Door::Next(1);
         answer.mutable_next_signing_key()->mutable_signing_key()->set_ciphertext("another");
         door.Say(answer, door.Ask(frame));
       }},
  };
  for (const Case& one : cases) {
    Door door;
    door.Found();
    one.act(door);
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith(one.rule));
  }
}

TEST(WireSigningKeysTest, RetiredWhileSomethingOfItIsOpen) {
  Rotated item;
  item.Retire(0);
  EXPECT_BROKEN(item, "I3", "while payout 1 of it is open");
  Rotated nonce;  // all is paid, and the nonce was not mined
  nonce.Settle(nonce.first);
  Door::Payment unlock = nonce.NewMove(2, 8, ethereum::EncodeUnlock());
  nonce.DoMove(unlock, v1::STRATEGY_UNLOCK);
  ASSERT_EQ(nonce.auditor.broken(), "");
  nonce.Retire(0);
  EXPECT_BROKEN(nonce, "I3", "while payout 2 of it is open");
}

TEST(WireSigningKeysTest, WhatAStatusSaysOfThem) {
  struct Case {
    const char* rule;
    const char* words;
    std::function<void(v1::Status&)> spoil;
  };
  const Case cases[] = {
      {"I10", "another address than that of the key that signs",
       [](v1::Status& s) { s.set_address(Text(DoorKey(0).address())); }},
      {"I10", "more or fewer signing keys", [](v1::Status& s) { s.clear_signing_keys(); }},
      {"I10", "another use of it",
       [](v1::Status& s) { s.mutable_signing_keys(0)->set_use(State::USE_RETIRED); }},
      {"I10", "the next nonce is one that was used",
       [](v1::Status& s) { s.mutable_signing_keys(0)->set_next_nonce(7); }},
      {"I10", "the next nonce is one that was used", [](v1::Status& s) { s.set_next_nonce(7); }},
      {"I2", "is not the sum of them",
       [](v1::Status& s) { s.mutable_signing_keys(0)->mutable_outstanding()->set_low(100); }},
      {"I3", "counts other open payouts",
       [](v1::Status& s) { s.mutable_signing_keys(0)->set_open_payouts(0); }},
      {"I3", "open payouts that are no key's", [](v1::Status& s) { s.set_open_payouts(3); }},
      {"I10", "that no leaf and no enclave tells of",
       [](v1::Status& s) { AddState(2, State::USE_WAITING, 0, &s); }},
  };
  for (const Case& one : cases) {
    Rotated door;
    Door::Payment second = door.NewPayment(2, 7, 40, 1);
    door.Pay(second);
    v1::Status status = door.BothStatus();
    one.spoil(status);
    ASSERT_EQ(door.auditor.broken(), "");
    door.SayStatus(status);
    EXPECT_THAT(door.auditor.broken(), HasSubstr(one.words));
    EXPECT_THAT(door.auditor.broken(), StartsWith(one.rule));
  }
}

// 60 are promised by the key that drains, none by the one that signs.
TEST(WireSigningKeysTest, ADepositIsAKeysOwn) {
  for (const uint64_t deposit : {uint64_t{39}, uint64_t{40}}) {
    Rotated door;
    ClientFrame request = door.PrepareRequest(door.NewPayment(2, 7, 40, 1));
    request.mutable_prepare_payout()->mutable_reading()->mutable_deposit()->set_low(deposit);
    ServerFrame refused;
    refused.mutable_error()->set_code(v1::ERROR_DEPOSIT);
    door.Say(refused, door.Ask(request));
    if (deposit == 39) {
      EXPECT_EQ(door.auditor.broken(), "");
    } else {
      EXPECT_BROKEN(door, "I10", "a deposit that has room");
    }
  }
}

// A receipt shows the ticket under the key that did not sign it.
TEST(WireSigningKeysTest, ARedemptionOfAnothersTicketPaysNothing) {
  Rotated door;
  Door::Payment shown = door.first;
  shown.shown.sender = DoorKey(1).address();
  door.Ask(door.ReceiptRequest(shown, 60));
  door.AddPaid(door.first, 60);
  door.HandOutAndStore();
  EXPECT_BROKEN(door, "I3", "no receipt shows");
}

TEST(WireSigningKeysTest, APolicyChangeIsSignedForTheKeyThatSigns) {
  for (const size_t key : {size_t{0}, size_t{1}}) {
    Rotated door;
    policy::Policy next = DoorPolicy();
    next.max_face_value = 5;
    ClientFrame frame;
    auto* change = frame.mutable_change_policy();
    policy::ToProto(next, change->mutable_policy());
    change->set_sequence(1);
    change->add_signatures(
        AdminKey(0).Sign(policy::PolicyChangeDigest(DoorKey(key).address(), 1, next)).ToBytes65());
    door.Ask(frame);
    door.Add(LeafKind::kPolicyChanged).content_hash = policy::PolicyHash(next);
    door.HandOutAndStore();
    if (key == 1) {
      EXPECT_EQ(door.auditor.broken(), "");
    } else {
      EXPECT_BROKEN(door, "I10", "without its admins");
    }
  }
}

}  // namespace
}  // namespace coffer::sim
