// Latencies in buckets whose width grows with the value: every count is kept, and any quantile is
// read with an error below 1%, from a fixed 60 KB.
#ifndef COFFER_BENCH_LOAD_HISTOGRAM_H_
#define COFFER_BENCH_LOAD_HISTOGRAM_H_

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/str_cat.h"

namespace coffer::load {

class Histogram {
 public:
  // Nanoseconds. Negative counts as zero.
  void Add(int64_t value) {
    const uint64_t v = value < 0 ? 0 : static_cast<uint64_t>(value);
    ++counts_[BucketOf(v)];
    ++count_;
    sum_ += v;
    if (v > max_) max_ = v;
    if (v < min_) min_ = v;
  }
  uint64_t count() const { return count_; }
  double mean() const {
    return count_ == 0 ? 0 : static_cast<double>(sum_) / static_cast<double>(count_);
  }

  // The smallest value that `share` (0..1) of all values do not exceed, rounded up to its bucket's
  // end.
  uint64_t Quantile(double share) const {
    const auto wanted = static_cast<uint64_t>(std::llround(share * static_cast<double>(count_)));
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets; ++i) {
      seen += counts_[i];
      if (seen >= wanted && seen > 0) return EndOf(i) < max_ ? EndOf(i) : max_;
    }
    return max_;
  }

  // {"count":..,"mean_us":..,"p50_us":..,...,"buckets":[[end_us,count],..]}, empty buckets left
  // out.
  std::string ToJson() const {
    const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
    return absl::StrCat("{\"count\":", count_, ",\"mean_us\":", mean() / 1000,
                        ",\"min_us\":", count_ == 0 ? 0 : us(min_),
                        ",\"p50_us\":", us(Quantile(0.5)), ",\"p90_us\":", us(Quantile(0.9)),
                        ",\"p99_us\":", us(Quantile(0.99)), ",\"p999_us\":", us(Quantile(0.999)),
                        ",\"max_us\":", us(max_), ",\"buckets\":[", BucketsJson(), "]}");
  }

 private:
  static constexpr int kSubBits = 7;  // 128 buckets for each doubling
  static constexpr size_t kSub = 1u << kSubBits;
  static constexpr size_t kBuckets = (64 - kSubBits + 1) * kSub;

  static size_t BucketOf(uint64_t v) {
    if (v < kSub) return v;
    const int shift = static_cast<int>(std::bit_width(v)) - kSubBits - 1;
    return static_cast<size_t>(shift + 1) * kSub + ((v >> shift) - kSub);
  }
  std::string BucketsJson() const {
    std::string out;
    for (size_t i = 0; i < kBuckets; ++i) {
      if (counts_[i] == 0) continue;
      absl::StrAppend(&out, out.empty() ? "[" : ",[", static_cast<double>(EndOf(i)) / 1000, ",",
                      counts_[i], "]");
    }
    return out;
  }
  // The largest value of a bucket.
  static uint64_t EndOf(size_t bucket) {
    if (bucket < kSub) return bucket;
    const size_t shift = bucket / kSub - 1;
    return ((kSub + bucket % kSub + 1) << shift) - 1;
  }

  std::array<uint64_t, kBuckets> counts_{};
  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t min_ = UINT64_MAX;
  uint64_t max_ = 0;
};

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_HISTOGRAM_H_
