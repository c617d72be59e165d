// Asking witnesses: real ones (audit::Witness) behind a network that the test makes.
#include "actors/host/log/witness_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/witness.h"
#include "runtime/random.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/audit/support.h"

namespace coffer::host {
namespace {

using audit::Hashes;
using audit::KeyType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

constexpr char kOrigin[] = "log.example/coffer";

// Answers by host name, a moment later; a host without a handler never answers.
class FakeHttp final : public HttpTransport {
 public:
  using Handler = std::function<absl::StatusOr<HttpResponse>(const std::string& body)>;
  explicit FakeHttp(runtime::Dispatcher* dispatcher) : dispatcher_(dispatcher) {}

  void Post(const HttpUrl& url, std::string body, absl::Duration timeout, Done done) override {
    ++requests[url.host];
    targets.push_back(url.target);
    timeouts.push_back(timeout);
    const auto found = handlers.find(url.host);
    auto shared = std::make_shared<Done>(std::move(done));
    timers_.push_back(dispatcher_->After(
        found == handlers.end() ? timeout : latency,
        [this, shared, body = std::move(body), host = url.host, known = found != handlers.end()] {
          if (!known)
            return (*shared)(absl::DeadlineExceededError("no answer within the time-out"));
          (*shared)(handlers[host](body));
        }));
  }

  std::map<std::string, Handler> handlers;
  std::map<std::string, int> requests;
  std::vector<std::string> targets;
  std::vector<absl::Duration> timeouts;
  absl::Duration latency = absl::Milliseconds(10);

 private:
  runtime::Dispatcher* const dispatcher_;
  std::vector<std::unique_ptr<runtime::Timer>> timers_;
};

class FakeProofs final : public LogProofs {
 public:
  FakeProofs(runtime::Dispatcher* dispatcher, const Hashes* leaves)
      : dispatcher_(dispatcher), leaves_(leaves) {}
  void Consistency(uint64_t first, uint64_t second, Done done) override {
    asked.emplace_back(first, second);
    if (silent) return kept.push_back(std::move(done));
    auto shared = std::make_shared<Done>(std::move(done));
    dispatcher_->Post([this, first, second, shared] {
      if (broken) return (*shared)(absl::DataLossError("a tile is damaged"));
      (*shared)(audit::NaiveConsistency(first, *leaves_, 0, second, true));
    });
  }

  std::vector<std::pair<uint64_t, uint64_t>> asked;
  std::vector<Done> kept;
  bool silent = false;
  bool broken = false;

