#include "tests/sim/chain/node_rpc.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coffer::sim::chain {
namespace {

Json::Value Hex(const U256& value) {
  const std::string digits = ethereum::ToHex(ethereum::ToBytes32(value)).substr(2);
  const size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0x0" : "0x" + digits.substr(first);
}

std::optional<uint64_t> Quantity(const Json::Value& value) {
  uint64_t number = 0;
  if (!value.isString() || !absl::SimpleHexAtoi(value.asString(), &number)) return std::nullopt;
  return number;
}

template <typename Fixed>
Fixed FixedOf(const Json::Value& value) {
  const auto fixed = Fixed::FromHex(value.isString() ? value.asString() : std::string());
  return fixed.ok() ? *fixed : Fixed();
}

std::string DataOf(const Json::Value& value) {
  const auto data = ethereum::FromHex(value.isString() ? value.asString() : std::string());
  return data.ok() ? *data : std::string();
}

Json::Value Result(Json::Value result) {
  Json::Value answer(Json::objectValue);
  answer["result"] = std::move(result);
  return answer;
}

Json::Value Error(int64_t code, const std::string& message) {
  Json::Value answer(Json::objectValue);
  answer["error"]["code"] = static_cast<Json::Int64>(code);
  answer["error"]["message"] = message;
  return answer;
}

// As geth says it: Error(string) in the data.
Json::Value Reverted(const std::string& reason) {
  if (reason.empty()) return Error(-32000, "execution reverted");
  Json::Value answer = Error(3, "execution reverted: " + reason);
  std::string data = *ethereum::FromHex("08c379a0") + ethereum::ToBytes32(32) +
                     ethereum::ToBytes32(reason.size()) + reason;
  data.resize(4 + (data.size() - 4 + 31) / 32 * 32, '\0');
  answer["error"]["data"] = ethereum::ToHex(data);
  return answer;
}

Json::Value HeaderNotFound() { return Error(-32000, "header not found"); }

Json::Value LogJson(const ethereum::Log& log, const Receipt& receipt) {
  Json::Value json(Json::objectValue);
  json["address"] = log.address.ToHex();
  json["topics"] = Json::Value(Json::arrayValue);
  for (const Hash& topic : log.topics) json["topics"].append(topic.ToHex());
  json["data"] = ethereum::ToHex(log.data);
  json["logIndex"] = Hex(log.log_index);
  json["blockNumber"] = Hex(receipt.block_number);
  json["blockHash"] = receipt.block_hash.ToHex();
  json["transactionHash"] = receipt.tx_hash.ToHex();
  json["transactionIndex"] = Hex(receipt.index);
  json["removed"] = false;
  return json;
}

Json::Value ReceiptJson(const Receipt& receipt) {
  Json::Value json(Json::objectValue);
  json["transactionHash"] = receipt.tx_hash.ToHex();
  json["transactionIndex"] = Hex(receipt.index);
  json["blockNumber"] = Hex(receipt.block_number);
  json["blockHash"] = receipt.block_hash.ToHex();
  json["from"] = receipt.from.ToHex();
  json["to"] = receipt.to ? Json::Value(receipt.to->ToHex()) : Json::Value();
  json["status"] = receipt.succeeded ? "0x1" : "0x0";
  json["gasUsed"] = Hex(receipt.gas_used);
  json["effectiveGasPrice"] = Hex(receipt.effective_gas_price);
  json["type"] = "0x2";
  json["contractAddress"] = Json::Value();
  json["logs"] = Json::Value(Json::arrayValue);
  for (const ethereum::Log& log : receipt.logs) json["logs"].append(LogJson(log, receipt));
  return json;
}

// One topic of a filter: null, one hash, or any of several.
bool TopicMatches(const Json::Value& wanted, const Hash& topic) {
  if (wanted.isNull()) return true;
  if (wanted.isString()) return FixedOf<Hash>(wanted) == topic;
  return wanted.empty() || std::any_of(wanted.begin(), wanted.end(), [&](const Json::Value& one) {
           return FixedOf<Hash>(one) == topic;
         });
}

bool LogMatches(const Json::Value& filter, const ethereum::Log& log) {
  if (filter.isMember("address") && FixedOf<Address>(filter["address"]) != log.address) {
    return false;
  }
  const Json::Value& topics = filter["topics"];
  if (!topics.isArray()) return true;
  if (topics.size() > log.topics.size()) return false;
  for (Json::ArrayIndex i = 0; i < topics.size(); ++i) {
    if (!TopicMatches(topics[i], log.topics[i])) return false;
  }
  return true;
}

// The same refusal in the words of geth (empty: RefusalText), nethermind and besu.
struct Wording {
  Refusal refusal;
  std::array<const char*, 2> text;
};
constexpr Wording kWordings[] = {
    {Refusal::kAlreadyKnown, {"AlreadyKnown", "Known transaction"}},
    {Refusal::kNonceTooLow, {"OldNonce, Current nonce: 9", "NONCE_TOO_LOW"}},
    {Refusal::kNonceTooHigh, {"NonceGap, Future nonce", "NONCE_TOO_FAR_IN_FUTURE_FOR_SENDER"}},
    {Refusal::kUnderpricedReplacement,
     {"ReplacementNotAllowed", "TRANSACTION_REPLACEMENT_UNDERPRICED"}},
    {Refusal::kInsufficientFunds,
     {"InsufficientFunds, Balance is too low", "UPFRONT_COST_EXCEEDS_BALANCE"}},
    {Refusal::kBelowBaseFee,
     {"FeeTooLow, MaxFeePerGas too low", "gasPrice is less than the current BaseFee"}},
};

}  // namespace

