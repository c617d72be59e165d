// A leaf of the log as JSON, as every part of Coffer that speaks JSON about the log has it.
#ifndef COFFER_ACTORS_HOST_LOG_LEAF_JSON_H_
#define COFFER_ACTORS_HOST_LOG_LEAF_JSON_H_

#include <json/value.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/audit/leaf.h"

namespace coffer::host {

inline constexpr char kLeafSchema[] = "coffer-audit:leaf:v1";

// {schema, seq (the index + 1), leaf_index, timestamp (RFC 3339, of the claimed time), kind, then
// the fields that the leaf has, leaf (0x hex of its bytes), entry_hash (its hash in the tree)}.
// Amounts are decimal strings in wei, hashes 0x hex, addresses checksummed; docs/transparency.md
// has the names. `bytes` is what `leaf` was parsed from.
Json::Value LeafJson(const audit::Leaf& leaf, std::string_view bytes);

// RFC 3339 in UTC with milliseconds; empty for a time beyond the year 9999, which has none.
std::string Rfc3339(uint64_t ms_since_1970);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LEAF_JSON_H_
