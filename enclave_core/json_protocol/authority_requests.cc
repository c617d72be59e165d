#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/json_protocol/json_writer.h"
#include "enclave_core/json_protocol/requests.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ChainReading;
using boundary::v1::ERROR_OUT_OF_RANGE;
using boundary::v1::Event;
using ledger::ToProto;

constexpr uint32_t kMaxPayoutItems = 1000;  // the policy's max_tickets is far below
constexpr uint32_t kMaxLogs = 10'000;
constexpr uint32_t kMaxTopics = 4;
constexpr size_t kMaxLogBytes = 1u << 20;

// As compact JSON, members in the order they came in.
void WriteValue(const Value& value, JsonWriter* out) {
  switch (value.kind) {
    case Value::Kind::kNull:
      return out->Null();
    case Value::Kind::kBool:
      return out->Bool(value.boolean);
    case Value::Kind::kInteger:
    case Value::Kind::kOtherNumber:
      return out->Number(value.text);
    case Value::Kind::kString:
      return out->String(value.text);
    case Value::Kind::kArray:
      out->BeginArray();
      for (const Value* one = value.first; one != nullptr; one = one->next) WriteValue(*one, out);
      return out->EndArray();
    case Value::Kind::kObject:
      out->BeginObject();
      for (const Value* one = value.first; one != nullptr; one = one->next) {
        out->StringKey(one->key);
        WriteValue(*one, out);
      }
      return out->EndObject();
  }
}

// SHA-256 of {"metadata":...,"reason":...}, which stays with who sent it. Empty without either.
std::string ContentHash(const Fields& params) {
  const std::string_view reason = params.Text("reason", kOptional, 64 * 1024);
  const Value* const metadata = params.Object("metadata", kOptional);
  if (reason.empty() && metadata == nullptr) return {};
  JsonWriter text(256);
  text.BeginObject();
  if (metadata != nullptr) {
    text.Key("metadata");
    WriteValue(*metadata, &text);
  }
  if (!reason.empty()) text.TextMember("reason", reason);
  text.EndObject();
  return std::string(audit::Sha256(text.Take()).view());
}

// What all events have but their amount.
Event* ReadEvent(const Fields& params, bool want_root, ClientFrame* frame, Call* call) {
  boundary::v1::ApplyEvents* const out = frame->mutable_apply_events();
  out->set_want_ledger_root(want_root);
  Event* const event = out->add_events();
  call->account = std::string(params.Text("orchestrator_id", kRequired));
  event->set_account(call->account);
  event->set_recipient(params.Address("recipient", kRequired));
  call->recipient = event->recipient();
  event->set_id(std::string(params.Text("event_id", kRequired)));
  event->set_signature(params.Hex("signature", kOptional, 65));
  if (!event->signature().empty() && event->signature().size() != 65) {
    params.Bad("signature", "must be 65 bytes: r, s, v");
  }
  event->set_content_hash(ContentHash(params));
  out->set_want_audit_entries(!want_root);
  out->set_sign_audit_entries(params.Flag("sign_audit_entry", false));
  if (want_root && out->sign_audit_entries()) {
    params.Bad("sign_audit_entry", "is for credit and apply_delta, which answer with an entry");
  }
  return event;
}

void ReadCreditAmount(const Fields& params, Event* event) {
  event->set_kind(Event::KIND_CREDIT);
  const ledger::Wei amount = params.Amount("amount_wei", kRequired);
  if (amount == 0) params.Bad("amount_wei", "must be above 0", ERROR_OUT_OF_RANGE);
  ToProto(amount, event->mutable_amount());
}

void ReadDeltaAmount(const Fields& params, Event* event) {
  const SignedInteger delta = params.Delta("delta_wei");
  event->set_kind(delta.negative ? Event::KIND_ADJUST_DOWN : Event::KIND_ADJUST_UP);
  if (delta.magnitude == 0) params.Bad("delta_wei", "must not be 0", ERROR_OUT_OF_RANGE);
  const absl::StatusOr<ledger::Wei> amount = ledger::WeiFromU256(delta.magnitude);
  if (!amount.ok()) {
    params.Bad("delta_wei",
               absl::StrCat("is ", delta.negative ? "-" : "", ethereum::ToDecimal(delta.magnitude),
                            " wei; amounts are below 2^127, ", ledger::ToDecimal(ledger::kMaxWei)),
               ERROR_OUT_OF_RANGE);
    return;
  }
  ToProto(*amount, event->mutable_amount());
}

// gas, and gasPrice or both of EIP-1559's. What is signed is of type 2; a gasPrice g is the same as
// both fees being g.
void ReadFees(const Fields& tx, boundary::v1::Fees* out) {
  out->set_gas_limit(tx.Uint64("gas", kRequired));
  if (tx.Has("gasPrice")) {
    if (tx.Has("maxFeePerGas") || tx.Has("maxPriorityFeePerGas")) {
      tx.Bad("gasPrice", "and maxFeePerGas exclude each other");
    }
    const ledger::Wei price = tx.Amount("gasPrice", kRequired);
    ToProto(price, out->mutable_max_fee_per_gas());
    ToProto(price, out->mutable_max_priority_fee_per_gas());
    return;
  }
  ToProto(tx.Amount("maxFeePerGas", kRequired), out->mutable_max_fee_per_gas());
  ToProto(tx.Amount("maxPriorityFeePerGas", kRequired), out->mutable_max_priority_fee_per_gas());
}

