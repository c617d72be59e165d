// Who may ask what: two bearer tokens (RFC 6750), viewer and admin.
#ifndef COFFER_HOST_PROXY_BEARER_TOKENS_H_
#define COFFER_HOST_PROXY_BEARER_TOKENS_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace coffer::host_proxy {

// What a route asks for, and what a token gives: each includes the ones before it.
enum class Role { kNobody = 0, kViewer = 1, kAdmin = 2 };

class BearerTokens {
 public:
  // An empty token is one that is not set. With neither set everybody may do everything, which is
  // for loopback only.
  BearerTokens(const std::string& viewer, const std::string& admin);

  bool any() const { return viewer_.has_value() || admin_.has_value(); }
  bool both() const { return viewer_.has_value() && admin_.has_value(); }
  // The role of an Authorization header. Compares SHA-256 digests in constant time, so that neither
  // a token's bytes nor its length can be found out by measuring.
  Role RoleOf(std::string_view authorization) const;

  // InvalidArgument for tokens that are too short to be secrets, or the same.
  static absl::Status Check(const std::string& viewer, const std::string& admin);

 private:
  using Digest = std::array<uint8_t, 32>;
  static Digest DigestOf(std::string_view text);
  std::optional<Digest> viewer_;
  std::optional<Digest> admin_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_BEARER_TOKENS_H_
