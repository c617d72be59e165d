// Accounts as bytes: what is written is read back, and what is cut off is refused.
#include "enclave_core/ledger/account_line.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using ledger::Ledger;

std::string LinesOf(const Ledger& ledger) {
  std::string lines;
  for (uint64_t i = 0; i < ledger.size(); ++i) {
    ledger::AppendAccountLine(ledger.at(i), ledger.at(i).balances, &lines);
  }
  return lines;
}

TEST(AccountLineTest, IsTheBytesThatTheHeaderNames) {
  Ledger ledger;
  ledger.Open("ab", AddressOf(7));
  ledger.Apply(0, ledger::Change::kCredit, 0x0102);
  const std::string amount = "\x02\x01\x02";
  const std::string none(1, '\0');
  EXPECT_EQ(LinesOf(ledger),
            "\x02"
            "ab" +
                std::string(AddressOf(7).view()) + amount + none + amount + none + none + none);
}

TEST(AccountLineTest, WhatIsWrittenIsReadBack) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937_64 random(seed);
  Ledger ledger;
  const size_t count = 1000 + random() % 1000;  // several blocks, several chunks of ids
  for (size_t i = 0; i < count; ++i) {
    std::string id = absl::StrCat(i, ".");
    id.append(random() % (Ledger::kMaxIdBytes - id.size() + 1), static_cast<char>(random()));
    ledger.Open(id, AddressOf(static_cast<uint8_t>(random())));
    const Wei credit = (Wei(random() % 1000) << 64) + random() + 3;
    ledger.Apply(i, ledger::Change::kCredit, credit);
    ledger.Apply(i, ledger::Change::kAdjustUp, random() % 1000 + 1);
    ledger.Apply(i, ledger::Change::kAdjustDown, 2);
    ledger.Reserve(i, 1 + random() % 2);
  }
  const std::string lines = LinesOf(ledger);
  Ledger again;
  again.ExpectAccounts(count);
  ASSERT_TRUE(ledger::RestoreAccountLines(lines, &again).ok());
  ASSERT_EQ(again.size(), count);
  EXPECT_EQ(again.totals(), ledger.totals());
  for (uint64_t i = 0; i < count; ++i) {
    ASSERT_EQ(again.at(i).id(), ledger.at(i).id());
    ASSERT_EQ(again.at(i).recipient, ledger.at(i).recipient);
    ASSERT_EQ(again.at(i).balances, ledger.at(i).balances);
    ASSERT_EQ(again.Find(ledger.at(i).id()), i);
  }
  EXPECT_EQ(again.Find("nobody"), std::nullopt);
}

TEST(AccountLineTest, WhatIsCutOffOrHasAWrongLengthIsRefused) {
  Ledger ledger;
  ledger.Open("ab", AddressOf(7));
  const std::string line = LinesOf(ledger);
  for (size_t size = 1; size < line.size(); ++size) {
    Ledger fresh;
    EXPECT_FALSE(ledger::RestoreAccountLines(line.substr(0, size), &fresh).ok()) << size;
    EXPECT_EQ(fresh.size(), 0u);
  }
  const std::string more(400, 'x');
  for (const char length : {'\0', '\x81', '\xff'}) {
    Ledger fresh;
    EXPECT_FALSE(ledger::RestoreAccountLines(length + line.substr(1) + more, &fresh).ok());
    EXPECT_EQ(fresh.size(), 0u);
  }
  std::string long_sum = line;
  long_sum[1 + 2 + 20] = 17;
  Ledger fresh;
  EXPECT_FALSE(ledger::RestoreAccountLines(long_sum + more, &fresh).ok());
  EXPECT_EQ(fresh.size(), 0u);
}

TEST(AccountLineDeathTest, AnAccountThatComesTwiceStopsTheProcess) {
  Ledger ledger;
  ledger.Open("ab", AddressOf(7));
  EXPECT_DEATH((void)ledger::RestoreAccountLines(LinesOf(ledger), &ledger), "I1");
}

}  // namespace
}  // namespace coffer::test