void ReadDeposit(const Fields& fields, ChainReading* out) {
  if (!fields.Has("deposit_wei")) return out->set_deposit_unknown(true);
  ToProto(fields.Amount("deposit_wei", kRequired), out->mutable_deposit());
}

// The `tx` of the two livepeer_ methods: the old clients' template. Returns its chainId.
uint64_t ReadTemplate(const Fields& params, ChainReading* reading, boundary::v1::Fees* fees) {
  const Value* const object = params.Object("tx", kRequired);
  if (object == nullptr) return 0;
  const Fields tx = params.Inside("tx", *object);
  tx.OnlyThese({"chainId", "nonce", "gas", "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"});
  reading->set_account_nonce(tx.Uint64("nonce", kRequired));
  ReadFees(tx, fees);
  const uint64_t chain_id = tx.Uint64("chainId", kOptional);
  if (tx.Has("chainId") && chain_id == 0) tx.Bad("chainId", "must not be 0");
  return chain_id;
}

void ReadLog(const Fields& params, const Value& value, const Path& at, boundary::v1::Log* out) {
  const Fields log(value, at, params.problems());
  if (log.Flag("removed", false)) {
    log.Bad("removed", "is true: that log is not on the chain any more");
  }
  out->set_address(log.Address("address", kRequired));
  out->set_data(log.Hex("data", kOptional, kMaxLogBytes));
  const Value* const topics = log.Array("topics", kRequired, kMaxTopics);
  if (topics == nullptr) return;
  const Path topics_at{&log.path(), "topics", -1};
  int index = 0;
  for (const Value* topic = topics->first; topic != nullptr; topic = topic->next) {
    out->add_topics(log.HexExactlyOf(*topic, {&topics_at, {}, index++}, 32));
  }
}

void ReadLogs(const Fields& fields, Need need, boundary::v1::ConfirmPayout* out) {
  const Value* const logs = fields.Array("logs", need, kMaxLogs);
  if (logs == nullptr) return;
  out->set_has_logs(true);
  const Path at{&fields.path(), "logs", -1};
  int index = 0;
  for (const Value* log = logs->first; log != nullptr && fields.ok(); log = log->next) {
    ReadLog(fields, *log, {&at, {}, index++}, out->add_logs());
  }
}

// As eth_getTransactionReceipt gives it; its other members say nothing that is needed. Returns
// its status, if it has one.
std::optional<bool> ReadReceipt(const Fields& receipt, boundary::v1::ConfirmPayout* out) {
  ReadLogs(receipt, kRequired, out);
  out->set_block_number(receipt.Uint64("blockNumber", kOptional));
  out->set_block_hash(receipt.HexExactly("blockHash", kOptional, 32));
  const std::string hash = receipt.HexExactly("transactionHash", kOptional, 32);
  if (!hash.empty() && hash != out->tx_hash()) {
    receipt.Bad("transactionHash", "is not `tx_hash`: a receipt of another transaction");
  }
  if (!receipt.Has("status")) return std::nullopt;
  return receipt.Uint64("status", kRequired, 1) == 1;
}

}  // namespace

AuxData ReadAuxData(const Fields& fields, std::string_view name) {
  const std::string bytes = fields.HexExactly(name, kRequired, 64);
  if (bytes.size() != 64) return {};
  const std::string_view round = std::string_view(bytes).substr(0, 32);
  if (round.substr(0, 24).find_first_not_of('\0') != std::string_view::npos) {
    fields.Bad(name, "begins with a round of 2^64 or more");
    return {};
  }
  AuxData out;
  for (const char c : round.substr(24)) out.round = out.round << 8 | static_cast<uint8_t>(c);
  out.block_hash = bytes.substr(32);
  return out;
}

void ReadCredit(const Fields& params, ClientFrame* frame, Call* call) {
  ReadCreditAmount(params, ReadEvent(params, false, frame, call));
}

void ReadApplyDelta(const Fields& params, ClientFrame* frame, Call* call) {
  ReadDeltaAmount(params, ReadEvent(params, false, frame, call));
}

void ReadApplyEvent(const Fields& params, ClientFrame* frame, Call* call) {
  Event* const event = ReadEvent(params, true, frame, call);
  const std::string_view kind = params.Text("kind", kRequired);
  if (kind == "credit") {
    ReadCreditAmount(params, event);
  } else if (kind == "delta") {
    ReadDeltaAmount(params, event);
  } else if (!kind.empty()) {
    params.Bad("kind", "must be credit or delta");
  }
}

void ReadBalance(const Fields& params, ClientFrame* frame, Call* call) {
  call->account = std::string(params.Text("orchestrator_id", kRequired));
  frame->mutable_get_account()->set_id(call->account);
}

