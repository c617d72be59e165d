// I10: what may be signed. One key serves one chain and one broker; every limit is a ceiling on one
// transaction.
//
// The policy is given to the enclave at its start and sealed with the state. The host never sends
// one.
#ifndef COFFER_ENCLAVE_CORE_POLICY_POLICY_H_
#define COFFER_ENCLAVE_CORE_POLICY_POLICY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/wei.h"
#include "proto/boundary.pb.h"

namespace coffer::policy {

using ledger::Wei;

// Gas and its price. EIP-1559: max_priority_fee_per_gas <= max_fee_per_gas.
struct Fees {
  uint64_t gas_limit = 0;
  Wei max_fee_per_gas = 0;           // wei a gas
  Wei max_priority_fee_per_gas = 0;  // wei a gas
  bool operator==(const Fees&) const = default;
};
Fees FromProto(const boundary::v1::Fees& fees);
void ToProto(const Fees& fees, boundary::v1::Fees* out);

struct Policy {
  uint64_t chain_id = 0;
  ethereum::Address broker;
  bool allow_tickets = true;
  bool allow_eth_transfer = false;
  Wei max_face_value = 0;    // a ticket or a transfer
  Wei max_batch_total = 0;   // the items of a transaction
  uint32_t max_tickets = 0;  // a transaction, 1..kMaxTickets
  uint64_t max_gas_limit = 0;
  Wei max_fee_per_gas = 0;
  Wei max_priority_fee_per_gas = 0;
  Wei max_fund_deposit = 0;  // a transaction; 0 = never
  Wei max_fund_reserve = 0;  // a transaction; 0 = never
  uint64_t ticket_validity_rounds = 0;
  bool void_on_host_word = false;  // tier T0 only
  bool operator==(const Policy&) const = default;

  // Refused with ERROR_POLICY and a sentence that names the rule and both values.
  absl::Status CheckFees(const Fees& fees) const;
  absl::Status CheckItemAmount(Wei amount) const;
  absl::Status CheckBatch(uint64_t items, Wei total) const;
  absl::Status CheckFunding(boundary::v1::Strategy strategy, Wei amount) const;
  absl::Status CheckStrategy(boundary::v1::Strategy strategy) const;
};

// A batch of 100 needs 24 M gas and 55 KB of calldata (livepeer/protocol's contracts, as measured).
inline constexpr uint32_t kMaxTickets = 100;

void ToProto(const Policy& policy, boundary::v1::Policy* out);
// Error (InvalidArgument) that names the field when one is missing or out of its range.
absl::StatusOr<Policy> FromProto(const boundary::v1::Policy& proto);

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_POLICY_H_
