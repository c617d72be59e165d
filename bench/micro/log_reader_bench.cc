// The transparency log's reader, from files on a disk: what a proof costs, what a page, and how
// fast the index is made. COFFER_BENCH_LEAVES: the log's size (a million if it is not set).
#include <benchmark/benchmark.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "actors/host/log/log_view.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tiles.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

constexpr char kOrigin[] = "log.example/bench";
constexpr uint64_t kAccounts = 1000;

uint64_t Leaves() {
  const char* given = std::getenv("COFFER_BENCH_LEAVES");
  return given == nullptr ? 1'000'000 : std::strtoull(given, nullptr, 10);
}

std::string EventId(uint64_t index) {
  return "ledger:" + audit::Sha256(absl::StrCat(index)).ToHex().substr(2);
}

// A log of credits in a folder of its own, gone with the process.
class Log {
 public:
  Log() {
    std::string name = std::filesystem::temp_directory_path() / "coffer_log_bench_XXXXXX";
    COFFER_CHECK(mkdtemp(name.data()) != nullptr, "a folder for the benchmark's log");
    root_ = name;
    audit::TileWriter writer;
    audit::Leaf leaf;
    leaf.kind = audit::LeafKind::kCredit;
    leaf.recipient = ethereum::Address();
    leaf.balances = audit::Balances{.delta = 1000, .available = 5000, .reserved = 0, .paid = 0};
    leaf.content_hash = audit::Hash();
    std::string bytes;
    for (uint64_t i = 0; i < Leaves(); ++i) {
      leaf.sequence = i;
      leaf.event_id = EventId(i);
      leaf.account = absl::StrCat("orchestrator-", i * 7919 % kAccounts);
      bytes.clear();
      COFFER_CHECK(audit::AppendLeaf(leaf, &bytes).ok(), "the benchmark's leaf");
      COFFER_CHECK(writer.Append(bytes).ok(), "the leaf fits");
      if (i % 65'536 == 65'535) Put(writer.Take());
    }
    Put(writer.Take());
    auto seed = ethereum::SecretBytes::CopyOf(std::string(32, 's'));
    const auto signer =
        audit::NoteSigner::Create(kOrigin, audit::KeyType::kEd25519, *std::move(seed));
    std::ofstream(folder() + "/checkpoint", std::ios::binary)
        << audit::SignCheckpoint({kOrigin, Leaves(), writer.Root(), {}}, *signer);
  }
  ~Log() { std::filesystem::remove_all(root_); }
  std::string folder() const { return root_ + "/log"; }
  std::string index_path() const { return root_ + "/index.sqlite"; }

 private:
  void Put(const std::vector<audit::TileFile>& files) const {
    for (const audit::TileFile& file : files) {
      const std::filesystem::path path = folder() + "/" + audit::TilePath(file.tile);
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << file.content;
    }
  }
  std::string root_;
};

// The log with its index, made once.
struct World {
  Log log;
  host::LogFolder files{log.folder()};
  host::LogIndexer indexer{{}, log.index_path()};
  std::atomic<uint64_t> failures{0};
  host::LogView view{&files, &indexer, &failures};
  double index_seconds = 0;
  double slowest_slice = 0;

  World() {
    const host::LogTree tree(&files, *files.Published());
    while (indexer.size() < tree.size()) {
      const auto began = std::chrono::steady_clock::now();
      const auto now =
          absl::FromChrono(std::chrono::system_clock::time_point(began.time_since_epoch()));
      COFFER_CHECK(indexer.Step(tree, 512, now) > 0, "the index goes on");
      const double took =
          std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
      index_seconds += took;
      slowest_slice = std::max(slowest_slice, took);
    }
    indexer.Commit(tree);
  }
};

World& TheWorld() {
  static World world;
  return world;
}

uint64_t Next(uint64_t index) { return (index + 7'919'317) % Leaves(); }

void BM_ProofByIndex(benchmark::State& run) {
  World& world = TheWorld();
  uint64_t index = 0;
  for (auto _ : run) {
    index = Next(index);
    COFFER_CHECK(world.view.Prove(host::LeafIndex{index}).ok(), "a proof");
  }
}
BENCHMARK(BM_ProofByIndex)->Unit(benchmark::kMicrosecond);

void BM_ProofByEventId(benchmark::State& run) {
  World& world = TheWorld();
  uint64_t index = 0;
  for (auto _ : run) {
    index = Next(index);
    COFFER_CHECK(world.view.Prove(host::EventName{EventId(index)}).ok(), "a proof");
  }
}
BENCHMARK(BM_ProofByEventId)->Unit(benchmark::kMicrosecond);

void BM_Consistency(benchmark::State& run) {
  World& world = TheWorld();
  uint64_t index = 0;
  for (auto _ : run) {
    index = Next(index);
    COFFER_CHECK(world.view.Consistency(index + 1, Leaves()).ok(), "a proof");
  }
}
BENCHMARK(BM_Consistency)->Unit(benchmark::kMicrosecond);

void BM_PageOfAll(benchmark::State& run) {
  World& world = TheWorld();
  host::LeafQuery query{.limit = static_cast<uint64_t>(run.range(0))};
  for (auto _ : run) {
    query.offset = Next(query.offset);
    COFFER_CHECK(world.view.Page(query).ok(), "a page");
  }
}
BENCHMARK(BM_PageOfAll)->Arg(50)->Arg(1000)->Unit(benchmark::kMicrosecond);

void BM_PageOfAccount(benchmark::State& run) {
  World& world = TheWorld();
  uint64_t account = 0;
  for (auto _ : run) {
    account = (account + 1) % kAccounts;
    const host::LeafQuery query{.limit = 50, .account = absl::StrCat("orchestrator-", account)};
    COFFER_CHECK(world.view.Page(query).ok(), "a page");
  }
}
BENCHMARK(BM_PageOfAccount)->Unit(benchmark::kMicrosecond);

// The making of the index, which the others stand on: done once, its figures are told here.
void BM_Index(benchmark::State& run) {
  World& world = TheWorld();
  for (auto _ : run) benchmark::DoNotOptimize(world.indexer.size());
  run.counters["leaves_per_second"] = static_cast<double>(Leaves()) / world.index_seconds;
  run.counters["slowest_slice_ms"] = 1000 * world.slowest_slice;
  run.counters["index_bytes_per_leaf"] =
      static_cast<double>(std::filesystem::file_size(world.log.index_path())) /
      static_cast<double>(Leaves());
}
BENCHMARK(BM_Index)->Iterations(1);

}  // namespace
}  // namespace coffer::bench
