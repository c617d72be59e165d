#include "enclave_core/ledger/event_ids.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "invariant/check.h"

namespace coffer::ledger {
namespace {

uint64_t LoadBigEndian(const char* p) {
  uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = (value << 8) | static_cast<uint8_t>(p[i]);
  return value;
}

void AppendBigEndian(uint64_t value, std::string* out) {
  for (int shift = 56; shift >= 0; shift -= 8) out->push_back(static_cast<char>(value >> shift));
}

}  // namespace

struct Fingerprinter::Context {
  std::array<uint8_t, 33> prefix{};  // the key, and behind it the domain of a digest
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() {
    EVP_MD_CTX_free(md);
    EVP_MD_free(sha256);
    OPENSSL_cleanse(prefix.data(), prefix.size());
  }
};

Fingerprinter::Fingerprinter(std::string_view key) : context_(std::make_unique<Context>()) {
  COFFER_CHECK(key.size() == 32, "the fingerprint key has 32 bytes");
  COFFER_CHECK(context_->sha256 != nullptr && context_->md != nullptr, "OpenSSL gave no SHA-256");
  std::copy(key.begin(), key.end(), context_->prefix.begin());
}
Fingerprinter::~Fingerprinter() = default;
Fingerprinter::Fingerprinter(Fingerprinter&&) noexcept = default;
Fingerprinter& Fingerprinter::operator=(Fingerprinter&&) noexcept = default;

void Fingerprinter::Digest(uint8_t domain, std::string_view data, uint8_t (&out)[32]) {
  EVP_MD_CTX* md = context_->md;
  context_->prefix.back() = domain;
  const bool ok = EVP_DigestInit_ex(md, context_->sha256, nullptr) == 1 &&
                  EVP_DigestUpdate(md, context_->prefix.data(), context_->prefix.size()) == 1 &&
                  EVP_DigestUpdate(md, data.data(), data.size()) == 1 &&
                  EVP_DigestFinal_ex(md, out, nullptr) == 1;
  COFFER_CHECK(ok, "SHA-256 failed");
}

IdFingerprint Fingerprinter::OfId(std::string_view id) {
  uint8_t digest[32];
  Digest(0, id, digest);
  const char* p = reinterpret_cast<const char*>(digest);
  return {LoadBigEndian(p), LoadBigEndian(p + 8)};
}

uint64_t Fingerprinter::OfContent(std::string_view content) {
  uint8_t digest[32];
  Digest(1, content, digest);
  return LoadBigEndian(reinterpret_cast<const char*>(digest));
}

std::optional<uint64_t> EventIds::Find(const IdFingerprint& id) const {
  const auto found = ids_.find(id);
  if (found == ids_.end()) return std::nullopt;
  return found->second;
}

void EventIds::Insert(const IdFingerprint& id, uint64_t content) {
  COFFER_CHECK(ids_.emplace(id, content).second, "I7: an event was applied twice");
}

void EventIds::AppendId(const IdFingerprint& id, uint64_t content, std::string* out) {
  AppendBigEndian(id.high, out);
  AppendBigEndian(id.low, out);
  AppendBigEndian(content, out);
}

absl::Status EventIds::RestoreChunk(std::string_view chunk) {
  if (chunk.size() % kBytesPerId != 0) {
    return absl::DataLossError("event ids of a snapshot do not come in whole");
  }
  for (const char* p = chunk.data(); p != chunk.data() + chunk.size(); p += kBytesPerId) {
    const IdFingerprint id{LoadBigEndian(p), LoadBigEndian(p + 8)};
    if (!ids_.emplace(id, LoadBigEndian(p + 16)).second) {
      return absl::DataLossError("an event id comes twice in a snapshot");
    }
  }
  return absl::OkStatus();
}

}  // namespace coffer::ledger
