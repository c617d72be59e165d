// The host's half of the transparency log on a real folder ($TMPDIR): leaves to tiles, making them
// durable, publishing, and going on after a restart.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "actors/host/log/log_adoption.h"
#include "actors/host/log/log_store.h"
#include "actors/host/log/os_log_files.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

constexpr uint64_t kRecordLeaves = 1000;  // a batch of credits
constexpr size_t kLeafBytes = 270;

class Folder {
 public:
  Folder() {
    const char* base = std::getenv("TMPDIR");
    std::string name = std::string(base != nullptr ? base : "/tmp") + "/coffer_bench_XXXXXX";
    path_ = mkdtemp(name.data());
    auto files = host::OsLogFiles::Open(path_ + "/log");
    COFFER_CHECK(files.ok(), "the benchmark's folder");
    files_ = *std::move(files);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  host::LogFiles* files() { return files_.get(); }

 private:
  std::string path_;
  std::unique_ptr<host::OsLogFiles> files_;
};

std::string Record() {
  std::string bundle;
  for (uint64_t i = 0; i < kRecordLeaves; ++i) {
    COFFER_CHECK(audit::AppendToBundle(std::string(kLeafBytes, 'l'), &bundle).ok(), "it fits");
  }
  return bundle;
}

// Every `range` leaves everything is cut, published and made durable.
void BM_LogStore(benchmark::State& run) {
  Folder folder;
  auto store = host::LogStore::Open(folder.files());
  COFFER_CHECK(store.ok(), "an empty log opens");
  const std::string record = Record();
  const auto every = static_cast<uint64_t>(run.range(0));
  for (auto _ : run) {
    const uint64_t size = (*store)->size() + kRecordLeaves;
    COFFER_CHECK((*store)->Append(size, record).ok(), "appended");
    if (size % every != 0) continue;
    COFFER_CHECK((*store)->Cut(size, (*store)->Root()).ok(), "cut");
    COFFER_CHECK((*store)->Publish(size, "note").ok(), "published");
    COFFER_CHECK((*store)->Sync().ok(), "durable");
  }
  run.SetItemsProcessed(run.iterations() * static_cast<int64_t>(kRecordLeaves));
  run.SetBytesProcessed(run.iterations() * static_cast<int64_t>(record.size()));
}
BENCHMARK(BM_LogStore)->Arg(400'000)->Arg(4'000'000)->Iterations(1500)->UseRealTime();

// What one cut and publication costs a log that grows by a record in between.
void BM_CutAndPublish(benchmark::State& run) {
  Folder folder;
  auto store = host::LogStore::Open(folder.files());
  const std::string record = Record();
  for (int i = 0; i < 300; ++i) {
    COFFER_CHECK((*store)->Append((*store)->size() + kRecordLeaves, record).ok(), "appended");
  }
  for (auto _ : run) {
    const uint64_t size = (*store)->size() + kRecordLeaves;
    COFFER_CHECK((*store)->Append(size, record).ok(), "appended");
    COFFER_CHECK((*store)->Cut(size, (*store)->Root()).ok(), "cut");
    COFFER_CHECK((*store)->Publish(size, "note").ok(), "published");
  }
}
BENCHMARK(BM_CutAndPublish)->Iterations(200)->UseRealTime()->Unit(benchmark::kMicrosecond);

void BM_Open(benchmark::State& run) {
  Folder folder;
  auto store = host::LogStore::Open(folder.files());
  const std::string record = Record();
  for (int i = 0; i < 300; ++i) {
    COFFER_CHECK((*store)->Append((*store)->size() + kRecordLeaves, record).ok(), "appended");
  }
  COFFER_CHECK((*store)->Sync().ok(), "durable");
  for (auto _ : run) benchmark::DoNotOptimize(host::LogStore::Open(folder.files()));
}
BENCHMARK(BM_Open)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::bench
