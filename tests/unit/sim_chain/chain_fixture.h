// A chain with one sender that has ether and a deposit.
#ifndef COFFER_TESTS_UNIT_SIM_CHAIN_CHAIN_FIXTURE_H_
#define COFFER_TESTS_UNIT_SIM_CHAIN_CHAIN_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/sim/chain/chain_model.h"
#include "tests/sim/chain/ticket_maker.h"

namespace coffer::sim::chain {

inline Address Somebody(uint64_t n) {
  return *Address::FromBytes(ethereum::ToBytes32(U256(0xabc000) + n).substr(12));
}

class ChainTest : public testing::Test {
 protected:
  static ChainOptions Options() {
    ChainOptions options;
    options.broker.contracts.broker =
        *Address::FromHex("0xa8bb618b1520e284046f3dfc448851a1ff26e41b");
    options.base_fee = 100;
    options.min_base_fee = 100;
    return options;
  }

  explicit ChainTest(const ChainOptions& options = Options())
      : key_(*ethereum::PrivateKey::FromBytes(std::string(32, '\x42'))), chain_(options) {
    chain_.SetNonce(sender(), 7);
    chain_.AddEther(sender(), U256(1'000'000'000'000'000'000));
    chain_.AddDeposit(sender(), 1000);
  }

  const Address& sender() const { return key_.address(); }
  const Address& broker() const { return chain_.options().broker.contracts.broker; }

  TicketCall Ticket(uint64_t sender_nonce, const U256& face_value, uint64_t recipient = 1) {
    const uint64_t round = chain_.broker().round();
    return MakeTicket(key_, Somebody(recipient), face_value, sender_nonce, round,
                      chain_.broker().BlockHashForRound(round));
  }
  TransactionPlan Plan(uint64_t nonce, const std::string& data) {
    TransactionPlan plan;
    plan.nonce = nonce;
    plan.to = broker();
    plan.data = data;
    plan.max_fee = 1000;
    return plan;
  }
  std::string Batch(uint64_t nonce, const std::vector<TicketCall>& tickets) {
    TransactionPlan plan = Plan(nonce, EncodeBatchRedeem(tickets));
    plan.gas_limit = 100'000 + 300'000 * (tickets.size() + 1);
    return MakeTransaction(key_, plan);
  }
  std::string Single(uint64_t nonce, const TicketCall& ticket) {
    return MakeTransaction(key_, Plan(nonce, EncodeRedeem(ticket)));
  }
  static Hash HashOf(const std::string& raw) { return ethereum::Keccak256(raw); }
  // The canonical receipt, which must be there.
  const Receipt& ReceiptOf(const std::string& raw) {
    const Receipt* receipt = chain_.FindReceipt(HashOf(raw));
    EXPECT_NE(receipt, nullptr);
    static const Receipt kNone;
    return receipt == nullptr ? kNone : *receipt;
  }

  ethereum::PrivateKey key_;
  ChainModel chain_;
};

}  // namespace coffer::sim::chain

#endif  // COFFER_TESTS_UNIT_SIM_CHAIN_CHAIN_FIXTURE_H_
