#include "enclave_core/audit/quorum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

using testing::HasSubstr;

NoteSigner WitnessOf(int number) {
  return SignerOf(absl::StrCat("w", number, ".example"), KeyType::kCosignatureV1,
                  static_cast<char>('0' + number));
}
std::string WitnessLine(const char* name, int number) {
  return absl::StrCat("witness ", name, " ", WitnessOf(number).key().ToString(), "\n");
}
std::string LogLine() { return absl::StrCat("log ", LogSigner().key().ToString(), "\n"); }

// The example of the specification, with keys.
std::string Example() {
  return LogLine() + "\n# the X organisation\n" + WitnessLine("X1", 1) + WitnessLine("X2", 2) +
         WitnessLine("X3", 3) + "group X-witnesses 2 X1 X2 X3\n\n" + WitnessLine("Y1", 4) +
         WitnessLine("Y2", 5) + WitnessLine("Y3", 6) + "group Y-witnesses any Y1 Y2 Y3\n\n" +
         "group X-and-Y all X-witnesses Y-witnesses\n\t quorum \t X-and-Y \n";
}

SignedCheckpoint CosignedBy(const std::vector<int>& witnesses) {
  const Checkpoint head{"log.example", 9, Hash(), {}};
  const std::string text = CheckpointText(head);
  Note note{text, {LogSigner().Sign(text)}};
  for (const int number : witnesses) {
    note.signatures.push_back(Cosign(text, 100 + static_cast<uint64_t>(number), WitnessOf(number)));
  }
  return {head, note};
}

TEST(Quorum, SpecificationsExample) {
  const auto policy = QuorumPolicy::Parse(Example());
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->logs().size(), 1u);
  EXPECT_EQ(policy->witnesses().size(), 6u);
  const struct {
    std::vector<int> cosigners;
    bool satisfied;
  } kCases[] = {
      {{}, false},          {{1}, false},       {{4, 5, 6}, false}, {{1, 2, 3}, false},
      {{1, 4}, false},      {{1, 1, 4}, false}, {{1, 2, 4}, true},  {{3, 2, 6}, true},
      {{1, 2, 3, 4}, true}, {{7, 8, 9}, false}, {{1, 2, 7}, false}, {{6, 3, 1, 9}, true},
  };
  for (const auto& test : kCases) {
    const QuorumVerdict verdict = policy->Judge(CosignedBy(test.cosigners));
    EXPECT_EQ(verdict.satisfied, test.satisfied) << testing::PrintToString(test.cosigners);
    EXPECT_THAT(verdict.sentence, HasSubstr(test.satisfied ? "is met" : "is not met"));
  }
  const QuorumVerdict verdict = policy->Judge(CosignedBy({4, 1, 2}));
  ASSERT_EQ(verdict.cosigners.size(), 3u);
  EXPECT_EQ(verdict.cosigners[0].witness, "X1");
  EXPECT_EQ(verdict.cosigners[0].time, 101u);
  EXPECT_EQ(verdict.cosigners[2].witness, "Y1");
}

TEST(Quorum, WrongCosignaturesDoNotCountAndAreNamed) {
  const QuorumPolicy policy = QuorumPolicy::Parse(Example()).value();
  SignedCheckpoint head = CosignedBy({1, 2, 4});
  head.note.signatures[2].bytes[20] ^= 1;
  const QuorumVerdict verdict = policy.Judge(head);
  EXPECT_FALSE(verdict.satisfied);
  EXPECT_THAT(verdict.sentence, HasSubstr("w2.example is wrong"));
}

TEST(Quorum, WhichLog) {
  const QuorumPolicy policy = QuorumPolicy::Parse(Example()).value();
  SignedCheckpoint head = CosignedBy({});
  EXPECT_TRUE(policy.CheckLog(head).ok());
  head.checkpoint.origin = "other.example";
  EXPECT_THAT(std::string(policy.CheckLog(head).message()), HasSubstr("other.example"));
  head = CosignedBy({});
  head.note.signatures[0].bytes[0] ^= 1;
  EXPECT_FALSE(policy.CheckLog(head).ok());
  EXPECT_FALSE(QuorumPolicy::Parse("quorum none\n").value().CheckLog(CosignedBy({})).ok());
}

