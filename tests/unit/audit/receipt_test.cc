#include "enclave_core/audit/receipt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

using testing::HasSubstr;

NoteSigner WitnessSigner() { return SignerOf("w.example", KeyType::kCosignatureV1, 'w'); }

QuorumPolicy Policy() {
  return QuorumPolicy::Parse(absl::StrCat("log ", LogSigner().key().ToString(), "\nwitness w ",
                                          WitnessSigner().key().ToString(), "\nquorum w\n"))
      .value();
}

std::string LeafBytes(uint64_t sequence) {
  Leaf leaf;
  leaf.sequence = sequence;
  leaf.kind = LeafKind::kCredit;
  leaf.event_id = absl::StrCat("ev-", sequence);
  leaf.account = "alice";
  leaf.recipient = Address();
  leaf.balances = Balances{.delta = 10, .available = 10 * absl::uint128(sequence + 1)};
  std::string out;
  EXPECT_TRUE(AppendLeaf(leaf, &out).ok());
  return out;
}

Receipt ReceiptFor(uint64_t index, size_t size) {
  Hashes leaves;
  for (size_t i = 0; i < size; ++i) leaves.push_back(LeafHash(LeafBytes(i)));
  const Checkpoint head{"log.example", size, NaiveRoot(leaves, 0, size), {}};
  const std::string text = CheckpointText(head);
  Receipt receipt;
  receipt.leaf = LeafBytes(index);
  receipt.index = index;
  receipt.proof = NaivePath(index, leaves, 0, size);
  receipt.checkpoint =
      FormatNote({text, {LogSigner().Sign(text), Cosign(text, 1000, WitnessSigner())}});
  receipt.attestation = "sha256:00ff";
  return receipt;
}

// The names of the checks that failed.
std::vector<std::string> Failed(const Receipt& receipt) {
  const ReceiptReport report = VerifyReceipt(receipt, Policy());
  std::vector<std::string> out;
  EXPECT_EQ(report.checks.size(), 5u);
  for (const ReceiptCheck& check : report.checks) {
    EXPECT_FALSE(check.sentence.empty()) << check.name;
    if (!check.passed) out.push_back(check.name);
  }
  EXPECT_EQ(report.valid, out.empty());
  return out;
}

TEST(Receipt, ComesBackAndVerifies) {
  for (const size_t size : {1u, 2u, 7u, 100u}) {
    for (const size_t index : {size_t{0}, size / 2, size - 1}) {
      const Receipt receipt = ReceiptFor(index, size);
      const auto text = FormatReceipt(receipt);
      ASSERT_TRUE(text.ok()) << text.status();
      const auto parsed = ParseReceipt(*text);
      ASSERT_TRUE(parsed.ok()) << parsed.status();
      EXPECT_EQ(*parsed, receipt);
      EXPECT_THAT(Failed(*parsed), testing::IsEmpty());
    }
  }
}

TEST(Receipt, IsATransparencyLogProof) {
  const std::string text = FormatReceipt(ReceiptFor(2, 4)).value();
  EXPECT_THAT(text, testing::StartsWith("c2sp.org/tlog-proof@v1\nextra Y29mZmVyLXJlY2VpcHQ6djEK"));
  EXPECT_THAT(text, HasSubstr("\nindex 2\n"));
  EXPECT_THAT(text, HasSubstr("=\n\nlog.example\n4\n"));
}

TEST(Receipt, WhatTheReportHolds) {
  const ReceiptReport report = VerifyReceipt(ReceiptFor(3, 7), Policy());
  EXPECT_TRUE(report.valid);
  EXPECT_EQ(report.leaf->event_id, "ev-3");
  EXPECT_EQ(report.checkpoint->size, 7u);
}

