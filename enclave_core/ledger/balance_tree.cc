#include "enclave_core/ledger/balance_tree.h"

#include <openssl/evp.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "enclave_core/ledger/big_endian.h"
#include "invariant/check.h"

namespace coffer::ledger {
namespace {

using ethereum::Hash;

// RFC 6962, section 2.1: a leaf and a node cannot be taken for each other.
constexpr char kLeaf = 0x00;
constexpr char kNode = 0x01;

// The account's line, with the prefix of a leaf in front.
void LeafBytes(Ledger::Index index, const Account& account, std::string* out) {
  char integers[6 * 16];
  StoreBigEndian(uint64_t{index}, integers);
  out->assign(1, kLeaf);
  out->append("coffer account v1");
  out->append(integers, 8);
  out->push_back(0);  // ids are shorter than 256 bytes
  out->push_back(static_cast<char>(account.id_size));
  out->append(account.id());
  out->append(account.recipient.view());
  const Balances& b = account.balances;
  char* p = integers;
  for (const Wei amount :
       {b.available, b.reserved, b.credited, b.adjusted_up, b.adjusted_down, b.paid}) {
    p = StoreBigEndian(amount, p);
  }
  out->append(integers, sizeof(integers));
}

// SHA-256 with its context kept: OpenSSL's look-up of the algorithm costs more than a digest.
class Sha256 {
 public:
  Sha256() : md_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    COFFER_CHECK(md_ != nullptr && context_ != nullptr, "OpenSSL has SHA-256");
  }
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256() {
    EVP_MD_CTX_free(context_);
    EVP_MD_free(md_);
  }

  Hash Of(std::string_view bytes) {
    Hash out;
    const bool done = EVP_DigestInit_ex(context_, md_, nullptr) == 1 &&
                      EVP_DigestUpdate(context_, bytes.data(), bytes.size()) == 1 &&
                      EVP_DigestFinal_ex(context_, out.bytes.data(), nullptr) == 1;
    COFFER_CHECK(done, "SHA-256 cannot fail");
    return out;
  }

 private:
  EVP_MD* md_;
  EVP_MD_CTX* context_;
};

}  // namespace

void BalanceTree::Touch(Ledger::Index index) {
  if (index >= is_touched_.size()) is_touched_.resize(index + 1);
  if (is_touched_[index]) return;
  is_touched_[index] = true;
  touched_.push_back(index);
}

// A node without a sibling is carried up as it is: bottom-up, that is RFC 6962's split at the
// largest power of two. A new leaf lies under every node whose leaves it changes, so the paths of
// what was touched are all that has to be hashed.
Hash BalanceTree::Root(const Ledger& ledger) {
  Sha256 sha256;
  if (ledger.size() == 0) return sha256.Of("");
  std::string bytes;
  std::sort(touched_.begin(), touched_.end());
  if (levels_.empty()) levels_.emplace_back();
  const size_t fresh = ledger.size() - levels_[0].size();
  COFFER_CHECK(fresh == 0 || (touched_.size() >= fresh &&
                              touched_[touched_.size() - fresh] == levels_[0].size()),
               "every new account is touched");
  levels_[0].resize(ledger.size());
  for (const Ledger::Index index : touched_) {
    is_touched_[index] = false;
    LeafBytes(index, ledger.at(index), &bytes);
    levels_[0][index] = sha256.Of(bytes);
  }
  std::vector<Ledger::Index> dirty = std::move(touched_);
  touched_.clear();
  for (size_t depth = 0; levels_[depth].size() > 1; ++depth) {
    if (levels_.size() == depth + 1) levels_.emplace_back();
    const std::vector<Hash>& below = levels_[depth];
    std::vector<Hash>& here = levels_[depth + 1];
    here.resize((below.size() + 1) / 2);
    for (Ledger::Index& index : dirty) index /= 2;
    dirty.erase(std::unique(dirty.begin(), dirty.end()), dirty.end());
    for (const Ledger::Index index : dirty) {
      const size_t left = 2 * index;
      if (left + 1 == below.size()) {
        here[index] = below[left];
        continue;
      }
      bytes.assign(1, kNode);
      bytes.append(below[left].view());
      bytes.append(below[left + 1].view());
      here[index] = sha256.Of(bytes);
    }
  }
  return levels_.back()[0];
}

}  // namespace coffer::ledger
