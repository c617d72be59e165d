#include "enclave_core/audit/tree.h"

#include <gtest/gtest.h>

#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

Hash FromText(const char* hex) { return Hash::FromHex(hex).value(); }

// The test tree of the Certificate Transparency project, known from every implementation of RFC
// 6962: eight entries, the root of each prefix, and some proofs.
const std::vector<std::string>& Entries() {
  static const auto* const kEntries = [] {
    auto* out = new std::vector<std::string>;
    for (const char* hex : {"", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                            "606162636465666768696a6b6c6d6e6f"}) {
      out->push_back(ethereum::FromHex(hex).value());
    }
    return out;
  }();
  return *kEntries;
}

constexpr const char* kRoots[] = {
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
};

Hashes LeafHashes() {
  Hashes out;
  for (const std::string& entry : Entries()) out.push_back(LeafHash(entry));
  return out;
}

Hashes FromTexts(const std::vector<const char*>& hex) {
  Hashes out;
  for (const char* text : hex) out.push_back(FromText(text));
  return out;
}

TEST(Tree, PublishedRoots) {
  EXPECT_EQ(EmptyRoot(), FromText(kRoots[0]));
  Tree tree;
  EXPECT_EQ(tree.Root(), EmptyRoot());
  for (size_t i = 0; i < Entries().size(); ++i) {
    tree.Append(LeafHash(Entries()[i]));
    EXPECT_EQ(tree.size(), i + 1);
    EXPECT_EQ(tree.Root(), FromText(kRoots[i + 1])) << i;
  }
}

TEST(Proof, PublishedInclusionProofs) {
  const struct {
    uint64_t index;
    uint64_t size;
    std::vector<const char*> proof;
  } kCases[] = {
      {0, 1, {}},
      {0,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {5,
       8,
       {"bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2, 3, {"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"}},
      {1,
       5,
       {"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
  };
  const Hashes leaves = LeafHashes();
  for (const auto& test : kCases) {
    const auto read = [&](uint32_t level, uint64_t index) {
      return NaiveRead(leaves, test.size, level, index);
    };
    const absl::StatusOr<Proof> proof = BuildInclusion(test.index, test.size, read);
    ASSERT_TRUE(proof.ok()) << proof.status();
    EXPECT_EQ(*proof, FromTexts(test.proof)) << test.index << " in " << test.size;
    EXPECT_TRUE(VerifyInclusion(test.index, test.size, leaves[test.index], FromTexts(test.proof),
                                FromText(kRoots[test.size]))
                    .ok());
  }
}

TEST(Proof, PublishedConsistencyProofs) {
  const struct {
    uint64_t first;
    uint64_t second;
    std::vector<const char*> proof;
  } kCases[] = {
      {1, 1, {}},
      {1,
       8,
       {"96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"}},
      {6,
       8,
       {"0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"}},
      {2,
       5,
       {"5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"}},
  };
  const Hashes leaves = LeafHashes();
  for (const auto& test : kCases) {
    const auto read = [&](uint32_t level, uint64_t index) {
      return NaiveRead(leaves, test.second, level, index);
    };
    const absl::StatusOr<Proof> proof = BuildConsistency(test.first, test.second, read);
    ASSERT_TRUE(proof.ok()) << proof.status();
    EXPECT_EQ(*proof, FromTexts(test.proof)) << test.first << " to " << test.second;
    EXPECT_TRUE(VerifyConsistency(test.first, test.second, FromText(kRoots[test.first]),
                                  FromText(kRoots[test.second]), FromTexts(test.proof))
                    .ok());
  }
}

TEST(Tree, IsTheRecursiveDefinitionAtEverySize) {
  std::mt19937_64 random(TestSeed());
  Hashes leaves;
  Tree tree;
  for (size_t size = 0; size <= 300; ++size) {
    ASSERT_EQ(tree.Root(), NaiveRoot(leaves, 0, size)) << size;
    leaves.push_back(RandomHash(random));
    tree.Append(leaves.back());
  }
}

TEST(Tree, GoesOnAfterItWasStored) {
  std::mt19937_64 random(TestSeed());
  Tree tree;
  for (int i = 0; i < 300; ++i) {
    const std::string stored = tree.Serialize();
    EXPECT_LE(stored.size(), 12u + 64 * 32);
    absl::StatusOr<Tree> parsed = Tree::Parse(stored);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(*parsed, tree);
    const Hash next = RandomHash(random);
    tree.Append(next);
    parsed->Append(next);
    ASSERT_EQ(parsed->Root(), tree.Root());
  }
}

TEST(Tree, GoldenState) {
  Tree tree;
  for (int i = 0; i < 3; ++i) tree.Append(LeafHash(Entries()[static_cast<size_t>(i)]));
  EXPECT_EQ(ethereum::ToHex(tree.Serialize()),
            "0x43465431"
            "0000000000000003"
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
            "0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7");
}

TEST(Tree, RefusesOtherBytes) {
  Tree tree;
  for (int i = 0; i < 5; ++i) tree.Append(Hash());
  const std::string stored = tree.Serialize();
  for (size_t size = 0; size < stored.size(); ++size) {
    EXPECT_FALSE(Tree::Parse(stored.substr(0, size)).ok()) << size;
  }
  EXPECT_FALSE(Tree::Parse(stored + "x").ok());
  std::string changed = stored;
  changed[11] = 6;  // as many subtrees, another size: parses, and is another tree
  EXPECT_NE(Tree::Parse(changed).value(), tree);
  changed[11] = 4;
  EXPECT_FALSE(Tree::Parse(changed).ok());
  changed[0] = 'X';
  EXPECT_FALSE(Tree::Parse(changed).ok());
  changed = stored;
  changed[4] = '\x80';
  EXPECT_FALSE(Tree::Parse(changed).ok());
}

}  // namespace
}  // namespace coffer::audit
