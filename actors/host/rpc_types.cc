#include "actors/host/rpc_types.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

using ethereum::U256;

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

// The status with the field's name before its text.
absl::Status In(const char* field, const absl::Status& status) {
  return Wrong(absl::StrCat(field, ": ", std::string{status.message()}));
}

// jsoncpp throws on a wrong type, so every access is asked for first. The view lives in `value`.
std::optional<std::string_view> Text(const Json::Value& value) {
  const char* begin = nullptr;
  const char* end = nullptr;
  if (!value.isString() || !value.getString(&begin, &end)) return std::nullopt;
  return std::string_view(begin, static_cast<size_t>(end - begin));
}

bool IsHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

// The digits after "0x", all of them hex.
absl::StatusOr<std::string_view> HexDigits(const Json::Value& value) {
  const std::optional<std::string_view> text = Text(value);
  if (!text) return Wrong("a 0x string was expected, and there is none");
  if (text->substr(0, 2) != "0x") return Wrong("a string that begins with 0x was expected");
  const std::string_view digits = text->substr(2);
  const auto bad = std::find_if_not(digits.begin(), digits.end(), IsHexDigit);
  if (bad != digits.end()) {
    return Wrong(absl::StrCat("character ", bad - digits.begin() + 2, " is not a hex digit"));
  }
  return digits;
}

absl::StatusOr<std::string_view> QuantityDigits(const Json::Value& value, size_t max_digits) {
  absl::StatusOr<std::string_view> digits = HexDigits(value);
  if (!digits.ok()) return digits;
  if (digits->empty()) return Wrong("a quantity without digits; zero is 0x0");
  if (digits->size() > 1 && digits->front() == '0') return Wrong("a quantity with leading zeros");
  if (digits->size() > max_digits) {
    return Wrong(absl::StrCat("a quantity above ", max_digits * 4, " bits"));
  }
  return digits;
}

template <typename Fixed>
absl::StatusOr<Fixed> ParseFixed(const Json::Value& value) {
  const absl::StatusOr<std::string_view> digits = HexDigits(value);
  if (!digits.ok()) return digits.status();
  if (digits->size() != 2 * Fixed::kSize) {
    return Wrong(
        absl::StrCat(Fixed::kSize, " bytes were expected, there are ", digits->size(), " digits"));
  }
  return Fixed::FromHex(*digits);
}

// Reads fields of one object; the first error is kept and later reads do nothing.
class Fields {
 public:
  explicit Fields(const Json::Value& object) : object_(object) {
    if (!object.isObject()) status_ = Wrong("an object was expected");
  }

  // Null when there is none.
  const Json::Value& At(const char* name) const {
    return object_.isObject() ? object_[name] : Json::Value::nullSingleton();
  }

  template <typename T, typename Parse>
  void Read(const char* name, Parse parse, T* out) {
    if (!status_.ok()) return;
    absl::StatusOr<T> value = parse(At(name));
    if (value.ok()) {
      *out = *std::move(value);
    } else {
      status_ = In(name, value.status());
    }
  }

  void Refuse(bool broken, const char* why) {
    if (status_.ok() && broken) status_ = Wrong(why);
  }

  const absl::Status& status() const { return status_; }

 private:
  const Json::Value& object_;
  absl::Status status_;
};

absl::StatusOr<std::vector<ethereum::Hash>> ParseTopics(const Json::Value& value) {
  if (!value.isArray()) return Wrong("an array was expected");
  if (value.size() > 4)
    return Wrong(absl::StrCat(value.size(), " topics, and a log has at most 4"));
  std::vector<ethereum::Hash> topics;
  topics.reserve(value.size());
  for (const Json::Value& one : value) {
    absl::StatusOr<ethereum::Hash> topic = ParseHash(one);
    if (!topic.ok()) return topic.status();
    topics.push_back(*topic);
  }
  return topics;
}

absl::StatusOr<FoundLog> ParseLog(const Json::Value& value) {
  FoundLog found;
  Fields fields(value);
  const auto data = [](const Json::Value& v) { return ParseData(v); };
  fields.Read("address", ParseAddress, &found.log.address);
  fields.Read("topics", ParseTopics, &found.log.topics);
  fields.Read("data", data, &found.log.data);
  fields.Read("logIndex", ParseQuantity, &found.log.log_index);
  fields.Read("blockNumber", ParseQuantity, &found.block_number);
  fields.Read("blockHash", ParseHash, &found.block_hash);
  fields.Read("transactionHash", ParseHash, &found.tx_hash);
  const Json::Value& removed = fields.At("removed");
  fields.Refuse(!removed.isNull() && !(removed.isBool() && !removed.asBool()),
                "removed: the log was taken back by a reorganisation");
  if (!fields.status().ok()) return fields.status();
  return found;
}

