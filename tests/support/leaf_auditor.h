// Reads the transparency log as an outsider does: the leaves alone, none of the enclave's code but
// the leaf's format. What it adds up to must be the ledger, to the wei.
#ifndef COFFER_TESTS_SUPPORT_LEAF_AUDITOR_H_
#define COFFER_TESTS_SUPPORT_LEAF_AUDITOR_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/tree.h"

namespace coffer::test {

class LeafAuditor {
 public:
  struct Account {
    ethereum::Address recipient;
    absl::int128 available = 0;
    absl::int128 reserved = 0;
    absl::int128 paid = 0;
  };

  // A bundle of leaves, as a record's public part has them. Empty, or a sentence about the first
  // rule that is broken.
  std::string AddBundle(std::string_view bundle) {
    while (!bundle.empty()) {
      const size_t length =
          size_t{static_cast<uint8_t>(bundle[0])} << 8 | static_cast<uint8_t>(bundle[1]);
      if (std::string wrong = Add(bundle.substr(2, length)); !wrong.empty()) return wrong;
      bundle.remove_prefix(2 + length);
    }
    return {};
  }

  std::string Add(std::string_view bytes) {
    const absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(bytes);
    if (!leaf.ok()) return std::string(leaf.status().message());
    if (leaf->sequence != tree_.size()) {
      return absl::StrCat("leaf ", leaf->sequence, " is at index ", tree_.size());
    }
    tree_.Append(audit::LeafHash(bytes));
    ++kinds_[leaf->kind];
    if (!leaf->event_id.empty() && !events_.insert(leaf->event_id).second) {
      return absl::StrCat("I7: event ", leaf->event_id, " is there twice");
    }
    return leaf->balances.has_value() ? Move(*leaf) : Fixed(*leaf);
  }

  const std::map<std::string, Account>& accounts() const { return accounts_; }
  const audit::Tree& tree() const { return tree_; }
  uint64_t count(audit::LeafKind kind) const {
    const auto found = kinds_.find(kind);
    return found == kinds_.end() ? 0 : found->second;
  }

 private:
  std::string Fixed(const audit::Leaf& leaf) {
    if (leaf.kind != audit::LeafKind::kAccountOpened) return {};
    if (!accounts_.try_emplace(leaf.account, Account{*leaf.recipient, 0, 0, 0}).second) {
      return absl::StrCat("account ", leaf.account, " is opened twice");
    }
    return {};
  }

  std::string Move(const audit::Leaf& leaf) {
    const auto found = accounts_.find(leaf.account);
    if (found == accounts_.end()) return absl::StrCat("account ", leaf.account, " was not opened");
    Account& account = found->second;
    if (account.recipient != *leaf.recipient) return absl::StrCat("I1: ", leaf.account);
    const absl::int128 delta = leaf.balances->delta;
    const absl::int128 amount = static_cast<absl::int128>(leaf.amount.value_or(0));
    account.available += delta;
    switch (leaf.kind) {
      case audit::LeafKind::kPayoutReserved:
      case audit::LeafKind::kItemVoided:
        account.reserved -= delta;
        break;
      case audit::LeafKind::kItemPaid:
        account.reserved -= delta + amount;
        account.paid += amount;
        break;
      case audit::LeafKind::kPayoutReverted:
        account.reserved -= delta - amount;
        account.paid -= amount;
        break;
      case audit::LeafKind::kCarriedOver:
        account.reserved = static_cast<absl::int128>(leaf.balances->reserved);
        account.paid = static_cast<absl::int128>(leaf.balances->paid);
        break;
      default:
        break;
    }
    const bool agrees = account.available == static_cast<absl::int128>(leaf.balances->available) &&
                        account.reserved == static_cast<absl::int128>(leaf.balances->reserved) &&
                        account.paid == static_cast<absl::int128>(leaf.balances->paid);
    if (agrees) return {};
    return absl::StrCat("leaf ", leaf.sequence, " (", std::string(audit::KindName(leaf.kind)),
                        ") does not follow from the leaves before it");
  }

  audit::Tree tree_;
  std::map<std::string, Account> accounts_;
  std::set<std::string> events_;
  std::map<audit::LeafKind, uint64_t> kinds_;
};

// Whether the leaves add up to these accounts. Empty, or the first difference.
template <typename Ledger>
std::string CompareWithLedger(const LeafAuditor& auditor, const Ledger& ledger) {
  if (auditor.accounts().size() != ledger.size()) {
    return absl::StrCat("the log has ", auditor.accounts().size(), " accounts, the ledger ",
                        ledger.size());
  }
  for (uint64_t i = 0; i < ledger.size(); ++i) {
    const auto& account = ledger.at(i);
    const auto found = auditor.accounts().find(std::string(account.id()));
    if (found == auditor.accounts().end())
      return absl::StrCat(std::string(account.id()), " is not in the log");
    const auto same = [](absl::int128 a, absl::uint128 b) { return absl::uint128(a) == b; };
    if (found->second.recipient != account.recipient ||
        !same(found->second.available, account.balances.available) ||
        !same(found->second.reserved, account.balances.reserved) ||
        !same(found->second.paid, account.balances.paid)) {
      return absl::StrCat("the leaves of ", std::string(account.id()),
                          " do not add up to its balances");
    }
  }
  return {};
}

}  // namespace coffer::test

#endif  // COFFER_TESTS_SUPPORT_LEAF_AUDITOR_H_
