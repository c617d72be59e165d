// Any bytes through the CBOR reader and through libcbor: both see the same items, or the reader
// refuses what is not its part (floats, chunked strings, undefined ...).
#include <cbor.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/cbor.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/ethereum/types.h"
#include "invariant/check.h"

namespace {

namespace cbor = coffer::attestation::cbor;
using coffer::ethereum::ToHex;

// What an item says, whoever read it. Nothing: it is refused.
using Words = std::optional<std::string>;

Words FromReader(cbor::Reader& reader, int depth) {
  const auto type = reader.Peek();
  if (!type.ok() || depth > cbor::kMaxDepth) return std::nullopt;
  std::string out;
  switch (*type) {
    case cbor::Type::kUnsigned:
      return absl::StrCat("u", *reader.Unsigned());
    case cbor::Type::kNegative: {
      const auto value = reader.Integer();
      if (!value.ok()) return std::nullopt;
      return absl::StrCat("i", *value);
    }
    case cbor::Type::kBytes: {
      const auto bytes = reader.Bytes(SIZE_MAX);
      if (!bytes.ok()) return std::nullopt;
      return "b" + ToHex(*bytes);
    }
    case cbor::Type::kText: {
      const auto text = reader.Text(SIZE_MAX);
      if (!text.ok()) return std::nullopt;
      return "t" + ToHex(*text);
    }
    case cbor::Type::kBool:
      return *reader.Bool() ? "true" : "false";
    case cbor::Type::kNull:
      return *reader.TakeNull() ? "null" : "not null";
    case cbor::Type::kTag: {
      const uint64_t tag = *reader.Tag();
      const Words inner = FromReader(reader, depth + 1);
      if (!inner) return std::nullopt;
      return absl::StrCat("tag", tag, "(", *inner, ")");
    }
    case cbor::Type::kArray:
    case cbor::Type::kMap:
      break;
  }
  const bool map = *type == cbor::Type::kMap;
  auto count = map ? reader.Map(UINT64_MAX) : reader.Array(UINT64_MAX);
  if (!count.ok()) return std::nullopt;
  absl::StrAppend(&out, map ? "map" : "array", count->left ? "(" : "*(");
  for (;;) {
    const auto more = reader.More(*count);
    if (!more.ok()) return std::nullopt;
    if (!*more) return out + ")";
    for (int i = 0; i < (map ? 2 : 1); ++i) {
      const Words inner = FromReader(reader, depth + 1);
      if (!inner) return std::nullopt;
      absl::StrAppend(&out, *inner, ",");
    }
  }
}

// libcbor's streaming decoder, an item's head at a time: its trees take memory by the lengths that
// they are told.
class Libcbor {
 public:
  explicit Libcbor(std::string_view bytes) : bytes_(bytes) {
    callbacks_ = cbor_empty_callbacks;
    callbacks_.uint8 = &Number<'u', uint8_t>;
    callbacks_.uint16 = &Number<'u', uint16_t>;
    callbacks_.uint32 = &Number<'u', uint32_t>;
    callbacks_.uint64 = &Number<'u', uint64_t>;
    callbacks_.negint8 = &Number<'n', uint8_t>;
    callbacks_.negint16 = &Number<'n', uint16_t>;
    callbacks_.negint32 = &Number<'n', uint32_t>;
    callbacks_.negint64 = &Number<'n', uint64_t>;
    callbacks_.byte_string = &String<'b'>;
    callbacks_.string = &String<'t'>;
    callbacks_.array_start = &Number<'a', size_t>;
    callbacks_.map_start = &Number<'m', size_t>;
    callbacks_.tag = &Number<'g', uint64_t>;
    callbacks_.boolean = &Number<'z', bool>;
    callbacks_.indef_array_start = &Plain<'A'>;
    callbacks_.indef_map_start = &Plain<'M'>;
    callbacks_.indef_break = &Plain<'.'>;
    callbacks_.null = &Plain<'0'>;
  }
  size_t offset() const { return at_; }
  // Whether a tag was met. libcbor 0.8 takes some that nobody has assigned for malformed.
  bool tag() const { return tag_; }

