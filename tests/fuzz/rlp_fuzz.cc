// Any bytes either fail to decode or decode to a tree whose encoding is exactly those bytes.
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const rlp::Limits limits{.max_bytes = 4096, .max_depth = 5, .max_items = 200};
  const auto item = rlp::Decode(raw, limits);
  if (!item.ok()) return 0;
  COFFER_CHECK(size <= limits.max_bytes, "limits are kept");
  COFFER_CHECK(Encode(*item) == raw && item->encoding == raw,
               "decoding is the inverse of encoding");
  CheckInteger(*item);
  for (const rlp::Item& child : item->items) CheckInteger(child);
  return 0;
}
