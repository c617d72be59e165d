// The policy in force: what a start may say about it, and how its admins change it (I10).
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"
#include "enclave_core/policy/typed_data.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

using boundary::v1::ERROR_STATE_REFUSED;

std::string Name(boundary::v1::Profile profile) {
  return profile == boundary::v1::PROFILE_SIGNER ? "signer" : "authority";
}

std::string Names(absl::Span<const ethereum::Address> addresses) {
  return absl::StrJoin(addresses, " and ", [](std::string* out, const ethereum::Address& address) {
    absl::StrAppend(out, ethereum::ToChecksum(address));
  });
}

std::string ChainAndBroker(const policy::Policy& policy) {
  return absl::StrCat("chain ", policy.chain_id, " and broker ",
                      ethereum::ToChecksum(policy.broker));
}

}  // namespace

absl::Status Authority::Adopt(absl::Span<const ethereum::Address> held,
                              const policy::Policy& policy, bool accept_change, Batch* out,
                              boundary::v1::Profile profile) {
  COFFER_CHECK(founded(), "there is no state to adopt");
  for (const payouts::SigningKey& key : payouts_.keys()) {
    if (key.retired || std::find(held.begin(), held.end(), key.address) != held.end()) continue;
    return Refuse(
        ERROR_STATE_REFUSED,
        absl::StrCat("the state belongs to the key of ", ethereum::ToChecksum(key.address),
                     ", this enclave holds the key of ", Names(held)));
  }
  // Until a second key comes the log's keys are not in the state: they are derived from the oldest
  // that is held, which so has to be the one that founded it.
  if (!log_secrets_.has_value() && held.front() != first_address()) {
    return Refuse(
        ERROR_STATE_REFUSED,
        absl::StrCat("the state was founded by the key of ", ethereum::ToChecksum(first_address()),
                     ", and this enclave also holds an older one, ",
                     ethereum::ToChecksum(held.front()),
                     ", which the state does not know; provision without that one"));
  }
  if (profile != this->profile()) {
    return Refuse(ERROR_STATE_REFUSED,
                  absl::StrCat("the state is of the ", Name(this->profile()),
                               " profile, the enclave was started with --profile ", Name(profile)));
  }
  if (absl::Status s = BeginLog(); !s.ok()) return Refuse(ERROR_STATE_REFUSED, s.message());
  const ethereum::Hash hash = policy::PolicyHash(policy);
  if (hash.view() == genesis_.provisioned_policy_hash() || hash == policy_hash_) {
    return absl::OkStatus();
  }
  if (!policy_.unrestricted && policy.unrestricted) {
    return Refuse(ERROR_STATE_REFUSED,
                  absl::StrCat("the state has a policy, for ", ChainAndBroker(policy_),
                               ", the enclave was started without one"));
  }
  if (!policy_.unrestricted &&
      (policy.chain_id != policy_.chain_id || policy.broker != policy_.broker)) {
    return Refuse(
        ERROR_STATE_REFUSED,
        absl::StrCat("the state is for ", ChainAndBroker(policy_), ", the enclave was started for ",
                     ChainAndBroker(policy), ": one key serves one chain and one broker"));
  }
  const std::string differences = policy::DifferingFields(policy_, policy);
  if (!policy_.admins.empty()) {
    return Refuse(
        ERROR_STATE_REFUSED,
        absl::StrCat("the policy that the enclave was started with is neither the one of "
                     "its founding nor the one in force (",
                     differences, "), and only its admins can change it (change_policy)"));
  }
  if (!accept_change) {
    return Refuse(
        ERROR_STATE_REFUSED,
        absl::StrCat("the sealed policy has other limits than the enclave was started with (",
                     differences,
                     "); start it with the sealed limits or with --insecure-accept-policy-change"));
  }
  sealed::v1::StateEvent* event = out->add_events();
  policy::ToProto(policy, event->mutable_policy_changed()->mutable_policy());
  Emit(event);
  return absl::OkStatus();
}

absl::Status Authority::ChangePolicy(const boundary::v1::ChangePolicy& request, Batch* out) {
  const absl::StatusOr<policy::Policy> next = policy::FromProto(request.policy());
  if (!next.ok()) {
    return Refuse(boundary::v1::ERROR_MALFORMED,
                  absl::StrCat("the new policy is refused: ", next.status().message()));
  }
  if (policy_.admins.empty()) {
    return RefuseByRule("admins", "the policy has no admins, so nobody can change it");
  }
  if (next->chain_id != policy_.chain_id) {
    return RefuseByRule("chain_id", absl::StrCat("the policy's chain_id stays ", policy_.chain_id,
                                                 ", the change names ", next->chain_id));
  }
  if (next->broker != policy_.broker) {
    return RefuseByRule(
        "broker", absl::StrCat("the policy's broker stays ", ethereum::ToChecksum(policy_.broker),
                               ", the change names ", ethereum::ToChecksum(next->broker)));
  }
  // What is owed is paid and not played for.
  if (profile() == boundary::v1::PROFILE_AUTHORITY && next->win_prob != ~ethereum::U256(0)) {
    return Refuse(boundary::v1::ERROR_MALFORMED,
                  "the new policy is refused: win_prob of an authority is 2^256-1, its tickets "
                  "always win");
  }
  if (request.sequence() != policy_sequence_ + 1) {
    return Refuse(boundary::v1::ERROR_WRONG_STATE,
                  absl::StrCat("the next change of the policy has sequence ", policy_sequence_ + 1,
                               ", not ", request.sequence()));
  }
  const std::vector<std::string> signatures(request.signatures().begin(),
                                            request.signatures().end());
  if (absl::Status s =
          policy::CheckPolicyChange(policy_, address(), request.sequence(), *next, signatures);
      !s.ok()) {
    return s;
  }
  sealed::v1::StateEvent* event = out->add_events();
  policy::ToProto(*next, event->mutable_policy_changed()->mutable_policy());
  event->mutable_policy_changed()->set_sequence(request.sequence());
  Emit(event);
  return absl::OkStatus();
}

absl::Status Authority::SetPolicy(const boundary::v1::Policy& proto) {
  absl::StatusOr<policy::Policy> policy = policy::FromProto(proto);
  if (!policy.ok()) return policy.status();
  policy_ = *std::move(policy);
  policy_hash_ = policy::PolicyHash(policy_);
  *genesis_.mutable_policy() = proto;
  return absl::OkStatus();
}

absl::Status Authority::Fold(const sealed::v1::PolicyChanged& event) {
  if (absl::Status s = SetPolicy(event.policy()); !s.ok()) return s;
  if (event.sequence() != 0) {
    policy_sequence_ = event.sequence();
  } else {
    genesis_.set_provisioned_policy_hash(std::string(policy_hash_.view()));
  }
  // What the new window keeps is decided now and not at the next signature, so that a state that
  // comes from a snapshot is the same.
  velocity_.Trim(policy_, last_time_);
  return absl::OkStatus();
}

void Authority::FillPolicy(boundary::v1::PolicyState* answer) const {
  policy::ToProto(policy_, answer->mutable_policy());
  answer->set_hash(std::string(policy_hash_.view()));
  answer->set_sequence(policy_sequence_);
}

}  // namespace coffer::authority