absl::StatusOr<std::vector<ethereum::Log>> ParseReceiptLogs(const Json::Value& value,
                                                            const Receipt& receipt) {
  absl::StatusOr<std::vector<FoundLog>> found = ParseLogs(value);
  if (!found.ok()) return found.status();
  std::vector<ethereum::Log> logs;
  logs.reserve(found->size());
  for (FoundLog& one : *found) {
    if (one.tx_hash != receipt.tx_hash || one.block_hash != receipt.block_hash ||
        one.block_number != receipt.block_number) {
      return Wrong(absl::StrCat("log ", logs.size(),
                                " names another transaction or block than its receipt"));
    }
    logs.push_back(std::move(one.log));
  }
  return logs;
}

absl::StatusOr<bool> ParseReceiptStatus(const Json::Value& value) {
  const absl::StatusOr<uint64_t> status = ParseQuantity(value);
  if (!status.ok()) return status.status();
  if (*status > 1) return Wrong(absl::StrCat("0 or 1 was expected, not ", *status));
  return *status == 1;
}

}  // namespace

absl::StatusOr<uint64_t> ParseQuantity(const Json::Value& value) {
  const absl::StatusOr<std::string_view> digits = QuantityDigits(value, 16);
  if (!digits.ok()) return digits.status();
  uint64_t out = 0;
  for (const char c : *digits) {
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    out = (out << 4) | static_cast<uint64_t>(digit);
  }
  return out;
}

absl::StatusOr<U256> ParseQuantityU256(const Json::Value& value) {
  const absl::StatusOr<std::string_view> digits = QuantityDigits(value, 64);
  if (!digits.ok()) return digits.status();
  return ethereum::U256FromString("0x" + std::string(*digits));
}

absl::StatusOr<std::string> ParseData(const Json::Value& value, size_t max_bytes) {
  const absl::StatusOr<std::string_view> digits = HexDigits(value);
  if (!digits.ok()) return digits.status();
  if (digits->size() % 2 != 0) return Wrong("an odd number of hex digits");
  if (digits->size() / 2 > max_bytes) {
    return Wrong(absl::StrCat(digits->size() / 2, " bytes, and ", max_bytes, " are the most"));
  }
  return ethereum::FromHex(*digits);
}

absl::StatusOr<ethereum::Hash> ParseHash(const Json::Value& value) {
  return ParseFixed<ethereum::Hash>(value);
}

absl::StatusOr<ethereum::Address> ParseAddress(const Json::Value& value) {
  return ParseFixed<ethereum::Address>(value);
}

absl::StatusOr<std::optional<Receipt>> ParseReceipt(const Json::Value& value) {
  if (value.isNull()) return std::optional<Receipt>();
  Receipt receipt;
  Fields fields(value);
  fields.Read("transactionHash", ParseHash, &receipt.tx_hash);
  fields.Read("status", ParseReceiptStatus, &receipt.succeeded);
  fields.Read("blockNumber", ParseQuantity, &receipt.block_number);
  fields.Read("blockHash", ParseHash, &receipt.block_hash);
  fields.Read("gasUsed", ParseQuantity, &receipt.gas_used);
  fields.Read("effectiveGasPrice", ParseQuantityU256, &receipt.effective_gas_price);
  fields.Read("from", ParseAddress, &receipt.from);
  const auto logs = [&receipt](const Json::Value& v) { return ParseReceiptLogs(v, receipt); };
  fields.Read("logs", logs, &receipt.logs);
  fields.Refuse(!receipt.succeeded && !receipt.logs.empty(),
                "logs: a reverted transaction has none, and here are some");
  if (!fields.status().ok()) return In("receipt", fields.status());
  return std::optional<Receipt>(std::move(receipt));
}

absl::StatusOr<std::optional<Block>> ParseBlock(const Json::Value& value) {
  if (value.isNull()) return std::optional<Block>();
  Block block;
  Fields fields(value);
  fields.Read("number", ParseQuantity, &block.number);
  fields.Read("hash", ParseHash, &block.hash);
  fields.Read("parentHash", ParseHash, &block.parent_hash);
  fields.Read("gasLimit", ParseQuantity, &block.gas_limit);
  fields.Read("timestamp", ParseQuantity, &block.timestamp);
  if (!fields.At("baseFeePerGas").isNull()) {
    U256 base_fee;
    fields.Read("baseFeePerGas", ParseQuantityU256, &base_fee);
    block.base_fee_per_gas = base_fee;
  }
  if (!fields.status().ok()) return In("block", fields.status());
  return std::optional<Block>(std::move(block));
}

absl::StatusOr<std::vector<FoundLog>> ParseLogs(const Json::Value& value) {
  if (!value.isArray()) return Wrong("an array of logs was expected");
  if (value.size() > kMaxLogsInAnswer) {
    return Wrong(absl::StrCat(value.size(), " logs, and ", kMaxLogsInAnswer,
                              " are the most; ask for fewer blocks"));
  }
  std::vector<FoundLog> logs;
  logs.reserve(value.size());
  for (const Json::Value& one : value) {
    absl::StatusOr<FoundLog> log = ParseLog(one);
    if (!log.ok()) return In(absl::StrCat("log ", logs.size()).c_str(), log.status());
    logs.push_back(*std::move(log));
  }
  return logs;
}

}  // namespace coffer::host
