#include "enclave_core/attestation/nsm.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/document.h"
#include "invariant/check.h"

namespace coffer::attestation {

absl::Status CheckFields(const Fields& fields) {
  const auto check = [](const char* name, const std::string& value, size_t limit) {
    if (value.size() <= limit) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat("attestation: ", name, " has ", value.size(),
                                                   " bytes; at most ", limit, " are allowed"));
  };
  if (absl::Status s = check("user_data", fields.user_data, kMaxRequestedBytes); !s.ok()) return s;
  if (absl::Status s = check("nonce", fields.nonce, kMaxRequestedBytes); !s.ok()) return s;
  return check("public_key", fields.public_key, kMaxPublicKeyBytes);
}

namespace nsm {
namespace {

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxErrorBytes = 128;
constexpr uint64_t kMaxAnswerFields = 16;
constexpr size_t kMaxRandomBytes = 256;
constexpr size_t kMaxPcrBytes = 64;
constexpr char kError[] = "Error";

// {"DescribePCR": {"index": n}} and its like.
std::string EncodeNumber(std::string_view request, std::string_view field, uint16_t number) {
  cbor::Writer out;
  out.Map(1).Text(request).Map(1).Text(field).Unsigned(number);
  return out.Take();
}

absl::Status Malformed(const char* request, absl::string_view why) {
  return absl::UnavailableError(
      absl::StrCat("the Nitro Secure Module's answer to ", request, ": ", why));
}

// One answer that is being read: {"<request>": {fields}}, or {"Error": "<code>"}.
class Answer {
 public:
  Answer(const char* request, std::string_view bytes) : request_(request), reader_(bytes) {}

  // Takes a field's value when it knows it; false: it does not, and it is passed over.
  using Take = absl::FunctionRef<absl::StatusOr<bool>(std::string_view name, cbor::Reader& value)>;
  absl::Status Read(Take take) {
    absl::Status read = Open();
    if (read.ok()) read = ReadFields(take);
    return read.ok() ? Close() : read;
  }

 private:
  template <typename T>
  absl::Status Wrong(const absl::StatusOr<T>& part) const {
    return Malformed(request_, part.status().message());
  }

  absl::Status Open() {
    absl::StatusOr<cbor::Count> outer = reader_.Map(1);
    if (!outer.ok()) return Wrong(outer);
    outer_ = *outer;
    const absl::StatusOr<bool> one = reader_.More(outer_);
    if (!one.ok()) return Wrong(one);
    if (!*one) return Malformed(request_, "an empty map");
    const absl::StatusOr<std::string_view> name = reader_.Text(kMaxNameBytes);
    if (!name.ok()) return Wrong(name);
    if (*name == kError) return Refusal();
    if (*name != request_)
      return Malformed(request_, absl::StrCat("it is one to ", std::string(*name)));
    return absl::OkStatus();
  }

  absl::Status Refusal() {
    const absl::StatusOr<std::string_view> code = reader_.Text(kMaxErrorBytes);
    if (!code.ok()) return Wrong(code);
    if (absl::Status s = Close(); !s.ok()) return s;
    return Malformed(request_, absl::StrCat("it refuses: ", std::string(*code)));
  }

  absl::Status ReadFields(Take take) {
    absl::StatusOr<cbor::Count> fields = reader_.Map(kMaxAnswerFields);
    if (!fields.ok()) return Wrong(fields);
    std::vector<std::string_view> seen;
    for (;;) {
      const absl::StatusOr<bool> more = reader_.More(*fields);
      if (!more.ok()) return Wrong(more);
      if (!*more) return absl::OkStatus();
      const absl::StatusOr<std::string_view> name = reader_.Text(kMaxNameBytes);
      if (!name.ok()) return Wrong(name);
      if (std::find(seen.begin(), seen.end(), *name) != seen.end()) {
        return Malformed(request_, absl::StrCat(std::string(*name), " is there twice"));
      }
      seen.push_back(*name);
      absl::StatusOr<bool> taken = take(*name, reader_);
      if (taken.ok() && !*taken) {
        if (absl::Status s = reader_.Skip(); !s.ok()) taken = s;
      }
      if (!taken.ok()) {
        return Malformed(request_,
                         absl::StrCat(std::string(*name), ": ", taken.status().message()));
      }
    }
  }

  absl::Status Close() {
    const absl::StatusOr<bool> more = reader_.More(outer_);
    if (!more.ok()) return Wrong(more);
    if (*more) return Malformed(request_, "more than one answer");
    if (absl::Status end = reader_.End(); !end.ok()) return Malformed(request_, end.message());
    return absl::OkStatus();
  }

