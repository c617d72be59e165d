#include "tools/log_trust.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/proof.h"
#include "enclave_core/audit/tiles.h"
#include "tools/small_files.h"

namespace coffer::tools {

using audit::Checkpoint;
using audit::VerifierKey;

namespace {

std::string Describe(uint64_t size, const audit::Hash& root) {
  return absl::StrCat("size ", size, " with root ", root.ToHex().substr(2, 16), "...");
}

std::string Kept(const absl::StatusOr<std::string>& evidence) {
  if (!evidence.ok()) {
    return absl::StrCat("the two signed heads could not be kept: ", evidence.status().message());
  }
  return absl::StrCat("both signed heads are in ", *evidence);
}

absl::StatusOr<TrustedKey> Try(const audit::SignedCheckpoint& head, VerifierKey key,
                               std::string sentence) {
  if (absl::Status status = audit::VerifyLogSignature(head, key); !status.ok()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the head is not signed by ", key.ToString(),
                     ": it was altered, or somebody else signed it (", status.message(), ")"));
  }
  return TrustedKey{std::move(key), std::move(sentence)};
}

absl::StatusOr<TrustedKey> FirstUse(const TrustOptions& options,
                                    const audit::SignedCheckpoint& head) {
  if (!options.ask_key) {
    return absl::UnavailableError(
        "nobody said which key is the log's, and none is remembered: give --key or --policy");
  }
  const absl::StatusOr<std::string> text = options.ask_key();
  if (!text.ok()) {
    return absl::UnavailableError(
        absl::StrCat("no key was given (--key, --policy), none is remembered, and the operator "
                     "names none: ",
                     text.status().message()));
  }
  absl::StatusOr<VerifierKey> key = VerifierKey::Parse(*text);
  if (!key.ok()) {
    return absl::PermissionDeniedError(
        absl::StrCat("what the operator calls the log's key is none: ", key.status().message()));
  }
  const std::string name = key->ToString();
  return Try(head, *std::move(key),
             absl::StrCat("TRUSTED ON FIRST USE: the head is signed by ", name,
                          ", for which only the operator vouches; compare it with what you know "
                          "from elsewhere and give it as --key"));
}

}  // namespace

absl::StatusOr<Memory> Recall(const TrustOptions& options, const std::string& origin) {
  Memory memory;
  memory.file = options.state_file;
  if (memory.file.empty()) {
    absl::StatusOr<std::string> file = DefaultStateFile(origin);
    if (!file.ok()) return file.status();
    memory.file = *std::move(file);
  }
  absl::StatusOr<SeenLog> seen = LoadSeenLog(memory.file);
  if (absl::IsNotFound(seen.status())) return memory;
  if (!seen.ok()) {
    return absl::UnavailableError(
        absl::StrCat("what was seen of this log before cannot be read: ", seen.status().message(),
                     "; put the file aside to start anew"));
  }
  memory.seen = *std::move(seen);
  return memory;
}

absl::StatusOr<TrustedKey> CheckSignature(const TrustOptions& options,
                                          const audit::SignedCheckpoint& head,
                                          const Memory* memory) {
  const std::string what = absl::StrCat("its head of size ", head.checkpoint.size);
  if (options.key) {
    return Try(head, *options.key,
               absl::StrCat("the log ", head.checkpoint.origin, " signed ", what,
                            " with the key that was given"));
  }
  if (options.policy && !options.policy->logs().empty()) {
    if (absl::Status status = options.policy->CheckLog(head); !status.ok()) {
      return absl::PermissionDeniedError(
          absl::StrCat("no log of the policy signed the head: it was altered, or somebody else "
                       "signed it (",
                       status.message(), ")"));
    }
    for (const audit::PolicyLog& log : options.policy->logs()) {
      auto signer = Try(head, log.key,
                        absl::StrCat("the log ", head.checkpoint.origin, " signed ", what,
                                     " with a key of the policy"));
      if (signer.ok()) return signer;
    }
    return absl::PermissionDeniedError("no log of the policy signed the head");
  }
  if (memory == nullptr) {
    return absl::UnavailableError(
        "no key was given (--key, --policy), and what is remembered of "
        "this log cannot be read");
  }
  if (memory->seen && memory->seen->key.name() == head.checkpoint.origin) {
    return Try(head, memory->seen->key,
               absl::StrCat("the log ", head.checkpoint.origin, " signed ", what,
                            " with the key that was trusted on first use (", memory->file, ")"));
  }
  return FirstUse(options, head);
}

absl::Status CheckPrefix(VerifiedTiles& tiles, const Checkpoint& head, uint64_t size,
                         const audit::Hash& root) {
  if (size == 0) return absl::OkStatus();
  const auto fetch = [&](const audit::TileRef& tile) { return tiles.Fetch(tile); };
  const audit::TileHashReader reader(head.size, fetch);
  const absl::StatusOr<audit::Proof> proof = audit::BuildConsistency(
      size, head.size, [&](uint32_t level, uint64_t index) { return reader(level, index); });
  if (!proof.ok()) return proof.status();
  // The tiles are the signed tree's, so a proof that does not hold says that the trees differ.
  const absl::Status status = audit::VerifyConsistency(size, head.size, root, head.root, *proof);
  if (status.ok()) return status;
  return absl::FailedPreconditionError(status.message());
}

