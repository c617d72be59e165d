// What the authority's actor has attested: who it is, under which policy, with which log.
#include <utility>

#include "actors/enclave/attestation_order.h"
#include "actors/enclave/authority_actor.h"

namespace coffer::enclave {

// Without a policy while no state is loaded: the one that was sealed is not known then.
attestation::UserData AuthorityActor::Claims() const {
  attestation::UserData claims;
  claims.profile = ProfileOf(options_.profile);
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
  Answer answer = OrderAttestation(request, options_.attestation, Claims());
  if (authority_ == nullptr || answer.order == nullptr) return sealer_->Send(std::move(answer));
  Work work;
  work.answers.push_back(std::move(answer));
  sealer_->Send(std::move(work));
}

}  // namespace coffer::enclave
