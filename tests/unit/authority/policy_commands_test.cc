// The policy in force: signed changes, and what a start may say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "enclave_core/policy/typed_data.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::HasSubstr;

// Two of these three admins, whose addresses are sorted here.
policy::Policy Governed() {
  policy::Policy policy = WidePolicy();
  for (const uint8_t admin : std::vector<uint8_t>{0x41, 0x42, 0x43})
    policy.admins.push_back(Key(admin).address());
  std::sort(policy.admins.begin(), policy.admins.end());
  policy.admin_threshold = 2;
  return policy;
}

v1::ChangePolicy Change(const policy::Policy& next, uint64_t sequence,
                        const std::vector<uint8_t>& admins = {0x41, 0x42}) {
  v1::ChangePolicy change;
  policy::ToProto(next, change.mutable_policy());
  change.set_sequence(sequence);
  for (const uint8_t admin : admins) {
    change.add_signatures(
        Key(admin).Sign(policy::PolicyChangeDigest(Key().address(), sequence, next)).ToBytes65());
  }
  return change;
}

v1::PolicyState StateOf(const authority::Authority& state) {
  v1::PolicyState answer;
  state.FillPolicy(&answer);
  return answer;
}

TEST(ChangePolicyTest, WhatTheAdminsSignedIsInForce) {
  Bank bank(Governed());
  EXPECT_EQ(StateOf(bank.state).sequence(), 0u);
  EXPECT_EQ(StateOf(bank.state).hash(), policy::PolicyHash(Governed()).view());
  EXPECT_TRUE(bank.state.pristine());
  policy::Policy next = Governed();
  for (uint64_t sequence = 1; sequence <= 3; ++sequence) {
    next.max_face_value = sequence % 2 == 1 ? 7 : 2'000'000;  // tighter and looser are one path
    ASSERT_TRUE(bank.state.ChangePolicy(Change(next, sequence), bank.Next()).ok());
    EXPECT_EQ(bank.state.policy(), next);
    EXPECT_EQ(StateOf(bank.state).sequence(), sequence);
    EXPECT_EQ(StateOf(bank.state).hash(), policy::PolicyHash(next).view());
  }
  EXPECT_FALSE(bank.state.pristine());
  bank.Credit("a", 100);
  EXPECT_EQ(RuleOf(bank.Pay({{"a", 8}}).status()), "max_face_value");
  v1::Status status;
  bank.state.FillStatus(&status);
  EXPECT_EQ(status.policy_sequence(), 3u);
  EXPECT_EQ(status.policy_hash(), policy::PolicyHash(next).view());
  EXPECT_EQ(status.profile(), v1::PROFILE_AUTHORITY);
}

TEST(ChangePolicyTest, EveryRefusalChangesNothing) {
  policy::Policy next = Governed();
  next.max_face_value = 7;
  const auto with = [&](auto change) {
    policy::Policy other = next;
    change(other);
    return Change(other, 1);
  };
  v1::ChangePolicy altered = Change(next, 1);
  ledger::ToProto(8, altered.mutable_policy()->mutable_max_face_value());
  v1::ChangePolicy malformed = Change(next, 1);
  malformed.mutable_policy()->set_broker("x");
  v1::ChangePolicy another_sequence = Change(next, 2);
  another_sequence.set_sequence(1);
  struct Row {
    const char* name;
    v1::ChangePolicy change;
    v1::ErrorCode code;
    const char* rule = "";
  };
  const Row rows[] = {
      {"not signed", Change(next, 1, {}), v1::ERROR_SIGNATURE},
      {"one of two", Change(next, 1, {0x41}), v1::ERROR_SIGNATURE},
      {"one admin twice", Change(next, 1, {0x41, 0x41}), v1::ERROR_SIGNATURE},
      {"a stranger", Change(next, 1, {0x41, 0x55}), v1::ERROR_SIGNATURE},
      {"another policy than signed", altered, v1::ERROR_SIGNATURE},
      {"signed for another sequence", another_sequence, v1::ERROR_SIGNATURE},
      {"sequence 0", Change(next, 0), v1::ERROR_WRONG_STATE},
      {"a sequence ahead", Change(next, 2), v1::ERROR_WRONG_STATE},
      {"chain", with([](auto& p) { p.chain_id = 1; }), v1::ERROR_POLICY, "chain_id"},
      {"broker", with([](auto& p) { p.broker = AddressOf(1); }), v1::ERROR_POLICY, "broker"},
      {"unrestricted", Change(policy::Unrestricted(), 1), v1::ERROR_POLICY, "chain_id"},
      {"a ticket that may lose", with([](auto& p) { p.win_prob = 1; }), v1::ERROR_MALFORMED},
      {"malformed", malformed, v1::ERROR_MALFORMED},
      {"nothing", v1::ChangePolicy(), v1::ERROR_MALFORMED},
  };
  Bank bank(Governed());
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    const absl::Status refused = bank.state.ChangePolicy(row.change, bank.Next());
    EXPECT_EQ(CodeOf(refused), row.code) << refused;
    EXPECT_EQ(RuleOf(refused), row.rule);
    EXPECT_EQ(bank.batches.back().events_size(), 0);
    EXPECT_EQ(bank.state.policy(), Governed());
  }
  EXPECT_TRUE(bank.state.ChangePolicy(Change(next, 1), bank.Next()).ok());
  EXPECT_EQ(CodeOf(bank.state.ChangePolicy(Change(next, 1), bank.Next())), v1::ERROR_WRONG_STATE)
      << "a change is carried here once";
}