  const char* const request_;
  cbor::Reader reader_;
  cbor::Count outer_;
};

// The value of a field into its place; true, as Answer::Take wants it.
template <typename From, typename To>
absl::StatusOr<bool> Put(absl::StatusOr<From> from, To& to) {
  if (!from.ok()) return from.status();
  to = *std::move(from);
  return true;
}

// An answer that has one byte string in it, which is 1 to `max_bytes` long.
absl::StatusOr<std::string> ParseBytes(const char* request, const char* field, size_t max_bytes,
                                       std::string_view answer) {
  std::string value;
  const absl::Status read =
      Answer(request, answer)
          .Read([&](std::string_view name, cbor::Reader& reader) -> absl::StatusOr<bool> {
            if (name != field) return false;
            return Put(reader.Bytes(max_bytes), value);
          });
  if (!read.ok()) return read;
  if (value.empty()) return Malformed(request, absl::StrCat(field, " is missing or empty"));
  return value;
}

// Requests without an answer of their own are answered by their name.
absl::Status ParseName(const char* request, std::string_view answer) {
  cbor::Reader reader(answer);
  const absl::StatusOr<cbor::Type> type = reader.Peek();
  if (type.ok() && *type == cbor::Type::kText) {
    const absl::StatusOr<std::string_view> name = reader.Text(kMaxNameBytes);
    if (!name.ok()) return Malformed(request, name.status().message());
    if (absl::Status end = reader.End(); !end.ok()) return Malformed(request, end.message());
    if (*name != request)
      return Malformed(request, absl::StrCat("it is one to ", std::string(*name)));
    return absl::OkStatus();
  }
  // A map: it can only be a refusal.
  const absl::Status read =
      Answer(request, answer).Read([](std::string_view, cbor::Reader&) { return false; });
  return read.ok() ? Malformed(request, "its name must be here and not a map") : read;
}

absl::StatusOr<std::vector<uint64_t>> ReadNumbers(cbor::Reader& reader) {
  absl::StatusOr<cbor::Count> items = reader.Array(kMaxPcrs);
  if (!items.ok()) return items.status();
  std::vector<uint64_t> numbers;
  for (;;) {
    const absl::StatusOr<bool> more = reader.More(*items);
    if (!more.ok()) return more.status();
    if (!*more) return numbers;
    const absl::StatusOr<uint64_t> number = reader.Unsigned();
    if (!number.ok()) return number.status();
    numbers.push_back(*number);
  }
}

}  // namespace

std::string EncodeDescribeNsm() {
  cbor::Writer out;
  return out.Text("DescribeNSM").Take();
}

std::string EncodeGetRandom() {
  cbor::Writer out;
  return out.Text("GetRandom").Take();
}

std::string EncodeDescribePcr(uint16_t index) {
  return EncodeNumber("DescribePCR", "index", index);
}
std::string EncodeLockPcr(uint16_t index) { return EncodeNumber("LockPCR", "index", index); }
std::string EncodeLockPcrs(uint16_t range) { return EncodeNumber("LockPCRs", "range", range); }

absl::StatusOr<std::string> EncodeExtendPcr(uint16_t index, std::string_view data) {
  cbor::Writer out;
  out.Map(1).Text("ExtendPCR").Map(2).Text("index").Unsigned(index).Text("data").Bytes(data);
  if (out.bytes().size() <= kMaxNsmRequestBytes) return out.Take();
  return absl::InvalidArgumentError(absl::StrCat("ExtendPCR: data has ", data.size(),
                                                 " bytes, which fit no request of ",
                                                 kMaxNsmRequestBytes));
}

absl::StatusOr<std::string> EncodeAttestation(const Fields& fields) {
  if (absl::Status s = CheckFields(fields); !s.ok()) return s;
  cbor::Writer out;
  const auto add = [&out](std::string_view name, const std::string& value) {
    out.Text(name);
    value.empty() ? out.Null() : out.Bytes(value);
  };
  out.Map(1).Text("Attestation").Map(3);
  add("user_data", fields.user_data);
  add("nonce", fields.nonce);
  add("public_key", fields.public_key);
  COFFER_CHECK(out.bytes().size() <= kMaxNsmRequestBytes, "three bounded fields fit a request");
  return out.Take();
}

absl::StatusOr<NsmDescription> ParseDescribeNsm(std::string_view answer) {
  constexpr const char* kRequest = "DescribeNSM";
  constexpr int kFields = 7;
  NsmDescription out;
  int taken = 0;
  const absl::Status read =
      Answer(kRequest, answer)
          .Read([&](std::string_view name, cbor::Reader& value) -> absl::StatusOr<bool> {
            ++taken;
            if (name == "version_major") return Put(value.Unsigned(), out.version_major);
            if (name == "version_minor") return Put(value.Unsigned(), out.version_minor);
            if (name == "version_patch") return Put(value.Unsigned(), out.version_patch);
            if (name == "module_id") return Put(value.Text(kMaxModuleIdBytes), out.module_id);
            if (name == "max_pcrs") return Put(value.Unsigned(), out.max_pcrs);
            if (name == "locked_pcrs") return Put(ReadNumbers(value), out.locked_pcrs);
            if (name == "digest") return Put(value.Text(kMaxNameBytes), out.digest);
            --taken;
            return false;
          });
  if (!read.ok()) return read;
  if (taken != kFields) return Malformed(kRequest, "a field is missing");
  return out;
}

absl::StatusOr<std::string> ParseGetRandom(std::string_view answer) {
  return ParseBytes("GetRandom", "random", kMaxRandomBytes, answer);
}

absl::StatusOr<NsmPcr> ParseDescribePcr(std::string_view answer) {
  constexpr const char* kRequest = "DescribePCR";
  NsmPcr out;
  bool lock_seen = false;
  const absl::Status read =
      Answer(kRequest, answer)
          .Read([&](std::string_view name, cbor::Reader& value) -> absl::StatusOr<bool> {
            if (name == "data") return Put(value.Bytes(kMaxPcrBytes), out.value);
            if (name != "lock") return false;
            lock_seen = true;
            return Put(value.Bool(), out.locked);
          });
  if (!read.ok()) return read;
  if (!lock_seen || out.value.empty()) return Malformed(kRequest, "a field is missing or empty");
  return out;
}

absl::StatusOr<std::string> ParseExtendPcr(std::string_view answer) {
  return ParseBytes("ExtendPCR", "data", kMaxPcrBytes, answer);
}

absl::Status ParseLockPcr(std::string_view answer) { return ParseName("LockPCR", answer); }
absl::Status ParseLockPcrs(std::string_view answer) { return ParseName("LockPCRs", answer); }

absl::StatusOr<std::string> ParseAttestation(std::string_view answer) {
  return ParseBytes("Attestation", "document", kMaxNsmAnswerBytes, answer);
}

}  // namespace nsm

