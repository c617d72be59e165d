#include "actors/enclave/provisioner.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/policy/typed_data.h"
#include "runtime/log.h"

namespace coffer::enclave {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

void Provisioner::Answer(ReplyTo reply, std::unique_ptr<ServerFrame> answer) {
  answer->set_request_id(reply.request_id);
  // It waits for nothing: there is no state yet that it could speak of.
  sealer_->Send(enclave::Answer{reply, std::move(answer)});
}

void Provisioner::Begin(Request request) {
  if (absl::Status checked = Check(*request.frame); !checked.ok()) {
    auto answer = std::make_unique<ServerFrame>();
    ToProto(checked, answer->mutable_error());
    return Answer(request.reply, std::move(answer));
  }
  under_way_ = true;
  kms_->Send(OpenKeysOrder{std::move(request), without_storage_
                                                   ? provisioning::StateKeys::kDerived
                                                   : provisioning::StateKeys::kFromKms});
}

absl::Status Provisioner::Check(const ClientFrame& frame) {
  if (under_way_) {
    return Refuse(boundary::v1::ERROR_OVERLOADED,
                  "keys are being asked for already; wait for that answer");
  }
  absl::Status checked =
      frame.has_generate()
          ? provisioning::Check(frame.generate())
          : provisioning::Check(frame.provision(), without_storage_
                                                       ? provisioning::StateKeys::kDerived
                                                       : provisioning::StateKeys::kFromKms);
  if (!checked.ok()) return checked;
  absl::StatusOr<policy::Policy> policy = PolicyOf(frame);
  if (!policy.ok()) return policy.status();
  policy_ = *std::move(policy);
  return absl::OkStatus();
}

// The one that the enclave was started with, or else the request's, or else none.
absl::StatusOr<policy::Policy> Provisioner::PolicyOf(const ClientFrame& frame) const {
  const bool given =
      frame.has_generate() ? frame.generate().has_policy() : frame.provision().has_policy();
  policy::Policy policy = started_with_;
  if (given) {
    absl::StatusOr<policy::Policy> read = policy::FromProto(
        frame.has_generate() ? frame.generate().policy() : frame.provision().policy());
    if (!read.ok())
      return Refuse(ERROR_MALFORMED, absl::StrCat("policy: ", read.status().message()));
    policy = *std::move(read);
    if (!started_with_.unrestricted && PolicyHash(policy) != PolicyHash(started_with_)) {
      return Refuse(
          boundary::v1::ERROR_POLICY,
          absl::StrCat("the enclave was started with a policy, and this one differs in ",
                       policy::DifferingFields(started_with_, policy), "; give the same, or none"));
    }
  }
  if (absl::Status s = CheckNewPolicy(policy); !s.ok()) return s;
  return policy;
}

// As at the start with options (policy_options.h, enclave_main.cc).
absl::Status Provisioner::CheckNewPolicy(const policy::Policy& policy) const {
  if (profile_ == boundary::v1::PROFILE_AUTHORITY) {
    if (policy.unrestricted || policy.chain_id == 0 || policy.broker.IsZero()) {
      return Refuse(
          ERROR_MALFORMED,
          "a policy is needed, with a chain and a ticket broker: one key serves one chain "
          "and one broker");
    }
    if (policy.win_prob != ~ethereum::U256(0)) {
      return Refuse(ERROR_MALFORMED,
                    "policy: an authority's tickets always win (2^256-1): what is owed is paid");
    }
  }
  if (without_storage_ && (policy.velocity_window > 0 || !policy.admins.empty())) {
    return Refuse(ERROR_MALFORMED,
                  "policy: velocity limits and changes by admins have to be remembered, and this "
                  "enclave was started without a storage; start it with --storage host");
  }
  return absl::OkStatus();
}

void Provisioner::Finish(KeysOpened opened, const absl::Status& takes) {
  under_way_ = false;
  auto answer = std::make_unique<ServerFrame>();
  const absl::Status& result = takes.ok() ? opened.result.status() : takes;
  if (!result.ok()) {
    Log(Level::kWarn, "provisioner", "no keys", {{"why", result}});
    ToProto(result, answer->mutable_error());
    return Answer(opened.reply, std::move(answer));
  }
  provisioning::Provisioned provisioned = *std::move(opened.result);
  Log(Level::kInfo, "provisioner", "provisioned",
      {{"address", ethereum::ToChecksum(provisioned.keys.signing.address())},
       {"state_key_epoch", provisioned.keys.state.back().epoch},
       {"policy", policy_.unrestricted ? "none" : PolicyHash(policy_).ToHex()}});
  if (policy_.unrestricted) {
    Log(Level::kWarn, "provisioner",
        "INSECURE: there is no policy: whatever a client asks for is signed. Give --chain-id, "
        "--ticket-broker and limits");
  }
  install_(std::move(provisioned.keys), policy_);
  *answer->mutable_provisioned() = std::move(provisioned.answer);
  Answer(opened.reply, std::move(answer));
}

}  // namespace coffer::enclave
