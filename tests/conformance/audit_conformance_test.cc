// enclave_core/audit against two others: golang.org/x/mod/sumdb, which the formats come from
// (audit_go; skipped without go and Debian's golang-golang-x-mod-dev), and an implementation
// written from the specifications alone (tlog.mjs). Each reads a log that we wrote, and we read one
// that it wrote.
#include <gtest/gtest.h>
#include <json/json.h>
#include <stdlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <random>
#include <set>
#include <string>

#include "enclave_core/audit/receipt.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/witness.h"

namespace coffer::audit {
namespace {

namespace fs = std::filesystem;

uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "COFFER_TEST_SEED=" << seed << std::endl;
  return seed;
}

void Write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << content;
}

std::string Read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  return {std::istreambuf_iterator<char>(in), {}};
}

NoteSigner RandomSigner(const std::string& name, KeyType type, std::mt19937_64& random) {
  std::string seed(32, '\0');
  for (char& c : seed) c = static_cast<char>(random());
  return NoteSigner::Create(name, type, ethereum::SecretBytes::CopyOf(seed).value()).value();
}

std::string RandomLeaf(uint64_t sequence, std::mt19937_64& random) {
  Leaf leaf;
  leaf.sequence = sequence;
  leaf.claimed_time = random();
  leaf.kind = LeafKind::kSignature;
  leaf.digest = Sha256(std::to_string(random()));
  if (random() % 3 != 0) {
    leaf.kind = LeafKind::kAdjustDown;
    leaf.digest.reset();
    leaf.event_id = std::string(1 + random() % 128, 'e');
    leaf.account = "account-" + std::to_string(random() % 10);
    leaf.recipient = ethereum::Address();
    leaf.balances = Balances{.delta = -absl::int128(random()),
                             .available = random(),
                             .reserved = random(),
                             .paid = random()};
  }
  std::string out;
  EXPECT_TRUE(AppendLeaf(leaf, &out).ok());
  return out;
}

Json::Value ToJson(const Proof& proof) {
  Json::Value out(Json::arrayValue);
  for (const Hash& hash : proof) out.append(EncodeBase64(hash.view()));
  return out;
}

Proof FromJson(const Json::Value& json) {
  Proof out;
  for (const Json::Value& hash : json) out.push_back(DecodeHash(hash.asString()).value());
  return out;
}

