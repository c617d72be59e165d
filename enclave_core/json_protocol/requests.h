// Each method's parameters into the body of its frame. What is wrong with them is left in the
// parameters' Problems.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_REQUESTS_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_REQUESTS_H_

#include "enclave_core/json_protocol/fields.h"
#include "enclave_core/json_protocol/json_protocol.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

using boundary::v1::ClientFrame;

// Both profiles.
void ReadAttestation(const Fields& params, ClientFrame* frame, Call* call);
void ReadProvision(const Fields& params, ClientFrame* frame, Call* call);
void ReadGenerate(const Fields& params, ClientFrame* frame, Call* call);
void ReadRotateStateKey(const Fields& params, ClientFrame* frame, Call* call);
void ReadAdoptStateKey(const Fields& params, ClientFrame* frame, Call* call);
void ReadRotateSigningKey(const Fields& params, ClientFrame* frame, Call* call);
void ReadAdoptSigningKey(const Fields& params, ClientFrame* frame, Call* call);
void ReadRetireSigningKey(const Fields& params, ClientFrame* frame, Call* call);
void ReadChangePolicy(const Fields& params, ClientFrame* frame, Call* call);
void ReadLoadState(const Fields& params, ClientFrame* frame, Call* call);
void ReadAuditEvent(const Fields& params, ClientFrame* frame, Call* call);
void ReadAuditStatus(const Fields& params, ClientFrame* frame, Call* call);
void ReadAuditCheckpoint(const Fields& params, ClientFrame* frame, Call* call);

// Signer profile.
void ReadSignTransaction(const Fields& params, ClientFrame* frame, Call* call);
void ReadSignMessageDefunct(const Fields& params, ClientFrame* frame, Call* call);
void ReadSignTicket(const Fields& params, ClientFrame* frame, Call* call);

// Authority profile.
void ReadCredit(const Fields& params, ClientFrame* frame, Call* call);
void ReadApplyDelta(const Fields& params, ClientFrame* frame, Call* call);
void ReadApplyEvent(const Fields& params, ClientFrame* frame, Call* call);
void ReadBalance(const Fields& params, ClientFrame* frame, Call* call);
void ReadPrepareRedeem(const Fields& params, ClientFrame* frame, Call* call);
void ReadPrepareFundDeposit(const Fields& params, ClientFrame* frame, Call* call);
void ReadPreparePayouts(const Fields& params, ClientFrame* frame, Call* call);
void ReadConfirmPayout(const Fields& params, ClientFrame* frame, Call* call);

// A ticket's auxData: 32 bytes of a round, then its block hash. Empty, and a problem, unless it is
// 64 bytes; a round of 2^64 or more is one, too.
struct AuxData {
  uint64_t round = 0;
  std::string block_hash;
};
AuxData ReadAuxData(const Fields& fields, std::string_view name);

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_REQUESTS_H_