absl::StatusOr<std::string> Nsm::Exchange(std::string_view request) {
  absl::StatusOr<std::string> answer = device_->Exchange(request);
  if (answer.ok() && answer->size() > kMaxNsmAnswerBytes) {
    return absl::UnavailableError(
        absl::StrCat("the Nitro Secure Module answered with ", answer->size(), " bytes"));
  }
  return answer;
}

absl::StatusOr<NsmDescription> Nsm::Describe() {
  const absl::StatusOr<std::string> answer = Exchange(nsm::EncodeDescribeNsm());
  if (!answer.ok()) return answer.status();
  return nsm::ParseDescribeNsm(*answer);
}

absl::StatusOr<std::string> Nsm::GetRandom() {
  const absl::StatusOr<std::string> answer = Exchange(nsm::EncodeGetRandom());
  if (!answer.ok()) return answer.status();
  return nsm::ParseGetRandom(*answer);
}

absl::StatusOr<NsmPcr> Nsm::DescribePcr(uint16_t index) {
  const absl::StatusOr<std::string> answer = Exchange(nsm::EncodeDescribePcr(index));
  if (!answer.ok()) return answer.status();
  return nsm::ParseDescribePcr(*answer);
}

absl::StatusOr<std::string> Nsm::ExtendPcr(uint16_t index, std::string_view data) {
  const absl::StatusOr<std::string> request = nsm::EncodeExtendPcr(index, data);
  if (!request.ok()) return request.status();
  const absl::StatusOr<std::string> answer = Exchange(*request);
  if (!answer.ok()) return answer.status();
  return nsm::ParseExtendPcr(*answer);
}

absl::Status Nsm::LockPcr(uint16_t index) {
  const absl::StatusOr<std::string> answer = Exchange(nsm::EncodeLockPcr(index));
  return answer.ok() ? nsm::ParseLockPcr(*answer) : answer.status();
}

absl::Status Nsm::LockPcrs(uint16_t range) {
  const absl::StatusOr<std::string> answer = Exchange(nsm::EncodeLockPcrs(range));
  return answer.ok() ? nsm::ParseLockPcrs(*answer) : answer.status();
}

absl::StatusOr<std::string> Nsm::Attest(const Fields& fields) {
  const absl::StatusOr<std::string> request = nsm::EncodeAttestation(fields);
  if (!request.ok()) return request.status();
  const absl::StatusOr<std::string> answer = Exchange(*request);
  if (!answer.ok()) return answer.status();
  return nsm::ParseAttestation(*answer);
}

}  // namespace coffer::attestation
