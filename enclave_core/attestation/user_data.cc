#include "enclave_core/attestation/user_data.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/audit/text.h"

namespace coffer::attestation {
namespace {

constexpr std::string_view kUnprovisioned = "unprovisioned";
constexpr std::string_view kAudit = ":audit:";
constexpr size_t kAddressChars = 42;

absl::Status Wrong(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("user_data: ", what));
}

std::string_view Prefix(Profile profile) {
  return profile == Profile::kCore ? "payments-tee-core:" : "payments-signer:";
}

// Takes `prefix` off the front of `text`.
bool Take(std::string_view prefix, std::string_view& text) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// Values as they are written and no other way: 0x and digits in lower case.
template <typename Fixed>
absl::StatusOr<Fixed> ReadHex(std::string_view text) {
  absl::StatusOr<Fixed> value = Fixed::FromHex(text);
  if (!value.ok() || value->ToHex() != text) {
    return Wrong(absl::StrCat("no 0x and ", 2 * Fixed::kSize,
                              " hex digits in lower case where they must be"));
  }
  return value;
}

absl::StatusOr<ethereum::Address> TakeAddress(std::string_view& text) {
  const std::string_view digits = text.substr(0, kAddressChars);
  text.remove_prefix(digits.size());
  return ReadHex<ethereum::Address>(digits);
}

// The old servers' part.
absl::Status ParseIdentity(std::string_view text, UserData& data) {
  if (Take(Prefix(Profile::kCore), text)) {
    data.profile = Profile::kCore;
  } else if (!Take(Prefix(Profile::kSigner), text)) {
    return Wrong("it begins with neither payments-signer: nor payments-tee-core:");
  }
  if (text == kUnprovisioned) return absl::OkStatus();
  const absl::StatusOr<ethereum::Address> address = TakeAddress(text);
  if (!address.ok()) return address.status();
  data.address = *address;
  if (data.profile == Profile::kCore) {
    if (!Take(kAudit, text)) return Wrong("it names no audit address");
    const absl::StatusOr<ethereum::Address> audit = TakeAddress(text);
    if (!audit.ok()) return audit.status();
    data.audit_address = *audit;
  }
  if (!text.empty()) return Wrong("it has something between the addresses and the first ';'");
  return absl::OkStatus();
}

// Our own fields, which come after the identity.
class Fields {
 public:
  explicit Fields(UserData& data) : data_(data) {}

  absl::Status Parse(std::string_view field) {
    const size_t equals = field.find('=');
    if (equals == std::string_view::npos || equals == 0) return Wrong("a field is not key=value");
    const std::string_view key = field.substr(0, equals), value = field.substr(equals + 1);
    if (std::find(keys_.begin(), keys_.end(), key) != keys_.end()) {
      return Wrong("a field is there twice");
    }
    keys_.emplace_back(key);
    if (key == "draining") return Put(ReadHex<ethereum::Address>(value), data_.draining);
    if (key == "policy") return Put(ReadHex<ethereum::Hash>(value), data_.policy_hash);
    if (key == "log") return Put(audit::VerifierKey::Parse(value), data_.log_key);
    if (key == "audit") return Audit(value);
    if (key != "sequence") return absl::OkStatus();
    data_.sequence = audit::ParseDecimal(value);
    return data_.sequence ? absl::OkStatus() : Wrong("sequence is no decimal number");
  }

 private:
  template <typename T>
  static absl::Status Put(absl::StatusOr<T> from, std::optional<T>& to) {
    if (!from.ok()) return from.status();
    to = *std::move(from);
    return absl::OkStatus();
  }

  absl::Status Audit(std::string_view value) {
    const std::optional<ethereum::Address> before = data_.audit_address;
    absl::Status status = Put(ReadHex<ethereum::Address>(value), data_.audit_address);
    if (status.ok() && before && before != data_.audit_address) {
      return Wrong("it names two audit addresses");
    }
    return status;
  }

  UserData& data_;
  std::vector<std::string_view> keys_;
};

}  // namespace

absl::StatusOr<std::string> MakeUserData(const UserData& data) {
  std::string text(Prefix(data.profile));
  if (!data.address) {
    text += kUnprovisioned;
  } else {
    text += data.address->ToHex();
    if (data.profile == Profile::kCore) {
      if (!data.audit_address) return Wrong("the core has an address and no audit address");
      text.append(kAudit).append(data.audit_address->ToHex());
    }
  }
  if (data.draining) absl::StrAppend(&text, ";draining=", data.draining->ToHex());
  if (data.policy_hash) absl::StrAppend(&text, ";policy=", data.policy_hash->ToHex());
  if (data.log_key) {
    const std::string key = data.log_key->ToString();
    if (key.find(';') != std::string::npos) return Wrong("the log's name has a ';'");
    absl::StrAppend(&text, ";log=", key);
  }
  if (data.audit_address) absl::StrAppend(&text, ";audit=", data.audit_address->ToHex());
  if (data.sequence.value_or(0) >> 63 != 0) return Wrong("the sequence number is above 2^63 - 1");
  if (data.sequence) absl::StrAppend(&text, ";sequence=", *data.sequence);
  if (text.size() > kMaxUserDataBytes) {
    return Wrong(absl::StrCat(text.size(), " bytes; at most ", kMaxUserDataBytes, " are sent"));
  }
  return text;
}

absl::StatusOr<UserData> ParseUserData(std::string_view text) {
  if (text.size() > kMaxUserDataBytes) return Wrong("it is too long to be Coffer's");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7F; })) {
    return Wrong("it is not Coffer's, but has bytes that are no printable ASCII");
  }
  UserData data;
  size_t end = text.find(';');
  if (absl::Status status = ParseIdentity(text.substr(0, end), data); !status.ok()) return status;
  Fields fields(data);
  while (end != std::string_view::npos) {
    text.remove_prefix(end + 1);
    end = text.find(';');
    if (absl::Status status = fields.Parse(text.substr(0, end)); !status.ok()) return status;
  }
  return data;
}

}  // namespace coffer::attestation