uint64_t NodeRpc::head() const {
  const uint64_t first = chain_.options().first_block;
  return chain_.height() - std::min(mood_.lag, chain_.height() - first);
}

std::optional<uint64_t> NodeRpc::BlockNumber(const Json::Value& value) const {
  const std::string tag = value.isString() ? value.asString() : "latest";
  if (tag == "latest" || tag == "pending") return head();
  if (tag == "safe") return std::min(chain_.safe(), head());
  if (tag == "finalized") return std::min(chain_.finalized(), head());
  if (tag == "earliest") return chain_.options().first_block;
  const std::optional<uint64_t> number = Quantity(value);
  if (!number || *number > head() || chain_.FindBlock(*number) == nullptr) return std::nullopt;
  return number;
}

Json::Value NodeRpc::Answer(const Json::Value& call, bool* known) {
  if (mood_.rate_limits) return Error(-32005, "daily request count exceeded, request rate limited");
  const std::string method = call["method"].isString() ? call["method"].asString() : "";
  Json::Value answer = Dispatch(method, call["params"]);
  *known = !answer.isNull();
  if (answer.isNull()) {
    return Error(-32601, absl::StrCat("the method ", method, " does not exist/is not available"));
  }
  return answer;
}

Json::Value NodeRpc::Dispatch(const std::string& method, const Json::Value& params) {
  const auto param = [&](Json::ArrayIndex i) {
    return params.isArray() && params.size() > i ? params[i] : Json::Value();
  };
  if (method == "eth_chainId") return Result(Hex(mood_.chain_id));
  if (method == "net_version") return Result(std::to_string(mood_.chain_id));
  if (method == "web3_clientVersion") return Result("coffer-sim/1");
  if (method == "eth_blockNumber") return Result(Hex(head()));
  if (method == "eth_maxPriorityFeePerGas") return Result("0x0");
  if (method == "eth_gasPrice") return Result(Hex(chain_.FindBlock(head())->base_fee));
  if (method == "eth_sendRawTransaction") return SendRaw(params);
  if (method == "eth_call") return EthCall(params);
  if (method == "eth_estimateGas") return EstimateGas(params);
  if (method == "eth_getLogs") return GetLogs(param(0));
  if (method == "eth_getTransactionReceipt") return GetReceipt(param(0));
  if (method == "eth_getTransactionByHash") return GetTransaction(param(0));
  if (method == "eth_getBlockByHash") {
    return Result(BlockJson(chain_.FindBlock(FixedOf<Hash>(param(0)))));
  }
  const bool about_account = method == "eth_getTransactionCount" || method == "eth_getBalance";
  if (!about_account && method != "eth_getBlockByNumber") return {};
  const std::optional<uint64_t> block = BlockNumber(param(about_account ? 1 : 0));
  if (!about_account) {
    return Result(block ? BlockJson(chain_.FindBlock(*block)) : Json::Value());
  }
  if (!block) return HeaderNotFound();
  const auto account = FixedOf<Address>(param(0));
  if (method == "eth_getBalance") return Result(Hex(chain_.BalanceAt(account, *block)));
  if (param(1) == "pending") return Result(Hex(chain_.PendingNonce(account)));
  return Result(Hex(chain_.NonceAt(account, *block)));
}

Json::Value NodeRpc::SendRaw(const Json::Value& params) {
  const std::string raw = DataOf(params.isArray() ? params[0] : Json::Value());
  if (mood_.forgets) {
    chain_.Overhear(raw);
    return Result(ethereum::Keccak256(raw).ToHex());
  }
  const Refusal refusal = chain_.Submit(raw);
  if (refusal != Refusal::kNone) return Refuse(refusal);
  if (mood_.odd_refusal == 1) return Refuse(Refusal::kAlreadyKnown);
  if (mood_.odd_refusal == 2) return Refuse(Refusal::kNonceTooLow);
  return Result(ethereum::Keccak256(raw).ToHex());
}

