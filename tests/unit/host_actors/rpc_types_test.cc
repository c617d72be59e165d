#include "actors/host/rpc_types.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/host_actors/json_text.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

std::string Repeat(const std::string& byte, int n) {
  std::string out = "0x";
  for (int i = 0; i < n; ++i) out += byte;
  return out;
}

const std::string kTx = Repeat("aa", 32);
const std::string kBlock = Repeat("bb", 32);
const std::string kBroker = Repeat("b0", 20);

Json::Value LogJson() {
  Json::Value log = J(R"({"topics":[],"data":"0x0102","logIndex":"0x3","blockNumber":"0x10",
                          "removed":false})");
  log["address"] = kBroker;
  log["topics"].append(Repeat("11", 32));
  log["blockHash"] = kBlock;
  log["transactionHash"] = kTx;
  return log;
}

Json::Value ReceiptJson() {
  Json::Value receipt = J(R"({"status":"0x1","blockNumber":"0x10","gasUsed":"0x5208",
                              "effectiveGasPrice":"0x3b9aca00","logs":[]})");
  receipt["transactionHash"] = kTx;
  receipt["blockHash"] = kBlock;
  receipt["from"] = kBroker;
  receipt["logs"].append(LogJson());
  return receipt;
}

TEST(RpcTypes, Quantities) {
  struct Row {
    const char* json;
    bool ok64;
    bool ok256;
    uint64_t value;
  };
  const Row rows[] = {
      {R"("0x0")", true, true, 0},
      {R"("0x1f")", true, true, 31},
      {R"("0xFF")", true, true, 255},
      {R"("0xffffffffffffffff")", true, true, UINT64_MAX},
      {R"("0x10000000000000000")", false, true, 0},
      {R"("0xffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff")", false, true, 0},
      {R"("0x10000000000000000000000000000000000000000000000000000000000000000")", false, false, 0},
      {R"("0x")", false, false, 0},
      {R"("0x00")", false, false, 0},
      {R"("0x01")", false, false, 0},
      {R"("0X1")", false, false, 0},
      {R"("1")", false, false, 0},
      {R"("")", false, false, 0},
      {R"("0x1 ")", false, false, 0},
      {R"("0x-1")", false, false, 0},
      {R"("0xg")", false, false, 0},
      {R"("0x1\u0000")", false, false, 0},
      {"1", false, false, 0},
      {"null", false, false, 0},
      {"[]", false, false, 0},
      {"true", false, false, 0},
  };
  for (const Row& row : rows) {
    const auto small = ParseQuantity(J(row.json));
    EXPECT_EQ(small.ok(), row.ok64) << row.json;
    if (small.ok()) {
      EXPECT_EQ(*small, row.value) << row.json;
    }
    const auto large = ParseQuantityU256(J(row.json));
    EXPECT_EQ(large.ok(), row.ok256) << row.json;
    if (large.ok() && row.ok64) {
      EXPECT_EQ(*large, row.value) << row.json;
    }
  }
  EXPECT_EQ(*ParseQuantityU256(J(R"("0x10000000000000000")")), ethereum::U256(1) << 64);
}

TEST(RpcTypes, QuantitiesAreWrittenWithoutLeadingZeros) {
  EXPECT_EQ(QuantityHex(uint64_t{0}), "0x0");
  EXPECT_EQ(QuantityHex(uint64_t{0x1f0}), "0x1f0");
  EXPECT_EQ(QuantityHex(UINT64_MAX), "0xffffffffffffffff");
  EXPECT_EQ(QuantityHex(ethereum::U256(0)), "0x0");
  EXPECT_EQ(QuantityHex(ethereum::U256(1) << 64), "0x10000000000000000");
  EXPECT_EQ(QuantityHex(~ethereum::U256(0)), Repeat("ff", 32));
}

TEST(RpcTypes, Data) {
  EXPECT_EQ(*ParseData(J(R"("0x")")), "");
  EXPECT_EQ(*ParseData(J(R"("0x00aBff")")), std::string("\x00\xab\xff", 3));
  for (const char* bad : {R"("0x0")", R"("00")", R"("0xzz")", "null", "7", "{}"}) {
    EXPECT_FALSE(ParseData(J(bad)).ok()) << bad;
  }
  EXPECT_TRUE(ParseData(J(R"("0x0102")"), 2).ok());
  EXPECT_FALSE(ParseData(J(R"("0x010203")"), 2).ok());
}

