#include "tools/event_ids.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "absl/hash/hash.h"

namespace coffer::tools {

uint64_t EventHash(std::string_view event_id) { return absl::HashOf(event_id); }

uint64_t EventIds::size() const {
  uint64_t size = 0;
  for (const std::vector<uint64_t>& bucket : buckets_) size += bucket.size();
  return size;
}

absl::flat_hash_set<uint64_t> EventIds::Suspects(unsigned threads) {
  absl::flat_hash_set<uint64_t> suspects;
  std::mutex mutex;
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < buckets_.size(); i = next++) {
      std::vector<uint64_t>& bucket = buckets_[i];
      std::sort(bucket.begin(), bucket.end());
      for (auto at = std::adjacent_find(bucket.begin(), bucket.end()); at != bucket.end();
           at = std::adjacent_find(at + 1, bucket.end())) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (suspects.size() < kMaxSuspects) suspects.insert(*at);
      }
    }
  };
  std::vector<std::thread> workers;
  for (unsigned i = 1; i < threads; ++i) workers.emplace_back(work);
  work();
  for (std::thread& worker : workers) worker.join();
  return suspects;
}

}  // namespace coffer::tools
