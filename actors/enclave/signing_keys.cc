// How the authority's actor comes to the next signing key while the one before drains, and how that
// one ends.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/enclave/authority_actor.h"
#include "enclave_core/error.h"
#include "runtime/log.h"

namespace coffer::enclave {
namespace {

using boundary::v1::ERROR_WRONG_STATE;
using runtime::Level;
using runtime::Log;

absl::StatusOr<ethereum::Address> ReadAddress(std::string_view bytes) {
  absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(bytes);
  if (address.ok()) return address;
  return Refuse(boundary::v1::ERROR_MALFORMED,
                absl::StrCat("address must be 20 bytes, not ", bytes.size()));
}

}  // namespace

const ethereum::Address& AuthorityActor::address() const {
  return authority_ != nullptr ? authority_->address() : held_.addresses.front();
}

absl::Status AuthorityActor::CheckKeysFromKms() const {
  if (keyring_.tag_key.size() != 0) return absl::OkStatus();
  return Refuse(boundary::v1::ERROR_UNAVAILABLE,
                "the signing key of this enclave is no key of KMS's that another could follow "
                "(--insecure-dev-key or --storage none)");
}

// ---- making -------------------------------------------------------------------------------------

absl::Status AuthorityActor::CheckSigningRotation(
    const boundary::v1::RotateSigningKey& request) const {
  if (absl::Status s = CheckKeysFromKms(); !s.ok()) return s;
  if (authority_ == nullptr) {
    return Refuse(boundary::v1::ERROR_NOT_READY,
                  "no state is loaded yet; the host loads it first (load_begin)");
  }
  if (rotating_) {
    return Refuse(boundary::v1::ERROR_OVERLOADED,
                  "a key is being made already; wait for that answer");
  }
  if (absl::Status s = authority_->CheckNextSigningKey(); !s.ok()) return s;
  if (waiting_.has_value()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("the signing key of ", ethereum::ToChecksum(*waiting_),
                               " waits to be adopted (adopt_signing_key)"));
  }
  if (pending_key_.has_value()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("the state key of epoch ", pending_key_->made.key.epoch,
                               " waits to be adopted; adopt it first (adopt_state_key)"));
  }
  return provisioning::Check(request);
}

// Asked again before it is adopted, the same keys are the answer, as with state keys.
void AuthorityActor::RotateSigningKey(Request request) {
  auto answer = std::make_unique<ServerFrame>();
  const absl::Status checked = CheckSigningRotation(request.frame->rotate_signing_key());
  if (!checked.ok()) {
    ToProto(checked, answer->mutable_error());
    return AnswerNow(request.reply, std::move(answer));
  }
  if (pending_signing_key_.has_value()) {
    *answer->mutable_next_signing_key()->mutable_signing_key() = pending_signing_key_->stored;
    *answer->mutable_next_signing_key()->mutable_state_key() = pending_signing_key_->state.stored;
    return AnswerNow(request.reply, std::move(answer));
  }
  rotating_ = true;
  kms_->Send(SigningKeyOrder{std::move(request),
                             {keyring_.voucher, keyring_.signing_key_id, keyring_.signing_context,
                              opener_->epoch() + 1, keyring_.key_id}});
}

void AuthorityActor::Handle(SigningKeyMade made) {
  rotating_ = false;
  auto answer = std::make_unique<ServerFrame>();
  if (made.result.ok()) {
    provisioning::Tag(keyring_.tag_key, &*made.result);
    pending_signing_key_ = *std::move(made.result);
    *answer->mutable_next_signing_key()->mutable_signing_key() = pending_signing_key_->stored;
    *answer->mutable_next_signing_key()->mutable_state_key() = pending_signing_key_->state.stored;
    Log(Level::kInfo, "authority", "a signing key was made",
        {{"epoch", pending_signing_key_->stored.epoch()},
         {"address", ethereum::ToChecksum(pending_signing_key_->key.address())}});
  } else {
    ToProto(made.result.status(), answer->mutable_error());
  }
  AnswerNow(made.reply, std::move(answer));
}

// ---- adopting and retiring ----------------------------------------------------------------------

absl::Status AuthorityActor::HandleSigningKey(const boundary::v1::ClientFrame& frame,
                                              ServerFrame* answer, Batch* batch) {
  if (absl::Status s = CheckKeysFromKms(); !s.ok()) return s;
  if (frame.has_adopt_signing_key()) {
    absl::Status adopted = AdoptSigningKey(frame.adopt_signing_key().address(), batch);
    if (adopted.ok()) FillStatus(answer->mutable_signing_key_adopted());
    return adopted;
  }
  absl::Status retired = RetireSigningKey(frame.retire_signing_key().address(), batch);
  if (retired.ok()) FillStatus(answer->mutable_signing_key_retired());
  return retired;
}

