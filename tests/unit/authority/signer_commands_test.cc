// The signer profile: what it signs, what it does not have, and what the other profile does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <variant>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;
using Batch = Bank::Batch;

// Transfers go to whom an allowlist names, and to nobody else.
Bank Signer(policy::Policy policy = WidePolicy()) {
  if (!policy.unrestricted) {
    policy.allowed_recipients = {AddressOf(1), AddressOf(2), AddressOf(3), AddressOf(0xaa)};
  }
  return Bank(policy, 0x11, v1::PROFILE_SIGNER);
}

v1::SignTransaction Transfer(uint64_t nonce = 0, uint8_t value = 100, uint8_t to = 0xaa) {
  v1::SignTransaction tx;
  tx.set_type(2);
  tx.set_chain_id(31337);
  tx.set_nonce(nonce);
  tx.set_gas_limit(21'000);
  tx.set_max_fee_per_gas("\x64");
  tx.set_max_priority_fee_per_gas("\x01");
  tx.set_to(std::string(AddressOf(to).view()));
  tx.set_value(std::string(1, static_cast<char>(value)));
  return tx;
}

v1::SignTicket Ticket(uint8_t nonce = 1, uint8_t face_value = 100) {
  v1::SignTicket ticket;
  ticket.set_recipient(std::string(AddressOf(0xaa).view()));
  ticket.set_face_value(std::string(1, static_cast<char>(face_value)));
  ticket.set_sender_nonce(std::string(1, static_cast<char>(nonce)));
  ticket.set_recipient_rand_hash(Bytes32(0xcd));
  ticket.set_aux_data(std::string(31, '\0') + "d" + Bytes32(0xbb));
  return ticket;
}

v1::SignMessage Message(std::string_view bytes) {
  v1::SignMessage message;
  message.set_message(std::string(bytes));
  return message;
}

TEST(ProfileTest, TheAuthorityHasNoCommandOfTheSigner) {
  Bank bank;
  const absl::Status refused[] = {
      bank.state.SignTransaction(Transfer(), bank.Next()).status(),
      bank.state.SignMessage(Message("m"), bank.Next()).status(),
      bank.state.SignTicket(Ticket(), bank.Next()).status(),
  };
  for (const absl::Status& status : refused) {
    EXPECT_EQ(CodeOf(status), v1::ERROR_WRONG_PROFILE);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr("does not exist in the authority profile: it signs nothing that it did "
                          "not build itself"));
  }
  EXPECT_THAT(std::string(refused[0].message()), HasSubstr("sign_transaction"));
  EXPECT_EQ(bank.state.profile(), v1::PROFILE_AUTHORITY);
}

TEST(ProfileTest, TheSignerKeepsNoLedger) {
  Bank bank = Signer();
  v1::Account account;
  v1::AccountList accounts;
  v1::Payout payout;
  v1::PayoutList payouts;
  v1::ListAccounts list;
  list.set_limit(1);
  v1::ListPayouts list_payouts;
  list_payouts.set_limit(1);
  const std::pair<const char*, absl::Status> rows[] = {
      {"get_account", bank.state.GetAccount({}, &account)},
      {"list_accounts", bank.state.ListAccounts(list, &accounts)},
      {"prepare_payout", bank.Pay({{"a", 1}}).status()},
      {"prepare_funding", bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 1).status()},
      {"bump_transaction", bank.Bump(1, 1).status()},
      {"retry_payout", bank.Retry(1).status()},
      {"report_receipt", bank.Report(MakeReceipt(Bytes32(1))).status()},
      {"report_reorg", bank.Reorg(Bytes32(1)).status()},
      {"void_tickets", bank.Void(1, 1)},
      {"get_payout", bank.state.GetPayout(1, true, &payout)},
      {"list_payouts", bank.state.ListPayouts(list_payouts, &payouts)},
      {"prepare_redeem", bank.Redeem("a", 0).status()},
      {"confirm_payout", bank.Confirm(Bytes32(1), true).status()},
  };
  for (const auto& [name, status] : rows) {
    EXPECT_EQ(CodeOf(status), v1::ERROR_WRONG_PROFILE) << name;
    EXPECT_EQ(std::string(status.message()),
              absl::StrCat(name, " does not exist in the signer profile: it keeps no ledger"));
  }
  const v1::EventsApplied answer = bank.Apply({MakeEvent("e", "alice", 5)});
  EXPECT_EQ(answer.applied(), 0u);
  ASSERT_EQ(answer.refusals_size(), 1);
  EXPECT_EQ(answer.refusals(0).error().code(), v1::ERROR_WRONG_PROFILE);
  EXPECT_TRUE(bank.state.pristine());
  using Frame = v1::ClientFrame;
  for (const Frame::BodyCase both : {Frame::kStatus, Frame::kGetPolicy, Frame::kChangePolicy,
                                     Frame::kGetAttestation, Frame::kProvision}) {
    EXPECT_TRUE(bank.state.CheckMethod(both).ok());
    EXPECT_TRUE(Bank().state.CheckMethod(both).ok());
  }
}

