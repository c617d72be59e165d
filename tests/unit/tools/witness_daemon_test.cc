// The host's witness client and the witness itself, over real sockets and a real folder.
#include "tools/witness_daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/str_cat.h"
#include "actors/host/log/witness_client.h"
#include "runtime/os_random.h"
#include "tests/unit/audit/support.h"
#include "tests/unit/runtime/support.h"
#include "tools/key_file.h"

namespace coffer::tools {
namespace {

using audit::Hashes;
using audit::KeyType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr char kOrigin[] = "log.example/coffer";

class NaiveProofs final : public host::LogProofs {
 public:
  NaiveProofs(runtime::Dispatcher* dispatcher, const Hashes* leaves)
      : dispatcher_(dispatcher), leaves_(leaves) {}
  void Consistency(uint64_t first, uint64_t second, Done done) override {
    dispatcher_->Post([this, first, second, done = std::move(done)]() mutable {
      done(audit::NaiveConsistency(first, *leaves_, 0, second, true));
    });
  }

 private:
  runtime::Dispatcher* const dispatcher_;
  const Hashes* const leaves_;
};

class WitnessDaemonTest : public ::testing::Test {
 protected:
  WitnessDaemonTest() {
    for (int i = 0; i < 80; ++i) leaves.push_back(audit::NaiveLeaf(absl::StrCat("leaf ", i)));
    folder = std::filesystem::path(::testing::TempDir()) /
             absl::StrCat("coffer_witness_", getpid(), "_",
                          ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::remove_all(folder);
  }
  ~WitnessDaemonTest() override {
    client.reset();
    http.reset();
    daemon.reset();
    std::filesystem::remove_all(folder);
  }

  WitnessOptions Options() {
    WitnessOptions options;
    options.listen = *runtime::Endpoint::Parse("tcp://127.0.0.1:0");
    options.state_folder = folder;
    options.key_file = folder / "key";
    options.name = "witness.example/w1";
    options.logs.push_back(log.key());
    return options;
  }
  void Start() {
    runtime::OsRandom random;
    {
      auto store = WitnessStore::Open(folder);
      ASSERT_TRUE(store.ok()) << store.status();
    }
    const absl::Status made = MakeWitnessKey(folder / "key", "witness.example/w1", random);
    ASSERT_TRUE(made.ok() || absl::IsAlreadyExists(made)) << made;
    auto started = WitnessDaemon::Start(&loop, Options());
    ASSERT_TRUE(started.ok()) << started.status();
    daemon = *std::move(started);
  }
  void MakeClient() {
    auto policy = audit::QuorumPolicy::Parse(
        absl::StrCat("log ", log.key().ToString(), "\nwitness w1 ", daemon->vkey(),
                     " http://127.0.0.1:", daemon->endpoint().port, "\nquorum w1\n"));
    ASSERT_TRUE(policy.ok()) << policy.status();
    auto transport = host::HttpClient::Create(&loop, {});
    ASSERT_TRUE(transport.ok()) << transport.status();
    http = *std::move(transport);
    auto made = host::WitnessClient::Create(&loop, http.get(), &proofs, &client_random, *policy);
    ASSERT_TRUE(made.ok()) << made.status();
    client = *std::move(made);
  }
  host::Cosigner::Cosigned Cosign(const Hashes& of, uint64_t size) {
    const audit::Checkpoint head{kOrigin, size, audit::NaiveRoot(of, 0, size), {}};
    std::optional<host::Cosigner::Cosigned> got;
    client->Cosign(head, audit::SignCheckpoint(head, log),
                   [&](host::Cosigner::Cosigned cosigned) { got = std::move(cosigned); });
    EXPECT_TRUE(runtime::TurnUntil(loop, [&] { return got.has_value(); }));
    return got.value_or(host::Cosigner::Cosigned());
  }

  runtime::EventLoop loop;
  audit::NoteSigner log = audit::SignerOf(kOrigin, KeyType::kEd25519, 'L');
  Hashes leaves;
  std::filesystem::path folder;
  NaiveProofs proofs{&loop, &leaves};
  runtime::SeededRandom client_random{1};
  std::unique_ptr<WitnessDaemon> daemon;
  std::unique_ptr<host::HttpClient> http;
  std::unique_ptr<host::WitnessClient> client;
};

TEST_F(WitnessDaemonTest, CosignsGrowthForTheHostsClientAndRemembersIt) {
  Start();
  EXPECT_THAT(daemon->new_logs(), ElementsAre(kOrigin));
  MakeClient();
  for (const uint64_t size : {1, 2, 7, 64, 65}) {
    const auto cosigned = Cosign(leaves, size);
    EXPECT_TRUE(cosigned.satisfied) << cosigned.sentence;
  }
  const std::string vkey = daemon->vkey();
  client.reset();
  http.reset();
  daemon.reset();
  Start();
  EXPECT_EQ(daemon->vkey(), vkey);
  EXPECT_THAT(daemon->new_logs(), IsEmpty());
  MakeClient();
  EXPECT_TRUE(Cosign(leaves, 80).satisfied);
  EXPECT_EQ(client->reports()[0].conflicts, 1u) << "the new client did not know its size";
  EXPECT_THAT(client->alarms(), IsEmpty());
}

TEST_F(WitnessDaemonTest, TheHostSeesAnAlarmWhenTwoHistoriesAreShown) {
  Start();
  MakeClient();
  EXPECT_TRUE(Cosign(leaves, 20).satisfied);
  Hashes fork = leaves;
  fork[5] = audit::NaiveLeaf("rewritten");
  const auto cosigned = Cosign(fork, 20);
  EXPECT_FALSE(cosigned.satisfied);
  EXPECT_THAT(cosigned.sentence, HasSubstr("two histories"));
  EXPECT_THAT(client->alarms(), ElementsAre(HasSubstr("another root at size 20")));
}

TEST_F(WitnessDaemonTest, StoreKeepsWhatWasSavedAndRefusesDamage) {
  auto store = WitnessStore::Open(folder);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_FALSE(WitnessStore::Open(folder).ok()) << "one at a time";
  const auto none = store->Load(kOrigin);
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  const std::string long_line(4000, 'x');
  for (const uint64_t size : {5, 9}) {
    ASSERT_TRUE(store->Save({kOrigin, size, audit::LeafHash("root"), {long_line}}).ok());
    const auto loaded = store->Load(kOrigin);
    ASSERT_TRUE(loaded.ok() && loaded->has_value());
    EXPECT_EQ(**loaded, (audit::Checkpoint{kOrigin, size, audit::LeafHash("root"), {}}));
  }
  EXPECT_FALSE(store->Load("another/log")->has_value());
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".checkpoint") continue;
    std::ofstream(entry.path(), std::ios::app) << "x";
  }
  EXPECT_TRUE(absl::IsDataLoss(store->Load(kOrigin).status()));
}

TEST_F(WitnessDaemonTest, KeyFilesAreMadeOnceForTheirOwnerAlone) {
  std::filesystem::create_directories(folder);
  const std::string path = folder / "key";
  runtime::OsRandom random;
  ASSERT_TRUE(MakeWitnessKey(path, "witness.example/w1", random).ok());
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  const auto first = ReadWitnessKey(path, "witness.example/w1");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(absl::IsAlreadyExists(MakeWitnessKey(path, "witness.example/w1", random)));
  EXPECT_EQ(ReadWitnessKey(path, "witness.example/w1")->key(), first->key());
  EXPECT_FALSE(ReadWitnessKey(path, "witness.example/w").ok());
  chmod(path.c_str(), 0644);
  EXPECT_THAT(std::string(ReadWitnessKey(path, "witness.example/w1").status().message()),
              HasSubstr("chmod 600"));
  EXPECT_FALSE(MakeWitnessKey(folder / "k2", "has space", random).ok());
  EXPECT_FALSE(std::filesystem::exists(folder / "k2"));
}

}  // namespace
}  // namespace coffer::tools
