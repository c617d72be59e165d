#include "enclave_core/audit/witness.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

// A log with all of its history, honest or not.
class Log {
 public:
  explicit Log(const std::string& origin, char seed = 'l')
      : origin_(origin), signer_(SignerOf(origin, KeyType::kEd25519, seed)) {}

  void Grow(size_t to, const std::string& flavour = "") {
    for (size_t i = leaves_.size(); i < to; ++i)
      leaves_.push_back(LeafHash(flavour + std::to_string(i)));
  }
  const VerifierKey& key() const { return signer_.key(); }
  std::string CheckpointAt(size_t size) const {
    return SignCheckpoint({origin_, size, NaiveRoot(leaves_, 0, size), {}}, signer_);
  }
  AddCheckpoint Request(size_t from, size_t to) const {
    Proof proof;
    if (from > 0 && from <= to) proof = NaiveConsistency(from, leaves_, 0, to, true);
    return {from, proof, CheckpointAt(to)};
  }
  std::string Body(size_t from, size_t to) const { return FormatAddCheckpoint(Request(from, to)); }

 private:
  std::string origin_;
  NoteSigner signer_;
  Hashes leaves_;
};

class WitnessTest : public testing::Test {
 protected:
  WitnessTest()
      : log_("log.example"), witness_(SignerOf("w.example", KeyType::kCosignatureV1, 'w')) {
    log_.Grow(100);
    EXPECT_TRUE(witness_.AddLog(log_.key()).ok());
  }
  int StatusOf(const std::string& body) { return witness_.Handle(body, 1000).status; }

  Log log_;
  Witness witness_;
};

TEST_F(WitnessTest, CosignsWhatGrew) {
  for (const auto& [from, to] : std::vector<std::pair<size_t, size_t>>{
           {0, 0}, {0, 1}, {1, 1}, {1, 60}, {60, 60}, {60, 64}, {64, 100}}) {
    const WitnessAnswer answer = witness_.Handle(log_.Body(from, to), 1'700'000'000);
    ASSERT_EQ(answer.status, 200) << from << " to " << to << ": " << answer.body;
    ASSERT_TRUE(answer.to_store.has_value());
    EXPECT_EQ(answer.to_store->size, to);
    const std::string text = ParseNote(log_.CheckpointAt(to)).value().text;
    const auto lines = ParseCosignatureAnswer(answer.body, text, witness_.key());
    ASSERT_TRUE(lines.ok()) << lines.status();
    EXPECT_EQ(VerifyCosignature(text, (*lines)[0], witness_.key()).value(), 1'700'000'000u);
    EXPECT_EQ(witness_.Latest("log.example").has_value(), to != 0);
  }
  EXPECT_EQ(witness_.Latest("log.example")->size, 100u);
}

TEST_F(WitnessTest, AnotherOldSizeIsAConflictWithTheSize) {
  ASSERT_EQ(StatusOf(log_.Body(0, 60)), 200);
  for (const size_t from : {size_t{0}, size_t{59}, size_t{61}}) {
    const WitnessAnswer answer = witness_.Handle(log_.Body(from, 80), 1000);
    EXPECT_EQ(answer.status, 409);
    EXPECT_EQ(answer.content_type, "text/x.tlog.size");
    EXPECT_EQ(answer.body, "60\n");
    EXPECT_EQ(ParseSizeAnswer(answer.body).value(), 60u);
    EXPECT_FALSE(answer.to_store.has_value());
  }
  EXPECT_EQ(witness_.Latest("log.example")->size, 60u);
}

TEST_F(WitnessTest, SmallerCheckpointsAreNeverCosigned) {
  ASSERT_EQ(StatusOf(log_.Body(0, 60)), 200);
  EXPECT_EQ(StatusOf(log_.Body(60, 40)), 400);
  EXPECT_EQ(StatusOf(log_.Body(40, 40)), 409);
  EXPECT_EQ(StatusOf(log_.Body(0, 40)), 409);
}

TEST_F(WitnessTest, TwoHistoriesAreRefused) {
  ASSERT_EQ(StatusOf(log_.Body(0, 60)), 200);
  Log forked("log.example");
  forked.Grow(100, "other ");
  EXPECT_EQ(StatusOf(forked.Body(60, 80)), 422);
  const WitnessAnswer same_size = witness_.Handle(forked.Body(60, 60), 1000);
  EXPECT_EQ(same_size.status, 409);
  EXPECT_NE(same_size.content_type, kSizeContentType) << "a size would ask for the same again";
  EXPECT_EQ(StatusOf(log_.Body(60, 80)), 200) << "the honest history goes on";
}

TEST_F(WitnessTest, WrongProofsAreRefused) {
  ASSERT_EQ(StatusOf(log_.Body(0, 60)), 200);
  AddCheckpoint request = log_.Request(60, 80);
  ASSERT_FALSE(request.proof.empty());
  AddCheckpoint changed = request;
  changed.proof[0].bytes[0] ^= 1;
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(changed)), 422);
  changed = request;
  changed.proof.clear();
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(changed)), 422);
  changed = request;
  changed.proof.push_back(Hash());
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(changed)), 422);
  changed = log_.Request(60, 60);
  changed.proof.push_back(Hash());
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(changed)), 422);
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(request)), 200);
}

