#include "enclave_core/audit/proof.h"

#include <gtest/gtest.h>

#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

Hashes RandomLeaves(size_t count, std::mt19937_64& random) {
  Hashes leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back(RandomHash(random));
  return leaves;
}

TEST(Proof, IsTheRecursiveDefinitionForEveryLeafAndSize) {
  std::mt19937_64 random(TestSeed());
  const Hashes leaves = RandomLeaves(200, random);
  for (size_t size = 1; size <= leaves.size(); size += 1 + size / 40) {
    const auto read = [&](uint32_t level, uint64_t index) {
      return NaiveRead(leaves, size, level, index);
    };
    const Hash root = NaiveRoot(leaves, 0, size);
    ASSERT_EQ(RootFromHashes(size, read).value(), root);
    for (size_t index = 0; index < size; ++index) {
      const Proof proof = BuildInclusion(index, size, read).value();
      ASSERT_EQ(proof, NaivePath(index, leaves, 0, size)) << index << " in " << size;
      ASSERT_TRUE(VerifyInclusion(index, size, leaves[index], proof, root).ok());
    }
  }
}

TEST(Proof, IsTheRecursiveDefinitionForEveryPairOfSizes) {
  std::mt19937_64 random(TestSeed());
  const Hashes leaves = RandomLeaves(130, random);
  Hashes roots;
  for (size_t size = 0; size <= leaves.size(); ++size) {
    roots.push_back(NaiveRoot(leaves, 0, size));
  }
  for (size_t second = 1; second <= leaves.size(); ++second) {
    const auto read = [&](uint32_t level, uint64_t index) {
      return NaiveRead(leaves, second, level, index);
    };
    for (size_t first = 1; first <= second; ++first) {
      const Proof proof = BuildConsistency(first, second, read).value();
      ASSERT_EQ(proof, NaiveConsistency(first, leaves, 0, second, true)) << first << " " << second;
      ASSERT_TRUE(VerifyConsistency(first, second, roots[first], roots[second], proof).ok());
    }
  }
}

// Calls `check` with every proof that differs from this one by a bit, a hash more or less, or
// order.
void ForEachMutation(const Proof& proof, std::mt19937_64& random,
                     const std::function<void(const Proof&)>& check) {
  for (size_t i = 0; i < proof.size(); ++i) {
    Proof changed = proof;
    changed[i].bytes[random() % 32] ^= static_cast<uint8_t>(1 << random() % 8);
    check(changed);
    changed = proof;
    changed.erase(changed.begin() + static_cast<ptrdiff_t>(i));
    check(changed);
    if (i > 0) {
      changed = proof;
      std::swap(changed[i], changed[i - 1]);
      check(changed);
    }
  }
  for (size_t i = 0; i <= proof.size(); ++i) {
    Proof changed = proof;
    changed.insert(changed.begin() + static_cast<ptrdiff_t>(i), RandomHash(random));
    check(changed);
    if (!proof.empty()) {
      changed = proof;
      changed.insert(changed.begin() + static_cast<ptrdiff_t>(i), proof[i % proof.size()]);
      check(changed);
    }
  }
}

TEST(Proof, EveryMutationOfAnInclusionProofIsRefused) {
  std::mt19937_64 random(TestSeed());
  const Hashes leaves = RandomLeaves(70, random);
  for (const size_t size : {1u, 2u, 3u, 5u, 7u, 8u, 31u, 64u, 70u}) {
    const Hash root = NaiveRoot(leaves, 0, size);
    for (size_t index = 0; index < size; ++index) {
      const Proof proof = NaivePath(index, leaves, 0, size);
      ForEachMutation(proof, random, [&](const Proof& changed) {
        EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], changed, root).ok())
            << index << " in " << size;
      });
      for (size_t other = 0; other < size + 2; ++other) {
        if (other == index) continue;
        EXPECT_FALSE(VerifyInclusion(other, size, leaves[index], proof, root).ok());
      }
      EXPECT_FALSE(VerifyInclusion(index, size, RandomHash(random), proof, root).ok());
      EXPECT_FALSE(VerifyInclusion(index, size, leaves[index], proof, RandomHash(random)).ok());
    }
  }
}

