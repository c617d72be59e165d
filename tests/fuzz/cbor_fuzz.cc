// Any bytes through the CBOR reader and through libcbor: both see the same items, or the reader
// refuses what is not its part (floats, chunked strings, undefined ...).
#include <cbor.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
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

Words FromLibcbor(cbor_item_t* item, int depth);

Words Each(cbor_item_t** items, size_t count, int depth) {
  std::string out;
  for (size_t i = 0; i < count; ++i) {
    const Words inner = FromLibcbor(items[i], depth + 1);
    if (!inner) return std::nullopt;
    absl::StrAppend(&out, *inner, ",");
  }
  return out;
}

Words FromLibcbor(cbor_item_t* item, int depth) {
  if (depth > cbor::kMaxDepth) return std::nullopt;
  switch (cbor_typeof(item)) {
    case CBOR_TYPE_UINT:
      return absl::StrCat("u", cbor_get_int(item));
    case CBOR_TYPE_NEGINT:
      if (cbor_get_int(item) > uint64_t{INT64_MAX}) return std::nullopt;
      return absl::StrCat("i", -1 - static_cast<int64_t>(cbor_get_int(item)));
    case CBOR_TYPE_BYTESTRING:
      if (!cbor_bytestring_is_definite(item)) return std::nullopt;
      return "b" + ToHex({reinterpret_cast<char*>(cbor_bytestring_handle(item)),
                          cbor_bytestring_length(item)});
    case CBOR_TYPE_STRING: {
      if (!cbor_string_is_definite(item)) return std::nullopt;
      const std::string_view text(reinterpret_cast<char*>(cbor_string_handle(item)),
                                  cbor_string_length(item));
      if (!coffer::audit::IsUtf8(text)) return std::nullopt;  // libcbor lets it pass
      return "t" + ToHex(text);
    }
    case CBOR_TYPE_ARRAY: {
      const Words inner = Each(cbor_array_handle(item), cbor_array_size(item), depth);
      if (!inner) return std::nullopt;
      return absl::StrCat("array", cbor_array_is_definite(item) ? "(" : "*(", *inner, ")");
    }
    case CBOR_TYPE_MAP: {
      std::string out;
      for (size_t i = 0; i < cbor_map_size(item); ++i) {
        cbor_item_t* pair[] = {cbor_map_handle(item)[i].key, cbor_map_handle(item)[i].value};
        const Words inner = Each(pair, 2, depth);
        if (!inner) return std::nullopt;
        absl::StrAppend(&out, *inner);
      }
      return absl::StrCat("map", cbor_map_is_definite(item) ? "(" : "*(", out, ")");
    }
    case CBOR_TYPE_TAG: {
      cbor_item_t* const tagged = cbor_tag_item(item);
      const Words inner = FromLibcbor(tagged, depth + 1);
      const uint64_t tag = cbor_tag_value(item);
      cbor_decref(const_cast<cbor_item_t**>(&tagged));
      if (!inner) return std::nullopt;
      return absl::StrCat("tag", tag, "(", *inner, ")");
    }
    case CBOR_TYPE_FLOAT_CTRL:
      break;
  }
  if (!cbor_float_ctrl_is_ctrl(item)) return std::nullopt;
  switch (cbor_ctrl_value(item)) {
    case CBOR_CTRL_FALSE:
      return "false";
    case CBOR_CTRL_TRUE:
      return "true";
    case CBOR_CTRL_NULL:
      return "null";
    default:
      return std::nullopt;
  }
}

// libcbor 0.8 takes the tags 6 to 20, 25 to 31 and those of more bytes than it needs its own way.
bool HasTag(const Words& words) { return words && words->find("tag") != std::string::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  cbor::Reader reader(raw);
  const Words ours = FromReader(reader, 0);
  const size_t read = reader.offset();
  cbor::Reader skipper(raw);
  const bool skipped = skipper.Skip().ok();
  COFFER_CHECK(!ours || (skipped && skipper.offset() == read), "Skip takes what is read");

  // libcbor takes memory by the lengths that it reads, so it is shown small inputs alone.
  if (size > 4096) return 0;
  cbor_load_result result;
  cbor_item_t* item = size == 0 ? nullptr : cbor_load(data, size, &result);
  if (item == nullptr) {
    COFFER_CHECK(!ours || HasTag(ours), "libcbor refuses nothing that was read, but for tags");
    return 0;
  }
  const Words theirs = FromLibcbor(item, 0);
  if (theirs && ours) {
    COFFER_CHECK(*theirs == *ours && result.read == read, "both read the same");
  }
  COFFER_CHECK(theirs.has_value() == ours.has_value(), "both read it, or neither does");
  cbor_decref(&item);
  return 0;
}
