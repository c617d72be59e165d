// What the values of a growing list were at one moment, while they go on changing: for a snapshot
// that is written piece by piece. It costs a copy of each value that changes meanwhile, once.
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
    if (index < size_ && index >= from_) kept_.try_emplace(index, value);
  }
  // The value at `index` then, where it is `now` now. Those before the last Forget are gone.
  const Value& At(uint64_t index, const Value& now) const {
    COFFER_CHECK(index < size_ && index >= from_, "a value of another moment");
    const auto found = kept_.find(index);
    return found == kept_.end() ? now : found->second;
  }
  // Nobody asks for those before `index` any more.
  void Forget(uint64_t index) { from_ = index; }
  void End() {
    size_ = from_ = 0;
    kept_ = {};
  }

 private:
  uint64_t size_ = 0;  // 0: no moment is kept
  uint64_t from_ = 0;
  absl::flat_hash_map<uint64_t, Value> kept_;
};

}  // namespace coffer::ledger

#endif  // COFFER_ENCLAVE_CORE_LEDGER_MOMENT_H_
