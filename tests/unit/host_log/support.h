// Leaves, and the log that they must become.
#ifndef COFFER_TESTS_UNIT_HOST_LOG_SUPPORT_H_
#define COFFER_TESTS_UNIT_HOST_LOG_SUPPORT_H_

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/tree.h"
#include "invariant/check.h"

namespace coffer::host {

inline uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "COFFER_TEST_SEED=" << seed << "\n";
  return seed;
}

// The bytes of a leaf; to the host they are opaque.
inline std::string LeafAt(uint64_t index) {
  return "leaf " + std::to_string(index) + std::string(index * 7 % 40, 'x');
}

// Leaves [first, end) as Store.leaves has them.
inline std::string Leaves(uint64_t first, uint64_t end) {
  std::string bundle;
  for (uint64_t i = first; i < end; ++i) {
    COFFER_CHECK(audit::AppendToBundle(LeafAt(i), &bundle).ok(), "a leaf fits");
  }
  return bundle;
}

// The whole log of a size, made at once and without any crash.
struct Reference {
  explicit Reference(uint64_t size) {
    audit::TileWriter writer;
    for (uint64_t i = 0; i < size; ++i) {
      COFFER_CHECK(writer.Append(LeafAt(i)).ok(), "a leaf fits");
    }
    for (audit::TileFile& file : writer.Take()) {
      files[audit::TilePath(file.tile)] = std::move(file.content);
    }
    root = writer.Root();
  }
  std::map<std::string, std::string> files;
  audit::Hash root;
};

// Reference(size).root, made once.
inline const audit::Hash& RootOf(uint64_t size) {
  static audit::Tree tree;
  static std::vector<audit::Hash> roots{audit::EmptyRoot()};
  for (; roots.size() <= size; roots.push_back(tree.Root())) {
    tree.Append(audit::LeafHash(LeafAt(tree.size())));
  }
  return roots[size];
}

// All files of the reference are there, byte for byte.
inline void ExpectHolds(const std::map<std::string, std::string>& folder, const Reference& want) {
  for (const auto& [path, content] : want.files) {
    const auto found = folder.find(path);
    ASSERT_NE(found, folder.end()) << path << " is missing";
    ASSERT_EQ(found->second, content) << path;
  }
}

inline audit::NoteSigner TestSigner(const std::string& name, char seed = 's') {
  auto secret = ethereum::SecretBytes::CopyOf(std::string(32, seed));
  COFFER_CHECK(secret.ok(), "a seed");
  auto signer = audit::NoteSigner::Create(name, audit::KeyType::kEd25519, *std::move(secret));
  COFFER_CHECK(signer.ok(), "a signer");
  return *std::move(signer);
}

inline std::string NoteOf(uint64_t size, const audit::Hash& root) {
  static const audit::NoteSigner signer = TestSigner("coffer/0xabc");
  return audit::SignCheckpoint({signer.key().name(), size, root, {}}, signer);
}

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_LOG_SUPPORT_H_
