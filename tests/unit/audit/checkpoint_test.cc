#include "enclave_core/audit/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

using testing::HasSubstr;

// The example of tlog-checkpoint and tlog-cosignature. The keys are not published.
constexpr char kText[] =
    "example.com/behind-the-sofa\n"
    "20852163\n"
    "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
constexpr char kLogLine[] =
    "\u2014 example.com/behind-the-sofa "
    "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";
constexpr char kWitnessLine[] =
    "\u2014 witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+"
    "mbIUBkBIfZ+qnA==\n";

Checkpoint Example() { return {"log.example/coffer", 42, Sha256("root"), {}}; }

TEST(Checkpoint, SpecificationsExampleIsRead) {
  const auto parsed = ParseCheckpoint(std::string(kText) + "\n" + kLogLine + kWitnessLine);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->checkpoint.origin, "example.com/behind-the-sofa");
  EXPECT_EQ(parsed->checkpoint.size, 20852163u);
  EXPECT_EQ(parsed->checkpoint.root.ToHex(),
            "0x0ac5186a91863e8e1d90c808014aa89bf5da8e3ee1d9f07630f0378f68f1ab62");
  EXPECT_EQ(CheckpointText(parsed->checkpoint), kText);
  ASSERT_EQ(parsed->note.signatures.size(), 2u);
  const NoteSignature& cosignature = parsed->note.signatures[1];
  EXPECT_EQ(cosignature.name, "witness.example.com/w1");
  EXPECT_EQ(ethereum::ToHex(cosignature.bytes.substr(0, 8)), "0x00000000641850cb");  // 1679315147
}

TEST(Checkpoint, SignedAndReadBack) {
  const NoteSigner log = SignerOf("log.example/coffer", KeyType::kEd25519, 'l');
  const std::string note = SignCheckpoint(Example(), log);
  const auto parsed = ParseCheckpoint(note);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->checkpoint, Example());
  EXPECT_TRUE(VerifyLogSignature(*parsed, log.key()).ok());
  EXPECT_FALSE(
      VerifyLogSignature(*parsed, SignerOf("log.example/coffer", KeyType::kEd25519, 'x').key())
          .ok());
  EXPECT_FALSE(VerifyLogSignature(*parsed, SignerOf("other", KeyType::kEd25519, 'l').key()).ok());
}

// A key that signs another log's checkpoint says nothing about that log.
TEST(Checkpoint, TheKeysNameIsTheOrigin) {
  const NoteSigner other = SignerOf("other.example", KeyType::kEd25519, 'o');
  const std::string text = CheckpointText(Example());
  const auto parsed = ParseCheckpoint(FormatNote({text, {other.Sign(text)}}));
  ASSERT_TRUE(parsed.ok());
  EXPECT_TRUE(VerifyNote(parsed->note, {other.key()}).ok());
  EXPECT_THAT(std::string(VerifyLogSignature(*parsed, other.key()).message()),
              HasSubstr("the key is of other.example"));
}

TEST(Checkpoint, ExtensionLinesAreKept) {
  Checkpoint with = Example();
  with.extensions = {"one", "two words"};
  EXPECT_EQ(ParseCheckpointText(CheckpointText(with)).value(), with);
}

TEST(Checkpoint, RefusedTexts) {
  const std::string root = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=";
  for (const std::string& text :
       std::vector<std::string>{"",
                                "a\n",
                                "a\n1\n",
                                "a\n1\n" + root,
                                "\n1\n" + root + "\n",
                                "a\n\n" + root + "\n",
                                "a\n01\n" + root + "\n",
                                "a\n+1\n" + root + "\n",
                                "a\n-1\n" + root + "\n",
                                "a\n1 \n" + root + "\n",
                                "a\n0x1\n" + root + "\n",
                                "a\n9223372036854775808\n" + root + "\n",
                                "a\n99999999999999999999\n" + root + "\n",
                                "a\n1\n" + root.substr(1) + "\n",
                                "a\n1\n" + root + " \n",
                                "a\n1\nAAAA\n",
                                "a\n1\n" + root.substr(0, 42) + "J=\n",
                                "a\n1\n" + root + "\n\n",
                                "a\n1\n" + root + "\nx\n\ny\n",
                                std::string(256, 'a') + "\n1\n" + root + "\n",
                                "a\xff\n1\n" + root + "\n"}) {
    EXPECT_FALSE(ParseCheckpointText(text).ok()) << text;
  }
  EXPECT_EQ(ParseCheckpointText("a\n9223372036854775807\n" + root + "\n").value().size,
            (uint64_t{1} << 63) - 1);
  EXPECT_EQ(ParseCheckpointText("a\n0\n" + root + "\n").value().size, 0u);
}

