#include "actors/host/log/leaf_json.h"

#include <optional>
#include <sstream>

#include "absl/numeric/int128.h"
#include "absl/time/time.h"
#include "actors/host/json_text.h"
#include "enclave_core/audit/tree.h"

namespace coffer::host {
namespace {

// The last millisecond of the year 9999.
constexpr uint64_t kLastMillisecond = 253'402'300'799'999;

Json::Value Number(uint64_t value) { return Json::Value(static_cast<Json::UInt64>(value)); }

template <typename Int128>
std::string Decimal(Int128 value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

void AddHash(Json::Value& json, const char* name, const std::optional<audit::Hash>& hash) {
  if (hash.has_value()) json[name] = hash->ToHex();
}

// An id that is no text, which JSON cannot hold, is given as hex under another name.
void AddText(Json::Value& json, const std::string& name, const std::string& text) {
  if (text.empty()) return;
  if (IsUtf8(text)) {
    json[name] = text;
  } else {
    json[name + "_hex"] = ethereum::ToHex(text);
  }
}

}  // namespace

std::string Rfc3339(uint64_t ms_since_1970) {
  if (ms_since_1970 > kLastMillisecond) return "";
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E3SZ",
                          absl::FromUnixMillis(static_cast<int64_t>(ms_since_1970)),
                          absl::UTCTimeZone());
}

Json::Value LeafJson(const audit::Leaf& leaf, std::string_view bytes) {
  Json::Value json;
  json["schema"] = kLeafSchema;
  json["seq"] = Number(leaf.sequence + 1);
  json["leaf_index"] = Number(leaf.sequence);
  const std::string time = Rfc3339(leaf.claimed_time);
  if (!time.empty()) json["timestamp"] = time;
  json["kind"] = std::string(audit::KindName(leaf.kind));
  AddText(json, "event_id", leaf.event_id);
  if (leaf.payout.has_value()) json["payout_id"] = Number(*leaf.payout);
  if (leaf.item.has_value()) json["item"] = *leaf.item;
  AddText(json, "orchestrator_id", leaf.account);
  if (leaf.recipient.has_value()) json["recipient"] = ethereum::ToChecksum(*leaf.recipient);
  if (leaf.balances.has_value()) {
    json["delta_wei"] = Decimal(leaf.balances->delta);
    json["balance_wei"] = Decimal(leaf.balances->available);
    json["reserved_wei"] = Decimal(leaf.balances->reserved);
    json["paid_wei"] = Decimal(leaf.balances->paid);
  }
  if (leaf.amount.has_value()) json["amount_wei"] = Decimal(*leaf.amount);
  AddHash(json, "tx_hash", leaf.tx_hash);
  AddHash(json, "ticket_hash", leaf.ticket_hash);
  AddHash(json, "content_hash", leaf.content_hash);
  AddHash(json, "digest", leaf.digest);
  if (leaf.hosts_word) json["hosts_word"] = true;
  json["leaf"] = ethereum::ToHex(bytes);
  json["entry_hash"] = audit::LeafHash(bytes).ToHex();
  return json;
}

}  // namespace coffer::host
