// Founding, adopting, restoring, views, and golden bytes of what is signed and what is sealed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <iterator>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using authority::Authority;
using testing::HasSubstr;

std::string Golden(const std::string& name) {
  std::ifstream file(absl::StrCat(COFFER_SOURCE_DIR "/tests/golden/", name), std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<sealed::v1::SnapshotPart> Parts(const Authority& state) {
  std::vector<sealed::v1::SnapshotPart> parts;
  state.WriteSnapshot([&](const sealed::v1::SnapshotPart& part) { parts.push_back(part); });
  return parts;
}

TEST(AdoptTest, OnlyTheSameKeyChainBrokerAndLimits) {
  struct Row {
    const char* name;
    std::function<void(policy::Policy&)> change;
    bool accept;
    bool taken;
  };
  const Row rows[] = {
      {"the same", [](auto&) {}, false, true},
      {"limits", [](auto& p) { p.max_face_value = 7; }, false, false},
      {"limits, accepted", [](auto& p) { p.max_face_value = 7; }, true, true},
      {"chain", [](auto& p) { p.chain_id = 1; }, true, false},
      {"broker", [](auto& p) { p.broker = AddressOf(1); }, true, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    Bank bank;
    policy::Policy policy = WidePolicy();
    row.change(policy);
    const absl::Status adopted =
        bank.state.Adopt({bank.key().address()}, policy, row.accept, bank.Next());
    EXPECT_EQ(adopted.ok(), row.taken) << adopted;
    EXPECT_EQ(CodeOf(adopted), row.taken ? v1::ERROR_UNSPECIFIED : v1::ERROR_STATE_REFUSED);
    EXPECT_EQ(bank.state.policy() == policy, row.taken);
  }
  Bank bank;
  EXPECT_EQ(CodeOf(bank.state.Adopt({AddressOf(9)}, WidePolicy(), true, bank.Next())),
            v1::ERROR_STATE_REFUSED);
}

TEST(ApplyTest, EventsThatNoHistoryHas) {
  sealed::v1::StateEvent unknown;
  Bank bank;
  EXPECT_FALSE(bank.state.Apply(unknown).ok()) << "of a newer version";
  EXPECT_FALSE(bank.state.Apply(bank.batches[0].events(0)).ok()) << "a second genesis";
  Authority empty;
  unknown.mutable_account_opened();
  EXPECT_FALSE(empty.Apply(unknown).ok()) << "before the genesis";
  sealed::v1::StateEvent newer = bank.batches[0].events(0);
  newer.mutable_genesis()->set_format(4);
  EXPECT_THAT(std::string(empty.Apply(newer).message()), HasSubstr("format 4"));
  sealed::v1::StateEvent short_key = bank.batches[0].events(0);
  short_key.mutable_genesis()->set_fingerprint_key("short");
  EXPECT_FALSE(empty.Apply(short_key).ok());
  EXPECT_FALSE(empty.founded());
}

TEST(SnapshotTest, IncompleteOnesAreRefused) {
  Bank bank;
  bank.Credit("a", 100);
  ASSERT_TRUE(bank.Pay({{"a", 5}}).ok());
  const std::vector<sealed::v1::SnapshotPart> parts = Parts(bank.state);
  ASSERT_EQ(parts.size(), 4u) << "the head, the account, its payout, the event";
  EXPECT_FALSE(Authority().FinishRestore().ok());
  EXPECT_FALSE(Authority().RestorePart(parts[1]).ok()) << "no head";
  Authority twice;
  ASSERT_TRUE(twice.RestorePart(parts[0]).ok());
  EXPECT_FALSE(twice.RestorePart(parts[0]).ok()) << "two heads";
  Authority less;
  ASSERT_TRUE(less.RestorePart(parts[0]).ok());
  EXPECT_THAT(std::string(less.FinishRestore().message()), HasSubstr("announces 1 accounts"));
}

TEST(ViewsTest, ListsArePaged) {
  Bank bank;
  for (int i = 0; i < 10; ++i) bank.Credit(absl::StrCat("a", i), static_cast<Wei>(i + 1));
  struct Row {
    uint64_t from;
    uint32_t limit;
    bool payable;
    Wei least;
    v1::ErrorCode code;
    int count;
    uint64_t next;
    bool end;
  };
  const Row rows[] = {
      {0, 0, false, 0, v1::ERROR_MALFORMED, 0, 0, false},
      {0, 5001, false, 0, v1::ERROR_MALFORMED, 0, 0, false},
      {0, 4, false, 0, v1::ERROR_UNSPECIFIED, 4, 4, false},
      {8, 4, false, 0, v1::ERROR_UNSPECIFIED, 2, 10, true},
      {0, 5000, true, 8, v1::ERROR_UNSPECIFIED, 3, 10, true},
      {0, 5000, true, ~Wei(0), v1::ERROR_UNSPECIFIED, 0, 10, true},
      {UINT64_MAX, 5, false, 0, v1::ERROR_UNSPECIFIED, 0, UINT64_MAX, true},
  };
  for (const Row& row : rows) {
    v1::ListAccounts request;
    request.set_from_index(row.from);
    request.set_limit(row.limit);
    request.set_payable_only(row.payable);
    ledger::ToProto(row.least, request.mutable_min_available());
    v1::AccountList answer;
    EXPECT_EQ(CodeOf(bank.state.ListAccounts(request, &answer)), row.code);
    EXPECT_EQ(answer.accounts_size(), row.count);
    if (row.code != v1::ERROR_UNSPECIFIED) continue;
    EXPECT_EQ(answer.next_index(), row.next);
    EXPECT_EQ(answer.end(), row.end);
  }
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(bank.Pay({{absl::StrCat("a", i)}}).ok());
  ASSERT_TRUE(bank.Report(bank.ReceiptOf(2, 0, {{0, 2}})).ok());
  const auto list = [&](uint64_t from, uint32_t limit, bool open) {
    v1::ListPayouts request;
    request.set_from_id(from);
    request.set_limit(limit);
    request.set_open_only(open);
    v1::PayoutList answer;
    EXPECT_EQ(CodeOf(bank.state.ListPayouts(request, &answer)),
              limit == 0 || limit > 1000 ? v1::ERROR_MALFORMED : v1::ERROR_UNSPECIFIED);
    return answer;
  };
  list(0, 0, false);
  list(0, 1001, false);
  EXPECT_EQ(list(0, 3, false).payouts_size(), 3);
  EXPECT_EQ(list(0, 3, false).next_id(), 4u);
  EXPECT_EQ(list(4, 3, false).payouts_size(), 2);
  EXPECT_TRUE(list(4, 3, false).end());
  EXPECT_EQ(list(0, 1000, true).payouts_size(), 4);
  EXPECT_EQ(list(2, 1, true).payouts(0).id(), 3u);
  EXPECT_TRUE(list(UINT64_MAX, 1, true).end());
  EXPECT_TRUE(list(UINT64_MAX, 1, false).end());
}

TEST(ViewsTest, WhatDoesNotExist) {
  Bank bank;
  v1::GetAccount get;
  v1::Account account;
  for (const std::string& id : {std::string("x"), std::string(), std::string(1u << 24, 'n')}) {
    get.set_id(id);
    const absl::Status refused = bank.state.GetAccount(get, &account);
    EXPECT_EQ(CodeOf(refused), v1::ERROR_UNKNOWN_ACCOUNT);
    EXPECT_LT(refused.message().size(), 300u);
  }
  v1::Payout payout;
  EXPECT_EQ(CodeOf(bank.state.GetPayout(0, true, &payout)), v1::ERROR_UNKNOWN_PAYOUT);
}

// The state that the golden files show: key 0x11.., WidePolicy, fixed fingerprint key.
Bank GoldenBank() {
  Bank bank;
  bank.Credit("alice", 100);
  bank.Credit("bob", 50);
  COFFER_CHECK(bank.Pay({{"alice"}, {"bob", 20}}).ok(), "signed");
  COFFER_CHECK(bank.Report(bank.ReceiptOf(1, 0, {{0, 90}})).ok(), "reported");
  return bank;
}

TEST(GoldenTest, ASignedPayoutAlwaysHasTheseBytes) {
  EXPECT_EQ(ethereum::ToHex(GoldenBank().View(1).attempts(0).raw_tx()) + "\n",
            Golden("payout_transaction.hex"));
}

TEST(GoldenTest, ASnapshotOfThisFormatStaysReadable) {
  const std::string golden = Golden("snapshot_part.hex");
  sealed::v1::SnapshotPart part;
  ASSERT_TRUE(part.ParseFromString(ethereum::FromHex(golden.substr(0, golden.size() - 1)).value()));
  Authority restored;
  ASSERT_TRUE(restored.RestorePart(part).ok());
  const absl::Status finished = restored.FinishRestore();
  ASSERT_TRUE(finished.ok()) << finished;
  v1::Payout now, then = GoldenBank().View(1);
  ASSERT_TRUE(restored.GetPayout(1, true, &now).ok());
  EXPECT_EQ(now.DebugString(), then.DebugString());
  EXPECT_EQ(Line(restored.ledger().totals()), "40 20 90");
  EXPECT_EQ(restored.event_ids().size(), 2u);
}

}  // namespace
}  // namespace coffer::test
