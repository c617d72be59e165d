#include "enclave_core/attestation/document.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cbor.h"

namespace coffer::attestation {
namespace {

constexpr size_t kMaxKeyBytes = 64;
constexpr size_t kMaxDigestBytes = 16;
constexpr uint64_t kMaxFields = 16;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("attestation document: ", what));
}

bool IsPcrSize(size_t bytes) { return bytes == 32 || bytes == kPcrBytes || bytes == 64; }

// The nine fields, in the order in which a module writes them.
enum class Field : uint8_t {
  kModuleId,
  kDigest,
  kTimestamp,
  kPcrs,
  kCertificate,
  kCabundle,
  kPublicKey,
  kUserData,
  kNonce,
};
constexpr std::array<absl::string_view, 9> kFieldNames = {
    "module_id", "digest",     "timestamp", "pcrs",  "certificate",
    "cabundle",  "public_key", "user_data", "nonce",
};
constexpr size_t kRequired = 6;  // the first of them

// Reads the fields' values; the bounds are Check's to judge where they are not the reader's.
class Parser {
 public:
  explicit Parser(std::string_view payload) : reader_(payload) {}

  absl::StatusOr<Document> Parse() {
    absl::StatusOr<cbor::Count> pairs = reader_.Map(kMaxFields);
    if (!pairs.ok()) return Wrong(pairs.status().message());
    for (;;) {
      const absl::StatusOr<bool> more = reader_.More(*pairs);
      if (!more.ok()) return Wrong(more.status().message());
      if (!*more) break;
      if (absl::Status status = Pair(); !status.ok()) return status;
    }
    if (absl::Status end = reader_.End(); !end.ok()) return Wrong(end.message());
    for (size_t i = 0; i < kRequired; ++i) {
      if (!seen_[i]) return Wrong(absl::StrCat(kFieldNames[i], " is missing"));
    }
    return std::move(document_);
  }

 private:
  absl::Status Pair() {
    const absl::StatusOr<std::string_view> key = reader_.Text(kMaxKeyBytes);
    if (!key.ok()) return Wrong(absl::StrCat("a key: ", key.status().message()));
    const absl::string_view text(key->data(), key->size());
    const auto name = std::find(kFieldNames.begin(), kFieldNames.end(), text);
    if (name == kFieldNames.end()) return Wrong(absl::StrCat("there is no field \"", text, "\""));
    const auto index = static_cast<size_t>(name - kFieldNames.begin());
    if (std::exchange(seen_[index], true)) return Wrong(absl::StrCat(text, " is there twice"));
    const absl::Status status = Value(static_cast<Field>(index));
    return status.ok() ? status : Wrong(absl::StrCat(text, ": ", status.message()));
  }

  absl::Status Value(Field field) {
    switch (field) {
      case Field::kModuleId:
        return Put(reader_.Text(kMaxModuleIdBytes), document_.module_id);
      case Field::kDigest:
        return Put(reader_.Text(kMaxDigestBytes), document_.digest);
      case Field::kTimestamp:
        return Put(reader_.Unsigned(), document_.timestamp_ms);
      case Field::kPcrs:
        return Pcrs();
      case Field::kCertificate:
        return Put(reader_.Bytes(kMaxCertificateBytes), document_.certificate);
      case Field::kCabundle:
        return Bundle();
      case Field::kPublicKey:
        return Optional(kMaxPublicKeyBytes, document_.public_key);
      case Field::kUserData:
        return Optional(kMaxAcceptedBytes, document_.user_data);
      case Field::kNonce:
        break;
    }
    return Optional(kMaxAcceptedBytes, document_.nonce);
  }

  template <typename From, typename To>
  static absl::Status Put(const absl::StatusOr<From>& from, To& to) {
    if (from.ok()) to = *from;
    return from.status();
  }

  absl::Status Optional(size_t max_bytes, std::optional<std::string>& to) {
    const absl::StatusOr<bool> null = reader_.TakeNull();
    if (!null.ok() || *null) return null.status();
    return Put(reader_.Bytes(max_bytes), to);
  }

  absl::Status Pcrs() {
    absl::StatusOr<cbor::Count> pairs = reader_.Map(kMaxPcrs);
    if (!pairs.ok()) return pairs.status();
    for (;;) {
      const absl::StatusOr<bool> more = reader_.More(*pairs);
      if (!more.ok() || !*more) return more.status();
      const absl::StatusOr<uint64_t> index = reader_.Unsigned();
      if (!index.ok()) return index.status();
      if (*index >= kMaxPcrs) {
        return absl::InvalidArgumentError(absl::StrCat("index ", *index, " is not 0 to 31"));
      }
      const absl::StatusOr<std::string_view> value = reader_.Bytes(64);
      if (!value.ok()) return value.status();
      if (!document_.pcrs.emplace(static_cast<uint32_t>(*index), *value).second) {
        return absl::InvalidArgumentError(absl::StrCat("index ", *index, " is there twice"));
      }
    }
  }

