// The memory of which events were applied (I7), for ever, in 24 bytes an event.
//
// An id is kept as a keyed fingerprint, so that nobody who does not hold the key can search for two
// ids with one fingerprint; a second fingerprint of the content tells a repetition from the same id
// with another body.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_EVENT_IDS_H_
#define COFFER_ENCLAVE_CORE_LEDGER_EVENT_IDS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/types/span.h"

namespace coffer::ledger {

// The first 16 bytes of SHA-256(key || 0x00 || id), big-endian.
struct IdFingerprint {
  uint64_t high = 0;
  uint64_t low = 0;
  bool operator==(const IdFingerprint&) const = default;

  // Already uniform for whoever lacks the key, so part of it serves as the hash.
  template <typename H>
  friend H AbslHashValue(H h, const IdFingerprint& f) {
    return H::combine(std::move(h), f.high);
  }
};

// Computes fingerprints. Not thread-safe; one for each user.
class Fingerprinter {
 public:
  // `key` is the state's 32-byte fingerprint key.
  explicit Fingerprinter(std::string_view key);
  ~Fingerprinter();
  Fingerprinter(Fingerprinter&&) noexcept;
  Fingerprinter& operator=(Fingerprinter&&) noexcept;

  IdFingerprint OfId(std::string_view id);
  // The first 8 bytes of SHA-256(key || 0x01 || content), big-endian. `content` is canonical bytes.
  uint64_t OfContent(std::string_view content);

 private:
  struct Context;
  void Digest(uint8_t domain, std::string_view data, uint8_t (&out)[32]);
  std::unique_ptr<Context> context_;
};

class EventIds {
 public:
  static constexpr size_t kBytesPerId = 24;  // in a snapshot

  // The content fingerprint with which this id was applied, if it was.
  std::optional<uint64_t> Find(const IdFingerprint& id) const;
  // Starts to fetch what Find and Insert of this id will read. Changes nothing.
  void Prefetch(const IdFingerprint& id) const { ids_.prefetch(id); }
  // The id must be new (I7).
  void Insert(const IdFingerprint& id, uint64_t content);
  uint64_t size() const { return ids_.size(); }
  void Reserve(uint64_t count) { ids_.reserve(count); }

  // Snapshot form, `max_ids` at a time: emit is called with up to max_ids * kBytesPerId bytes.
  template <typename Emit>
  void ForEachChunk(size_t max_ids, Emit emit) const {
    std::string chunk;
    for (const auto& [id, content] : ids_) {
      AppendId(id, content, &chunk);
      if (chunk.size() >= max_ids * kBytesPerId) {
        emit(std::move(chunk));
        chunk.clear();
      }
    }
    if (!chunk.empty()) emit(std::move(chunk));
  }
  // The inverse for one chunk. Error when the length is not a multiple or an id comes twice.
  absl::Status RestoreChunk(std::string_view chunk);

 private:
  static void AppendId(const IdFingerprint& id, uint64_t content, std::string* out);
  absl::flat_hash_map<IdFingerprint, uint64_t> ids_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_EVENT_IDS_H_
