// The offline receipt: one small text file that proves one leaf. It is a transparency log proof as
// c2sp.org/tlog-proof has it, so that anybody's reader of that format can check its inclusion:
//
//   c2sp.org/tlog-proof@v1
//   extra <base64>
//   index <decimal>
//   <base64 hash>            the inclusion proof, one hash a line, from the leaf up
//
//   <checkpoint with its signature and cosignatures>
//
// `extra` is ours: "coffer-receipt:v1\n" | length 2, big-endian | leaf | length 2 | attestation
// reference (UTF-8, may be empty): what tells a reader which attestation binds the log's key, such
// as "sha256:<hex of the document>". Nothing authenticates the reference; the leaf is by the proof.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_RECEIPT_H_
#define COFFER_ENCLAVE_CORE_AUDIT_RECEIPT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/audit/quorum.h"

namespace coffer::audit {

inline constexpr size_t kMaxAttestationReferenceBytes = 1024;
inline constexpr size_t kMaxReceiptBytes = kMaxNoteBytes + 16 * 1024;

struct Receipt {
  std::string leaf;  // its bytes, as the tree hashed them
  uint64_t index = 0;
  Proof proof;
  std::string checkpoint;   // the note, verbatim
  std::string attestation;  // reference
  bool operator==(const Receipt&) const = default;
};

// InvalidArgument when a field is out of bounds.
absl::StatusOr<std::string> FormatReceipt(const Receipt& receipt);
// Exactly what FormatReceipt makes; InvalidArgument with a sentence otherwise. Proves nothing yet.
absl::StatusOr<Receipt> ParseReceipt(std::string_view text);

struct ReceiptCheck {
  std::string name;  // "leaf", "index", "log", "inclusion", "witnesses"
  bool passed = false;
  std::string sentence;  // what was checked, or what is wrong
};

struct ReceiptReport {
  std::vector<ReceiptCheck> checks;  // all five, in this order, whatever failed before
  bool valid = false;                // all passed
  std::optional<Leaf> leaf;
  std::optional<Checkpoint> checkpoint;
};

// Checks everything that can be checked offline, against the keys and the quorum of `policy`.
ReceiptReport VerifyReceipt(const Receipt& receipt, const QuorumPolicy& policy);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_RECEIPT_H_
