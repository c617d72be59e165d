// Inclusion and consistency proofs: RFC 9162, 2.1.3 and 2.1.4 (the same proofs as RFC 6962, 2.1.1
// and 2.1.2), made from stored hashes and verified without them.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_PROOF_H_
#define COFFER_ENCLAVE_CORE_AUDIT_PROOF_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "enclave_core/audit/tree.h"

namespace coffer::audit {

using Proof = std::vector<Hash>;

// No proof in a tree of at most kMaxTreeSize leaves is longer (tlog-witness: at most 63 lines).
inline constexpr size_t kMaxProofHashes = 63;

// The hash of the complete subtree of 2^level leaves that begins at leaf index * 2^level, as tiles
// or a table of nodes give it. Asked only for subtrees inside the tree; an error ends the building.
using HashReader = absl::FunctionRef<absl::StatusOr<Hash>(uint32_t level, uint64_t index)>;

// Each of these reads O(log size) hashes. InvalidArgument when the numbers make no proof (an index
// that is not below the size; a first size above the second or zero).
absl::StatusOr<Hash> RootFromHashes(uint64_t size, HashReader read);
absl::StatusOr<Proof> BuildInclusion(uint64_t index, uint64_t size, HashReader read);
absl::StatusOr<Proof> BuildConsistency(uint64_t first, uint64_t second, HashReader read);

// The root that this proof leads to from the leaf; the error says why there is none.
absl::StatusOr<Hash> RootFromInclusion(uint64_t index, uint64_t size, const Hash& leaf_hash,
                                       absl::Span<const Hash> proof);
// OK when the leaf is at `index` in the tree of that size and root; else a sentence.
absl::Status VerifyInclusion(uint64_t index, uint64_t size, const Hash& leaf_hash,
                             absl::Span<const Hash> proof, const Hash& root);
// OK when the second tree begins with the first. Equal sizes need equal roots and no proof; a first
// size of 0 needs the empty root and no proof (every tree begins with the empty one).
absl::Status VerifyConsistency(uint64_t first, uint64_t second, const Hash& first_root,
                               const Hash& second_root, absl::Span<const Hash> proof);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_PROOF_H_
