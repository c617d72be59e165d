// Any bytes either fail to decode or decode to a tree whose encoding is exactly those bytes; and a
// second decoder, written from the Yellow Paper's appendix B alone, accepts the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/ethereum/rlp.h"
#include "invariant/check.h"

namespace {

namespace rlp = coffer::ethereum::rlp;

std::string Encode(const rlp::Item& item) {
  std::string payload;
  if (!item.is_list) {
    rlp::AppendBytes(item.bytes, payload);
    return payload;
  }
  for (const rlp::Item& child : item.items) payload += Encode(child);
  return rlp::EncodeList(payload);
}

void CheckInteger(const rlp::Item& item) {
  const auto wide = rlp::ToU256(item);
  const auto narrow = rlp::ToUint64(item);
  if (narrow.ok()) COFFER_CHECK(wide.ok() && *wide == *narrow, "both readers agree");
  if (!wide.ok()) return;
  std::string again;
  rlp::AppendUint(*wide, again);
  COFFER_CHECK(again == item.encoding, "an integer has one encoding");
}

// Cuts one item off the front: its whole length, or nothing.
size_t ItemSize(std::string_view bytes, size_t& header, bool& list) {
  if (bytes.empty()) return 0;
  const auto first = static_cast<uint8_t>(bytes[0]);
  list = first >= 0xc0;
  if (first < 0x80) {
    header = 0;
    return 1;
  }
  const size_t base = list ? 0xc0 : 0x80;
  size_t length = first - base;
  header = 1;
  if (length > 55) {
    const size_t of_length = length - 55;
    header = 1 + of_length;
    if (bytes.size() < header || bytes[1] == 0 || of_length > 4) return 0;
    length = 0;
    for (size_t i = 1; i < header; ++i) length = length << 8 | static_cast<uint8_t>(bytes[i]);
    if (length <= 55) return 0;
  } else if (!list && length == 1 && bytes.size() > 1 && static_cast<uint8_t>(bytes[1]) < 0x80) {
    return 0;
  }
  return bytes.size() - header < length ? 0 : header + length;
}

// Whether `bytes` is one item and nothing else, each length in its shortest form.
bool IsItem(std::string_view bytes, size_t depth, size_t max_depth, size_t& items) {
  size_t header = 0;
  bool list = false;
  if (ItemSize(bytes, header, list) != bytes.size() || bytes.empty()) return false;
  ++items;
  if (!list) return true;
  if (depth >= max_depth) return false;
  for (std::string_view rest = bytes.substr(header); !rest.empty();) {
    size_t inner_header = 0;
    bool inner_list = false;
    const size_t size = ItemSize(rest, inner_header, inner_list);
    if (size == 0 || !IsItem(rest.substr(0, size), depth + 1, max_depth, items)) return false;
    rest.remove_prefix(size);
  }
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const rlp::Limits limits{.max_bytes = 4096, .max_depth = 5, .max_items = 200};
  const auto item = rlp::Decode(raw, limits);
  size_t items = 0;
  const bool naive = size <= limits.max_bytes && IsItem(raw, 0, limits.max_depth, items);
  COFFER_CHECK(item.ok() == (naive && items <= limits.max_items), "two decoders are one");
  if (!item.ok()) return 0;
  COFFER_CHECK(size <= limits.max_bytes, "limits are kept");
  COFFER_CHECK(Encode(*item) == raw && item->encoding == raw,
               "decoding is the inverse of encoding");
  CheckInteger(*item);
  for (const rlp::Item& child : item->items) CheckInteger(child);
  return 0;
}
