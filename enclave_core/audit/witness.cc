#include "enclave_core/audit/witness.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"

namespace coffer::audit {
namespace {

constexpr std::string_view kOld = "old ";

WitnessAnswer Refuse(int status, const std::string& sentence) {
  return {status, "text/plain; charset=utf-8", sentence + "\n", std::nullopt};
}

WitnessAnswer Refuse(int status, const absl::Status& reason) {
  return Refuse(status, std::string(reason.message()));
}

}  // namespace

std::string FormatAddCheckpoint(const AddCheckpoint& request) {
  std::string body = absl::StrCat("old ", request.old_size, "\n");
  for (const Hash& hash : request.proof) absl::StrAppend(&body, EncodeBase64(hash.view()), "\n");
  return absl::StrCat(body, "\n", request.checkpoint);
}

absl::StatusOr<AddCheckpoint> ParseAddCheckpoint(std::string_view body) {
  const auto error = [](const char* what) {
    return absl::InvalidArgumentError(absl::StrCat("an add-checkpoint request ", what));
  };
  if (body.size() > kMaxAddCheckpointBytes) return error("is too long");
  const std::optional<std::string_view> old = TakeLine(body);
  if (!old || old->substr(0, kOld.size()) != kOld) {
    return error("does not begin with a line \"old <size>\"");
  }
  const std::optional<uint64_t> old_size = ParseDecimal(old->substr(kOld.size()));
  if (!old_size) return error("has an old size that is not a decimal number below 2^63");
  AddCheckpoint request;
  request.old_size = *old_size;
  for (;;) {
    const std::optional<std::string_view> line = TakeLine(body);
    if (!line) return error("has no empty line before the checkpoint");
    if (line->empty()) break;
    if (request.proof.size() == kMaxProofHashes) return error("has more than 63 proof lines");
    const std::optional<Hash> hash = DecodeHash(*line);
    if (!hash) return error("has a proof line that is not base64 of 32 bytes");
    request.proof.push_back(*hash);
  }
  request.checkpoint = body;
  return request;
}

absl::StatusOr<uint64_t> ParseSizeAnswer(std::string_view body) {
  const std::optional<std::string_view> line = TakeLine(body);
  const std::optional<uint64_t> size = line && body.empty() ? ParseDecimal(*line) : std::nullopt;
  if (!size) return absl::InvalidArgumentError("a witness's size is not a decimal line");
  return *size;
}

absl::StatusOr<std::vector<NoteSignature>> ParseCosignatureAnswer(std::string_view body,
                                                                  std::string_view checkpoint_text,
                                                                  const VerifierKey& witness) {
  absl::StatusOr<std::vector<NoteSignature>> lines = ParseSignatureLines(body);
  if (!lines.ok()) return lines.status();
  std::vector<NoteSignature> out;
  for (NoteSignature& line : *lines) {
    if (!witness.Claims(line)) continue;
    const absl::StatusOr<uint64_t> time = VerifyCosignature(checkpoint_text, line, witness);
    if (!time.ok()) return time.status();
    out.push_back(std::move(line));
  }
  if (out.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the answer has no cosignature of the witness ", witness.name()));
  }
  return out;
}

absl::Status Witness::AddLog(VerifierKey log_key) {
  if (log_key.type() != KeyType::kEd25519) {
    return absl::InvalidArgumentError(
        absl::StrCat("the key of ", log_key.name(), " is not a log's: want type Ed25519 (1)"));
  }
  const std::string origin = log_key.name();
  Log& log = logs_.try_emplace(origin, Log{{}, {origin, 0, EmptyRoot(), {}}}).first->second;
  log.keys.push_back(std::move(log_key));
  return absl::OkStatus();
}

absl::Status Witness::Restore(const Checkpoint& latest) {
  const auto found = logs_.find(latest.origin);
  if (found == logs_.end()) {
    return absl::NotFoundError(absl::StrCat("the log ", latest.origin, " is not watched"));
  }
  found->second.latest = latest;
  return absl::OkStatus();
}

std::optional<Checkpoint> Witness::Latest(std::string_view origin) const {
  const auto found = logs_.find(origin);
  if (found == logs_.end() || found->second.latest.size == 0) return std::nullopt;
  return found->second.latest;
}

WitnessAnswer Witness::Handle(std::string_view body, uint64_t now) {
  const absl::StatusOr<AddCheckpoint> request = ParseAddCheckpoint(body);
  if (!request.ok()) return Refuse(400, request.status());
  const absl::StatusOr<SignedCheckpoint> shown = ParseCheckpoint(request->checkpoint);
  if (!shown.ok()) return Refuse(400, shown.status());
  const Checkpoint& next = shown->checkpoint;
  const auto found = logs_.find(next.origin);
  if (found == logs_.end()) return Refuse(404, "this witness does not watch a log of that origin");
  Log& log = found->second;
  if (const auto valid = VerifyNote(shown->note, log.keys); !valid.ok()) {
    return Refuse(403, valid.status());
  }
  if (request->old_size > next.size) {
    return Refuse(400, "the old size is above the checkpoint's");
  }
  if (request->old_size != log.latest.size) {
    return {409, std::string(kSizeContentType), absl::StrCat(log.latest.size, "\n"), std::nullopt};
  }
  if (next.size == log.latest.size && next.root != log.latest.root) {
    return next.size == 0 ? Refuse(422, "the root of size 0 is not the empty tree's")
                          : Refuse(409, "another root was cosigned at this size: two histories");
  }
  if (const absl::Status proven =
          VerifyConsistency(log.latest.size, next.size, log.latest.root, next.root, request->proof);
      !proven.ok()) {
    return Refuse(422, proven);
  }
  log.latest = next;
  return {200, "text/plain; charset=utf-8",
          FormatSignatureLine(Cosign(shown->note.text, now, signer_)), next};
}

}  // namespace coffer::audit
