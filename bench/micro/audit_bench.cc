// The audit log: what a leaf costs the enclave at both ends of the sizes it is built for, and what
// a proof costs whoever makes it from tiles.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/audit/tiles.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

audit::Leaf Credit() {
  audit::Leaf leaf;
  leaf.kind = audit::LeafKind::kCredit;
  leaf.claimed_time = 1'700'000'000'000;
  leaf.event_id = "ledger:" + std::string(64, 'a');
  leaf.account = std::string(42, 'b');
  leaf.recipient = ethereum::Address();
  leaf.balances = audit::Balances{.delta = 1000, .available = 5000, .reserved = 0, .paid = 0};
  leaf.content_hash = audit::Hash();
  return leaf;
}

// A tree of `size` leaves with arbitrary subtree hashes: its cost is that of a real one, and 100
// million leaves need not be hashed first.
audit::Tree TreeOf(uint64_t size) {
  std::string bytes = "CFT1";
  for (int shift = 56; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(size >> shift));
  for (uint64_t rest = size; rest != 0; rest &= rest - 1) bytes.append(32, 'h');
  absl::StatusOr<audit::Tree> tree = audit::Tree::Parse(bytes);
  COFFER_CHECK(tree.ok(), "the benchmark's tree");
  return *std::move(tree);
}

// Encode, hash, append: all that a credit adds.
void BM_AppendLeaf(benchmark::State& run) {
  audit::Tree tree = TreeOf(static_cast<uint64_t>(run.range(0)));
  audit::Leaf leaf = Credit();
  std::string buffer;
  for (auto _ : run) {
    buffer.clear();
    leaf.sequence = tree.size();
    COFFER_CHECK(audit::AppendLeaf(leaf, &buffer).ok(), "the benchmark's leaf");
    tree.Append(audit::LeafHash(buffer));
  }
  run.counters["leaf_bytes"] = static_cast<double>(buffer.size());
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_AppendLeaf)->Arg(1000)->Arg(100'000'000);

void BM_EncodeLeaf(benchmark::State& run) {
  const audit::Leaf leaf = Credit();
  std::string buffer;
  for (auto _ : run) {
    buffer.clear();
    COFFER_CHECK(audit::AppendLeaf(leaf, &buffer).ok(), "the benchmark's leaf");
    benchmark::DoNotOptimize(buffer.data());
  }
}
BENCHMARK(BM_EncodeLeaf);

void BM_Root(benchmark::State& run) {
  const audit::Tree tree = TreeOf(static_cast<uint64_t>(run.range(0)));
  for (auto _ : run) benchmark::DoNotOptimize(tree.Root());
}
BENCHMARK(BM_Root)->Arg(1000)->Arg((1 << 27) - 1);

void BM_SignCheckpoint(benchmark::State& run) {
  auto seed = ethereum::SecretBytes::CopyOf(std::string(32, 's'));
  COFFER_CHECK(seed.ok(), "the benchmark's seed");
  const auto signer =
      audit::NoteSigner::Create("log.example", audit::KeyType::kEd25519, *std::move(seed));
  const audit::Checkpoint head{"log.example", 1000, audit::Hash(), {}};
  for (auto _ : run) benchmark::DoNotOptimize(audit::SignCheckpoint(head, *signer));
}
BENCHMARK(BM_SignCheckpoint);

// The host's side: entries to files.
void BM_WriteTiles(benchmark::State& run) {
  std::string entry;
  COFFER_CHECK(audit::AppendLeaf(Credit(), &entry).ok(), "the benchmark's leaf");
  audit::TileWriter writer;
  for (auto _ : run) {
    COFFER_CHECK(writer.Append(entry).ok(), "the entry fits");
    if (writer.size() % 4096 == 0) benchmark::DoNotOptimize(writer.Take());
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_WriteTiles);

// Every tile of the widest right edge is there; the fetch is a copy, as from a page cache.
absl::StatusOr<std::string> AnyTile(const audit::TileRef& tile) {
  return std::string(tile.width * 32u, 't');
}

void BM_InclusionFromTiles(benchmark::State& run) {
  const auto size = static_cast<uint64_t>(run.range(0));
  uint64_t index = 0;
  for (auto _ : run) {
    index = (index + 7'919'317) % size;
    const audit::TileHashReader reader(size, AnyTile);
    benchmark::DoNotOptimize(audit::BuildInclusion(index, size, reader));
  }
}
BENCHMARK(BM_InclusionFromTiles)->Arg(1000)->Arg(100'000'000)->Arg((1 << 27) - 1);

void BM_ConsistencyFromTiles(benchmark::State& run) {
  const auto size = static_cast<uint64_t>(run.range(0));
  uint64_t first = 0;
  for (auto _ : run) {
    first = (first + 7'919'317) % size;
    const audit::TileHashReader reader(size, AnyTile);
    benchmark::DoNotOptimize(audit::BuildConsistency(first + 1, size, reader));
  }
}
BENCHMARK(BM_ConsistencyFromTiles)->Arg(1000)->Arg(100'000'000)->Arg((1 << 27) - 1);

}  // namespace
}  // namespace coffer::bench