TEST(RpcTypes, HashesAndAddresses) {
  EXPECT_EQ(ParseHash(Json::Value(kTx))->ToHex(), kTx);
  EXPECT_EQ(ParseAddress(Json::Value(kBroker))->ToHex(), kBroker);
  EXPECT_FALSE(ParseHash(Json::Value(kBroker)).ok());
  EXPECT_FALSE(ParseAddress(Json::Value(kTx)).ok());
  EXPECT_FALSE(ParseHash(Json::Value(kTx.substr(2))).ok()) << "without 0x";
  EXPECT_FALSE(ParseHash(Json::Value(kTx.substr(0, 65))).ok());
}

TEST(RpcTypes, Receipt) {
  EXPECT_FALSE(ParseReceipt(J("null"))->has_value());
  const auto parsed = ParseReceipt(ReceiptJson());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const Receipt& receipt = parsed->value();
  EXPECT_EQ(receipt.tx_hash.ToHex(), kTx);
  EXPECT_TRUE(receipt.succeeded);
  EXPECT_EQ(receipt.block_number, 16);
  EXPECT_EQ(receipt.block_hash.ToHex(), kBlock);
  EXPECT_EQ(receipt.gas_used, 21000);
  EXPECT_EQ(receipt.effective_gas_price, 1'000'000'000);
  EXPECT_EQ(receipt.from.ToHex(), kBroker);
  ASSERT_EQ(receipt.logs.size(), 1);
  EXPECT_EQ(receipt.logs[0].address.ToHex(), kBroker);
  EXPECT_EQ(receipt.logs[0].topics.size(), 1);
  EXPECT_EQ(receipt.logs[0].data, "\x01\x02");
  EXPECT_EQ(receipt.logs[0].log_index, 3);

  Json::Value reverted = ReceiptJson();
  reverted["status"] = "0x0";
  EXPECT_FALSE(ParseReceipt(reverted).ok()) << "a reverted transaction leaves no logs";
  reverted["logs"] = Json::Value(Json::arrayValue);
  EXPECT_FALSE(ParseReceipt(reverted)->value().succeeded);
}

TEST(RpcTypes, ReceiptRefusals) {
  struct Row {
    const char* field;
    Json::Value value;
  };
  const Row rows[] = {
      {"transactionHash", "0xaa"},
      {"transactionHash", Repeat("ac", 32)},
      {"status", "0x2"},
      {"status", true},
      {"status", Json::Value()},
      {"blockNumber", Json::Value()},
      {"blockNumber", "0x11"},
      {"blockHash", Repeat("bc", 32)},
      {"blockHash", 1},
      {"gasUsed", "0x10000000000000000"},
      {"effectiveGasPrice", "1"},
      {"from", kTx},
      {"logs", Json::Value()},
      {"logs", Json::Value(Json::objectValue)},
  };
  for (const Row& row : rows) {
    Json::Value receipt = ReceiptJson();
    receipt[row.field] = row.value;
    EXPECT_FALSE(ParseReceipt(receipt).ok()) << row.field << " " << Compact(row.value);
    receipt = ReceiptJson();
    receipt.removeMember(row.field);
    const auto without = ParseReceipt(receipt);
    ASSERT_FALSE(without.ok()) << row.field;
    EXPECT_THAT(std::string(without.status().message()), HasSubstr(row.field));
  }
  for (const char* other : {"[]", "7", "\"0x\"", "false"}) {
    EXPECT_FALSE(ParseReceipt(J(other)).ok()) << other;
  }
}

TEST(RpcTypes, LogRefusals) {
  struct Row {
    const char* field;
    Json::Value value;
  };
  const Row rows[] = {
      {"removed", true},
      {"removed", "no"},
      {"topics", "0x"},
      {"topics", J("[1]")},
      {"data", "0x1"},
      {"logIndex", Json::Value()},
      {"address", kTx},
      {"blockNumber", Json::Value()},
      {"blockHash", Json::Value()},
      {"transactionHash", Json::Value()},
  };
  for (const Row& row : rows) {
    Json::Value logs = J("[]");
    logs.append(LogJson());
    ASSERT_TRUE(ParseLogs(logs).ok());
    logs[0][row.field] = row.value;
    EXPECT_FALSE(ParseLogs(logs).ok()) << row.field << " " << Compact(row.value);
  }
  Json::Value five = J("[]");
  five.append(LogJson());
  for (int i = 0; i < 4; ++i) five[0]["topics"].append(kTx);
  EXPECT_FALSE(ParseLogs(five).ok());
  Json::Value many = J("[]");
  for (size_t i = 0; i <= kMaxLogsInAnswer; ++i) many.append(LogJson());
  EXPECT_FALSE(ParseLogs(many).ok());
  EXPECT_FALSE(ParseLogs(J("null")).ok());
}

TEST(RpcTypes, Blocks) {
  Json::Value block = J(R"({"number":"0x10","gasLimit":"0x1c9c380","timestamp":"0x65",
                            "baseFeePerGas":"0x7","transactions":["not looked at"]})");
  block["hash"] = kBlock;
  block["parentHash"] = kTx;
  const auto parsed = ParseBlock(block);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ((*parsed)->number, 16);
  EXPECT_EQ((*parsed)->gas_limit, 30'000'000);
  EXPECT_EQ((*parsed)->timestamp, 0x65);
  EXPECT_EQ((*parsed)->base_fee_per_gas, ethereum::U256(7));
  for (const char* field : {"number", "hash", "parentHash", "gasLimit", "timestamp"}) {
    Json::Value without = block;
    without.removeMember(field);
    EXPECT_FALSE(ParseBlock(without).ok()) << field;
  }
  block.removeMember("baseFeePerGas");
  EXPECT_EQ(ParseBlock(block)->value().base_fee_per_gas, std::nullopt);
  block["baseFeePerGas"] = 7;
  EXPECT_FALSE(ParseBlock(block).ok());
  EXPECT_FALSE(ParseBlock(J("null"))->has_value());
  EXPECT_FALSE(ParseBlock(J("[]")).ok());
}

