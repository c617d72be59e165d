#include "enclave_core/ledger/event_ids.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <utility>

#include "enclave_core/ledger/big_endian.h"
#include "invariant/check.h"

namespace coffer::ledger {

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
  const Part& part = PartOf(id);
  const auto found = part.find(id);
  if (found == part.end()) return std::nullopt;
  return found->second;
}

void EventIds::Insert(const IdFingerprint& id, uint64_t content) {
  COFFER_CHECK(PartOf(id).emplace(id, content).second, "I7: an event was applied twice");
  ++size_;
  if (!since_moment_.empty() && id.high >= moment_from_) {
    since_moment_[PlaceOf(id, kParts)].insert(id);
  }
}

void EventIds::BeginMoment() {
  EndMoment();
  since_moment_.resize(kParts);
}

void EventIds::ForgetMoment(uint32_t chunk, uint32_t chunks) {
  COFFER_CHECK(!since_moment_.empty(), "no moment is kept");
  const auto parts_before = [&] { return static_cast<uint64_t>((moment_from_ * kParts) >> 64); };
  const uint64_t forgotten = parts_before();
  moment_from_ = (absl::uint128(chunk) << 64) / chunks;
  for (uint64_t i = forgotten; i < parts_before(); ++i) since_moment_[i] = {};
}

void EventIds::EndMoment() {
  moment_from_ = 0;
  since_moment_ = {};
}

uint32_t EventIds::Chunks(uint64_t ids_each) const {
  if (size_ == 0) return 0;
  uint32_t chunks = 1;
  while (chunks < kMaxChunks && size_ / chunks > ids_each) chunks *= 2;
  return chunks;
}

std::string EventIds::Chunk(uint32_t chunk, uint32_t chunks, bool of_moment) const {
  COFFER_CHECK(chunk < chunks, "a chunk of ids that is none");
  COFFER_CHECK(!of_moment || (!since_moment_.empty() &&
                              (absl::uint128(chunk) << 64) >= moment_from_ * chunks),
               "ids of another moment");
  std::string out;
  out.reserve((size_ / chunks + size_ / chunks / 8) * kBytesPerId);
  // Several parts, or a piece of one.
  const uint64_t first = uint64_t{chunk} * kParts / chunks;
  const uint64_t end = std::max((uint64_t{chunk} + 1) * kParts / chunks, first + 1);
  for (uint64_t i = first; i < end; ++i) {
    for (const auto& [id, content] : parts_[i]) {
      if (chunks > kParts && PlaceOf(id, chunks) != chunk) continue;
      if (of_moment && since_moment_[i].contains(id)) continue;
      AppendId(id, content, &out);
    }
  }
  return out;
}

void EventIds::Reserve(uint64_t count) {
  for (Part& part : parts_) part.reserve(count >> kPartBits);
}

void EventIds::AppendId(const IdFingerprint& id, uint64_t content, std::string* out) {
  char bytes[kBytesPerId];
  StoreBigEndian(content, StoreBigEndian(id.low, StoreBigEndian(id.high, bytes)));
  out->append(bytes, sizeof(bytes));
}

absl::Status EventIds::RestoreChunk(std::string_view chunk) {
  if (chunk.size() % kBytesPerId != 0) {
    return absl::DataLossError("event ids of a snapshot do not come in whole");
  }
  for (const char* p = chunk.data(); p != chunk.data() + chunk.size(); p += kBytesPerId) {
    const IdFingerprint id{LoadBigEndian(p), LoadBigEndian(p + 8)};
    if (!PartOf(id).emplace(id, LoadBigEndian(p + 16)).second) {
      return absl::DataLossError("an event id comes twice in a snapshot");
    }
    ++size_;
  }
  return absl::OkStatus();
}

}  // namespace coffer::ledger