void ReadPrepareRedeem(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::PrepareRedeem* const out = frame->mutable_prepare_redeem();
  out->set_account(std::string(params.Text("orchestrator_id", kRequired)));
  out->set_broker(params.Address("ticket_broker", kRequired));
  AuxData aux = ReadAuxData(params, "aux_data");
  out->mutable_reading()->set_round(aux.round);
  out->mutable_reading()->set_round_block_hash(std::move(aux.block_hash));
  out->set_chain_id(ReadTemplate(params, out->mutable_reading(), out->mutable_fees()));
  ReadDeposit(params, out->mutable_reading());
  if (!params.Has("max_face_value_wei")) return;
  const ledger::Wei max = params.Limit("max_face_value_wei", 0);
  // 0 would mean "everything" to the authority.
  if (max == 0) params.Bad("max_face_value_wei", "must be above 0", ERROR_OUT_OF_RANGE);
  ToProto(max, out->mutable_max_amount());
}

void ReadPrepareFundDeposit(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::PrepareFunding* const out = frame->mutable_prepare_funding();
  out->set_strategy(boundary::v1::STRATEGY_FUND_DEPOSIT);
  out->set_broker(params.Address("ticket_broker", kRequired));
  const ledger::Wei amount = params.Amount("amount_wei", kRequired);
  if (amount == 0) params.Bad("amount_wei", "must be above 0", ERROR_OUT_OF_RANGE);
  ToProto(amount, out->mutable_amount());
  out->set_chain_id(ReadTemplate(params, out->mutable_reading(), out->mutable_fees()));
  out->mutable_reading()->set_deposit_unknown(true);
  out->set_once(true);
}

void ReadPreparePayouts(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::PreparePayout* const out = frame->mutable_prepare_payout();
  const std::string_view strategy = params.Text("strategy", kOptional);
  const bool transfer = strategy == "eth_transfer";
  if (!transfer && !strategy.empty() && strategy != "livepeer_ticket") {
    params.Bad("strategy", "must be livepeer_ticket or eth_transfer");
  }
  out->set_strategy(transfer ? boundary::v1::STRATEGY_ETH_TRANSFER
                             : boundary::v1::STRATEGY_LIVEPEER_TICKET);
  if (const Value* const items = params.Array("payouts", kRequired, kMaxPayoutItems)) {
    const Path at{&params.path(), "payouts", -1};
    int index = 0;
    for (const Value* value = items->first; value != nullptr && params.ok(); value = value->next) {
      const Fields item(*value, {&at, {}, index++}, params.problems());
      boundary::v1::PayoutRequestItem* const to = out->add_items();
      to->set_account(std::string(item.Text("orchestrator_id", kRequired)));
      if (!item.Has("amount_wei")) continue;
      const ledger::Wei amount = item.Amount("amount_wei", kRequired);
      if (amount == 0) item.Bad("amount_wei", "must be above 0", ERROR_OUT_OF_RANGE);
      ToProto(amount, to->mutable_amount());
    }
  }
  const Value* const object = params.Object("chain", kRequired);
  if (object == nullptr) return;
  const Fields chain = params.Inside("chain", *object);
  chain.OnlyThese({"chainId", "nonce", "round", "round_block_hash", "deposit_wei", "gas",
                   "gasPrice", "maxFeePerGas", "maxPriorityFeePerGas"});
  out->set_chain_id(chain.Uint64("chainId", kOptional));
  ChainReading* const reading = out->mutable_reading();
  reading->set_account_nonce(chain.Uint64("nonce", kRequired));
  const Need round = transfer ? kOptional : kRequired;
  reading->set_round(chain.Uint64("round", round));
  reading->set_round_block_hash(chain.HexExactly("round_block_hash", round, 32));
  ReadDeposit(chain, reading);
  ReadFees(chain, out->mutable_fees());
}

void ReadConfirmPayout(const Fields& params, ClientFrame* frame, Call* call) {
  boundary::v1::ConfirmPayout* const out = frame->mutable_confirm_payout();
  out->set_tx_hash(params.HexExactly("tx_hash", kRequired, 32));
  call->tx_hash = out->tx_hash();
  std::optional<bool> receipt_status;
  if (const Value* const receipt = params.Object("receipt", kOptional)) {
    if (params.Has("logs")) params.Bad("logs", "and `receipt` exclude each other");
    receipt_status = ReadReceipt(params.Inside("receipt", *receipt), out);
  } else {
    ReadLogs(params, kOptional, out);
  }
  const Need need = receipt_status.has_value() ? kOptional : kRequired;
  const bool status = params.Has("status") || need == kRequired
                          ? params.Uint64("status", need, 1) == 1
                          : *receipt_status;
  if (receipt_status.value_or(status) != status) {
    params.Bad("status", "differs from the receipt's");
  }
  out->set_succeeded(status);
  out->set_want_audit_entries(true);
  out->set_sign_audit_entries(params.Flag("sign_audit_entry", false));
}

}  // namespace coffer::json_protocol
