#include "tests/sim/wire/rates.h"

#include "absl/strings/str_cat.h"

namespace coffer::sim::wire {

std::string Rates::Signature(const policy::Policy& policy, uint64_t second) {
  std::erase_if(
      given_, [&](const Given& given) { return given.second + policy.velocity_window <= second; });
  given_.push_back({second, {}});
  if (policy.velocity_window == 0 || given_.size() <= policy.velocity_signatures) return {};
  return absl::StrCat("I10: ", given_.size(), " signatures in ", policy.velocity_window,
                      " seconds, and the policy allows ", policy.velocity_signatures);
}

std::string Rates::Spend(const policy::Policy& policy, const ethereum::Address& recipient,
                         absl::uint128 wei) {
  given_.back().spends[recipient] += wei;
  if (policy.velocity_window == 0) return {};
  absl::uint128 total = 0, to_one = 0;
  for (const Given& given : given_) {
    for (const auto& [who, amount] : given.spends) {
      total += amount;
      if (who == recipient) to_one += amount;
    }
  }
  if (total > policy.velocity_total) return "I10: more is promised in a window than is allowed";
  if (to_one > policy.velocity_recipient) {
    return "I10: more is promised to one recipient in a window than is allowed";
  }
  return {};
}

}  // namespace coffer::sim::wire
