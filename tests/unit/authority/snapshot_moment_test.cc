// A snapshot that is written a part at a time, while the state goes on changing, is of the moment
// at which it was begun.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/bank.h"

namespace coffer::test {
namespace {

using authority::Authority;

// A state whose accounts, payouts and ids take several parts each.
constexpr uint64_t kAccounts = 10'000;
constexpr uint64_t kEvents = 80'000;

class Large {
 public:
  Large() {
    while (next_ < kEvents) Credit(2000);
    for (int i = 0; i < 150; ++i) Pay();
  }
  // To one account after the other, the first ones new.
  void Credit(uint64_t count) {
    std::vector<v1::Event> events;
    for (uint64_t i = 0; i < count; ++i, ++next_) {
      events.push_back(
          MakeEvent(absl::StrCat("e", next_), absl::StrCat("a", next_ % accounts_), 1000));
    }
    const v1::EventsApplied answer = bank.Apply(events);
    COFFER_CHECK(answer.applied() == count, "credits of a test are applied");
    bank.batches.clear();
  }
  void OpenMore(uint64_t count) {
    accounts_ += count;
    next_ = (next_ / accounts_ + 1) * accounts_ - count;  // the next credits are to new ones
    Credit(count);
  }
  void Pay() {
    std::vector<Ask> asks;
    for (int i = 0; i < 10; ++i) asks.push_back({absl::StrCat("a", paid_++ % accounts_), 1});
    COFFER_CHECK(bank.Pay(asks).ok(), "a payout of a test is made");
    bank.batches.clear();
  }

  Bank bank;

 private:
  uint64_t next_ = 0;
  uint64_t accounts_ = kAccounts;
  uint64_t paid_ = 0;
};

std::vector<std::string> Restored(const std::vector<std::string>& parts) {
  Authority state;
  for (const std::string& bytes : parts) {
    sealed::v1::SnapshotPart part;
    COFFER_CHECK(part.ParseFromString(bytes), "a part is its bytes");
    COFFER_CHECK(state.RestorePart(part).ok(), "a part that was written can be read");
  }
  COFFER_CHECK(state.FinishRestore().ok(), "all of its parts are a snapshot");
  return SnapshotBytes(state);
}

TEST(SnapshotMomentTest, IsOfTheMomentWhateverComesInBetween) {
  Large large;
  Authority& state = large.bank.state;
  const std::vector<std::string> then = SnapshotBytes(state);
  const uint32_t count = state.BeginSnapshot();
  ASSERT_GE(count, 1u + 3 + 2 + 2);
  std::vector<std::string> parts;
  while (parts.size() < count) {
    parts.push_back(state.NextSnapshotPart().SerializeAsString());
    EXPECT_LT(parts.back().size(), 3u << 20);
    large.Credit(3000);
    large.OpenMore(10);
    large.Pay();
    // Whoever asks for the state as it is gets it as it is.
    if (parts.size() == 3) {
      EXPECT_EQ(SnapshotBytes(test::Restored(state)), SnapshotBytes(state));
    }
  }
  EXPECT_DEATH((void)state.NextSnapshotPart(), "no more parts");
  state.EndSnapshot();
  EXPECT_EQ(Restored(parts), then);
  EXPECT_NE(SnapshotBytes(state), then);
}

TEST(SnapshotMomentTest, AnotherOneTakesThePlaceOfTheOneUnderWay) {
  Large large;
  Authority& state = large.bank.state;
  state.BeginSnapshot();
  (void)state.NextSnapshotPart();
  (void)state.NextSnapshotPart();
  large.Credit(3000);
  const std::vector<std::string> then = SnapshotBytes(state);
  const uint32_t count = state.BeginSnapshot();
  std::vector<std::string> parts;
  while (parts.size() < count) {
    large.Credit(500);
    parts.push_back(state.NextSnapshotPart().SerializeAsString());
  }
  state.EndSnapshot();
  EXPECT_EQ(Restored(parts), then);
  EXPECT_DEATH((void)state.NextSnapshotPart(), "no snapshot");
}

// A state without accounts, payouts or events is its head.
TEST(SnapshotMomentTest, OfAStateThatWasJustFounded) {
  Bank bank;
  const std::vector<std::string> then = SnapshotBytes(bank.state);
  ASSERT_EQ(bank.state.BeginSnapshot(), 1u);
  bank.Credit("a", 5);
  EXPECT_EQ(Restored({bank.state.NextSnapshotPart().SerializeAsString()}), then);
}

}  // namespace
}  // namespace coffer::test
