#include "actors/host/payout_planner.h"

#include <algorithm>
#include <utility>

#include "enclave_core/ledger/wei.h"

namespace coffer::host {
namespace {

constexpr uint64_t kBatchGas = 100'000;
constexpr uint64_t kTicketGas = 275'000;
constexpr uint64_t kTransferGas = 21'000;
// Beyond any block; keeps the arithmetic from wrapping.
constexpr uint64_t kMaxGas = uint64_t{1} << 50;

uint64_t WithMargin(uint64_t gas, uint32_t percent, uint64_t extra) {
  const uint64_t bounded = std::min(gas, kMaxGas);
  return bounded / 100 * percent + bounded % 100 * percent / 100 + std::min(extra, kMaxGas);
}

}  // namespace

uint64_t TicketGasLimit(uint64_t tickets, const PayoutDriverOptions& options) {
  const uint64_t bounded = std::min<uint64_t>(tickets, 10'000);
  return WithMargin(kBatchGas + kTicketGas * bounded, options.gas_margin_percent,
                    options.gas_extra);
}

uint64_t TicketsWithin(uint64_t cap, const PayoutDriverOptions& options) {
  uint64_t tickets = std::min<uint64_t>(options.max_tickets, 100);
  while (tickets > 0 && TicketGasLimit(tickets, options) > cap) --tickets;
  return tickets;
}

std::optional<uint64_t> EstimatedGasLimit(uint64_t estimate, uint64_t cap,
                                          const PayoutDriverOptions& options) {
  const uint64_t gas = WithMargin(std::max(estimate, kTransferGas), options.estimate_margin_percent,
                                  options.gas_extra);
  if (gas > cap) return std::nullopt;
  return gas;
}

Plan MakePlan(const std::vector<boundary::v1::Account>& accounts, const PlanLimits& limits) {
  Plan plan;
  PlannedBatch batch;
  absl::uint128 room = limits.room;
  const absl::uint128 item_limit = std::min(limits.max_face_value, limits.max_batch_total);
  const auto close = [&] {
    if (batch.items.empty()) return;
    plan.total += batch.total;
    plan.batches.push_back(std::exchange(batch, {}));
  };
  for (const boundary::v1::Account& account : accounts) {
    const absl::uint128 amount = std::min(ledger::FromProto(account.available()), item_limit);
    // The enclave refuses a whole batch for a null recipient.
    const bool null = account.recipient().find_first_not_of('\0') == std::string::npos;
    if (amount == 0 || null) continue;
    if (batch.items.size() >= std::max<uint64_t>(limits.max_items, 1) ||
        amount > limits.max_batch_total - batch.total) {
      close();
    }
    if (plan.batches.size() >= limits.max_batches) {
      plan.more = true;
      break;
    }
    const absl::uint128 needed =
        amount + (batch.items.empty() ? limits.cost_per_batch : absl::uint128(0));
    if (needed > room) {
      ++plan.skipped;
      plan.skipped_wei += amount;
      continue;
    }
    room -= needed;
    batch.total += amount;
    batch.items.push_back({account.id(), account.recipient(), amount});
  }
  close();
  return plan;
}

}  // namespace coffer::host
