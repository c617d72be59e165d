#include "enclave_core/audit/proof.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"

namespace coffer::audit {
namespace {

// The largest power of two below `size` (2 at least): where RFC 6962 splits a tree.
uint64_t SplitOf(uint64_t size) { return std::bit_floor(size - 1); }

// MTH(D[begin:end]), where `begin` is a multiple of the power of two not below end - begin. At the
// right edge of the tree it is made of one complete subtree for each set bit of its size.
absl::StatusOr<Hash> RangeHash(uint64_t begin, uint64_t end, HashReader read) {
  std::vector<std::pair<uint32_t, uint64_t>> subtrees;
  while (begin < end) {
    const uint64_t width = std::bit_floor(end - begin);
    subtrees.emplace_back(static_cast<uint32_t>(std::countr_zero(width)), begin / width);
    begin += width;
  }
  absl::StatusOr<Hash> hash = read(subtrees.back().first, subtrees.back().second);
  subtrees.pop_back();
  for (; hash.ok() && !subtrees.empty(); subtrees.pop_back()) {
    const absl::StatusOr<Hash> left = read(subtrees.back().first, subtrees.back().second);
    if (!left.ok()) return left.status();
    hash = NodeHash(*left, *hash);
  }
  return hash;
}

// Reads the ranges in turn, then puts them in the proof's order: from the leaf's side to the
// root's.
absl::StatusOr<Proof> Collect(std::vector<std::pair<uint64_t, uint64_t>> ranges, HashReader read) {
  Proof proof;
  proof.reserve(ranges.size());
  std::reverse(ranges.begin(), ranges.end());
  for (const auto& [begin, end] : ranges) {
    const absl::StatusOr<Hash> hash = RangeHash(begin, end, read);
    if (!hash.ok()) return hash.status();
    proof.push_back(*hash);
  }
  return proof;
}

absl::Status TooLarge(uint64_t size) {
  return absl::InvalidArgumentError(absl::StrCat("a tree of size ", size, " is above 2^62 - 1"));
}

absl::Status LengthError(uint64_t size, size_t length) {
  return absl::InvalidArgumentError(
      absl::StrCat("a proof of ", length, " hashes does not have the length that a tree of size ",
                   size, " needs"));
}

}  // namespace

absl::StatusOr<Hash> RootFromHashes(uint64_t size, HashReader read) {
  if (size > kMaxTreeSize) return TooLarge(size);
  if (size == 0) return EmptyRoot();
  return RangeHash(0, size, read);
}

absl::StatusOr<Proof> BuildInclusion(uint64_t index, uint64_t size, HashReader read) {
  if (size > kMaxTreeSize) return TooLarge(size);
  if (index >= size) {
    return absl::InvalidArgumentError(
        absl::StrCat("leaf ", index, " is not in a tree of size ", size));
  }
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  uint64_t begin = 0;
  uint64_t end = size;
  while (end - begin > 1) {
    const uint64_t middle = begin + SplitOf(end - begin);
    if (index < middle) {
      ranges.emplace_back(middle, end);
      end = middle;
    } else {
      ranges.emplace_back(begin, middle);
      begin = middle;
    }
  }
  return Collect(std::move(ranges), read);
}

absl::StatusOr<Proof> BuildConsistency(uint64_t first, uint64_t second, HashReader read) {
  if (second > kMaxTreeSize) return TooLarge(second);
  if (first == 0 || first > second) {
    return absl::InvalidArgumentError(absl::StrCat("there is no consistency proof from size ",
                                                   first, " to ", second,
                                                   ": want 1 <= first <= second"));
  }
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  uint64_t begin = 0;
  uint64_t end = second;
  while (end != first) {  // SUBPROOF of RFC 6962, 2.1.2
    const uint64_t middle = begin + SplitOf(end - begin);
    if (first <= middle) {
      ranges.emplace_back(middle, end);
      end = middle;
    } else {
      ranges.emplace_back(begin, middle);
      begin = middle;
    }
  }
  if (begin != 0) ranges.emplace_back(begin, end);  // else it is the first root, which is known
  return Collect(std::move(ranges), read);
}

absl::StatusOr<Hash> RootFromInclusion(uint64_t index, uint64_t size, const Hash& leaf_hash,
                                       absl::Span<const Hash> proof) {
  if (size > kMaxTreeSize) return TooLarge(size);
  if (index >= size) {
    return absl::InvalidArgumentError(
        absl::StrCat("leaf ", index, " is not in a tree of size ", size));
  }
  uint64_t node = index;
  uint64_t last = size - 1;
  Hash hash = leaf_hash;
  for (const Hash& sibling : proof) {
    if (last == 0) return LengthError(size, proof.size());
    if ((node & 1) != 0 || node == last) {
      hash = NodeHash(sibling, hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      hash = NodeHash(hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  if (last != 0) return LengthError(size, proof.size());
  return hash;
}

absl::Status VerifyInclusion(uint64_t index, uint64_t size, const Hash& leaf_hash,
                             absl::Span<const Hash> proof, const Hash& root) {
  const absl::StatusOr<Hash> computed = RootFromInclusion(index, size, leaf_hash, proof);
  if (!computed.ok()) return computed.status();
  if (*computed != root) {
    return absl::DataLossError(absl::StrCat("the inclusion proof of leaf ", index,
                                            " leads to root ", computed->ToHex(), ", not to ",
                                            root.ToHex()));
  }
  return absl::OkStatus();
}

absl::Status VerifyConsistency(uint64_t first, uint64_t second, const Hash& first_root,
                               const Hash& second_root, absl::Span<const Hash> proof) {
  if (second > kMaxTreeSize) return TooLarge(second);
  if (first > second) {
    return absl::InvalidArgumentError(
        absl::StrCat("a log of size ", first, " cannot have shrunk to ", second));
  }
  if (first == 0 || first == second) {
    if (!proof.empty()) return LengthError(second, proof.size());
    if (first == second && first_root != second_root) {
      return absl::DataLossError(
          absl::StrCat("two roots for size ", first, ": the log shows two histories"));
    }
    if (first == 0 && first_root != EmptyRoot()) {
      return absl::DataLossError("the root of size 0 is not the empty tree's");
    }
    return absl::OkStatus();
  }
  // RFC 9162, 2.1.4.2. A first tree that is a complete subtree is itself where the paths begin.
  const bool complete = std::has_single_bit(first);
  if (!complete && proof.empty()) return LengthError(second, 0);
  Hash old_hash = complete ? first_root : proof[0];
  Hash new_hash = old_hash;
  uint64_t node = first - 1;
  uint64_t last = second - 1;
  const int skipped = std::countr_one(node);
  node >>= skipped;
  last >>= skipped;
  for (const Hash& sibling : proof.subspan(complete ? 0 : 1)) {
    if (last == 0) return LengthError(second, proof.size());
    if ((node & 1) != 0 || node == last) {
      old_hash = NodeHash(sibling, old_hash);
      new_hash = NodeHash(sibling, new_hash);
      while ((node & 1) == 0 && node != 0) {
        node >>= 1;
        last >>= 1;
      }
    } else {
      new_hash = NodeHash(new_hash, sibling);
    }
    node >>= 1;
    last >>= 1;
  }
  if (last != 0) return LengthError(second, proof.size());
  if (old_hash != first_root || new_hash != second_root) {
    return absl::DataLossError(absl::StrCat(
        "the proof does not show that the tree of size ", second, " begins with the one of size ",
        first, ": the log shows two histories, or the proof is wrong"));
  }
  return absl::OkStatus();
}

}  // namespace coffer::audit
