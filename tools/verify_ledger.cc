#include "tools/verify_ledger.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "tools/event_ids.h"
#include "tools/log_scan.h"

namespace coffer::tools {

using audit::Leaf;

namespace {

constexpr const char* kNames[] = {"tiles",   "leaves", "recipients", "balances",
                                  "payouts", "events", "claims"};

// What a full read holds in hand.
class LedgerChecks {
 public:
  LedgerChecks(LogSource& source, const audit::Checkpoint& head, const VerifyLogOptions& options,
               Report& report)
      : source_(source),
        head_(head),
        options_(options),
        report_(report),
        ledger_(std::make_unique<LedgerRules>()) {}

  void Run() {
    ScanOptions scan;
    scan.threads = options_.threads;
    scan.on_progress = options_.on_progress;
    scan.on_leaves = [&](uint64_t first, const std::vector<Leaf>& leaves,
                         const std::vector<uint64_t>& event_hashes) {
      for (size_t i = 0; i < leaves.size(); ++i) {
        ledger_->Apply(first + i, leaves[i]);
        if (event_hashes[i] != 0) ids_.Add(event_hashes[i]);
      }
    };
    result_ = ScanLog(source_, head_, scan);
    if (head_.size == 0) result_.leaves.Add("the log is empty: it has no genesis");
    Add("tiles", result_.tiles,
        absl::StrCat("all tiles and bundles are there, and the ", head_.size,
                     " leaves in them make up the root that was signed"));
    Add("leaves", result_.leaves,
        absl::StrCat("every leaf is canonical and in its place, from the genesis on"));
    const LedgerTotals& totals = ledger_->totals();
    Rule("recipients", ledger_->recipients(),
         absl::StrCat(ledger_->accounts().size(),
                      " accounts, each opened once; no recipient ever changed (I1)"));
    Rule("balances", ledger_->balances(), BalancesSentence(totals));
    Rule("payouts", ledger_->payouts(),
         absl::StrCat(ledger_->items(),
                      " payout items: each reserved before it was paid, and none paid twice (I3)"));
    CheckEvents();
  }

  void CheckClaims(const absl::StatusOr<std::vector<Claim>>& claims) {
    if (!claims.ok()) {
      return report_.Add(
          "claims", Outcome::kUnknown,
          absl::StrCat("the claimed balances cannot be had: ", claims.status().message()));
    }
    const bool one = options_.account.has_value();
    if (!one && !options_.claims) {
      return report_.Add("claims", Outcome::kSkipped,
                         "not asked for: --account ID --balance WEI, --accounts FILE or --api URL");
    }
    const bool claimed = options_.claims || (one && Claims(*options_.account));
    if (!Whole()) return report_.Add("claims", Outcome::kUnknown, NotWhole());
    Problems wrong;
    if (one) Compare(*options_.account, wrong);
    absl::flat_hash_set<std::string> named;
    for (const Claim& claim : *claims) {
      Compare(claim, wrong);
      named.insert(claim.account);
    }
    if (options_.claims) {
      for (const AccountState& account : ledger_->accounts()) {
        if (!named.contains(account.id)) {
          wrong.Add(absl::StrCat("the account ", account.id, " is in the log with ", Owed(account),
                                 " wei owed and is not among the claimed ones"));
        }
      }
    }
    std::string fine = options_.claims ? absl::StrCat("all ", claims->size(),
                                                      " claimed accounts are to the wei "
                                                      "what the leaves add up to")
                                       : std::string();
    if (one && wrong.empty()) {
      if (!fine.empty()) fine += "; ";
      absl::StrAppend(&fine, AccountSentence(*ledger_->Find(options_.account->account)));
    }
    // What is only shown was compared with nothing.
    if (!claimed && wrong.empty()) return report_.Add("claims", Outcome::kSkipped, fine);
    Add("claims", wrong, fine);
  }

  std::unique_ptr<LedgerRules> TakeLedger() { return std::move(ledger_); }

 private:
  static std::string Owed(const AccountState& account) {
    return WeiText(account.available + account.reserved);
  }
  static bool Claims(const Claim& claim) {
    return claim.owed || claim.available || claim.reserved || claim.paid;
  }
  static std::string AccountSentence(const AccountState& account) {
    return absl::StrCat("by the leaves the account ", account.id, " is owed ", Owed(account),
                        " wei: ", WeiText(account.available), " available, ",
                        WeiText(account.reserved), " reserved; ", WeiText(account.paid), " paid");
  }

