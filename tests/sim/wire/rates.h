// Limits over time (I10), counted from the leaves: how many signatures were promised in a window of
// the policy's, and for how much. Only first signatures are counted, whose leaf is of the moment at
// which they count; what is signed again may count or not.
#ifndef COFFER_TESTS_SIM_WIRE_RATES_H_
#define COFFER_TESTS_SIM_WIRE_RATES_H_

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "absl/numeric/int128.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"

namespace coffer::sim::wire {

class Rates {
 public:
  // A reservation of this second (since 1970). Empty, or the limit that it breaks.
  std::string Signature(const policy::Policy& policy, uint64_t second);
  // What the newest one pays to whom.
  std::string Spend(const policy::Policy& policy, const ethereum::Address& recipient,
                    absl::uint128 wei);
  // Another policy may have another window, and forgets what was not in it.
  void Forget() { newest_.clear(); }

 private:
  struct Given {
    uint64_t second = 0;
    std::map<ethereum::Address, absl::uint128> spends;
  };
  std::deque<Given> newest_;  // of one window
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_RATES_H_
