// Any bytes as what a machine remembers of a log. What is accepted is written back byte for byte.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "invariant/check.h"
#include "tools/seen_log.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace tools = coffer::tools;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (const auto seen = tools::ParseSeenLog(raw); seen.ok()) {
    COFFER_CHECK(tools::FormatSeenLog(seen->key, seen->note) == raw, "a seen log has one form");
    COFFER_CHECK(seen->key.name() == seen->checkpoint.origin, "the log's own key signed it");
  }
  return 0;
}
