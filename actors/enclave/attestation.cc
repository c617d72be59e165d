// What the authority's actor has attested: who it is, under which policy, with which log.
#include <memory>
#include <utility>

#include "actors/enclave/attestation_order.h"
#include "actors/enclave/authority_actor.h"
#include "enclave_core/error.h"

namespace coffer::enclave {

// Without a policy while no state is loaded: the one that was sealed is not known then.
attestation::UserData AuthorityActor::Claims() const {
  attestation::UserData claims;
  claims.profile = ProfileOf(options_.profile);
  claims.address = address();
  claims.audit_address = log_keys_.audit_address();
  claims.log_key = log_keys_.log_key();
  if (authority_ == nullptr) return claims;
  claims.policy_hash = authority_->policy_hash();
  if (const payouts::SigningKey* draining = authority_->payouts().draining()) {
    claims.draining = draining->address;
  }
  return claims;
}

// The answer goes the way of every answer where a state is loaded, so that no policy is attested
// that a crash can take back (I5). Before, it waits for nothing: a host wants to know whom it
// loads.
void AuthorityActor::HandleAttestation(const Request& request) {
  // The log's keys outlived the signing key that they came from, and are in the state.
  if (authority_ == nullptr && held_.oldest_epoch != 0) {
    auto refused = std::make_unique<ServerFrame>();
    ToProto(Refuse(boundary::v1::ERROR_NOT_READY,
                   "no state is loaded yet, and this enclave's log is named there; the host loads "
                   "it first (load_begin)"),
            refused->mutable_error());
    return AnswerNow(request.reply, std::move(refused));
  }
  Answer answer = OrderAttestation(request, options_.attestation, Claims());
  if (authority_ == nullptr || answer.order == nullptr) return sealer_->Send(std::move(answer));
  Work work;
  work.answers.push_back(std::move(answer));
  sealer_->Send(std::move(work));
}

}  // namespace coffer::enclave
