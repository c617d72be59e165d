// What the values of a growing list were at one moment, while they go on changing: for a snapshot
// that is written piece by piece. It costs a copy of each value that changes meanwhile, once. The
// copies are in tables of a few thousand neighbours each: one for all would grow by doubling, with
// hundreds of MB to move at once, and end with as many to wipe.
#ifndef COFFER_ENCLAVE_CORE_LEDGER_MOMENT_H_
#define COFFER_ENCLAVE_CORE_LEDGER_MOMENT_H_

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "invariant/check.h"

namespace coffer::ledger {

template <typename Value>
class Moment {
 public:
  // Now; the list has `size` values.
  void Begin(uint64_t size) {
    End();
    size_ = size;
  }
  // To be called before `value`, the one at `index`, changes.
  void Note(uint64_t index, const Value& value) {
    if (index < size_ && index >= from_) kept_[index / kNeighbours].try_emplace(index, value);
  }
  // The value at `index` then, where it is `now` now. Those before the last Forget are gone.
  const Value& At(uint64_t index, const Value& now) const {
    COFFER_CHECK(index < size_ && index >= from_, "a value of another moment");
    const auto table = kept_.find(index / kNeighbours);
    if (table == kept_.end()) return now;
    const auto found = table->second.find(index);
    return found == table->second.end() ? now : found->second;
  }
  // Nobody asks for those before `index` any more.
  void Forget(uint64_t index) {
    for (uint64_t i = from_ / kNeighbours; i < index / kNeighbours; ++i) kept_.erase(i);
    from_ = index;
  }
  void End() {
    size_ = from_ = 0;
    kept_ = {};
  }

 private:
  static constexpr uint64_t kNeighbours = 4096;

  uint64_t size_ = 0;  // 0: no moment is kept
  uint64_t from_ = 0;
  absl::flat_hash_map<uint64_t, absl::flat_hash_map<uint64_t, Value>> kept_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_MOMENT_H_
