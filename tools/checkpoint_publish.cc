#include "tools/checkpoint_publish.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ledger/wei.h"
#include "tools/host_commands.h"

namespace coffer::tools {

Publisher::Publisher(BlockingChain* chain, HttpFetcher* host, const ethereum::PrivateKey* key,
                     PublishOptions options)
    : chain_(chain),
      host_(host),
      options_(std::move(options)),
      log_(host),
      sender_(chain, key, options_.sender) {}

absl::Status Publisher::Pin(const ethereum::Address& audit_address) {
  if (!options_.audit_address) options_.audit_address = audit_address;
  if (*options_.audit_address == audit_address) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(
      "the host shows the log of audit address ", ethereum::ToChecksum(audit_address), ", not of ",
      ethereum::ToChecksum(*options_.audit_address), ": is it another enclave?"));
}

absl::StatusOr<audit::Proof> Publisher::ProofFor(const RegistryHead& head,
                                                 const SignedStatement& signed_one,
                                                 bool* evidence) {
  const audit::ChainStatement& next = signed_one.statement;
  if (next.size > head.size) {
    return FetchConsistency(log_, head.size, head.root, next, options_.patience,
                            [&](absl::Duration pause) { return chain_->Sleep(pause); });
  }
  // The registry was read before the host was asked, so an honest log is not behind it.
  const absl::StatusOr<audit::Hash> accepted =
      next.size == head.size
          ? head.root
          : ReadRegistryRootOn(*chain_, options_.registry, next.audit_address, next.size);
  if (!accepted.ok()) return accepted.status();
  *evidence = !accepted->IsZero() && *accepted != next.root;
  if (*evidence) return audit::Proof();
  return absl::DataLossError(absl::StrCat(
      "the host's log has size ", next.size, " and the registry accepted ", head.size,
      " before: the log went back, so leaves that were published are missing from it"));
}

absl::StatusOr<PublishResult> Publisher::Once() {
  // Two looks when the log is not known yet: whose head the registry is to be asked for, only the
  // host knows.
  const uint64_t chain_id = options_.sender.chain_id;
  if (!options_.audit_address) {
    const absl::StatusOr<SignedStatement> first =
        FetchStatement(*host_, chain_id, options_.registry);
    if (!first.ok()) return first.status();
    if (absl::Status pinned = Pin(first->statement.audit_address); !pinned.ok()) return pinned;
  }
  const absl::StatusOr<RegistryHead> head =
      ReadRegistryOn(*chain_, options_.registry, *options_.audit_address);
  if (!head.ok()) return head.status();
  if (head->chain_id != chain_id) {
    return absl::FailedPreconditionError(
        absl::StrCat("the node is on chain ", head->chain_id, " now, not on ", chain_id));
  }
  const absl::StatusOr<SignedStatement> signed_one =
      FetchStatement(*host_, chain_id, options_.registry);
  if (!signed_one.ok()) return signed_one.status();
  if (absl::Status pinned = Pin(signed_one->statement.audit_address); !pinned.ok()) return pinned;

  PublishResult result;
  result.statement = signed_one->statement;
  result.registry_size = head->size;
  result.equivocated = head->equivocated;
  if (result.statement.size == 0) return result;
  if (result.statement.size == head->size && result.statement.root == head->root) return result;
  bool evidence = false;
  const absl::StatusOr<audit::Proof> proof = ProofFor(*head, *signed_one, &evidence);
  if (!proof.ok()) return proof.status();
  result.proof_hashes = proof->size();
  if (evidence && head->equivocated) {
    return absl::DataLossError(absl::StrCat(
        "the host's log has another root than the registry accepted for size ",
        result.statement.size, ": two histories were signed, and the registry has the proof"));
  }
  return Submit(std::move(result), *signed_one, *proof, evidence);
}

absl::StatusOr<PublishResult> Publisher::Submit(PublishResult result,
                                                const SignedStatement& signed_one,
                                                const audit::Proof& proof, bool evidence) {
  using Kind = PublishResult::Kind;
  absl::StatusOr<CallPlan> plan = sender_.Plan(
      options_.registry, SubmitCall(signed_one.statement, signed_one.signature, proof));
  if (!plan.ok()) return plan.status();
  result.plan = *plan;
  result.kind = Kind::kWouldSubmit;
  result.equivocated |= evidence;
  if (options_.dry_run) return result;
  absl::StatusOr<host::Receipt> receipt = sender_.Send(*std::move(plan));
  if (!receipt.ok()) return receipt.status();
  if (!receipt->succeeded) {
    return absl::AbortedError(absl::StrCat("transaction ", receipt->tx_hash.ToHex(),
                                           " reverted, for ", receipt->gas_used,
                                           " gas: somebody else submitted a head in between"));
  }
  result.kind = evidence ? Kind::kEvidence : Kind::kSubmitted;
  result.receipt = *std::move(receipt);
  return result;
}

std::string Describe(const PublishResult& result) {
  using Kind = PublishResult::Kind;
  const std::string what =
      absl::StrCat("size ", result.statement.size, ", root ", result.statement.root.ToHex());
  std::string text;
  switch (result.kind) {
    case Kind::kNothingToDo:
      text = absl::StrCat("nothing to do: the registry has ", what);
      break;
    case Kind::kWouldSubmit:
      text = absl::StrCat(
          "would submit ", what, " after size ", result.registry_size, " with ",
          result.proof_hashes, " proof hashes, at most ", result.plan.gas_limit, " gas and ",
          EthText(ledger::ToDecimal(result.plan.fees.max_fee * result.plan.gas_limit)), " ETH");
      break;
    case Kind::kSubmitted:
    case Kind::kEvidence: {
      const host::Receipt& receipt = *result.receipt;
      const ethereum::U256 fee = receipt.effective_gas_price * receipt.gas_used;
      text = absl::StrCat(
          result.kind == Kind::kSubmitted
              ? absl::StrCat("submitted ", what, " after size ", result.registry_size)
              : absl::StrCat(
                    "EQUIVOCATION: the log signed another root than the registry accepted, ", what,
                    "; the registry has the proof now"),
          ": tx ", receipt.tx_hash.ToHex(), ", block ", receipt.block_number, ", gas ",
          receipt.gas_used, ", fee ", EthText(ethereum::ToDecimal(fee)), " ETH");
      break;
    }
  }
  if (result.equivocated && result.kind != Kind::kEvidence) {
    text += "; ALARM: the registry has proof that this log signed two histories";
  }
  return text;
}

}  // namespace coffer::tools