// A log of about `size` leaves with partial tiles on the way, proofs between its sizes, a
// cosignature and a receipt.
void WriteOurs(const fs::path& dir, size_t size, std::mt19937_64& random) {
  const NoteSigner log = RandomSigner("ours.example/log", KeyType::kEd25519, random);
  const NoteSigner witness = RandomSigner("ours.example/w", KeyType::kCosignatureV1, random);
  TileWriter writer;
  std::vector<std::string> leaves;
  std::map<size_t, Hash> roots;
  while (writer.size() < size) {
    leaves.push_back(RandomLeaf(writer.size(), random));
    ASSERT_TRUE(writer.Append(leaves.back()).ok());
    if (random() % (1 + size / 8) != 0 && writer.size() != size) continue;
    for (const TileFile& file : writer.Take()) Write(dir / TilePath(file.tile), file.content);
    roots[writer.size()] = writer.Root();
  }
  const auto fetch = [&](const TileRef& tile) -> absl::StatusOr<std::string> {
    return Read(dir / TilePath(tile));
  };
  Json::Value proofs;
  for (const auto& [second, second_root] : roots) {
    const TileHashReader reader(second, fetch);
    for (const auto& [first, first_root] : roots) {
      if (first > second) break;
      Json::Value& added = proofs["consistency"].append(Json::objectValue);
      added["first"] = std::to_string(first);
      added["second"] = std::to_string(second);
      added["first_root"] = EncodeBase64(first_root.view());
      added["second_root"] = EncodeBase64(second_root.view());
      added["proof"] = ToJson(BuildConsistency(first, second, reader).value());
    }
    for (const size_t index : {size_t{0}, random() % second, second - 1}) {
      Json::Value& added = proofs["inclusion"].append(Json::objectValue);
      added["index"] = std::to_string(index);
      added["size"] = std::to_string(second);
      added["root"] = EncodeBase64(second_root.view());
      added["proof"] = ToJson(BuildInclusion(index, second, reader).value());
    }
  }
  Write(dir / "proofs.json", proofs.toStyledString());
  const Checkpoint head{log.key().name(), size, writer.Root(), {}};
  const std::string text = CheckpointText(head);
  const std::string note =
      FormatNote({text, {log.Sign(text), Cosign(text, 1'700'000'000, witness)}});
  Write(dir / "checkpoint", note);
  Write(dir / "log.vkey", log.key().ToString());
  Write(dir / "witness.vkey", witness.key().ToString());
  const TileHashReader reader(size, fetch);
  const size_t index = random() % size;
  Write(dir / "receipt.tlog-proof",
        FormatReceipt({leaves[index], index, BuildInclusion(index, size, reader).value(), note,
                       "sha256:0011"})
            .value());
}

void CheckProofs(const fs::path& dir, uint64_t size, const std::vector<Hash>& leaf_hashes) {
  Json::Value proofs;
  std::ifstream(dir / "proofs.json") >> proofs;
  const auto number = [](const Json::Value& text) { return ParseDecimal(text.asString()).value(); };
  ASSERT_EQ(proofs["inclusion"].size(), 20u);
  ASSERT_EQ(proofs["consistency"].size(), 20u);
  for (const Json::Value& in : proofs["inclusion"]) {
    const uint64_t index = number(in["index"]);
    const absl::Status status =
        VerifyInclusion(index, number(in["size"]), leaf_hashes[index], FromJson(in["proof"]),
                        DecodeHash(in["root"].asString()).value());
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_LE(number(in["size"]), size);
  }
  for (const Json::Value& c : proofs["consistency"]) {
    const absl::Status status = VerifyConsistency(
        number(c["first"]), number(c["second"]), DecodeHash(c["first_root"].asString()).value(),
        DecodeHash(c["second_root"].asString()).value(), FromJson(c["proof"]));
    EXPECT_TRUE(status.ok()) << status;
  }
}

// Signature, tiles, bundles and proofs; every file byte for byte what our writer makes of the
// entries.
void CheckTheirs(const fs::path& dir) {
  const VerifierKey key = VerifierKey::Parse(Read(dir / "log.vkey")).value();
  const auto head = ParseCheckpoint(Read(dir / "checkpoint"));
  ASSERT_TRUE(head.ok()) << head.status();
  EXPECT_TRUE(VerifyLogSignature(*head, key).ok());
  const uint64_t size = head->checkpoint.size;
  TileWriter writer;
  std::vector<Hash> leaf_hashes;
  for (uint64_t index = 0; index * kTileWidth < size; ++index) {
    const TileRef tile{.entries = true, .index = index, .width = TileWidthAt(0, index, size)};
    const std::string bundle = Read(dir / TilePath(tile));
    const auto entries = ParseBundle(bundle, tile.width);
    ASSERT_TRUE(entries.ok()) << entries.status();
    for (const std::string_view entry : *entries) {
      ASSERT_TRUE(writer.Append(entry).ok());
      leaf_hashes.push_back(LeafHash(entry));
    }
  }
  EXPECT_EQ(writer.Root(), head->checkpoint.root);
  size_t files = 0;
  for (const TileFile& file : writer.Take()) {
    ++files;
    EXPECT_EQ(Read(dir / TilePath(file.tile)), file.content) << TilePath(file.tile);
  }
  size_t found = 0;
  for (const auto& entry : fs::recursive_directory_iterator(dir / "tile")) {
    found += entry.is_regular_file() ? 1 : 0;
  }
  EXPECT_EQ(found, files);
  CheckProofs(dir, size, leaf_hashes);
}

// What only the specifications' implementation writes: a cosignature, a receipt, witness requests.
void CheckTheirWitness(const fs::path& dir) {
  const std::string log = Read(dir / "log.vkey");
  const std::string witness = Read(dir / "witness.vkey");
  const auto policy = QuorumPolicy::Parse("log " + log + "\nwitness w " + witness + "\nquorum w\n");
  ASSERT_TRUE(policy.ok()) << policy.status();
  const auto receipt = ParseReceipt(Read(dir / "receipt.tlog-proof"));
  ASSERT_TRUE(receipt.ok()) << receipt.status();
  const ReceiptReport report = VerifyReceipt(*receipt, *policy);
  for (const ReceiptCheck& check : report.checks) {
    EXPECT_TRUE(check.passed) << check.name << ": " << check.sentence;
  }
  std::mt19937_64 random(1);
  Witness ours(RandomSigner("ours.example/w", KeyType::kCosignatureV1, random));
  ASSERT_TRUE(ours.AddLog(VerifierKey::Parse(log).value()).ok());
  for (const char* request : {"add-checkpoint.1", "add-checkpoint.2"}) {
    const WitnessAnswer answer = ours.Handle(Read(dir / request), 1'700'000'000);
    EXPECT_EQ(answer.status, 200) << request << ": " << answer.body;
  }
}

// A directory of its own that goes with the test.
class AuditConformance : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "coffer-audit-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { fs::remove_all(dir_); }
  void Run(const std::string& program, uint64_t seed) {
    const std::string command =
        program + " '" + dir_.string() + "' " + std::to_string(seed % 1'000'000'000);
    // The command is ours: paths of the sources and of a temporary directory, and a number.
    ASSERT_EQ(std::system(command.c_str()), 0) << command;  // NOLINT(cert-env33-c)
  }
  void Exchange(const std::string& program, bool with_witness) {
    std::mt19937_64 random(Seed());
    for (const size_t size : {size_t{1} + random() % 300, size_t{65'536} + random() % 1000}) {
      fs::remove_all(dir_ / "ours");
      fs::remove_all(dir_ / "theirs");
      ASSERT_NO_FATAL_FAILURE(WriteOurs(dir_ / "ours", size, random));
      ASSERT_NO_FATAL_FAILURE(Run(program, random()));
      ASSERT_NO_FATAL_FAILURE(CheckTheirs(dir_ / "theirs"));
      if (!with_witness) continue;
      ASSERT_NO_FATAL_FAILURE(CheckTheirWitness(dir_ / "theirs"));
    }
  }
  fs::path source_ = fs::path(COFFER_SOURCE_DIR) / "tests/conformance";
  fs::path dir_;
};

TEST_F(AuditConformance, AnImplementationFromTheSpecifications) {
  Exchange("node '" + (source_ / "audit_peer.mjs").string() + "'", true);
}

TEST_F(AuditConformance, TheGoChecksumDatabasesImplementation) {
  if (!fs::exists("/usr/share/gocode/src/golang.org/x/mod/sumdb/tlog") ||
      !fs::exists("/usr/bin/go")) {
    GTEST_SKIP() << "apt-get install golang-go golang-golang-x-mod-dev to compare with Go's sumdb";
  }
  Run("cd '" + dir_.string() +
          "' && GO111MODULE=off GOPATH=/usr/share/gocode GOFLAGS= "
          "GOCACHE=\"$PWD/../coffer-go-cache\""
          " go build -o '" +
          (dir_ / "peer").string() + "' '" + (source_ / "audit_go/main.go").string() + "' && true",
      0);
  ASSERT_FALSE(HasFatalFailure());
  Exchange("'" + (dir_ / "peer").string() + "'", false);
}

}  // namespace
}  // namespace coffer::audit
