// The keys that the enclave signs its log with, and the log's name. Both keys are derived from the
// signing key, so that they exist whenever it does and nobody else has them: Ed25519 for
// checkpoints, secp256k1 (the audit address) for chains and for single entries. Neither signs
// anything but the formats below.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_LOG_KEYS_H_
#define COFFER_ENCLAVE_CORE_AUDIT_LOG_KEYS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::audit {

// "coffer/0x<40 hex digits in lower case>": the log of one signing key, which serves one chain and
// one broker. Nothing that a start could change is in it: under two names one history could be
// shown to one witness and another to the next.
std::string LogOrigin(const ethereum::Address& signing_address);

inline constexpr std::string_view kEntryTag = "coffer-audit:entry:v1";

// keccak-256 of abi.encodePacked(kEntryTag 21 | audit address 20 | uint64 index 8 | bytes32 leaf
// hash): what the audit address signs (EIP-191) when somebody wants one leaf signed.
Hash EntryDigest(const ethereum::Address& audit_address, uint64_t index, const Hash& leaf_hash);

class LogKeys {
 public:
  // ResourceExhausted when no memory can be locked for them.
  static absl::StatusOr<LogKeys> Derive(const ethereum::PrivateKey& signing_key);
  // From what seed() and audit_secret() gave, where that signing key (`address`) has had its time.
  // InvalidArgument for secrets that are none.
  static absl::StatusOr<LogKeys> FromSecrets(const ethereum::Address& address,
                                             ethereum::SecretBytes seed,
                                             ethereum::SecretBytes audit_secret);

  const std::string& origin() const { return log_.key().name(); }
  const VerifierKey& log_key() const { return log_.key(); }
  const ethereum::Address& audit_address() const { return audit_.address(); }
  // 32 bytes each: the log outlives the signing key that it is named after.
  const ethereum::SecretBytes& seed() const { return log_.seed(); }
  const ethereum::SecretBytes& audit_secret() const { return audit_secret_; }

  // The checkpoint's note.
  std::string SignHead(uint64_t size, const Hash& root) const;
  // EIP-191 over the statement's digest. The statement's audit address is this one.
  ethereum::Signature SignStatement(const ChainStatement& statement) const;
  ethereum::Signature SignEntry(uint64_t index, const Hash& leaf_hash) const;

 private:
  LogKeys(NoteSigner log, ethereum::PrivateKey audit, ethereum::SecretBytes audit_secret)
      : log_(std::move(log)), audit_(std::move(audit)), audit_secret_(std::move(audit_secret)) {}
  NoteSigner log_;
  ethereum::PrivateKey audit_;
  ethereum::SecretBytes audit_secret_;
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_LOG_KEYS_H_