TEST(ChangePolicyTest, WithoutAdminsNobodyChangesIt) {
  Bank bank;
  policy::Policy next = WidePolicy();
  next.max_face_value = 7;
  const absl::Status refused = bank.state.ChangePolicy(Change(next, 1), bank.Next());
  EXPECT_EQ(CodeOf(refused), v1::ERROR_POLICY);
  EXPECT_EQ(RuleOf(refused), "admins");
}

TEST(ChangePolicyTest, TheAdminsOfThePolicyInForceSign) {
  Bank bank(Governed());
  policy::Policy next = Governed();
  next.admins = {Key(0x44).address()};
  next.admin_threshold = 1;
  ASSERT_TRUE(bank.state.ChangePolicy(Change(next, 1), bank.Next()).ok());
  next.max_face_value = 7;
  EXPECT_EQ(CodeOf(bank.state.ChangePolicy(Change(next, 2), bank.Next())), v1::ERROR_SIGNATURE);
  EXPECT_TRUE(bank.state.ChangePolicy(Change(next, 2, {0x44}), bank.Next()).ok());
}

TEST(ChangePolicyTest, TheSignerProfileHasItToo) {
  Bank bank(Governed(), 0x11, v1::PROFILE_SIGNER);
  policy::Policy next = Governed();
  next.max_transfer = 7;
  next.win_prob = 1;
  EXPECT_TRUE(bank.state.ChangePolicy(Change(next, 1), bank.Next()).ok());
}

TEST(ChangePolicyTest, AReplayAndASnapshotHaveTheSamePolicy) {
  Bank bank(Governed());
  policy::Policy next = Governed();
  next.max_face_value = 7;
  ASSERT_TRUE(bank.state.ChangePolicy(Change(next, 1), bank.Next()).ok());
  authority::Authority replayed = Replayed(bank.Batches());
  authority::Authority restored = Restored(bank.state);
  for (authority::Authority* state : {&replayed, &restored}) {
    EXPECT_EQ(SnapshotBytes(*state), SnapshotBytes(bank.state));
    EXPECT_EQ(StateOf(*state).DebugString(), StateOf(bank.state).DebugString());
    Bank::Batch batch;
    EXPECT_EQ(CodeOf(state->ChangePolicy(Change(next, 1), &batch)), v1::ERROR_WRONG_STATE);
    EXPECT_TRUE(state->ChangePolicy(Change(next, 2), &batch).ok());
  }
}

// A window that shrinks forgets at once, so that a state from a snapshot is the one that was left.
TEST(ChangePolicyTest, TheVelocityWindowChangesWithIt) {
  policy::Policy policy = Governed();
  policy.velocity_window = 100;
  policy.velocity_total = 100;
  Bank bank(policy);
  bank.Credit("a", 1000);
  bank.state.SetTime(1000);
  ASSERT_TRUE(bank.Pay({{"a", 60}}).ok());
  bank.state.SetTime(1050);
  ASSERT_TRUE(bank.Pay({{"a", 40}}).ok());
  policy.velocity_window = 20;
  ASSERT_TRUE(bank.state.ChangePolicy(Change(policy, 1), bank.Next()).ok());
  EXPECT_EQ(SnapshotBytes(Restored(bank.state)), SnapshotBytes(bank.state));
  EXPECT_EQ(SnapshotBytes(Replayed(bank.Batches())), SnapshotBytes(bank.state));
  EXPECT_EQ(RuleOf(bank.Pay({{"a", 61}}).status()), "velocity_total");
  EXPECT_TRUE(bank.Pay({{"a", 60}}).ok()) << "what was signed at 1000 is out of 20 seconds";
  policy.velocity_window = 0;
  ASSERT_TRUE(bank.state.ChangePolicy(Change(policy, 2), bank.Next()).ok());
  EXPECT_TRUE(bank.Pay({{"a", 500}}).ok());
  EXPECT_EQ(SnapshotBytes(Restored(bank.state)), SnapshotBytes(bank.state));
}

