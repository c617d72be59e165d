// Policies and transactions that the tests of this folder start from.
#ifndef COFFER_TESTS_UNIT_POLICY_SAMPLES_H_
#define COFFER_TESTS_UNIT_POLICY_SAMPLES_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <iostream>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "enclave_core/error.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/policy/policy.h"

namespace coffer::policy {

inline ethereum::Address Filled(uint8_t byte) {
  ethereum::Address out;
  out.bytes.fill(byte);
  return out;
}

inline ethereum::PrivateKey KeyOf(char byte) {
  return ethereum::PrivateKey::FromBytes(std::string(32, byte)).value();
}

inline const ethereum::Address kSigner = Filled(0x77);
inline const ethereum::Address kBroker = Filled(0xb0);
inline const ethereum::Address kPayee = Filled(0x21);
inline const ethereum::Address kOther = Filled(0x22);
inline const ethereum::Address kStranger = Filled(0x23);

// No field has its default value or 0, but for `unrestricted`.
inline Policy FullPolicy() {
  Policy p;
  p.chain_id = 31337;
  p.broker = kBroker;
  p.allow_tickets = true;
  p.max_face_value = 1000;
  p.max_batch_total = 5000;
  p.max_tickets = 7;
  p.win_prob = 12345;
  p.ticket_validity_rounds = 3;
  p.void_on_host_word = true;
  p.allow_eth_transfer = true;
  p.max_transfer = 700;
  p.max_fund_deposit = 9000;
  p.max_fund_reserve = 8000;
  p.require_allowlist = true;
  p.allowed_recipients = {kPayee, kOther};
  p.max_gas_limit = 6'000'000;
  p.max_fee_per_gas = 50;
  p.max_priority_fee_per_gas = 40;
  p.max_transaction_cost = kNoLimit - 1;
  p.allow_access_list = true;
  p.allow_raw_messages = true;
  p.velocity_window = 3600;
  p.velocity_total = 6000;
  p.velocity_recipient = 2000;
  p.velocity_signatures = 11;
  p.credit_reporter = Filled(0xcc);
  p.require_credit_signature = true;
  for (const char key : {'1', '2', '3'}) p.admins.push_back(KeyOf(key).address());
  std::sort(p.admins.begin(), p.admins.end());
  p.admin_threshold = 2;
  return p;
}

// What an operator on Arbitrum One might start with.
inline Policy PlainPolicy() {
  const Wei ether = 1'000'000'000'000'000'000;
  Policy p;
  p.chain_id = 42161;
  p.broker = *ethereum::Address::FromHex("0xa8bb618b1520e284046f3dfc448851a1ff26e41b");
  p.max_face_value = ether;
  p.max_batch_total = 20 * ether;
  p.max_tickets = 100;
  p.ticket_validity_rounds = 2;
  p.max_fund_deposit = 10 * ether;
  p.max_gas_limit = 30'000'000;
  p.max_fee_per_gas = 200'000'000'000;
  p.max_priority_fee_per_gas = 10'000'000'000;
  return p;
}

inline ethereum::RedemptionArguments Redemption(uint64_t nonce, uint64_t face_value = 1000,
                                                const ethereum::Address& recipient = kPayee) {
  ethereum::RedemptionArguments out;
  out.ticket.recipient = recipient;
  out.ticket.sender = kSigner;
  out.ticket.face_value = face_value;
  out.ticket.win_prob = 12345;
  out.ticket.sender_nonce = nonce;
  out.ticket.recipient_rand_hash.bytes.fill(0x44);
  out.signature = std::string(65, '\x55');  // opaque: the contract judges it
  out.recipient_rand = 42;
  return out;
}

inline std::string Batch(const std::vector<ethereum::RedemptionArguments>& tickets) {
  return ethereum::EncodeBrokerCall({ethereum::BrokerCall::Kind::kBatchRedeem, tickets});
}
inline std::string Redeem(const ethereum::RedemptionArguments& ticket) {
  return ethereum::EncodeBrokerCall({ethereum::BrokerCall::Kind::kRedeem, {ticket}});
}

// A transaction that FullPolicy allows: at the broker, all limits of gas met exactly.
inline ethereum::Transaction Call(std::string calldata) {
  ethereum::Transaction tx;
  tx.chain_id = 31337;
  tx.nonce = 9;
  tx.gas_limit = 6'000'000;
  tx.max_fee_per_gas = 50;
  tx.max_priority_fee_per_gas = 40;
  tx.to = kBroker;
  tx.data = std::move(calldata);
  return tx;
}

inline uint64_t TestSeed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "COFFER_TEST_SEED=" << seed << "\n";
  return seed;
}

// Refused with ERROR_POLICY, by `rule`, in a sentence that holds all of `words`.
inline void ExpectRefused(const absl::Status& status, std::string_view rule,
                          std::initializer_list<std::string_view> words) {
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(CodeOf(status), boundary::v1::ERROR_POLICY);
  EXPECT_EQ(RuleOf(status), rule) << status;
  const std::string sentence(status.message());
  for (const std::string_view word : words) {
    EXPECT_NE(sentence.find(word), std::string::npos) << word << " is not in: " << sentence;
  }
}

}  // namespace coffer::policy

#endif  // COFFER_TESTS_UNIT_POLICY_SAMPLES_H_
