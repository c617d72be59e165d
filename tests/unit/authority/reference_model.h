// What the books must say, by a second implementation that shares no code with ledger/ and
// payouts/: plain maps of unbounded integers, told only what was asked for and what the chain paid.
#ifndef COFFER_TESTS_UNIT_AUTHORITY_REFERENCE_MODEL_H_
#define COFFER_TESTS_UNIT_AUTHORITY_REFERENCE_MODEL_H_

#include <boost/multiprecision/cpp_int.hpp>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace coffer::test {

class ReferenceModel {
 public:
  using Int = boost::multiprecision::cpp_int;
  struct Account {
    Int in = 0;    // credits and corrections, with their sign
    Int held = 0;  // in open items
    Int paid = 0;
    Int available() const { return in - held - paid; }
  };
  struct Item {
    std::string account;
    Int amount = 0;
    enum { kOpen, kPaid, kVoid } state = kOpen;
    Int paid = 0;
    std::string by;  // transaction
  };
  using Ref = std::pair<uint64_t, size_t>;  // payout, item

  // True when the event is to be taken: new, above zero, and covered.
  bool Event(const std::string& id, const std::string& account, const Int& signed_amount) {
    if (signed_amount == 0 || ids.contains(id)) return false;
    if (signed_amount < 0 &&
        (!accounts.contains(account) || accounts[account].available() + signed_amount < 0)) {
      return false;
    }
    ids.insert(id);
    accounts[account].in += signed_amount;
    return true;
  }
  bool CanReserve(const std::vector<std::pair<std::string, Int>>& wanted) const {
    std::set<std::string> seen;
    for (const auto& [account, amount] : wanted) {
      const auto found = accounts.find(account);
      if (found == accounts.end() || !seen.insert(account).second) return false;
      if (amount <= 0 || found->second.available() < amount) return false;
    }
    return !wanted.empty();
  }
  void Reserve(uint64_t payout, const std::vector<std::pair<std::string, Int>>& wanted) {
    for (const auto& [account, amount] : wanted) {
      accounts[account].held += amount;
      items[{payout, items_of(payout)}] = Item{account, amount, Item::kOpen, 0, ""};
    }
  }
  size_t items_of(uint64_t payout) const {
    size_t count = 0;
    while (items.contains({payout, count})) ++count;
    return count;
  }
  bool CanPay(const std::vector<std::pair<Ref, Int>>& paid, const std::string& tx) const {
    std::set<Ref> seen;
    for (const auto& [ref, amount] : paid) {
      const Item& item = items.at(ref);
      if (!seen.insert(ref).second || amount > item.amount) return false;
      if (item.state != Item::kOpen && !(item.state == Item::kPaid && item.by == tx)) return false;
    }
    return true;
  }
  void Pay(const std::vector<std::pair<Ref, Int>>& paid, const std::string& tx) {
    for (const auto& [ref, amount] : paid) {
      Item& item = items.at(ref);
      if (item.state != Item::kOpen) continue;
      item.state = Item::kPaid;
      item.paid = amount;
      item.by = tx;
      accounts[item.account].held -= item.amount;
      accounts[item.account].paid += amount;
    }
  }
  bool CanReorg(const std::string& tx) const {
    std::map<std::string, Int> short_of;
    for (const auto& [ref, item] : items) {
      if (item.state == Item::kPaid && item.by == tx)
        short_of[item.account] += item.amount - item.paid;
    }
    for (const auto& [account, sum] : short_of) {
      if (accounts.at(account).available() < sum) return false;
    }
    return true;
  }
  void Reorg(const std::string& tx) {
    for (auto& [ref, item] : items) {
      if (item.state != Item::kPaid || item.by != tx) continue;
      accounts[item.account].held += item.amount;
      accounts[item.account].paid -= item.paid;
      item.state = Item::kOpen;
      item.paid = 0;
      item.by.clear();
    }
  }
  void VoidOpen(uint64_t payout) {
    for (size_t i = 0; i < items_of(payout); ++i) {
      Item& item = items.at({payout, i});
      if (item.state != Item::kOpen) continue;
      item.state = Item::kVoid;
      accounts[item.account].held -= item.amount;
    }
  }

  std::map<std::string, Account> accounts;
  std::map<Ref, Item> items;
  std::set<std::string> ids;
};

}  // namespace coffer::test

#endif  // COFFER_TESTS_UNIT_AUTHORITY_REFERENCE_MODEL_H_