 private:
  runtime::Dispatcher* const dispatcher_;
  const Hashes* const leaves_;
};

class WitnessClientTest : public ::testing::Test {
 protected:
  WitnessClientTest() {
    for (int i = 0; i < 100; ++i) leaves.push_back(audit::NaiveLeaf(absl::StrCat("leaf ", i)));
    for (const char* name : {"w1", "w2", "w3"}) {
      audit::Witness& witness =
          witnesses
              .try_emplace(name, SignerOf(absl::StrCat("witness.example/", name),
                                          KeyType::kCosignatureV1, name[1]))
              .first->second;
      EXPECT_TRUE(witness.AddLog(log.key()).ok());
      http.handlers[name] = [&witness](const std::string& body) {
        const audit::WitnessAnswer answer = witness.Handle(body, 1'700'000'000);
        return HttpResponse{answer.status, answer.body, std::nullopt};
      };
    }
  }

  std::string Policy(const std::string& quorum) {
    std::string text = absl::StrCat("log ", log.key().ToString(), "\n");
    for (auto& [name, witness] : witnesses) {
      absl::StrAppend(&text, "witness ", name, " ", witness.key().ToString(), " http://", name,
                      "/prefix/\n");
    }
    return absl::StrCat(text, "group q ", quorum, " w1 w2 w3\nquorum q\n");
  }
  void Make(const std::string& quorum = "2", WitnessClientOptions options = {}) {
    auto policy = audit::QuorumPolicy::Parse(Policy(quorum));
    ASSERT_TRUE(policy.ok()) << policy.status();
    auto made = WitnessClient::Create(dispatcher, &http, &proofs, &random, *policy, options);
    ASSERT_TRUE(made.ok()) << made.status();
    client = *std::move(made);
  }

  audit::Checkpoint Head(uint64_t size) const {
    return {kOrigin, size, audit::NaiveRoot(leaves, 0, size), {}};
  }
  // Runs one head through the client; `elapsed` says how long it took.
  Cosigner::Cosigned Cosign(const audit::Checkpoint& head) {
    std::optional<Cosigner::Cosigned> got;
    const absl::Time begin = scheduler.Now();
    client->Cosign(head, audit::SignCheckpoint(head, log),
                   [&](Cosigner::Cosigned cosigned) { got = std::move(cosigned); });
    EXPECT_FALSE(got.has_value()) << "never from inside Cosign";
    EXPECT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, absl::Seconds(30)));
    elapsed = scheduler.Now() - begin;
    return got.value_or(Cosigner::Cosigned());
  }
  // The names of the witnesses whose cosignatures in the note hold.
  std::vector<std::string> CosignersOf(const std::string& note) {
    const auto shown = audit::ParseCheckpoint(note);
    EXPECT_TRUE(shown.ok()) << shown.status();
    EXPECT_TRUE(audit::VerifyLogSignature(*shown, log.key()).ok());
    std::vector<std::string> names;
    for (const auto& cosigner : client->policy().Judge(*shown).cosigners) {
      names.push_back(cosigner.witness);
    }
    EXPECT_EQ(names.size() + 1, shown->note.signatures.size()) << note;
    return names;
  }
  WitnessReport Report(const std::string& name) {
    for (WitnessReport& report : client->reports()) {
      if (report.name == name) return report;
    }
    ADD_FAILURE() << name;
    return {};
  }
  // What a witness cosigned already, of a log with these leaves.
  void Show(const std::string& name, const Hashes& of, uint64_t size) {
    const audit::Checkpoint head{kOrigin, size, audit::NaiveRoot(of, 0, size), {}};
    const auto answer = witnesses.at(name).Handle(
        audit::FormatAddCheckpoint({0, {}, audit::SignCheckpoint(head, log)}), 1);
    ASSERT_EQ(answer.status, 200) << answer.body;
  }
  Hashes Fork(size_t at) const {
    Hashes other = leaves;
    other[at] = audit::NaiveLeaf("rewritten");
    return other;
  }

