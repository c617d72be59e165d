// enclave_core/ethereum against ethers and noble-curves, on random cases made by
// ethereum_vectors.mjs. The seed is printed; COFFER_TEST_SEED repeats a run.
#include <gtest/gtest.h>
#include <json/json.h>

#include <string>
#include <vector>

#include "enclave_core/ethereum/rlp.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/ethereum/types.h"
#include "tests/conformance/ethers_cases.h"

namespace coffer::ethereum {
namespace {

using Json = Json::Value;

std::string Raw(const Json& hex) { return FromHex(hex.asString()).value(); }
Hash HashOf(const Json& hex) { return Hash::FromHex(hex.asString()).value(); }
Address AddressOf(const Json& text) { return AddressFromText(text.asString()).value(); }
U256 Number(const Json& text) { return U256FromString(text.asString()).value(); }
uint64_t Number64(const Json& text) { return static_cast<uint64_t>(Number(text)); }
PrivateKey KeyOf(const Json& hex) { return PrivateKey::FromBytes(Raw(hex)).value(); }

Transaction TransactionOf(const Json& json) {
  Transaction tx;
  tx.type = static_cast<Transaction::Type>(json["type"].asInt());
  tx.chain_id = Number64(json["chainId"]);
  tx.nonce = Number64(json["nonce"]);
  tx.gas_limit = Number64(json["gasLimit"]);
  if (json.isMember("gasPrice")) tx.gas_price = Number(json["gasPrice"]);
  if (json.isMember("maxFeePerGas")) {
    tx.max_fee_per_gas = Number(json["maxFeePerGas"]);
    tx.max_priority_fee_per_gas = Number(json["maxPriorityFeePerGas"]);
  }
  if (!json["to"].isNull()) tx.to = AddressOf(json["to"]);
  tx.value = Number(json["value"]);
  tx.data = Raw(json["data"]);
  for (const Json& entry : json["accessList"]) {
    AccessListEntry& added = tx.access_list.emplace_back();
    added.address = AddressOf(entry["address"]);
    for (const Json& key : entry["storageKeys"]) added.storage_keys.push_back(HashOf(key));
  }
  return tx;
}

void CheckTransaction(const Json& json) {
  const Transaction tx = TransactionOf(json);
  EXPECT_EQ(tx.SigningHash(), HashOf(json["signingHash"]));
  const SignedTransaction signed_tx = SignTransaction(tx, KeyOf(json["key"]));
  EXPECT_EQ(ToHex(signed_tx.Encode()), json["raw"].asString());
  EXPECT_EQ(signed_tx.TransactionHash(), HashOf(json["hash"]));
  const absl::StatusOr<SignedTransaction> parsed = ParseSignedTransaction(Raw(json["raw"]));
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->transaction, tx);
  EXPECT_EQ(parsed->signature, signed_tx.signature);
  EXPECT_EQ(parsed->Sender().value(), AddressOf(json["sender"]));
}

SignedTicket TicketOf(const Json& json) {
  SignedTicket out;
  const Json& fields = json["ticket"];
  out.ticket.recipient = AddressOf(fields["recipient"]);
  out.ticket.sender = AddressOf(fields["sender"]);
  out.ticket.face_value = Number(fields["faceValue"]);
  out.ticket.win_prob = Number(fields["winProb"]);
  out.ticket.sender_nonce = Number(fields["senderNonce"]);
  out.recipient_rand = Number(json["recipientRand"]);
  out.ticket.recipient_rand_hash = RecipientRandHash(out.recipient_rand);
  out.ticket.aux_data = {Number64(fields["creationRound"]),
                         HashOf(fields["creationRoundBlockHash"])};
  EXPECT_EQ(out.ticket.recipient_rand_hash, HashOf(fields["recipientRandHash"]));
  EXPECT_EQ(out.ticket.TicketHash(), HashOf(json["ticketHash"]));
  EXPECT_EQ(out.ticket.SigningHash(), HashOf(json["signingHash"]));
  out.signature = KeyOf(json["key"]).Sign(out.ticket.SigningHash());
  EXPECT_EQ(ToHex(out.signature.ToBytes65()), json["signature"].asString());
  EXPECT_EQ(RecoverAddress(out.ticket.SigningHash(), out.signature).value(), out.ticket.sender);
  return out;
}

void CheckTicket(const Json& json) {
  EXPECT_EQ(ToHex(EncodeRedeemWinningTicket(TicketOf(json))), json["calldata"].asString());
}

void CheckBatch(const Json& json) {
  std::vector<SignedTicket> tickets;
  for (const Json& ticket : json["tickets"]) tickets.push_back(TicketOf(ticket));
  EXPECT_EQ(ToHex(EncodeBatchRedeemWinningTickets(tickets)), json["calldata"].asString());
}

std::vector<Log> LogsOf(const Json& json) {
  std::vector<Log> logs;
  for (const Json& entry : json) {
    Log& log = logs.emplace_back();
    log.address = AddressOf(entry["address"]);
    for (const Json& topic : entry["topics"]) log.topics.push_back(HashOf(topic));
    log.data = Raw(entry["data"]);
    log.log_index = logs.size() - 1;
  }
  return logs;
}

void CheckReceipt(const Json& json) {
  const Address broker = AddressOf(json["broker"]);
  const std::vector<Log> logs = LogsOf(json["logs"]);
  const absl::StatusOr<std::vector<Redemption>> redemptions = DecodeRedemptions(broker, logs);
  ASSERT_TRUE(redemptions.ok()) << redemptions.status();
  ASSERT_EQ(redemptions->size(), json["redemptions"].size());
  for (Json::ArrayIndex i = 0; i < json["redemptions"].size(); ++i) {
    const Json& expected = json["redemptions"][i];
    const Redemption& got = (*redemptions)[i];
    EXPECT_EQ(got.sender, AddressOf(expected["sender"]));
    EXPECT_EQ(got.recipient, AddressOf(expected["recipient"]));
    EXPECT_EQ(got.face_value, Number(expected["faceValue"]));
    EXPECT_EQ(got.win_prob, Number(expected["winProb"]));
    EXPECT_EQ(got.sender_nonce, Number(expected["senderNonce"]));
    EXPECT_EQ(got.recipient_rand, Number(expected["recipientRand"]));
    EXPECT_EQ(got.aux_data.creation_round, Number64(expected["creationRound"]));
    EXPECT_EQ(got.aux_data.creation_round_block_hash, HashOf(expected["creationRoundBlockHash"]));
    EXPECT_EQ(got.paid, Number(expected["paid"]));
  }
  const absl::StatusOr<std::vector<Funding>> fundings = DecodeFundings(broker, logs);
  ASSERT_TRUE(fundings.ok()) << fundings.status();
  ASSERT_EQ(fundings->size(), json["fundings"].size());
  for (Json::ArrayIndex i = 0; i < json["fundings"].size(); ++i) {
    const Json& expected = json["fundings"][i];
    EXPECT_EQ((*fundings)[i].kind == Funding::Kind::kDeposit,
              expected["event"].asString() == "DepositFunded");
    EXPECT_EQ((*fundings)[i].sender, AddressOf(expected["sender"]));
    EXPECT_EQ((*fundings)[i].amount, Number(expected["amount"]));
  }
}

void CheckRead(const Json& json) {
  const Address a = AddressOf(json["a"]);
  EXPECT_EQ(ToHex(EncodeGetSenderInfo(a)), json["getSenderInfo"].asString());
  EXPECT_EQ(ToHex(EncodeClaimableReserve(a, AddressOf(json["b"]))),
            json["claimableReserve"].asString());
  EXPECT_EQ(ToHex(EncodeUsedTickets(HashOf(json["word"]))), json["usedTickets"].asString());
  EXPECT_EQ(ToHex(EncodeBlockHashForRound(Number64(json["round"]))),
            json["blockHashForRound"].asString());
  EXPECT_EQ(ToHex(EncodeGetContract(json["name"].asString())), json["getContract"].asString());
  const SenderInfo expected{Number(json["info"][0]), Number64(json["info"][1]),
                            Number(json["info"][2]), Number(json["info"][3])};
  EXPECT_EQ(DecodeSenderInfo(Raw(json["senderInfo"])).value(), expected);
  EXPECT_EQ(DecodeRevertReason(Raw(json["errorData"])), json["reason"].asString());
  char panic[16];
  std::snprintf(panic, sizeof(panic), "Panic 0x%02x ",
                static_cast<unsigned>(Number64(json["panic"])));
  EXPECT_EQ(DecodeRevertReason(Raw(json["panicData"])).rfind(panic, 0), 0u);
}

void CheckChecksum(const Json& json) {
  EXPECT_EQ(ToChecksum(AddressOf(json["lower"])), json["checksum"].asString());
  EXPECT_EQ(AddressOf(json["checksum"]), AddressOf(json["lower"]));
}

void CheckEip191(const Json& json) {
  EXPECT_EQ(Eip191Hash(Raw(json["message"])), HashOf(json["hash"]));
  EXPECT_EQ(Keccak256(Raw(json["message"])), HashOf(json["keccak"]));
}

std::string EncodeTree(const Json& tree) {
  std::string payload;
  if (!tree.isArray()) {
    rlp::AppendBytes(Raw(tree), payload);
    return payload;
  }
  for (const Json& item : tree) payload += EncodeTree(item);
  return rlp::EncodeList(payload);
}

void ExpectTree(const rlp::Item& item, const Json& tree) {
  ASSERT_EQ(item.is_list, tree.isArray());
  if (!item.is_list) {
    EXPECT_EQ(ToHex(item.bytes), tree.asString());
    return;
  }
  ASSERT_EQ(item.items.size(), tree.size());
  for (Json::ArrayIndex i = 0; i < tree.size(); ++i) ExpectTree(item.items[i], tree[i]);
}

void CheckRlp(const Json& json) {
  EXPECT_EQ(ToHex(EncodeTree(json["tree"])), json["encoded"].asString());
  const std::string encoded = Raw(json["encoded"]);
  const absl::StatusOr<rlp::Item> item = rlp::Decode(encoded);
  ASSERT_TRUE(item.ok()) << item.status();
  ExpectTree(*item, json["tree"]);
}

void CheckRecover(const Json& json) {
  const Signature signature = Signature::FromBytes65(Raw(json["signature"])).value();
  EXPECT_EQ(RecoverAddress(HashOf(json["digest"]), signature).value(), AddressOf(json["address"]));
  EXPECT_EQ(KeyOf(json["key"]).Sign(HashOf(json["digest"])), signature);
  EXPECT_EQ(KeyOf(json["key"]).address(), AddressOf(json["address"]));
}

TEST(EthereumConformance, AgreesWithEthersOnRandomCases) {
  if (!conformance::HasEthers()) GTEST_SKIP() << conformance::kNoEthers;
  conformance::RunCases("ethereum_vectors.mjs", {{"transaction", {CheckTransaction}},
                                                 {"ticket", {CheckTicket}},
                                                 {"batch", {CheckBatch}},
                                                 {"receipt", {CheckReceipt}},
                                                 {"read", {CheckRead}},
                                                 {"checksum", {CheckChecksum}},
                                                 {"eip191", {CheckEip191}},
                                                 {"rlp", {CheckRlp}},
                                                 {"recover", {CheckRecover}}});
}

}  // namespace
}  // namespace coffer::ethereum
