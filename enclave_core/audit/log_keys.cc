#include "enclave_core/audit/log_keys.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kLogKeyLabel = "audit log key v1";
constexpr std::string_view kAuditKeyLabel = "audit address v1";

}  // namespace

std::string LogOrigin(const ethereum::Address& signing_address) {
  return absl::StrCat("coffer/", signing_address.ToHex());
}

Hash EntryDigest(const ethereum::Address& audit_address, uint64_t index, const Hash& leaf_hash) {
  std::string packed(kEntryTag);
  packed.append(audit_address.view());
  for (int shift = 56; shift >= 0; shift -= 8) packed.push_back(static_cast<char>(index >> shift));
  packed.append(leaf_hash.view());
  return ethereum::Keccak256(packed);
}

absl::StatusOr<LogKeys> LogKeys::Derive(const ethereum::PrivateKey& signing_key) {
  absl::StatusOr<ethereum::SecretBytes> seed = signing_key.DeriveSecret(kLogKeyLabel);
  if (!seed.ok()) return seed.status();
  absl::StatusOr<ethereum::SecretBytes> secret = signing_key.DeriveSecret(kAuditKeyLabel);
  if (!secret.ok()) return secret.status();
  return FromSecrets(signing_key.address(), *std::move(seed), *std::move(secret));
}

absl::StatusOr<LogKeys> LogKeys::FromSecrets(const ethereum::Address& address,
                                             ethereum::SecretBytes seed,
                                             ethereum::SecretBytes audit_secret) {
  absl::StatusOr<ethereum::PrivateKey> audit = ethereum::PrivateKey::FromBytes(audit_secret.view());
  if (!audit.ok()) return audit.status();
  absl::StatusOr<NoteSigner> log =
      NoteSigner::Create(LogOrigin(address), KeyType::kEd25519, std::move(seed));
  if (!log.ok()) return log.status();
  return LogKeys(*std::move(log), *std::move(audit), std::move(audit_secret));
}

std::string LogKeys::SignHead(uint64_t size, const Hash& root) const {
  return SignCheckpoint({origin(), size, root, {}}, log_);
}

ethereum::Signature LogKeys::SignStatement(const ChainStatement& statement) const {
  return SignChainStatement(statement, audit_);
}

ethereum::Signature LogKeys::SignEntry(uint64_t index, const Hash& leaf_hash) const {
  return audit_.Sign(ethereum::Eip191Hash(EntryDigest(audit_address(), index, leaf_hash).view()));
}

}  // namespace coffer::audit
