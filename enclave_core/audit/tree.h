// The Merkle tree of the log: SHA-256 as RFC 6962, 2.1 (the same in RFC 9162, 2.1.1) has it, kept
// as a compact range: the roots of the complete subtrees that the leaves so far make up, one for
// each set bit of the size. Appending costs a hash or two however large the log is; the state is at
// most 62 hashes and travels in the sealed state.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_TREE_H_
#define COFFER_ENCLAVE_CORE_AUDIT_TREE_H_

#include <openssl/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::audit {

using ethereum::Hash;

// Sizes are at most this, so that no proof has more than the 63 hashes that tlog-witness allows and
// every implementation's signed 64-bit integers hold them.
inline constexpr uint64_t kMaxTreeSize = (uint64_t{1} << 62) - 1;

Hash Sha256(std::string_view bytes);
Hash LeafHash(std::string_view entry);               // SHA-256(0x00 || entry)
Hash NodeHash(const Hash& left, const Hash& right);  // SHA-256(0x01 || left || right)
Hash EmptyRoot();                                    // SHA-256 of nothing

// SHA-256 of bytes that come in parts: the same as Sha256 of them joined, without joining them.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Append(std::string_view part);
  // Once, at the end.
  Hash Finish();

 private:
  EVP_MD_CTX* const context_;
};

class Tree {
 public:
  Tree() { peaks_.reserve(64); }

  void Append(const Hash& leaf_hash);
  uint64_t size() const { return size_; }
  // The tree head. O(log n).
  Hash Root() const;

  // "CFT1" | size 8, big-endian | the subtrees' roots, the largest first, 32 bytes each.
  std::string Serialize() const;
  // DataLoss when the bytes are not exactly what Serialize makes.
  static absl::StatusOr<Tree> Parse(std::string_view bytes);

  bool operator==(const Tree&) const = default;

 private:
  uint64_t size_ = 0;
  std::vector<Hash> peaks_;  // from the largest subtree to the smallest
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_TREE_H_