  Words Item(int depth) {
    if (depth > cbor::kMaxDepth || !Next()) return std::nullopt;
    const std::string_view text = text_;
    switch (kind_) {
      case 'u':
        return absl::StrCat("u", number_);
      case 'n':
        if (number_ > uint64_t{INT64_MAX}) return std::nullopt;
        return absl::StrCat("i", -1 - static_cast<int64_t>(number_));
      case 'b':
        return "b" + ToHex(text);
      case 't':
        if (!coffer::audit::IsUtf8(text)) return std::nullopt;  // libcbor lets it pass
        return "t" + ToHex(text);
      case 'z':
        return number_ != 0 ? "true" : "false";
      case '0':
        return "null";
      case 'g':
        return Tagged(number_, depth);
      case 'a':
        return Items("array(", number_, 1, depth);
      case 'm':
        return Items("map(", number_, 2, depth);
      case 'A':
        return Items("array*(", std::nullopt, 1, depth);
      case 'M':
        return Items("map*(", std::nullopt, 2, depth);
      default:
        return std::nullopt;  // floats, undefined, chunks, a break
    }
  }

 private:
  template <char kKind, typename T>
  static void Number(void* self, T value) {
    static_cast<Libcbor*>(self)->kind_ = kKind;
    static_cast<Libcbor*>(self)->number_ = value;
  }
  template <char kKind>
  static void String(void* self, cbor_data data, size_t size) {
    static_cast<Libcbor*>(self)->kind_ = kKind;
    static_cast<Libcbor*>(self)->text_ = {reinterpret_cast<const char*>(data), size};
  }
  template <char kKind>
  static void Plain(void* self) {
    static_cast<Libcbor*>(self)->kind_ = kKind;
  }

  bool Next() {
    kind_ = '?';
    const auto* const data = reinterpret_cast<const unsigned char*>(bytes_.data());
    const cbor_decoder_result result =
        cbor_stream_decode(data + at_, bytes_.size() - at_, &callbacks_, this);
    tag_ = tag_ || (at_ < bytes_.size() && data[at_] >> 5 == 6);
    if (result.status != CBOR_DECODER_FINISHED) return false;
    at_ += result.read;
    return true;
  }
  // A break, where one ends an array or a map.
  bool TakeBreak() {
    const size_t before = at_;
    if (Next() && kind_ == '.') return true;
    at_ = before;
    return false;
  }
  Words Tagged(uint64_t tag, int depth) {
    const Words inner = Item(depth + 1);
    if (!inner) return std::nullopt;
    return absl::StrCat("tag", tag, "(", *inner, ")");
  }
  Words Items(const char* begin, std::optional<uint64_t> count, int each, int depth) {
    std::string out = begin;
    for (uint64_t taken = 0; count ? taken < *count : !TakeBreak(); ++taken) {
      for (int i = 0; i < each; ++i) {
        const Words inner = Item(depth + 1);
        if (!inner) return std::nullopt;
        absl::StrAppend(&out, *inner, ",");
      }
    }
    return out + ")";
  }

  std::string_view bytes_;
  cbor_callbacks callbacks_{};
  size_t at_ = 0;
  char kind_ = '?';
  uint64_t number_ = 0;
  std::string_view text_;
  bool tag_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  cbor::Reader reader(raw);
  const Words ours = FromReader(reader, 0);
  cbor::Reader skipper(raw);
  const bool skipped = skipper.Skip().ok();
  COFFER_CHECK(!ours || (skipped && skipper.offset() == reader.offset()),
               "Skip takes what is read");
  Libcbor libcbor(raw);
  const Words theirs = libcbor.Item(0);
  if (theirs.has_value() != ours.has_value()) {
    COFFER_CHECK(ours && libcbor.tag(), "both read it or neither does, but for tags");
    return 0;
  }
  if (!ours) return 0;
  COFFER_CHECK(*theirs == *ours, "both read the same");
  COFFER_CHECK(libcbor.offset() == reader.offset(), "both read as far");
  return 0;
}
