#include "tools/seen_log.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/os_env.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr std::string_view kHeader = "coffer-seen-log v1";
constexpr std::string_view kKey = "key ";
constexpr size_t kMaxBytes = audit::kMaxNoteBytes + 4096;

absl::Status Wrong(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("a file of a seen log ", std::string(what)));
}

std::string HexOf(std::string_view text) { return audit::Sha256(text).ToHex().substr(2); }

}  // namespace

std::string FormatSeenLog(const audit::VerifierKey& key, std::string_view note) {
  return absl::StrCat(std::string(kHeader), "\n", std::string(kKey), key.ToString(), "\n\n",
                      std::string(note));
}

absl::StatusOr<SeenLog> ParseSeenLog(std::string_view bytes) {
  if (bytes.size() > kMaxBytes) return Wrong("is too long");
  if (audit::TakeLine(bytes) != kHeader) return Wrong("does not begin with coffer-seen-log v1");
  const std::optional<std::string_view> key_line = audit::TakeLine(bytes);
  if (!key_line || key_line->substr(0, kKey.size()) != kKey) return Wrong("has no line with a key");
  absl::StatusOr<audit::VerifierKey> key = audit::VerifierKey::Parse(key_line->substr(kKey.size()));
  if (!key.ok()) return Wrong(absl::StrCat("has a wrong key: ", key.status().message()));
  if (audit::TakeLine(bytes) != std::string_view()) {
    return Wrong("has no empty line before its checkpoint");
  }
  absl::StatusOr<audit::SignedCheckpoint> head = audit::ParseCheckpoint(bytes);
  if (!head.ok()) return Wrong(absl::StrCat("has a wrong checkpoint: ", head.status().message()));
  if (absl::Status status = audit::VerifyLogSignature(*head, *key); !status.ok()) {
    return Wrong(absl::StrCat("has a checkpoint that its key did not sign: ", status.message()));
  }
  return SeenLog{*std::move(key), std::string(bytes), std::move(head->checkpoint)};
}

absl::StatusOr<SeenLog> LoadSeenLog(const std::string& path) {
  const absl::StatusOr<std::string> bytes = ReadWholeFile(path, kMaxBytes);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<SeenLog> seen = ParseSeenLog(*bytes);
  if (!seen.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", seen.status().message()));
  }
  return seen;
}

absl::Status SaveSeenLog(const std::string& path, const audit::VerifierKey& key,
                         std::string_view note) {
  return ReplaceFile(path, FormatSeenLog(key, note), Durability::kSynced);
}

absl::StatusOr<std::string> DefaultStateFile(std::string_view origin) {
  const std::optional<std::string> state = runtime::OsEnv("XDG_STATE_HOME");
  std::string folder = state.value_or("");
  // The XDG base directory specification: a relative path is to be ignored.
  if (folder.empty() || folder[0] != '/') {
    const std::optional<std::string> home = runtime::OsEnv("HOME");
    if (!home || home->empty()) {
      return absl::FailedPreconditionError(
          "there is no home folder (HOME) to remember this log in: give --state FILE");
    }
    folder = *home + "/.local/state";
  }
  return absl::StrCat(folder, "/coffer/", HexOf(origin));
}

absl::StatusOr<std::string> KeepEvidence(const std::string& state_file,
                                         const audit::VerifierKey& key, std::string_view first_note,
                                         std::string_view second_note) {
  const std::string content =
      absl::StrCat("Two heads of one log that cannot both be true. The key of both is\n",
                   key.ToString(), "\n\n---- seen before\n", std::string(first_note),
                   "---- seen now\n", std::string(second_note));
  std::string path = absl::StrCat(state_file, ".evidence-", HexOf(content).substr(0, 16));
  if (absl::Status status = ReplaceFile(path, content, Durability::kSynced); !status.ok()) {
    return status;
  }
  return path;
}

}  // namespace coffer::tools