TEST(Cosignature, MadeAndVerified) {
  const NoteSigner witness = SignerOf("w.example/1", KeyType::kCosignatureV1, 'w');
  const std::string text = CheckpointText(Example());
  const NoteSignature line = Cosign(text, 1679315147, witness);
  EXPECT_EQ(line.bytes.size(), 72u);
  EXPECT_EQ(VerifyCosignature(text, line, witness.key()).value(), 1679315147u);
  // It is an Ed25519 signature over exactly the specification's message.
  EXPECT_TRUE(witness.key().Verify("cosignature/v1\ntime 1679315147\n" + text,
                                   std::string_view(line.bytes).substr(8)));
}

TEST(Cosignature, RefusedLines) {
  const NoteSigner witness = SignerOf("w.example/1", KeyType::kCosignatureV1, 'w');
  const std::string text = CheckpointText(Example());
  const NoteSignature good = Cosign(text, 1, witness);
  for (size_t at = 0; at < good.bytes.size(); ++at) {
    NoteSignature changed = good;
    changed.bytes[at] ^= 0x40;
    EXPECT_FALSE(VerifyCosignature(text, changed, witness.key()).ok()) << at;
  }
  NoteSignature changed = good;
  changed.bytes[0] = '\x80';  // a time above 2^63 - 1
  EXPECT_FALSE(VerifyCosignature(text, changed, witness.key()).ok());
  changed = good;
  changed.bytes.pop_back();
  EXPECT_FALSE(VerifyCosignature(text, changed, witness.key()).ok());
  changed = good;
  changed.key_id ^= 1;
  EXPECT_FALSE(VerifyCosignature(text, changed, witness.key()).ok());
  EXPECT_FALSE(VerifyCosignature("x" + text, good, witness.key()).ok());
  EXPECT_FALSE(
      VerifyCosignature(text, good, SignerOf("w.example/1", KeyType::kCosignatureV1, 'x').key())
          .ok());
  EXPECT_FALSE(
      VerifyCosignature(text, good, SignerOf("w.example/1", KeyType::kEd25519, 'w').key()).ok());
}

// A log's plain signature never passes for a cosignature, nor the other way round.
TEST(Cosignature, DomainsAreApart) {
  const NoteSigner log = SignerOf("same", KeyType::kEd25519, 's');
  const NoteSigner witness = SignerOf("same", KeyType::kCosignatureV1, 's');
  Checkpoint head = Example();
  head.origin = "same";
  const std::string text = CheckpointText(head);
  NoteSignature as_cosignature = log.Sign(text);
  as_cosignature.key_id = witness.key().id();
  as_cosignature.bytes = std::string(8, '\0') + as_cosignature.bytes;
  EXPECT_FALSE(VerifyCosignature(text, as_cosignature, witness.key()).ok());
  NoteSignature as_log = Cosign(text, 0, witness);
  as_log.key_id = log.key().id();
  as_log.bytes = as_log.bytes.substr(8);
  EXPECT_FALSE(VerifyNote({text, {as_log}}, {log.key()}).ok());
}

ethereum::PrivateKey AuditKey() {
  return ethereum::PrivateKey::FromBytes(std::string(31, '\0') + '\x01').value();
}

ChainStatement Statement() {
  ChainStatement statement;
  statement.audit_address = AuditKey().address();
  statement.size = 42;
  statement.root = Sha256("root");
  statement.chain_id = 42161;
  statement.registry =
      ethereum::AddressFromText("0x00000000000000000000000000000000000000aa").value();
  return statement;
}

// The packed bytes, spelt out: any change of them breaks what contracts verify.
TEST(ChainStatement, GoldenDigest) {
  const std::string packed = "coffer-audit:checkpoint:v1" +
                             ethereum::FromHex(
                                 "7e5f4552091a69125d5dfcb7b8c2659029395bdf"  // the address of key 1
                                 "000000000000002a"
                                 "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2"
                                 "000000000000000000000000000000000000000000000000000000000000a4b1"
                                 "00000000000000000000000000000000000000aa")
                                 .value();
  EXPECT_EQ(packed.size(), 138u);
  EXPECT_EQ(ChainStatementDigest(Statement()), ethereum::Keccak256(packed));
}

TEST(ChainStatement, EveryFieldIsSigned) {
  const ChainStatement statement = Statement();
  const ethereum::Signature signature = SignChainStatement(statement, AuditKey());
  EXPECT_TRUE(VerifyChainStatement(statement, signature).ok());
  std::vector<ChainStatement> others(5, statement);
  others[0].audit_address.bytes[0] ^= 1;
  others[1].size = 43;
  others[2].root.bytes[31] ^= 1;
  others[3].chain_id = 1;
  others[4].registry.bytes[19] ^= 1;
  for (const ChainStatement& other : others) {
    EXPECT_FALSE(VerifyChainStatement(other, signature).ok());
  }
}

}  // namespace
}  // namespace coffer::audit
