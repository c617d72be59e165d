#include "tools/balance_claims.h"

#include <json/value.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "host_proxy/json_text.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr size_t kMaxFileBytes = size_t{1} << 30;
constexpr size_t kMaxPageBytes = 16u << 20;
constexpr int kPage = 2000;  // accounts

absl::Status Wrong(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("claimed balances: ", what));
}

absl::StatusOr<Claim> ClaimOf(const Json::Value& json) {
  if (!json.isObject() || !json["id"].isString()) return Wrong("an account has no id");
  Claim claim;
  claim.account = json["id"].asString();
  for (const auto& [name, field] : {std::pair("available", &claim.available),
                                    {"reserved", &claim.reserved},
                                    {"paid", &claim.paid}}) {
    if (!json.isMember(name)) continue;
    const absl::StatusOr<absl::uint128> wei =
        ParseWei(json[name].isString() ? json[name].asString() : "");
    if (!wei.ok()) {
      return Wrong(absl::StrCat("the account ", claim.account, " has a wrong \"", name,
                                "\": ", wei.status().message()));
    }
    *field = *wei;
  }
  if (!claim.available) return Wrong(absl::StrCat(claim.account, " has no \"available\""));
  return claim;
}

absl::Status AppendAll(const Json::Value& list, std::vector<Claim>& out) {
  for (const Json::Value& json : list) {
    absl::StatusOr<Claim> claim = ClaimOf(json);
    if (!claim.ok()) return claim.status();
    out.push_back(*std::move(claim));
  }
  return absl::OkStatus();
}

absl::Status AppendDocument(const Json::Value& json, std::vector<Claim>& out) {
  if (json.isArray()) return AppendAll(json, out);
  if (json.isObject() && json["accounts"].isArray()) return AppendAll(json["accounts"], out);
  absl::StatusOr<Claim> claim = ClaimOf(json);
  if (!claim.ok()) return claim.status();
  out.push_back(*std::move(claim));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<absl::uint128> ParseWei(std::string_view text) {
  constexpr absl::uint128 kLimit = absl::MakeUint128(uint64_t{1} << 63, 0);
  if (text.empty() || text.size() > 39 ||
      text.find_first_not_of("0123456789") != std::string_view::npos) {
    return absl::InvalidArgumentError("an amount in wei is a string of decimal digits");
  }
  absl::uint128 value = 0;
  for (const char c : text) {
    if (value >= kLimit / 10 + 1) return absl::InvalidArgumentError("it is not below 2^127 wei");
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value >= kLimit) return absl::InvalidArgumentError("it is not below 2^127 wei");
  return value;
}

absl::StatusOr<std::vector<Claim>> ParseClaims(std::string_view text) {
  std::vector<Claim> claims;
  const absl::StatusOr<Json::Value> whole = host_proxy::FromText(text);
  if (whole.ok()) {
    if (absl::Status status = AppendDocument(*whole, claims); !status.ok()) return status;
    return claims;
  }
  size_t number = 0;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    ++number;
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    const absl::StatusOr<Json::Value> json = host_proxy::FromText(line);
    if (!json.ok()) {
      return Wrong(absl::StrCat("line ", number, " is not JSON: ", json.status().message()));
    }
    if (absl::Status status = AppendDocument(*json, claims); !status.ok()) return status;
  }
  return claims;
}

absl::StatusOr<std::vector<Claim>> ReadClaims(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadWholeFile(path, kMaxFileBytes);
  if (!text.ok()) return text.status();
  return ParseClaims(*text);
}

absl::StatusOr<std::vector<Claim>> FetchClaims(HttpFetcher& api) {
  return FetchClaims([&](const std::string& target) { return api.Get(target, kMaxPageBytes); },
                     api.name());
}

absl::StatusOr<std::vector<Claim>> FetchClaims(const GetPage& get, const std::string& name,
                                               const ClaimLimits& limits) {
  std::vector<Claim> claims;
  size_t pages = 0;
  for (uint64_t from = 0;;) {
    if (++pages > limits.pages || claims.size() > limits.accounts) {
      return Wrong(absl::StrCat("the list of ", name, " does not end: more than ", limits.accounts,
                                " accounts or ", limits.pages, " pages"));
    }
    const absl::StatusOr<std::string> page =
        get(absl::StrCat("/api/ledger/accounts?from=", from, "&limit=", kPage));
    if (!page.ok()) return page.status();
    const absl::StatusOr<Json::Value> json = host_proxy::FromText(*page);
    if (!json.ok() || !json->isObject() || !(*json)["accounts"].isArray()) {
      return Wrong(absl::StrCat("what ", name, " answers is no list of accounts"));
    }
    if (absl::Status status = AppendAll((*json)["accounts"], claims); !status.ok()) return status;
    const Json::Value& next = (*json)["next"];
    if (next.isNull()) return claims;
    if (!next.isUInt64() || next.asUInt64() <= from) {
      return Wrong(absl::StrCat("the list of ", name, " goes in circles"));
    }
    from = next.asUInt64();
  }
}

}  // namespace coffer::tools
