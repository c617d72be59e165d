#include "host_proxy/rate_limiter.h"

#include <arpa/inet.h>

#include <algorithm>

namespace coffer::host_proxy {

std::string RateKey(const std::string& peer) {
  in6_addr six{};
  if (inet_pton(AF_INET6, peer.c_str(), &six) != 1) return peer;
  const auto* const bytes = reinterpret_cast<const char*>(six.s6_addr);
  // An IPv4 address that reached an IPv6 socket.
  if (IN6_IS_ADDR_V4MAPPED(&six)) {
    char text[INET_ADDRSTRLEN] = {};
    return inet_ntop(AF_INET, bytes + 12, text, sizeof(text)) == nullptr ? peer : text;
  }
  return std::string(bytes, 8);
}

absl::Duration RateLimiter::Take(const std::string& peer, double cost, absl::Time now) {
  if (options_.per_second == 0) return absl::ZeroDuration();
  const auto rate = static_cast<double>(options_.per_second);
  const double burst = std::max(1.0, static_cast<double>(options_.burst));
  const std::string key = RateKey(peer);
  const auto found = buckets_.find(key);
  if (found != buckets_.end()) {
    order_.splice(order_.begin(), order_, found->second);
  } else {
    if (buckets_.size() >= std::max<size_t>(1, options_.peers)) {
      buckets_.erase(order_.back().peer);
      order_.pop_back();
    }
    order_.push_front({key, burst, now});
    buckets_.emplace(key, order_.begin());
  }
  Bucket& bucket = order_.front();
  bucket.tokens =
      std::min(burst, bucket.tokens + rate * absl::ToDoubleSeconds(now - bucket.filled));
  bucket.filled = now;
  const double wanted = std::min(cost, burst);
  if (bucket.tokens >= wanted) {
    bucket.tokens -= wanted;
    return absl::ZeroDuration();
  }
  ++refused_;
  return absl::Seconds((wanted - bucket.tokens) / rate);
}

}  // namespace coffer::host_proxy
