#include "tests/sim/chain/versioned_store.h"

#include <algorithm>

#include "invariant/check.h"

namespace coffer::sim::chain {
namespace {

Hash Word(const Address& address) {
  Hash word;
  std::copy(address.bytes.begin(), address.bytes.end(), word.bytes.begin() + 12);
  return word;
}

Hash Word(uint64_t value) { return *Hash::FromBytes(ethereum::ToBytes32(U256(value))); }

}  // namespace

Slot::Slot(Field f, const Address& first) : field(f), a(Word(first)) {}
Slot::Slot(Field f, uint64_t first) : field(f), a(Word(first)) {}
Slot::Slot(Field f, const Address& first, uint64_t second)
    : field(f), a(Word(first)), b(Word(second)) {}
Slot::Slot(Field f, const Address& first, uint64_t round, const Address& second)
    : field(f), a(Word(first)), b(Word(second)) {
  for (size_t i = 0; i < 8; ++i) b.bytes[i] = static_cast<uint8_t>(round >> (8 * i));
}

U256 VersionedStore::Get(const Slot& slot) const {
  const auto found = words_.find(slot);
  return found == words_.end() ? U256(0) : found->second.back().second;
}

U256 VersionedStore::GetAt(const Slot& slot, uint64_t number) const {
  const auto found = words_.find(slot);
  if (found == words_.end()) return 0;
  const Versions& versions = found->second;
  const auto after =
      std::upper_bound(versions.begin(), versions.end(), number,
                       [](uint64_t block, const auto& version) { return block < version.first; });
  return after == versions.begin() ? U256(0) : std::prev(after)->second;
}

void VersionedStore::Set(const Slot& slot, const U256& value) {
  Versions& versions = words_[slot];
  const bool had = !versions.empty() && versions.back().first == open_;
  COFFER_CHECK(versions.empty() || versions.back().first <= open_, "sim: a block behind the head");
  undo_.push_back({open_, slot, had, had ? versions.back().second : U256(0)});
  if (had) {
    versions.back().second = value;
  } else {
    versions.emplace_back(open_, value);
  }
}

void VersionedStore::Subtract(const Slot& slot, const U256& value) {
  const U256 before = Get(slot);
  COFFER_CHECK(before >= value, "sim: the chain's model takes more than there is");
  Set(slot, before - value);
}

void VersionedStore::RollBack(uint64_t number) {
  size_t mark = undo_.size();
  while (mark > 0 && undo_[mark - 1].block > number) --mark;
  RevertTo(mark);
  open_ = number;
}

void VersionedStore::RevertTo(size_t mark) {
  while (undo_.size() > mark) {
    const Undo& undo = undo_.back();
    const auto found = words_.find(undo.slot);
    if (undo.had_version) {
      found->second.back().second = undo.before;
    } else {
      found->second.pop_back();
      if (found->second.empty()) words_.erase(found);
    }
    undo_.pop_back();
  }
}

}  // namespace coffer::sim::chain
