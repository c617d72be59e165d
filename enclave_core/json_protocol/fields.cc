#include "enclave_core/json_protocol/fields.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "enclave_core/error.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ERROR_MALFORMED;
using boundary::v1::ERROR_OUT_OF_RANGE;

absl::string_view Absl(std::string_view text) { return {text.data(), text.size()}; }

std::string_view Stripped(std::string_view text) {
  const absl::string_view stripped = absl::StripAsciiWhitespace(Absl(text));
  return {stripped.data(), stripped.size()};
}

}  // namespace

void Problems::Add(boundary::v1::ErrorCode code, const std::string& sentence) {
  if (first_.ok()) first_ = Refuse(code, sentence);
}

absl::Status Problems::status() const {
  if (missing_.empty()) return first_;
  return Refuse(ERROR_MALFORMED, absl::StrCat("missing params: ", absl::StrJoin(missing_, ",")));
}

std::string Path::ToString() const {
  const std::string before = parent == nullptr ? std::string() : parent->ToString();
  if (index >= 0) return absl::StrCat(before, "[", index, "]");
  return absl::StrCat(before, before.empty() || name.empty() ? "" : ".", Absl(name));
}

Fields::Fields(const Value& object, Path path, Problems* problems)
    : object_(&object), path_(path), problems_(problems) {
  static constexpr Value kEmpty;
  if (object.kind == Value::Kind::kObject) return;
  BadAt(path_, "must be an object");
  object_ = &kEmpty;
}

void Fields::BadAt(const Path& at, std::string_view what, boundary::v1::ErrorCode code) const {
  problems_->Add(code, absl::StrCat("`", at.ToString(), "` ", Absl(what)));
}

void Fields::Bad(std::string_view name, std::string_view what, boundary::v1::ErrorCode code) const {
  BadAt({&path_, name, -1}, what, code);
}

const Value* Fields::Find(std::string_view name) const {
  for (const Value* member = object_->first; member != nullptr; member = member->next) {
    if (member->key == name) return member->kind == Value::Kind::kNull ? nullptr : member;
  }
  return nullptr;
}

void Fields::OnlyThese(std::initializer_list<std::string_view> names) const {
  for (const Value* member = object_->first; member != nullptr; member = member->next) {
    if (std::find(names.begin(), names.end(), member->key) == names.end()) {
      Bad(member->key.substr(0, 64), "is not known here; leave it out");
    }
  }
}

std::string_view Fields::Either(std::string_view name, std::string_view other) const {
  if (!Has(other)) return name;
  if (Has(name)) {
    Bad(name, absl::StrCat("and `", Absl(other), "` are two names of one thing; give one of them"));
  }
  return other;
}

const Value* Fields::Needed(std::string_view name, Need need) const {
  const Value* const value = Find(name);
  if (value == nullptr && need == kRequired && object_->kind == Value::Kind::kObject) {
    problems_->Missing(Path{&path_, name, -1}.ToString());
  }
  return value;
}

std::string_view Fields::Text(std::string_view name, Need need, size_t max_bytes) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return {};
  if (value->kind != Value::Kind::kString) {
    Bad(name, "must be a string");
    return {};
  }
  const std::string_view text = Stripped(value->text);
  if (text.empty() && need == kRequired) problems_->Missing(Path{&path_, name, -1}.ToString());
  if (text.size() > max_bytes) {
    Bad(name, absl::StrCat("has ", text.size(), " bytes; at most ", max_bytes, " are taken"));
    return {};
  }
  return text;
}

std::optional<SignedInteger> Fields::IntegerOf(const Value& value, const Path& at) const {
  if (value.kind != Value::Kind::kInteger && value.kind != Value::Kind::kString) {
    BadAt(at, value.kind == Value::Kind::kOtherNumber
                  ? "must be an integer, without a fraction or an exponent"
                  : "must be an integer, or a string of decimal or 0x digits");
    return std::nullopt;
  }
  SignedInteger out;
  std::string_view text = value.kind == Value::Kind::kString ? Stripped(value.text) : value.text;
  if (!text.empty() && text.front() == '-') {
    out.negative = true;
    text.remove_prefix(1);
  }
  uint64_t small = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), small);
  if (error == std::errc() && end == text.data() + text.size()) {
    out.magnitude = small;
    return out;
  }
  absl::StatusOr<ethereum::U256> magnitude = ethereum::U256FromString(text);
  if (!magnitude.ok()) {
    BadAt(at, absl::StrCat("is not an integer that is taken here: ", magnitude.status().message()),
          absl::IsOutOfRange(magnitude.status()) ? ERROR_OUT_OF_RANGE : ERROR_MALFORMED);
    return std::nullopt;
  }
  out.magnitude = *std::move(magnitude);
  return out;
}

SignedInteger Fields::Delta(std::string_view name) const {
  const Value* const value = Needed(name, kRequired);
  if (value == nullptr) return {};
  return IntegerOf(*value, {&path_, name, -1}).value_or(SignedInteger());
}

ethereum::U256 Fields::Integer(std::string_view name, Need need) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return 0;
  const std::optional<SignedInteger> integer = IntegerOf(*value, {&path_, name, -1});
  if (!integer.has_value()) return 0;
  if (integer->negative && integer->magnitude != 0) {
    Bad(name, "must not be negative");
    return 0;
  }
  return integer->magnitude;
}

uint64_t Fields::Uint64(std::string_view name, Need need, uint64_t max) const {
  const ethereum::U256 integer = Integer(name, need);
  if (integer > max) {
    Bad(name, absl::StrCat("is ", ethereum::ToDecimal(integer), "; at most ", max, " is taken"));
    return 0;
  }
  return static_cast<uint64_t>(integer);
}

