#include "tests/sim/adversary/adversary_run.h"

#include <algorithm>

#include "tests/sim/adversary/hostile_host.h"
#include "tests/sim/adversary/hostile_world.h"

namespace coffer::sim {
namespace {

policy::Policy DrawPolicy(uint64_t seed) {
  runtime::SeededRandom random(seed);
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  policy.allow_eth_transfer = true;
  policy.max_face_value = 200'000 + random.Below(1'800'000);
  policy.max_transfer = 200'000 + random.Below(1'800'000);
  policy.max_batch_total = 4'000'000;
  policy.max_tickets = 4;
  policy.max_gas_limit = 3'000'000;
  policy.max_fee_per_gas = 1'000'000;
  policy.max_priority_fee_per_gas = 500'000;
  policy.max_fund_deposit = 1'500'000;
  policy.max_fund_reserve = 1'000'000;
  policy.ticket_validity_rounds = 2;
  policy.void_on_host_word = random.Below(2) == 0;
  if (random.Below(2) == 0) {
    policy.velocity_window = 1 + random.Below(30);
    policy.velocity_signatures = 3 + static_cast<uint32_t>(random.Below(30));
    if (random.Below(2) == 0) policy.velocity_total = 500'000 + random.Below(4'000'000);
    if (random.Below(2) == 0) policy.velocity_recipient = 300'000 + random.Below(1'000'000);
  }
  for (size_t i = 0; i < kAdmins; ++i) policy.admins.push_back(AdminKey(i).address());
  std::sort(policy.admins.begin(), policy.admins.end());
  policy.admin_threshold = 2;
  policy.credit_reporter = ReporterKey().address();
  policy.require_credit_signature = random.Below(6) == 0;
  return policy;
}

}  // namespace

AdversaryResult RunPlan(uint64_t seed, const AdversaryOptions& options,
                        const std::vector<HostileAction>& plan) {
  HostileWorld world(seed, DrawPolicy(seed), HostileWorld::KeysFrom::kKms);
  if (options.mode == AdversaryOptions::Mode::kAdversary) world.auditor().ExpectOneHistory();
  HostileHost host(&world, options.mode, seed);
  const absl::Time start = world.scheduler().Now();
  for (const HostileAction& action : plan) {
    const absl::Duration wait = start + action.at - world.scheduler().Now();
    if (wait > absl::ZeroDuration()) world.Advance(wait);
    if (!world.auditor().broken().empty()) break;
    host.Act(action);
  }
  world.Advance(absl::Milliseconds(100));
  AdversaryResult result = host.counted();
  result.failure = world.auditor().broken();
  result.starts = world.starts();
  result.steps = world.scheduler().steps();
  result.trace = world.scheduler().trace();
  result.seen = world.auditor().seen();
  return result;
}

AdversaryResult RunAdversary(uint64_t seed, const AdversaryOptions& options) {
  return RunPlan(seed, options, DrawPlan(seed, options.actions));
}

}  // namespace coffer::sim
