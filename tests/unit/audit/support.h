// A second tree for the tests, straight from the recursive definitions of RFC 6962, 2.1: slow, and
// shares nothing with the library but SHA-256.
#ifndef COFFER_TESTS_UNIT_AUDIT_SUPPORT_H_
#define COFFER_TESTS_UNIT_AUDIT_SUPPORT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/tree.h"

namespace coffer::audit {

using Hashes = std::vector<Hash>;

inline Hash NaiveNode(const Hash& left, const Hash& right) {
  return Sha256("\x01" + std::string(left.view()) + std::string(right.view()));
}
inline Hash NaiveLeaf(const std::string& entry) { return Sha256(std::string(1, '\0') + entry); }

inline size_t NaiveSplit(size_t n) {
  size_t k = 1;
  while (k * 2 < n) k *= 2;
  return k;
}

// MTH(D[begin:end]) over leaf hashes.
inline Hash NaiveRoot(const Hashes& leaves, size_t begin, size_t end) {
  if (begin == end) return Sha256("");
  if (end - begin == 1) return leaves[begin];
  const size_t k = NaiveSplit(end - begin);
  return NaiveNode(NaiveRoot(leaves, begin, begin + k), NaiveRoot(leaves, begin + k, end));
}

// PATH(m, D[begin:end]).
inline Hashes NaivePath(size_t m, const Hashes& leaves, size_t begin, size_t end) {
  if (end - begin == 1) return {};
  const size_t k = NaiveSplit(end - begin);
  Hashes path =
      m < k ? NaivePath(m, leaves, begin, begin + k) : NaivePath(m - k, leaves, begin + k, end);
  path.push_back(m < k ? NaiveRoot(leaves, begin + k, end) : NaiveRoot(leaves, begin, begin + k));
  return path;
}

// SUBPROOF(m, D[begin:end], whole); PROOF(m, D[n]) is the one with whole = true.
inline Hashes NaiveConsistency(size_t m, const Hashes& leaves, size_t begin, size_t end,
                               bool whole) {
  if (m == end - begin) return whole ? Hashes{} : Hashes{NaiveRoot(leaves, begin, end)};
  const size_t k = NaiveSplit(end - begin);
  if (m <= k) {
    Hashes proof = NaiveConsistency(m, leaves, begin, begin + k, whole);
    proof.push_back(NaiveRoot(leaves, begin + k, end));
    return proof;
  }
  Hashes proof = NaiveConsistency(m - k, leaves, begin + k, end, false);
  proof.push_back(NaiveRoot(leaves, begin, begin + k));
  return proof;
}

// A HashReader over leaf hashes that refuses what is not a complete subtree of the tree of `size`.
inline absl::StatusOr<Hash> NaiveRead(const Hashes& leaves, size_t size, uint32_t level,
                                      uint64_t index) {
  const size_t begin = index << level;
  const size_t end = begin + (size_t{1} << level);
  if (end > size) return absl::NotFoundError("asked for an incomplete subtree");
  return NaiveRoot(leaves, begin, end);
}

// The files of a log as a web server would have them.
struct Files {
  std::map<std::string, std::string> by_path;

  void Put(std::vector<TileFile> files) {
    for (TileFile& file : files) by_path[TilePath(file.tile)] = std::move(file.content);
  }
  absl::StatusOr<std::string> Get(const TileRef& tile) const {
    const auto found = by_path.find(TilePath(tile));
    if (found == by_path.end()) return absl::NotFoundError(TilePath(tile));
    return found->second;
  }
};

inline uint64_t TestSeed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "COFFER_TEST_SEED=" << seed << std::endl;
  return seed;
}

inline Hash RandomHash(std::mt19937_64& random) {
  Hash hash;
  for (uint8_t& byte : hash.bytes) byte = static_cast<uint8_t>(random());
  return hash;
}

inline NoteSigner SignerOf(const std::string& name, KeyType type, char seed) {
  return NoteSigner::Create(name, type,
                            ethereum::SecretBytes::CopyOf(std::string(32, seed)).value())
      .value();
}

inline NoteSigner LogSigner() { return SignerOf("log.example", KeyType::kEd25519, 'l'); }

}  // namespace coffer::audit

#endif  // COFFER_TESTS_UNIT_AUDIT_SUPPORT_H_