TEST(SignerTest, SignsWhatThePolicyAllows) {
  policy::Policy policy = WidePolicy();
  policy.allow_raw_messages = true;
  Bank bank = Signer(policy);
  const auto tx = bank.state.SignTransaction(Transfer(), bank.Next());
  ASSERT_TRUE(tx.ok()) << tx.status();
  EXPECT_EQ(std::get<ethereum::Transaction>(*tx).value, 100);
  const auto ticket = bank.state.SignTicket(Ticket(), bank.Next());
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(std::get<ethereum::Ticket>(*ticket).sender, bank.key().address());
  EXPECT_EQ(std::get<ethereum::Ticket>(*ticket).win_prob, policy.win_prob);
  ASSERT_TRUE(bank.state.SignMessage(Message(Bytes32(1)), bank.Next()).ok());
  for (const Batch& batch : bank.batches) {
    EXPECT_EQ(&batch == &bank.batches[0] ? 1 : 0, batch.events_size())
        << "without a velocity window nothing is sealed";
  }
}

TEST(SignerTest, RefusalsByParserAndPolicy) {
  Bank bank = Signer();
  v1::SignTransaction tx = Transfer();
  tx.set_type(9);
  EXPECT_EQ(CodeOf(bank.state.SignTransaction(tx, bank.Next())), v1::ERROR_MALFORMED);
  tx = Transfer();
  tx.clear_to();
  EXPECT_EQ(CodeOf(bank.state.SignTransaction(tx, bank.Next())), v1::ERROR_POLICY);
  tx = Transfer();
  tx.set_chain_id(1);
  const auto chain = bank.state.SignTransaction(tx, bank.Next());
  EXPECT_EQ(CodeOf(chain), v1::ERROR_POLICY);
  EXPECT_EQ(RuleOf(chain.status()), "chain_id");
  v1::SignTicket ticket = Ticket();
  ticket.clear_aux_data();
  EXPECT_EQ(CodeOf(bank.state.SignTicket(ticket, bank.Next())), v1::ERROR_MALFORMED);
  ticket = Ticket();
  ticket.set_sender(std::string(20, 's'));
  EXPECT_EQ(CodeOf(bank.state.SignTicket(ticket, bank.Next())), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.state.SignMessage(Message("m"), bank.Next())), v1::ERROR_POLICY);
  EXPECT_EQ(CodeOf(bank.state.SignMessage(Message(std::string(70'000, 'm')), bank.Next())),
            v1::ERROR_MALFORMED);
}

TEST(SignerTest, WithoutAPolicyEverythingIsSigned) {
  Bank bank = Signer(policy::Unrestricted());
  v1::SignTransaction tx = Transfer();
  tx.clear_to();
  tx.set_chain_id(5);
  tx.set_value(std::string(32, '\xff'));
  EXPECT_TRUE(bank.state.SignTransaction(tx, bank.Next()).ok());
  EXPECT_TRUE(bank.state.SignMessage(Message("m"), bank.Next()).ok());
  const auto ticket = bank.state.SignTicket(Ticket(), bank.Next());
  ASSERT_TRUE(ticket.ok()) << ticket.status();
  EXPECT_EQ(std::get<ethereum::Ticket>(*ticket).win_prob, ~ethereum::U256(0));
}

// ---- velocity

policy::Policy Slow() {
  policy::Policy policy = WidePolicy();
  policy.allow_raw_messages = true;
  policy.velocity_window = 100;
  policy.velocity_total = 250;
  policy.velocity_recipient = 150;
  policy.velocity_signatures = 5;
  return policy;
}

TEST(SignerVelocityTest, TheLimitsHoldAndTheWindowPasses) {
  Bank bank = Signer(Slow());
  bank.state.SetTime(1000);
  const auto rule = [&](const v1::SignTransaction& tx) {
    return RuleOf(bank.state.SignTransaction(tx, bank.Next()).status());
  };
  EXPECT_EQ(rule(Transfer(0, 100, 1)), "");
  EXPECT_EQ(bank.batches.back().events_size(), 1);
  EXPECT_EQ(bank.batches.back().events(0).signature_given().time(), 1000u);
  EXPECT_EQ(rule(Transfer(1, 51, 1)), "velocity_recipient");
  EXPECT_EQ(bank.batches.back().events_size(), 0);
  EXPECT_EQ(rule(Transfer(1, 50, 1)), "");
  EXPECT_EQ(rule(Transfer(2, 101, 2)), "velocity_total");
  EXPECT_EQ(rule(Transfer(2, 100, 2)), "");
  EXPECT_EQ(rule(Transfer(2, 100, 2)), "") << "the same payment, signed again, weighs once";
  ASSERT_TRUE(bank.state.SignMessage(Message("m"), bank.Next()).ok());
  EXPECT_EQ(rule(Transfer(2, 100, 2)), "velocity_signatures");
  bank.state.SetTime(500);  // a clock that goes back is held
  EXPECT_EQ(rule(Transfer(2, 100, 2)), "velocity_signatures");
  bank.state.SetTime(1099);
  EXPECT_EQ(rule(Transfer(2, 100, 2)), "velocity_signatures");
  bank.state.SetTime(1100);
  EXPECT_EQ(rule(Transfer(3, 150, 1)), "");
}

TEST(SignerVelocityTest, TicketsCountToo) {
  Bank bank = Signer(Slow());
  bank.state.SetTime(1000);
  EXPECT_TRUE(bank.state.SignTicket(Ticket(1, 100), bank.Next()).ok());
  EXPECT_EQ(RuleOf(bank.state.SignTicket(Ticket(2, 51), bank.Next()).status()),
            "velocity_recipient");
  EXPECT_TRUE(bank.state.SignTicket(Ticket(1, 100), bank.Next()).ok());
}

// An enclave whose clock was never set counts all the same: the window then never passes.
TEST(SignerVelocityTest, WithoutAClockTheWindowNeverPasses) {
  Bank bank = Signer(Slow());
  for (int i = 0; i < 5; ++i) {
    EXPECT_TRUE(bank.state.SignMessage(Message("m"), bank.Next()).ok());
  }
  EXPECT_EQ(RuleOf(bank.state.SignMessage(Message("m"), bank.Next()).status()),
            "velocity_signatures");
}

TEST(SignerVelocityTest, TheyHoldAcrossAReplayAndASnapshotByteForByte) {
  Bank bank = Signer(Slow());
  bank.state.SetTime(1000);
  ASSERT_TRUE(bank.state.SignTransaction(Transfer(0, 90, 1), bank.Next()).ok());
  bank.state.SetTime(1050);
  ASSERT_TRUE(bank.state.SignTransaction(Transfer(1, 100, 2), bank.Next()).ok());
  bank.state.SetTime(1090);  // seen, and not sealed: no event says it
  authority::Authority replayed = Replayed(bank.Batches());
  authority::Authority restored = Restored(bank.state);
  EXPECT_EQ(SnapshotBytes(replayed), SnapshotBytes(bank.state));
  EXPECT_EQ(SnapshotBytes(restored), SnapshotBytes(bank.state));
  for (authority::Authority* state : {&replayed, &restored}) {
    Batch batch;
    EXPECT_FALSE(state->pristine());
    EXPECT_EQ(state->profile(), v1::PROFILE_SIGNER);
    state->SetTime(10);  // a clock that was set back while it was off
    EXPECT_EQ(RuleOf(state->SignTransaction(Transfer(2, 51, 2), &batch).status()),
              "velocity_recipient");
    EXPECT_EQ(RuleOf(state->SignTransaction(Transfer(2, 61, 3), &batch).status()),
              "velocity_total");
    EXPECT_TRUE(state->SignTransaction(Transfer(2, 60, 3), &batch).ok());
    EXPECT_EQ(batch.events(0).signature_given().time(), 1050u) << "held where the state was";
    state->SetTime(1100);
    EXPECT_TRUE(state->SignTransaction(Transfer(2, 80, 3), &batch).ok()) << "nonce 0 has left";
  }
}

// ---- velocity in the authority profile

policy::Policy SlowPayouts() {
  policy::Policy policy = Slow();
  policy.velocity_total = 250;
  policy.velocity_recipient = 150;
  policy.velocity_signatures = 8;
  return policy;
}

Bank Paying(const policy::Policy& policy = SlowPayouts()) {
  Bank bank(policy);
  bank.state.SetTime(1000);
  for (const char* who : {"a", "b", "c"}) bank.Credit(who, 1000);
  return bank;
}

TEST(PayoutVelocityTest, APayoutIsHeldAgainstTheLimitsBeforeItIsReserved) {
  Bank bank = Paying();
  EXPECT_EQ(RuleOf(bank.Pay({{"a", 151}}).status()), "velocity_recipient");
  EXPECT_EQ(RuleOf(bank.Pay({{"a", 100}, {"b", 100}, {"c", 51}}).status()), "velocity_total");
  EXPECT_EQ(bank.state.payouts().size(), 0u);
  EXPECT_EQ(Line(bank.state.ledger().totals()), "3000 0 0");
  ASSERT_TRUE(bank.Pay({{"a", 100}, {"b", 100}}).ok());
  EXPECT_EQ(RuleOf(bank.Pay({{"c", 51}}).status()), "velocity_total");
  EXPECT_EQ(RuleOf(bank.Redeem("c", 1, 51).status()), "velocity_total");
  EXPECT_EQ(RuleOf(bank.Prepare(MakePayout({{"a", 51}}, v1::STRATEGY_ETH_TRANSFER)).status()),
            "velocity_total");
  EXPECT_TRUE(bank.Redeem("c", 1, 50).ok());
  bank.state.SetTime(1100);
  EXPECT_TRUE(bank.Pay({{"a", 150}}).ok());
}

TEST(PayoutVelocityTest, RepeatsAndFundingsCountAsSignaturesOnly) {
  Bank bank = Paying();
  ASSERT_TRUE(bank.Pay({{"a", 150}, {"b", 100}}).ok());  // 1: all there is
  ASSERT_TRUE(bank.Bump(1, 200).ok());                   // 2
  ASSERT_TRUE(bank.Bump(1, 200).ok());                   // the same bytes again
  ASSERT_TRUE(bank.Report(MakeReceipt(bank.View(1).attempts(1).tx_hash(), false)).ok());
  ASSERT_TRUE(bank.Retry(1, 1).ok());                                                  // 3
  ASSERT_TRUE(bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 5000).ok());                        // 4
  ASSERT_TRUE(bank.Fund(v1::STRATEGY_FUND_RESERVE, 5000).ok());                        // 5
  for (uint64_t fee = 200; fee <= 800; fee *= 2) ASSERT_TRUE(bank.Bump(1, fee).ok());  // 6, 7, 8
  EXPECT_EQ(RuleOf(bank.Bump(1, 2000).status()), "velocity_signatures");
  EXPECT_EQ(RuleOf(bank.Fund(v1::STRATEGY_FUND_DEPOSIT, 1).status()), "velocity_signatures");
  EXPECT_TRUE(bank.Bump(1, 800).ok()) << "what is signed already needs no signature";
  ASSERT_TRUE(bank.Report(MakeReceipt(bank.View(1).attempts(2).tx_hash(), false)).ok());
  EXPECT_EQ(RuleOf(bank.Retry(1, 4).status()), "velocity_signatures");
  EXPECT_EQ(bank.batches.back().events_size(), 0);
  bank.state.SetTime(1100);
  EXPECT_TRUE(bank.Retry(1, 4).ok());
}

TEST(PayoutVelocityTest, TheyHoldAcrossAReplayAndASnapshotByteForByte) {
  policy::Policy policy = SlowPayouts();
  policy.velocity_total = 1000;
  Bank bank = Paying(policy);
  ASSERT_TRUE(bank.Pay({{"a", 100}, {"b", 100}}).ok());
  bank.state.SetTime(1040);
  ASSERT_TRUE(bank.Bump(1, 300).ok());
  authority::Authority replayed = Replayed(bank.Batches());
  authority::Authority restored = Restored(bank.state);
  EXPECT_EQ(SnapshotBytes(replayed), SnapshotBytes(bank.state));
  EXPECT_EQ(SnapshotBytes(restored), SnapshotBytes(bank.state));
  for (authority::Authority* state : {&replayed, &restored}) {
    Batch batch;
    const auto pay = [&](Wei amount) {
      return RuleOf(state->PreparePayout(MakePayout({{"a", amount}}), &batch).status());
    };
    EXPECT_EQ(pay(51), "velocity_recipient");
    EXPECT_EQ(pay(50), "");
  }
}

TEST(PayoutVelocityTest, WithoutAWindowNoTimeIsSealed) {
  Bank bank;
  bank.state.SetTime(1000);
  bank.Credit("a", 10);
  ASSERT_TRUE(bank.Pay({{"a"}}).ok());
  for (const Batch& batch : bank.batches) {
    for (const auto& event : batch.events()) EXPECT_EQ(event.payout_reserved().time(), 0u);
  }
}

TEST(AllowlistTest, I10OnlyWhoIsOnTheListIsPaid) {
  policy::Policy policy = WidePolicy();
  policy.require_allowlist = true;
  policy.allowed_recipients = {ethereum::Address::FromBytes(RecipientOf("a")).value()};
  Bank bank(policy);
  bank.Credit("a", 10);
  bank.Credit("b", 10);
  EXPECT_EQ(RuleOf(bank.Pay({{"a", 1}, {"b", 1}}).status()), "allowed_recipients");
  EXPECT_EQ(RuleOf(bank.Redeem("b", 0).status()), "allowed_recipients");
  EXPECT_EQ(RuleOf(bank.Prepare(MakePayout({{"b"}}, v1::STRATEGY_ETH_TRANSFER)).status()),
            "allowed_recipients");
  EXPECT_TRUE(bank.Pay({{"a", 1}}).ok());
}

}  // namespace
}  // namespace coffer::test