// The key goes to the signer before any job for it can. If the record of this is lost with the
// process, the host has the key stored and the next enclave finds it waiting.
absl::Status AuthorityActor::AdoptSigningKey(std::string_view bytes, Batch* batch) {
  const absl::StatusOr<ethereum::Address> asked = ReadAddress(bytes);
  if (!asked.ok()) return asked.status();
  if (*asked == authority_->address()) return absl::OkStatus();
  const bool pending =
      pending_signing_key_.has_value() && pending_signing_key_->key.address() == *asked;
  if (!pending && waiting_ != asked.value()) {
    return Refuse(ERROR_WRONG_STATE,
                  absl::StrCat("no signing key of ", ethereum::ToChecksum(*asked),
                               " waits to be adopted; ask for a new one (rotate_signing_key)"));
  }
  absl::Status added = authority_->AddSigningKey(*asked, log_keys_.seed().view(),
                                                 log_keys_.audit_secret().view(), batch);
  if (added.ok() && pending) added = TakePendingSigningKey();
  if (!added.ok()) return added;
  waiting_.reset();
  Log(Level::kInfo, "authority", "a signing key was adopted; the one before drains",
      {{"address", ethereum::ToChecksum(*asked)}});
  return absl::OkStatus();
}

absl::Status AuthorityActor::TakePendingSigningKey() {
  provisioning::MadeSigningKey taken = *std::move(pending_signing_key_);
  pending_signing_key_.reset();
  const uint32_t state_epoch = taken.state.key.epoch;
  absl::StatusOr<ethereum::SecretBytes> copy =
      ethereum::SecretBytes::CopyOf(taken.state.key.secret.view());
  COFFER_CHECK(copy.ok(), "no locked memory for the state key");
  opener_->AddKey({state_epoch, *std::move(copy)});
  opener_->Adopt(state_epoch);
  keyring_ = {std::move(taken.tag_key),
              {taken.key.address(), taken.stored.epoch()},
              taken.state.stored.key_id(),
              taken.stored.key_id(),
              {taken.stored.encryption_context().begin(), taken.stored.encryption_context().end()}};
  held_.addresses.push_back(taken.key.address());
  signers_->Add(std::move(taken.key));
  adopt_with_snapshot_ = std::move(taken.state.key);
  snapshot_due_ = true;
  newer_key_ = true;
  return absl::OkStatus();
}

absl::Status AuthorityActor::RetireSigningKey(std::string_view bytes, Batch* batch) {
  const absl::StatusOr<ethereum::Address> asked = ReadAddress(bytes);
  if (!asked.ok()) return asked.status();
  const auto& keys = authority_->payouts().keys();
  const bool before = std::any_of(keys.begin(), keys.end(), [&](const payouts::SigningKey& key) {
    return key.retired && key.address == *asked;
  });
  if (before) return absl::OkStatus();
  if (absl::Status s = authority_->RetireSigningKey(*asked, batch); !s.ok()) return s;
  signers_->Forget(*asked);
  std::erase(held_.addresses, *asked);
  Log(Level::kInfo, "authority", "a signing key was retired",
      {{"address", ethereum::ToChecksum(*asked)}});
  return absl::OkStatus();
}

// ---- loading ------------------------------------------------------------------------------------

absl::Status AuthorityActor::SortKeys(const authority::Authority& state) {
  if (const authority::Authority::LogSecrets* secrets = state.log_secrets()) {
    absl::StatusOr<ethereum::SecretBytes> seed =
        ethereum::SecretBytes::CopyOf(secrets->seed.view());
    absl::StatusOr<ethereum::SecretBytes> audit =
        ethereum::SecretBytes::CopyOf(secrets->audit.view());
    if (!seed.ok() || !audit.ok()) {
      return Refuse(boundary::v1::ERROR_OVERLOADED, "no locked memory for the keys of the log");
    }
    absl::StatusOr<audit::LogKeys> keys =
        audit::LogKeys::FromSecrets(state.first_address(), *std::move(seed), *std::move(audit));
    if (!keys.ok()) return Refuse(boundary::v1::ERROR_STATE_REFUSED, keys.status().message());
    log_keys_ = *std::move(keys);
  }
  for (const payouts::SigningKey& key : state.payouts().keys()) {
    if (!key.retired || std::erase(held_.addresses, key.address) == 0) continue;
    signers_->Forget(key.address);
  }
  waiting_.reset();
  if (held_.addresses.back() != state.address()) waiting_ = held_.addresses.back();
  return absl::OkStatus();
}

void AuthorityActor::FillWaitingKey(boundary::v1::Status* status) const {
  if (!waiting_.has_value()) return;
  // The list begins with the only key, which is not named while there is only that one.
  if (status->signing_keys().empty()) authority_->FillKeys(status);
  boundary::v1::SigningKeyState* out = status->add_signing_keys();
  out->set_epoch(static_cast<uint32_t>(authority_->payouts().keys().size()));
  out->set_address(std::string(waiting_->view()));
  out->set_use(boundary::v1::SigningKeyState::USE_WAITING);
}

}  // namespace coffer::enclave
