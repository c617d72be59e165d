// What must not be taken: hostile text, and every parameter that is wrong.
#include <vector>

#include "tests/unit/json_protocol/support.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ErrorCode;

struct Refused {
  std::string payload;
  std::string sentence;  // part of it
  ErrorCode code = boundary::v1::ERROR_MALFORMED;
};

void ExpectAll(const std::vector<Refused>& cases) {
  for (const Refused& c : cases) {
    SCOPED_TRACE(c.payload.substr(0, 300));
    const boundary::v1::Error error = Refusal(Filled(c.payload));
    EXPECT_EQ(error.code(), c.code) << error.message();
    EXPECT_NE(error.message().find(c.sentence), std::string::npos) << error.message();
    EXPECT_LT(error.message().size(), 1000u);  // whatever was sent
  }
}

std::string With(std::string_view metadata) {
  return absl::StrCat(R"({"method":"status","params":{"metadata":)", std::string(metadata), "}}");
}

std::string Members(int count, bool twice) {
  std::string out = "{";
  for (int i = 0; i < count; ++i) absl::StrAppend(&out, i == 0 ? "" : ",", "\"k", i, "\":", i);
  return out + (twice ? ",\"k0\":1}" : "}");
}

TEST(Refusals, HostileText) {
  ExpectAll({
      {"", "not valid JSON"},
      {" ", "not valid JSON"},
      {"{", "not valid JSON"},
      {"[]", "not a JSON object"},
      {"\"status\"", "not a JSON object"},
      {"null", "not a JSON object"},
      {"{} {}", "not valid JSON"},
      {"{\"method\":\"status\"}x", "not valid JSON"},
      {"{\"method\":\"status\"}{}", "not valid JSON"},
      {"{\"method\":\"status\",}", "not valid JSON"},
      {"{\"method\" \"status\"}", "not valid JSON"},
      {"{method:\"status\"}", "not valid JSON"},
      {"{\"method\":'status'}", "not valid JSON"},
      {"{\"method\":\"status\xff\"}", "not valid UTF-8"},
      {With("\"\xed\xa0\x80\""), "not valid UTF-8"},
      {With("\"\\ud800\""), "not valid JSON"},
      {With("\"\\udc00\""), "not valid JSON"},
      {With("\"\\x\""), "not valid JSON"},
      {With("\"a\nb\""), "not valid JSON"},
      {With("NaN"), "not valid JSON"},
      {With("Infinity"), "not valid JSON"},
      {With("-"), "not valid JSON"},
      {With("01"), "not valid JSON"},
      {With("+1"), "not valid JSON"},
      {With("1."), "not valid JSON"},
      {With(".5"), "not valid JSON"},
      {With("1e"), "not valid JSON"},
      {With("0x10"), "not valid JSON"},
      {With("nul"), "not valid JSON"},
      {With("truee"), "not valid JSON"},
      {With("[1 2]"), "not valid JSON"},
      {With("[1,]"), "not valid JSON"},
      {With("{\"a\":1,\"a\":2}"), "is there twice"},
      {With("{\"a\":1,\"\\u0061\":2}"), "is there twice"},
      {With(Members(400, true)), "is there twice"},
      {With(Members(1001, false)), "more than 1000 members"},
      {"{\"method\":\"status\",\"method\":\"address\"}", "is there twice"},
      {With(std::string(100, '[') + std::string(100, ']')), "nested more than 16"},
      {std::string(100'000, '['), "not a JSON object"},
      {"{\"method\":" + std::string(100'000, '['), "not valid JSON"},
      {With(std::string(100'000, '[') + std::string(100'000, ']')), "nested more than 16"},
  });
}

TEST(Refusals, DepthIsCountedExactly) {
  // The root and params are two.
  const std::string fits = std::string(14, '[') + std::string(14, ']');
  boundary::v1::ClientFrame frame;
  EXPECT_TRUE(ParseRequest(With(fits), &frame).ok());
  EXPECT_TRUE(ParseRequest(With(Members(1000, false)), &frame).ok());
  ExpectAll({{With("[" + fits + "]"), "nested more than 16"}});
}

TEST(Refusals, ManyValuesAreBounded) {
  std::string list = "[0";
  for (int i = 0; i < (1 << 17); ++i) list += ",0";
  ExpectAll({{With(list + "]"), "values"}});
}

TEST(Refusals, TheEnvelope) {
  ExpectAll({
      {"{}", "`method` is missing"},
      {R"({"method":null})", "`method` is missing"},
      {R"({"method":7})", "`method` is missing"},
      {R"({"method":"status","params":[]})", "`params` must be an object"},
      {R"({"method":"status","params":"x"})", "`params` must be an object"},
      {R"({"method":"status","id":1})", "no `id`"},
      {R"({"method":"nope"})", "unknown method `nope`", boundary::v1::ERROR_UNKNOWN_METHOD},
      {R"({"method":"Status"})", "unknown method", boundary::v1::ERROR_UNKNOWN_METHOD},
      {absl::StrCat(R"({"method":")", std::string(100'000, 'x'), "\"}"), "unknown method",
       boundary::v1::ERROR_UNKNOWN_METHOD},
  });
}

TEST(Refusals, SignTransaction) {
  const std::string creation = R"("gasPrice":1,)";
  ExpectAll({
      {R"({"method":"sign_transaction"})", "missing params: tx"},
      {R"({"method":"sign_transaction","params":{"tx":[]}})", "`tx` must be an object"},
      {R"({"method":"sign_transaction","params":{"tx":{}}})",
       "missing params: tx.chainId,tx.nonce,tx.gas,tx.gasPrice"},
      {Tx(R"("maxFeePerGas":1)"), "missing params: tx.maxPriorityFeePerGas"},
      {Tx(R"("gasPrice":1,"maxFeePerGas":1,"maxPriorityFeePerGas":1)"),
       "`tx.gasPrice` is not a field of type 2"},
      {Tx(R"("type":0,"gasPrice":1,"maxFeePerGas":1)"),
       "`tx.maxFeePerGas` is not a field of type 0"},
      {Tx(R"("type":0,"gasPrice":1,"accessList":[])"), "`tx.accessList` is not a field of type 0"},
      {Tx(R"("type":3,"gasPrice":1)"), "`tx.type` is 3"},
      {Tx(creation + R"("from":"0x$ADDRESS")"), "`tx.from` is not known"},
      {Tx(creation + R"("gasLimit":1)"), "`tx.gasLimit` is not known"},
      {Tx(creation + R"("value":1.0)"), "`tx.value` must be an integer, without a fraction"},
      {Tx(creation + R"("value":1e400)"), "`tx.value` must be an integer, without a fraction"},
      {Tx(creation + R"("value":-1)"), "`tx.value` must not be negative"},
      {Tx(creation + R"("value":true)"), "`tx.value` must be an integer"},
      {Tx(creation + R"("value":"")"), "`tx.value`"},
      {Tx(creation + R"("value":"1.5")"), "`tx.value`"},
      {Tx(creation + R"("value":"1 2")"), "`tx.value`"},
      {Tx(creation + R"("value":"0x")"), "`tx.value`"},
      {Tx(creation +
          R"("value":115792089237316195423570985008687907853269984665640564039457584007913129639936)"),
       "2^256", boundary::v1::ERROR_OUT_OF_RANGE},
      {Tx(creation + "\"value\":" + std::string(10'000, '9')), "256 bits",
       boundary::v1::ERROR_OUT_OF_RANGE},
      {Tx(creation + R"("to":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914f1")"), "EIP-55"},
      {Tx(creation + R"("to":"0x1a")"), "`tx.to` is not an address"},
      {Tx(creation + R"("to":"$ADDRESS")"), "`tx.to` is not an address"},
      {Tx(creation + R"("to":7)"), "`tx.to` must be a string"},
      {Tx(creation + R"("data":"0xabc")"), "odd number"},
      {Tx(creation + R"("data":"abcd")"), "begins with 0x"},
      {Tx(creation + R"("data":"0xzz")"), "`tx.data` is not hex"},
      {Tx(creation + R"("data":[1])"), "`tx.data` must be a string"},
      {Tx(creation + R"("data":"0x01","input":"0x02")"), "`tx.input` differs"},
      {Tx(creation + R"("data":"0x)" + std::string(2 * 131'073, '0') + "\""), "at most 131072"},
      {Tx(creation + R"("accessList":{})"), "`tx.accessList` must be a list"},
      {Tx(creation + R"("accessList":[{"address":"0x$ADDRESS"}])"), "`tx.accessList[0]` must be"},
      {Tx(creation + R"("accessList":[["0x$ADDRESS",[],[]]])"), "`tx.accessList[0]` must be"},
      {Tx(creation + R"("accessList":[{"address":"0x$ADDRESS","storageKeys":[],"x":1}])"),
       "`tx.accessList[0].x` is not known"},
      {Tx(creation + R"("accessList":[["0x$ADDRESS",["0x$HASH","0x01"]]])"),
       "`tx.accessList[0].storageKeys[1]` must be exactly 32 bytes"},
      {R"({"method":"sign_transaction","params":{"tx":{"chainId":1,"gas":1,"gasPrice":1,)"
       R"("nonce":18446744073709551616}}})",
       "`tx.nonce` is 18446744073709551616; at most 18446744073709551615"},
  });
}

TEST(Refusals, SignMessageAndTicket) {
  const std::string ticket =
      R"({"method":"sign_ticket","params":{"ticket":{"recipient":"0x$ADDRESS","faceValue":1,)"
      R"("senderNonce":1,"recipientRandHash":"0x$HASH","auxData":"0x$HASH$HASH")";
  ExpectAll({
      {R"({"method":"sign_message_defunct"})", "missing params: message_hash"},
      {R"({"method":"sign_message_defunct","params":{"message_hash":""}})", "missing params"},
      {R"({"method":"sign_message_defunct","params":{"message_hash":"$HASH"}})", "begins with 0x"},
      {R"({"method":"sign_message_defunct","params":{"message_hash":"0x$HASHa"}})", "odd number"},
      {R"({"method":"sign_message_defunct","params":{"message_hash":"0x)" +
           std::string(2 * 65'537, '0') + R"("}})",
       "at most 65536"},
      {R"({"method":"sign_ticket"})", "missing params: ticket"},
      {R"({"method":"sign_ticket","params":{"ticket":{}}})",
       "missing params: ticket.recipient,ticket.faceValue,ticket.senderNonce,"
       "ticket.recipientRandHash,ticket.auxData"},
      {ticket + R"(,"face_value":1}}})", "are two names of one thing"},
      {ticket + R"(,"chainId":1}}})", "`ticket.chainId` is not known"},
      {R"({"method":"attestation","params":{"nonce":"0x)" + std::string(66, '0') + R"("}})",
       "at most 32"},
      {R"({"method":"attestation","params":{"public_key":"rsa-1024"}})", "rsa-2048 or p-384"},
  });
}

std::string Credit(std::string_view amount) {
  return absl::StrCat(R"({"method":"credit","params":{"orchestrator_id":"o","event_id":"e",)",
                      R"("recipient":"0x$ADDRESS","amount_wei":)", std::string(amount), "}}");
}

TEST(Refusals, Credits) {
  const auto kOutOfRange = boundary::v1::ERROR_OUT_OF_RANGE;
  ExpectAll({
      {R"({"method":"credit"})", "missing params: orchestrator_id,recipient,event_id,amount_wei"},
      {R"({"method":"balance","params":{"orchestrator_id":"  "}})",
       "missing params: orchestrator_id"},
      {R"({"method":"balance","params":{"orchestrator_id":7}})", "must be a string"},
      {Credit("0"), "must be above 0", kOutOfRange},
      {Credit("-1"), "must not be negative"},
      {Credit("1e18"), "without a fraction or an exponent"},
      {Credit("1.0"), "without a fraction or an exponent"},
      {Credit("1e400"), "without a fraction or an exponent"},
      {Credit("\"1e18\""), "`amount_wei` is not an integer"},
      {Credit("115792089237316195423570985008687907853269984665640564039457584007913129639935"),
       "is 115792089237316195423570985008687907853269984665640564039457584007913129639935 wei",
       kOutOfRange},
      {Credit("170141183460469231731687303715884105728"), "below 2^127", kOutOfRange},
      {R"({"method":"credit","params":{"orchestrator_id":"o","event_id":"e","amount_wei":1,)"
       R"("recipient":"0x$ADDRESS","signature":"0xab"}})",
       "65 bytes"},
      {R"({"method":"credit","params":{"orchestrator_id":"o","event_id":"e","amount_wei":1,)"
       R"("recipient":"0x$ADDRESS","metadata":7}})",
       "`metadata` must be an object"},
      {R"({"method":"apply_delta","params":{"orchestrator_id":"o","event_id":"e","delta_wei":-0,)"
       R"("recipient":"0x$ADDRESS"}})",
       "must not be 0", kOutOfRange},
      {R"({"method":"apply_delta","params":{"orchestrator_id":"o","event_id":"e",)"
       R"("delta_wei":-170141183460469231731687303715884105728,"recipient":"0x$ADDRESS"}})",
       "is -170141183460469231731687303715884105728 wei", kOutOfRange},
      {R"({"method":"apply_event","params":{"kind":"debit","orchestrator_id":"o","event_id":"e",)"
       R"("delta_wei":1,"recipient":"0x$ADDRESS"}})",
       "`kind` must be credit or delta"},
  });
}

std::string Redeem(std::string_view tx, std::string_view more = "", std::string_view round = "") {
  return absl::StrCat(R"({"method":"livepeer_prepare_redeem_tx","params":{"orchestrator_id":"o",)",
                      R"("ticket_broker":"0x$BROKER","aux_data":"0x)",
                      round.empty() ? std::string(64, '0') : std::string(round), R"($HASH","tx":{)",
                      std::string(tx), "}", std::string(more), "}}");
}

TEST(Refusals, Payouts) {
  const std::string tx = R"("nonce":1,"gas":1,"gasPrice":1)";
  const std::string hash = R"({"method":"confirm_payout","params":{"tx_hash":"0x$HASH")";
  const std::string receipt = hash + R"(,"receipt":{"logs":[])";
  ExpectAll({
      {Redeem(""), "missing params: tx.nonce,tx.gas,tx.maxFeePerGas,tx.maxPriorityFeePerGas"},
      {Redeem(tx + R"(,"to":"0x$ADDRESS")"), "`tx.to` is not known"},
      {Redeem(tx + R"(,"value":1)"), "`tx.value` is not known"},
      {Redeem(tx + R"(,"chainId":0)"), "`tx.chainId` must not be 0"},
      {Redeem(tx + R"(,"maxFeePerGas":1)"), "exclude each other"},
      {Redeem(tx, R"(,"max_face_value_wei":0)"), "must be above 0",
       boundary::v1::ERROR_OUT_OF_RANGE},
      {Redeem(tx, "", std::string(47, '0') + "1" + std::string(16, '0')), "round of 2^64 or more"},
      {Redeem(tx, "", "00"), "`aux_data` must be exactly 64 bytes"},
      {R"({"method":"livepeer_prepare_fund_deposit_tx","params":{"ticket_broker":"0x$BROKER",)"
       R"("amount_wei":0,"tx":{"nonce":1,"gas":1,"gasPrice":1}}})",
       "must be above 0", boundary::v1::ERROR_OUT_OF_RANGE},
      {R"({"method":"prepare_payouts","params":{}})", "missing params: payouts,chain"},
      {R"({"method":"prepare_payouts","params":{"payouts":[{"orchestrator_id":"o"}],"chain":{}}})",
       "missing params: chain.nonce,chain.round,chain.round_block_hash,chain.gas"},
      {R"({"method":"prepare_payouts","params":{"payouts":[7],"chain":{"nonce":1,"round":1,)"
       R"("round_block_hash":"0x$HASH","gas":1,"gasPrice":1}}})",
       "`payouts[0]` must be an object"},
      {R"({"method":"prepare_payouts","params":{"payouts":[],"strategy":"cash","chain":{"nonce":1,)"
       R"("round":1,"round_block_hash":"0x$HASH","gas":1,"gasPrice":1}}})",
       "`strategy` must be"},
      {hash + "}}", "missing params: status"},
      {hash + R"(,"status":2}})", "`status` is 2"},
      {receipt + R"(,"status":1},"status":0}})", "differs from the receipt's"},
      {receipt + R"(,"status":1},"logs":[]}})", "exclude each other"},
      {receipt + R"(},"status":null}})", "missing params: status"},
      {receipt + R"(,"transactionHash":"0x)" + std::string(64, '1') + R"("},"status":1}})",
       "another transaction"},
      {hash + R"(,"status":1,"logs":[{"address":"0x$BROKER","topics":[],"removed":true}]}})",
       "`logs[0].removed` is true"},
      {hash + R"(,"status":1,"logs":[{"address":"0x$BROKER","topics":[1,2,3,4,5]}]}})",
       "at most 4"},
      {R"({"method":"confirm_payout","params":{"tx_hash":"0xab","status":1}})", "exactly 32 bytes"},
  });
}

TEST(Refusals, KeysStateAndLog) {
  const std::string aws =
      R"("region":"r","aws_access_key_id":"AKIASECRET","aws_secret_access_key":"hunter2","aws_session_token":"tok")";
  const std::string provision = R"({"method":"provision","params":{"ciphertext_b64":"AAEC",)" + aws;
  const std::string generate = R"({"method":"generate","params":{"key_id":"k",)" + aws;
  ExpectAll({
      {R"({"method":"provision"})",
       "missing params: region,aws_access_key_id,aws_secret_access_key,aws_session_token,"
       "ciphertext_b64"},
      {R"({"method":"generate"})",
       "missing params: region,aws_access_key_id,aws_secret_access_key,aws_session_token,key_id"},
      {R"({"method":"provision","params":{"ciphertext_b64":"AAE",)" + aws + "}}", "base64"},
      {R"({"method":"provision","params":{"ciphertext_b64":"AA EC",)" + aws + "}}", "base64"},
      {provision + R"(,"proxy_port":0}})", "`proxy_port` must not be 0"},
      {provision + R"(,"proxy_port":"hunter"}})", "`proxy_port`"},
      {provision + R"(,"expected_address":"0x12"}})", "`expected_address` is not an address"},
      {provision + R"(,"max_face_value_wei":5}})", "missing params: chain_id,ticket_broker"},
      {provision + R"(,"chain_id":1,"ticket_broker":"0x$BROKER","require_allowlist":"maybe"}})",
       "`require_allowlist` must be true or false"},
      {provision + R"(,"chain_id":1,"ticket_broker":"0x$BROKER","require_allowlist":2}})",
       "`require_allowlist` must be true or false"},
      {provision + R"(,"chain_id":1,"ticket_broker":"0x$BROKER","allowed_recipients":["x"]}})",
       "`allowed_recipients[0]` is not an address"},
      {provision + R"(,"chain_id":1,"ticket_broker":"0x$BROKER","allowed_recipients":"x,y"}})",
       "`allowed_recipients[0]` is not an address"},
      {generate + R"(,"key_spec":"RSA_2048"}})", "`key_spec` must be AES-256"},
      {generate + R"(,"encryption_context":{"a":1}}})", "must hold strings only"},
      {generate + R"(,"encryption_context":["a"]}})", "`encryption_context`"},
      {generate + R"(,"encryption_context":{"1":"","2":"","3":"","4":"","5":"","6":"","7":"",)" +
           R"("8":"","9":""}}})",
       "at most 8"},
      {provision + R"(,"state_keys":{}}})", "`state_keys`"},
      {provision + R"(,"state_keys":[7]}})", "`state_keys[0]`"},
      {provision + R"(,"state_keys":[{"epoch":1}]}})",
       "missing params: state_keys[0].ciphertext_b64,state_keys[0].tag"},
      {provision + R"(,"state_keys":[{"epoch":1,"ciphertext_b64":"AA==","tag":"0x12"}]}})",
       "exactly 32 bytes"},
      {provision +
           R"(,"state_keys":[{"epoch":1,"ciphertext_b64":"AA==","tag":"0x$HASH","secret":1}]}})",
       "secret"},
      {R"({"method":"rotate_state_key"})",
       "missing params: region,aws_access_key_id,aws_secret_access_key,aws_session_token"},
      {R"({"method":"adopt_state_key"})", "missing params: epoch"},
      {R"({"method":"adopt_state_key","params":{"epoch":4294967296}})", "`epoch`"},
      {R"({"method":"load_state"})", "missing params: blob_b64"},
      {R"({"method":"load_state","params":{"blob_b64":"A==="}})", "base64"},
      {R"({"method":"change_policy","params":{"sequence":1,"signatures":["0x00"],"policy":{}}})",
       "missing params: policy.unrestricted,policy.chainId"},
      {R"({"method":"audit_event","params":{"kind":"k","event_id":"e"}})",
       "the enclave alone writes its transparency log", boundary::v1::ERROR_POLICY},
      {R"({"method":"audit_event"})", "missing params: kind,event_id"},
      {R"({"method":"audit_checkpoint","params":{"chain_id":0}})", "must not be 0"},
      {R"({"method":"audit_checkpoint"})", "missing params: chain_id"},
      {R"({"method":"audit_checkpoint","params":{"chain_id":1,"contract_address":"0x12"}})",
       "`contract_address` is not an address"},
  });
  for (const std::string more : {R"(,"proxy_port":-1}})", R"(,"proxy_port":"x"}})", "}"}) {
    const std::string sentence = Refusal(provision + more).message();
    EXPECT_EQ(sentence.find("hunter2"), std::string::npos) << sentence;
    EXPECT_EQ(sentence.find("AKIASECRET"), std::string::npos) << sentence;
  }
}

TEST(Refusals, LeaveTheFrameEmpty) {
  boundary::v1::ClientFrame frame;
  EXPECT_FALSE(ParseRequest(Filled(Credit("0")), &frame).ok());
  EXPECT_EQ(frame.ByteSizeLong(), 0u);
}

TEST(Refusals, OnlyAStateMayBeLong) {
  const std::string blob(4 * (kMaxRequestBytes / 4), 'A');
  const auto request = [&](const char* method, const char* name) {
    return absl::StrCat(R"({"method":")", method, R"(","params":{")", name, R"(":")", blob, "\"}}");
  };
  boundary::v1::ClientFrame frame;
  EXPECT_TRUE(ParseRequest(request("load_state", "blob_b64"), &frame).ok());
  const std::string behind =
      absl::StrCat(R"({"params":{"blob_b64":")", blob, R"("},"method":"load_state"})");
  EXPECT_TRUE(ParseRequest(behind, &frame).ok());
  for (const std::string& text : {request("status", "x"), request("status", "load_state"),
                                  request("sign_ticket", "ticket")}) {
    const auto refused = ParseRequest(text, &frame);
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(CodeOf(refused.status()), boundary::v1::ERROR_MALFORMED);
    EXPECT_NE(refused.status().message().find("load_state"), absl::string_view::npos);
    EXPECT_EQ(frame.body_case(), boundary::v1::ClientFrame::BODY_NOT_SET);
  }
}

}  // namespace
}  // namespace coffer::json_protocol