TEST(Quorum, NoneAndASingleWitness) {
  EXPECT_TRUE(QuorumPolicy::Parse("quorum none\n").value().Judge(CosignedBy({})).satisfied);
  const QuorumPolicy one = QuorumPolicy::Parse(WitnessLine("w", 1) + "quorum w\n").value();
  EXPECT_TRUE(one.Judge(CosignedBy({1})).satisfied);
  EXPECT_FALSE(one.Judge(CosignedBy({2})).satisfied);
}

TEST(Quorum, UrlsAndOctets) {
  const std::string vkey = WitnessOf(1).key().ToString();
  const auto policy = QuorumPolicy::Parse("log " + LogSigner().key().ToString() +
                                          " https://log.example/\nwitness \xff\xfe " + vkey +
                                          " https://w.example/a\n  # caf\xe9\nquorum \xff\xfe\n");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->logs()[0].url, "https://log.example/");
  EXPECT_EQ(policy->witnesses()[0].url, "https://w.example/a");
  EXPECT_EQ(policy->witnesses()[0].name, "\xff\xfe");
}

TEST(Quorum, RefusedPolicies) {
  const std::string w = WitnessLine("w", 1);
  const std::string v = WitnessLine("v", 2);
  const std::string end = "quorum w\n";
  const struct {
    const char* what;
    std::string text;
  } kCases[] = {
      {"nothing", ""},
      {"no quorum", LogLine() + w},
      {"two quorums", w + end + end},
      {"none and another", w + "quorum none\n" + end},
      {"no newline", w + "quorum w"},
      {"an unknown name", w + "quorum x\n"},
      {"a name before its line", "quorum w\n" + w},
      {"two names", w + v + "quorum w v\n"},
      {"an unknown word", w + "witnes x\n" + end},
      {"a name twice", w + WitnessLine("w", 2) + end},
      {"a key twice", w + WitnessLine("v", 1) + end},
      {"a log's key twice", LogLine() + LogLine() + w + end},
      {"the name none", WitnessLine("none", 1) + "quorum none\n"},
      {"a group named none", w + "group none any w\n" + end},
      {"none as a member", w + "group g any w none\nquorum g\n"},
      {"an empty group", w + "group g any\nquorum g\n"},
      {"a group of itself", w + "group g any w g\nquorum g\n"},
      {"a member twice", w + v + "group g 2 w w\nquorum g\n"},
      {"a member of two groups", w + v + "group g any w\ngroup h any w v\nquorum h\n"},
      {"threshold 0", w + "group g 0 w\nquorum g\n"},
      {"threshold 2 of 1", w + "group g 2 w\nquorum g\n"},
      {"threshold 01", w + "group g 01 w\nquorum g\n"},
      {"threshold most", w + "group g most w\nquorum g\n"},
      {"a log's key as a witness", "witness w " + LogSigner().key().ToString() + "\n" + end},
      {"a witness's key as a log", "log " + WitnessOf(1).key().ToString() + "\nquorum none\n"},
      {"no key", "witness w\n" + end},
      {"a broken key", "witness w abc\n" + end},
      {"a carriage return", w + "quorum w\r\n"},
      {"DEL", "# \x7f\n" + w + end},
      {"five items", "witness w " + WitnessOf(1).key().ToString() + " url more\n" + end},
      {"too long", std::string(kMaxPolicyBytes, '\n') + w + end},
  };
  for (const auto& test : kCases) EXPECT_FALSE(QuorumPolicy::Parse(test.text).ok()) << test.what;
  EXPECT_THAT(std::string(QuorumPolicy::Parse(w + "\nquorum x\n").status().message()),
              HasSubstr("line 3"));
}

TEST(Quorum, ThirtyTwoOfEachAreSupported) {
  std::string text;
  for (int i = 0; i < 32; ++i) {
    const char seed = static_cast<char>(i + 40);
    text += absl::StrCat("log ", SignerOf("l", KeyType::kEd25519, seed).key().ToString(), "\n");
    text += absl::StrCat("witness w", i, " ",
                         SignerOf("w", KeyType::kCosignatureV1, seed).key().ToString(), "\n");
    text += absl::StrCat("group g", i, " all w", i, i == 0 ? "" : absl::StrCat(" g", i - 1), "\n");
  }
  EXPECT_TRUE(QuorumPolicy::Parse(text + "quorum g31\n").ok());
}

}  // namespace
}  // namespace coffer::audit
