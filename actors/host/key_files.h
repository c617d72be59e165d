// The files of the key store as text. One form each: what is read is written back the same.
#ifndef COFFER_ACTORS_HOST_KEY_FILES_H_
#define COFFER_ACTORS_HOST_KEY_FILES_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

// KMS API reference, Decrypt: CiphertextBlob.
inline constexpr size_t kMaxCiphertextBytes = 6144;
inline constexpr size_t kMaxKeyFileBytes = 1024 * 1024;
inline constexpr size_t kMaxStoredPolicyBytes = 512 * 1024;
inline constexpr size_t kMaxKeyIdBytes = 2048;  // KMS API reference, Decrypt: KeyId
inline constexpr size_t kMaxAlgorithmBytes = 64;
inline constexpr size_t kMaxContextPairs = 8;     // proto/signer.proto, Provision
inline constexpr size_t kMaxContextBytes = 1024;  // of a name, and of a value

// What KMS is asked to open for the enclave, and what has to come out.
struct SigningCiphertext {
  std::string ciphertext;            // 1..6144 bytes
  std::string key_id;                // may be empty
  std::string encryption_algorithm;  // may be empty
  std::map<std::string, std::string> encryption_context;
  std::optional<ethereum::Address> address;  // none: not opened yet
  // The policy that goes with each provisioning, as a serialized boundary Policy; empty: the
  // enclave has its own.
  std::string policy;
  bool operator==(const SigningCiphertext&) const = default;
};

// A signing key after the first one, which an enclave made (proto/signer.proto, SigningKey).
struct LaterSigningKey {
  boundary::v1::SigningKey key;
  bool root = false;  // all older ones are retired: it is the oldest that is given to an enclave
};

// InvalidArgument: a part that is too long, empty, or not UTF-8 where it is a text.
absl::Status CheckSigning(const SigningCiphertext& signing);
absl::Status CheckSigningKey(const boundary::v1::SigningKey& key);
absl::Status CheckStateKey(const boundary::v1::StateKey& key);

// signing.json. It names the ciphertext by its SHA-256; Parse fills in all else and returns
// DataLoss when it is no such file, or of another `ciphertext`.
std::string SigningText(const SigningCiphertext& signing);
absl::StatusOr<SigningCiphertext> ParseSigning(std::string_view text, std::string_view ciphertext);

// state-<epoch>.json and signing-<epoch>.json.
enum class KeyFile : uint8_t { kState, kSigning };
std::string KeyFileName(KeyFile kind, uint32_t epoch);
// The epoch when `name` is such a file's; DataLoss when it only looks like one ("state-01.json").
absl::StatusOr<std::optional<uint32_t>> EpochOfName(KeyFile kind, std::string_view name);

// signing-<epoch>.json.
std::string SigningKeyText(const LaterSigningKey& signing);
absl::StatusOr<LaterSigningKey> ParseSigningKey(std::string_view text);

// state-<epoch>.json.
std::string StateKeyText(const boundary::v1::StateKey& key);
absl::StatusOr<boundary::v1::StateKey> ParseStateKey(std::string_view text);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_FILES_H_
