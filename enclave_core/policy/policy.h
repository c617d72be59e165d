// I10: what may be signed. One key serves one chain and one broker; every limit is a ceiling on one
// transaction.
//
// The policy is given to the enclave at its start and sealed with the state. After that it changes
// by a message that its admins have signed (typed_data.h), and in no other way.
#ifndef COFFER_ENCLAVE_CORE_POLICY_POLICY_H_
#define COFFER_ENCLAVE_CORE_POLICY_POLICY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/ledger/wei.h"
#include "proto/boundary.pb.h"

namespace coffer::policy {

using ledger::Wei;

inline constexpr Wei kNoLimit = ledger::kMaxWei;
inline constexpr size_t kMaxRecipients = 10'000;
inline constexpr size_t kMaxAdmins = 20;
inline constexpr uint32_t kMaxVelocitySignatures = 100'000;
inline constexpr uint64_t kMaxVelocityWindow = 31 * 24 * 3600;  // seconds

// Gas and its price. EIP-1559: max_priority_fee_per_gas <= max_fee_per_gas.
struct Fees {
  uint64_t gas_limit = 0;
  Wei max_fee_per_gas = 0;           // wei a gas
  Wei max_priority_fee_per_gas = 0;  // wei a gas
  bool operator==(const Fees&) const = default;
};
Fees FromProto(const boundary::v1::Fees& fees);
void ToProto(const Fees& fees, boundary::v1::Fees* out);

// Every field is described in proto/policy.proto (message Policy). 0 = never, kNoLimit = no
// limit.
struct Policy {
  uint64_t chain_id = 0;
  ethereum::Address broker;
  bool allow_tickets = true;
  bool allow_eth_transfer = false;
  Wei max_face_value = 0;    // a ticket
  Wei max_batch_total = 0;   // all tickets of a transaction
  uint32_t max_tickets = 0;  // a transaction, 1..kMaxTickets
  ethereum::U256 win_prob = ~ethereum::U256(0);
  uint64_t ticket_validity_rounds = 0;
  bool void_on_host_word = false;  // tier T0 only
  Wei max_transfer = 0;            // a plain transfer
  Wei max_fund_deposit = 0;        // a transaction
  Wei max_fund_reserve = 0;        // a transaction
  bool require_allowlist = false;
  std::vector<ethereum::Address> allowed_recipients;  // ascending, at most kMaxRecipients
  uint64_t max_gas_limit = 0;
  Wei max_fee_per_gas = 0;
  Wei max_priority_fee_per_gas = 0;
  Wei max_transaction_cost = kNoLimit;  // gas limit x fee per gas
  bool allow_access_list = false;
  bool allow_raw_messages = false;
  uint64_t velocity_window = 0;  // seconds; 0 = no velocity limits
  Wei velocity_total = kNoLimit;
  Wei velocity_recipient = kNoLimit;
  uint32_t velocity_signatures = kMaxVelocitySignatures;
  ethereum::Address credit_reporter;  // null: none
  bool require_credit_signature = false;
  std::vector<ethereum::Address> admins;  // ascending, at most kMaxAdmins
  uint32_t admin_threshold = 0;
  bool unrestricted = false;  // signer profile without a policy
  bool operator==(const Policy&) const = default;

  // Refused with ERROR_POLICY, Error.rule, and a sentence that names the rule and both values.
  // Limits on gas and its price, and on their product, which is never computed modulo anything.
  absl::Status CheckFees(const Fees& fees) const;
  // Whom tickets and transfers may pay: never the null address, and only those on the allowlist
  // when there is one.
  absl::Status CheckRecipient(const ethereum::Address& recipient) const;
  // An item of a payout of this strategy.
  absl::Status CheckItemAmount(boundary::v1::Strategy strategy, Wei amount) const;
  absl::Status CheckBatch(uint64_t items, Wei total) const;
  absl::Status CheckFunding(boundary::v1::Strategy strategy, Wei amount) const;
  // Also refused: any strategy under an unrestricted policy, which is no authority's.
  absl::Status CheckStrategy(boundary::v1::Strategy strategy) const;
};

// OK unless `value` is above `limit`; then refused by `rule` with a sentence that names both. A
// value of 2^127 or more is above every limit, kNoLimit included.
absl::Status AtMost(absl::string_view rule, const ethereum::U256& value, Wei limit,
                    absl::string_view unit);

// A batch of 100 needs 24 M gas and 55 KB of calldata (livepeer/protocol's contracts, as measured).
inline constexpr uint32_t kMaxTickets = 100;

// What a signer does that was given no policy: every field but `unrestricted` is 0.
Policy Unrestricted();

// The names of the fields in which two policies differ, with commas between; empty when equal.
std::string DifferingFields(const Policy& a, const Policy& b);

void ToProto(const Policy& policy, boundary::v1::Policy* out);
// Error (InvalidArgument) that names the field when one is missing or out of its range, or when
// there is one that this version does not know.
absl::StatusOr<Policy> FromProto(const boundary::v1::Policy& proto);

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_POLICY_H_