TEST(RpcTypes, Parameters) {
  CallRequest call;
  call.to = *ethereum::Address::FromHex(kBroker);
  call.data = "\x01\x02";
  EXPECT_EQ(Compact(CallParams(call, BlockParam(BlockTag::kLatest))),
            R"([{"data":"0x0102","to":")" + kBroker + R"("},"latest"])");
  call.from = call.to;
  call.value = 255;
  call.gas = 21000;
  call.max_fee_per_gas = 16;
  call.max_priority_fee_per_gas = 0;
  EXPECT_EQ(Compact(CallObject(call)),
            R"({"data":"0x0102","from":")" + kBroker +
                R"(","gas":"0x5208","maxFeePerGas":"0x10","maxPriorityFeePerGas":"0x0","to":")" +
                kBroker + R"(","value":"0xff"})");
  EXPECT_EQ(Compact(AccountParams(call.to, BlockParam(BlockTag::kPending))),
            R"([")" + kBroker + R"(","pending"])");
  EXPECT_EQ(Compact(HashParams(*ethereum::Hash::FromHex(kTx))), R"([")" + kTx + R"("])");
  EXPECT_EQ(Compact(BlockParams(BlockParam(uint64_t{255}))), R"(["0xff",false])");
  EXPECT_EQ(Compact(BlockParams(BlockParam(BlockTag::kSafe))), R"(["safe",false])");
  EXPECT_EQ(Compact(BlockParams(BlockParam(BlockTag::kFinalized))), R"(["finalized",false])");
  EXPECT_EQ(Compact(RawTransactionParams("\x02\xff")), R"(["0x02ff"])");
  LogFilter filter{16, 32, call.to, {}};
  EXPECT_EQ(Compact(LogFilterParams(filter)),
            R"([{"address":")" + kBroker + R"(","fromBlock":"0x10","toBlock":"0x20"}])");
  filter.topic0 = {*ethereum::Hash::FromHex(kTx)};
  EXPECT_THAT(Compact(LogFilterParams(filter)), HasSubstr(R"("topics":[[")" + kTx + R"("]])"));
}

}  // namespace
}  // namespace coffer::host
