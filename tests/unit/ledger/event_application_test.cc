// ApplyEvents: I1, I2, I7, as a ledger of lines with the refused ones among them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr v1::Event::Kind kCredit = v1::Event::KIND_CREDIT;
constexpr v1::Event::Kind kUp = v1::Event::KIND_ADJUST_UP;
constexpr v1::Event::Kind kDown = v1::Event::KIND_ADJUST_DOWN;

// The code of the one refusal; UNSPECIFIED when the event was taken.
v1::ErrorCode Verdict(Bank& bank, const v1::Event& event) {
  const v1::EventsApplied answer = bank.Apply({event});
  return answer.refusals().empty() ? v1::ERROR_UNSPECIFIED : answer.refusals(0).error().code();
}

TEST(ApplyEventsTest, TheLedger) {
  struct Row {
    const char* id;
    const char* account;
    v1::Event::Kind kind;
    uint64_t amount;
    v1::ErrorCode refused;
    bool duplicate;
    const char* after;  // available reserved paid; "" = no account
  };
  const Row rows[] = {
      {"e1", "alice", kCredit, 100, v1::ERROR_UNSPECIFIED, false, "100 0 0"},
      {"e1", "alice", kCredit, 100, v1::ERROR_UNSPECIFIED, true, "100 0 0"},
      {"e1", "alice", kCredit, 101, v1::ERROR_EVENT_CONFLICT, false, "100 0 0"},
      {"e1", "alice", kUp, 100, v1::ERROR_EVENT_CONFLICT, false, "100 0 0"},
      {"e1", "bob", kCredit, 100, v1::ERROR_EVENT_CONFLICT, false, ""},
      {"e2", "bob", kDown, 1, v1::ERROR_INSUFFICIENT, false, ""},
      {"e2", "bob", kCredit, 7, v1::ERROR_UNSPECIFIED, false, "7 0 0"},  // e2 was not remembered
      {"e3", "alice", kCredit, 0, v1::ERROR_OUT_OF_RANGE, false, "100 0 0"},
      {"e3", "alice", kDown, 101, v1::ERROR_INSUFFICIENT, false, "100 0 0"},
      {"e3", "alice", kDown, 40, v1::ERROR_UNSPECIFIED, false, "60 0 0"},
      {"e4", "alice", kUp, 5, v1::ERROR_UNSPECIFIED, false, "65 0 0"},
      {"e3", "alice", kDown, 40, v1::ERROR_UNSPECIFIED, true, "65 0 0"},
      {"e5", "alice", v1::Event::KIND_UNSPECIFIED, 1, v1::ERROR_MALFORMED, false, "65 0 0"},
      {"e5", "alice", static_cast<v1::Event::Kind>(9), 1, v1::ERROR_MALFORMED, false, "65 0 0"},
      {"", "alice", kCredit, 1, v1::ERROR_MALFORMED, false, "65 0 0"},
      {"e5", "", kCredit, 1, v1::ERROR_MALFORMED, false, ""},
      {"e5\n", "alice", kCredit, 1, v1::ERROR_MALFORMED, false, "65 0 0"},
      {"e5", "al\x7fice", kCredit, 1, v1::ERROR_MALFORMED, false, ""},
      {"e5", "alice", kDown, 65, v1::ERROR_UNSPECIFIED, false, "0 0 0"},
  };
  Bank bank;
  int line = 0;
  for (const Row& row : rows) {
    SCOPED_TRACE(absl::StrCat("line ", ++line, ": ", row.id, " ", row.account, " ", row.amount));
    const v1::EventsApplied answer =
        bank.Apply({MakeEvent(row.id, row.account, row.amount, row.kind)});
    const bool refused = row.refused != v1::ERROR_UNSPECIFIED;
    EXPECT_EQ(answer.applied(), refused || row.duplicate ? 0u : 1u);
    EXPECT_EQ(answer.duplicates_size(), row.duplicate ? 1 : 0);
    ASSERT_EQ(answer.refusals_size(), refused ? 1 : 0);
    if (refused) {
      EXPECT_EQ(answer.refusals(0).error().code(), row.refused);
    }
    const auto index = bank.state.ledger().Find(row.account);
    EXPECT_EQ(index ? Line(bank.state.ledger().at(*index).balances) : "", row.after);
    EXPECT_EQ(answer.has_account(), index.has_value());
  }
  const ledger::Balances& t = bank.state.ledger().totals();
  EXPECT_EQ(t.credited, 107u);
  EXPECT_EQ(t.adjusted_up, 5u);
  EXPECT_EQ(t.adjusted_down, 105u);
  EXPECT_EQ(t.available, 7u);
}

