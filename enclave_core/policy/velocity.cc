#include "enclave_core/policy/velocity.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/abi.h"
#include "invariant/check.h"

namespace coffer::policy {
namespace {

using ethereum::Address;
using ethereum::Hash;

bool Live(uint64_t time, uint64_t now, uint64_t window) {
  // `now` may be before `time` when a clock was set back; such an entry is as new as can be.
  return now < time || now - time < window;
}

// kMaxWei is every limit's greatest value, so a sum that stays below it never wraps.
Wei Sum(Wei a, Wei b) {
  COFFER_CHECK(a <= ledger::kMaxWei && b <= ledger::kMaxWei, "I10: an amount is beyond 2^127 wei");
  return a + b;
}

std::string RoomAt(uint64_t time, uint64_t now) {
  return absl::StrCat("; there is room again in ", time > now ? time - now : 0,
                      " seconds, at the Unix time ", time);
}

Wei SumOf(const Velocity::Entry& entry, const Address* recipient) {
  Wei sum = 0;
  for (const Spend& spend : entry.spends) {
    if (recipient == nullptr || spend.recipient == *recipient) sum += spend.amount;
  }
  return sum;
}

}  // namespace

Hash TransferKey(uint64_t nonce, const Address& to, Wei amount) {
  std::string packed;
  for (int shift = 56; shift >= 0; shift -= 8) packed.push_back(static_cast<char>(nonce >> shift));
  packed.append(to.view());
  ethereum::abi::AppendUint(ledger::ToU256(amount), packed);
  return ethereum::Keccak256(packed);
}

size_t Velocity::FirstLive(uint64_t now, uint64_t window) const {
  const auto first =
      std::partition_point(entries_.begin(), entries_.end(),
                           [&](const Entry& entry) { return !Live(entry.time, now, window); });
  return static_cast<size_t>(first - entries_.begin());
}

std::vector<Spend> Velocity::New(absl::Span<const Spend> spends, uint64_t now,
                                 uint64_t window) const {
  std::vector<Spend> out;
  absl::flat_hash_set<Hash> seen;
  for (const Spend& spend : spends) {
    const auto counted = keys_.find(spend.key);
    if (counted != keys_.end() && Live(counted->second, now, window)) continue;
    if (seen.insert(spend.key).second) out.push_back(spend);
  }
  return out;
}

absl::Status Velocity::CheckSignatures(const Policy& policy, uint64_t now, size_t spends) const {
  const uint64_t window = policy.velocity_window;
  const size_t first = FirstLive(now, window);
  const size_t live = entries_.size() - first;
  if (live >= policy.velocity_signatures) {
    // Room for one when all but velocity_signatures - 1 have left.
    const size_t last = first + live - policy.velocity_signatures;
    return RefuseByRule(
        "velocity_signatures",
        absl::StrCat("the policy's velocity_signatures is ", policy.velocity_signatures, " in ",
                     window, " seconds, given were ", live,
                     RoomAt(entries_[last].time + window, now)));
  }
  if (spends_ + spends <= kMaxSpends) return absl::OkStatus();
  size_t remembered = spends_;
  for (size_t i = 0; i < first; ++i) remembered -= entries_[i].spends.size();
  if (remembered + spends <= kMaxSpends) return absl::OkStatus();
  size_t last = first;
  while (last < entries_.size()) {
    remembered -= entries_[last].spends.size();
    if (remembered + spends <= kMaxSpends || last + 1 == entries_.size()) break;
    ++last;
  }
  return RefuseByRule(
      "velocity_signatures",
      absl::StrCat("at most ", kMaxSpends, " payments are remembered in velocity_window (", window,
                   " seconds), asked for were ", spends, " more",
                   last < entries_.size() ? RoomAt(entries_[last].time + window, now) : ""));
}

absl::Status Velocity::CheckSum(const Policy& policy, uint64_t now, const Address* recipient,
                                Wei counted, Wei amount) const {
  const Wei limit = recipient == nullptr ? policy.velocity_total : policy.velocity_recipient;
  if (amount <= limit && counted <= limit - amount) return absl::OkStatus();
  const uint64_t window = policy.velocity_window;
  size_t i = 0;
  // What left the window since the last Add is still in `counted`.
  for (const size_t first = FirstLive(now, window); i < first; ++i) {
    counted -= SumOf(entries_[i], recipient);
  }
  if (amount <= limit && counted <= limit - amount) return absl::OkStatus();

  const absl::string_view rule = recipient == nullptr ? "velocity_total" : "velocity_recipient";
  std::string sentence = absl::StrCat(
      "the policy's ", rule, " is ", ledger::ToDecimal(limit), " wei in ", window, " seconds, ",
      ledger::ToDecimal(counted), " are counted",
      recipient == nullptr ? "" : absl::StrCat(" for ", ethereum::ToChecksum(*recipient)),
      ", asked for were ", ledger::ToDecimal(amount), " more");
  if (amount > limit) {
    return RefuseByRule(rule, absl::StrCat(sentence, ", which is above the limit by itself"));
  }
  for (; counted > limit - amount; ++i) {
    COFFER_CHECK(i < entries_.size(), "I10: a velocity sum is more than its entries");
    counted -= SumOf(entries_[i], recipient);
  }
  return RefuseByRule(rule, absl::StrCat(sentence, RoomAt(entries_[i - 1].time + window, now)));
}

absl::Status Velocity::Check(const Policy& policy, uint64_t now,
                             absl::Span<const Spend> spends) const {
  const uint64_t window = policy.velocity_window;
  if (window == 0) return absl::OkStatus();
  if (!entries_.empty()) now = std::max(now, entries_.back().time);
  const std::vector<Spend> fresh = New(spends, now, window);
  if (absl::Status s = CheckSignatures(policy, now, fresh.size()); !s.ok()) return s;

  Wei total = 0;
  absl::flat_hash_map<Address, Wei> by_recipient;
  for (const Spend& spend : fresh) {
    if (absl::Status s =
            AtMost("velocity_total", ledger::ToU256(total) + ledger::ToU256(spend.amount),
                   policy.velocity_total, "wei");
        !s.ok()) {
      return s;  // and no sum below is beyond 2^127
    }
    total = Sum(total, spend.amount);
    by_recipient[spend.recipient] += spend.amount;
  }
  if (absl::Status s = CheckSum(policy, now, nullptr, total_, total); !s.ok()) return s;
  for (const Spend& spend : fresh) {  // in the order of the request, so that the answer is the same
    const auto asked = by_recipient.find(spend.recipient);
    if (asked == by_recipient.end()) continue;  // looked at already
    const auto counted = by_recipient_.find(spend.recipient);
    if (absl::Status s =
            CheckSum(policy, now, &spend.recipient,
                     counted == by_recipient_.end() ? Wei(0) : counted->second, asked->second);
        !s.ok()) {
      return s;
    }
    by_recipient.erase(asked);
  }
  return absl::OkStatus();
}

void Velocity::Add(const Policy& policy, uint64_t now, absl::Span<const Spend> spends) {
  Trim(policy, now);
  if (policy.velocity_window == 0) return;
  if (!entries_.empty()) now = std::max(now, entries_.back().time);
  Entry entry{now, New(spends, now, policy.velocity_window)};
  for (const Spend& spend : entry.spends) {
    total_ = Sum(total_, spend.amount);
    if (spend.amount != 0) by_recipient_[spend.recipient] += spend.amount;
    keys_[spend.key] = now;
  }
  spends_ += entry.spends.size();
  entries_.push_back(std::move(entry));
}

void Velocity::Trim(const Policy& policy, uint64_t now) {
  if (!entries_.empty()) now = std::max(now, entries_.back().time);
  Expire(now, policy.velocity_window);
}

void Velocity::Expire(uint64_t now, uint64_t window) {
  while (!entries_.empty() && (window == 0 || !Live(entries_.front().time, now, window))) {
    for (const Spend& spend : entries_.front().spends) {
      keys_.erase(spend.key);
      if (spend.amount == 0) continue;
      total_ -= spend.amount;
      const auto sum = by_recipient_.find(spend.recipient);
      sum->second -= spend.amount;
      if (sum->second == 0) by_recipient_.erase(sum);
    }
    spends_ -= entries_.front().spends.size();
    entries_.pop_front();
  }
}

void Velocity::ForEach(absl::FunctionRef<void(const Entry&)> visit) const {
  for (const Entry& entry : entries_) visit(entry);
}

}  // namespace coffer::policy
