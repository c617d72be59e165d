// What a client of the signer profile asks to have signed: parsed once from hostile bytes, and
// signed once the policy has allowed it. Pure: equal key and request give equal bytes (RFC 6979).
#ifndef COFFER_ENCLAVE_CORE_SIGNING_REQUEST_H_
#define COFFER_ENCLAVE_CORE_SIGNING_REQUEST_H_

#include <cstddef>
#include <string>
#include <variant>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"

namespace coffer::signing {

inline constexpr size_t kMaxMessageBytes = 64 * 1024;
inline constexpr size_t kMaxDataBytes = 128 * 1024;
inline constexpr int kMaxAccessListEntries = 1024;
inline constexpr int kMaxStorageKeys = 8192;  // of all entries together

struct Message {
  std::string bytes;
};

using Request = std::variant<ethereum::Transaction, ethereum::Ticket, Message>;

// Refused with ERROR_MALFORMED that names the field. Fields of another transaction type must be
// absent. chain_id must not be 0: a transaction without replay protection is valid on every chain.
absl::StatusOr<ethereum::Transaction> ParseTransaction(
    const boundary::v1::SignTransaction& request);
// An absent sender is `signer`, an absent win_prob is `win_prob`; whether a given one is allowed is
// the policy's business.
absl::StatusOr<ethereum::Ticket> ParseTicket(const boundary::v1::SignTicket& request,
                                             const ethereum::Address& signer,
                                             const ethereum::U256& win_prob);
absl::StatusOr<Message> ParseMessage(const boundary::v1::SignMessage& request);

// Sets the answer's body: signed_transaction, signed_ticket or message_signature.
void Sign(const ethereum::PrivateKey& key, const Request& request, boundary::v1::ServerFrame* out);

}  // namespace coffer::signing

#endif  // COFFER_ENCLAVE_CORE_SIGNING_REQUEST_H_