  absl::Status Bundle() {
    absl::StatusOr<cbor::Count> items = reader_.Array(kMaxBundle);
    if (!items.ok()) return items.status();
    for (;;) {
      const absl::StatusOr<bool> more = reader_.More(*items);
      if (!more.ok() || !*more) return more.status();
      const absl::StatusOr<std::string_view> der = reader_.Bytes(kMaxCertificateBytes);
      if (!der.ok()) return der.status();
      document_.cabundle.emplace_back(*der);
    }
  }

  cbor::Reader reader_;
  Document document_;
  std::array<bool, kFieldNames.size()> seen_{};
};

absl::Status CheckSize(absl::string_view field, size_t size, size_t least, size_t most) {
  if (size >= least && size <= most) return absl::OkStatus();
  return Wrong(absl::StrCat(field, " has ", size, " bytes; ", least, " to ", most, " are allowed"));
}

absl::Status CheckOptional(absl::string_view field, const std::optional<std::string>& value,
                           size_t least, size_t most) {
  return value ? CheckSize(field, value->size(), least, most) : absl::OkStatus();
}

// The limits of AWS's text, whoever made the document.
absl::Status Check(const Document& document) {
  absl::Status status = CheckSize("module_id", document.module_id.size(), 1, kMaxModuleIdBytes);
  if (document.digest != "SHA384") status.Update(Wrong("digest is not SHA384"));
  if (document.timestamp_ms == 0 ||
      document.timestamp_ms > uint64_t{std::numeric_limits<int64_t>::max()}) {
    status.Update(Wrong(absl::StrCat("timestamp ", document.timestamp_ms, " is no time")));
  }
  if (document.pcrs.empty()) status.Update(Wrong("pcrs is empty"));
  for (const auto& [index, value] : document.pcrs) {
    if (index < kMaxPcrs && IsPcrSize(value.size())) continue;
    status.Update(Wrong(absl::StrCat("pcrs: index ", index, " with ", value.size(),
                                     " bytes; 0 to 31 with 32, 48 or 64 are allowed")));
  }
  status.Update(CheckSize("certificate", document.certificate.size(), 1, kMaxCertificateBytes));
  if (document.cabundle.empty() || document.cabundle.size() > kMaxBundle) {
    status.Update(Wrong(absl::StrCat("cabundle has ", document.cabundle.size(),
                                     " certificates; 1 to ", kMaxBundle, " are allowed")));
  }
  for (const std::string& der : document.cabundle) {
    status.Update(CheckSize("a certificate of cabundle", der.size(), 1, kMaxCertificateBytes));
  }
  status.Update(CheckOptional("public_key", document.public_key, 1, kMaxPublicKeyBytes));
  status.Update(CheckOptional("user_data", document.user_data, 0, kMaxAcceptedBytes));
  status.Update(CheckOptional("nonce", document.nonce, 0, kMaxAcceptedBytes));
  return status;
}

void WriteOptional(std::string_view key, const std::optional<std::string>& value,
                   cbor::Writer& writer) {
  writer.Text(key);
  value ? writer.Bytes(*value) : writer.Null();
}

}  // namespace

bool Document::IsDebug() const {
  return std::any_of(pcrs.begin(), pcrs.end(),
                     [](const auto& pcr) { return pcr.first < 3 && IsZeroPcr(pcr.second); });
}

absl::StatusOr<Document> ParseDocument(std::string_view payload) {
  absl::StatusOr<Document> document = Parser(payload).Parse();
  if (!document.ok()) return document;
  if (absl::Status status = Check(*document); !status.ok()) return status;
  return document;
}

absl::StatusOr<std::string> EncodeDocument(const Document& document) {
  if (absl::Status status = Check(document); !status.ok()) return status;
  cbor::Writer writer;
  writer.Map(kFieldNames.size());
  writer.Text("module_id").Text(document.module_id);
  writer.Text("digest").Text(document.digest);
  writer.Text("timestamp").Unsigned(document.timestamp_ms);
  writer.Text("pcrs").Map(document.pcrs.size());
  for (const auto& [index, value] : document.pcrs) writer.Unsigned(index).Bytes(value);
  writer.Text("certificate").Bytes(document.certificate);
  writer.Text("cabundle").Array(document.cabundle.size());
  for (const std::string& der : document.cabundle) writer.Bytes(der);
  WriteOptional("public_key", document.public_key, writer);
  WriteOptional("user_data", document.user_data, writer);
  WriteOptional("nonce", document.nonce, writer);
  return writer.Take();
}

}  // namespace coffer::attestation
