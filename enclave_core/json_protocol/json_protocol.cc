#include "enclave_core/json_protocol/json_protocol.h"

#include <string>
#include <string_view>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/credentials.h"
#include "enclave_core/error.h"
#include "enclave_core/json_protocol/fields.h"
#include "enclave_core/json_protocol/json_value.h"
#include "enclave_core/json_protocol/requests.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ERROR_UNKNOWN_METHOD;

void ReadStatus(const Fields& /*params*/, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_status()->set_want_ledger_root(true);
}
void ReadAddress(const Fields& /*params*/, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_status();
}
void ReadExportState(const Fields& /*params*/, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_export_state();
}
void ReadGetPolicy(const Fields& /*params*/, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_get_policy();
}

struct Entry {
  std::string_view name;
  Method method;
  void (*read)(const Fields& params, ClientFrame* frame, Call* call);
};

constexpr Entry kMethods[] = {
    {"sign_transaction", Method::kSignTransaction, ReadSignTransaction},
    {"sign_message_defunct", Method::kSignMessageDefunct, ReadSignMessageDefunct},
    {"sign_ticket", Method::kSignTicket, ReadSignTicket},
    {"credit", Method::kCredit, ReadCredit},
    {"apply_delta", Method::kApplyDelta, ReadApplyDelta},
    {"apply_event", Method::kApplyEvent, ReadApplyEvent},
    {"balance", Method::kBalance, ReadBalance},
    {"livepeer_prepare_redeem_tx", Method::kPrepareRedeem, ReadPrepareRedeem},
    {"livepeer_prepare_fund_deposit_tx", Method::kPrepareFundDeposit, ReadPrepareFundDeposit},
    {"prepare_payouts", Method::kPreparePayouts, ReadPreparePayouts},
    {"confirm_payout", Method::kConfirmPayout, ReadConfirmPayout},
    {"status", Method::kStatus, ReadStatus},
    {"address", Method::kAddress, ReadAddress},
    {"attestation", Method::kAttestation, ReadAttestation},
    {"provision", Method::kProvision, ReadProvision},
    {"generate", Method::kGenerate, ReadGenerate},
    {"rotate_state_key", Method::kRotateStateKey, ReadRotateStateKey},
    {"adopt_state_key", Method::kAdoptStateKey, ReadAdoptStateKey},
    {"rotate_signing_key", Method::kRotateSigningKey, ReadRotateSigningKey},
    {"adopt_signing_key", Method::kAdoptSigningKey, ReadAdoptSigningKey},
    {"retire_signing_key", Method::kRetireSigningKey, ReadRetireSigningKey},
    {"export_state", Method::kExportState, ReadExportState},
    {"load_state", Method::kLoadState, ReadLoadState},
    {"policy", Method::kPolicy, ReadGetPolicy},
    {"change_policy", Method::kChangePolicy, ReadChangePolicy},
    {"audit_event", Method::kAuditEvent, ReadAuditEvent},
    {"audit_status", Method::kAuditStatus, ReadAuditStatus},
    {"audit_checkpoint", Method::kAuditCheckpoint, ReadAuditCheckpoint},
};

const Entry* FindMethod(std::string_view name) {
  for (const Entry& entry : kMethods) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

absl::StatusOr<Call> ReadRequest(const Value& root, ClientFrame* frame) {
  Value no_params;
  no_params.kind = Value::Kind::kObject;
  Problems problems;
  const Fields envelope(root, {}, &problems);
  const Value* method = nullptr;
  const Value* params = &no_params;
  for (const Value* member = root.first; member != nullptr; member = member->next) {
    if (member->key == "method") {
      method = member;
    } else if (member->key != "params") {
      return Refuse(ERROR_MALFORMED, absl::StrCat("a request has `method` and `params` and no `",
                                                  std::string(member->key.substr(0, 64)), "`"));
    } else if (member->kind != Value::Kind::kNull) {
      params = member;
    }
  }
  if (method == nullptr || method->kind != Value::Kind::kString) {
    return Refuse(ERROR_MALFORMED, "`method` is missing, or is not a string");
  }
  if (params->kind != Value::Kind::kObject) {
    return Refuse(ERROR_MALFORMED, "`params` must be an object");
  }
  const Entry* const entry = FindMethod(method->text);
  if (entry == nullptr) {
    return Refuse(ERROR_UNKNOWN_METHOD,
                  absl::StrCat("unknown method `", std::string(method->text.substr(0, 64)), "`"));
  }
  Call call;
  call.method = entry->method;
  entry->read(Fields(*params, {}, &problems), frame, &call);
  if (absl::Status status = problems.status(); !status.ok()) return status;
  return call;
}

absl::Status TooLong(size_t bytes) {
  return Refuse(ERROR_MALFORMED, absl::StrCat("a request of ", bytes, " bytes; at most ",
                                              kMaxRequestBytes, " are read, but for load_state"));
}

// Clients write the method before or behind the parameters; what lies between is not searched.
bool NamesLoadState(std::string_view payload) {
  constexpr size_t kEnds = 256;
  constexpr std::string_view kName = "\"load_state\"";
  return payload.substr(0, kEnds).find(kName) != std::string_view::npos ||
         payload.substr(payload.size() - kEnds).find(kName) != std::string_view::npos;
}

}  // namespace

absl::StatusOr<Call> ParseRequest(std::string_view payload, ClientFrame* frame) {
  thread_local Document document;
  frame->Clear();
  const bool large = payload.size() > kMaxRequestBytes;
  if (large && !NamesLoadState(payload)) return TooLong(payload.size());
  const absl::Cleanup wipe = [] { document.Clear(); };
  const absl::StatusOr<const Value*> root = document.Parse(payload);
  if (!root.ok()) return Refuse(ERROR_MALFORMED, root.status().message());
  absl::StatusOr<Call> call = ReadRequest(**root, frame);
  if (call.ok() && large && call->method != Method::kLoadState) call = TooLong(payload.size());
  if (!call.ok()) {
    WipeCredentials(frame);
    frame->Clear();
  }
  return call;
}

}  // namespace coffer::json_protocol
