#include "enclave_core/signing/request.h"

#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"

namespace coffer::signing {
namespace {

using boundary::v1::ERROR_MALFORMED;
using ethereum::Address;
using ethereum::Hash;
using ethereum::Ticket;
using ethereum::Transaction;
using ethereum::U256;

constexpr size_t kAuxDataBytes = 64;

// Takes the fields of one request and remembers the first error, so that a format reads as a list.
class FieldReader {
 public:
  // `what` begins every sentence.
  explicit FieldReader(absl::string_view what) : what_(what) {}

  const absl::Status& status() const { return status_; }

  void Fail(absl::string_view field, absl::string_view problem) {
    if (!status_.ok()) return;
    status_ = Refuse(ERROR_MALFORMED, absl::StrCat(what_, ": ", field, " ", problem));
  }

  // One integer has one form, so that nothing is read as another number than was meant.
  U256 Integer(absl::string_view field, std::string_view bytes) {
    if (bytes.size() > 32) {
      Fail(field, absl::StrCat("has ", bytes.size(), " bytes; an integer has at most 32"));
      return 0;
    }
    if (!bytes.empty() && bytes[0] == '\0') {
      Fail(field, "begins with a zero byte; an integer is written without (zero is empty)");
      return 0;
    }
    return *ethereum::U256FromBytes(bytes);
  }

  template <typename Fixed>
  Fixed Exactly(absl::string_view field, std::string_view bytes) {
    if (absl::StatusOr<Fixed> value = Fixed::FromBytes(bytes); value.ok()) return *value;
    Fail(field, absl::StrCat("must be ", Fixed::kSize, " bytes, not ", bytes.size()));
    return Fixed();
  }

  void Absent(absl::string_view field, bool absent, uint32_t type) {
    if (!absent) Fail(field, absl::StrCat("does not belong to a transaction of type ", type));
  }

