// JSON text, read strictly, as a tree (nlohmann-json). Not for the journal or the boundary, which
// have readers of their own: this one needs no library at run time, so that the verifier can be one
// static program (docs/dependencies.md).
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_STRICT_JSON_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_STRICT_JSON_H_

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::attestation {

inline constexpr int kMaxJsonDepth = 16;

// One JSON object (RFC 8259) and nothing else. InvalidArgument with what is wrong and in which
// line: more than `max_bytes`, no JSON, not UTF-8, a name that is twice in one object, nesting
// beyond kMaxJsonDepth, no object.
absl::StatusOr<nlohmann::json> ReadStrictJson(std::string_view text, size_t max_bytes);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_STRICT_JSON_H_
