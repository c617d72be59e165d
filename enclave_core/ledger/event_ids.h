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
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/numeric/int128.h"
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
  void Prefetch(const IdFingerprint& id) const { PartOf(id).prefetch(id); }
  // The id must be new (I7).
  void Insert(const IdFingerprint& id, uint64_t content);
  uint64_t size() const { return size_; }
  void Reserve(uint64_t count);

  // Snapshot form, in chunks that together have all ids, by the top bits of the fingerprint. How
  // many chunks of about `ids_each` ids there are:
  uint32_t Chunks(uint64_t ids_each) const;
  // Chunk number `chunk` of `chunks`: all ids, or those that were there when a moment was begun.
  std::string Chunk(uint32_t chunk, uint32_t chunks, bool of_moment) const;
  // Keeps apart which ids come from now on, until the end.
  void BeginMoment();
  // Nobody asks for chunks before this one of `chunks` any more.
  void ForgetMoment(uint32_t chunk, uint32_t chunks);
  void EndMoment();
  // The inverse for one chunk. Error when the length is not a multiple or an id comes twice.
  absl::Status RestoreChunk(std::string_view chunk);

 private:
  static void AppendId(const IdFingerprint& id, uint64_t content, std::string* out);

  // By the top bits of the fingerprint, so that growing moves one part at a time: the whole table
  // at once would hold every request up for seconds when there are 100 million ids.
  static constexpr int kPartBits = 10;
  static constexpr uint32_t kParts = 1u << kPartBits;
  static constexpr uint32_t kMaxChunks = 1u << 18;
  using Part = absl::flat_hash_map<IdFingerprint, uint64_t>;
  static uint32_t PlaceOf(const IdFingerprint& id, uint32_t of) {  // a power of two
    return static_cast<uint32_t>((absl::uint128(id.high) * of) >> 64);
  }
  Part& PartOf(const IdFingerprint& id) { return parts_[PlaceOf(id, kParts)]; }
  const Part& PartOf(const IdFingerprint& id) const { return parts_[PlaceOf(id, kParts)]; }

  std::vector<Part> parts_{kParts};
  uint64_t size_ = 0;
  absl::uint128 moment_from_ = 0;  // 2^64 times the share of the chunks that were asked for
  std::vector<absl::flat_hash_set<IdFingerprint>> since_moment_;  // one a part; none: no moment
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_EVENT_IDS_H_