TEST(ApplyEventsTest, I1TheRecipientIsFixedByTheFirstEvent) {
  Bank bank;
  bank.Credit("alice", 10);
  v1::Event other = MakeEvent("e", "alice", 5);
  other.set_recipient(RecipientOf("mallory"));
  EXPECT_EQ(Verdict(bank, other), v1::ERROR_RECIPIENT_MISMATCH);
  EXPECT_EQ(Line(bank.Of("alice")), "10 0 0");
  // The same id with the right recipient is then taken: what is refused is not remembered (I7).
  EXPECT_EQ(Verdict(bank, MakeEvent("e", "alice", 5)), v1::ERROR_UNSPECIFIED);
  // A repetition of it with another recipient is another content.
  EXPECT_EQ(Verdict(bank, other), v1::ERROR_EVENT_CONFLICT);
  EXPECT_EQ(bank.state.ledger().at(0).recipient.view(), RecipientOf("alice"));
}

TEST(ApplyEventsTest, I1AFirstEventThatIsRefusedFixesNothing) {
  Bank bank;
  v1::Event zero = MakeEvent("e", "alice", 0);
  zero.set_recipient(RecipientOf("mallory"));
  EXPECT_EQ(Verdict(bank, zero), v1::ERROR_OUT_OF_RANGE);
  EXPECT_EQ(bank.state.ledger().size(), 0u);
  EXPECT_EQ(Verdict(bank, MakeEvent("e", "alice", 1)), v1::ERROR_UNSPECIFIED);
}

TEST(ApplyEventsTest, HostileSizes) {
  Bank bank;
  struct Row {
    size_t id, account, recipient;
    v1::ErrorCode code;
  };
  const Row rows[] = {
      {128, 128, 20, v1::ERROR_UNSPECIFIED},  {129, 1, 20, v1::ERROR_MALFORMED},
      {1, 129, 20, v1::ERROR_MALFORMED},      {1, 1, 0, v1::ERROR_MALFORMED},
      {1, 1, 19, v1::ERROR_MALFORMED},        {1, 1, 21, v1::ERROR_MALFORMED},
      {1, 1, 1u << 20, v1::ERROR_MALFORMED},  {1u << 20, 1, 20, v1::ERROR_MALFORMED},
      {1, 1u << 20, 20, v1::ERROR_MALFORMED},
  };
  for (const Row& row : rows) {
    v1::Event event = MakeEvent(std::string(row.id, 'i'), std::string(row.account, 'a'), 1);
    event.set_recipient(std::string(row.recipient, 'r'));
    const v1::EventsApplied answer = bank.Apply({event});
    EXPECT_EQ(answer.refusals().empty() ? v1::ERROR_UNSPECIFIED : answer.refusals(0).error().code(),
              row.code)
        << row.id << " " << row.account << " " << row.recipient;
    EXPECT_LT(answer.ByteSizeLong(), 1024u) << "no refusal repeats what is too long";
  }
  EXPECT_EQ(bank.state.event_ids().size(), 1u);
}

