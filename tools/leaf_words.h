// A leaf in words, for people.
#ifndef COFFER_TOOLS_LEAF_WORDS_H_
#define COFFER_TOOLS_LEAF_WORDS_H_

#include <json/value.h>

#include <string>

#include "enclave_core/audit/leaf.h"

namespace coffer::tools {

// "alice (0xAa...) was credited 5 wei ...": who, what, how much, and when as the host claims.
std::string LeafWords(const audit::Leaf& leaf);
// Its fields by the names of docs/transparency.md; wei as decimal strings, bytes as 0x hex.
Json::Value LeafJson(const audit::Leaf& leaf);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LEAF_WORDS_H_