  runtime::TestScheduler scheduler{audit::TestSeed()};
  runtime::TestDispatcher* dispatcher = scheduler.NewDispatcher("main");
  runtime::SeededRandom random{1};
  audit::NoteSigner log = SignerOf(kOrigin, KeyType::kEd25519, 'L');
  Hashes leaves;
  std::map<std::string, audit::Witness> witnesses;
  FakeHttp http{dispatcher};
  FakeProofs proofs{dispatcher, &leaves};
  std::unique_ptr<WitnessClient> client;
  absl::Duration elapsed;
};

TEST_F(WitnessClientTest, AllCosignAndGrowthIsProvenOnceForAll) {
  Make();
  const auto first = Cosign(Head(3));
  EXPECT_TRUE(first.satisfied);
  EXPECT_THAT(first.sentence, HasSubstr("cosigned by w1, w2, w3"));
  EXPECT_THAT(CosignersOf(first.note), ElementsAre("w1", "w2", "w3"));
  EXPECT_THAT(proofs.asked, IsEmpty());
  EXPECT_EQ(http.targets.front(), "/prefix/add-checkpoint");
  const auto second = Cosign(Head(70));
  EXPECT_THAT(CosignersOf(second.note), ElementsAre("w1", "w2", "w3"));
  EXPECT_THAT(proofs.asked, ElementsAre(std::pair<uint64_t, uint64_t>(3, 70)));
  // The same head once more: cosigned anew, and nothing doubled.
  EXPECT_THAT(CosignersOf(Cosign(Head(70)).note), ElementsAre("w1", "w2", "w3"));
  EXPECT_EQ(Report("w2").cosigned, 3u);
  EXPECT_EQ(Report("w2").size, 70u);
  EXPECT_EQ(Report("w2").last_error, "");
  EXPECT_EQ(Report("w2").conflicts, 0u);
  EXPECT_EQ(Report("w2").url, "http://w2:80/***");
  EXPECT_THAT(client->alarms(), IsEmpty());
}

TEST_F(WitnessClientTest, AWitnessThatHasAnotherSizeIsAskedFromThere) {
  Make();
  Show("w1", leaves, 20);
  Show("w2", leaves, 40);  // w2 has this very head
  const auto cosigned = Cosign(Head(40));
  EXPECT_THAT(CosignersOf(cosigned.note), ElementsAre("w1", "w2", "w3"));
  EXPECT_THAT(proofs.asked, ElementsAre(std::pair<uint64_t, uint64_t>(20, 40)));
  EXPECT_EQ(Report("w1").conflicts, 1u);
  EXPECT_EQ(Report("w2").conflicts, 1u);
  EXPECT_EQ(Report("w3").conflicts, 0u);
  EXPECT_THAT(client->alarms(), IsEmpty());
}

TEST_F(WitnessClientTest, AnotherHistoryIsAnAlarmThatStays) {
  struct Case {
    const char* name;
    size_t fork_at;
    uint64_t witness_size;
    const char* sentence;
  };
  const Case cases[] = {
      {"w1", 5, 40, "another root at size 40"},
      {"w2", 5, 30, "refused the proof from size 30 to 40"},
      {"w3", 99, 60, "has size 60 already, which is more than this head's 40"},
  };
  for (const Case& c : cases) Show(c.name, Fork(c.fork_at), c.witness_size);
  Make("any");
  const auto cosigned = Cosign(Head(40));
  EXPECT_FALSE(cosigned.satisfied);
  EXPECT_THAT(CosignersOf(cosigned.note), IsEmpty());
  EXPECT_THAT(client->alarms(), SizeIs(3));
  for (const Case& c : cases) {
    EXPECT_THAT(cosigned.sentence, HasSubstr(c.sentence));
    EXPECT_THAT(Report(c.name).alarm, HasSubstr(c.sentence));
    EXPECT_EQ(Report(c.name).refused, 1u);
  }
  // w3 saw this very log, further on: when the head gets there it cosigns, and the alarm stays.
  EXPECT_THAT(CosignersOf(Cosign(Head(61)).note), ElementsAre("w3"));
  EXPECT_THAT(client->alarms(), SizeIs(3));
}

TEST_F(WitnessClientTest, WhatWitnessesCanSayInstead) {
  const std::string foreign = [&] {  // a good cosignature, of another witness
    const auto signer = SignerOf("witness.example/w9", KeyType::kCosignatureV1, '9');
    return FormatSignatureLine(audit::Cosign(CheckpointText(Head(9)), 1, signer));
  }();
  const std::string stale = FormatSignatureLine(audit::Cosign(
      CheckpointText(Head(8)), 1, SignerOf("witness.example/w1", KeyType::kCosignatureV1, '1')));
  struct Case {
    absl::StatusOr<HttpResponse> answer;
    const char* sentence;
    bool refused;
  };
  const Case cases[] = {
      {HttpResponse{200, "", {}}, "no cosignature", true},
      {HttpResponse{200, "thanks\n", {}}, "no cosignature", true},
      {HttpResponse{200, foreign, {}}, "no cosignature", true},
      {HttpResponse{200, stale, {}}, "no cosignature", true},
      {HttpResponse{400, "what?\n", {}}, "malformed (HTTP 400: what?)", true},
      {HttpResponse{403, "\x1b[2J", {}}, "does not accept the log's key (HTTP 403: ?[2J)", true},
      {HttpResponse{404, "", {}}, "does not watch this log (HTTP 404)", true},
      {HttpResponse{409, "soon\n", {}}, "a conflict without its size", false},
      {HttpResponse{409, "0\n", {}}, "named size 0 and then did not take it", false},
      {HttpResponse{409, "5\n", {}}, "named size 5 and then did not take it", false},
      {HttpResponse{429, "", {}}, "HTTP 429", false},
      {HttpResponse{500, "oops\n", {}}, "HTTP 500: oops", false},
      {HttpResponse{302, "", {}}, "HTTP 302", false},
      {absl::UnavailableError("connection refused"), "connection refused", false},
      {absl::ResourceExhaustedError("the answer is too large"), "too large", false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.sentence);
    Make("all");
    http.handlers["w1"] = [&](const std::string&) { return c.answer; };
    http.requests.clear();
    const auto cosigned = Cosign(Head(9));
    EXPECT_FALSE(cosigned.satisfied);
    EXPECT_THAT(cosigned.sentence, HasSubstr("the quorum q is not met"));
    EXPECT_THAT(cosigned.sentence, HasSubstr(absl::StrCat("not by w1: ")));
    EXPECT_THAT(cosigned.sentence, HasSubstr(c.sentence));
    EXPECT_THAT(CosignersOf(cosigned.note), ElementsAre("w2", "w3"));
    EXPECT_EQ(Report("w1").refused, c.refused ? 1u : 0u);
    EXPECT_EQ(Report("w1").unavailable, c.refused ? 0u : 1u);
    EXPECT_LE(http.requests["w1"], 2);
    EXPECT_LT(elapsed, absl::Seconds(1));
    EXPECT_THAT(client->alarms(), IsEmpty());
  }
}

TEST_F(WitnessClientTest, ADeadWitnessHoldsUpOneHeadAndThenNone) {
  Make("all");
  http.handlers.erase("w2");
  const auto cosigned = Cosign(Head(4));
  EXPECT_GE(elapsed, absl::Milliseconds(4900));
  EXPECT_LE(elapsed, absl::Seconds(5));
  EXPECT_FALSE(cosigned.satisfied);
  EXPECT_THAT(CosignersOf(cosigned.note), ElementsAre("w1", "w3"));
  EXPECT_EQ(Report("w2").unavailable, 1u);
  EXPECT_FALSE(Cosign(Head(5)).satisfied);
  EXPECT_LT(elapsed, absl::Seconds(1)) << "it is left alone for a while";
  EXPECT_EQ(Report("w2").skipped, 1u);
  EXPECT_EQ(http.requests["w2"], 1);
  // It comes back, and is asked again after its pause.
  audit::Witness& witness = witnesses.at("w2");
  http.handlers["w2"] = [&witness](const std::string& body) {
    const audit::WitnessAnswer answer = witness.Handle(body, 1);
    return HttpResponse{answer.status, answer.body, std::nullopt};
  };
  scheduler.Advance(absl::Seconds(2));
  EXPECT_TRUE(Cosign(Head(6)).satisfied);
  EXPECT_EQ(Report("w2").last_error, "");
}

TEST_F(WitnessClientTest, OnceTheQuorumIsMetTheOthersAreWaitedForAMoment) {
  Make("2");
  http.handlers.erase("w3");
  const auto cosigned = Cosign(Head(4));
  EXPECT_TRUE(cosigned.satisfied);
  EXPECT_GE(elapsed, absl::Milliseconds(490));
  EXPECT_LE(elapsed, absl::Milliseconds(700));
  EXPECT_THAT(CosignersOf(cosigned.note), ElementsAre("w1", "w2"));
  EXPECT_THAT(cosigned.sentence, HasSubstr("not by w3: not waited for"));
  EXPECT_TRUE(Cosign(Head(5)).satisfied);
  EXPECT_EQ(http.requests["w3"], 2) << "it may be slow, it is not dead";
}

TEST_F(WitnessClientTest, ProofsThatFailOrNeverCome) {
  Make("all");
  EXPECT_TRUE(Cosign(Head(4)).satisfied);
  proofs.broken = true;
  const auto broken = Cosign(Head(5));
  EXPECT_FALSE(broken.satisfied);
  EXPECT_THAT(broken.sentence, HasSubstr("no proof from size 4: a tile is damaged"));
  EXPECT_LT(elapsed, absl::Seconds(1));
  proofs.broken = false;
  proofs.silent = true;
  EXPECT_FALSE(Cosign(Head(6)).satisfied);
  EXPECT_LE(elapsed, absl::Seconds(5));
  // The late answer belongs to a head that is gone.
  proofs.silent = false;
  for (auto& done : proofs.kept) done(audit::Proof());
  scheduler.Advance(absl::Seconds(3));
  EXPECT_TRUE(Cosign(Head(7)).satisfied);
}

TEST_F(WitnessClientTest, AHeadThatThePolicysLogDidNotSignGoesToNobody) {
  Make("any");
  const auto other = SignerOf(kOrigin, KeyType::kEd25519, 'M');
  std::optional<Cosigner::Cosigned> got;
  const std::string note = SignCheckpoint(Head(3), other);
  client->Cosign(Head(3), note, [&](Cosigner::Cosigned cosigned) { got = std::move(cosigned); });
  EXPECT_FALSE(got.has_value());
  ASSERT_TRUE(scheduler.RunUntil([&] { return got.has_value(); }, absl::Seconds(1)));
  EXPECT_FALSE(got->satisfied);
  EXPECT_EQ(got->note, note);
  EXPECT_THAT(got->sentence, HasSubstr("not one that the policy's log signed"));
  EXPECT_THAT(http.requests, IsEmpty());
}

TEST_F(WitnessClientTest, WithoutWitnessesAHeadGoesThrough) {
  auto policy = audit::QuorumPolicy::Parse("quorum none\n");
  ASSERT_TRUE(policy.ok());
  client = *WitnessClient::Create(dispatcher, &http, &proofs, &random, *policy);
  const auto cosigned = Cosign(Head(3));
  EXPECT_TRUE(cosigned.satisfied);
  EXPECT_EQ(cosigned.note, SignCheckpoint(Head(3), log));
}

TEST_F(WitnessClientTest, NothingHappensAfterItIsDestroyed) {
  Make();
  proofs.silent = true;
  EXPECT_TRUE(Cosign(Head(3)).satisfied);
  http.latency = absl::Milliseconds(100);
  const audit::Checkpoint head = Head(4);
  client->Cosign(head, SignCheckpoint(head, log),
                 [](const Cosigner::Cosigned&) { ADD_FAILURE() << "called"; });
  client.reset();
  for (auto& done : proofs.kept) done(audit::Proof());
  scheduler.Advance(absl::Seconds(10));
}

TEST_F(WitnessClientTest, RefusesAUrlThatIsNone) {
  auto policy = audit::QuorumPolicy::Parse(
      absl::StrCat("witness w1 ", witnesses.at("w1").key().ToString(), " ftp://w1/\nquorum w1\n"));
  ASSERT_TRUE(policy.ok()) << policy.status();
  const auto made = WitnessClient::Create(dispatcher, &http, &proofs, &random, *policy);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(std::string(made.status().message()), HasSubstr("the URL of witness w1"));
}

TEST(ReadWitnessPolicyTest, NamesTheFile) {
  const auto missing = ReadWitnessPolicy("/nonexistent/policy");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/nonexistent/policy"));
}

}  // namespace
}  // namespace coffer::host
