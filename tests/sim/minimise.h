// Makes a failing plan short: delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating
// Failure-Inducing Input", 2002), for plans whose actions stand for themselves.
#ifndef COFFER_TESTS_SIM_MINIMISE_H_
#define COFFER_TESTS_SIM_MINIMISE_H_

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/functional/function_ref.h"

namespace coffer::sim {

// A part of `plan`, in its order, that still fails and of which no single action (or the last
// `max_runs` runs tried) can be left out. `plan` itself must fail. `fails` is called for each
// candidate, at most `max_runs` times.
template <class Action>
std::vector<Action> Minimise(std::vector<Action> plan,
                             absl::FunctionRef<bool(const std::vector<Action>&)> fails,
                             size_t max_runs = 2000) {
  size_t runs = 0;
  for (size_t piece = std::max<size_t>(plan.size() / 2, 1); !plan.empty();) {
    bool shorter = false;
    for (size_t from = 0; from < plan.size();) {
      if (++runs > max_runs) return plan;
      std::vector<Action> candidate(plan.begin(), plan.begin() + static_cast<ptrdiff_t>(from));
      const size_t end = std::min(from + piece, plan.size());
      candidate.insert(candidate.end(), plan.begin() + static_cast<ptrdiff_t>(end), plan.end());
      if (fails(candidate)) {
        plan = std::move(candidate);
        shorter = true;
      } else {
        from = end;
      }
    }
    if (piece == 1 && !shorter) break;
    piece = std::max<size_t>(piece / 2, 1);
  }
  return plan;
}

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_MINIMISE_H_
