#include "actors/host/key_provisioner.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/secret_frames.h"
#include "runtime/log.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

constexpr char kComponent[] = "kms";
constexpr std::array<std::string_view, kKeyTroubles> kWords = {
    "not_asked", "no_ciphertext", "no_state_keys", "no_credentials", "key_folder",
    "kms",       "refused",       "address",       "no_answer"};

}  // namespace

std::string_view KeyTroubleWord(KeyTrouble trouble) {
  return kWords.at(static_cast<size_t>(trouble));
}

bool KeyProvisioner::Unstored::Has(uint32_t epoch) const {
  return std::any_of(keys.begin(), keys.end(),
                     [epoch](const auto& key) { return key.epoch() == epoch; });
}

KeyProvisioner::KeyProvisioner(Options options, runtime::Dispatcher* dispatcher,
                               runtime::Random* random, KeyStore* keys,
                               aws::CredentialsSource* credentials,
                               absl::AnyInvocable<bool()> has_records)
    : options_(std::move(options)),
      dispatcher_(dispatcher),
      keys_(keys),
      credentials_(credentials),
      has_records_(std::move(has_records)),
      backoff_(options_.first_retry, options_.max_retry, random) {}

void KeyProvisioner::Prepare(const boundary::v1::Status& status, Send send, Done done) {
  ++attempt_;
  send_ = std::move(send);
  done_ = std::move(done);
  began_ = dispatcher_->Now();
  asked_ = false;
  counters_.provisioned = status.phase() != boundary::v1::PHASE_UNPROVISIONED;
  switch (status.phase()) {
    case boundary::v1::PHASE_UNPROVISIONED:
      unstored_.reset();  // those ended with the enclave that made them
      if (MayProvision()) Provision();
      return;
    case boundary::v1::PHASE_EMPTY:
      return GuardLoading(status);
    case boundary::v1::PHASE_READY:
      NoteReady(status);
      break;
    default:
      break;
  }
  Succeed();
}

// ---- guarding

std::string KeyProvisioner::UnkeptSigning(const boundary::v1::Status& status,
                                          bool waiting_too) const {
  using Key = boundary::v1::SigningKeyState;
  for (const Key& key : status.signing_keys()) {
    const bool held =
        key.use() == Key::USE_CURRENT || (waiting_too && key.use() == Key::USE_WAITING);
    // The first one's ciphertext is the operator's to put here.
    if (!held || key.epoch() == 0 || keys_->InUse(key.address())) continue;
    return ethereum::ToHex(key.address());
  }
  return "";
}

void KeyProvisioner::GuardLoading(const boundary::v1::Status& status) {
  if (unstored_.has_value()) return StoreNew();
  const uint32_t epoch = status.state_key_epoch();
  const std::string signing = UnkeptSigning(status, true);
  const bool state_kept = epoch == 0 || keys_->Provides(epoch);
  if (state_kept && signing.empty()) return Succeed();
  const std::string why = absl::StrCat(
      "nothing is loaded into the enclave: ",
      signing.empty() ? absl::StrCat("it would seal under its state key of epoch ", epoch)
                      : absl::StrCat("it would sign with its key of ", signing),
      ", which is not in ", keys_->path(),
      signing.empty()
          ? ", and what is sealed under a key that is not stored is lost when the enclave ends"
          : ", and what a key that is not stored has is lost when the enclave ends");
  if (!options_.provision) {
    return Fail(signing.empty() ? KeyTrouble::kStateKeys : KeyTrouble::kCiphertext, why);
  }
  // One that was started with --allow-reprovision takes its keys again; the others say why not.
  if (MayProvision()) Provision();
}

