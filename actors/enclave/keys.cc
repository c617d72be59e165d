// How the authority's actor comes to another key: a second signing key while there is nothing to
// lose, and the next state key.
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/enclave/authority_actor.h"
#include "enclave_core/error.h"
#include "runtime/log.h"

namespace coffer::enclave {
namespace {

// Of the last epoch there is no next.
constexpr uint32_t kLastEpoch = UINT32_MAX;

absl::StatusOr<sealing::StateKey> CopyOf(const sealing::StateKey& key) {
  absl::StatusOr<ethereum::SecretBytes> secret = ethereum::SecretBytes::CopyOf(key.secret.view());
  if (!secret.ok()) return Refuse(boundary::v1::ERROR_OVERLOADED, secret.status().message());
  return sealing::StateKey{key.epoch, *std::move(secret)};
}

}  // namespace

void AuthorityActor::HandleProvision(Request request) {
  const absl::Status refused = RefuseKey();
  if (refused.ok()) return provisioner_->Begin(std::move(request));
  auto answer = std::make_unique<ServerFrame>();
  ToProto(refused, answer->mutable_error());
  AnswerNow(request.reply, std::move(answer));
}

// What a state was loaded or founded for is never taken from it. Before that, a host that ended
// without the state key that was made for it asks again: it gets no more than by a restart of the
// enclave, which is its to do at any time.
absl::Status AuthorityActor::RefuseKey() const {
  const std::string there =
      absl::StrCat("already provisioned with the key of ", ethereum::ToChecksum(address()));
  const bool unused = keyring_.tag_key.size() > 0 && loader_ == nullptr && authority_ == nullptr;
  if (!options_.allow_reprovision && !unused) {
    return Refuse(
        boundary::v1::ERROR_ALREADY_PROVISIONED,
        absl::StrCat(
            there, provisioner_ != nullptr ? "" : " (--insecure-dev-key); KMS is not configured"));
  }
  if (provisioner_ == nullptr) {
    return Refuse(boundary::v1::ERROR_UNAVAILABLE,
                  "KMS is not configured: this enclave has its key from --insecure-dev-key");
  }
  const bool pristine = authority_ == nullptr || authority_->pristine();
  if (unused || (options_.without_storage && pristine)) return absl::OkStatus();
  return Refuse(boundary::v1::ERROR_ALREADY_PROVISIONED,
                absl::StrCat(there,
                             ", and its state is loaded; start the enclave anew for another "
                             "key"));
}

void AuthorityActor::Handle(KeysOpened opened) {
  provisioner_->Finish(std::move(opened), RefuseKey());
}

// ---- state keys ---------------------------------------------------------------------------------

absl::Status AuthorityActor::CheckRotation(const boundary::v1::RotateStateKey& request) const {
  if (keyring_.tag_key.size() == 0) {
    return Refuse(boundary::v1::ERROR_UNAVAILABLE,
                  "the state key of this enclave is derived from its signing key "
                  "(--insecure-dev-key or --storage none): there is none to rotate");
  }
  if (authority_ == nullptr) {
    return Refuse(boundary::v1::ERROR_NOT_READY,
                  "no state is loaded yet; the host loads it first (load_begin)");
  }
  if (rotating_) {
    return Refuse(boundary::v1::ERROR_OVERLOADED,
                  "a key is being made already; wait for that answer");
  }
  if (pending_signing_key_.has_value()) {
    return Refuse(boundary::v1::ERROR_WRONG_STATE,
                  "a signing key was made and waits to be adopted, with the next state key; adopt "
                  "it first (adopt_signing_key)");
  }
  if (opener_->epoch() == kLastEpoch) {
    return Refuse(boundary::v1::ERROR_OUT_OF_RANGE, "there is no epoch after this one");
  }
  if (pending_key_.has_value() && pending_key_->asked_key_id != request.key_id()) {
    return Refuse(boundary::v1::ERROR_WRONG_STATE,
                  absl::StrCat("the state key of epoch ", pending_key_->made.key.epoch,
                               " was asked for with another key_id and waits to be adopted; adopt "
                               "it first"));
  }
  return provisioning::Check(request);
}

// Asked again before it is adopted, the same key is the answer: two hosts, or one that forgot, can
// then not store different keys of one epoch.
void AuthorityActor::RotateStateKey(Request request) {
  const boundary::v1::RotateStateKey& asked = request.frame->rotate_state_key();
  auto answer = std::make_unique<ServerFrame>();
  if (absl::Status checked = CheckRotation(asked); !checked.ok()) {
    ToProto(checked, answer->mutable_error());
    return AnswerNow(request.reply, std::move(answer));
  }
  if (pending_key_.has_value()) {
    *answer->mutable_state_key() = pending_key_->made.stored;
    return AnswerNow(request.reply, std::move(answer));
  }
  rotating_ = true;
  asked_key_id_ = asked.key_id();
  StateKeyOrder order{{}, keyring_.voucher, opener_->epoch() + 1, {}};
  order.key_id = asked.key_id().empty() ? keyring_.key_id : asked.key_id();
  order.request = std::move(request);
  kms_->Send(std::move(order));
}

void AuthorityActor::Handle(StateKeyMade made) {
  rotating_ = false;
  auto answer = std::make_unique<ServerFrame>();
  absl::Status status = made.result.status();
  if (status.ok()) status = provisioning::Tag(keyring_.tag_key, &*made.result);
  if (status.ok()) {
    pending_key_ = PendingKey{*std::move(made.result), asked_key_id_};
    *answer->mutable_state_key() = pending_key_->made.stored;
    runtime::Log(runtime::Level::kInfo, "authority", "a state key was made",
                 {{"epoch", pending_key_->made.key.epoch}});
  } else {
    ToProto(status, answer->mutable_error());
  }
  AnswerNow(made.reply, std::move(answer));
}

// Not an event: no balance changes and nothing is signed, so the log has no leaf of it (I9). Which
// key a record is under is in its header.
absl::Status AuthorityActor::Adopt(uint32_t epoch) {
  if (epoch == opener_->epoch() && epoch != sealing::kDerivedKeyEpoch) return absl::OkStatus();
  if (!pending_key_.has_value() || pending_key_->made.key.epoch != epoch) {
    return Refuse(
        boundary::v1::ERROR_WRONG_STATE,
        absl::StrCat("no state key of epoch ", epoch, " waits to be adopted: epoch ",
                     opener_->epoch(), " is in use; ask for a new one (rotate_state_key)"));
  }
  absl::StatusOr<sealing::StateKey> copy = CopyOf(pending_key_->made.key);
  if (!copy.ok()) return copy.status();
  opener_->AddKey(*std::move(copy));
  opener_->Adopt(epoch);
  keyring_.key_id = pending_key_->made.stored.key_id();
  SnapshotWork snapshot = BeginSnapshot();
  snapshot.adopt = std::move(pending_key_->made.key);
  pending_key_.reset();
  newer_key_ = true;
  sealer_->Send(std::move(snapshot));
  runtime::Log(runtime::Level::kInfo, "authority", "a state key was adopted", {{"epoch", epoch}});
  return absl::OkStatus();
}

}  // namespace coffer::enclave
