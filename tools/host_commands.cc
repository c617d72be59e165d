#include "tools/host_commands.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "host_proxy/json_text.h"

namespace coffer::tools {
namespace {

std::string Text(const Json::Value& value) {
  if (value.isNull()) return "-";
  return value.isObject() || value.isArray() ? "?" : value.asString();
}

// Columns as wide as their widest cell; the first row is the heading.
void PrintTable(const std::vector<std::vector<std::string>>& rows, std::ostream& out) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      out << row[i];
      if (i + 1 < row.size()) out << std::string(widths[i] - row[i].size() + 2, ' ');
    }
    out << "\n";
  }
}

// All pages of a list.
absl::StatusOr<std::vector<Json::Value>> AllOf(const HostClient& host, const std::string& path,
                                               const std::string& name, const std::string& query) {
  std::vector<Json::Value> all;
  std::string from = "0";
  while (true) {
    absl::StatusOr<Json::Value> page =
        host.Get(absl::StrCat(path, "?limit=1000&from=", from, query));
    if (!page.ok()) return page.status();
    for (const Json::Value& entry : (*page)[name]) all.push_back(entry);
    const Json::Value& next = (*page)["next"];
    if (!next.isUInt64() || next.asString() == from) return all;
    from = next.asString();
  }
}

std::vector<std::string> AccountRow(const Json::Value& account) {
  return {Text(account["id"]),
          Text(account["recipient"]),
          EthText(Text(account["available"])),
          EthText(Text(account["reserved"])),
          EthText(Text(account["paid"])),
          EthText(Text(account["credited"]))};
}

// A host of before attestation says nothing of it.
std::string AttestationText(const std::string& kind) {
  if (kind == "development") return "development: its documents prove nothing about a TEE";
  return kind.empty() ? "none" : kind;
}

}  // namespace

std::string EthText(const std::string& wei) {
  if (wei.empty() || wei.find_first_not_of("0123456789") != std::string::npos) return wei;
  std::string digits = wei;
  if (digits.size() < 19) digits.insert(0, 19 - digits.size(), '0');
  std::string text = digits.substr(0, digits.size() - 18) + "." + digits.substr(digits.size() - 18);
  while (text.back() == '0') text.pop_back();
  if (text.back() == '.') text.pop_back();
  return text;
}

absl::Status ShowStatus(const HostClient& host, bool json, std::ostream& out) {
  absl::StatusOr<HostClient::Answer> ready = host.Request("GET", "/readyz");
  if (!ready.ok()) return ready.status();
  if (!ready->body["ready"].isBool()) {
    return absl::UnavailableError("what answers is not coffer-host: /readyz says nothing");
  }
  if (!ready->body["ready"].asBool()) {
    if (json) out << host_proxy::ToText(ready->body);
    for (const Json::Value& reason : ready->body["reasons"]) {
      if (!json) out << "not ready: " << Text(reason) << "\n";
    }
    return absl::FailedPreconditionError("the host is not ready");
  }
  absl::StatusOr<Json::Value> status = host.Get("/api/tee/status");
  if (!status.ok()) return status.status();
  if (json) {
    out << host_proxy::ToText(*status);
    return absl::OkStatus();
  }
  const Json::Value& totals = (*status)["totals"];
  PrintTable({{"phase", Text((*status)["phase"])},
              {"version", Text((*status)["version"])},
              {"address", Text((*status)["address"])},
              {"attestation", AttestationText(Text((*status)["attestation_kind"]))},
              {"chain", Text((*status)["chain_id"])},
              {"broker", Text((*status)["broker"])},
              {"accounts", Text((*status)["accounts"])},
              {"events", Text((*status)["events"])},
              {"payouts", absl::StrCat(Text((*status)["payouts"]), ", open ",
                                       Text((*status)["open_payouts"]))},
              {"next nonce", Text((*status)["next_nonce"])},
              {"credited", EthText(Text(totals["credited"])) + " ETH"},
              {"paid", EthText(Text(totals["paid"])) + " ETH"},
              {"reserved", EthText(Text(totals["reserved"])) + " ETH"},
              {"available", EthText(Text(totals["available"])) + " ETH"},
              {"record stored", absl::StrCat(Text((*status)["stored_sequence"]), " of ",
                                             Text((*status)["sealed_sequence"]), ", snapshot at ",
                                             Text((*status)["snapshot_sequence"]))}},
             out);
  return absl::OkStatus();
}