void KeyProvisioner::NoteReady(const boundary::v1::Status& status) {
  const uint32_t epoch = status.state_key_epoch();
  if (epoch != 0 && !keys_->HasEpoch(epoch) && std::exchange(said_epoch_, epoch) != epoch) {
    Log(Level::kError, kComponent,
        "the state key that the enclave seals under is not stored: its state is lost when it ends; "
        "have another one made now, with coffer rotate state-key",
        {{"epoch", epoch}, {"folder", keys_->path()}});
  }
  // One that waits to be adopted may have been made a moment ago, for this host to store.
  const std::string signing = UnkeptSigning(status, false);
  if (!signing.empty() && std::exchange(said_signing_, signing) != signing) {
    Log(Level::kError, kComponent,
        "the key that the enclave signs with is not stored: what it has is lost when the enclave "
        "ends; put its signing-<epoch>.json here from the host that had it made",
        {{"address", signing}, {"folder", keys_->path()}});
  }
}

// ---- provisioning

bool KeyProvisioner::MayProvision() {
  if (!options_.provision) {
    Fail(KeyTrouble::kNotAsked,
         "the enclave has no key: let this host give it one (--kms.provision), or run coffer "
         "provision");
    return false;
  }
  const bool records = has_records_();
  if (!keys_->Root().has_value() && (options_.generate_key_id.empty() || records)) {
    Fail(KeyTrouble::kCiphertext,
         absl::StrCat("the ciphertext of the signing key is missing: put it at ", keys_->path(),
                      "/signing.ciphertext, or name its file with --kms.ciphertext-file",
                      records ? "" : ", or have a key made with --kms.generate-key-id"));
    return false;
  }
  if (records && keys_->Newest().empty() && !options_.new_state_key) {
    Fail(KeyTrouble::kStateKeys,
         absl::StrCat("records are stored and no state key is in ", keys_->path(),
                      ": with a new key nothing of what was sealed under a lost one could be read, "
                      "neither balances nor payouts. Put the files state-<epoch>.json back from a "
                      "backup; --kms.new-state-key goes on without them"));
    return false;
  }
  return true;
}

void KeyProvisioner::Provision() {
  ++counters_.attempts;
  credentials_->Get([this, attempt = attempt_](absl::StatusOr<aws::Credentials> credentials) {
    if (attempt == attempt_) Ask(std::move(credentials));
  });
}

void KeyProvisioner::Ask(absl::StatusOr<aws::Credentials> credentials) {
  if (!credentials.ok()) {
    return Fail(KeyTrouble::kCredentials, std::string(credentials.status().message()));
  }
  Log(Level::kInfo, kComponent, "the enclave is asked to open its key",
      {{"credentials", credentials->source},
       {"region", credentials->region},
       {"generate", !keys_->Root().has_value()},
       {"signing_keys", keys_->Next() == nullptr ? 1 : 2},
       {"state_keys", keys_->Newest().size()}});
  asked_ = true;
  send_(Request(*credentials), options_.timeout,
        [this, attempt = attempt_](absl::StatusOr<ServerFrame> frame) {
          if (attempt == attempt_) Answered(std::move(frame));
        });
}

ClientFrame KeyProvisioner::Request(const aws::Credentials& credentials) const {
  ClientFrame frame;
  const std::optional<SigningCiphertext> root = keys_->Root();
  if (!root.has_value()) {
    auto* generate = frame.mutable_generate();
    PutCredentials(credentials, options_.proxy_port, generate->mutable_aws());
    generate->set_key_id(options_.generate_key_id);
    generate->set_key_spec("AES_256");
    generate->set_state_key_id(options_.state_key_id);
    generate->mutable_encryption_context()->insert(options_.generate_context.begin(),
                                                   options_.generate_context.end());
    return frame;
  }
  auto* provision = frame.mutable_provision();
  PutCredentials(credentials, options_.proxy_port, provision->mutable_aws());
  FillProvision(*root, keys_, provision);
  provision->set_state_key_id(options_.state_key_id);
  const auto address = RootAddress(*keys_, options_.expected_address);
  if (address.has_value()) provision->set_expected_address(std::string(address->view()));
  return frame;
}

void KeyProvisioner::Answered(absl::StatusOr<ServerFrame> frame) {
  if (!frame.ok()) return Fail(KeyTrouble::kNoAnswer, std::string(frame.status().message()));
  if (frame->has_error()) return Refused(frame->error());
  if (!frame->has_provisioned()) {
    return Fail(KeyTrouble::kRefused, "the enclave answered the provisioning with something else");
  }
  Take(frame->provisioned());
}

