#include "enclave_core/json_protocol/audit_answers.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::json_protocol {
namespace {

constexpr std::string_view kLeafSchema = "coffer-audit:leaf:v1";
constexpr std::string_view kCheckpointSchema = "coffer-audit:checkpoint:v1";

// RFC 3339, in UTC.
std::string Timestamp(uint64_t milliseconds) {
  constexpr uint64_t kYear10000 = 253'402'300'800'000;
  if (milliseconds >= kYear10000) return absl::StrCat(milliseconds, " ms since 1970");
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ",
                          absl::FromUnixMillis(static_cast<int64_t>(milliseconds)),
                          absl::UTCTimeZone());
}

std::string Decimal(ledger::Wei value) { return ledger::ToDecimal(value); }
std::string Decimal(absl::int128 value) {
  return value < 0 ? absl::StrCat("-", ledger::ToDecimal(absl::uint128(-value)))
                   : ledger::ToDecimal(absl::uint128(value));
}

void HashMember(std::string_view key, const std::optional<audit::Hash>& hash, JsonWriter* out) {
  if (hash.has_value()) out->HexMember(key, hash->view());
}

void WriteLeaf(const audit::Leaf& leaf, JsonWriter* out) {
  out->TextMember("timestamp", Timestamp(leaf.claimed_time));
  out->TextMember("kind", audit::KindName(leaf.kind));
  if (!leaf.event_id.empty()) out->TextMember("event_id", leaf.event_id);
  if (leaf.payout.has_value()) out->Member("payout_id", *leaf.payout);
  if (leaf.item.has_value()) out->Member("item", *leaf.item);
  if (!leaf.account.empty()) out->TextMember("orchestrator_id", leaf.account);
  if (leaf.recipient.has_value()) {
    out->Key("recipient");
    out->Checksummed(leaf.recipient->view());
  }
  if (leaf.balances.has_value()) {
    out->TextMember("delta_wei", Decimal(leaf.balances->delta));
    out->TextMember("balance_wei", Decimal(leaf.balances->available));
    out->TextMember("reserved_wei", Decimal(leaf.balances->reserved));
    out->TextMember("paid_wei", Decimal(leaf.balances->paid));
  }
  if (leaf.amount.has_value()) out->TextMember("amount_wei", Decimal(*leaf.amount));
  HashMember("tx_hash", leaf.tx_hash, out);
  HashMember("ticket_hash", leaf.ticket_hash, out);
  HashMember("content_hash", leaf.content_hash, out);
  HashMember("digest", leaf.digest, out);
  if (leaf.hosts_word) out->Member("hosts_word", true);
}

}  // namespace

void WriteAuditMembers(const boundary::v1::Status& status, JsonWriter* out) {
  const boundary::v1::AuditState& audit = status.audit();
  out->Key("audit_address");
  if (audit.audit_address().empty()) {
    out->Null();
  } else {
    out->Checksummed(audit.audit_address());
  }
  out->Key("audit_seq");
  if (status.has_audit()) {
    out->Uint(audit.size());
  } else {
    out->Null();
  }
  out->HexMember("audit_head_hash", audit.head());
  out->HexMember("audit_merkle_root", audit.root());
}

void WriteLogMembers(const boundary::v1::AuditState& audit, JsonWriter* out) {
  // What the chain's statement commits to is the tree's root.
  out->HexMember("audit_checkpoint_head_hash", audit.root());
  out->TextMember("log_key", audit.log_key());
}

void WriteCheckpointMembers(const boundary::v1::AuditCheckpoint& checkpoint, JsonWriter* out) {
  out->TextMember("schema", kCheckpointSchema);
  out->Key("audit_address");
  out->Checksummed(checkpoint.audit_address());
  out->Member("chain_id", checkpoint.chain_id());
  out->Key("contract_address");
  out->Checksummed(checkpoint.registry());
  out->Member("seq", checkpoint.size());
  out->HexMember("head_hash", checkpoint.root());
  out->HexMember("chain_head_hash", checkpoint.head());
  out->HexMember("merkle_root", checkpoint.root());
  out->HexMember("message_hash", checkpoint.digest());
  out->HexMember("signature", checkpoint.signature());
  out->TextMember("timestamp", Timestamp(checkpoint.claimed_time()));
  out->TextMember("checkpoint", checkpoint.note());
}

void WriteAuditEntry(const boundary::v1::AuditEntry& entry, JsonWriter* out) {
  out->BeginObject();
  out->TextMember("schema", kLeafSchema);
  out->Member("seq", entry.leaf_index() + 1);
  out->Member("leaf_index", entry.leaf_index());
  const absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(entry.leaf());
  if (leaf.ok()) WriteLeaf(*leaf, out);
  out->HexMember("entry_hash", audit::LeafHash(entry.leaf()).view());
  out->HexMember("leaf", entry.leaf());
  if (!entry.signature().empty()) out->HexMember("signature", entry.signature());
  out->EndObject();
}

}  // namespace coffer::json_protocol
