// The transparency log's answers as JSON, with the field names of the public backend whose users
// come here (docs/transparency.md, "Reading it over HTTP").
#ifndef COFFER_HOST_PROXY_API_LOG_JSON_H_
#define COFFER_HOST_PROXY_API_LOG_JSON_H_

#include <json/value.h>

#include <cstdint>
#include <string>

#include "actors/host/log/log_view.h"
#include "proto/boundary.pb.h"

namespace coffer::host_proxy {

// The published head: {origin, size, root, checkpoint (the note), log_key_id, cosigners}, and seq,
// head_hash and merkle_root as other names of size and root.
Json::Value PublishedJson(const host::PublishedHead& head);
// A head that the enclave signed for a chain.
Json::Value CheckpointJson(const boundary::v1::AuditCheckpoint& checkpoint,
                           const std::string& log_key);
// What the enclave says of its log: audit_address, audit_seq, ..., null while it says nothing.
// `published` may be null.
Json::Value AuditStatusJson(const boundary::v1::AuditState* state,
                            const host::PublishedHead* published);
Json::Value ProofJson(const host::ProvenLeaf& proven);
Json::Value ReceiptJson(const host::ProvenLeaf& proven, const std::string& receipt);
Json::Value PageJson(const host::LeafPage& page, const host::LeafQuery& query);
// ["0x...", ...]
Json::Value HashesJson(const audit::Proof& hashes);

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_API_LOG_JSON_H_
