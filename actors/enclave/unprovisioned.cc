#include "actors/enclave/unprovisioned.h"

#include <memory>
#include <utility>

#include "actors/enclave/attestation_order.h"
#include "enclave_core/error.h"

namespace coffer::enclave {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

void Unprovisioned::Receive(AuthorityMessage message) {
  if (auto* request = std::get_if<Request>(&message)) return Handle(std::move(*request));
  if (auto* opened = std::get_if<KeysOpened>(&message)) {
    provisioner_->Finish(std::move(*opened), absl::OkStatus());
  }
}

void Unprovisioned::Handle(Request request) {
  auto answer = std::make_unique<ServerFrame>();
  switch (request.frame->body_case()) {
    case ClientFrame::kStatus:
      FillStatus(answer->mutable_status());
      break;
    case ClientFrame::kGetAttestation:
      return Attest(request);
    case ClientFrame::kProvision:
    case ClientFrame::kGenerate:
      return provisioner_->Begin(std::move(request));
    default:
      ToProto(Refuse(boundary::v1::ERROR_NOT_PROVISIONED,
                     "signer not provisioned: it has no key yet; provision or generate comes "
                     "first"),
              answer->mutable_error());
  }
  AnswerNow(request.reply, std::move(answer));
}

void Unprovisioned::Attest(const Request& request) {
  attestation::UserData claims;
  claims.profile = ProfileOf(introduction_.profile);
  sealer_->Send(OrderAttestation(request, introduction_.attestation, claims));
}

void Unprovisioned::FillStatus(boundary::v1::Status* status) const {
  status->set_version(introduction_.version);
  status->set_phase(boundary::v1::PHASE_UNPROVISIONED);
  status->set_profile(introduction_.profile);
  status->set_without_storage(introduction_.without_storage);
  status->set_attestation_kind(introduction_.attestation);
  status->set_attestation_available(introduction_.attestation !=
                                    boundary::v1::ATTESTATION_KIND_NONE);
}

void Unprovisioned::AnswerNow(ReplyTo reply, std::unique_ptr<ServerFrame> answer) {
  answer->set_request_id(reply.request_id);
  sealer_->Send(Answer{reply, std::move(answer)});
}

}  // namespace coffer::enclave
