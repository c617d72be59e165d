// The payout driver's and the RPC client's figures. Wei as floating point: exact amounts are in the
// API's JSON.
#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "host_proxy/host_metrics.h"
#include "host_proxy/host_payouts.h"

namespace coffer::host_proxy {

using host::ChainRpcMetrics;
using host::PayoutDriverStatus;

void HostMetrics::Add(const HostPayouts* payouts) {
  using Counters = PayoutDriverStatus::Counters;
  const auto total = [&](const char* what, const char* help, uint64_t Counters::*field) {
    Total(absl::StrCat("coffer_payout_", what, "_total"), help,
          [payouts, field] { return payouts->counters().*field; });
  };
  total("prepared", "payouts signed for the first time", &Counters::prepared);
  total("sent", "transactions that a node took", &Counters::sent);
  total("resent", "the same bytes sent again", &Counters::resent);
  total("send_refused", "transactions that a node refused", &Counters::send_refused);
  total("bumped", "fee bumps", &Counters::bumped);
  total("mined", "receipts of ours reported", &Counters::mined);
  total("reverted", "of these, reverted", &Counters::reverted);
  total("foreign", "redemptions by strangers reported", &Counters::foreign);
  total("reorged", "receipts that disappeared", &Counters::reorged);
  total("retried", "payouts given a new nonce", &Counters::retried);
  total("voided_tickets", "tickets voided", &Counters::voided);
  total("funded", "fundings of the deposit signed", &Counters::funded);
  const auto level = [&](const char* what, const char* help, uint64_t PayoutDriverStatus::*field) {
    Level(absl::StrCat("coffer_payout_", what), help,
          [payouts, field] { return static_cast<double>(payouts->driver_status().*field); });
  };
  level("open", "payouts that are not final", &PayoutDriverStatus::open_payouts);
  level("under_way", "transactions that are not mined", &PayoutDriverStatus::under_way);
  level("expired", "payouts whose tickets can no longer be redeemed", &PayoutDriverStatus::expired);
  level("at_fee_ceiling", "payouts that wait at the fee ceiling",
        &PayoutDriverStatus::at_fee_ceiling);
  level("next_nonce", "the enclave's next nonce", &PayoutDriverStatus::next_nonce);
  level("chain_nonce", "the chain's nonce", &PayoutDriverStatus::chain_nonce);
  const auto wei = [&](const char* what, const char* help,
                       absl::uint128 PayoutDriverStatus::*field) {
    Level(absl::StrCat("coffer_", what, "_wei"), help,
          [payouts, field] { return static_cast<double>(payouts->driver_status().*field); });
  };
  wei("deposit", "in the TicketBroker", &PayoutDriverStatus::deposit);
  wei("gas_balance", "the signing account's own", &PayoutDriverStatus::balance);
  wei("owed", "available in all accounts", &PayoutDriverStatus::owed);
  wei("outstanding", "promised by open payouts", &PayoutDriverStatus::outstanding);
  Level("coffer_payout_paused", "1 when paused by the operator",
        [payouts] { return payouts->driver_status().paused ? 1.0 : 0.0; });
  Level("coffer_payout_halts", "reasons why nothing new is signed",
        [payouts] { return static_cast<double>(payouts->driver_status().halts.size()); });
  Level("coffer_payout_oldest_open_seconds", "age of the oldest payout that is not final",
        [payouts] { return absl::ToDoubleSeconds(payouts->driver_status().oldest_open); });
  // Zero without a draining key.
  const auto draining = [&](const char* what, const char* help, auto take) {
    Level(absl::StrCat("coffer_draining_", what), help, [payouts, take] {
      const PayoutDriverStatus* status = payouts->draining_status();
      return status == nullptr ? 0.0 : static_cast<double>(take(*status));
    });
  };
  draining("key", "1 while a signing key is draining", [](const auto&) { return 1.0; });
  draining("open_payouts", "payouts of the draining key that are not final",
           [](const auto& status) { return status.open_payouts; });
  draining("halts", "reasons why the draining key signs nothing",
           [](const auto& status) { return status.halts.size(); });
  draining("next_nonce", "the draining key's next nonce",
           [](const auto& status) { return status.next_nonce; });
  draining("chain_nonce", "its nonce on the chain",
           [](const auto& status) { return status.chain_nonce; });
  draining("deposit_wei", "the draining key's deposit in the TicketBroker",
           [](const auto& status) { return status.deposit; });
  draining("reserve_wei", "its reserve there", [](const auto& status) { return status.reserve; });
  draining("balance_wei", "on its own address", [](const auto& status) { return status.balance; });
  draining("outstanding_wei", "promised by its open payouts",
           [](const auto& status) { return status.outstanding; });
  const auto rpc = [&](const char* what, const char* help, uint64_t ChainRpcMetrics::*field) {
    Total(absl::StrCat("coffer_rpc_", what, "_total"), help,
          [payouts, field] { return payouts->rpc_metrics().*field; });
  };
  rpc("calls", "calls made", &ChainRpcMetrics::calls);
  rpc("requests", "HTTP requests, batches included", &ChainRpcMetrics::requests);
  rpc("timeouts", "requests without an answer in time", &ChainRpcMetrics::timeouts);
  rpc("unavailable", "requests that failed on the way", &ChainRpcMetrics::unavailable);
  rpc("rate_limited", "requests that a node asked to slow down", &ChainRpcMetrics::rate_limited);
  rpc("malformed", "answers that made no sense", &ChainRpcMetrics::malformed);
  rpc("expired", "calls that ended without an answer", &ChainRpcMetrics::expired);
  Level("coffer_rpc_usable_nodes", "nodes on the right chain that are not paused",
        [payouts] { return static_cast<double>(payouts->rpc_metrics().usable_urls); });
}

}  // namespace coffer::host_proxy
