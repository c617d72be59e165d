#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "actors/host/rpc_types.h"
#include "tests/unit/host_actors/json_text.h"

namespace coffer::host {
namespace {

TEST(RpcErrors, Classification) {
  using K = RpcErrorKind;
  struct Row {
    int64_t code;
    const char* message;
    RpcErrorKind kind;
  };
  const Row rows[] = {
      {-32000, "already known", K::kAlreadyKnown},
      {-32003, "transaction already imported", K::kAlreadyKnown},
      {-32000, "ALREADY_EXISTS: already known", K::kAlreadyKnown},
      {-32010, "AlreadyKnown", K::kAlreadyKnown},
      {-32000, "known transaction: 0xab", K::kAlreadyKnown},
      {-32000, "Known transaction", K::kAlreadyKnown},
      {-32000, "unknown transaction type 9", K::kOther},
      {-32000, "nonce too low: address 0xf39F, tx: 0 state: 5", K::kNonceTooLow},
      {-32010, "Transaction nonce is too low. Try incrementing the nonce.", K::kNonceTooLow},
      {-32010, "OldNonce, Current nonce: 5", K::kNonceTooLow},
      {-32000, "nonce too high: address 0xf39F, tx: 9 state: 5", K::kNonceTooHigh},
      {-32000, "Nonce too high. Expected nonce to be 1 but got 2.", K::kNonceTooHigh},
      {-32000, "replacement transaction underpriced", K::kReplacementUnderpriced},
      {-32000, "Replacement transaction underpriced", K::kReplacementUnderpriced},
      {-32000, "transaction underpriced: tip needed 1, tip permitted 0", K::kFeeBelowBaseFee},
      {-32000, "insufficient funds for gas * price + value: balance 0", K::kInsufficientFunds},
      {-32003, "Insufficient funds for gas * price + value", K::kInsufficientFunds},
      {-32000, "Sender doesn't have enough funds to send tx.", K::kInsufficientFunds},
      {-32004, "Upfront cost exceeds account balance", K::kInsufficientFunds},
      {-32000, "intrinsic gas too low: have 20000, want 21000", K::kIntrinsicGasTooLow},
      {-32000, "max fee per gas less than block base fee: address 0xf3", K::kFeeBelowBaseFee},
      {-32000, "err: max fee per gas less than block base fee", K::kFeeBelowBaseFee},
      {3, "execution reverted: ticket is used", K::kReverted},
      {-32000, "execution reverted", K::kReverted},
      {-32015, "VM execution error.", K::kReverted},
      {3, "anything", K::kReverted},
      // The contract's own words decide nothing.
      {-32000, "execution reverted: nonce too low", K::kReverted},
      {3, "execution reverted: insufficient funds", K::kReverted},
      {-32005, "limit exceeded", K::kRateLimited},
      {429, "", K::kRateLimited},
      {-32029, "Too Many Requests", K::kRateLimited},
      {-32000, "project ID request rate exceeded the rate limit", K::kRateLimited},
      {-32005, "query returned more than 10000 results", K::kOther},
      {-32601, "the method eth_foo does not exist/is not available", K::kOther},
      {0, "", K::kOther},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(ClassifyRpcError({row.code, row.message, ""}), row.kind)
        << row.code << " " << row.message << ": "
        << RpcErrorKindName(ClassifyRpcError({row.code, row.message, ""}));
  }
}

TEST(RpcErrors, RevertReason) {
  std::string word(64, '0');
  std::string length = word;
  std::string offset = word;
  offset.replace(62, 2, "20");
  length.replace(63, 1, "2");
  std::string text = word;
  text.replace(0, 4, "6e6f");
  const RpcError error{3, "execution reverted", "0x08c379a0" + offset + length + text};
  EXPECT_NE(RevertReasonOf(error).find("no"), std::string::npos);
  EXPECT_EQ(RevertReasonOf({3, "execution reverted: because", ""}), "execution reverted: because");
  EXPECT_EQ(RevertReasonOf({3, "execution reverted: because", "0x"}),
            "execution reverted: because");
  EXPECT_EQ(RevertReasonOf({3, "", ""}), "no reason given");
  const std::string empty =
      absl::StrCat("0x08c379a0", std::string(62, '0'), "20", std::string(64, '0'));
  EXPECT_EQ(RevertReasonOf({3, "execution reverted", empty}), "execution reverted")
      << "by revert(\"\")";
  EXPECT_EQ(RevertReasonOf({3, "", empty}), "no reason given");
}

TEST(RpcErrors, ErrorObjectsOfEveryShape) {
  struct Row {
    const char* json;
    int64_t code;
    const char* message;
    const char* data;
  };
  const Row rows[] = {
      {R"({"code":3,"message":"m","data":"0x01"})", 3, "m", "0x01"},
      {R"({"code":"-32000","message":"m"})", -32000, "m", ""},
      {R"({"code":1.5,"message":["m"],"data":7})", 0, "", ""},
      {R"({"code":99999999999999999999,"message":null})", 0, "", ""},
      {R"({"code":-32015,"message":"m","data":"Reverted 0xab"})", -32015, "m", "0xab"},
      {R"({"code":-32603,"message":"m","data":{"message":"x","data":"0xcd"}})", -32603, "m",
       "0xcd"},
      {R"({"code":3,"message":"m","data":{"data":{"data":"0xcd"}}})", 3, "m", ""},
      {R"({"code":3,"message":"m","data":"not hex"})", 3, "m", ""},
      {R"("words alone")", 0, "words alone", ""},
      {"[]", 0, "an error that is no object", ""},
      {"{}", 0, "", ""},
  };
  for (const Row& row : rows) {
    const RpcError error = ParseRpcError(J(row.json));
    EXPECT_EQ(error.code, row.code) << row.json;
    EXPECT_EQ(error.message, row.message) << row.json;
    EXPECT_EQ(error.data, row.data) << row.json;
  }
  Json::Value longest;
  longest["message"] = std::string(100'000, 'x');
  EXPECT_EQ(ParseRpcError(longest).message.size(), kMaxErrorText);
}

}  // namespace
}  // namespace coffer::host