  std::string BalancesSentence(const LedgerTotals& totals) const {
    absl::uint128 available = 0, reserved = 0, paid = 0;
    for (const AccountState& account : ledger_->accounts()) {
      available += account.available;
      reserved += account.reserved;
      paid += account.paid;
    }
    std::string before;
    if (totals.carried_over != 0) {
      before = absl::StrCat(WeiText(totals.carried_over), " from before the log, ");
    }
    return absl::StrCat("every leaf follows from the one before of its account (I2): ", before,
                        WeiText(totals.credited), " credited, ", WeiText(totals.adjusted_up),
                        " adjusted up, ", WeiText(totals.adjusted_down),
                        " adjusted down = ", WeiText(available), " available, ", WeiText(reserved),
                        " reserved, ", WeiText(paid), " paid, in wei");
  }

  bool Whole() const { return result_.source.ok() && result_.read == head_.size; }
  std::string NotWhole() const {
    if (!result_.source.ok()) {
      return absl::StrCat("the log could not be read to its end: ", result_.source.message());
    }
    return absl::StrCat("not checked beyond leaf ", result_.read,
                        ": from there on leaves are missing or were altered");
  }

  void Add(const char* name, const Problems& problems, std::string fine) {
    if (!problems.empty()) return report_.Add(name, Outcome::kFailed, problems.Sentence());
    if (!result_.source.ok()) return report_.Add(name, Outcome::kUnknown, NotWhole());
    report_.Add(name, Outcome::kPassed, std::move(fine));
  }
  // What can only be said of a log that was read to its end.
  void Rule(const char* name, const Problems& problems, std::string fine) {
    if (problems.empty() && !Whole()) return report_.Add(name, Outcome::kUnknown, NotWhole());
    Add(name, problems, std::move(fine));
  }

  void CheckEvents() {
    const absl::flat_hash_set<uint64_t> suspects = ids_.Suspects(options_.threads);
    Problems twice;
    if (!suspects.empty()) FindTwice(suspects, twice);
    Rule("events", twice,
         absl::StrCat(ids_.size(), " event ids, none of them twice (I7)",
                      suspects.empty() ? "" : "; those with equal hashes were compared in full"));
  }

  // Reads the leaves again and compares the ids themselves.
  void FindTwice(const absl::flat_hash_set<uint64_t>& suspects, Problems& twice) {
    absl::flat_hash_map<std::string, uint64_t> first_with;
    ScanOptions scan;
    scan.threads = options_.threads;
    scan.on_leaves = [&](uint64_t first, const std::vector<Leaf>& leaves,
                         const std::vector<uint64_t>& event_hashes) {
      for (size_t i = 0; i < leaves.size(); ++i) {
        if (!suspects.contains(event_hashes[i])) continue;
        // As many different ids with one hash do not come by chance.
        if (first_with.size() > 4 * EventIds::kMaxSuspects) {
          return twice.Add(
              "thousands of event ids were made to have equal hashes, so that nobody "
              "can tell them apart");
        }
        const auto [found, fresh] = first_with.try_emplace(leaves[i].event_id, first + i);
        if (!fresh) {
          twice.Add(absl::StrCat("leaf ", found->second, " and leaf ", first + i,
                                 " are the same event, ", leaves[i].event_id,
                                 ": it was applied twice"));
        }
      }
    };
    const ScanResult again = ScanLog(source_, head_, scan);
    if (result_.source.ok()) result_.source = again.source;
  }

  void Compare(const Claim& claim, Problems& wrong) {
    const AccountState* account = ledger_->Find(claim.account);
    if (account == nullptr) {
      wrong.Add(absl::StrCat("the account ", claim.account, " is in no leaf of the log"));
      return;
    }
    const auto compare = [&](const char* what, const std::optional<absl::uint128>& said,
                             absl::uint128 is) {
      if (!said || *said == is) return;
      wrong.Add(absl::StrCat("the account ", claim.account, " is claimed to have ", WeiText(*said),
                             " wei ", what, ", but the leaves add up to ", WeiText(is)));
    };
    compare("owed", claim.owed, account->available + account->reserved);
    compare("available", claim.available, account->available);
    compare("reserved", claim.reserved, account->reserved);
    compare("paid", claim.paid, account->paid);
  }

  LogSource& source_;
  const audit::Checkpoint& head_;
  const VerifyLogOptions& options_;
  Report& report_;
  std::unique_ptr<LedgerRules> ledger_;
  EventIds ids_;
  ScanResult result_;
};

}  // namespace

std::unique_ptr<LedgerRules> CheckLedger(LogSource& source, const audit::Checkpoint& head,
                                         const VerifyLogOptions& options,
                                         const absl::StatusOr<std::vector<Claim>>& claims,
                                         Report& report) {
  LedgerChecks checks(source, head, options, report);
  checks.Run();
  checks.CheckClaims(claims);
  return checks.TakeLedger();
}

void AddLedgerChecks(Outcome outcome, const std::string& sentence, Report& report) {
  for (const char* name : kNames) report.Add(name, outcome, sentence);
}

}  // namespace coffer::tools
