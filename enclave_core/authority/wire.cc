#include "enclave_core/authority/wire.h"

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "invariant/check.h"

namespace coffer::authority {
namespace {

template <typename T>
T Sealed(absl::StatusOr<T> value) {
  COFFER_CHECK(value.ok(), "a sealed field has a size that this program never writes");
  return *std::move(value);
}

}  // namespace

ethereum::Hash SealedHash(std::string_view bytes) {
  return Sealed(ethereum::Hash::FromBytes(bytes));
}

ethereum::Address SealedAddress(std::string_view bytes) {
  return Sealed(ethereum::Address::FromBytes(bytes));
}

payouts::TicketSecrets SealedTicket(const sealed::v1::SignedItem& item) {
  return {SealedHash(item.ticket_hash()),
          Sealed(ethereum::Signature::FromBytes65(item.signature())),
          Sealed(ethereum::U256FromBytes(item.recipient_rand()))};
}

void ToProto(const payouts::TicketSecrets& ticket, sealed::v1::SignedItem* out) {
  out->set_ticket_hash(std::string(ticket.ticket_hash.view()));
  out->set_signature(ticket.signature.ToBytes65());
  out->set_recipient_rand(ethereum::ToBytes32(ticket.recipient_rand));
}

policy::Spend SealedSpend(const sealed::v1::Spend& spend) {
  return {SealedAddress(spend.recipient()), ledger::FromProto(spend.amount()),
          SealedHash(spend.key())};
}

void ToProto(const policy::Spend& spend, sealed::v1::Spend* out) {
  out->set_recipient(std::string(spend.recipient.view()));
  ledger::ToProto(spend.amount, out->mutable_amount());
  out->set_key(std::string(spend.key.view()));
}

absl::StatusOr<ethereum::Hash> RequestHash(std::string_view bytes, absl::string_view field) {
  absl::StatusOr<ethereum::Hash> hash = ethereum::Hash::FromBytes(bytes);
  if (hash.ok()) return *hash;
  return Refuse(boundary::v1::ERROR_MALFORMED,
                absl::StrCat(field, " must be 32 bytes, not ", bytes.size()));
}

absl::Status CheckTarget(const policy::Policy& policy, std::string_view broker, uint64_t chain_id) {
  if (!broker.empty()) {
    const absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(broker);
    if (!address.ok()) {
      return Refuse(boundary::v1::ERROR_MALFORMED,
                    absl::StrCat("broker must be 20 bytes, not ", broker.size()));
    }
    if (*address != policy.broker) {
      return RefuseByRule(
          "broker", absl::StrCat("the policy's broker is ", ethereum::ToChecksum(policy.broker),
                                 ", asked for was ", ethereum::ToChecksum(*address)));
    }
  }
  if (chain_id != 0 && chain_id != policy.chain_id) {
    return RefuseByRule("chain_id", absl::StrCat("the policy's chain_id is ", policy.chain_id,
                                                 ", asked for was ", chain_id));
  }
  return absl::OkStatus();
}

}  // namespace coffer::authority
