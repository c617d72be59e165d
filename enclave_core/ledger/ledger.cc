#include "enclave_core/ledger/ledger.h"

#include <algorithm>

#include "invariant/check.h"

namespace coffer::ledger {
namespace {

// I2 as one equation without subtraction: everything that came in is somewhere.
bool Conserved(const Balances& b) {
  return b.credited + b.adjusted_up == b.available + b.reserved + b.paid + b.adjusted_down;
}

void AddTo(Wei& field, Wei amount) {
  COFFER_CHECK(amount <= kMaxWei - field, "I2: an amount left its range");
  field += amount;
}

void TakeFrom(Wei& field, Wei amount) {
  COFFER_CHECK(amount <= field, "I2: an amount would become negative");
  field -= amount;
}

}  // namespace

std::optional<Ledger::Index> Ledger::Find(std::string_view id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  return *found;
}

const Account& Ledger::at(Index index) const {
  COFFER_CHECK(index < size(), "account index out of range");
  return (*accounts_)[index];
}

Ledger::Verdict Ledger::Check(std::optional<Index> index, Change change, Wei amount) const {
  if (amount == 0 || amount > kMaxWei) return Verdict::kOutOfRange;
  if (change == Change::kAdjustDown) {
    if (!index.has_value() || at(*index).balances.available < amount) return Verdict::kInsufficient;
    return amount <= kMaxWei - totals_.adjusted_down ? Verdict::kOk : Verdict::kOutOfRange;
  }
  // What came in bounds every other sum, so one comparison with the total covers the account as
  // well. The bound is half of the range, because adjusted_down adds to the other side of the
  // equation.
  const Wei came_in = totals_.credited + totals_.adjusted_up;
  return amount <= kMaxWei / 2 && came_in <= kMaxWei / 2 - amount ? Verdict::kOk
                                                                  : Verdict::kOutOfRange;
}

Ledger::Index Ledger::Open(std::string_view id, const ethereum::Address& recipient) {
  Restore(id, recipient, {});
  return size() - 1;
}

void Ledger::ExpectAccounts(uint64_t count) { by_id_.reserve(std::min(count, kMaxAccounts)); }

const char* Ledger::KeepId(std::string_view id) {
  COFFER_CHECK(!id.empty() && id.size() <= kMaxIdBytes, "an account's id has its length");
  if (kIdChunk - id_chunk_used_ < id.size()) {
    id_chunks_.push_back(std::make_unique_for_overwrite<char[]>(kIdChunk));
    id_chunk_used_ = 0;
  }
  char* const kept = id_chunks_.back().get() + id_chunk_used_;
  std::copy(id.begin(), id.end(), kept);
  id_chunk_used_ += id.size();
  return kept;
}

void Ledger::Restore(std::string_view id, const ethereum::Address& recipient, const Balances& b) {
  CheckConservation(b);
  AddTo(totals_.available, b.available);
  AddTo(totals_.reserved, b.reserved);
  AddTo(totals_.credited, b.credited);
  AddTo(totals_.adjusted_up, b.adjusted_up);
  AddTo(totals_.adjusted_down, b.adjusted_down);
  AddTo(totals_.paid, b.paid);
  COFFER_CHECK(size() < kMaxAccounts, "there are as many accounts as there can be");
  if (size() % kBlock == 0) {
    accounts_->blocks.push_back(std::make_unique<std::array<Account, kBlock>>());
  }
  const auto index = static_cast<uint32_t>(accounts_->size++);
  Account& account = (*accounts_)[index];
  account.id_bytes = KeepId(id);
  account.id_size = static_cast<uint8_t>(id.size());
  account.recipient = recipient;
  account.balances = b;
  bool fresh = false;
  by_id_.lazy_emplace(id, [&](const auto& construct) {
    construct(index);
    fresh = true;
  });
  COFFER_CHECK(fresh, "I1: an account was opened twice");
}

void Ledger::Apply(Index index, Change change, Wei amount) {
  for (Balances* b : {&BalancesAt(index), &totals_}) {
    switch (change) {
      case Change::kCredit:
        AddTo(b->credited, amount);
        AddTo(b->available, amount);
        break;
      case Change::kAdjustUp:
        AddTo(b->adjusted_up, amount);
        AddTo(b->available, amount);
        break;
      case Change::kAdjustDown:
        AddTo(b->adjusted_down, amount);
        TakeFrom(b->available, amount);
        break;
    }
    CheckConservation(*b);
  }
}

void Ledger::Reserve(Index index, Wei amount) {
  for (Balances* b : {&BalancesAt(index), &totals_}) {
    TakeFrom(b->available, amount);
    AddTo(b->reserved, amount);
    CheckConservation(*b);
  }
}

void Ledger::Release(Index index, Wei amount) { Pay(index, amount, 0); }

void Ledger::Pay(Index index, Wei reserved, Wei paid) {
  COFFER_CHECK(paid <= reserved, "I3: more was paid than was reserved");
  for (Balances* b : {&BalancesAt(index), &totals_}) {
    TakeFrom(b->reserved, reserved);
    AddTo(b->paid, paid);
    AddTo(b->available, reserved - paid);
    CheckConservation(*b);
  }
}

bool Ledger::CanUnpay(Index index, Wei reserved, Wei paid) const {
  const Balances& b = at(index).balances;
  return paid <= reserved && b.paid >= paid && b.available >= reserved - paid;
}

void Ledger::Unpay(Index index, Wei reserved, Wei paid) {
  COFFER_CHECK(CanUnpay(index, reserved, paid), "I3: a payment was taken back that was not made");
  for (Balances* b : {&BalancesAt(index), &totals_}) {
    TakeFrom(b->paid, paid);
    TakeFrom(b->available, reserved - paid);
    AddTo(b->reserved, reserved);
    CheckConservation(*b);
  }
}

Balances& Ledger::BalancesAt(Index index) {
  COFFER_CHECK(index < size(), "account index out of range");
  Balances& balances = (*accounts_)[index].balances;
  moment_.Note(index, balances);
  return balances;
}

void Ledger::CheckConservation(const Balances& balances) const {
  COFFER_CHECK(Conserved(balances), "I2: conservation");
}

}  // namespace coffer::ledger
