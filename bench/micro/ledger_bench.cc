// Cost of a credit inside the enclave, from the request's bytes to the bytes to seal, against the
// size of the state; memory of an id and of an account; snapshots. Beside them what they are made
// of: protobuf, SHA-256 and the hash table.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bench/micro/state.h"
#include "enclave_core/ledger/event_ids.h"

namespace coffer::bench {
namespace {

constexpr uint64_t kHotAccounts = 100;
constexpr int kRequests =
    20;  // a repetition; so few, that they do not change the size of the state
enum Mode { kHot = 0, kFresh = 1, kDuplicate = 2, kHotSigned = 3 };

// One state at a time, kept between repetitions: a big one takes longer to make than to measure.
struct State {
  uint64_t size = 0;
  uint64_t next_id = 0;
  uint64_t next_account = 0;
  std::unique_ptr<authority::Authority> authority;
};

State& StateOf(uint64_t ids) {
  static State state;
  if (state.size != ids) {
    state.authority.reset();
    state = {ids, ids, 1'000'000'000, NewAuthority()};
    // A tenth as many accounts as ids, and the hot ones among them.
    Grow(*state.authority, 0, ids, std::max(kHotAccounts, ids / 10));
  }
  return state;
}

void BM_ApplyEvents(benchmark::State& run) {
  State& state = StateOf(static_cast<uint64_t>(run.range(1)));
  const ethereum::PrivateKey reporter = BenchReporter();
  for (auto _ : run) {
    run.PauseTiming();
    std::string request;
    switch (run.range(0)) {
      case kHot:
      case kHotSigned:
        request = RequestBytes(state.next_id, kEventsOfRequest, 0, kHotAccounts,
                               run.range(0) == kHotSigned ? &reporter : nullptr);
        state.next_id += kEventsOfRequest;
        break;
      case kFresh:
        request = RequestBytes(state.next_id, kEventsOfRequest, state.next_account, UINT64_MAX);
        state.next_id += kEventsOfRequest;
        break;
      default:
        request = RequestBytes(0, kEventsOfRequest, 0, std::max(kHotAccounts, state.size / 10));
    }
    run.ResumeTiming();
    benchmark::DoNotOptimize(Handle(*state.authority, request));
  }
  run.SetItemsProcessed(run.iterations() * kEventsOfRequest);
  run.SetLabel(run.range(0) == kHot         ? "hot accounts"
               : run.range(0) == kHotSigned ? "hot accounts, one signature a batch"
               : run.range(0) == kFresh     ? "fresh accounts"
                                            : "duplicates");
}
BENCHMARK(BM_ApplyEvents)
    ->ArgNames({"mode", "ids"})
    ->Args({kHot, 10'000})
    ->Args({kHotSigned, 10'000})
    ->Args({kFresh, 10'000})
    ->Args({kDuplicate, 10'000})
    ->Args({kHot, 1'000'000})
    ->Args({kHotSigned, 1'000'000})
    ->Args({kFresh, 1'000'000})
    ->Args({kDuplicate, 1'000'000})
    ->Args({kHot, 10'000'000})
    ->Args({kFresh, 10'000'000})
    ->Args({kDuplicate, 10'000'000})
    ->Iterations(kRequests)
    ->Unit(benchmark::kMicrosecond);

// ---- what it is made of
// ---------------------------------------------------------------------------

void BM_LimitParse(benchmark::State& run) {
  const std::string request = RequestBytes(0, kEventsOfRequest, 0, kHotAccounts);
  for (auto _ : run) {
    google::protobuf::Arena arena;
    auto* frame = google::protobuf::Arena::CreateMessage<boundary::v1::ClientFrame>(&arena);
    benchmark::DoNotOptimize(frame->ParseFromString(request));
  }
  run.SetItemsProcessed(run.iterations() * kEventsOfRequest);
  run.SetBytesProcessed(run.iterations() * static_cast<int64_t>(request.size()));
}
BENCHMARK(BM_LimitParse)->Unit(benchmark::kMicrosecond);

// SHA-256 as OpenSSL gives it, over as many bytes as the two fingerprints of an event need (key,
// domain and id; key, domain and content).
void BM_LimitSha256TwiceAnEvent(benchmark::State& run) {
  const std::string data(104, 'x');
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  uint8_t digest[32];
  for (auto _ : run) {
    for (const size_t bytes : {size_t{104}, size_t{83}}) {
      EVP_DigestInit_ex(context, sha256, nullptr);
      EVP_DigestUpdate(context, data.data(), bytes);
      EVP_DigestFinal_ex(context, digest, nullptr);
    }
    benchmark::DoNotOptimize(digest);
  }
  EVP_MD_CTX_free(context);
  EVP_MD_free(sha256);
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_LimitSha256TwiceAnEvent);

void BM_Fingerprints(benchmark::State& run) {
  ledger::Fingerprinter fingerprints(std::string(32, 'k'));
  const std::string id(71, 'i');
  const std::string content(50, 'c');
  for (auto _ : run) {
    benchmark::DoNotOptimize(fingerprints.OfId(id));
    benchmark::DoNotOptimize(fingerprints.OfContent(content));
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_Fingerprints);

void BM_LimitHashTableInsert(benchmark::State& run) {
  const auto size = static_cast<uint64_t>(run.range(0));
  absl::flat_hash_map<ledger::IdFingerprint, uint64_t> table;
  uint64_t next = 0;
  const auto insert = [&] {
    const uint64_t high = ++next * 0x9e3779b97f4a7c15u;  // as spread as a fingerprint
    table.emplace(ledger::IdFingerprint{high, next}, next);
  };
  while (next < size) insert();
  for (auto _ : run) insert();
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_LimitHashTableInsert)->Arg(10'000)->Arg(1'000'000)->Iterations(20'000);

// ---- memory
// ---------------------------------------------------------------------------------------

void BM_MemoryOfAnId(benchmark::State& run) {
  const auto ids = static_cast<uint64_t>(run.range(0));
  for (auto _ : run) {
    const std::unique_ptr<authority::Authority> authority = NewAuthority();
    Grow(*authority, 0, 1000, 1000);
    const double before = HeapBytes();
    Grow(*authority, 1000, ids, 1000);
    run.counters["bytes_each"] = (HeapBytes() - before) / static_cast<double>(ids - 1000);
  }
}
BENCHMARK(BM_MemoryOfAnId)
    ->Arg(1'000'000)
    ->Arg(1'800'000)
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void BM_MemoryOfAnAccount(benchmark::State& run) {
  const auto accounts = static_cast<uint64_t>(run.range(0));
  for (auto _ : run) {
    ledger::Ledger ledger;
    const double before = HeapBytes();
    ethereum::Address recipient;
    for (uint64_t i = 0; i < accounts; ++i) ledger.Open(absl::StrFormat("orch-%08d", i), recipient);
    run.counters["bytes_each"] = (HeapBytes() - before) / static_cast<double>(accounts);
  }
}
BENCHMARK(BM_MemoryOfAnAccount)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

// ---- snapshots
// ------------------------------------------------------------------------------------

void BM_SnapshotWrite(benchmark::State& run) {
  State& state = StateOf(1'000'000);
  int64_t bytes = 0;
  for (auto _ : run) {
    state.authority->WriteSnapshot([&](const sealed::v1::SnapshotPart& part) {
      bytes += static_cast<int64_t>(part.SerializeAsString().size());
    });
  }
  run.SetItemsProcessed(run.iterations() *
                        static_cast<int64_t>(state.authority->event_ids().size()));
  run.SetBytesProcessed(bytes);
}
BENCHMARK(BM_SnapshotWrite)->Unit(benchmark::kMillisecond);

void BM_SnapshotRestore(benchmark::State& run) {
  State& state = StateOf(1'000'000);
  std::vector<std::string> parts;
  int64_t bytes = 0;
  state.authority->WriteSnapshot([&](const sealed::v1::SnapshotPart& part) {
    parts.push_back(part.SerializeAsString());
    bytes += static_cast<int64_t>(parts.back().size());
  });
  for (auto _ : run) {
    auto restored = std::make_unique<authority::Authority>();
    for (const std::string& part : parts) {
      google::protobuf::Arena arena;
      auto* message = google::protobuf::Arena::CreateMessage<sealed::v1::SnapshotPart>(&arena);
      COFFER_CHECK(message->ParseFromString(part), "a part that was just written");
      COFFER_CHECK(restored->RestorePart(*message).ok(), "a part that was just written");
    }
    COFFER_CHECK(restored->FinishRestore().ok(), "a snapshot that was just written");
  }
  run.SetItemsProcessed(run.iterations() *
                        static_cast<int64_t>(state.authority->event_ids().size()));
  run.SetBytesProcessed(run.iterations() * bytes);
}
BENCHMARK(BM_SnapshotRestore)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace coffer::bench
