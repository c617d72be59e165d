#include "enclave_core/policy/velocity.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "tests/unit/policy/samples.h"

namespace coffer::policy {
namespace {

ethereum::Hash KeyNumber(uint64_t n) { return ethereum::Keccak256(absl::StrCat("key ", n)); }

Spend Pay(uint64_t key, Wei amount, const ethereum::Address& to = kPayee) {
  return {to, amount, KeyNumber(key)};
}

Policy Limits(Wei total, Wei recipient, uint32_t signatures, uint64_t window = 100) {
  Policy p = FullPolicy();
  p.velocity_window = window;
  p.velocity_total = total;
  p.velocity_recipient = recipient;
  p.velocity_signatures = signatures;
  return p;
}

TEST(VelocityTest, TheWindowsEdges) {
  const Policy policy = Limits(100, kNoLimit, 10);
  Velocity velocity;
  velocity.Add(policy, 1000, {{Pay(1, 60)}});
  EXPECT_TRUE(velocity.Check(policy, 1000, {{Pay(2, 40)}}).ok());
  ExpectRefused(velocity.Check(policy, 1000, {{Pay(2, 41)}}), "velocity_total",
                {"100", "60", "41", "in 100 seconds, at the Unix time 1100"});
  ExpectRefused(velocity.Check(policy, 1099, {{Pay(2, 41)}}), "velocity_total",
                {"in 1 seconds, at the Unix time 1100"});
  EXPECT_TRUE(velocity.Check(policy, 1100, {{Pay(2, 100)}}).ok());
  ExpectRefused(velocity.Check(policy, 1100, {{Pay(2, 101)}}), "velocity_total", {"100", "101"});
  // A clock that goes back is held where it was.
  ExpectRefused(velocity.Check(policy, 5, {{Pay(2, 41)}}), "velocity_total", {"Unix time 1100"});
}

TEST(VelocityTest, RoomComesWhenEnoughHasLeft) {
  const Policy policy = Limits(100, kNoLimit, 10);
  Velocity velocity;
  velocity.Add(policy, 1000, {{Pay(1, 30)}});
  velocity.Add(policy, 1010, {{Pay(2, 30)}});
  velocity.Add(policy, 1020, {{Pay(3, 40)}});
  ExpectRefused(velocity.Check(policy, 1030, {{Pay(4, 31)}}), "velocity_total", {"Unix time 1110"});
  EXPECT_FALSE(velocity.Check(policy, 1109, {{Pay(4, 31)}}).ok());
  EXPECT_TRUE(velocity.Check(policy, 1110, {{Pay(4, 31)}}).ok());
}

TEST(VelocityTest, ARecipientsSum) {
  const Policy policy = Limits(kNoLimit, 50, 10);
  Velocity velocity;
  velocity.Add(policy, 1000, {{Pay(1, 30), Pay(2, 49, kOther)}});
  EXPECT_TRUE(velocity.Check(policy, 1050, {{Pay(3, 20), Pay(4, 1, kOther)}}).ok());
  ExpectRefused(velocity.Check(policy, 1050, {{Pay(3, 10), Pay(4, 11)}}), "velocity_recipient",
                {"50", "30", "21", ToChecksum(kPayee), "Unix time 1100"});
  ExpectRefused(velocity.Check(policy, 1050, {{Pay(3, 20), Pay(4, 2, kOther)}}),
                "velocity_recipient", {"50", "49", "2", ToChecksum(kOther)});
  ExpectRefused(velocity.Check(policy, 1050, {{Pay(3, 51, kStranger)}}), "velocity_recipient",
                {"50", "51", "by itself"});
  EXPECT_TRUE(velocity.Check(policy, 1100, {{Pay(3, 50)}}).ok());
}

TEST(VelocityTest, CountsSignaturesAlsoThoseThatPayNobody) {
  const Policy policy = Limits(kNoLimit, kNoLimit, 2);
  Velocity velocity;
  velocity.Add(policy, 1000, {});
  EXPECT_TRUE(velocity.Check(policy, 1001, {}).ok());
  velocity.Add(policy, 1001, {});
  ExpectRefused(velocity.Check(policy, 1001, {}), "velocity_signatures",
                {"is 2", "were 2", "Unix time 1100"});
  EXPECT_TRUE(velocity.Check(policy, 1100, {}).ok());
  // A limit that was lowered since.
  ExpectRefused(velocity.Check(Limits(1, 1, 1), 1002, {}), "velocity_signatures",
                {"Unix time 1101"});
}

TEST(VelocityTest, TheSameKeyWeighsOnceInAWindow) {
  const Policy policy = Limits(100, 100, 10);
  Velocity velocity;
  velocity.Add(policy, 1000, {{Pay(1, 100)}});
  EXPECT_TRUE(velocity.Check(policy, 1050, {{Pay(1, 100)}}).ok());
  velocity.Add(policy, 1050, {{Pay(1, 100)}});
  EXPECT_EQ(velocity.entries(), 2u);
  EXPECT_FALSE(velocity.Check(policy, 1099, {{Pay(2, 1)}}).ok());
  EXPECT_TRUE(velocity.Check(policy, 1100, {{Pay(2, 100)}}).ok());
  // It was counted at 1000 and not again at 1050, so that it is new now.
  EXPECT_FALSE(velocity.Check(policy, 1100, {{Pay(1, 100), Pay(2, 1)}}).ok());
  // Twice in one request is once, too.
  EXPECT_TRUE(velocity.Check(policy, 1200, {{Pay(1, 100), Pay(1, 100)}}).ok());
}

TEST(VelocityTest, AClockThatStandsStillLetsNothingExpire) {
  const Policy policy = Limits(10, kNoLimit, 1000);
  Velocity velocity;
  for (uint64_t i = 0; i < 10; ++i) {
    ASSERT_TRUE(velocity.Check(policy, 7, {{Pay(i, 1)}}).ok());
    velocity.Add(policy, 7, {{Pay(i, 1)}});
  }
  EXPECT_FALSE(velocity.Check(policy, 7, {{Pay(10, 1)}}).ok());
}

TEST(VelocityTest, NothingIsKeptWithoutAWindow) {
  Velocity velocity;
  velocity.Add(Limits(10, 10, 1), 7, {{Pay(1, 10)}});
  const Policy off = Limits(10, 10, 1, 0);
  EXPECT_TRUE(velocity.Check(off, 8, {{Pay(2, kNoLimit)}}).ok());
  velocity.Add(off, 8, {{Pay(2, kNoLimit)}});
  EXPECT_EQ(velocity.entries(), 0u);
  EXPECT_TRUE(velocity.Check(Limits(10, 10, 1), 9, {{Pay(3, 10)}}).ok());
}

TEST(VelocityTest, AShorterWindowForgetsAtOnceWhenTrimmed) {
  Velocity velocity;
  velocity.Add(Limits(100, 100, 10), 1000, {{Pay(1, 100)}});
  velocity.Trim(Limits(100, 100, 10, 10), 1010);
  EXPECT_EQ(velocity.entries(), 0u);
  EXPECT_TRUE(velocity.Check(Limits(100, 100, 10), 1010, {{Pay(2, 100)}}).ok());
}

TEST(VelocityTest, AmountsThatWouldWrap) {
  const Policy policy = Limits(kNoLimit, kNoLimit, 10);
  Velocity velocity;
  EXPECT_TRUE(velocity.Check(policy, 1, {{Pay(1, kNoLimit)}}).ok());
  ExpectRefused(velocity.Check(policy, 1, {{Pay(1, kNoLimit), Pay(2, kNoLimit), Pay(3, 2)}}),
                "velocity_total", {});
  velocity.Add(policy, 1, {{Pay(1, kNoLimit)}});
  ExpectRefused(velocity.Check(policy, 1, {{Pay(2, 1)}}), "velocity_total", {});
  EXPECT_TRUE(velocity.Check(policy, 1, {{Pay(2, 0)}}).ok());
}

TEST(VelocityTest, RemembersABoundedNumberOfPayments) {
  const Policy policy = Limits(kNoLimit, kNoLimit, 100'000);
  Velocity velocity;
  std::vector<Spend> spends;
  for (uint64_t n = 0; n < Velocity::kMaxSpends;) {
    spends.clear();
    for (int i = 0; i < 10'000; ++i) {
      Spend& spend = spends.emplace_back(Spend{kPayee, 1, {}});
      ++n;
      for (size_t byte = 0; byte < 8; ++byte) {
        spend.key.bytes[byte] = static_cast<uint8_t>(n >> (8 * byte));
      }
    }
    velocity.Add(policy, 1000, spends);
  }
  ExpectRefused(velocity.Check(policy, 1000, {{Pay(1, 1)}}), "velocity_signatures",
                {"1000000", "Unix time 1100"});
  EXPECT_TRUE(velocity.Check(policy, 1000, {spends}).ok());  // all of them are counted already
  EXPECT_TRUE(velocity.Check(policy, 1100, {{Pay(1, 1)}}).ok());
}

// The same rules, word by word and slow: every list is walked from its beginning.
class Model {
 public:
  bool Allows(const Policy& p, uint64_t now, const std::vector<Spend>& spends) const {
    std::map<ethereum::Hash, Spend> counted;
    uint64_t signatures = 0;
    Wei total = 0;
    std::map<ethereum::Address, Wei> sums;
    for (const auto& [time, list] : log_) {
      if (now - time >= p.velocity_window) continue;
      ++signatures;
      for (const Spend& spend : list) Count(spend, &counted, &total, &sums);
    }
    const Wei before = total;
    std::map<ethereum::Address, Wei> asked = sums;
    bool fits = signatures + 1 <= p.velocity_signatures;
    for (const Spend& spend : spends) Count(spend, &counted, &total, &asked);
    fits = fits && (total == before ? before <= p.velocity_total : total <= p.velocity_total);
    for (const auto& [who, sum] : asked) fits = fits && sum <= p.velocity_recipient;
    return fits;
  }
  void Add(const Policy& p, uint64_t now, const std::vector<Spend>& spends) {
    std::vector<Spend> fresh;
    for (const Spend& spend : spends) {
      bool known = false;
      for (const auto& [time, list] : log_) {
        if (now - time >= p.velocity_window) continue;
        for (const Spend& old : list) known = known || old.key == spend.key;
      }
      for (const Spend& old : fresh) known = known || old.key == spend.key;
      if (!known) fresh.push_back(spend);
    }
    log_.emplace_back(now, fresh);
  }

 private:
  static void Count(const Spend& spend, std::map<ethereum::Hash, Spend>* counted, Wei* total,
                    std::map<ethereum::Address, Wei>* sums) {
    if (!counted->emplace(spend.key, spend).second) return;
    *total += spend.amount;
    (*sums)[spend.recipient] += spend.amount;
  }
  std::vector<std::pair<uint64_t, std::vector<Spend>>> log_;
};

Velocity Restored(const Policy& policy, const Velocity& from) {
  Velocity out;
  from.ForEach([&](const Velocity::Entry& e) { out.Add(policy, e.time, e.spends); });
  return out;
}

TEST(VelocityTest, AgreesWithANaiveModelAndSurvivesRestores) {
  std::mt19937_64 random(TestSeed());
  const auto below = [&](uint64_t n) { return random() % n; };
  int allowed = 0;
  int refused = 0;
  for (int round = 0; round < 20; ++round) {
    const Policy policy = Limits(200 + below(400), 100 + below(300),
                                 static_cast<uint32_t>(3 + below(12)), 1 + below(60));
    Velocity velocity;
    Model model;
    uint64_t now = 1'000'000;
    for (int step = 0; step < 400; ++step) {
      now += below(3) == 0 ? below(20) : 0;
      std::vector<Spend> spends;
      for (uint64_t n = below(4); n > 0; --n) {
        const uint64_t key = below(60);
        spends.push_back(Pay(key, key * 3 % 70, Filled(static_cast<uint8_t>(1 + key % 5))));
      }
      const absl::Status status = velocity.Check(policy, now, spends);
      ASSERT_EQ(status.ok(), model.Allows(policy, now, spends))
          << "round " << round << " step " << step << ": " << status;
      const Velocity copy = Restored(policy, velocity);
      ASSERT_EQ(copy.entries(), velocity.entries());
      ASSERT_EQ(copy.Check(policy, now, spends), status);
      (status.ok() ? allowed : refused) += 1;
      if (!status.ok()) continue;
      velocity.Add(policy, now, spends);
      model.Add(policy, now, spends);
      if (below(10) == 0) velocity = Restored(policy, velocity);
    }
  }
  EXPECT_GT(allowed, 500);
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace coffer::policy
