// Seals and opens records under the state keys. See record.h for the format, state_key.h for keys
// and epochs.
#ifndef COFFER_ENCLAVE_CORE_SEALING_VAULT_H_
#define COFFER_ENCLAVE_CORE_SEALING_VAULT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/sealing/record.h"
#include "enclave_core/sealing/state_key.h"

namespace coffer::sealing {

class Vault {
 public:
  // What it seals under. `salt` is 32 fresh random bytes, never used by another Vault.
  Vault(StateKey key, const Hash& salt);
  Vault(ethereum::SecretBytes state_key, uint32_t key_epoch, const Hash& salt)
      : Vault(StateKey{key_epoch, std::move(state_key)}, salt) {}
  ~Vault();
  Vault(const Vault&) = delete;
  Vault& operator=(const Vault&) = delete;

  // One more key to open with. Nothing is sealed under it before it is adopted. Each epoch once.
  void AddKey(StateKey key);
  // Seals under the key of this epoch from now on; it was added before.
  void Adopt(uint32_t epoch);
  uint32_t epoch() const { return epoch_; }  // of what is sealed now

  // Fills in epoch, salt and counter. `plaintext` is at most kMaxPlaintextBytes.
  std::string Seal(Header header, std::string_view plaintext);

  struct Opened {
    Header header;
    std::string plaintext;
  };
  // Error (DataLoss) when the bytes are not a record, belong to an epoch whose key is not here, or
  // were altered.
  absl::StatusOr<Opened> Open(std::string_view sealed);

 private:
  struct Cipher;
  std::unique_ptr<Cipher> MakeCipher(uint32_t epoch, const Hash& salt) const;
  std::string HeldEpochs() const;

  std::map<uint32_t, ethereum::SecretBytes> keys_;  // by epoch
  uint32_t epoch_ = kDerivedKeyEpoch;
  const Hash salt_;
  uint64_t counter_ = 0;
  std::unique_ptr<Cipher> sealing_;
  // Of the epoch and salt that were opened last; records of one run follow each other.
  std::unique_ptr<Cipher> opening_;
};

// Reads a stored state back, in order: the chunks of at most one snapshot, then records. Refuses,
// with a sentence that says which record and why, whatever is missing, reordered, altered, foreign
// or truncated.
class ChainReader {
 public:
  explicit ChainReader(Vault* vault) : vault_(vault) {}

  struct Item {
    Kind kind;
    uint64_t sequence;
    uint32_t key_epoch;
    bool snapshot_complete;  // this was a snapshot's last chunk
    std::string plaintext;
  };
  absl::StatusOr<Item> Next(std::string_view sealed);
  // After the last one: error when a snapshot is not whole.
  absl::Status Finish() const;

  uint64_t sequence() const { return sequence_; }  // of the last record, 0 for none
  const Hash& head() const { return head_; }       // its hash, zeros for none
  uint64_t snapshot_sequence() const { return snapshot_sequence_; }

 private:
  absl::Status CheckChunk(const Header& header);
  absl::Status CheckRecord(const Header& header) const;

  Vault* const vault_;
  uint64_t sequence_ = 0;
  Hash head_;
  uint64_t snapshot_sequence_ = 0;
  uint32_t chunks_read_ = 0;
  uint32_t chunk_count_ = 0;
};

}  // namespace coffer::sealing

#endif  // COFFER_ENCLAVE_CORE_SEALING_VAULT_H_