ledger::Wei Fields::Amount(std::string_view name, Need need) const {
  const ethereum::U256 integer = Integer(name, need);
  const absl::StatusOr<ledger::Wei> wei = ledger::WeiFromU256(integer);
  if (wei.ok()) return *wei;
  Bad(name,
      absl::StrCat("is ", ethereum::ToDecimal(integer), " wei; amounts are below 2^127, ",
                   ledger::ToDecimal(ledger::kMaxWei)),
      ERROR_OUT_OF_RANGE);
  return 0;
}

ledger::Wei Fields::Limit(std::string_view name, ledger::Wei absent) const {
  if (!Has(name)) return absent;
  return ledger::WeiFromU256(Integer(name, kRequired)).value_or(ledger::kMaxWei);
}

std::optional<bool> Fields::Flag(std::string_view name, Need need) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return std::nullopt;
  if (value->kind == Value::Kind::kBool) return value->boolean;
  if (value->kind == Value::Kind::kInteger || value->kind == Value::Kind::kString) {
    const std::string word = absl::AsciiStrToLower(Absl(Stripped(value->text)));
    for (const std::string_view yes : {"1", "true", "yes", "y"}) {
      if (word == yes) return true;
    }
    for (const std::string_view no : {"0", "false", "no", "n"}) {
      if (word == no) return false;
    }
  }
  Bad(name, "must be true or false (or 1, 0, \"yes\", \"no\")");
  return std::nullopt;
}

std::string Fields::HexOf(const Value& value, const Path& at, size_t max_bytes) const {
  if (value.kind != Value::Kind::kString) {
    BadAt(at, "must be a string: 0x and hex digits");
    return {};
  }
  const std::string_view text = Stripped(value.text);
  if (text.empty()) return {};
  if (text.size() < 2 || text[0] != '0' || (text[1] != 'x' && text[1] != 'X')) {
    BadAt(at, "must be hex that begins with 0x");
    return {};
  }
  if (text.size() / 2 - 1 > max_bytes) {
    BadAt(at,
          absl::StrCat("has ", text.size() / 2 - 1, " bytes; at most ", max_bytes, " are taken"));
    return {};
  }
  absl::StatusOr<std::string> bytes = ethereum::FromHex(text);
  if (bytes.ok()) return *std::move(bytes);
  BadAt(at, absl::StrCat("is not hex: ", bytes.status().message()));
  return {};
}

std::string Fields::HexExactlyOf(const Value& value, const Path& at, size_t bytes) const {
  std::string out = HexOf(value, at, bytes);
  if (out.size() == bytes) return out;
  BadAt(at, absl::StrCat("must be exactly ", bytes, " bytes, 0x and ", 2 * bytes, " hex digits"));
  return {};
}

std::string Fields::AddressOf(const Value& value, const Path& at) const {
  if (value.kind != Value::Kind::kString) {
    BadAt(at, "must be a string: 0x and 40 hex digits");
    return {};
  }
  const absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(Stripped(value.text));
  if (address.ok()) return std::string(address->view());
  BadAt(at, absl::StrCat("is not an address: ", address.status().message()));
  return {};
}

std::string Fields::Hex(std::string_view name, Need need, size_t max_bytes) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return {};
  if (need == kRequired && value->kind == Value::Kind::kString && Stripped(value->text).empty()) {
    problems_->Missing(Path{&path_, name, -1}.ToString());
    return {};
  }
  return HexOf(*value, {&path_, name, -1}, max_bytes);
}

std::string Fields::HexExactly(std::string_view name, Need need, size_t bytes) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return {};
  if (need == kOptional && value->kind == Value::Kind::kString && Stripped(value->text).empty()) {
    return {};
  }
  return HexExactlyOf(*value, {&path_, name, -1}, bytes);
}

std::string Fields::Address(std::string_view name, Need need) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return {};
  if (need == kOptional && value->kind == Value::Kind::kString && Stripped(value->text).empty()) {
    return {};
  }
  return AddressOf(*value, {&path_, name, -1});
}

std::string Fields::Base64(std::string_view name, Need need, size_t max_bytes) const {
  const std::string_view text = Text(name, need, (max_bytes + 2) / 3 * 4);
  if (text.empty()) return {};
  std::string bytes;
  // Abseil is lenient; what it writes is canonical.
  if (absl::Base64Unescape(Absl(text), &bytes) && absl::Base64Escape(bytes) == text) return bytes;
  Bad(name, "is not base64 (RFC 4648, with padding)");
  return {};
}

const Value* Fields::Array(std::string_view name, Need need, uint32_t max) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr) return nullptr;
  if (value->kind != Value::Kind::kArray) {
    Bad(name, "must be a list");
    return nullptr;
  }
  if (value->size <= max) return value;
  Bad(name, absl::StrCat("has ", value->size, " entries; at most ", max, " are taken"));
  return nullptr;
}

const Value* Fields::Object(std::string_view name, Need need) const {
  const Value* const value = Needed(name, need);
  if (value == nullptr || value->kind == Value::Kind::kObject) return value;
  Bad(name, "must be an object");
  return nullptr;
}

std::string MinimalBytes(const ethereum::U256& value) {
  const std::string bytes = ethereum::ToBytes32(value);
  const size_t first = bytes.find_first_not_of('\0');
  return first == std::string::npos ? std::string() : bytes.substr(first);
}

}  // namespace coffer::json_protocol
