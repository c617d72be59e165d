// Any bytes either are refused or are the one encoding of a leaf.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/audit/leaf.h"
#include "invariant/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace audit = coffer::audit;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const auto leaf = audit::ParseLeaf(raw);
  if (!leaf.ok()) return 0;
  std::string again;
  COFFER_CHECK(audit::AppendLeaf(*leaf, &again).ok(), "what was parsed can be written");
  COFFER_CHECK(again == raw, "a leaf has one encoding");
  COFFER_CHECK(raw.size() <= audit::kMaxLeafBytes, "limits are kept");
  return 0;
}
