// What the JSON protocol says of the transparency log. Field names are the old core's where it had
// one; docs/transparency.md has the leaf.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_AUDIT_ANSWERS_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_AUDIT_ANSWERS_H_

#include "enclave_core/json_protocol/json_writer.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

// Members of `status` and of `audit_status`: null while there is no state.
void WriteAuditMembers(const boundary::v1::Status& status, JsonWriter* out);
// audit_status's members beyond those.
void WriteLogMembers(const boundary::v1::AuditState& audit, JsonWriter* out);
void WriteCheckpointMembers(const boundary::v1::AuditCheckpoint& checkpoint, JsonWriter* out);
// One entry as an object. Amounts in it are strings, as the old core's entries have them.
void WriteAuditEntry(const boundary::v1::AuditEntry& entry, JsonWriter* out);

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_AUDIT_ANSWERS_H_
