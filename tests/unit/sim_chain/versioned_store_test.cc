#include "tests/sim/chain/versioned_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <map>
#include <vector>

#include "runtime/random.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;

TEST(VersionedStore, RemembersWhatWasTrueAtEveryBlock) {
  VersionedStore store;
  store.OpenBlock(5);
  store.Set(F::kRound, 1);
  store.OpenBlock(9);
  store.Set(F::kRound, 2);
  store.Set(F::kRound, 3);
  EXPECT_EQ(store.Get(F::kRound), 3);
  EXPECT_EQ(store.GetAt(F::kRound, 4), 0);
  EXPECT_EQ(store.GetAt(F::kRound, 8), 1);
  EXPECT_EQ(store.GetAt(F::kRound, 9), 3);
  store.RollBack(8);
  EXPECT_EQ(store.Get(F::kRound), 1);
}

TEST(VersionedStore, TellsKeysOfOneMappingApart) {
  VersionedStore store;
  const Address one = *Address::FromHex("0x0000000000000000000000000000000000000001");
  const Address two = *Address::FromHex("0x0000000000000000000000000000000000000002");
  store.Set({F::kClaimedByAddress, one, 1, two}, 7);
  EXPECT_EQ(store.Get({F::kClaimedByAddress, one, 1, two}), 7);
  EXPECT_EQ(store.Get({F::kClaimedByAddress, one, 2, two}), 0);
  EXPECT_EQ(store.Get({F::kClaimedByAddress, two, 1, two}), 0);
  EXPECT_EQ(store.Get({F::kClaimedByAddress, one, 1, one}), 0);
}

// Against whole copies of the state, one for each block.
TEST(VersionedStore, IsAsGoodAsACopyForEachBlock) {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed = given != nullptr ? std::strtoull(given, nullptr, 10) : 20260101;
  SCOPED_TRACE("COFFER_TEST_SEED=" + std::to_string(seed));
  runtime::SeededRandom random(seed);
  VersionedStore store;
  using State = std::map<uint64_t, uint64_t>;
  std::vector<State> copies(1);
  const auto set = [&](State& state) {
    const uint64_t key = random.Below(10);
    const uint64_t value = random.Below(1000);
    state[key] = value;
    store.Set({F::kDeposit, key}, value);
  };
  for (int step = 0; step < 3000; ++step) {
    if (random.Below(10) == 0 && copies.size() > 1) {
      copies.resize(copies.size() - 1 - random.Below(std::min<size_t>(copies.size() - 1, 5)));
      store.RollBack(copies.size() - 1);
    } else {
      store.OpenBlock(copies.size());
      State state = copies.back();
      for (uint64_t i = random.Below(4); i > 0; --i) set(state);
      const size_t mark = store.Mark();
      State undone = state;
      for (uint64_t i = random.Below(4); i > 0; --i) set(undone);
      store.RevertTo(mark);
      copies.push_back(std::move(state));
    }
    const size_t block = random.Below(copies.size());
    for (uint64_t key = 0; key < 10; ++key) {
      ASSERT_EQ(store.GetAt({F::kDeposit, key}, block), copies[block][key]) << "step " << step;
      ASSERT_EQ(store.Get({F::kDeposit, key}), copies.back()[key]) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace coffer::sim::chain