TEST(Receipt, EachLieFailsItsCheck) {
  const Receipt good = ReceiptFor(3, 7);
  using Names = std::vector<std::string>;
  Receipt lie = good;
  lie.leaf = LeafBytes(4);
  EXPECT_EQ(Failed(lie), (Names{"index", "inclusion"}));
  lie = good;
  lie.leaf[20 + 1] ^= 1;  // another event id
  EXPECT_EQ(Failed(lie), Names{"inclusion"});
  lie = good;
  lie.leaf.push_back('x');
  EXPECT_EQ(Failed(lie), (Names{"leaf", "index", "inclusion"}));
  lie = good;
  lie.index = 4;
  EXPECT_EQ(Failed(lie), (Names{"index", "inclusion"}));
  lie = good;
  lie.proof[0].bytes[0] ^= 1;
  EXPECT_EQ(Failed(lie), Names{"inclusion"});
  lie = good;
  lie.proof.pop_back();
  EXPECT_EQ(Failed(lie), Names{"inclusion"});
  lie = good;
  lie.checkpoint = absl::StrReplaceAll(good.checkpoint, {{"\n7\n", "\n8\n"}});
  EXPECT_THAT(Failed(lie), testing::IsSupersetOf(Names{"log", "witnesses"}));
  lie = good;
  lie.checkpoint = good.checkpoint.substr(0, good.checkpoint.rfind("\u2014 w.example"));
  EXPECT_EQ(Failed(lie), Names{"witnesses"});
  lie = good;
  lie.checkpoint = "log.example\n";
  EXPECT_EQ(Failed(lie), (Names{"log", "inclusion", "witnesses"}));
  lie = good;
  lie.checkpoint = absl::StrReplaceAll(good.checkpoint, {{"log.example", "lug.example"}});
  EXPECT_EQ(Failed(lie), (Names{"log", "witnesses"}));
}

TEST(Receipt, RefusedTexts) {
  const std::string good = FormatReceipt(ReceiptFor(2, 4)).value();
  const std::string extra =
      good.substr(good.find("extra "), good.find("\nindex") - good.find("extra "));
  const auto replaced = [&](const std::string& from, const std::string& to) {
    const std::string out = absl::StrReplaceAll(good, {{from, to}});
    EXPECT_NE(out, good) << from;
    return out;
  };
  const std::string hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  std::string hashes;
  for (int i = 0; i < 64; ++i) hashes += hash;
  const struct {
    const char* what;
    std::string text;
  } kCases[] = {
      {"nothing", ""},
      {"another version", replaced("proof@v1", "proof@v2")},
      {"no extra", replaced(extra + "\n", "")},
      {"another extra", replaced(extra, "extra YWdl")},
      {"extra that is no base64", replaced(extra, "extra *")},
      {"a cut off extra", replaced(extra, extra.substr(0, extra.size() - 4))},
      {"a longer extra", replaced(extra, "extra Y29mZmVyLXJlY2VpcHQ6djEKAAFhAABh")},
      {"an empty leaf", replaced(extra, "extra Y29mZmVyLXJlY2VpcHQ6djEKAAAAAA==")},
      {"no index", replaced("index 2\n", "")},
      {"index 02", replaced("index 2", "index 02")},
      {"index -2", replaced("index 2", "index -2")},
      {"a proof line of another length", replaced("index 2\n", "index 2\nAAAA\n")},
      {"64 proof lines", replaced("index 2\n", "index 2\n" + hashes)},
      {"no empty line", replaced("\n\n", "\n")},
      {"too long", good + std::string(kMaxReceiptBytes, 'x')},
  };
  for (const auto& test : kCases) EXPECT_FALSE(ParseReceipt(test.text).ok()) << test.what;
}

TEST(Receipt, RefusedFields) {
  Receipt receipt = ReceiptFor(0, 1);
  receipt.attestation = std::string(kMaxAttestationReferenceBytes + 1, 'a');
  EXPECT_FALSE(FormatReceipt(receipt).ok());
  receipt.attestation = "two\nlines";
  EXPECT_FALSE(FormatReceipt(receipt).ok());
  receipt.attestation.clear();
  EXPECT_TRUE(FormatReceipt(receipt).ok());
  receipt.leaf.clear();
  EXPECT_FALSE(FormatReceipt(receipt).ok());
}

}  // namespace
}  // namespace coffer::audit
