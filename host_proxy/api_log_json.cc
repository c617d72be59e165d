#include "host_proxy/api_log_json.h"

#include "actors/host/log/leaf_json.h"
#include "enclave_core/audit/note.h"
#include "host_proxy/api_json.h"

namespace coffer::host_proxy {
namespace {

constexpr char kEntrySchema[] = "coffer-host:transparency-log:v1";

Json::Value EntryJson(const host::LogLeaf& leaf) { return host::LeafJson(leaf.leaf, leaf.bytes); }

}  // namespace

Json::Value HashesJson(const audit::Proof& hashes) {
  Json::Value json(Json::arrayValue);
  for (const audit::Hash& hash : hashes) json.append(hash.ToHex());
  return json;
}

Json::Value PublishedJson(const host::PublishedHead& head) {
  const std::string root = head.checkpoint.root.ToHex();
  Json::Value json;
  json["origin"] = head.checkpoint.origin;
  json["size"] = Number(head.checkpoint.size);
  json["root"] = root;
  json["seq"] = Number(head.checkpoint.size);
  json["head_hash"] = root;
  json["merkle_root"] = root;
  json["checkpoint"] = head.note;
  json["log_key_id"] = head.log_key_id;
  json["cosigners"] = Json::Value(Json::arrayValue);
  for (const std::string& name : head.cosigners) json["cosigners"].append(name);
  return json;
}

Json::Value CheckpointJson(const boundary::v1::AuditCheckpoint& checkpoint,
                           const std::string& log_key) {
  Json::Value json;
  json["schema"] = "coffer-audit:checkpoint:v1";
  json["audit_address"] = AddressText(checkpoint.audit_address());
  json["chain_id"] = Number(checkpoint.chain_id());
  json["contract_address"] = AddressText(checkpoint.registry());
  json["seq"] = Number(checkpoint.size());
  json["head_hash"] = Hex(checkpoint.root());
  json["chain_head_hash"] = Hex(checkpoint.head());
  json["merkle_root"] = Hex(checkpoint.root());
  json["message_hash"] = Hex(checkpoint.digest());
  json["signature"] = Hex(checkpoint.signature());
  const std::string time = host::Rfc3339(checkpoint.claimed_time());
  json["timestamp"] = time.empty() ? Json::Value() : Json::Value(time);
  json["checkpoint"] = checkpoint.note();
  json["log_key"] = log_key.empty() ? Json::Value() : Json::Value(log_key);
  return json;
}

Json::Value AuditStatusJson(const boundary::v1::AuditState* state,
                            const host::PublishedHead* published) {
  Json::Value json;
  for (const char* name : {"audit_address", "audit_seq", "audit_head_hash", "audit_merkle_root",
                           "audit_checkpoint_head_hash", "log_origin", "log_key"}) {
    json[name] = Json::Value();
  }
  if (published != nullptr) json["log_origin"] = published->checkpoint.origin;
  if (state == nullptr) return json;
  json["audit_address"] = AddressText(state->audit_address());
  json["audit_seq"] = Number(state->size());
  json["audit_head_hash"] = Hex(state->head());
  json["audit_merkle_root"] = Hex(state->root());
  // What a checkpoint commits to is the tree's root, as in the JSON protocol's audit_status.
  json["audit_checkpoint_head_hash"] = json["audit_merkle_root"];
  json["log_key"] = state->log_key();
  const absl::StatusOr<audit::VerifierKey> key = audit::VerifierKey::Parse(state->log_key());
  if (key.ok()) json["log_origin"] = key->name();
  return json;
}

Json::Value ProofJson(const host::ProvenLeaf& proven) {
  Json::Value json;
  json["checkpoint"] = PublishedJson(*proven.head);
  json["audit_entry"] = EntryJson(proven.leaf);
  json["leaf_index"] = Number(proven.leaf.index);
  json["tree_size"] = Number(proven.head->checkpoint.size);
  json["proof"] = HashesJson(proven.proof);
  for (const uint64_t leaf : proven.leaves) json["payout_leaves"].append(Number(leaf));
  return json;
}

Json::Value ReceiptJson(const host::ProvenLeaf& proven, const std::string& receipt) {
  Json::Value json;
  json["audit_entry"] = EntryJson(proven.leaf);
  if (json["audit_entry"].isMember("event_id")) {
    json["event_id"] = json["audit_entry"]["event_id"];
  }
  json["leaf_index"] = Number(proven.leaf.index);
  json["receipt"] = receipt;
  json["checkpoint"] = PublishedJson(*proven.head);
  for (const uint64_t leaf : proven.leaves) json["payout_leaves"].append(Number(leaf));
  return json;
}

Json::Value PageJson(const host::LeafPage& page, const host::LeafQuery& query) {
  Json::Value json;
  json["entries"] = Json::Value(Json::arrayValue);
  for (const host::LogLeaf& leaf : page.leaves) {
    Json::Value entry;
    entry["schema"] = kEntrySchema;
    entry["audit_entry"] = EntryJson(leaf);
    json["entries"].append(std::move(entry));
  }
  json["total"] = Number(page.total);
  json["offset"] = Number(query.offset);
  json["tree_size"] = Number(page.head->checkpoint.size);
  if (!query.account.empty()) json["indexed"] = Number(page.indexed);
  return json;
}

}  // namespace coffer::host_proxy
