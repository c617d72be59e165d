#include "actors/enclave/enclave.h"

#include <algorithm>
#include <utility>

#include "invariant/check.h"

namespace coffer::enclave {
namespace {

sealing::StateKey LockedCopyOf(const sealing::StateKey& key) {
  absl::StatusOr<ethereum::SecretBytes> secret = ethereum::SecretBytes::CopyOf(key.secret.view());
  COFFER_CHECK(secret.ok(), "no locked memory for the state key");
  return {key.epoch, *std::move(secret)};
}

// `keys` as a vault of its own; the last is sealed under.
std::unique_ptr<sealing::Vault> NewVault(const std::vector<sealing::StateKey>& keys,
                                         runtime::Random* random) {
  sealing::Hash salt;
  random->Fill(absl::MakeSpan(salt.bytes));
  const sealing::StateKey& newest = keys.back();
  auto vault = std::make_unique<sealing::Vault>(LockedCopyOf(newest), salt);
  for (const sealing::StateKey& key : keys) {
    if (key.epoch != newest.epoch) vault->AddKey(LockedCopyOf(key));
  }
  return vault;
}

audit::LogKeys NewLogKeys(const ethereum::PrivateKey& key) {
  absl::StatusOr<audit::LogKeys> keys = audit::LogKeys::Derive(key);
  COFFER_CHECK(keys.ok(), "no locked memory for the keys of the log");
  return *std::move(keys);
}

boundary::v1::AttestationKind KindOf(const attestation::Attester* attester) {
  return attester == nullptr ? boundary::v1::ATTESTATION_KIND_NONE : KindToProto(attester->kind());
}

AuthorityOptions OptionsFor(const EnclaveOptions& options, const policy::Policy& policy,
                            runtime::Random* random, const runtime::Dispatcher* main,
                            const attestation::Attester* attester) {
  AuthorityOptions out;
  out.version = options.version;
  out.profile = options.profile;
  out.policy = policy;
  out.without_storage = options.without_storage;
  out.allow_reprovision = options.allow_reprovision;
  out.attestation = KindOf(attester);
  out.clock = [main] {
    return static_cast<uint64_t>(std::max<int64_t>(0, absl::ToUnixMillis(main->WallNow())));
  };
  out.accept_policy_change = options.accept_policy_change;
  out.min_snapshot_interval_bytes = options.min_snapshot_interval_bytes;
  sealing::Hash fingerprint_key;
  random->Fill(absl::MakeSpan(fingerprint_key.bytes));
  out.fingerprint_key = std::string(fingerprint_key.view());
  return out;
}

}  // namespace

Enclave::Enclave(const EnclaveOptions& options, runtime::Random* random, runtime::Dispatcher* main,
                 const std::vector<runtime::Dispatcher*>& signing,
                 const AttestationPorts& attesting)
    : options_(options),
      random_(random),
      main_(main),
      attester_(attesting.attester),
      gateway_mailbox_(main, "gateway", kInternalMailbox),
      authority_mailbox_(main, "authority", kInternalMailbox),
      sealer_mailbox_(main, "sealer", kInternalMailbox),
      attestor_mailbox_(attester_ != nullptr ? attesting.dispatcher : main, "attestor",
                        kMaxAttestations),
      kms_mailbox_(attester_ != nullptr ? attesting.dispatcher : main, "kms", kMaxKmsOrders),
      gateway_(&authority_mailbox_, &sealer_mailbox_,
               GatewayOptions{options.without_storage, options.max_sessions}),
      signers_(signing, &authority_mailbox_),
      sealer_(&gateway_mailbox_, &attestor_mailbox_, &authority_mailbox_,
              {options.without_storage, options.snapshot_chunks_in_flight}) {
  gateway_mailbox_.Bind(&gateway_);
  sealer_mailbox_.Bind(&sealer_);
  if (attester_ == nullptr) return;
  attestor_ = std::make_unique<Attestor>(attester_, &gateway_mailbox_);
  attestor_mailbox_.Bind(attestor_.get());
}

Enclave::Enclave(const EnclaveOptions& options, ethereum::PrivateKey key, runtime::Random* random,
                 runtime::Dispatcher* main, const std::vector<runtime::Dispatcher*>& signing,
                 const AttestationPorts& attesting)
    : Enclave(options, random, main, signing, attesting) {
  absl::StatusOr<provisioning::Keys> keys = provisioning::DerivedKeys(std::move(key));
  COFFER_CHECK(keys.ok(), "no locked memory for the state key");
  Install(*std::move(keys), options.policy);
}

Enclave::Enclave(const EnclaveOptions& options, runtime::Random* random, runtime::Dispatcher* main,
                 const std::vector<runtime::Dispatcher*>& signing,
                 const AttestationPorts& attesting, KeySource source)
    : Enclave(options, random, main, signing, attesting) {
  COFFER_CHECK(attester_ != nullptr, "KMS gives a key to nobody who attests nothing");
  kms_ = std::make_unique<KmsActor>(std::move(source), attester_, &authority_mailbox_);
  kms_mailbox_.Bind(kms_.get());
  provisioner_ = std::make_unique<Provisioner>(
      options.profile, options.policy, options.without_storage, &kms_mailbox_, &sealer_mailbox_,
      [this](provisioning::Keys keys, const policy::Policy& policy) {
        Install(std::move(keys), policy);
      });
  unprovisioned_ = std::make_unique<Unprovisioned>(
      Introduction{options.version, options.profile, options.without_storage, KindOf(attester_)},
      provisioner_.get(), &sealer_mailbox_);
  authority_mailbox_.Bind(unprovisioned_.get());
}

// Every actor gets its part. On the main dispatcher, before anything that needs the keys: what
// comes first in a signer's mailbox is its key.
void Enclave::Install(provisioning::Keys keys, const policy::Policy& policy) {
  before_ = std::move(authority_);
  address_ = keys.signing.address();
  HeldKeys held{{*address_}, keys.signing_epoch};
  if (keys.next.has_value()) held.addresses.push_back(keys.next->address());
  StateKeyring keyring{std::move(keys.tag_key),
                       {keys.newest().address(), keys.newest_epoch()},
                       std::move(keys.state_key_id),
                       std::move(keys.signing_key_id),
                       std::move(keys.signing_context)};
  authority_.opener = NewVault(keys.state, random_);
  authority_.actor = std::make_unique<AuthorityActor>(
      OptionsFor(options_, policy, random_, main_, attester_), std::move(held),
      NewLogKeys(keys.signing), std::move(keyring), authority_.opener.get(),
      AuthorityPorts{main_, &signers_, &sealer_mailbox_, &kms_mailbox_, provisioner_.get()});
  sealer_.UseVault(NewVault(keys.state, random_));
  std::vector<ethereum::PrivateKey> signing;
  signing.push_back(std::move(keys.signing));
  if (keys.next.has_value()) signing.push_back(*std::move(keys.next));
  signers_.Use(std::move(signing));
  gateway_.SetProvisioned();
  authority_mailbox_.Bind(authority_.actor.get());
}

absl::Status Enclave::Listen(runtime::Network* network, const runtime::Endpoint& endpoint) {
  absl::StatusOr<std::unique_ptr<runtime::Listener>> listener =
      network->Listen(endpoint, [this](std::unique_ptr<runtime::FramedStream> stream) {
        gateway_.Accept(std::move(stream));
      });
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  return absl::OkStatus();
}

void Enclave::Shutdown() {
  listener_.reset();
  gateway_.Shutdown();
}

}  // namespace coffer::enclave
