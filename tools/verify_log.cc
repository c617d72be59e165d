#include "tools/verify_log.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"
#include "tools/log_block.h"
#include "tools/verified_tiles.h"
#include "tools/verify_ledger.h"

namespace coffer::tools {

using audit::Checkpoint;
using audit::SignedCheckpoint;

namespace {

Outcome OutcomeOf(const absl::Status& status) {
  if (status.ok()) return Outcome::kPassed;
  const bool wrong = IsLogsFault(status) || absl::IsFailedPrecondition(status) ||
                     absl::IsPermissionDenied(status) || absl::IsInvalidArgument(status);
  return wrong ? Outcome::kFailed : Outcome::kUnknown;
}

class Verifier {
 public:
  Verifier(LogSource& source, const VerifyLogOptions& options)
      : source_(source), options_(options) {}

  LogVerdict Run() {
    if (options_.claims) claims_ = options_.claims();
    // Before the checkpoint: what is published later must not make an honest log look cut back.
    if (options_.registry) anchored_ = options_.registry();
    if (ReadCheckpoint()) {
      CheckTrust();
      tiles_.emplace(&source_, head_.checkpoint.size, head_.checkpoint.root);
      edge_ = tiles_->LoadEdge();
      Add("root", edge_,
          absl::StrCat("the last tiles of each level make up the root that was signed for size ",
                       head_.checkpoint.size));
      CheckSeen();
      if (options_.full) {
        verdict_.ledger =
            CheckLedger(source_, head_.checkpoint, options_, claims_, verdict_.report);
      } else {
        AddLedgerChecks(Outcome::kSkipped, "not asked for: --full reads every leaf", report());
      }
      CheckRegistry();
    } else {
      const std::string why = "not checked: there is no checkpoint to check";
      for (const char* name : {"signature", "address", "witnesses", "root", "consistency"}) {
        report().Add(name, Outcome::kUnknown, why);
      }
      AddLedgerChecks(Outcome::kUnknown, why, report());
      report().Add("registry", options_.registry ? Outcome::kUnknown : Outcome::kSkipped,
                   options_.registry ? why : "not asked for: --rpc URL --registry ADDRESS");
    }
    report().checks.push_back(options_.attested.Judge(verdict_.key));
    Remember();
    return std::move(verdict_);
  }

 private:
  Report& report() { return verdict_.report; }

  void Add(const char* name, const absl::Status& status, std::string fine) {
    report().Add(name, OutcomeOf(status),
                 status.ok() ? std::move(fine) : std::string(status.message()));
  }

  bool ReadCheckpoint() {
    absl::StatusOr<std::string> note = source_.Read("checkpoint", audit::kMaxNoteBytes);
    if (!note.ok()) {
      Add("checkpoint", note.status(), "");
      return false;
    }
    absl::StatusOr<SignedCheckpoint> head = audit::ParseCheckpoint(*note);
    if (!head.ok()) {
      report().Add("checkpoint", Outcome::kFailed,
                   absl::StrCat("the checkpoint is none: ", head.status().message()));
      return false;
    }
    if (head->checkpoint.size > audit::kMaxTreeSize) {
      report().Add("checkpoint", Outcome::kFailed,
                   absl::StrCat("the checkpoint is of a log of ", head->checkpoint.size,
                                " leaves, which is more than a log can have"));
      return false;
    }
    note_ = *std::move(note);
    head_ = *std::move(head);
    verdict_.head = head_.checkpoint;
    report().Add("checkpoint", Outcome::kPassed,
                 absl::StrCat("well-formed: the log ", head_.checkpoint.origin, ", size ",
                              head_.checkpoint.size, ", root ", head_.checkpoint.root.ToHex()));
    return true;
  }

  void CheckTrust() {
    memory_ = Recall(options_.trust, head_.checkpoint.origin);
    const absl::StatusOr<TrustedKey> key =
        CheckSignature(options_.trust, head_, memory_.ok() ? &*memory_ : nullptr);
    Add("signature", key.status(), key.ok() ? key->sentence : "");
    if (key.ok()) {
      key_ = key->key;
      verdict_.key = key_->ToString();
    }
    CheckAddress();
    if (!options_.trust.policy) {
      return report().Add("witnesses", Outcome::kSkipped,
                          "not asked for: --policy FILE says which witnesses must have cosigned");
    }
    audit::QuorumVerdict quorum = options_.trust.policy->Judge(head_);
    report().Add("witnesses", quorum.satisfied ? Outcome::kPassed : Outcome::kFailed,
                 std::move(quorum.sentence));
  }

  void CheckAddress() {
    const std::string& origin = head_.checkpoint.origin;
    if (!options_.address) {
      return report().Add("address", Outcome::kSkipped,
                          absl::StrCat("not asked for: --address 0x... compares the signing "
                                       "address that the log's name, ",
                                       origin, ", has"));
    }
    const std::string wanted = absl::StrCat("coffer/", options_.address->ToHex());
    if (origin == wanted) {
      return report().Add(
          "address", Outcome::kPassed,
          absl::StrCat("the log is that of ", ethereum::ToChecksum(*options_.address)));
    }
    report().Add("address", Outcome::kFailed,
                 absl::StrCat("the log calls itself ", origin, ", not ", wanted,
                              ": it is another signer's"));
  }

