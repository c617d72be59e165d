// The length-prefixed JSON protocol, as the boundary's messages: {"method":"address","params":{}}
// in,
// {"result":{...}} or {"error":{"message":"..."}} out. docs/protocol.md is its reference.
//
// Numbers are exact whatever their size. Duplicate keys, unknown members of the envelope, text
// after the object, invalid UTF-8 and nesting beyond kMaxDepth are refused.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_PROTOCOL_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_PROTOCOL_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

inline constexpr int kMaxDepth = 16;
// Of any request but load_state, which may fill a frame: what parsing one can cost everybody else
// is a few milliseconds. The largest useful ones (128 KiB of data in hex, lists of 10,000
// addresses) are half of it.
inline constexpr size_t kMaxRequestBytes = 1u << 20;

enum class Method {
  kStatus,
  kAddress,
  kAttestation,
  kProvision,
  kGenerate,
  kRotateStateKey,
  kAdoptStateKey,
  kRotateSigningKey,
  kAdoptSigningKey,
  kRetireSigningKey,
  kSignTransaction,
  kSignMessageDefunct,
  kSignTicket,
  kCredit,
  kApplyDelta,
  kApplyEvent,
  kBalance,
  kPrepareRedeem,
  kPrepareFundDeposit,
  kPreparePayouts,
  kConfirmPayout,
  kExportState,
  kLoadState,
  kPolicy,
  kChangePolicy,
  kAuditEvent,
  kAuditStatus,
  kAuditCheckpoint,
};

// A request whose frame is on its way, and what its answer needs besides the frame's.
struct Call {
  Method method = Method::kStatus;
  std::string account;    // balance, credit, apply_delta: the orchestrator_id asked for
  std::string recipient;  // credit, apply_delta: as it was given, 20 bytes
  std::string tx_hash;    // confirm_payout: 32 bytes
};

// Parses one payload (without its length) into the body of `frame`; its request_id is left 0.
// Refused with ERROR_MALFORMED, ERROR_UNKNOWN_METHOD, ERROR_OUT_OF_RANGE (an amount) or
// ERROR_POLICY (audit_event: I9) and a sentence that names the member; secrets
// (aws_*) are never repeated in it. `frame` is empty then.
absl::StatusOr<Call> ParseRequest(std::string_view payload, boundary::v1::ClientFrame* frame);

// The answer's payload, at most 16 MiB: an answer that would be longer is an error that says so.
std::string WriteAnswer(const Call& call, const boundary::v1::ServerFrame& answer);

// {"error":{"message":...,"code":...,"rule":...}}: code is ErrorCode's name in lower case without
// "ERROR_".
std::string WriteError(const boundary::v1::Error& error);

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_PROTOCOL_H_