 private:
  absl::string_view what_;
  absl::Status status_;
};

std::vector<ethereum::AccessListEntry> ParseAccessList(const boundary::v1::SignTransaction& request,
                                                       FieldReader& reader) {
  std::vector<ethereum::AccessListEntry> list;
  if (request.access_list_size() > kMaxAccessListEntries) {
    reader.Fail("access_list", absl::StrCat("has ", request.access_list_size(),
                                            " entries; at most ", kMaxAccessListEntries));
    return list;
  }
  int keys = 0;  // no sum can wrap: a frame of 16 MiB holds fewer than 2^24 keys
  for (const boundary::v1::AccessListEntry& from : request.access_list()) {
    keys += from.storage_keys_size();
  }
  if (keys > kMaxStorageKeys) {
    reader.Fail("access_list",
                absl::StrCat("has ", keys, " storage keys; at most ", kMaxStorageKeys));
    return list;
  }
  list.reserve(static_cast<size_t>(request.access_list_size()));
  for (const boundary::v1::AccessListEntry& from : request.access_list()) {
    ethereum::AccessListEntry& entry = list.emplace_back();
    entry.address = reader.Exactly<Address>("access_list address", from.address());
    entry.storage_keys.reserve(static_cast<size_t>(from.storage_keys_size()));
    for (const std::string& key : from.storage_keys()) {
      entry.storage_keys.push_back(reader.Exactly<Hash>("access_list storage_keys", key));
    }
  }
  return list;
}

}  // namespace

absl::StatusOr<Transaction> ParseTransaction(const boundary::v1::SignTransaction& request) {
  FieldReader reader("transaction");
  if (request.type() > 2) {
    reader.Fail("type", absl::StrCat("is ", request.type(), "; known are 0, 1 and 2"));
    return reader.status();
  }
  Transaction tx;
  tx.type = static_cast<Transaction::Type>(request.type());
  tx.chain_id = request.chain_id();
  if (tx.chain_id == 0) {
    reader.Fail("chain_id", "is 0: a transaction without one would be valid on every chain");
  }
  tx.nonce = request.nonce();
  tx.gas_limit = request.gas_limit();
  if (tx.type == Transaction::Type::kDynamicFee) {
    reader.Absent("gas_price", request.gas_price().empty(), request.type());
    tx.max_fee_per_gas = reader.Integer("max_fee_per_gas", request.max_fee_per_gas());
    tx.max_priority_fee_per_gas =
        reader.Integer("max_priority_fee_per_gas", request.max_priority_fee_per_gas());
  } else {
    tx.gas_price = reader.Integer("gas_price", request.gas_price());
    reader.Absent("max_fee_per_gas", request.max_fee_per_gas().empty(), request.type());
    reader.Absent("max_priority_fee_per_gas", request.max_priority_fee_per_gas().empty(),
                  request.type());
  }
  if (!request.to().empty()) tx.to = reader.Exactly<Address>("to", request.to());
  tx.value = reader.Integer("value", request.value());
  if (tx.type == Transaction::Type::kLegacy) {
    reader.Absent("access_list", request.access_list().empty(), request.type());
  } else {
    tx.access_list = ParseAccessList(request, reader);
  }
  if (request.data().size() > kMaxDataBytes) {
    reader.Fail("data",
                absl::StrCat("has ", request.data().size(), " bytes; at most ", kMaxDataBytes));
  }
  if (!reader.status().ok()) return reader.status();
  tx.data = request.data();
  return tx;
}

absl::StatusOr<Ticket> ParseTicket(const boundary::v1::SignTicket& request, const Address& signer,
                                   const U256& win_prob) {
  FieldReader reader("ticket");
  Ticket ticket;
  ticket.recipient = reader.Exactly<Address>("recipient", request.recipient());
  ticket.sender =
      request.sender().empty() ? signer : reader.Exactly<Address>("sender", request.sender());
  ticket.face_value = reader.Integer("face_value", request.face_value());
  // An empty one stands for the policy's, so that here alone zero is written as one zero byte.
  const bool zero = request.win_prob() == std::string_view("\0", 1);
  ticket.win_prob = request.win_prob().empty() ? win_prob
                    : zero                     ? U256(0)
                                               : reader.Integer("win_prob", request.win_prob());
  ticket.sender_nonce = reader.Integer("sender_nonce", request.sender_nonce());
  ticket.recipient_rand_hash =
      reader.Exactly<Hash>("recipient_rand_hash", request.recipient_rand_hash());
  const std::string_view aux_data = request.aux_data();
  if (aux_data.size() != kAuxDataBytes) {
    reader.Fail("aux_data",
                absl::StrCat("must be ", kAuxDataBytes, " bytes, not ", aux_data.size()));
    return reader.status();
  }
  const U256 round = *ethereum::U256FromBytes(aux_data.substr(0, 32));
  if (round > UINT64_MAX) {
    reader.Fail("aux_data", "names a creation round of 2^64 or more, which no round is");
  }
  if (!reader.status().ok()) return reader.status();
  ticket.aux_data.creation_round = static_cast<uint64_t>(round);
  ticket.aux_data.creation_round_block_hash = *Hash::FromBytes(aux_data.substr(32));
  return ticket;
}

absl::StatusOr<Message> ParseMessage(const boundary::v1::SignMessage& request) {
  if (request.message().size() > kMaxMessageBytes) {
    return Refuse(ERROR_MALFORMED, absl::StrCat("message has ", request.message().size(),
                                                " bytes; at most ", kMaxMessageBytes));
  }
  return Message{request.message()};
}

namespace {

void SignOne(const ethereum::PrivateKey& key, const Transaction& tx,
             boundary::v1::ServerFrame* out) {
  const std::string raw = ethereum::SignTransaction(tx, key).Encode();
  boundary::v1::SignedTransaction* answer = out->mutable_signed_transaction();
  answer->set_tx_hash(std::string(ethereum::Keccak256(raw).view()));
  answer->set_raw_tx(raw);
}

void SignOne(const ethereum::PrivateKey& key, const Ticket& ticket,
             boundary::v1::ServerFrame* out) {
  boundary::v1::SignedTicket* answer = out->mutable_signed_ticket();
  answer->set_ticket_hash(std::string(ticket.TicketHash().view()));
  answer->set_signature(key.Sign(ticket.SigningHash()).ToBytes65());
}

void SignOne(const ethereum::PrivateKey& key, const Message& message,
             boundary::v1::ServerFrame* out) {
  out->mutable_message_signature()->set_signature(
      key.Sign(ethereum::Eip191Hash(message.bytes)).ToBytes65());
}

}  // namespace

void Sign(const ethereum::PrivateKey& key, const Request& request, boundary::v1::ServerFrame* out) {
  std::visit([&](const auto& what) { SignOne(key, what, out); }, request);
}

}  // namespace coffer::signing
