// A policy in JSON: as EIP-712 names its fields (policy, change_policy), and as the parameters of
// provision and generate do.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_POLICY_JSON_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_POLICY_JSON_H_

#include "enclave_core/json_protocol/fields.h"
#include "enclave_core/json_protocol/json_writer.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

// Every field of the type (policy/typed_data.h, kPolicyType) must be there and no other: the admins
// have signed them all. Whether the values make a policy is checked where it is applied.
void ReadPolicy(const Fields& policy, boundary::v1::Policy* out);

// False when none of the policy's parameters is given. With one of them chain_id and ticket_broker
// are needed, and what is absent is as policy.h says: no limit where there can be none, and not
// allowed where the old servers knew nothing of it.
bool ReadPolicyParams(const Fields& params, boundary::v1::Policy* out);

// The inverse of ReadPolicy.
void WritePolicy(const boundary::v1::Policy& policy, JsonWriter* out);

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_POLICY_JSON_H_
