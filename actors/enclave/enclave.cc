#include "actors/enclave/enclave.h"

#include <algorithm>
#include <utility>

#include "invariant/check.h"

namespace coffer::enclave {
namespace {

constexpr uint32_t kDevelopmentKeyEpoch = 0;

std::unique_ptr<sealing::Vault> NewVault(const ethereum::PrivateKey& key, runtime::Random* random) {
  absl::StatusOr<ethereum::SecretBytes> state_key = key.DeriveSecret("state key v1");
  COFFER_CHECK(state_key.ok(), "no locked memory for the state key");
  sealing::Hash salt;
  random->Fill(absl::MakeSpan(salt.bytes));
  return std::make_unique<sealing::Vault>(*std::move(state_key), kDevelopmentKeyEpoch, salt);
}

audit::LogKeys NewLogKeys(const ethereum::PrivateKey& key) {
  absl::StatusOr<audit::LogKeys> keys = audit::LogKeys::Derive(key);
  COFFER_CHECK(keys.ok(), "no locked memory for the keys of the log");
  return *std::move(keys);
}

AuthorityOptions OptionsFor(const EnclaveOptions& options, const ethereum::Address& address,
                            runtime::Random* random, const runtime::Dispatcher* main,
                            const attestation::Attester* attester) {
  AuthorityOptions out;
  out.version = options.version;
  out.address = address;
  out.profile = options.profile;
  out.policy = options.policy;
  out.without_storage = options.without_storage;
  out.allow_reprovision = options.allow_reprovision;
  if (attester != nullptr) out.attestation = ToProto(attester->kind());
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

Enclave::Enclave(const EnclaveOptions& options, ethereum::PrivateKey key, runtime::Random* random,
                 runtime::Dispatcher* main, runtime::Dispatcher* signing,
                 const AttestationPorts& attesting)
    : address_(key.address()),
      opener_(NewVault(key, random)),
      gateway_mailbox_(main, "gateway", kInternalMailbox),
      authority_mailbox_(main, "authority", kInternalMailbox),
      signer_mailbox_(signing, "signer", kInternalMailbox),
      sealer_mailbox_(main, "sealer", kInternalMailbox),
      attestor_mailbox_(attesting.attester != nullptr ? attesting.dispatcher : main, "attestor",
                        kMaxAttestations),
      gateway_(
          std::make_unique<Gateway>(&authority_mailbox_, &sealer_mailbox_,
                                    GatewayOptions{options.without_storage, options.max_sessions})),
      authority_(std::make_unique<AuthorityActor>(
          OptionsFor(options, address_, random, main, attesting.attester), NewLogKeys(key),
          opener_.get(), main, &signer_mailbox_, &sealer_mailbox_)),
      sealer_(std::make_unique<Sealer>(NewVault(key, random), &gateway_mailbox_, &attestor_mailbox_,
                                       options.without_storage)) {
  signer_ = std::make_unique<Signer>(std::move(key), &authority_mailbox_);
  gateway_mailbox_.Bind(gateway_.get());
  authority_mailbox_.Bind(authority_.get());
  signer_mailbox_.Bind(signer_.get());
  sealer_mailbox_.Bind(sealer_.get());
  if (attesting.attester == nullptr) return;
  attestor_ = std::make_unique<Attestor>(attesting.attester, &gateway_mailbox_);
  attestor_mailbox_.Bind(attestor_.get());
}

absl::Status Enclave::Listen(runtime::Network* network, const runtime::Endpoint& endpoint) {
  absl::StatusOr<std::unique_ptr<runtime::Listener>> listener =
      network->Listen(endpoint, [this](std::unique_ptr<runtime::FramedStream> stream) {
        gateway_->Accept(std::move(stream));
      });
  if (!listener.ok()) return listener.status();
  listener_ = *std::move(listener);
  return absl::OkStatus();
}

void Enclave::Shutdown() {
  listener_.reset();
  gateway_->Shutdown();
}

}  // namespace coffer::enclave