  std::string OlderCopy(const Checkpoint& before) const {
    return absl::StrCat("this copy, of ", head_.checkpoint.size,
                        " leaves, is older than the head of ", before.size,
                        " that was seen before: an older copy cannot show that the one "
                        "continues the other; bring it up to date");
  }

  void CheckSeen() {
    if (!memory_.ok())
      return report().Add("consistency", Outcome::kUnknown,
                          std::string(memory_.status().message()));
    if (!memory_->seen) {
      return report().Add("consistency", Outcome::kSkipped,
                          "nothing was seen of this log before: the next verification will be "
                          "held against this one");
    }
    if (!key_) {
      return report().Add("consistency", Outcome::kUnknown,
                          "not checked: no trusted key signed the head that is to be compared");
    }
    const Checkpoint& before = memory_->seen->checkpoint;
    if (options_.copy && before.origin == head_.checkpoint.origin &&
        head_.checkpoint.size < before.size) {
      return report().Add("consistency", Outcome::kUnknown, OlderCopy(before));
    }
    const bool needs_tiles =
        before.origin == head_.checkpoint.origin && before.size < head_.checkpoint.size;
    if (needs_tiles && !edge_.ok()) {
      return report().Add(
          "consistency", Outcome::kUnknown,
          "not checked: the tiles that a proof is made of are not the signed tree's");
    }
    const absl::StatusOr<std::string> history =
        CheckHistory(*memory_, *tiles_, head_, note_, *key_);
    Add("consistency", history.status(), history.ok() ? *history : "");
  }

  void CheckRegistry() {
    if (!options_.registry) {
      return report().Add("registry", Outcome::kSkipped,
                          "not asked for: --rpc URL --registry ADDRESS");
    }
    const absl::StatusOr<AnchoredHead>& anchored = anchored_;
    const Checkpoint& head = head_.checkpoint;
    if (!anchored.ok()) {
      return report().Add(
          "registry", Outcome::kUnknown,
          absl::StrCat("the registry could not be read: ", anchored.status().message()));
    }
    if (anchored->equivocated) {
      return report().Add("registry", Outcome::kFailed,
                          "two histories: the registry was shown two roots for one size, both "
                          "signed by the audit address");
    }
    if (anchored->size == 0) {
      return report().Add("registry", Outcome::kUnknown,
                          "the registry has no head of this log: nobody has published one");
    }
    if (anchored->size > head.size) return CheckRegistryAhead(*anchored);
    if (!edge_.ok() && anchored->size < head.size) {
      return report().Add(
          "registry", Outcome::kUnknown,
          "not checked: the tiles that a proof is made of are not the signed tree's");
    }
    const absl::Status prefix = CheckPrefix(*tiles_, head, anchored->size, anchored->root);
    if (absl::IsFailedPrecondition(prefix)) {
      return report().Add(
          "registry", Outcome::kFailed,
          absl::StrCat("two histories: the first ", anchored->size,
                       " leaves of this log are not those of the head on the chain, "
                       "whose root is ",
                       anchored->root.ToHex()));
    }
    Add("registry", prefix,
        absl::StrCat("the log begins with the ", anchored->size,
                     " leaves of the head on the chain"));
  }

  // A head may be on the chain before the log publishes it.
  void CheckRegistryAhead(const AnchoredHead& anchored) {
    const Checkpoint& head = head_.checkpoint;
    const Checkpoint later{head.origin, anchored.size, anchored.root, {}};
    if (absl::IsFailedPrecondition(CheckContinued(source_, head, later))) {
      return report().Add(
          "registry", Outcome::kFailed,
          absl::StrCat("two histories: the first ", head.size, " leaves of the head of ",
                       anchored.size, " on the chain are not those of this log"));
    }
    report().Add("registry", Outcome::kUnknown,
                 absl::StrCat("the chain has a head of ", anchored.size,
                              " leaves, but this log shows only ", head.size,
                              ": it is not published yet, or an old head is shown, or the log was "
                              "cut back; look again in a while"));
  }

  void Remember() {
    if (report().ExitCode() != kVerified || !key_ || !memory_.ok()) {
      return report().Add("state", Outcome::kSkipped,
                          "this head is not remembered: not everything could be verified");
    }
    const absl::StatusOr<std::string> saved = RememberHead(*memory_, source_, head_, note_, *key_);
    Add("state", saved.status(), saved.ok() ? *saved : "");
  }

  LogSource& source_;
  const VerifyLogOptions& options_;
  LogVerdict verdict_;
  std::string note_;
  SignedCheckpoint head_;
  absl::StatusOr<Memory> memory_ = absl::UnavailableError("not read yet");
  std::optional<audit::VerifierKey> key_;
  std::optional<VerifiedTiles> tiles_;
  absl::Status edge_;
  absl::StatusOr<AnchoredHead> anchored_ = AnchoredHead{};
  absl::StatusOr<std::vector<Claim>> claims_ = std::vector<Claim>();
};

}  // namespace

LogVerdict VerifyLog(LogSource& source, const VerifyLogOptions& options) {
  return Verifier(source, options).Run();
}

}  // namespace coffer::tools