TEST(Proof, EveryMutationOfAConsistencyProofIsRefused) {
  std::mt19937_64 random(TestSeed());
  const Hashes leaves = RandomLeaves(40, random);
  for (size_t second = 1; second <= leaves.size(); ++second) {
    const Hash new_root = NaiveRoot(leaves, 0, second);
    for (size_t first = 1; first <= second; ++first) {
      const Hash old_root = NaiveRoot(leaves, 0, first);
      const Proof proof = NaiveConsistency(first, leaves, 0, second, true);
      const auto verify = [&](const Hash& from, const Hash& to, const Proof& with) {
        return VerifyConsistency(first, second, from, to, with).ok();
      };
      ASSERT_TRUE(verify(old_root, new_root, proof));
      ForEachMutation(proof, random, [&](const Proof& changed) {
        EXPECT_FALSE(verify(old_root, new_root, changed)) << first << " to " << second;
      });
      EXPECT_FALSE(verify(RandomHash(random), new_root, proof));
      EXPECT_FALSE(verify(old_root, RandomHash(random), proof));
      if (first != second) {
        EXPECT_FALSE(VerifyConsistency(second, first, new_root, old_root, proof).ok());
        EXPECT_FALSE(verify(new_root, old_root, proof));
      }
    }
  }
}

TEST(Proof, AnotherHistoryIsRefused) {
  std::mt19937_64 random(TestSeed());
  Hashes leaves = RandomLeaves(100, random);
  const Hash old_root = NaiveRoot(leaves, 0, 60);
  leaves[59] = RandomHash(random);  // rewritten
  const Hash new_root = NaiveRoot(leaves, 0, 100);
  const Proof proof = NaiveConsistency(60, leaves, 0, 100, true);
  const absl::Status status = VerifyConsistency(60, 100, old_root, new_root, proof);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(std::string(status.message()).find("two histories"), std::string::npos);
}

TEST(Proof, NumbersThatMakeNoProof) {
  const auto read = [](uint32_t, uint64_t) -> absl::StatusOr<Hash> { return Hash(); };
  EXPECT_FALSE(BuildInclusion(5, 5, read).ok());
  EXPECT_FALSE(BuildInclusion(0, 0, read).ok());
  EXPECT_FALSE(BuildInclusion(0, kMaxTreeSize + 1, read).ok());
  EXPECT_FALSE(BuildConsistency(0, 5, read).ok());
  EXPECT_FALSE(BuildConsistency(6, 5, read).ok());
  EXPECT_FALSE(RootFromHashes(kMaxTreeSize + 1, read).ok());
  EXPECT_FALSE(VerifyInclusion(0, UINT64_MAX, Hash(), {}, Hash()).ok());
  EXPECT_FALSE(VerifyConsistency(1, UINT64_MAX, Hash(), Hash(), {}).ok());
  EXPECT_TRUE(VerifyConsistency(0, 5, EmptyRoot(), Hash(), {}).ok());
  EXPECT_FALSE(VerifyConsistency(0, 5, Hash(), Hash(), {}).ok());
  EXPECT_FALSE(VerifyConsistency(0, 5, EmptyRoot(), Hash(), {Hash()}).ok());
}

TEST(Proof, ReadersErrorsComeThrough) {
  const auto read = [](uint32_t, uint64_t) -> absl::StatusOr<Hash> {
    return absl::UnavailableError("no disk");
  };
  EXPECT_TRUE(absl::IsUnavailable(BuildInclusion(3, 9, read).status()));
  EXPECT_TRUE(absl::IsUnavailable(BuildConsistency(3, 9, read).status()));
  EXPECT_TRUE(absl::IsUnavailable(RootFromHashes(9, read).status()));
}

// The largest tree there can be: lengths stay within 63 and few hashes are read.
TEST(Proof, ReadsLogarithmically) {
  int reads = 0;
  const auto read = [&](uint32_t, uint64_t) -> absl::StatusOr<Hash> {
    ++reads;
    return Hash();
  };
  for (const uint64_t index : {uint64_t{0}, kMaxTreeSize / 3, kMaxTreeSize - 1}) {
    reads = 0;
    EXPECT_LE(BuildInclusion(index, kMaxTreeSize, read).value().size(), kMaxProofHashes);
    EXPECT_LE(reads, 130);
    reads = 0;
    EXPECT_LE(BuildConsistency(index + 1, kMaxTreeSize, read).value().size(), kMaxProofHashes);
    EXPECT_LE(reads, 130);
  }
}

}  // namespace
}  // namespace coffer::audit
