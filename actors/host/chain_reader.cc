#include "actors/host/chain_reader.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/rpc_types.h"
#include "enclave_core/ledger/wei.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

using ethereum::Address;

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Within(std::string_view what, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(View(what), ": ", status.message()));
}

absl::Status TakeWei(const absl::StatusOr<ethereum::U256>& amount, absl::uint128* out) {
  if (!amount.ok()) return amount.status();
  const absl::StatusOr<ledger::Wei> wei = ledger::WeiFromU256(*amount);
  if (!wei.ok()) return wei.status();
  *out = *wei;
  return absl::OkStatus();
}

absl::Status TakeBool(std::string_view data, bool* out) {
  const absl::StatusOr<bool> value = ethereum::DecodeBool(data);
  if (value.ok()) *out = *value;
  return value.status();
}

absl::Status TakeAddress(std::string_view data, Address* out) {
  const absl::StatusOr<Address> value = ethereum::DecodeAddress(data);
  if (!value.ok()) return value.status();
  if (value->IsZero()) return absl::NotFoundError("the null address: there is no such contract");
  *out = *value;
  return absl::OkStatus();
}

}  // namespace

struct ChainReader::Reading {
  ChainQuery query;
  Done done;
  ChainState state;
  Address controller;
  size_t waiting = 0;
  absl::Status status;
  void (ChainReader::*next)() = nullptr;
};

ChainReader::ChainReader(ChainClient* chain) : chain_(chain) {}
ChainReader::~ChainReader() = default;

void ChainReader::Read(const ChainQuery& query, Done done) {
  COFFER_CHECK(reading_ == nullptr, "one reading of the chain at a time");
  reading_ = std::make_shared<Reading>();
  reading_->query = query;
  reading_->done = std::move(done);
  Stage(&ChainReader::AskBlocks);
}

void ChainReader::Stage(void (ChainReader::*ask)()) {
  reading_->next = nullptr;
  (this->*ask)();
}

void ChainReader::Ask(std::string method, Json::Value params, std::string_view what, Take take) {
  ++reading_->waiting;
  chain_->Call(std::move(method), std::move(params),
               [this, weak = std::weak_ptr<Reading>(reading_), what = std::string(what),
                take = std::move(take)](absl::StatusOr<RpcAnswer> answer) mutable {
                 const std::shared_ptr<Reading> reading = weak.lock();
                 if (reading == nullptr) return;
                 absl::Status status = answer.status();
                 if (status.ok() && answer->refused) {
                   status = absl::UnavailableError(
                       absl::StrCat("the node refused: ", answer->error.message));
                 }
                 if (status.ok()) status = take(answer->result);
                 if (!status.ok() && reading->status.ok()) reading->status = Within(what, status);
                 if (--reading->waiting != 0) return;
                 if (reading->status.ok() && reading->next != nullptr) {
                   Stage(reading->next);
                 } else {
                   Finish();
                 }
               });
}

void ChainReader::EthCall(const Address& to, std::string data, std::string_view what,
                          absl::AnyInvocable<absl::Status(std::string_view)> take) {
  CallRequest call;
  call.to = to;
  call.data = std::move(data);
  Ask("eth_call", CallParams(call, BlockParam(reading_->state.number)), what,
      [take = std::move(take)](const Json::Value& result) mutable {
        const absl::StatusOr<std::string> bytes = ParseData(result);
        return bytes.ok() ? take(*bytes) : bytes.status();
      });
}

void ChainReader::AskBlocks() {
  ChainState* const state = &reading_->state;
  const ChainQuery& query = reading_->query;
  using Finality = PayoutDriverOptions::Finality;
  const bool by_number = query.finality == Finality::kConfirmations;
  const uint64_t depth = std::max<uint64_t>(query.confirmations, 1) - 1;
  Ask("eth_chainId", Json::Value(Json::arrayValue), "the chain id",
      [state](const Json::Value& result) {
        const absl::StatusOr<uint64_t> id = ParseQuantity(result);
        if (id.ok()) state->chain_id = *id;
        return id.status();
      });
  Ask("eth_getBlockByNumber", BlockParams(BlockParam(BlockTag::kLatest)), "the latest block",
      [state, by_number, depth](const Json::Value& result) {
        const absl::StatusOr<std::optional<Block>> block = ParseBlock(result);
        if (!block.ok()) return block.status();
        if (!block->has_value()) return absl::NotFoundError("the node has none");
        state->number = (*block)->number;
        state->hash = (*block)->hash;
        state->block_gas_limit = (*block)->gas_limit;
        if (by_number) state->confirmed = state->number - std::min(depth, state->number);
        return TakeWei((*block)->base_fee_per_gas.value_or(0), &state->base_fee);
      });
  if (!by_number) {
    const BlockTag tag = query.finality == Finality::kSafe ? BlockTag::kSafe : BlockTag::kFinalized;
    Ask("eth_getBlockByNumber", BlockParams(BlockParam(tag)), "the safe or finalized block",
        [state](const Json::Value& result) {
          const absl::StatusOr<std::optional<Block>> block = ParseBlock(result);
          if (!block.ok()) return block.status();
          // A young chain has none: then nothing is believed yet.
          state->confirmed = block->has_value() ? (*block)->number : 0;
          return absl::OkStatus();
        });
  }
  reading_->next = &ChainReader::AskAccount;
}