void KeyProvisioner::Refused(const boundary::v1::Error& error) {
  // Unavailable: KMS was not reached, is busy, or is somebody else. The enclave itself is well.
  const bool kms =
      error.code() == boundary::v1::ERROR_KMS || error.code() == boundary::v1::ERROR_UNAVAILABLE;
  const bool already = error.code() == boundary::v1::ERROR_ALREADY_PROVISIONED;
  Fail(kms ? KeyTrouble::kKms : KeyTrouble::kRefused,
       absl::StrCat(
           kms ? "" : "the enclave refused its key: ", error.message(),
           already ? absl::StrCat(". Its keys are not all in ", keys_->path(),
                                  " and nothing is sealed yet under those that are not: restart "
                                  "the enclave, and it is provisioned anew")
                   : ""));
}

void KeyProvisioner::Take(const boundary::v1::Provisioned& provisioned) {
  const auto address = ethereum::Address::FromBytes(provisioned.address());
  const std::optional<SigningCiphertext> root = keys_->Root();
  const auto expected = RootAddress(*keys_, options_.expected_address);
  if (!address.ok() || (expected.has_value() && *address != *expected) ||
      (root.has_value() && root->address.has_value() && *address != *root->address)) {
    return Fail(KeyTrouble::kAddress,
                absl::StrCat("another key came out of the ciphertext than the one that is "
                             "expected: its address is ",
                             address.ok() ? ethereum::ToChecksum(*address) : "malformed"));
  }
  Unstored made;
  if (root.has_value()) {
    made.signing = *root;
  } else {
    made.signing.ciphertext = provisioned.ciphertext();
    made.signing.key_id = provisioned.key_id();
    made.signing.encryption_context = options_.generate_context;
  }
  made.signing.address = *address;
  made.keys.assign(provisioned.new_state_keys().begin(), provisioned.new_state_keys().end());
  unstored_ = std::move(made);
  StoreNew();
}

// The signing key's ciphertext first: a state key without it opens nothing.
void KeyProvisioner::StoreNew() {
  // A later one came from an enclave and is stored with all that belongs to it.
  absl::Status stored;
  if (keys_->root_epoch() == 0) stored = keys_->PutSigning(unstored_->signing);
  for (const boundary::v1::StateKey& key : unstored_->keys) {
    if (stored.ok()) stored = keys_->PutStateKey(key);
  }
  if (!stored.ok()) {
    return Fail(KeyTrouble::kFolder,
                absl::StrCat("the keys of the enclave cannot be stored, and nothing is loaded "
                             "into it before they are: ",
                             stored.message()));
  }
  const size_t made = std::exchange(unstored_, std::nullopt)->keys.size();
  ++counters_.provisions;
  counters_.provisioned = true;
  counters_.last_seconds = absl::ToDoubleSeconds(dispatcher_->Now() - began_);
  Log(Level::kInfo, kComponent, "the enclave has its key",
      {{"address", ethereum::ToChecksum(*keys_->Root()->address)},
       {"new_state_keys", made},
       {"seconds", counters_.last_seconds}});
  Succeed();
}

// ---- the end of an attempt

void KeyProvisioner::Succeed() {
  backoff_.Reset();
  last_trouble_.clear();
  std::exchange(done_, nullptr)(absl::OkStatus(), absl::ZeroDuration());
}

void KeyProvisioner::Fail(KeyTrouble trouble, const std::string& why) {
  ++counters_.failures.at(static_cast<size_t>(trouble));
  const absl::Duration wait = backoff_.Next();
  const std::string sentence =
      absl::StrCat("kms ", std::string(KeyTroubleWord(trouble)), ": ", why);
  if (std::exchange(last_trouble_, sentence) != sentence) {
    Log(Level::kWarn, kComponent, "the enclave is not provisioned",
        {{"reason", KeyTroubleWord(trouble)},
         {"why", why},
         {"retry_seconds", absl::ToDoubleSeconds(wait)}});
  }
  std::exchange(done_, nullptr)(absl::UnavailableError(sentence), wait);
}

}  // namespace coffer::host
