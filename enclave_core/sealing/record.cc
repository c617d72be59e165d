#include "enclave_core/sealing/record.h"

#include <openssl/evp.h>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::sealing {
namespace {

constexpr std::string_view kMagic = "CFR1";

void Append(uint64_t value, int bytes, std::string* out) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out->push_back(static_cast<char>(value >> shift));
  }
}

// Takes fields off the front of a buffer whose size was checked before.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  uint64_t Integer(size_t bytes) {
    uint64_t value = 0;
    for (const char c : Bytes(bytes)) value = (value << 8) | static_cast<uint8_t>(c);
    return value;
  }
  std::string_view Bytes(size_t bytes) {
    const std::string_view out = in_.substr(0, bytes);
    in_.remove_prefix(bytes);
    return out;
  }
  Hash HashField() { return *Hash::FromBytes(Bytes(Hash::kSize)); }

 private:
  std::string_view in_;
};

}  // namespace

std::string EncodeHeader(const Header& header) {
  std::string out(kMagic);
  out.reserve(kHeaderBytes);
  Append(static_cast<uint8_t>(header.kind), 1, &out);
  Append(header.key_epoch, 4, &out);
  Append(header.sequence, 8, &out);
  out.append(header.previous.view());
  Append(header.chunk_index, 4, &out);
  Append(header.chunk_count, 4, &out);
  out.append(header.salt.view());
  Append(header.counter, 8, &out);
  COFFER_CHECK(out.size() == kHeaderBytes, "the record header has a fixed size");
  return out;
}

absl::StatusOr<Header> ParseHeader(std::string_view sealed) {
  if (sealed.size() < kHeaderBytes + kTagBytes) {
    return absl::DataLossError(absl::StrCat("a sealed record of ", sealed.size(),
                                            " bytes is truncated: the least is ",
                                            kHeaderBytes + kTagBytes));
  }
  if (sealed.size() > kMaxSealedBytes) {
    return absl::DataLossError(absl::StrCat("a sealed record of ", sealed.size(),
                                            " bytes is longer than any that is written"));
  }
  if (sealed.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError(
        "these bytes are not a sealed record of a version known here (CFR1)");
  }
  Reader in(sealed.substr(kMagic.size(), kHeaderBytes - kMagic.size()));
  Header header;
  const uint64_t kind = in.Integer(1);
  if (kind != static_cast<uint8_t>(Kind::kRecord) &&
      kind != static_cast<uint8_t>(Kind::kSnapshotChunk) &&
      kind != static_cast<uint8_t>(Kind::kBlobPart)) {
    return absl::DataLossError(absl::StrCat("a sealed record of the unknown kind ", kind));
  }
  header.kind = static_cast<Kind>(kind);
  header.key_epoch = static_cast<uint32_t>(in.Integer(4));
  header.sequence = in.Integer(8);
  header.previous = in.HashField();
  header.chunk_index = static_cast<uint32_t>(in.Integer(4));
  header.chunk_count = static_cast<uint32_t>(in.Integer(4));
  header.salt = in.HashField();
  header.counter = in.Integer(8);
  return header;
}

Hash RecordHash(std::string_view sealed) {
  Hash hash;
  unsigned int length = 0;
  const int ok =
      EVP_Digest(sealed.data(), sealed.size(), hash.bytes.data(), &length, EVP_sha256(), nullptr);
  COFFER_CHECK(ok == 1 && length == Hash::kSize, "SHA-256 failed");
  return hash;
}

}  // namespace coffer::sealing
