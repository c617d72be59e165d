// enclave_core/policy and the broker's calldata against ethers, on random cases made by
// policy_vectors.mjs. The seed is printed; COFFER_TEST_SEED repeats a run.
#include <gtest/gtest.h>
#include <json/json.h>

#include <string>
#include <vector>

#include "enclave_core/error.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/conformance/ethers_cases.h"

namespace coffer::policy {
namespace {

using ethereum::Address;
using ethereum::BrokerCall;
using ethereum::Hash;
using ethereum::U256;
using Json = ::Json::Value;

std::string Raw(const Json& hex) { return ethereum::FromHex(hex.asString()).value(); }
Hash HashOf(const Json& hex) { return Hash::FromHex(hex.asString()).value(); }
Address AddressOf(const Json& text) { return ethereum::AddressFromText(text.asString()).value(); }
U256 Number(const Json& text) { return ethereum::U256FromString(text.asString()).value(); }
uint64_t Number64(const Json& text) { return static_cast<uint64_t>(Number(text)); }
uint32_t Number32(const Json& text) { return static_cast<uint32_t>(Number(text)); }
Wei WeiOf(const Json& text) { return ledger::WeiFromU256(Number(text)).value(); }

std::vector<Address> AddressesOf(const Json& list) {
  std::vector<Address> out;
  for (const Json& item : list) out.push_back(AddressOf(item));
  return out;
}

Policy PolicyOf(const Json& json) {
  Policy p;
  p.unrestricted = json["unrestricted"].asBool();
  p.chain_id = Number64(json["chainId"]);
  p.broker = AddressOf(json["ticketBroker"]);
  p.allow_tickets = json["allowTickets"].asBool();
  p.max_face_value = WeiOf(json["maxFaceValue"]);
  p.max_batch_total = WeiOf(json["maxBatchTotal"]);
  p.max_tickets = Number32(json["maxTickets"]);
  p.win_prob = Number(json["winProb"]);
  p.ticket_validity_rounds = Number64(json["ticketValidityRounds"]);
  p.void_on_host_word = json["voidOnHostWord"].asBool();
  p.allow_eth_transfer = json["allowEthTransfer"].asBool();
  p.max_transfer = WeiOf(json["maxTransfer"]);
  p.max_fund_deposit = WeiOf(json["maxFundDeposit"]);
  p.max_fund_reserve = WeiOf(json["maxFundReserve"]);
  p.require_allowlist = json["requireAllowlist"].asBool();
  p.allowed_recipients = AddressesOf(json["allowedRecipients"]);
  p.max_gas_limit = Number64(json["maxGasLimit"]);
  p.max_fee_per_gas = WeiOf(json["maxFeePerGas"]);
  p.max_priority_fee_per_gas = WeiOf(json["maxPriorityFeePerGas"]);
  p.max_transaction_cost = WeiOf(json["maxTransactionCost"]);
  p.allow_access_list = json["allowAccessList"].asBool();
  p.allow_raw_messages = json["allowRawMessages"].asBool();
  p.velocity_window = Number64(json["velocityWindow"]);
  p.velocity_total = WeiOf(json["velocityTotal"]);
  p.velocity_recipient = WeiOf(json["velocityRecipient"]);
  p.velocity_signatures = Number32(json["velocitySignatures"]);
  p.credit_reporter = AddressOf(json["creditReporter"]);
  p.require_credit_signature = json["requireCreditSignature"].asBool();
  p.admins = AddressesOf(json["admins"]);
  p.admin_threshold = Number32(json["adminThreshold"]);
  return p;
}

// Objects and arrays alike, numbers as the text that ethers gave them.
void ExpectSame(const Json& ours, const Json& theirs, const std::string& where) {
  if (theirs.isObject()) {
    ASSERT_EQ(ours.getMemberNames(), theirs.getMemberNames()) << where;
    for (const std::string& name : theirs.getMemberNames()) {
      ExpectSame(ours[name], theirs[name], where + "." + name);
    }
  } else if (theirs.isArray()) {
    ASSERT_EQ(ours.size(), theirs.size()) << where;
    for (::Json::ArrayIndex i = 0; i < theirs.size(); ++i) ExpectSame(ours[i], theirs[i], where);
  } else {
    EXPECT_EQ(ours.asString(), theirs.asString()) << where;
  }
}

void CheckPolicy(const Json& json) {
  const Policy policy = PolicyOf(json["policy"]);
  const Policy next = PolicyOf(json["next"]);
  EXPECT_EQ(json["encodedType"].asString(), kPolicyType);
  EXPECT_EQ(PolicyHash(policy), HashOf(json["hash"]));
  boundary::v1::Policy proto;
  ToProto(policy, &proto);
  const absl::StatusOr<Policy> again = FromProto(proto);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(*again, policy);

  const Address signer = AddressOf(json["signer"]);
  const uint64_t sequence = Number64(json["sequence"]);
  EXPECT_EQ(PolicyChangeDigest(signer, sequence, next), HashOf(json["digest"]));

  const std::string text = PolicyChangeTypedData(signer, sequence, next);
  Json shown;
  const std::unique_ptr<::Json::CharReader> reader(::Json::CharReaderBuilder().newCharReader());
  ASSERT_TRUE(reader->parse(text.data(), text.data() + text.size(), &shown, nullptr)) << text;
  ExpectSame(shown["types"], json["types"], "types");
  ExpectSame(shown["message"]["policy"], json["next"], "policy");
  EXPECT_EQ(AddressOf(shown["message"]["signer"]), signer);
  EXPECT_EQ(Number64(shown["message"]["sequence"]), sequence);
  EXPECT_EQ(Number64(shown["domain"]["chainId"]), next.chain_id);

  std::vector<std::string> signatures;
  for (const Json& signature : json["signatures"]) signatures.push_back(Raw(signature));
  while (signatures.size() > policy.admin_threshold) signatures.pop_back();
  const absl::Status change = CheckPolicyChange(policy, signer, sequence, next, signatures);
  EXPECT_EQ(change.ok(), !policy.admins.empty()) << change;
  if (signatures.empty()) return;
  EXPECT_FALSE(CheckPolicyChange(policy, signer, sequence + 1, next, signatures).ok());
  signatures.pop_back();
  EXPECT_EQ(CodeOf(CheckPolicyChange(policy, signer, sequence, next, signatures)),
            boundary::v1::ERROR_SIGNATURE);
}

void CheckCall(const Json& json) {
  static const auto* const kinds =
      new std::map<std::string, BrokerCall::Kind>{{"redeem", BrokerCall::Kind::kRedeem},
                                                  {"batch", BrokerCall::Kind::kBatchRedeem},
                                                  {"fundDeposit", BrokerCall::Kind::kFundDeposit},
                                                  {"fundReserve", BrokerCall::Kind::kFundReserve}};
  BrokerCall expected{kinds->at(json["call"].asString()), {}};
  for (const Json& item : json["tickets"]) {
    const Json& fields = item["ticket"];
    ethereum::RedemptionArguments& added = expected.tickets.emplace_back();
    added.ticket.recipient = AddressOf(fields["recipient"]);
    added.ticket.sender = AddressOf(fields["sender"]);
    added.ticket.face_value = Number(fields["faceValue"]);
    added.ticket.win_prob = Number(fields["winProb"]);
    added.ticket.sender_nonce = Number(fields["senderNonce"]);
    added.ticket.recipient_rand_hash = HashOf(fields["recipientRandHash"]);
    added.ticket.aux_data = {Number64(fields["creationRound"]),
                             HashOf(fields["creationRoundBlockHash"])};
    added.signature = Raw(item["signature"]);
    added.recipient_rand = Number(item["recipientRand"]);
  }
  const std::string calldata = Raw(json["calldata"]);
  const absl::StatusOr<BrokerCall> call = ethereum::DecodeBrokerCall(calldata, 100);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(*call, expected);
  EXPECT_EQ(ethereum::ToHex(ethereum::EncodeBrokerCall(*call)), json["calldata"].asString());
}

TEST(PolicyConformance, AgreesWithEthersOnRandomCases) {
  if (!conformance::HasEthers()) GTEST_SKIP() << conformance::kNoEthers;
  conformance::RunCases("policy_vectors.mjs",
                        {{"policy", {CheckPolicy, 50}}, {"call", {CheckCall, 200}}});
}

}  // namespace
}  // namespace coffer::policy
