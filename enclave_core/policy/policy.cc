#include "enclave_core/policy/policy.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"

namespace coffer::policy {
namespace {

using boundary::v1::Strategy;

// What every transaction costs before it does anything (Ethereum's yellow paper, G_transaction).
constexpr uint64_t kLeastGas = 21000;

absl::Status RefuseUnrestricted() {
  return RefuseByRule("unrestricted",
                      "the policy is unrestricted, which is for the signer profile only: a payout "
                      "needs a policy with limits");
}

}  // namespace

absl::Status AtMost(absl::string_view rule, const ethereum::U256& value, Wei limit,
                    absl::string_view unit) {
  if (value <= ledger::ToU256(limit)) return absl::OkStatus();
  return RefuseByRule(
      rule, absl::StrCat("the policy's ", rule, " is ", ledger::ToDecimal(limit), " ", unit,
                         ", asked for were ", ethereum::ToDecimal(value)));
}

absl::Status Policy::CheckFees(const Fees& fees) const {
  if (fees.gas_limit < kLeastGas) {
    return RefuseByRule("max_gas_limit",
                        absl::StrCat("a gas limit of ", fees.gas_limit, " is below the ", kLeastGas,
                                     " that every transaction costs"));
  }
  if (fees.max_priority_fee_per_gas > fees.max_fee_per_gas) {
    return RefuseByRule("max_priority_fee_per_gas",
                        absl::StrCat("max_priority_fee_per_gas is ",
                                     ledger::ToDecimal(fees.max_priority_fee_per_gas),
                                     " wei, above max_fee_per_gas, which is ",
                                     ledger::ToDecimal(fees.max_fee_per_gas), " wei (EIP-1559)"));
  }
  if (absl::Status s = AtMost("max_gas_limit", fees.gas_limit, max_gas_limit, "gas"); !s.ok()) {
    return s;
  }
  const ethereum::U256 fee = ledger::ToU256(fees.max_fee_per_gas);
  if (absl::Status s = AtMost("max_fee_per_gas", fee, max_fee_per_gas, "wei a gas"); !s.ok()) {
    return s;
  }
  if (absl::Status s =
          AtMost("max_priority_fee_per_gas", ledger::ToU256(fees.max_priority_fee_per_gas),
                 max_priority_fee_per_gas, "wei a gas");
      !s.ok()) {
    return s;
  }
  // 64 bits times 128 fit in 256.
  return AtMost("max_transaction_cost", fee * fees.gas_limit, max_transaction_cost, "wei");
}

absl::Status Policy::CheckRecipient(const ethereum::Address& recipient) const {
  if (recipient.IsZero()) {
    return RefuseByRule("allowed_recipients",
                        absl::StrCat("the recipient is the null address ", recipient.ToHex(),
                                     ", which no allowlist can hold: what is sent there is lost"));
  }
  if (allowed_recipients.empty()) {
    if (!require_allowlist) return absl::OkStatus();
    return RefuseByRule(
        "require_allowlist",
        absl::StrCat("the policy requires an allowlist and has an empty one, so that nobody may be "
                     "paid; the recipient is ",
                     ethereum::ToChecksum(recipient)));
  }
  if (std::binary_search(allowed_recipients.begin(), allowed_recipients.end(), recipient)) {
    return absl::OkStatus();
  }
  return RefuseByRule("allowed_recipients",
                      absl::StrCat("the recipient ", ethereum::ToChecksum(recipient),
                                   " is not on the policy's allowlist of ",
                                   allowed_recipients.size(), " (allowed_recipients)"));
}

absl::Status Policy::CheckItemAmount(Strategy strategy, Wei amount) const {
  if (strategy == boundary::v1::STRATEGY_ETH_TRANSFER) {
    return AtMost("max_transfer", ledger::ToU256(amount), max_transfer, "wei");
  }
  return AtMost("max_face_value", ledger::ToU256(amount), max_face_value, "wei");
}

absl::Status Policy::CheckBatch(uint64_t items, Wei total) const {
  if (absl::Status s = AtMost("max_tickets", items, max_tickets, "tickets"); !s.ok()) return s;
  return AtMost("max_batch_total", ledger::ToU256(total), max_batch_total, "wei");
}

absl::Status Policy::CheckFunding(Strategy strategy, Wei amount) const {
  if (unrestricted) return RefuseUnrestricted();
  if (strategy == boundary::v1::STRATEGY_FUND_DEPOSIT) {
    return AtMost("max_fund_deposit", ledger::ToU256(amount), max_fund_deposit, "wei");
  }
  return AtMost("max_fund_reserve", ledger::ToU256(amount), max_fund_reserve, "wei");
}

absl::Status Policy::CheckStrategy(Strategy strategy) const {
  if (unrestricted) return RefuseUnrestricted();
  switch (strategy) {
    case boundary::v1::STRATEGY_LIVEPEER_TICKET:
      if (allow_tickets) return absl::OkStatus();
      return RefuseByRule("allow_tickets",
                          "the policy's allow_tickets is false, asked for was the strategy "
                          "livepeer_ticket");
    case boundary::v1::STRATEGY_ETH_TRANSFER:
      if (allow_eth_transfer) return absl::OkStatus();
      return RefuseByRule("allow_eth_transfer",
                          "the policy's allow_eth_transfer is false, asked for was the strategy "
                          "eth_transfer");
    default:
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    "strategy of a payout must be LIVEPEER_TICKET or ETH_TRANSFER");
  }
}

Policy Unrestricted() {
  Policy policy;
  policy.allow_tickets = false;
  policy.win_prob = 0;
  policy.max_transaction_cost = 0;
  policy.velocity_total = 0;
  policy.velocity_recipient = 0;
  policy.velocity_signatures = 0;
  policy.unrestricted = true;
  return policy;
}

}  // namespace coffer::policy
