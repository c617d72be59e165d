#include "enclave_core/policy/policy.h"

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"

namespace coffer::policy {
namespace {

using boundary::v1::ERROR_POLICY;

absl::Status AtMost(absl::string_view rule, Wei value, Wei limit, absl::string_view unit) {
  if (value <= limit) return absl::OkStatus();
  return Refuse(ERROR_POLICY,
                absl::StrCat("the policy's ", rule, " is ", ledger::ToDecimal(limit), " ", unit,
                             ", asked for were ", ledger::ToDecimal(value)));
}

}  // namespace

Fees FromProto(const boundary::v1::Fees& fees) {
  return {fees.gas_limit(), ledger::FromProto(fees.max_fee_per_gas()),
          ledger::FromProto(fees.max_priority_fee_per_gas())};
}

void ToProto(const Fees& fees, boundary::v1::Fees* out) {
  out->set_gas_limit(fees.gas_limit);
  ledger::ToProto(fees.max_fee_per_gas, out->mutable_max_fee_per_gas());
  ledger::ToProto(fees.max_priority_fee_per_gas, out->mutable_max_priority_fee_per_gas());
}

absl::Status Policy::CheckFees(const Fees& fees) const {
  if (fees.gas_limit < 21000) {
    return Refuse(ERROR_POLICY, absl::StrCat("a gas limit of ", fees.gas_limit,
                                             " is below the 21000 that every transaction costs"));
  }
  if (fees.max_priority_fee_per_gas > fees.max_fee_per_gas) {
    return Refuse(ERROR_POLICY, "max_priority_fee_per_gas is above max_fee_per_gas (EIP-1559)");
  }
  if (absl::Status s = AtMost("max_gas_limit", fees.gas_limit, max_gas_limit, "gas"); !s.ok())
    return s;
  if (absl::Status s = AtMost("max_fee_per_gas", fees.max_fee_per_gas, max_fee_per_gas, "wei");
      !s.ok()) {
    return s;
  }
  return AtMost("max_priority_fee_per_gas", fees.max_priority_fee_per_gas, max_priority_fee_per_gas,
                "wei");
}

absl::Status Policy::CheckItemAmount(boundary::v1::Strategy strategy, Wei amount) const {
  if (strategy == boundary::v1::STRATEGY_ETH_TRANSFER) {
    return AtMost("max_face_value", amount, max_face_value, "wei");
  }
  return AtMost("max_face_value", amount, max_face_value, "wei");
}

absl::Status Policy::CheckBatch(uint64_t items, Wei total) const {
  if (absl::Status s = AtMost("max_tickets", items, max_tickets, "items"); !s.ok()) return s;
  return AtMost("max_batch_total", total, max_batch_total, "wei");
}

absl::Status Policy::CheckFunding(boundary::v1::Strategy strategy, Wei amount) const {
  if (strategy == boundary::v1::STRATEGY_FUND_DEPOSIT) {
    return AtMost("max_fund_deposit", amount, max_fund_deposit, "wei");
  }
  return AtMost("max_fund_reserve", amount, max_fund_reserve, "wei");
}

absl::Status Policy::CheckStrategy(boundary::v1::Strategy strategy) const {
  switch (strategy) {
    case boundary::v1::STRATEGY_LIVEPEER_TICKET:
      if (allow_tickets) return absl::OkStatus();
      return Refuse(ERROR_POLICY, "the policy does not allow the strategy livepeer_ticket");
    case boundary::v1::STRATEGY_ETH_TRANSFER:
      if (allow_eth_transfer) return absl::OkStatus();
      return Refuse(ERROR_POLICY, "the policy does not allow the strategy eth_transfer");
    default:
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    "strategy of a payout must be LIVEPEER_TICKET or ETH_TRANSFER");
  }
}

void ToProto(const Policy& policy, boundary::v1::Policy* out) {
  out->set_chain_id(policy.chain_id);
  out->set_broker(std::string(policy.broker.view()));
  out->set_allow_tickets(policy.allow_tickets);
  out->set_allow_eth_transfer(policy.allow_eth_transfer);
  ledger::ToProto(policy.max_face_value, out->mutable_max_face_value());
  ledger::ToProto(policy.max_batch_total, out->mutable_max_batch_total());
  out->set_max_tickets(policy.max_tickets);
  out->set_max_gas_limit(policy.max_gas_limit);
  ledger::ToProto(policy.max_fee_per_gas, out->mutable_max_fee_per_gas());
  ledger::ToProto(policy.max_priority_fee_per_gas, out->mutable_max_priority_fee_per_gas());
  ledger::ToProto(policy.max_fund_deposit, out->mutable_max_fund_deposit());
  ledger::ToProto(policy.max_fund_reserve, out->mutable_max_fund_reserve());
  out->set_ticket_validity_rounds(policy.ticket_validity_rounds);
  out->set_void_on_host_word(policy.void_on_host_word);
}

absl::StatusOr<Policy> FromProto(const boundary::v1::Policy& proto) {
  Policy policy;
  policy.chain_id = proto.chain_id();
  absl::StatusOr<ethereum::Address> broker = ethereum::Address::FromBytes(proto.broker());
  if (!broker.ok()) return absl::InvalidArgumentError("policy: the broker is not 20 bytes");
  policy.broker = *broker;
  policy.allow_tickets = proto.allow_tickets();
  policy.allow_eth_transfer = proto.allow_eth_transfer();
  policy.max_face_value = ledger::FromProto(proto.max_face_value());
  policy.max_batch_total = ledger::FromProto(proto.max_batch_total());
  policy.max_tickets = proto.max_tickets();
  policy.max_gas_limit = proto.max_gas_limit();
  policy.max_fee_per_gas = ledger::FromProto(proto.max_fee_per_gas());
  policy.max_priority_fee_per_gas = ledger::FromProto(proto.max_priority_fee_per_gas());
  policy.max_fund_deposit = ledger::FromProto(proto.max_fund_deposit());
  policy.max_fund_reserve = ledger::FromProto(proto.max_fund_reserve());
  policy.ticket_validity_rounds = proto.ticket_validity_rounds();
  policy.void_on_host_word = proto.void_on_host_word();
  if (policy.chain_id == 0) return absl::InvalidArgumentError("policy: chain_id is 0");
  if (policy.max_tickets == 0 || policy.max_tickets > kMaxTickets) {
    return absl::InvalidArgumentError(
        absl::StrCat("policy: max_tickets must be 1..", kMaxTickets, ", not ", policy.max_tickets));
  }
  if (policy.allow_tickets && policy.broker.IsZero()) {
    return absl::InvalidArgumentError(
        "policy: tickets are allowed, but the broker is the null address");
  }
  if (policy.max_face_value > ledger::kMaxWei || policy.max_batch_total > ledger::kMaxWei ||
      policy.max_fund_deposit > ledger::kMaxWei || policy.max_fund_reserve > ledger::kMaxWei ||
      policy.max_fee_per_gas > ledger::kMaxWei ||
      policy.max_priority_fee_per_gas > ledger::kMaxWei) {
    return absl::InvalidArgumentError("policy: an amount is 2^127 wei or more");
  }
  return policy;
}

}  // namespace coffer::policy
