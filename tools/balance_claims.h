// Balances as an operator claims them: a file, or the HTTP API of a host.
#ifndef COFFER_TOOLS_BALANCE_CLAIMS_H_
#define COFFER_TOOLS_BALANCE_CLAIMS_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/numeric/int128.h"
#include "absl/status/statusor.h"
#include "tools/http_fetch.h"
#include "tools/verify_log.h"

namespace coffer::tools {

// Decimal digits below 2^127, and nothing else.
absl::StatusOr<absl::uint128> ParseWei(std::string_view text);

// What `coffer accounts --json` prints, an account a line, or the API's own answer: objects with
// id, available, reserved and paid, in wei as strings. InvalidArgument says what is wrong where.
absl::StatusOr<std::vector<Claim>> ParseClaims(std::string_view text);
absl::StatusOr<std::vector<Claim>> ReadClaims(const std::string& path);
// All pages of GET /api/ledger/accounts.
absl::StatusOr<std::vector<Claim>> FetchClaims(HttpFetcher& api);

// More than a host has, so that one that never ends is given up.
struct ClaimLimits {
  size_t accounts = 10'000'000;
  size_t pages = 100'000;
};
using GetPage = std::function<absl::StatusOr<std::string>(const std::string& target)>;
// The same with the API's answers from anywhere. `name`: whose they are, for sentences.
absl::StatusOr<std::vector<Claim>> FetchClaims(const GetPage& get, const std::string& name,
                                               const ClaimLimits& limits = {});

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_BALANCE_CLAIMS_H_
