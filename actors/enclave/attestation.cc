// What the authority's actor has attested: who it is, under which policy, with which log.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/enclave/authority_actor.h"
#include "enclave_core/error.h"

namespace coffer::enclave {

namespace {

constexpr size_t kMaxAttestedNonceBytes = 32;  // docs/protocol.md; a device would take more

}  // namespace

absl::Status AuthorityActor::CheckAttestation(const boundary::v1::GetAttestation& request) const {
  if (request.nonce().size() > kMaxAttestedNonceBytes) {
    return Refuse(boundary::v1::ERROR_MALFORMED,
                  absl::StrCat("nonce has ", request.nonce().size(), " bytes; at most ",
                               kMaxAttestedNonceBytes, " are allowed"));
  }
  if (!boundary::v1::AttestedKey_IsValid(request.public_key())) {
    return Refuse(boundary::v1::ERROR_MALFORMED, "this version knows no such kind of public key");
  }
  return absl::OkStatus();
}

// Without a policy while no state is loaded: the one that was sealed is not known then.
attestation::UserData AuthorityActor::Claims() const {
  attestation::UserData claims;
  claims.profile = options_.profile == boundary::v1::PROFILE_SIGNER ? attestation::Profile::kSigner
                                                                    : attestation::Profile::kCore;
  claims.address = options_.address;
  claims.audit_address = log_keys_.audit_address();
  claims.log_key = log_keys_.log_key();
  if (authority_ != nullptr) claims.policy_hash = authority_->policy_hash();
  return claims;
}

// The answer goes the way of every answer where a state is loaded, so that no policy is attested
// that a crash can take back (I5). Before, it waits for nothing: a host wants to know whom it
// loads.
void AuthorityActor::HandleAttestation(const Request& request) {
  auto answer = std::make_unique<ServerFrame>();
  const boundary::v1::GetAttestation& asked = request.frame->get_attestation();
  if (absl::Status checked = CheckAttestation(asked); !checked.ok()) {
    ToProto(checked, answer->mutable_error());
    return AnswerNow(request.reply, std::move(answer));
  }
  answer->mutable_attestation()->set_kind(options_.attestation);
  if (options_.attestation == boundary::v1::ATTESTATION_KIND_NONE) {
    return AnswerNow(request.reply, std::move(answer));  // without a document
  }
  answer->set_request_id(request.reply.request_id);
  auto order = std::make_unique<AttestationOrder>(
      AttestationOrder{Claims(), asked.nonce(), asked.public_key()});
  Answer attested{request.reply, std::move(answer), std::move(order)};
  if (authority_ == nullptr) return sealer_->Send(std::move(attested));
  Work work;
  work.answers.push_back(std::move(attested));
  sealer_->Send(std::move(work));
}

}  // namespace coffer::enclave
