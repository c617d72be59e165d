// `coffer verify receipt`: offline, but for what this machine remembers of the log's key.
#include <CLI/CLI.hpp>
#include <iostream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/receipt.h"
#include "host_proxy/json_text.h"
#include "runtime/os_clock.h"
#include "tools/leaf_words.h"
#include "tools/small_files.h"
#include "tools/verify_command.h"
#include "tools/verify_report.h"

namespace coffer::tools {
namespace {

// A policy that asks for this log's signature and, with no other given, for no witness.
absl::StatusOr<audit::QuorumPolicy> PolicyOf(const audit::VerifierKey& key) {
  return audit::QuorumPolicy::Parse(absl::StrCat("log ", key.ToString(), "\nquorum none\n"));
}

absl::StatusOr<audit::QuorumPolicy> PolicyFor(const TrustOptions& trust,
                                              const audit::Receipt& receipt) {
  if (trust.policy && trust.key) {
    return absl::InvalidArgumentError("give --policy or --key, not both: the policy has its keys");
  }
  if (trust.policy) return *trust.policy;
  if (trust.key) return PolicyOf(*trust.key);
  const absl::StatusOr<audit::SignedCheckpoint> head = audit::ParseCheckpoint(receipt.checkpoint);
  if (!head.ok())
    return PolicyOf(*audit::VerifierKey::Create("none", audit::KeyType::kEd25519, {}));
  const absl::StatusOr<Memory> memory = Recall(trust, head->checkpoint.origin);
  if (!memory.ok()) return memory.status();
  if (memory->seen) return PolicyOf(memory->seen->key);
  return absl::InvalidArgumentError(
      absl::StrCat("nobody said which key is that of the log ", head->checkpoint.origin,
                   ", and none is remembered: give --policy or --key"));
}

// The verifier key that signed the receipt's checkpoint, of those that the policy names; or empty.
std::string SignerOf(const audit::Receipt& receipt, const audit::QuorumPolicy& policy) {
  const absl::StatusOr<audit::SignedCheckpoint> head = audit::ParseCheckpoint(receipt.checkpoint);
  if (!head.ok()) return "";
  for (const audit::PolicyLog& log : policy.logs()) {
    if (log.key.name() != head->checkpoint.origin) continue;
    if (audit::VerifyNote(head->note, absl::MakeConstSpan(&log.key, 1)).ok()) {
      return log.key.ToString();
    }
  }
  return "";
}

Report CheckReceipt(const audit::ReceiptReport& found, const std::string& account,
                    bool has_witnesses, const Check& attestation) {
  Report report;
  for (const audit::ReceiptCheck& check : found.checks) {
    const bool asked = check.name != "witnesses" || has_witnesses || !check.passed;
    report.Add(check.name,
               !asked         ? Outcome::kSkipped
               : check.passed ? Outcome::kPassed
                              : Outcome::kFailed,
               asked ? check.sentence : "not asked for: no witness is named (--policy FILE)");
  }
  if (!account.empty()) {
    const bool same = found.leaf && found.leaf->account == account;
    report.Add("account", same ? Outcome::kPassed : Outcome::kFailed,
               same ? absl::StrCat("the leaf is of the account ", account)
                    : absl::StrCat("the leaf is not of the account ", account));
  }
  report.checks.push_back(attestation);
  return report;
}

}  // namespace

CLI::App* AddVerifyReceipt(CLI::App* verify, VerifyArguments& arguments) {
  CLI::App* receipt = verify->add_subcommand(
      "receipt", "That a receipt's leaf is in the log that was signed; offline");
  receipt->add_option("file", arguments.receipt_file, "The receipt (.tlog-proof)")->required();
  AddTrustOptions(receipt, arguments.access);
  receipt->add_option("--account", arguments.account, "The account that the leaf must be of");
  AddAttestedLogOptions(receipt, arguments.attested);
  receipt->add_flag("--json", arguments.json, "One JSON object instead of lines");
  receipt->footer(
      "Ends with 0 verified, 1 not verified, 2 could not tell.\n"
      "Example: coffer verify receipt credit.tlog-proof --policy pay.policy --account orch-1");
  return receipt;
}

int RunVerifyReceipt(const VerifyArguments& arguments) {
  const absl::StatusOr<TrustOptions> trust = ReadTrust(arguments.access);
  if (!trust.ok()) return BadUsage(trust.status());
  const absl::StatusOr<std::string> text =
      ReadWholeFile(arguments.receipt_file, audit::kMaxReceiptBytes);
  if (!text.ok()) return BadUsage(text.status());
  const absl::StatusOr<audit::Receipt> receipt = audit::ParseReceipt(*text);
  Report report;
  audit::ReceiptReport found;
  if (!receipt.ok()) {
    report.Add("receipt", Outcome::kFailed, std::string(receipt.status().message()));
  } else {
    const absl::StatusOr<audit::QuorumPolicy> policy = PolicyFor(*trust, *receipt);
    if (!policy.ok()) return BadUsage(policy.status());
    found = audit::VerifyReceipt(*receipt, *policy);
    const absl::StatusOr<AttestedLog> attested =
        AttestedLog::Read(arguments.attested, runtime::OsWallNow());
    if (!attested.ok()) return BadUsage(attested.status());
    report = CheckReceipt(found, arguments.account, !policy->witnesses().empty(),
                          attested->Judge(SignerOf(*receipt, *policy)));
  }
  const bool verified = report.ExitCode() == kVerified;
  if (arguments.json) {
    Json::Value json = ReportJson(report);
    if (found.leaf) json["leaf"] = LeafJson(*found.leaf);
    if (found.checkpoint) {
      json["log"]["origin"] = found.checkpoint->origin;
      json["log"]["size"] = Json::Value(static_cast<Json::UInt64>(found.checkpoint->size));
      json["log"]["root"] = found.checkpoint->root.ToHex();
    }
    if (receipt.ok() && !receipt->attestation.empty()) {
      json["attestation_reference"] = receipt->attestation;
    }
    std::cout << host_proxy::ToText(json);
    return report.ExitCode();
  }
  PrintReport(report, std::cout);
  if (found.leaf) {
    std::cout << (verified ? "" : "what is NOT proven: ") << Printable(LeafWords(*found.leaf))
              << "\n";
  }
  return report.ExitCode();
}

}  // namespace coffer::tools
