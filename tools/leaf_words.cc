#include "tools/leaf_words.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "tools/ledger_rules.h"

namespace coffer::tools {

using audit::Leaf;
using audit::LeafKind;

namespace {

std::string When(uint64_t milliseconds) {
  // 9999-12-31: a year of more digits is no time that anybody meant.
  constexpr uint64_t kLast = 253'402'300'799'999;
  if (milliseconds > kLast) return absl::StrCat(milliseconds, " ms after 1970");
  return absl::FormatTime("%Y-%m-%d %H:%M:%E3S UTC",
                          absl::FromUnixMillis(static_cast<int64_t>(milliseconds)),
                          absl::UTCTimeZone());
}

std::string Who(const Leaf& leaf) {
  if (!leaf.recipient) return leaf.account;
  return absl::StrCat(leaf.account, leaf.account.empty() ? "" : " ", "(",
                      ethereum::ToChecksum(*leaf.recipient), ")");
}

std::string Change(const Leaf& leaf) {
  const absl::int128 delta = leaf.balances ? leaf.balances->delta : 0;
  return WeiText(delta < 0 ? absl::uint128(0) - absl::uint128(delta) : absl::uint128(delta));
}

std::string Item(const Leaf& leaf) {
  std::string out = leaf.item ? absl::StrCat("item ", *leaf.item, " of ") : "";
  return absl::StrCat(out, "payout ", leaf.payout.value_or(0));
}

std::string What(const Leaf& leaf) {
  switch (leaf.kind) {
    case LeafKind::kGenesis:
      return absl::StrCat("the log of the signing key ", ethereum::ToChecksum(*leaf.recipient),
                          " began");
    case LeafKind::kAccountOpened:
      return absl::StrCat("the account ", Who(leaf), " was opened, its recipient fixed for ever");
    case LeafKind::kCredit:
      return absl::StrCat(Who(leaf), " was credited ", Change(leaf), " wei by the event ",
                          leaf.event_id);
    case LeafKind::kAdjustUp:
    case LeafKind::kAdjustDown:
      return absl::StrCat(Who(leaf), " was corrected by ", DeltaText(leaf.balances->delta),
                          " wei by the event ", leaf.event_id);
    case LeafKind::kPayoutReserved:
      return absl::StrCat(Change(leaf), " wei of ", Who(leaf), " were put aside for ", Item(leaf));
    case LeafKind::kPayoutSigned:
      return absl::StrCat("the transaction ", leaf.tx_hash->ToHex(), " was signed for ",
                          Item(leaf));
    case LeafKind::kTicketSigned:
      return absl::StrCat("the ticket ", leaf.ticket_hash->ToHex(), " was signed for ", Item(leaf),
                          leaf.account.empty() ? "" : " to ", Who(leaf));
    case LeafKind::kItemPaid:
      return absl::StrCat(Who(leaf), " was paid ", WeiText(*leaf.amount), " wei as ", Item(leaf),
                          " by the transaction ", leaf.tx_hash->ToHex(),
                          leaf.hosts_word ? " (the host's word: no proof was seen)" : "");
    case LeafKind::kItemVoided:
      return absl::StrCat(Item(leaf), " was void: ", Change(leaf), " wei came back to ", Who(leaf));
    case LeafKind::kPayoutReverted:
      return absl::StrCat("the receipt of ", leaf.tx_hash->ToHex(), " for ", Item(leaf),
                          " was taken back by the chain");
    case LeafKind::kFunding:
      return absl::StrCat(WeiText(*leaf.amount), " wei for the broker, as ", Item(leaf));
    case LeafKind::kPolicyChanged:
      return absl::StrCat("the policy became the one whose hash is ", leaf.content_hash->ToHex());
    case LeafKind::kSigningKeyAdded:
      return absl::StrCat("the signing key of ", ethereum::ToChecksum(*leaf.recipient),
                          " signs what is new; the one before it drains");
    case LeafKind::kSigningKeyRetired:
      return absl::StrCat("the signing key of ", ethereum::ToChecksum(*leaf.recipient),
                          " was retired and signs nothing any more");
    case LeafKind::kSignature:
      return absl::StrCat("the digest ", leaf.digest->ToHex(), " was signed");
    default:
      return absl::StrCat(std::string(audit::KindName(leaf.kind)), " of ", Who(leaf));
  }
}

}  // namespace

std::string LeafWords(const Leaf& leaf) {
  std::string out = absl::StrCat("leaf ", leaf.sequence, ": ", What(leaf));
  if (leaf.balances) {
    absl::StrAppend(&out, "; after it ", WeiText(leaf.balances->available), " wei available, ",
                    WeiText(leaf.balances->reserved), " reserved, ", WeiText(leaf.balances->paid),
                    " paid");
  }
  return absl::StrCat(out, "; at ", When(leaf.claimed_time), ", as the host's clock claims");
}

Json::Value LeafJson(const Leaf& leaf) {
  Json::Value json;
  json["sequence"] = Json::Value(static_cast<Json::UInt64>(leaf.sequence));
  json["claimed_time"] = Json::Value(static_cast<Json::UInt64>(leaf.claimed_time));
  json["kind"] = std::string(audit::KindName(leaf.kind));
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) json[name] = Printable(value);
  };
  const auto hex = [&](const char* name, const auto& value) {
    if (value) json[name] = value->ToHex();
  };
  text("event_id", leaf.event_id);
  if (leaf.payout) json["payout"] = Json::Value(static_cast<Json::UInt64>(*leaf.payout));
  if (leaf.item) json["item"] = *leaf.item;
  text("account", leaf.account);
  if (leaf.recipient) json["recipient"] = ethereum::ToChecksum(*leaf.recipient);
  if (leaf.balances) {
    const std::string delta = DeltaText(leaf.balances->delta);
    json["delta"] = delta[0] == '+' ? delta.substr(1) : delta;
    json["available"] = WeiText(leaf.balances->available);
    json["reserved"] = WeiText(leaf.balances->reserved);
    json["paid"] = WeiText(leaf.balances->paid);
  }
  if (leaf.amount) json["amount"] = WeiText(*leaf.amount);
  hex("tx_hash", leaf.tx_hash);
  hex("ticket_hash", leaf.ticket_hash);
  hex("content_hash", leaf.content_hash);
  hex("digest", leaf.digest);
  if (leaf.hosts_word) json["hosts_word"] = true;
  return json;
}

}  // namespace coffer::tools