TEST_F(WitnessTest, AProofFromZeroMustBeEmpty) {
  AddCheckpoint request = log_.Request(0, 60);
  request.proof.push_back(Hash());
  EXPECT_EQ(StatusOf(FormatAddCheckpoint(request)), 422);
}

TEST_F(WitnessTest, WhoSigned) {
  Log unknown("unknown.example");
  unknown.Grow(5);
  EXPECT_EQ(StatusOf(unknown.Body(0, 5)), 404);
  Log impostor("log.example", 'i');
  impostor.Grow(100);
  EXPECT_EQ(StatusOf(impostor.Body(0, 60)), 403);
  std::string forged = log_.Body(0, 60);
  forged = absl::StrReplaceAll(forged, {{"\n60\n", "\n61\n"}});
  EXPECT_EQ(StatusOf(forged), 403);
  EXPECT_FALSE(witness_.Latest("log.example").has_value());
  // A second key of the same log, as during a rotation.
  ASSERT_TRUE(witness_.AddLog(impostor.key()).ok());
  EXPECT_EQ(StatusOf(impostor.Body(0, 60)), 200);
  EXPECT_EQ(StatusOf(log_.Body(60, 80)), 200);
}

TEST_F(WitnessTest, MalformedRequests) {
  const std::string checkpoint = log_.CheckpointAt(60);
  const std::string hash = "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
  const auto hashes = [&](int count) {
    std::string out;
    while (count-- > 0) out += hash;
    return out;
  };
  for (const std::string& body : std::vector<std::string>{
           "", "\n", "old 0", "old 0\n", "old 0\n\n", "old\n\n" + checkpoint,
           "Old 0\n\n" + checkpoint, "old  0\n\n" + checkpoint, "old 00\n\n" + checkpoint,
           "old -1\n\n" + checkpoint, "old 0\nAAAA\n\n" + checkpoint, "old 0\n" + checkpoint,
           "old 0\n\n\n" + checkpoint, "old 0\n" + hashes(64) + "\n" + checkpoint,
           "old 0\n\nnot a note", "old 0\r\n\r\n" + checkpoint,
           "old 0\n\n" + std::string(kMaxAddCheckpointBytes, 'x')}) {
    EXPECT_EQ(StatusOf(body), 400) << body.substr(0, 80);
  }
  EXPECT_EQ(StatusOf("old 0\n" + hashes(63) + "\n" + checkpoint), 422);
}

TEST_F(WitnessTest, GoesOnFromWhatWasStored) {
  const WitnessAnswer answer = witness_.Handle(log_.Body(0, 60), 1000);
  ASSERT_TRUE(answer.to_store.has_value());
  Witness restarted(SignerOf("w.example", KeyType::kCosignatureV1, 'w'));
  EXPECT_FALSE(restarted.Restore(*answer.to_store).ok()) << "not watched yet";
  ASSERT_TRUE(restarted.AddLog(log_.key()).ok());
  ASSERT_TRUE(restarted.Restore(*answer.to_store).ok());
  EXPECT_EQ(restarted.Handle(log_.Body(0, 80), 1000).status, 409);
  EXPECT_EQ(restarted.Handle(log_.Body(60, 80), 1000).status, 200);
  EXPECT_FALSE(restarted.AddLog(restarted.key()).ok());
}

TEST(AddCheckpoint, SpecificationsExample) {
  const std::string body =
      "old 20852014\n"
      "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
      "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
      "5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=\n"
      "/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=\n"
      "\n"
      "example.com/behind-the-sofa\n"
      "20852163\n"
      "CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
      "\n"
      "\u2014 example.com/behind-the-sofa "
      "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
      "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
      "\u2014 example.com/behind-the-sofa "
      "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/"
      "V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=\n";
  const auto request = ParseAddCheckpoint(body);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->old_size, 20852014u);
  EXPECT_EQ(request->proof.size(), 4u);
  EXPECT_EQ(ParseCheckpoint(request->checkpoint).value().checkpoint.size, 20852163u);
  EXPECT_EQ(FormatAddCheckpoint(*request), body);
}

TEST(AddCheckpoint, Answers) {
  const NoteSigner witness = SignerOf("w.example", KeyType::kCosignatureV1, 'w');
  const NoteSigner other = SignerOf("v.example", KeyType::kCosignatureV1, 'v');
  const std::string text = "log.example\n1\n" + std::string(43, 'A') + "=\n";
  const std::string ours = FormatSignatureLine(Cosign(text, 5, witness));
  const std::string theirs = FormatSignatureLine(Cosign(text, 5, other));
  const std::string wrong = FormatSignatureLine(Cosign("x" + text, 5, witness));
  EXPECT_EQ(ParseCosignatureAnswer(theirs + ours, text, witness.key()).value().size(), 1u);
  EXPECT_FALSE(ParseCosignatureAnswer(theirs, text, witness.key()).ok());
  EXPECT_FALSE(ParseCosignatureAnswer(ours + wrong, text, witness.key()).ok());
  EXPECT_FALSE(ParseCosignatureAnswer("", text, witness.key()).ok());
  EXPECT_FALSE(ParseCosignatureAnswer("<html>", text, witness.key()).ok());
  for (const char* body : {"", "5", "05\n", "5\n5\n", " 5\n", "-1\n"}) {
    EXPECT_FALSE(ParseSizeAnswer(body).ok()) << body;
  }
}

}  // namespace
}  // namespace coffer::audit
