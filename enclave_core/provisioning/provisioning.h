// How an enclave comes to its keys: from ciphertexts that the host brings and KMS opens, or from
// KMS's own generator. Pure but for the client that is handed in.
//
// The host chooses every ciphertext. What it gains by a wrong one is an enclave that does not
// start: the address is compared with the expected one, and a state key has to bear the tag of an
// enclave with this signing key (sealing/state_key.h).
//
// A state key is encrypted with the encryption context
//
//   coffer:purpose = "state-key", coffer:address = "0x<40 hex digits, lower case>",
//   coffer:epoch = "<decimal>"
//
// which key policies can ask for, and which keeps it from being opened as anything else. So has a
// signing key that follows another:
//
//   coffer:purpose = "signing-key", coffer:after = "0x<the other's address>",
//   coffer:epoch = "<decimal>"
//
// beside what the other was encrypted with, which a key policy may ask for (its purpose goes before
// the one above).
#ifndef COFFER_ENCLAVE_CORE_PROVISIONING_PROVISIONING_H_
#define COFFER_ENCLAVE_CORE_PROVISIONING_PROVISIONING_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/kms/client.h"
#include "enclave_core/sealing/state_key.h"
#include "proto/boundary.pb.h"

namespace coffer::provisioning {

inline constexpr size_t kMaxContextPairs = 8;
inline constexpr size_t kMaxContextBytes = 1024;  // a key or a value
inline constexpr size_t kMaxKeyIdBytes = 2048;    // KMS API reference, KeyId

// All keys of an enclave.
struct Keys {
  ethereum::PrivateKey signing;
  std::vector<sealing::StateKey> state;  // by epoch, at least one; the last is sealed under
  // Only with state keys from KMS: what the newest signing key tags the next ones with, and the KMS
  // keys for them.
  ethereum::SecretBytes tag_key = {};
  std::string state_key_id = {};
  std::string signing_key_id = {};
  kms::EncryptionContext signing_context = {};  // of the newest signing key
  uint32_t signing_epoch = 0;                   // of `signing`; 0: a state's first one
  // The one that follows `signing`, which drains or is about to; its epoch is one more.
  std::optional<ethereum::PrivateKey> next = {};
  const ethereum::PrivateKey& newest() const { return next.has_value() ? *next : signing; }
  uint32_t newest_epoch() const { return signing_epoch + (next.has_value() ? 1 : 0); }
};

// The keys of an enclave that asks no KMS: its state key is derived from the signing key.
// ResourceExhausted: no locked memory.
absl::StatusOr<Keys> DerivedKeys(ethereum::PrivateKey signing_key);

struct Provisioned {
  Keys keys;
  boundary::v1::Provisioned answer;
};

// Where the state keys come from. An enclave without a storage seals blobs, under a derived one.
enum class StateKeys : uint8_t { kFromKms, kDerived };

// Each field within its bounds, epochs without a gap, nothing that is another's. Refused with
// ERROR_MALFORMED. To be asked before anything is sent anywhere; the region becomes a part of a
// host's name.
absl::Status Check(const boundary::v1::Provision& request, StateKeys state_keys);
absl::Status Check(const boundary::v1::Generate& request);
absl::Status Check(const boundary::v1::RotateStateKey& request);
absl::Status Check(const boundary::v1::RotateSigningKey& request);

// The keys, or a refusal: ERROR_KMS (KMS refused; what it opened is no key, or another's address),
// ERROR_UNAVAILABLE (not reached), ERROR_STATE_REFUSED (a state key without its tag). The request
// was checked.
absl::StatusOr<Provisioned> Provision(const boundary::v1::Provision& request, StateKeys state_keys,
                                      kms::Client* kms);
absl::StatusOr<Provisioned> Generate(const boundary::v1::Generate& request, StateKeys state_keys,
                                     kms::Client* kms);

// A state key and what the host keeps of it.
struct MadeStateKey {
  sealing::StateKey key;
  boundary::v1::StateKey stored;
};
// Who has a key made: the newest signing key, by its address and epoch.
struct Voucher {
  ethereum::Address address;
  uint32_t epoch = 0;
};
// By KMS, under its key `key_id`, for the enclave with this signing key. Not tagged yet. Refused as
// above.
absl::StatusOr<MadeStateKey> MakeStateKey(const Voucher& voucher, uint32_t epoch,
                                          const std::string& key_id, kms::Client* kms);

// A signing key that follows another, with a state key that it vouches for: all that is left to an
// enclave when the other has gone.
struct MadeSigningKey {
  ethereum::PrivateKey key;
  boundary::v1::SigningKey stored;
  MadeStateKey state;             // tagged
  ethereum::SecretBytes tag_key;  // the new key's
};
struct SigningKeyWish {
  Voucher after;
  std::string key_id;  // ARN of the KMS key that `after` is encrypted with; no other will do
  kms::EncryptionContext context;  // what `after` is encrypted with
  uint32_t state_epoch = 0;        // of the state key
  std::string state_key_id;
};
// Not tagged yet: that is for `after` to do. The key is KMS's making: one that a host brings could
// be one that it knows, and all funds go to it in the end. Refused as above, and with
// ERROR_OUT_OF_RANGE where the context would have more than kMaxContextPairs.
absl::StatusOr<MadeSigningKey> MakeSigningKey(const SigningKeyWish& wish, kms::Client* kms);
// `tag_key` is that of the signing key before it.
void Tag(const ethereum::SecretBytes& tag_key, MadeSigningKey* made);
// ResourceExhausted: no locked memory.
absl::Status Tag(const ethereum::SecretBytes& tag_key, MadeStateKey* made);

}  // namespace coffer::provisioning

#endif  // COFFER_ENCLAVE_CORE_PROVISIONING_PROVISIONING_H_
