#include "enclave_core/attestation/cbor.h"

#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"

namespace coffer::attestation::cbor {
namespace {

constexpr uint8_t kIndefinite = 31;  // additional information of a head
constexpr uint8_t kBreak = 0xFF;
constexpr uint8_t kFalse = 20, kTrue = 21, kNullValue = 22;  // of major type 7

// What follows a head of 24, 25, 26 or 27: 1, 2, 4 or 8 bytes of its value.
constexpr uint8_t kOneByte = 24, kEightBytes = 27;

}  // namespace

absl::string_view TypeName(Type type) {
  switch (type) {
    case Type::kUnsigned:
      return "an unsigned integer";
    case Type::kNegative:
      return "a negative integer";
    case Type::kBytes:
      return "a byte string";
    case Type::kText:
      return "a text string";
    case Type::kArray:
      return "an array";
    case Type::kMap:
      return "a map";
    case Type::kTag:
      return "a tag";
    case Type::kBool:
      return "true or false";
    case Type::kNull:
      break;
  }
  return "null";
}

absl::Status Reader::Wrong(absl::string_view what) const {
  return absl::InvalidArgumentError(absl::StrCat("CBOR, byte ", at_, ": ", what));
}

absl::StatusOr<Reader::Head> Reader::Next() const {
  if (at_ >= bytes_.size()) return Wrong("ends where an item must be");
  const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes_[at_ + i]); };
  const uint8_t major = byte(0) >> 5, info = byte(0) & 31;
  Head head;
  if (major == 7) {
    if (info != kFalse && info != kTrue && info != kNullValue) {
      return Wrong("an item that is neither integer, string, array, map, tag, bool nor null");
    }
    head.type = info == kNullValue ? Type::kNull : Type::kBool;
    head.value = info == kTrue ? 1 : 0;
    return head;
  }
  head.type = static_cast<Type>(major);
  if (info < kOneByte) {
    head.value = info;
    return head;
  }
  if (info == kIndefinite) {
    head.indefinite = true;
    if (head.type == Type::kArray || head.type == Type::kMap) return head;
    return Wrong("an indefinite length, which only arrays and maps may have here");
  }
  if (info > kEightBytes) return Wrong("a reserved length");
  const size_t following = size_t{1} << (info - kOneByte);
  if (bytes_.size() - at_ <= following) return Wrong("ends within an item");
  for (size_t i = 1; i <= following; ++i) head.value = head.value << 8 | byte(i);
  head.size = 1 + following;
  return head;
}

absl::StatusOr<Type> Reader::Peek() const {
  const absl::StatusOr<Head> head = Next();
  if (!head.ok()) return head.status();
  return head->type;
}

absl::StatusOr<Reader::Head> Reader::Take(Type type) {
  absl::StatusOr<Head> head = Next();
  if (!head.ok()) return head;
  if (head->type != type) {
    return Wrong(absl::StrCat(TypeName(type), " must be here and not ", TypeName(head->type)));
  }
  at_ += head->size;
  return head;
}

absl::StatusOr<uint64_t> Reader::Unsigned() {
  const absl::StatusOr<Head> head = Take(Type::kUnsigned);
  if (!head.ok()) return head.status();
  return head->value;
}

absl::StatusOr<int64_t> Reader::Integer() {
  absl::StatusOr<Head> head = Next();
  if (!head.ok()) return head.status();
  const bool negative = head->type == Type::kNegative;
  head = Take(negative ? Type::kNegative : Type::kUnsigned);
  if (!head.ok()) return head.status();
  if (head->value > uint64_t{std::numeric_limits<int64_t>::max()}) {
    return Wrong("an integer before this does not fit 64 bits");
  }
  const auto value = static_cast<int64_t>(head->value);
  return negative ? -1 - value : value;
}

absl::StatusOr<std::string_view> Reader::String(Type type, size_t max_bytes) {
  const absl::StatusOr<Head> head = Take(type);
  if (!head.ok()) return head.status();
  if (head->value > max_bytes) {
    return Wrong(absl::StrCat(TypeName(type), " of ", head->value, " bytes; at most ", max_bytes,
                              " may be here"));
  }
  const auto size = static_cast<size_t>(head->value);
  if (size > bytes_.size() - at_) return Wrong("ends within a string");
  const std::string_view content = bytes_.substr(at_, size);
  at_ += size;
  return content;
}

absl::StatusOr<std::string_view> Reader::Bytes(size_t max_bytes) {
  return String(Type::kBytes, max_bytes);
}

absl::StatusOr<std::string_view> Reader::Text(size_t max_bytes) {
  absl::StatusOr<std::string_view> text = String(Type::kText, max_bytes);
  if (text.ok() && !audit::IsUtf8(*text)) return Wrong("a text string before this is not UTF-8");
  return text;
}

