// Checkpoints (c2sp.org/tlog-checkpoint): the log's signed tree head, a note of at least three
// lines: origin, size in decimal, root in base64, then extension lines if any. Witnesses add
// cosignatures (c2sp.org/tlog-cosignature, Ed25519): type 0x04, over
//
//   cosignature/v1\n | time <seconds since 1970>\n | the checkpoint's text
//
// as 8 bytes of time (big-endian) and 64 of signature.
//
// For chains, the audit address signs the same head with secp256k1 (EIP-191, version 0x45), over
// the digest keccak-256 of abi.encodePacked of these fields, all of fixed size:
//
//   "coffer-audit:checkpoint:v1" 26 bytes | audit address 20 | uint64 size 8 | bytes32 root 32 |
//   uint256 chain id 32 | registry address 20
//
// so a signature serves one log, one chain and one registry, and no other kind of message can be
// mistaken for it.
#ifndef COFFER_ENCLAVE_CORE_AUDIT_CHECKPOINT_H_
#define COFFER_ENCLAVE_CORE_AUDIT_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::audit {

struct Checkpoint {
  std::string origin;  // the log's name; its key's name is the same
  uint64_t size = 0;
  Hash root;
  std::vector<std::string> extensions;  // opaque lines; Coffer writes none
  bool operator==(const Checkpoint&) const = default;
};

// The note's text.
std::string CheckpointText(const Checkpoint& checkpoint);
// InvalidArgument with a sentence unless the text is what CheckpointText makes of some checkpoint.
absl::StatusOr<Checkpoint> ParseCheckpointText(std::string_view text);

struct SignedCheckpoint {
  Checkpoint checkpoint;
  Note note;  // its text is the checkpoint's
};

// The note with one signature, of a key of type kEd25519 that has the origin's name.
std::string SignCheckpoint(const Checkpoint& checkpoint, const NoteSigner& signer);
absl::StatusOr<SignedCheckpoint> ParseCheckpoint(std::string_view note);
// OK when this log key signed it: same name as the origin, a valid signature, and no wrong one
// under the key's name and ID. PermissionDenied with a sentence.
absl::Status VerifyLogSignature(const SignedCheckpoint& checkpoint, const VerifierKey& log_key);

// A witness's signature line. `time`: seconds since 1970 as the witness's clock says, below 2^63.
NoteSignature Cosign(std::string_view checkpoint_text, uint64_t time, const NoteSigner& witness);
// The time that it states; PermissionDenied when the line is not this witness's or is wrong.
absl::StatusOr<uint64_t> VerifyCosignature(std::string_view checkpoint_text,
                                           const NoteSignature& cosignature,
                                           const VerifierKey& witness);

struct ChainStatement {
  ethereum::Address audit_address;
  uint64_t size = 0;
  Hash root;
  uint64_t chain_id = 0;
  ethereum::Address registry;  // the contract that may accept it
};

inline constexpr std::string_view kChainStatementTag = "coffer-audit:checkpoint:v1";

// The keccak-256 above; contracts recompute it and apply EIP-191 for 32 bytes themselves.
Hash ChainStatementDigest(const ChainStatement& statement);
// The key must be the statement's audit address.
ethereum::Signature SignChainStatement(const ChainStatement& statement,
                                       const ethereum::PrivateKey& key);
absl::Status VerifyChainStatement(const ChainStatement& statement,
                                  const ethereum::Signature& signature);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_CHECKPOINT_H_
