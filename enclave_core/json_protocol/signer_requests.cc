#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/json_protocol/requests.h"
#include "enclave_core/signing/request.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::SignTransaction;

constexpr uint64_t kTypes = 3;  // 0, 1 and 2

// As eth-account decides: the type that is named, else what the other fields imply.
uint32_t TransactionType(const Fields& tx) {
  if (tx.Has("type")) return static_cast<uint32_t>(tx.Uint64("type", kRequired, kTypes - 1));
  if (tx.Has("maxFeePerGas") || tx.Has("maxPriorityFeePerGas")) return 2;
  return tx.Has("accessList") ? 1 : 0;
}

void ReadFees(const Fields& tx, SignTransaction* out) {
  const auto foreign = [&](std::string_view name) {
    if (tx.Has(name)) tx.Bad(name, absl::StrCat("is not a field of type ", out->type()));
  };
  if (out->type() == 2) {
    out->set_max_fee_per_gas(MinimalBytes(tx.Integer("maxFeePerGas", kRequired)));
    out->set_max_priority_fee_per_gas(MinimalBytes(tx.Integer("maxPriorityFeePerGas", kRequired)));
    foreign("gasPrice");
    return;
  }
  out->set_gas_price(MinimalBytes(tx.Integer("gasPrice", kRequired)));
  foreign("maxFeePerGas");
  foreign("maxPriorityFeePerGas");
  if (out->type() == 0) foreign("accessList");
}

void ReadData(const Fields& tx, SignTransaction* out) {
  std::string data = tx.Hex("data", kOptional, signing::kMaxDataBytes);
  std::string input = tx.Hex("input", kOptional, signing::kMaxDataBytes);
  if (tx.Has("data") && tx.Has("input") && data != input) {
    tx.Bad("input", "differs from `data`; give one of them");
  }
  out->set_data(tx.Has("data") ? std::move(data) : std::move(input));
}

// One of an access list's entries: {address, storageKeys}, or [address, [keys]].
void ReadAccessListEntry(const Fields& tx, const Value& entry, const Path& at,
                         boundary::v1::AccessListEntry* out) {
  const Value* address = nullptr;
  const Value* keys = nullptr;
  if (entry.kind == Value::Kind::kObject) {
    const Fields fields(entry, at, tx.problems());
    fields.OnlyThese({"address", "storageKeys"});
    address = fields.Find("address");
    keys = fields.Find("storageKeys");
  } else if (entry.kind == Value::Kind::kArray && entry.size == 2) {
    address = entry.first;
    keys = entry.first->next;
  }
  if (address == nullptr || keys == nullptr || keys->kind != Value::Kind::kArray) {
    tx.BadAt(at, "must be {\"address\", \"storageKeys\"} or [address, [storage keys]]");
    return;
  }
  out->set_address(tx.AddressOf(*address, at));
  int index = 0;
  const Path key_at{&at, "storageKeys", -1};
  for (const Value* key = keys->first; key != nullptr; key = key->next) {
    out->add_storage_keys(tx.HexExactlyOf(*key, {&key_at, {}, index++}, 32));
  }
}

void ReadAccessList(const Fields& tx, SignTransaction* out) {
  const Value* const list = tx.Array("accessList", kOptional, signing::kMaxAccessListEntries);
  if (list == nullptr) return;
  const Path at{&tx.path(), "accessList", -1};
  int index = 0;
  int keys = 0;
  for (const Value* entry = list->first; entry != nullptr && tx.ok(); entry = entry->next) {
    ReadAccessListEntry(tx, *entry, {&at, {}, index++}, out->add_access_list());
    keys += out->access_list(index - 1).storage_keys_size();
  }
  if (keys > signing::kMaxStorageKeys) {
    tx.Bad("accessList", absl::StrCat("has ", keys, " storage keys; at most ",
                                      signing::kMaxStorageKeys, " are taken"));
  }
}

}  // namespace

void ReadSignTransaction(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  const Value* const object = params.Object("tx", kRequired);
  if (object == nullptr) return;
  const Fields tx = params.Inside("tx", *object);
  tx.OnlyThese({"chainId", "nonce", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas", "to",
                "value", "data", "input", "accessList", "type"});
  SignTransaction* const out = frame->mutable_sign_transaction();
  out->set_type(TransactionType(tx));
  out->set_chain_id(tx.Uint64("chainId", kRequired));
  out->set_nonce(tx.Uint64("nonce", kRequired));
  out->set_gas_limit(tx.Uint64("gas", kRequired));
  ReadFees(tx, out);
  const Value* const to = tx.Find("to");
  const bool creation =
      to == nullptr || (to->kind == Value::Kind::kString && (to->text.empty() || to->text == "0x"));
  if (!creation) out->set_to(tx.AddressOf(*to, {&tx.path(), "to", -1}));
  out->set_value(MinimalBytes(tx.Integer("value", kOptional)));
  ReadData(tx, out);
  ReadAccessList(tx, out);
}

void ReadSignMessageDefunct(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_sign_message()->set_message(
      params.Hex("message_hash", kRequired, signing::kMaxMessageBytes));
}

void ReadSignTicket(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  const Value* const object = params.Object("ticket", kRequired);
  if (object == nullptr) return;
  const Fields ticket = params.Inside("ticket", *object);
  ticket.OnlyThese({"recipient", "sender", "faceValue", "face_value", "winProb", "win_prob",
                    "senderNonce", "sender_nonce", "recipientRandHash", "recipient_rand_hash",
                    "auxData", "aux_data"});
  boundary::v1::SignTicket* const out = frame->mutable_sign_ticket();
  out->set_recipient(ticket.Address("recipient", kRequired));
  out->set_sender(ticket.Address("sender", kOptional));
  out->set_face_value(
      MinimalBytes(ticket.Integer(ticket.Either("faceValue", "face_value"), kRequired)));
  const std::string_view win_prob = ticket.Either("winProb", "win_prob");
  if (ticket.Has(win_prob)) {
    // An empty win_prob means the policy's, so that a winProb of 0 keeps one byte.
    const std::string bytes = MinimalBytes(ticket.Integer(win_prob, kRequired));
    out->set_win_prob(bytes.empty() ? std::string(1, '\0') : bytes);
  }
  out->set_sender_nonce(
      MinimalBytes(ticket.Integer(ticket.Either("senderNonce", "sender_nonce"), kRequired)));
  out->set_recipient_rand_hash(
      ticket.HexExactly(ticket.Either("recipientRandHash", "recipient_rand_hash"), kRequired, 32));
  out->set_aux_data(ticket.HexExactly(ticket.Either("auxData", "aux_data"), kRequired, 64));
}

}  // namespace coffer::json_protocol