Json::Value NodeRpc::Refuse(Refusal refusal) const {
  const uint32_t whose = mood_.wording % 3;
  for (const Wording& wording : kWordings) {
    if (wording.refusal == refusal && whose > 0) return Error(-32000, wording.text[whose - 1]);
  }
  return Error(-32000, std::string(RefusalText(refusal)));
}

Json::Value NodeRpc::EthCall(const Json::Value& params) {
  if (!params.isArray() || !params[0].isObject()) return Error(-32602, "missing value");
  const std::optional<uint64_t> block = BlockNumber(params[1]);
  if (!block) return HeaderNotFound();
  const BrokerModel::ReadAnswer answer =
      chain_.Call(FixedOf<Address>(params[0]["to"]), DataOf(params[0]["data"]), *block);
  return answer.reverted ? Reverted("") : Result(ethereum::ToHex(answer.data));
}

Json::Value NodeRpc::EstimateGas(const Json::Value& params) {
  if (!params.isArray() || !params[0].isObject()) return Error(-32602, "missing value");
  const Json::Value& call = params[0];
  if (!params[1].isNull() && !BlockNumber(params[1])) return HeaderNotFound();
  const auto value = ethereum::U256FromString(call.get("value", "0x0").asString());
  if (!value.ok()) return Error(-32602, "invalid value");
  const ChainModel::Estimate estimate = chain_.EstimateGas(
      FixedOf<Address>(call["from"]), FixedOf<Address>(call["to"]), *value, DataOf(call["data"]));
  if (!estimate.reverted) return Result(Hex(estimate.gas));
  if (estimate.revert == RefusalText(Refusal::kInsufficientFunds)) {
    return Error(-32000, estimate.revert);
  }
  return Reverted(estimate.revert);
}

Json::Value NodeRpc::GetLogs(const Json::Value& filter) {
  const std::optional<uint64_t> from = Quantity(filter["fromBlock"]);
  const std::optional<uint64_t> to = Quantity(filter["toBlock"]);
  if (!from || !to || *from > *to) return Error(-32602, "invalid block range params");
  if (mood_.max_log_range > 0 && *to - *from >= mood_.max_log_range) {
    return Error(-32005,
                 absl::StrCat("block range too wide, at most ", mood_.max_log_range, " blocks"));
  }
  Json::Value logs(Json::arrayValue);
  const uint64_t last = std::min(*to, head());
  for (uint64_t n = std::max(*from, chain_.options().first_block); n <= last; ++n) {
    for (const Receipt& receipt : chain_.ReceiptsOf(n)) {
      for (const ethereum::Log& log : receipt.logs) {
        if (LogMatches(filter, log)) logs.append(LogJson(log, receipt));
      }
    }
  }
  return Result(std::move(logs));
}

Json::Value NodeRpc::GetReceipt(const Json::Value& hash) {
  const auto tx_hash = FixedOf<Hash>(hash);
  if (mood_.contradictory) {
    const Receipt* orphan = chain_.FindOrphan(tx_hash);
    return Result(orphan == nullptr ? Json::Value() : ReceiptJson(*orphan));
  }
  const Receipt* receipt = chain_.FindReceipt(tx_hash);
  const bool there = receipt != nullptr && receipt->block_number <= head();
  return Result(there ? ReceiptJson(*receipt) : Json::Value());
}

Json::Value NodeRpc::GetTransaction(const Json::Value& hash) {
  const auto tx_hash = FixedOf<Hash>(hash);
  const Receipt* receipt = chain_.FindReceipt(tx_hash);
  const bool there = receipt != nullptr && receipt->block_number <= head();
  const Submission* submission = chain_.FindSubmission(tx_hash);
  if (submission == nullptr || (!there && !chain_.Pending(tx_hash))) return Result(Json::Value());
  Json::Value json(Json::objectValue);
  json["hash"] = tx_hash.ToHex();
  json["from"] = submission->from.ToHex();
  json["nonce"] = Hex(submission->tx.transaction.nonce);
  json["blockNumber"] = there ? Hex(receipt->block_number) : Json::Value();
  json["blockHash"] = there ? Json::Value(receipt->block_hash.ToHex()) : Json::Value();
  return Result(std::move(json));
}

Json::Value NodeRpc::BlockJson(const ModelBlock* block) const {
  if (block == nullptr || block->number > head()) return {};
  Json::Value json(Json::objectValue);
  json["number"] = Hex(block->number);
  json["hash"] = block->hash.ToHex();
  json["parentHash"] = block->parent_hash.ToHex();
  json["timestamp"] = Hex(block->timestamp);
  json["baseFeePerGas"] = Hex(block->base_fee);
  json["gasLimit"] = Hex(chain_.options().block_gas_limit);
  json["gasUsed"] = Hex(block->gas_used);
  json["transactions"] = Json::Value(Json::arrayValue);
  for (const Hash& hash : block->transactions) json["transactions"].append(hash.ToHex());
  return json;
}

}  // namespace coffer::sim::chain
