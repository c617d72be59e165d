#include "enclave_core/audit/tree.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <memory>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kMagic = "CFT1";

// Fetched once: EVP_sha256() would look the algorithm up at every digest, which costs more than a
// leaf.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  COFFER_CHECK(algorithm != nullptr, "OpenSSL has SHA-256");
  return algorithm;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

// In as few pieces as there are: each call of libcrypto costs as much as hashing a dozen bytes.
Hash Digest(std::string_view prefix, std::string_view rest) {
  thread_local const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  Hash out;
  const bool done =
      EVP_DigestInit_ex(context.get(), Algorithm(), nullptr) == 1 &&
      (prefix.empty() || EVP_DigestUpdate(context.get(), prefix.data(), prefix.size()) == 1) &&
      EVP_DigestUpdate(context.get(), rest.data(), rest.size()) == 1 &&
      EVP_DigestFinal_ex(context.get(), out.bytes.data(), nullptr) == 1;
  COFFER_CHECK(done, "SHA-256 cannot fail");
  return out;
}

}  // namespace

Hash Sha256(std::string_view bytes) { return Digest({}, bytes); }
Hash LeafHash(std::string_view entry) { return Digest(std::string_view("\0", 1), entry); }
Hash NodeHash(const Hash& left, const Hash& right) {
  std::array<char, 1 + 2 * Hash::kSize> node;
  node[0] = 1;
  std::copy(left.bytes.begin(), left.bytes.end(), node.begin() + 1);
  std::copy(right.bytes.begin(), right.bytes.end(), node.begin() + 1 + Hash::kSize);
  return Digest({}, {node.data(), node.size()});
}
Hash EmptyRoot() { return Digest({}, {}); }

Sha256Stream::Sha256Stream() : context_(EVP_MD_CTX_new()) {
  COFFER_CHECK(context_ != nullptr && EVP_DigestInit_ex(context_, Algorithm(), nullptr) == 1,
               "SHA-256 cannot fail");
}

Sha256Stream::~Sha256Stream() { EVP_MD_CTX_free(context_); }

void Sha256Stream::Append(std::string_view part) {
  COFFER_CHECK(EVP_DigestUpdate(context_, part.data(), part.size()) == 1, "SHA-256 cannot fail");
}

Hash Sha256Stream::Finish() {
  Hash out;
  COFFER_CHECK(EVP_DigestFinal_ex(context_, out.bytes.data(), nullptr) == 1, "SHA-256 cannot fail");
  return out;
}

void Tree::Append(const Hash& leaf_hash) {
  COFFER_CHECK(size_ < kMaxTreeSize, "the log has room for a leaf");
  Hash carried = leaf_hash;
  for (uint64_t full = size_; full & 1; full >>= 1) {
    carried = NodeHash(peaks_.back(), carried);
    peaks_.pop_back();
  }
  peaks_.push_back(carried);
  ++size_;
}

Hash Tree::Root() const {
  if (peaks_.empty()) return EmptyRoot();
  Hash root = peaks_.back();
  for (size_t i = peaks_.size() - 1; i > 0; --i) root = NodeHash(peaks_[i - 1], root);
  return root;
}

std::string Tree::Serialize() const {
  std::string out(kMagic);
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(size_ >> shift));
  for (const Hash& peak : peaks_) out.append(peak.view());
  return out;
}

absl::StatusOr<Tree> Tree::Parse(std::string_view bytes) {
  if (bytes.size() < kMagic.size() + 8 || bytes.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError("these bytes are not a tree of the audit log: no \"CFT1\" and size");
  }
  Tree tree;
  for (const char c : bytes.substr(kMagic.size(), 8)) {
    tree.size_ = tree.size_ << 8 | static_cast<uint8_t>(c);
  }
  bytes.remove_prefix(kMagic.size() + 8);
  const auto peaks = static_cast<size_t>(std::popcount(tree.size_));
  if (tree.size_ > kMaxTreeSize || bytes.size() != peaks * Hash::kSize) {
    return absl::DataLossError(absl::StrCat("a tree of size ", tree.size_, " has ", peaks,
                                            " subtree hashes; there are ", bytes.size(), " bytes"));
  }
  for (size_t i = 0; i < peaks; ++i) {
    tree.peaks_.push_back(*Hash::FromBytes(bytes.substr(i * Hash::kSize, Hash::kSize)));
  }
  return tree;
}

}  // namespace coffer::audit