void ChainReader::AskAccount() {
  ChainState* const state = &reading_->state;
  const ChainQuery& query = reading_->query;
  const Json::Value block = BlockParam(state->number);
  Ask("eth_getTransactionCount", AccountParams(query.address, block), "the nonce",
      [state](const Json::Value& result) {
        const absl::StatusOr<uint64_t> nonce = ParseQuantity(result);
        if (nonce.ok()) state->nonce = *nonce;
        return nonce.status();
      });
  Ask("eth_getBalance", AccountParams(query.address, block), "the balance",
      [state](const Json::Value& result) {
        return TakeWei(ParseQuantityU256(result), &state->balance);
      });
  if (!query.with_broker) return;
  EthCall(query.broker, ethereum::EncodeGetSenderInfo(query.address), "getSenderInfo",
          [state](std::string_view data) {
            const absl::StatusOr<ethereum::SenderInfo> info = ethereum::DecodeSenderInfo(data);
            if (!info.ok()) return info.status();
            state->withdraw_round = info->withdraw_round;
            absl::Status status = TakeWei(info->deposit, &state->deposit);
            if (status.ok()) status = TakeWei(info->reserve_funds_remaining, &state->reserve);
            return status;
          });
  EthCall(query.broker, ethereum::EncodeController(), "the broker's controller",
          [out = &reading_->controller](std::string_view data) { return TakeAddress(data, out); });
  reading_->next = &ChainReader::AskContracts;
}

void ChainReader::AskContracts() {
  ChainState* const state = &reading_->state;
  EthCall(reading_->controller, ethereum::EncodePaused(), "the controller's paused()",
          [state](std::string_view data) { return TakeBool(data, &state->paused); });
  EthCall(reading_->controller, ethereum::EncodeGetContract("RoundsManager"),
          "the address of the RoundsManager",
          [out = &state->rounds_manager](std::string_view data) { return TakeAddress(data, out); });
  reading_->next = &ChainReader::AskRound;
}

void ChainReader::AskRound() {
  ChainState* const state = &reading_->state;
  const Address rounds = state->rounds_manager;
  EthCall(rounds, ethereum::EncodeCurrentRoundInitialized(), "currentRoundInitialized",
          [state](std::string_view data) { return TakeBool(data, &state->round_initialized); });
  // Asks for the block hash as soon as the round is known, within this stage.
  EthCall(rounds, ethereum::EncodeCurrentRound(), "currentRound",
          [this, state, rounds](std::string_view data) {
            const absl::StatusOr<ethereum::U256> round = ethereum::DecodeUint(data);
            if (!round.ok()) return round.status();
            if (*round > UINT64_MAX / 2) return absl::OutOfRangeError("beyond any real round");
            state->round = static_cast<uint64_t>(*round);
            state->has_broker = true;
            EthCall(rounds, ethereum::EncodeBlockHashForRound(state->round), "blockHashForRound",
                    [state](std::string_view answer) {
                      const absl::StatusOr<ethereum::Hash> hash = ethereum::DecodeBytes32(answer);
                      if (hash.ok()) state->round_block_hash = *hash;
                      return hash.status();
                    });
            return absl::OkStatus();
          });
}

void ChainReader::Finish() {
  const std::shared_ptr<Reading> reading = std::move(reading_);
  reading_ = nullptr;
  if (reading->status.ok()) {
    reading->done(std::move(reading->state));
  } else {
    reading->done(std::move(reading->status));
  }
}

}  // namespace coffer::host
