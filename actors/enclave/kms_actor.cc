#include "actors/enclave/kms_actor.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/cose.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/error.h"
#include "runtime/log.h"

namespace coffer::enclave {

using boundary::v1::ERROR_UNAVAILABLE;

// The credentials are wiped, with the request's arena, before anybody hears of the outcome (I8).
void KmsActor::Receive(KmsMessage message) {
  if (auto* open = std::get_if<OpenKeysOrder>(&message)) {
    KeysOpened opened{open->request.reply, Open(open)};
    open->request.arena.reset();
    authority_->Send(std::move(opened));
  } else if (auto* make = std::get_if<StateKeyOrder>(&message)) {
    StateKeyMade made{make->request.reply, Make(make)};
    make->request.arena.reset();
    authority_->Send(std::move(made));
  } else {
    auto& next = std::get<SigningKeyOrder>(message);
    SigningKeyMade made{next.request.reply, Make(&next)};
    next.request.arena.reset();
    authority_->Send(std::move(made));
  }
}

absl::StatusOr<provisioning::Provisioned> KmsActor::Open(OpenKeysOrder* order) {
  if (absl::Status refused = RefuseDebug(); !refused.ok()) return refused;
  const boundary::v1::ClientFrame& frame = *order->request.frame;
  const bool generate = frame.has_generate();
  absl::StatusOr<std::unique_ptr<kms::Client>> client =
      NewClient(generate ? frame.generate().aws() : frame.provision().aws());
  if (!client.ok()) return client.status();
  return generate ? provisioning::Generate(frame.generate(), order->state_keys, client->get())
                  : provisioning::Provision(frame.provision(), order->state_keys, client->get());
}

absl::StatusOr<provisioning::MadeStateKey> KmsActor::Make(StateKeyOrder* order) {
  absl::StatusOr<std::unique_ptr<kms::Client>> client =
      NewClient(order->request.frame->rotate_state_key().aws());
  if (!client.ok()) return client.status();
  return provisioning::MakeStateKey(order->voucher, order->epoch, order->key_id, client->get());
}

absl::StatusOr<provisioning::MadeSigningKey> KmsActor::Make(SigningKeyOrder* order) {
  if (absl::Status refused = RefuseDebug(); !refused.ok()) return refused;
  absl::StatusOr<std::unique_ptr<kms::Client>> client =
      NewClient(order->request.frame->rotate_signing_key().aws());
  if (!client.ok()) return client.status();
  return provisioning::MakeSigningKey(order->wish, client->get());
}

absl::StatusOr<std::unique_ptr<kms::Client>> KmsActor::NewClient(
    const boundary::v1::AwsCredentials& aws) {
  kms::Credentials credentials;
  absl::StatusOr<ethereum::SecretBytes> secret =
      ethereum::SecretBytes::CopyOf(aws.secret_access_key());
  if (!secret.ok()) return Refuse(boundary::v1::ERROR_OVERLOADED, secret.status().message());
  credentials.region = aws.region();
  credentials.access_key_id = aws.access_key_id();
  credentials.secret_access_key = *std::move(secret);
  credentials.session_token = aws.session_token();
  absl::StatusOr<std::unique_ptr<kms::Client>> client =
      source_.new_client(std::move(credentials), aws.proxy_port());
  if (!client.ok()) {
    return Refuse(ERROR_UNAVAILABLE,
                  absl::StrCat("KMS cannot be asked: ", client.status().message()));
  }
  return client;
}

// The host reads the console and the memory of an enclave in debug mode. KMS would see that in the
// document, where its key policy asks for a measurement; this looks at the same document before any
// credential leaves.
absl::Status KmsActor::RefuseDebug() {
  if (attester_->kind() != attestation::Kind::kNitro || source_.allow_debug)
    return absl::OkStatus();
  const absl::StatusOr<std::string> bytes = attester_->Attest({});
  if (!bytes.ok()) {
    return Refuse(ERROR_UNAVAILABLE,
                  absl::StrCat("no attestation document was made: ", bytes.status().message()));
  }
  const absl::StatusOr<attestation::Sign1> message = attestation::ParseSign1(*bytes);
  const absl::StatusOr<attestation::Document> document =
      message.ok() ? attestation::ParseDocument(message->payload) : message.status();
  if (!document.ok()) {
    return Refuse(ERROR_UNAVAILABLE,
                  absl::StrCat("this enclave's own attestation document cannot be read: ",
                               document.status().message()));
  }
  if (!document->IsDebug()) return absl::OkStatus();
  return Refuse(ERROR_UNAVAILABLE,
                "this enclave runs in debug mode (PCR0 is zero), where its host can look into it: "
                "no key comes here without --insecure-allow-debug");
}

}  // namespace coffer::enclave