TEST(ApplyEventsTest, I2AmountsKeepTheirRange) {
  const Wei most = ledger::kMaxWei / 2;  // of all that ever comes in
  struct Row {
    const char* account;
    v1::Event::Kind kind;
    Wei amount;
    v1::ErrorCode code;
  };
  const Row rows[] = {
      {"a", kCredit, ~Wei(0), v1::ERROR_OUT_OF_RANGE},
      {"a", kCredit, ledger::kMaxWei + 1, v1::ERROR_OUT_OF_RANGE},
      {"a", kCredit, ledger::kMaxWei, v1::ERROR_OUT_OF_RANGE},
      {"a", kCredit, most + 1, v1::ERROR_OUT_OF_RANGE},
      {"a", kCredit, most - 1, v1::ERROR_UNSPECIFIED},
      {"b", kUp, 2, v1::ERROR_OUT_OF_RANGE},  // the bound is on the sum of all accounts
      {"b", kUp, 1, v1::ERROR_UNSPECIFIED},
      {"b", kCredit, 1, v1::ERROR_OUT_OF_RANGE},
      {"a", kDown, ~Wei(0), v1::ERROR_OUT_OF_RANGE},
      {"a", kDown, most, v1::ERROR_INSUFFICIENT},
      {"a", kDown, most - 1, v1::ERROR_UNSPECIFIED},
      {"a", kCredit, 1, v1::ERROR_OUT_OF_RANGE},  // what came in once counts for ever
  };
  Bank bank;
  int i = 0;
  for (const Row& row : rows) {
    EXPECT_EQ(Verdict(bank, MakeEvent(absl::StrCat("e", ++i), row.account, row.amount, row.kind)),
              row.code)
        << "row " << i;
  }
  EXPECT_EQ(bank.state.ledger().totals().available, 1u);
}

TEST(ApplyEventsTest, OneRefusalDoesNotStopTheOthers) {
  Bank bank;
  const v1::EventsApplied answer = bank.Apply(
      {MakeEvent("1", "a", 5), MakeEvent("1", "a", 5), MakeEvent("1", "a", 6),
       MakeEvent("2", "a", 9, kDown), MakeEvent("3", "b", 1), MakeEvent("4", "a", 5, kDown)});
  EXPECT_EQ(answer.applied(), 3u);
  EXPECT_THAT(answer.duplicates(), ElementsAre(1));
  ASSERT_EQ(answer.refusals_size(), 2);
  EXPECT_EQ(answer.refusals(0).index(), 2u);
  EXPECT_EQ(answer.refusals(0).error().code(), v1::ERROR_EVENT_CONFLICT);
  EXPECT_THAT(answer.refusals(0).error().message(), HasSubstr("\"1\""));
  EXPECT_EQ(answer.refusals(1).index(), 3u);
  EXPECT_FALSE(answer.has_account());
  EXPECT_EQ(Line(bank.Of("a")), "0 0 0");
  EXPECT_EQ(bank.batches.back().events_size(), 5) << "two accounts opened, three changes";
}

TEST(ApplyEventsTest, I7ARepetitionIsARepetitionEvenWhenTheAccountCouldNotBearItAnyMore) {
  Bank bank;
  bank.Credit("a", 10);
  const v1::Event down = MakeEvent("d", "a", 10, kDown);
  EXPECT_EQ(bank.Apply({down}).applied(), 1u);
  const v1::EventsApplied again = bank.Apply({down});
  EXPECT_EQ(again.duplicates_size(), 1);
  EXPECT_EQ(bank.batches.back().events_size(), 0);
}

TEST(LedgerDeathTest, BrokenSumsStopTheProcess) {
  Bank bank;
  bank.Credit("a", 10);
  ledger::Ledger fresh;
  EXPECT_DEATH(fresh.Restore("x", AddressOf(1), {.available = 2, .credited = 1}), "I2");
  EXPECT_DEATH(fresh.Apply(0, ledger::Change::kCredit, 1), "out of range");
  fresh.Open("y", AddressOf(1));
  EXPECT_DEATH(fresh.Open("y", AddressOf(2)), "I1");
  EXPECT_DEATH(fresh.Reserve(0, 1), "I2");
  EXPECT_DEATH(fresh.Pay(0, 1, 2), "I3");
  EXPECT_DEATH(fresh.Unpay(0, 0, 1), "I3");
}

