#include "enclave_core/audit/checkpoint.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "invariant/check.h"

namespace coffer::audit {
namespace {

constexpr size_t kMaxOriginBytes = 255;
constexpr size_t kMaxExtensions = 16;
constexpr size_t kTimeBytes = 8;
constexpr size_t kEd25519Bytes = 64;

std::string BigEndian64(uint64_t value) {
  std::string out;
  for (int shift = 56; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
  return out;
}

std::string CosignedMessage(std::string_view text, uint64_t time) {
  return absl::StrCat("cosignature/v1\ntime ", time, "\n") + std::string(text);
}

bool IsLine(std::string_view line) {
  return !line.empty() && line.find('\n') == std::string_view::npos && IsNoteText(line);
}

}  // namespace

std::string CheckpointText(const Checkpoint& checkpoint) {
  std::string text = absl::StrCat(checkpoint.origin, "\n", checkpoint.size, "\n",
                                  EncodeBase64(checkpoint.root.view()), "\n");
  for (const std::string& line : checkpoint.extensions) absl::StrAppend(&text, line, "\n");
  return text;
}

absl::StatusOr<Checkpoint> ParseCheckpointText(std::string_view text) {
  const auto error = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("a checkpoint ", what));
  };
  const std::optional<std::string_view> origin = TakeLine(text);
  const std::optional<std::string_view> size_line = TakeLine(text);
  const std::optional<std::string_view> root_line = TakeLine(text);
  if (!origin || !size_line || !root_line) {
    return error("has fewer than three lines: want origin, size and root");
  }
  if (!IsLine(*origin) || origin->size() > kMaxOriginBytes) {
    return error("has an origin that is empty, longer than 255 bytes or no text");
  }
  const std::optional<uint64_t> size = ParseDecimal(*size_line);
  if (!size) return error("has a size that is not a decimal number below 2^63");
  const std::optional<Hash> root = DecodeHash(*root_line);
  if (!root) return error("has a root that is not base64 of 32 bytes");
  Checkpoint out{std::string(*origin), *size, *root, {}};
  while (!text.empty()) {
    const std::optional<std::string_view> line = TakeLine(text);
    if (!line || !IsLine(*line)) return error("has an extension line that is empty or no text");
    if (out.extensions.size() == kMaxExtensions) return error("has more than 16 extension lines");
    out.extensions.emplace_back(*line);
  }
  return out;
}

std::string SignCheckpoint(const Checkpoint& checkpoint, const NoteSigner& signer) {
  COFFER_CHECK(checkpoint.origin == signer.key().name(), "a log signs its own checkpoints");
  const std::string text = CheckpointText(checkpoint);
  return FormatNote({text, {signer.Sign(text)}});
}

absl::StatusOr<SignedCheckpoint> ParseCheckpoint(std::string_view note) {
  absl::StatusOr<Note> parsed = ParseNote(note);
  if (!parsed.ok()) return parsed.status();
  absl::StatusOr<Checkpoint> checkpoint = ParseCheckpointText(parsed->text);
  if (!checkpoint.ok()) return checkpoint.status();
  return SignedCheckpoint{*std::move(checkpoint), *std::move(parsed)};
}

absl::Status VerifyLogSignature(const SignedCheckpoint& checkpoint, const VerifierKey& log_key) {
  if (log_key.name() != checkpoint.checkpoint.origin) {
    return absl::PermissionDeniedError(absl::StrCat("the checkpoint is of the log ",
                                                    checkpoint.checkpoint.origin,
                                                    ", the key is of ", log_key.name()));
  }
  return VerifyNote(checkpoint.note, absl::MakeConstSpan(&log_key, 1)).status();
}

NoteSignature Cosign(std::string_view checkpoint_text, uint64_t time, const NoteSigner& witness) {
  COFFER_CHECK(witness.key().type() == KeyType::kCosignatureV1, "only a witness's key cosigns");
  COFFER_CHECK(time >> 63 == 0, "a cosignature's time is below 2^63");
  return {witness.key().name(), witness.key().id(),
          BigEndian64(time) + witness.SignBytes(CosignedMessage(checkpoint_text, time))};
}

absl::StatusOr<uint64_t> VerifyCosignature(std::string_view checkpoint_text,
                                           const NoteSignature& cosignature,
                                           const VerifierKey& witness) {
  const auto error = [&](const char* what) {
    return absl::PermissionDeniedError(
        absl::StrCat("the cosignature of ", cosignature.name, " ", what));
  };
  if (witness.type() != KeyType::kCosignatureV1 || !witness.Claims(cosignature)) {
    return error("is not by the key in question");
  }
  if (cosignature.bytes.size() != kTimeBytes + kEd25519Bytes) {
    return error("is not a time and an Ed25519 signature");
  }
  const std::string_view bytes = cosignature.bytes;
  uint64_t time = 0;
  for (const char c : bytes.substr(0, kTimeBytes)) time = time << 8 | static_cast<uint8_t>(c);
  if (time >> 63 != 0) return error("has a time above 2^63 - 1");
  if (!witness.Verify(CosignedMessage(checkpoint_text, time), bytes.substr(kTimeBytes))) {
    return error("is wrong");
  }
  return time;
}

Hash ChainStatementDigest(const ChainStatement& statement) {
  std::string packed(kChainStatementTag);
  packed.append(statement.audit_address.view());
  packed.append(BigEndian64(statement.size));
  packed.append(statement.root.view());
  packed.append(24, '\0').append(BigEndian64(statement.chain_id));
  packed.append(statement.registry.view());
  return ethereum::Keccak256(packed);
}

ethereum::Signature SignChainStatement(const ChainStatement& statement,
                                       const ethereum::PrivateKey& key) {
  COFFER_CHECK(key.address() == statement.audit_address, "the audit address signs for itself");
  return key.Sign(ethereum::Eip191Hash(ChainStatementDigest(statement).view()));
}

absl::Status VerifyChainStatement(const ChainStatement& statement,
                                  const ethereum::Signature& signature) {
  const absl::StatusOr<ethereum::Address> signer = ethereum::RecoverAddress(
      ethereum::Eip191Hash(ChainStatementDigest(statement).view()), signature);
  if (!signer.ok()) return signer.status();
  if (*signer != statement.audit_address) {
    return absl::PermissionDeniedError(
        absl::StrCat("the chain statement is signed by ", ethereum::ToChecksum(*signer),
                     ", not by the audit address ", ethereum::ToChecksum(statement.audit_address)));
  }
  return absl::OkStatus();
}

}  // namespace coffer::audit
