// A sealed record: what the enclave hands to the untrusted host to store, and reads back after a
// restart.
//
// Bytes (integers big-endian):
//
//   magic "CFR1" 4 | kind 1 | key epoch 4 | sequence 8 | previous 32 | chunk index 4 | chunk count
//   4 | salt 32 | counter 8 | ciphertext | tag 16
//
// The header (97 bytes) is the associated data of AES-256-GCM. The key is HKDF-SHA-256(state key,
// salt, info), where `salt` is drawn once by each run of an enclave, and the nonce is 0x00000000 ||
// counter, which counts that run's seals: so no nonce is used twice under a key, even when a host
// starts two enclaves from one old state.
//
// A record of kind kRecord carries the hash of the record before it (zeros for the first): the
// records are a chain. A snapshot chunk carries the sequence and the hash of the record it stands
// on. A blob part (blob.h) stands on nothing: its sequence is 0 and its previous is zeros. The hash
// of a record is SHA-256 of all of its bytes.
#ifndef COFFER_ENCLAVE_CORE_SEALING_RECORD_H_
#define COFFER_ENCLAVE_CORE_SEALING_RECORD_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::sealing {

using ethereum::Hash;

enum class Kind : uint8_t { kRecord = 1, kSnapshotChunk = 2, kBlobPart = 3 };

struct Header {
  Kind kind = Kind::kRecord;
  uint32_t key_epoch = 0;
  uint64_t sequence = 0;     // from 1
  Hash previous;             // of record sequence - 1; of record `sequence` for a snapshot chunk
  uint32_t chunk_index = 0;  // snapshots
  uint32_t chunk_count = 0;  // snapshots
  Hash salt;
  uint64_t counter = 0;
};

inline constexpr size_t kHeaderBytes = 97;
inline constexpr size_t kTagBytes = 16;
// A sealed record fits a frame with its envelope.
inline constexpr size_t kMaxSealedBytes = (16u << 20) - 1024;
inline constexpr size_t kMaxPlaintextBytes = kMaxSealedBytes - kHeaderBytes - kTagBytes;

std::string EncodeHeader(const Header& header);
// Error (DataLoss) that says what is wrong: too short, too long, not a record, an unknown kind.
absl::StatusOr<Header> ParseHeader(std::string_view sealed);

// SHA-256 of the sealed bytes.
Hash RecordHash(std::string_view sealed);

}  // namespace coffer::sealing

#endif  // COFFER_ENCLAVE_CORE_SEALING_RECORD_H_