absl::StatusOr<std::string> CheckHistory(const Memory& memory, VerifiedTiles& tiles,
                                         const audit::SignedCheckpoint& head,
                                         const std::string& note, const VerifierKey& key) {
  const Checkpoint& now = head.checkpoint;
  const Checkpoint& before = memory.seen->checkpoint;
  if (before.origin != now.origin) {
    return absl::FailedPreconditionError(absl::StrCat("what was seen before is of the log ",
                                                      before.origin, ", and this one calls itself ",
                                                      now.origin, " (", memory.file, ")"));
  }
  const auto keep = [&] { return Kept(KeepEvidence(memory.file, key, memory.seen->note, note)); };
  if (now.size < before.size) {
    return absl::FailedPreconditionError(
        absl::StrCat("the log was cut back from ", before.size, " to ", now.size,
                     " leaves: a signed head of ", before.size, " was seen before; ", keep()));
  }
  if (now.size == before.size) {
    if (now.root == before.root) {
      return absl::StrCat("the head is the one that was seen before, of size ", now.size);
    }
    return absl::FailedPreconditionError(absl::StrCat("two histories: ", now.origin,
                                                      " signed two different trees of size ",
                                                      now.size, "; ", keep()));
  }
  const absl::Status prefix = CheckPrefix(tiles, now, before.size, before.root);
  if (prefix.ok()) {
    return absl::StrCat("the log grew from ", before.size, " leaves, which were seen before, to ",
                        now.size, " and changed none of them");
  }
  if (!absl::IsFailedPrecondition(prefix)) return prefix;
  return absl::FailedPreconditionError(absl::StrCat(
      "two histories: the first ", before.size, " leaves of the tree of ",
      Describe(now.size, now.root), " are not those of ", Describe(before.size, before.root),
      ", which ", now.origin, " signed before; ", keep()));
}

absl::Status CheckContinued(LogSource& source, const Checkpoint& head, const Checkpoint& later) {
  VerifiedTiles tiles(&source, later.size, later.root);
  if (absl::Status status = tiles.LoadEdge(); !status.ok()) return status;
  return CheckPrefix(tiles, later, head.size, head.root);
}

namespace {

// The head of another run, which was remembered meanwhile, against this run's.
absl::StatusOr<std::string> CheckOtherRun(const Memory& memory, LogSource& source,
                                          const audit::SignedCheckpoint& head,
                                          const std::string& note, const VerifierKey& key) {
  const Checkpoint& now = head.checkpoint;
  const Checkpoint& other = memory.seen->checkpoint;
  if (memory.seen->key.ToString() != key.ToString()) {
    return absl::UnavailableError(absl::StrCat("meanwhile another run remembered ", memory.file,
                                               " with another key: run it again"));
  }
  if (other.origin != now.origin || other.size <= now.size) {
    VerifiedTiles tiles(&source, now.size, now.root);
    if (absl::Status status = tiles.LoadEdge(); !status.ok()) return status;
    return CheckHistory(memory, tiles, head, note, key);
  }
  const absl::Status continued = CheckContinued(source, now, other);
  if (continued.ok()) {
    return absl::StrCat("a later head of ", other.size, " leaves, which continues this one, is ",
                        "remembered in ", memory.file);
  }
  if (absl::IsFailedPrecondition(continued)) {
    return absl::FailedPreconditionError(absl::StrCat(
        "two histories: the first ", now.size, " leaves of the tree of ",
        Describe(other.size, other.root), ", which another run saw meanwhile, are not those of ",
        Describe(now.size, now.root), "; ",
        Kept(KeepEvidence(memory.file, key, memory.seen->note, note))));
  }
  return absl::UnavailableError(absl::StrCat(
      "meanwhile another run remembered a head of ", other.size, " leaves in ", memory.file,
      ", and whether it continues this one of ", now.size,
      " cannot be told from here: run it again (", std::string(continued.message()), ")"));
}

}  // namespace

absl::StatusOr<std::string> RememberHead(const Memory& memory, LogSource& source,
                                         const audit::SignedCheckpoint& head,
                                         const std::string& note, const VerifierKey& key) {
  // Not the file itself: it is replaced.
  const auto lock = LockPath(absl::StrCat(memory.file, ".lock"), WhenLocked::kWait);
  if (!lock.ok()) return lock.status();
  absl::StatusOr<SeenLog> there = LoadSeenLog(memory.file);
  if (!there.ok() && !absl::IsNotFound(there.status())) {
    return absl::UnavailableError(there.status().message());
  }
  const bool fresh = there.ok() && (!memory.seen || memory.seen->note != there->note);
  if (fresh) {
    const uint64_t size = there->checkpoint.size;
    const Memory other{memory.file, *std::move(there)};
    absl::StatusOr<std::string> history = CheckOtherRun(other, source, head, note, key);
    if (!history.ok() || size > head.checkpoint.size) return history;
  }
  if (absl::Status status = SaveSeenLog(memory.file, key, note); !status.ok()) return status;
  return absl::StrCat("this head is remembered in ", memory.file);
}

}  // namespace coffer::tools
