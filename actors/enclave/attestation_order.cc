#include "actors/enclave/attestation_order.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"

namespace coffer::enclave {
namespace {

using boundary::v1::ERROR_MALFORMED;

constexpr size_t kMaxAttestedNonceBytes = 32;  // docs/protocol.md; a device would take more

absl::Status Check(const boundary::v1::GetAttestation& request) {
  if (request.nonce().size() > kMaxAttestedNonceBytes) {
    return Refuse(ERROR_MALFORMED,
                  absl::StrCat("nonce has ", request.nonce().size(), " bytes; at most ",
                               kMaxAttestedNonceBytes, " are allowed"));
  }
  if (!boundary::v1::AttestedKey_IsValid(request.public_key())) {
    return Refuse(ERROR_MALFORMED, "this version knows no such kind of public key");
  }
  return absl::OkStatus();
}

}  // namespace

attestation::Profile ProfileOf(boundary::v1::Profile profile) {
  return profile == boundary::v1::PROFILE_SIGNER ? attestation::Profile::kSigner
                                                 : attestation::Profile::kCore;
}

Answer OrderAttestation(const Request& request, boundary::v1::AttestationKind kind,
                        const attestation::UserData& claims) {
  const boundary::v1::GetAttestation& asked = request.frame->get_attestation();
  Answer answer{request.reply, std::make_unique<boundary::v1::ServerFrame>()};
  answer.frame->set_request_id(request.reply.request_id);
  if (absl::Status checked = Check(asked); !checked.ok()) {
    ToProto(checked, answer.frame->mutable_error());
    return answer;
  }
  answer.frame->mutable_attestation()->set_kind(kind);
  if (kind == boundary::v1::ATTESTATION_KIND_NONE) return answer;
  answer.order = std::make_unique<AttestationOrder>(
      AttestationOrder{claims, asked.nonce(), asked.public_key()});
  return answer;
}

}  // namespace coffer::enclave