TEST(AdoptTest, TheProvisionedPolicyStaysTheKeyOfAStart) {
  struct Row {
    const char* name;
    std::function<policy::Policy(const policy::Policy&)> start;
    bool accept;
    bool taken;
    const char* sentence = "";
  };
  const auto face = [](Wei value) {
    return [value](policy::Policy policy) {
      policy.max_face_value = value;
      return policy;
    };
  };
  const Row rows[] = {
      {"as provisioned", [](policy::Policy p) { return p; }, false, true},
      {"as in force", face(7), false, true},
      {"another", face(8), false, false, "only its admins"},
      {"another, accepted", face(8), true, false, "max_face_value"},
      {"two fields",
       [](policy::Policy p) {
         p.allow_raw_messages = true;
         p.max_transaction_cost = 5;
         return p;
       },
       true, false, "(allow_raw_messages, max_face_value, max_transaction_cost)"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Bank bank(Governed());
    ASSERT_TRUE(bank.state.ChangePolicy(Change(face(7)(Governed()), 1), bank.Next()).ok());
    authority::Authority replayed = Replayed(bank.Batches());
    authority::Authority restored = Restored(bank.state);
    for (authority::Authority* state : {&replayed, &restored}) {
      Bank::Batch batch;
      const absl::Status adopted =
          state->Adopt({Key().address()}, row.start(Governed()), row.accept, &batch);
      EXPECT_EQ(CodeOf(adopted), row.taken ? v1::ERROR_UNSPECIFIED : v1::ERROR_STATE_REFUSED);
      EXPECT_THAT(std::string(adopted.message()), HasSubstr(row.sentence));
      EXPECT_EQ(batch.events_size(), 0);
      EXPECT_EQ(state->policy(), face(7)(Governed())) << "the sealed policy is in force";
    }
  }
}

TEST(AdoptTest, AnAcceptedChangeMovesWhatAStartMustSay) {
  Bank bank;
  policy::Policy next = WidePolicy();
  next.max_face_value = 7;
  ASSERT_TRUE(bank.state.Adopt({Key().address()}, next, true, bank.Next()).ok());
  ASSERT_EQ(bank.batches.back().events_size(), 1);
  EXPECT_EQ(StateOf(bank.state).sequence(), 0u);
  authority::Authority replayed = Replayed(bank.Batches());
  authority::Authority restored = Restored(bank.state);
  for (authority::Authority* state : {&replayed, &restored}) {
    Bank::Batch batch;
    EXPECT_EQ(SnapshotBytes(*state), SnapshotBytes(bank.state));
    EXPECT_TRUE(state->Adopt({Key().address()}, next, false, &batch).ok());
    const absl::Status old = state->Adopt({Key().address()}, WidePolicy(), false, &batch);
    EXPECT_EQ(CodeOf(old), v1::ERROR_STATE_REFUSED);
    EXPECT_THAT(std::string(old.message()), HasSubstr("(max_face_value)"));
  }
}

TEST(AdoptTest, AStateFromBeforeThereWasAHash) {
  Bank bank;
  Bank::Batch old = bank.batches[0];
  old.mutable_events(0)->mutable_genesis()->clear_provisioned_policy_hash();
  old.mutable_events(0)->mutable_genesis()->clear_profile();
  authority::Authority state = Replayed({old});
  Bank::Batch batch;
  EXPECT_EQ(state.profile(), v1::PROFILE_AUTHORITY);
  EXPECT_TRUE(state.Adopt({Key().address()}, WidePolicy(), false, &batch).ok());
  policy::Policy other = WidePolicy();
  other.max_tickets = 1;
  EXPECT_EQ(CodeOf(state.Adopt({Key().address()}, other, false, &batch)), v1::ERROR_STATE_REFUSED);
}

TEST(AdoptTest, TheProfileIsSealed) {
  for (const v1::Profile sealed : {v1::PROFILE_AUTHORITY, v1::PROFILE_SIGNER}) {
    Bank bank(WidePolicy(), 0x11, sealed);
    for (const v1::Profile started : {v1::PROFILE_AUTHORITY, v1::PROFILE_SIGNER}) {
      EXPECT_EQ(
          CodeOf(bank.state.Adopt({Key().address()}, WidePolicy(), true, bank.Next(), started)),
          sealed == started ? v1::ERROR_UNSPECIFIED : v1::ERROR_STATE_REFUSED);
    }
  }
}

TEST(AdoptTest, ASignerMayComeUnderAPolicyAndNotOutOfIt) {
  Bank bank(policy::Unrestricted(), 0x11, v1::PROFILE_SIGNER);
  const auto adopt = [&](const policy::Policy& policy, bool accept) {
    return CodeOf(
        bank.state.Adopt({Key().address()}, policy, accept, bank.Next(), v1::PROFILE_SIGNER));
  };
  EXPECT_EQ(adopt(policy::Unrestricted(), false), v1::ERROR_UNSPECIFIED);
  EXPECT_EQ(adopt(WidePolicy(), false), v1::ERROR_STATE_REFUSED);
  EXPECT_EQ(adopt(WidePolicy(), true), v1::ERROR_UNSPECIFIED);
  EXPECT_EQ(adopt(policy::Unrestricted(), true), v1::ERROR_STATE_REFUSED);
  EXPECT_EQ(bank.state.policy(), WidePolicy());
}

}  // namespace
}  // namespace coffer::test
