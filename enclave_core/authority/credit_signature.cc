#include "enclave_core/authority/credit_signature.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::authority {

using boundary::v1::ERROR_SIGNATURE;
using boundary::v1::Event;
using ethereum::Hash;
using ethereum::U256;

Hash CreditDigest(const Event& event) {
  // An adjustment downwards is an int256 in two's complement; U256 wraps as the EVM does.
  const U256 magnitude = ledger::ToU256(ledger::FromProto(event.amount()));
  const U256 amount = event.kind() == Event::KIND_ADJUST_DOWN ? U256(0) - magnitude : magnitude;
  std::string packed = event.kind() == Event::KIND_CREDIT ? "payments-tee-core:credit:v1"
                                                          : "payments-tee-core:delta:v1";
  packed.append(ethereum::Keccak256(event.account()).view());
  packed.append(event.recipient());
  packed.append(ethereum::ToBytes32(amount));
  packed.append(ethereum::Keccak256(event.id()).view());
  return ethereum::Keccak256(packed);
}

absl::Status CheckCreditSignature(const policy::Policy& policy, const Event& event) {
  if (event.signature().empty()) {
    if (!policy.require_credit_signature) return absl::OkStatus();
    return Refuse(ERROR_SIGNATURE,
                  absl::StrCat("the event \"", event.id(),
                               "\" has no signature, and the policy's require_credit_signature "
                               "wants one of ",
                               ethereum::ToChecksum(policy.credit_reporter)));
  }
  if (policy.credit_reporter.IsZero() && !policy.require_credit_signature) return absl::OkStatus();
  const absl::StatusOr<ethereum::Signature> signature =
      ethereum::Signature::FromBytes65(event.signature());
  if (!signature.ok()) {
    return Refuse(ERROR_SIGNATURE, absl::StrCat("the signature of the event \"", event.id(),
                                                "\" is none: ", signature.status().message()));
  }
  const absl::StatusOr<ethereum::Address> signer =
      ethereum::RecoverAddress(ethereum::Eip191Hash(CreditDigest(event).view()), *signature);
  if (signer.ok() && *signer == policy.credit_reporter && !signer->IsZero()) {
    return absl::OkStatus();
  }
  return Refuse(ERROR_SIGNATURE, absl::StrCat("the signature of the event \"", event.id(),
                                              "\" is not of the policy's credit_reporter ",
                                              ethereum::ToChecksum(policy.credit_reporter),
                                              " over this account, recipient, amount and id"));
}

}  // namespace coffer::authority
