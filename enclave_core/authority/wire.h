// Between the fixed-size values of enclave_core and the bytes fields of sealed messages, which hold
// nothing but what this program wrote: a wrong size there is a bug and stops the process. Requests
// are parsed elsewhere, with refusals.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_WIRE_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_WIRE_H_

#include <string>
#include <string_view>

#include "enclave_core/ethereum/types.h"
#include "enclave_core/payouts/payout.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/velocity.h"
#include "proto/sealed.pb.h"

namespace coffer::authority {

ethereum::Hash SealedHash(std::string_view bytes);
ethereum::Address SealedAddress(std::string_view bytes);
payouts::TicketSecrets SealedTicket(const sealed::v1::SignedItem& item);
void ToProto(const payouts::TicketSecrets& ticket, sealed::v1::SignedItem* out);
policy::Spend SealedSpend(const sealed::v1::Spend& spend);
void ToProto(const policy::Spend& spend, sealed::v1::Spend* out);

// 32 bytes of a request; refused with ERROR_MALFORMED that names the field.
absl::StatusOr<ethereum::Hash> RequestHash(std::string_view bytes, absl::string_view field);

// What a request names as broker (20 bytes, or empty) and as chain (or 0) must be the policy's:
// whatever is built goes there, and a client that means another place has to hear of it.
absl::Status CheckTarget(const policy::Policy& policy, std::string_view broker, uint64_t chain_id);

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_WIRE_H_