absl::Status ShowAccounts(const HostClient& host, const std::string& id, bool json,
                          std::ostream& out) {
  std::vector<Json::Value> accounts;
  if (!id.empty()) {
    absl::StatusOr<Json::Value> one = host.Get("/api/ledger/accounts/" + PercentEncode(id));
    if (!one.ok()) return one.status();
    accounts.push_back(*std::move(one));
  } else {
    absl::StatusOr<std::vector<Json::Value>> all =
        AllOf(host, "/api/ledger/accounts", "accounts", "");
    if (!all.ok()) return all.status();
    accounts = *std::move(all);
  }
  std::vector<std::vector<std::string>> rows = {
      {"ACCOUNT", "RECIPIENT", "AVAILABLE", "RESERVED", "PAID", "CREDITED (ETH)"}};
  for (const Json::Value& account : accounts) {
    if (json) {
      out << host_proxy::ToText(account);
    } else {
      rows.push_back(AccountRow(account));
    }
  }
  if (!json) PrintTable(rows, out);
  return absl::OkStatus();
}

absl::Status ShowPayouts(const HostClient& host, uint64_t id, bool open_only, bool json,
                         std::ostream& out) {
  std::vector<Json::Value> payouts;
  if (id != 0) {
    absl::StatusOr<Json::Value> one = host.Get(absl::StrCat("/api/payouts/", id));
    if (!one.ok()) return one.status();
    payouts.push_back(*std::move(one));
  } else {
    absl::StatusOr<std::vector<Json::Value>> all =
        AllOf(host, "/api/payouts", "payouts", open_only ? "&open=1" : "");
    if (!all.ok()) return all.status();
    payouts = *std::move(all);
  }
  std::vector<std::vector<std::string>> rows = {
      {"PAYOUT", "STRATEGY", "STATE", "ITEMS", "TOTAL", "PAID (ETH)", "LAST TRANSACTION"}};
  for (const Json::Value& payout : payouts) {
    if (json) {
      out << host_proxy::ToText(payout);
      continue;
    }
    const Json::Value& attempts = payout["attempts"];
    rows.push_back({Text(payout["id"]), Text(payout["strategy"]), Text(payout["state"]),
                    absl::StrCat(payout["items"].size()), EthText(Text(payout["total"])),
                    EthText(Text(payout["paid"])),
                    attempts.empty() ? "-" : Text(attempts[attempts.size() - 1]["tx_hash"])});
  }
  if (!json) PrintTable(rows, out);
  return absl::OkStatus();
}

absl::Status ControlPayouts(const HostClient& host, const std::string& action, std::ostream& out) {
  absl::StatusOr<Json::Value> answer = host.Post("/api/payouts/" + action);
  if (!answer.ok()) return answer.status();
  out << host_proxy::ToText(*answer);
  return absl::OkStatus();
}

absl::Status ReplayDeadLetters(const HostClient& host, std::ostream& out) {
  absl::StatusOr<Json::Value> answer = host.Post("/api/journal/replay-dead-letters");
  if (!answer.ok()) return answer.status();
  out << "lines " << Text((*answer)["lines"]) << ", applied now or before "
      << Text((*answer)["events"]) << ", refused " << Text((*answer)["refused"])
      << ", left in the dead letters " << Text((*answer)["left"]) << "\n";
  return absl::OkStatus();
}

}  // namespace coffer::tools
