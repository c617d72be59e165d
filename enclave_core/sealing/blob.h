// A whole state as one sealed blob, for clients that keep it themselves instead of being a storage
// (JSON protocol: export_state, load_state).
//
// Bytes: "CFRX", then for each part its length (4, big-endian) and a sealed record of kind
// kBlobPart with chunk index and count.
#ifndef COFFER_ENCLAVE_CORE_SEALING_BLOB_H_
#define COFFER_ENCLAVE_CORE_SEALING_BLOB_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/sealing/vault.h"

namespace coffer::sealing {

// In base64, within its JSON answer, it still fits a frame of 16 MiB.
inline constexpr size_t kMaxBlobBytes = 12'000'000;

// ResourceExhausted when the parts are more than a blob may hold.
absl::StatusOr<std::string> SealBlob(Vault* vault, const std::vector<std::string>& parts);

// The parts, all of them and in order. DataLoss says what is wrong: no blob, altered, of another
// key, or incomplete.
absl::StatusOr<std::vector<std::string>> OpenBlob(Vault* vault, std::string_view blob);

}  // namespace coffer::sealing

#endif  // COFFER_ENCLAVE_CORE_SEALING_BLOB_H_
