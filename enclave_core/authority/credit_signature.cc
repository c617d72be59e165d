#include "enclave_core/authority/credit_signature.h"

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::authority {

using boundary::v1::ERROR_SIGNATURE;
using boundary::v1::Event;
using ethereum::Hash;
using ethereum::Signature;
using ethereum::U256;

namespace {

// Encodings are hashed in pieces of about so many bytes: a call of OpenSSL for each of an event's
// fields would cost as much as the hashing, and a buffer for the whole request up to a frame.
constexpr size_t kHashedAtOnce = 4096;

template <typename Integer>
void AppendInteger(Integer value, std::string* out) {
  char bytes[sizeof(Integer)];
  for (size_t i = 0; i < sizeof(Integer); ++i) {
    bytes[i] = static_cast<char>(value >> (8 * (sizeof(Integer) - 1 - i)));
  }
  out->append(bytes, sizeof(Integer));
}

void AppendWithLength(std::string_view bytes, std::string* out) {
  AppendInteger(static_cast<uint32_t>(bytes.size()), out);
  out->append(bytes);
}

void AppendEncoding(const Event& event, std::string* out) {
  AppendInteger(static_cast<uint32_t>(event.kind()), out);
  AppendInteger(event.amount().high(), out);
  AppendInteger(event.amount().low(), out);
  AppendWithLength(event.recipient(), out);
  AppendWithLength(event.account(), out);
  AppendWithLength(event.id(), out);
  AppendWithLength(event.content_hash(), out);
}

bool IsReporters(const policy::Policy& policy, const Hash& digest, const Signature& signature) {
  const absl::StatusOr<ethereum::Address> signer =
      ethereum::RecoverAddress(ethereum::Eip191Hash(digest.view()), signature);
  return signer.ok() && *signer == policy.credit_reporter && !signer->IsZero();
}

}  // namespace

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

Hash CreditBatchDigest(const boundary::v1::ApplyEvents& request) {
  audit::Sha256Stream sha256;
  std::string encoding;
  for (const Event& event : request.events()) {
    AppendEncoding(event, &encoding);
    if (encoding.size() < kHashedAtOnce) continue;
    sha256.Append(encoding);
    encoding.clear();
  }
  sha256.Append(encoding);
  std::string packed = "coffer:credit-batch:v1";
  AppendInteger(static_cast<uint64_t>(request.events_size()), &packed);
  packed.append(sha256.Finish().view());
  return ethereum::Keccak256(packed);
}

absl::StatusOr<bool> CheckBatchSignature(const policy::Policy& policy,
                                         const boundary::v1::ApplyEvents& request) {
  if (request.batch_signature().empty() || policy.credit_reporter.IsZero()) return false;
  const absl::StatusOr<Signature> signature = Signature::FromBytes65(request.batch_signature());
  if (!signature.ok()) {
    return Refuse(ERROR_SIGNATURE, absl::StrCat("the signature of the batch is none: ",
                                                signature.status().message()));
  }
  if (IsReporters(policy, CreditBatchDigest(request), *signature)) return true;
  return Refuse(ERROR_SIGNATURE,
                absl::StrCat("the signature of the batch is not of the policy's credit_reporter ",
                             ethereum::ToChecksum(policy.credit_reporter),
                             " over exactly these events in this order"));
}

absl::Status CheckCreditSignature(const policy::Policy& policy, const Event& event,
                                  bool batch_signed) {
  if (event.signature().empty()) {
    if (batch_signed || !policy.require_credit_signature) return absl::OkStatus();
    return Refuse(ERROR_SIGNATURE,
                  absl::StrCat("the event \"", event.id(),
                               "\" has no signature, and the policy's require_credit_signature "
                               "wants one of ",
                               ethereum::ToChecksum(policy.credit_reporter)));
  }
  if (policy.credit_reporter.IsZero() && !policy.require_credit_signature) return absl::OkStatus();
  const absl::StatusOr<Signature> signature = Signature::FromBytes65(event.signature());
  if (!signature.ok()) {
    return Refuse(ERROR_SIGNATURE, absl::StrCat("the signature of the event \"", event.id(),
                                                "\" is none: ", signature.status().message()));
  }
  if (IsReporters(policy, CreditDigest(event), *signature)) return absl::OkStatus();
  return Refuse(ERROR_SIGNATURE, absl::StrCat("the signature of the event \"", event.id(),
                                              "\" is not of the policy's credit_reporter ",
                                              ethereum::ToChecksum(policy.credit_reporter),
                                              " over this account, recipient, amount and id"));
}

}  // namespace coffer::authority