TEST(EventIdsTest, ASnapshotChunkIsWholeAndWithoutRepetition) {
  ledger::EventIds ids;
  EXPECT_EQ(ids.Chunks(1), 0u);
  ids.Insert({1, 2}, 3);
  ids.Insert({4, 5}, 6);
  ids.Insert({uint64_t{3} << 62, 5}, 6);
  EXPECT_EQ(ids.Chunks(100), 1u);
  std::string all = ids.Chunk(0, 1, false);
  EXPECT_EQ(all.size(), 3 * ledger::EventIds::kBytesPerId);
  ASSERT_EQ(ids.Chunks(1), 2u);
  EXPECT_EQ(ids.Chunk(0, 2, false).size(), 2 * ledger::EventIds::kBytesPerId);
  EXPECT_EQ(ids.Chunk(1, 2, false).size(), ledger::EventIds::kBytesPerId);
  ledger::EventIds again;
  ASSERT_TRUE(again.RestoreChunk(all).ok());
  EXPECT_EQ(again.Find({4, 5}), 6u);
  EXPECT_EQ(again.Find({4, 6}), std::nullopt);
  EXPECT_FALSE(again.RestoreChunk(all).ok()) << "an id that comes twice";
  EXPECT_FALSE(ledger::EventIds().RestoreChunk(all.substr(1)).ok()) << "half an id";
}

// One of a thousand parts in pieces: what a chunk has must fit a frame, however many ids there are.
TEST(EventIdsTest, AChunkMayBeLessThanAPart) {
  ledger::EventIds ids;
  for (uint64_t i = 0; i < 64; ++i) ids.Insert({i << 48, i}, i);  // all in the first parts
  ids.BeginMoment();
  ids.Insert({uint64_t{63} << 48, 1000}, 1);
  ledger::EventIds again;
  for (uint32_t i = 0; i < 1u << 16; ++i) {
    const std::string chunk = ids.Chunk(i, 1u << 16, true);
    ASSERT_EQ(chunk.size(), i < 64 ? ledger::EventIds::kBytesPerId : 0) << i;
    ASSERT_TRUE(again.RestoreChunk(chunk).ok());
    ids.ForgetMoment(i + 1, 1u << 16);
  }
  EXPECT_EQ(again.size(), 64u);
}

TEST(EventIdsTest, AMomentLeavesOutWhatCameSince) {
  ledger::EventIds ids;
  ids.Insert({1, 2}, 3);
  ids.BeginMoment();
  ids.Insert({4, 5}, 6);
  EXPECT_EQ(ids.Chunk(0, 1, true).size(), ledger::EventIds::kBytesPerId);
  EXPECT_EQ(ids.Chunk(0, 1, false).size(), 2 * ledger::EventIds::kBytesPerId);
  ids.ForgetMoment(1, 2);
  EXPECT_DEATH((void)ids.Chunk(0, 2, true), "another moment");
  EXPECT_EQ(ids.Chunk(1, 2, true), "");
  ids.EndMoment();
  EXPECT_DEATH((void)ids.Chunk(0, 1, true), "another moment");
  EXPECT_EQ(ids.size(), 2u);
}

TEST(EventIdsTest, FingerprintsDependOnTheKeyAndKeepIdAndContentApart) {
  ledger::Fingerprinter one(Bytes32(1));
  ledger::Fingerprinter two(Bytes32(2));
  EXPECT_EQ(one.OfId("x"), one.OfId("x"));
  EXPECT_FALSE(one.OfId("x") == two.OfId("x"));
  EXPECT_NE(one.OfId("x").high, one.OfContent("x"));
}

}  // namespace
}  // namespace coffer::test
