// State keys: what records are sealed under, by epoch.
//
// From KMS a host can have any key encrypted, one that it knows among them, and what is sealed
// under such a key it could read and forge. So the enclave tags each key that it had KMS make:
//
//   tag = HMAC-SHA-256(t, "coffer state key v1" || 0x00 || epoch (4, big-endian) || plaintext (32)
//   ||
//                         ciphertext), t = PrivateKey::DeriveSecret("state key tag v1")
//
// and takes no other. The signing key vouches for the state key and says nothing of it: who has
// the one cannot compute the other. `t` is kept by whoever has state keys made, who so need not
// have the signing key.
//
// A signing key vouches in the same way for the one that follows it:
//
//   HMAC-SHA-256(t, "coffer signing key v1" || 0x00 || epoch (4, big-endian) || address (20) ||
//                   ciphertext)
//
// Else a host could have an enclave take a key of the host's own beside one that it does not know,
// and with it a state that the host made up.
#ifndef COFFER_ENCLAVE_CORE_SEALING_STATE_KEY_H_
#define COFFER_ENCLAVE_CORE_SEALING_STATE_KEY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::sealing {

// The epoch of the key that is derived from the signing key: development, and blobs that clients
// keep themselves (blob.h).
inline constexpr uint32_t kDerivedKeyEpoch = 0;
inline constexpr size_t kStateKeyBytes = 32;
inline constexpr size_t kMaxStateKeys = 64;

struct StateKey {
  uint32_t epoch = kDerivedKeyEpoch;
  ethereum::SecretBytes secret;  // kStateKeyBytes
};

// ResourceExhausted: no locked memory.
absl::StatusOr<StateKey> DeriveStateKey(const ethereum::PrivateKey& signing_key);

// `t` above. ResourceExhausted: no locked memory.
absl::StatusOr<ethereum::SecretBytes> StateKeyTagKey(const ethereum::PrivateKey& signing_key);

// ResourceExhausted: no locked memory.
absl::StatusOr<ethereum::Hash> StateKeyTag(const ethereum::SecretBytes& tag_key,
                                           const StateKey& key, std::string_view ciphertext);
// In constant time. DataLoss when `tag` is not this key's, with a sentence for operators.
absl::Status CheckStateKeyTag(const ethereum::SecretBytes& tag_key, const StateKey& key,
                              std::string_view ciphertext, std::string_view tag);

// `t` of the signing key before it.
ethereum::Hash SigningKeyTag(const ethereum::SecretBytes& tag_key, uint32_t epoch,
                             const ethereum::Address& address, std::string_view ciphertext);
// As CheckStateKeyTag.
absl::Status CheckSigningKeyTag(const ethereum::SecretBytes& tag_key, uint32_t epoch,
                                const ethereum::Address& address, std::string_view ciphertext,
                                std::string_view tag);

}  // namespace coffer::sealing

#endif  // COFFER_ENCLAVE_CORE_SEALING_STATE_KEY_H_
