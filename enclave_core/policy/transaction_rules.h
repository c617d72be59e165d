// What the signer profile may sign of what it is asked to (I10). Whatever is not known to be
// allowed is refused: contract creation, unknown calls, calldata that is not exactly what an
// encoder writes.
#ifndef COFFER_ENCLAVE_CORE_POLICY_TRANSACTION_RULES_H_
#define COFFER_ENCLAVE_CORE_POLICY_TRANSACTION_RULES_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/velocity.h"

namespace coffer::policy {

// What the transaction would pay, for the velocity limits; fundings pay nobody. `signer` is the
// key's address. Refused with ERROR_POLICY, Error.rule and a sentence with the limit and the value.
// An unrestricted policy allows all, with no spends.
absl::StatusOr<std::vector<Spend>> CheckTransaction(const Policy& policy,
                                                    const ethereum::Address& signer,
                                                    const ethereum::Transaction& transaction);

// The same for one ticket by itself.
absl::StatusOr<std::vector<Spend>> CheckTicket(const Policy& policy,
                                               const ethereum::Address& signer,
                                               const ethereum::Ticket& ticket);

// A bare message: its 32 bytes could be a ticket's hash.
absl::Status CheckMessage(const Policy& policy);

}  // namespace coffer::policy

#endif  // COFFER_ENCLAVE_CORE_POLICY_TRANSACTION_RULES_H_
