#include <array>
#include <charconv>
#include <string>

#include "actors/host/rpc_types.h"

namespace coffer::host {
namespace {

Json::Value Array() { return Json::Value(Json::arrayValue); }

}  // namespace

std::string QuantityHex(uint64_t value) {
  std::array<char, 16> digits{};
  const std::to_chars_result end =
      std::to_chars(digits.data(), digits.data() + digits.size(), value, 16);
  return "0x" + std::string(digits.data(), end.ptr);
}

std::string QuantityHex(const ethereum::U256& value) {
  const std::string digits = ethereum::ToHex(ethereum::ToBytes32(value)).substr(2);
  const size_t first = digits.find_first_not_of('0');
  return first == std::string::npos ? "0x0" : "0x" + digits.substr(first);
}

Json::Value BlockParam(uint64_t number) { return QuantityHex(number); }

Json::Value BlockParam(BlockTag tag) {
  switch (tag) {
    case BlockTag::kLatest:
      return "latest";
    case BlockTag::kPending:
      return "pending";
    case BlockTag::kSafe:
      return "safe";
    case BlockTag::kFinalized:
      break;
  }
  return "finalized";
}

Json::Value CallObject(const CallRequest& call) {
  Json::Value object(Json::objectValue);
  object["to"] = call.to.ToHex();
  object["data"] = ethereum::ToHex(call.data);
  if (call.from) object["from"] = call.from->ToHex();
  if (call.value != 0) object["value"] = QuantityHex(call.value);
  if (call.gas) object["gas"] = QuantityHex(*call.gas);
  if (call.max_fee_per_gas) object["maxFeePerGas"] = QuantityHex(*call.max_fee_per_gas);
  if (call.max_priority_fee_per_gas) {
    object["maxPriorityFeePerGas"] = QuantityHex(*call.max_priority_fee_per_gas);
  }
  return object;
}

Json::Value CallParams(const CallRequest& call, const Json::Value& block) {
  Json::Value params = Array();
  params.append(CallObject(call));
  params.append(block);
  return params;
}

Json::Value AccountParams(const ethereum::Address& address, const Json::Value& block) {
  Json::Value params = Array();
  params.append(address.ToHex());
  params.append(block);
  return params;
}

Json::Value HashParams(const ethereum::Hash& hash) {
  Json::Value params = Array();
  params.append(hash.ToHex());
  return params;
}

Json::Value BlockParams(const Json::Value& block) {
  Json::Value params = Array();
  params.append(block);
  params.append(false);
  return params;
}

Json::Value RawTransactionParams(std::string_view raw) {
  Json::Value params = Array();
  params.append(ethereum::ToHex(raw));
  return params;
}

Json::Value LogFilterParams(const LogFilter& filter) {
  Json::Value object(Json::objectValue);
  object["fromBlock"] = QuantityHex(filter.from_block);
  object["toBlock"] = QuantityHex(filter.to_block);
  object["address"] = filter.address.ToHex();
  if (!filter.topic0.empty()) {
    Json::Value any = Array();
    for (const ethereum::Hash& topic : filter.topic0) any.append(topic.ToHex());
    object["topics"] = Array();
    object["topics"].append(any);
  }
  Json::Value params = Array();
  params.append(object);
  return params;
}

}  // namespace coffer::host
