#include "enclave_core/sealing/blob.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::sealing {
namespace {

constexpr std::string_view kMagic = "CFRX";
constexpr size_t kLengthBytes = 4;

void AppendLength(size_t length, std::string* out) {
  for (int shift = 24; shift >= 0; shift -= 8) out->push_back(static_cast<char>(length >> shift));
}

size_t ReadLength(std::string_view four) {
  size_t length = 0;
  for (const char c : four) length = length << 8 | static_cast<uint8_t>(c);
  return length;
}

}  // namespace

absl::StatusOr<std::string> SealBlob(Vault* vault, const std::vector<std::string>& parts) {
  size_t total = kMagic.size();
  for (const std::string& part : parts)
    total += kLengthBytes + kHeaderBytes + part.size() + kTagBytes;
  if (total > kMaxBlobBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the state takes ", total, " bytes, and a blob holds at most ", kMaxBlobBytes,
                     "; a state of this size needs a storage (coffer-host)"));
  }
  std::string blob(kMagic);
  blob.reserve(total);
  Header header;
  header.kind = Kind::kBlobPart;
  header.chunk_count = static_cast<uint32_t>(parts.size());
  for (const std::string& part : parts) {
    const std::string sealed = vault->Seal(header, part);
    AppendLength(sealed.size(), &blob);
    blob.append(sealed);
    ++header.chunk_index;
  }
  return blob;
}

absl::StatusOr<std::vector<std::string>> OpenBlob(Vault* vault, std::string_view blob) {
  if (blob.size() > kMaxBlobBytes || blob.substr(0, kMagic.size()) != kMagic) {
    return absl::DataLossError(
        absl::StrCat("these ", blob.size(), " bytes are no exported state (CFRX)"));
  }
  blob.remove_prefix(kMagic.size());
  std::vector<std::string> parts;
  Header first;
  while (!blob.empty()) {
    const size_t length = blob.size() < kLengthBytes ? 0 : ReadLength(blob.substr(0, kLengthBytes));
    if (length == 0 || length > blob.size() - kLengthBytes) {
      return absl::DataLossError(
          absl::StrCat("part ", parts.size(), " of the exported state is truncated"));
    }
    absl::StatusOr<Vault::Opened> part = vault->Open(blob.substr(kLengthBytes, length));
    if (!part.ok()) {
      return absl::DataLossError(absl::StrCat(
          "part ", parts.size(), " of the exported state is refused: ", part.status().message()));
    }
    const Header& header = part->header;
    if (parts.empty()) first = header;
    // All parts of one export are sealed one after the other by one run of an enclave.
    if (header.kind != Kind::kBlobPart || header.chunk_index != parts.size() ||
        header.chunk_count != first.chunk_count || header.salt != first.salt ||
        header.counter != first.counter + parts.size()) {
      return absl::DataLossError(
          absl::StrCat("part ", parts.size(), " of the exported state belongs elsewhere"));
    }
    parts.push_back(std::move(part->plaintext));
    blob.remove_prefix(kLengthBytes + length);
  }
  if (parts.empty() || parts.size() != first.chunk_count) {
    return absl::DataLossError(absl::StrCat("the exported state is not whole: ", parts.size(),
                                            " of ", first.chunk_count, " parts"));
  }
  return parts;
}

}  // namespace coffer::sealing
