// Limits over time (I10), counted from the leaves: how many signatures were promised in a window of
// the policy's, and for how much. First signatures have a leaf of the moment at which they count.
// One more signature of a payout counts at some moment since the last one's leaf, and pays nothing
// anew.
#ifndef COFFER_TESTS_SIM_WIRE_RATES_H_
#define COFFER_TESTS_SIM_WIRE_RATES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/numeric/int128.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"

namespace coffer::sim::wire {

class Rates {
 public:
  // A reservation of this second (since 1970). Empty, or the limit that it breaks.
  std::string Signature(const policy::Policy& policy, uint64_t second);
  // One more signature, which was asked for in this second or later.
  void Again(uint64_t second) { given_.push_back({second, {}}); }
  // What the newest reservation pays to whom.
  std::string Spend(const policy::Policy& policy, const ethereum::Address& recipient,
                    absl::uint128 wei);
  // Another policy may have another window, and forgets what was not in it.
  void Forget() { given_.clear(); }

 private:
  struct Given {
    uint64_t second = 0;
    std::map<ethereum::Address, absl::uint128> spends;
  };
  std::vector<Given> given_;  // that are in the window for sure
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_RATES_H_