absl::StatusOr<bool> Reader::Bool() {
  const absl::StatusOr<Head> head = Take(Type::kBool);
  if (!head.ok()) return head.status();
  return head->value == 1;
}

absl::StatusOr<uint64_t> Reader::Tag() {
  const absl::StatusOr<Head> head = Take(Type::kTag);
  if (!head.ok()) return head.status();
  return head->value;
}

absl::StatusOr<bool> Reader::TakeNull() {
  const absl::StatusOr<Head> head = Next();
  if (!head.ok()) return head.status();
  if (head->type != Type::kNull) return false;
  at_ += head->size;
  return true;
}

absl::StatusOr<Count> Reader::Open(Type type, uint64_t max) {
  const absl::StatusOr<Head> head = Take(type);
  if (!head.ok()) return head.status();
  if (head->indefinite) return Count{std::nullopt, max};
  if (head->value > max) {
    return Wrong(
        absl::StrCat(TypeName(type), " of ", head->value, "; at most ", max, " may be here"));
  }
  return Count{head->value, max};
}

absl::StatusOr<Count> Reader::Array(uint64_t max) { return Open(Type::kArray, max); }
absl::StatusOr<Count> Reader::Map(uint64_t max) { return Open(Type::kMap, max); }

absl::StatusOr<bool> Reader::More(Count& count) {
  if (count.left) {
    if (*count.left == 0) return false;
    --*count.left;
    return true;
  }
  if (at_ >= bytes_.size()) return Wrong("ends within an array or a map");
  if (static_cast<uint8_t>(bytes_[at_]) == kBreak) {
    ++at_;
    return false;
  }
  if (count.taken == count.max) {
    return Wrong(absl::StrCat("more than ", count.max, " items or pairs"));
  }
  ++count.taken;
  return true;
}

absl::Status Reader::Skip() { return SkipNested(0); }

absl::Status Reader::SkipNested(int depth) {
  if (depth > kMaxDepth) return Wrong("is nested too deeply");
  const absl::StatusOr<Head> head = Next();
  if (!head.ok()) return head.status();
  switch (head->type) {
    case Type::kBytes:
      return Bytes(bytes_.size()).status();
    case Type::kText:
      return Text(bytes_.size()).status();
    case Type::kTag:
      at_ += head->size;
      return SkipNested(depth + 1);
    case Type::kArray:
    case Type::kMap:
      break;
    default:
      at_ += head->size;
      return absl::OkStatus();
  }
  const int items = head->type == Type::kMap ? 2 : 1;
  absl::StatusOr<Count> count = Open(head->type, bytes_.size());
  if (!count.ok()) return count.status();
  for (;;) {
    const absl::StatusOr<bool> more = More(*count);
    if (!more.ok()) return more.status();
    if (!*more) return absl::OkStatus();
    for (int i = 0; i < items; ++i) {
      if (absl::Status status = SkipNested(depth + 1); !status.ok()) return status;
    }
  }
}

absl::Status Reader::End() const {
  if (at_ == bytes_.size()) return absl::OkStatus();
  return Wrong(absl::StrCat(bytes_.size() - at_, " bytes follow the end"));
}

void Writer::Head(uint8_t major, uint64_t value) {
  const auto first = [&](uint8_t info) { out_.push_back(static_cast<char>(major << 5 | info)); };
  if (value < kOneByte) return first(static_cast<uint8_t>(value));
  uint8_t info = kOneByte;
  int bits = 8;
  for (; bits < 64 && value >> bits != 0; bits *= 2) ++info;
  first(info);
  for (bits -= 8; bits >= 0; bits -= 8) out_.push_back(static_cast<char>(value >> bits));
}

Writer& Writer::Unsigned(uint64_t value) { return Head(0, value), *this; }

Writer& Writer::Integer(int64_t value) {
  if (value >= 0) return Unsigned(static_cast<uint64_t>(value));
  return Head(1, static_cast<uint64_t>(-1 - value)), *this;
}

Writer& Writer::Bytes(std::string_view bytes) {
  Head(2, bytes.size());
  out_.append(bytes);
  return *this;
}

Writer& Writer::Text(std::string_view text) {
  Head(3, text.size());
  out_.append(text);
  return *this;
}

Writer& Writer::Bool(bool value) { return Head(7, value ? kTrue : kFalse), *this; }
Writer& Writer::Null() { return Head(7, kNullValue), *this; }
Writer& Writer::Tag(uint64_t tag) { return Head(6, tag), *this; }
Writer& Writer::Array(uint64_t items) { return Head(4, items), *this; }
Writer& Writer::Map(uint64_t pairs) { return Head(5, pairs), *this; }

Writer& Writer::IndefiniteMap() {
  out_.push_back(static_cast<char>(5 << 5 | kIndefinite));
  return *this;
}

Writer& Writer::Break() {
  out_.push_back(static_cast<char>(kBreak));
  return *this;
}

}  // namespace coffer::attestation::cbor
