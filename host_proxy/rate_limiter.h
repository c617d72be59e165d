// How much each address may ask of what is public: a token bucket a peer.
#ifndef COFFER_HOST_PROXY_RATE_LIMITER_H_
#define COFFER_HOST_PROXY_RATE_LIMITER_H_

#include <cstddef>
#include <cstdint>
#include <list>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"

namespace coffer::host_proxy {

class RateLimiter {
 public:
  struct Options {
    uint64_t per_second = 20;  // 0: no limit
    uint64_t burst = 100;      // what an address that was silent may ask at once; at least 1
    // Addresses remembered; the one silent for longest makes room. Bounds the memory, not the
    // traffic: whoever has that many addresses is not stopped by counting them.
    size_t peers = 10'000;
  };
  explicit RateLimiter(Options options) : options_(options) {}

  // Takes `cost` tokens of this peer's (HttpRequest::peer). Zero when they were there, else how
  // long until they will be. A cost above the burst takes the whole of it. IPv6 addresses count by
  // their first 64 bits, because one client has all of the rest. `now`: monotonic.
  absl::Duration Take(const std::string& peer, double cost, absl::Time now);

  uint64_t refused() const { return refused_; }
  size_t peers() const { return buckets_.size(); }

 private:
  struct Bucket {
    std::string peer;
    double tokens = 0;
    absl::Time filled;
  };

  const Options options_;
  std::list<Bucket> order_;  // the one that asked last in front
  absl::flat_hash_map<std::string, std::list<Bucket>::iterator> buckets_;
  uint64_t refused_ = 0;
};

// What a peer is counted by.
std::string RateKey(const std::string& peer);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_RATE_LIMITER_H_
