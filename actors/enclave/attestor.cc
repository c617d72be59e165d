#include "actors/enclave/attestor.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "runtime/log.h"

namespace coffer::enclave {

using boundary::v1::AttestedKey;

boundary::v1::AttestationKind KindToProto(attestation::Kind kind) {
  return kind == attestation::Kind::kNitro ? boundary::v1::ATTESTATION_KIND_NITRO
                                           : boundary::v1::ATTESTATION_KIND_DEVELOPMENT;
}

void Attestor::Receive(AttestorMessage message) {
  absl::StatusOr<std::string> document = Document(*message.order);
  message.order.reset();
  if (document.ok()) {
    message.frame->mutable_attestation()->set_document(*std::move(document));
  } else {
    ++failures_;
    runtime::Log(runtime::Level::kWarn, "attestor", "no document was made",
                 {{"why", document.status()}, {"failures", failures_}});
    coffer::ToProto(
        Refuse(boundary::v1::ERROR_UNAVAILABLE,
               absl::StrCat("no attestation document was made: ", document.status().message())),
        message.frame->mutable_error());
  }
  Release release;
  release.answers.push_back(std::move(message));
  gateway_->Send(std::move(release));
}

absl::StatusOr<std::string> Attestor::Document(const AttestationOrder& order) {
  absl::StatusOr<std::string> user_data = attestation::MakeUserData(order.user_data);
  if (!user_data.ok()) return user_data.status();
  attestation::Fields fields;
  fields.user_data = *std::move(user_data);
  fields.nonce = order.nonce;
  if (order.public_key != boundary::v1::ATTESTED_KEY_NONE) {
    absl::StatusOr<std::string> key = PublicKey(order.public_key);
    if (!key.ok()) return key.status();
    fields.public_key = *std::move(key);
  }
  return attester_->Attest(fields);
}

absl::StatusOr<std::string> Attestor::PublicKey(AttestedKey kind) {
  using Type = attestation::EphemeralKey::Type;
  const auto found = keys_.find(kind);
  if (found != keys_.end()) return found->second.public_der();
  absl::StatusOr<attestation::EphemeralKey> made = attestation::EphemeralKey::Make(
      kind == boundary::v1::ATTESTED_KEY_RSA_2048 ? Type::kRsa2048 : Type::kP384);
  if (!made.ok()) return made.status();
  return keys_.emplace(kind, *std::move(made)).first->second.public_der();
}

}  // namespace coffer::enclave
