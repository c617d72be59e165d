// The fixture of the scenarios of docs/threat-model.md: a host that does exactly what its test
// says, to enclaves in several places. It keeps all that it is given.
#ifndef COFFER_TESTS_SIM_ADVERSARY_SCRIPTED_HOST_H_
#define COFFER_TESTS_SIM_ADVERSARY_SCRIPTED_HOST_H_

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/adversary/hostile_world.h"
#include "tests/sim/adversary/memory.h"

namespace coffer::sim {

// Tickets alone, and little of everything.
inline policy::Policy ScenarioPolicy() {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  policy.max_face_value = policy.max_transfer = policy.max_batch_total = 1'000'000;
  policy.max_tickets = 4;
  policy.max_gas_limit = 1'000'000;
  policy.max_fee_per_gas = policy.max_priority_fee_per_gas = 1'000;
  policy.ticket_validity_rounds = 2;
  return policy;
}

class ScriptedHost : public testing::Test {
 protected:
  using ClientFrame = boundary::v1::ClientFrame;
  using ServerFrame = boundary::v1::ServerFrame;

  // Before anything else.
  void Open(const policy::Policy& policy,
            HostileWorld::KeysFrom keys_from = HostileWorld::KeysFrom::kStart) {
    world_ = std::make_unique<HostileWorld>(1, policy, keys_from);
    world_->OnFrame([this](HostileWorld::Session* session, std::string payload) {
      ServerFrame frame;
      ASSERT_TRUE(frame.ParseFromString(payload));
      if (frame.has_store()) {
        newest_ = std::max(newest_, memory_.Keep(frame.store()));
        ClientFrame stored;
        stored.mutable_stored()->set_sequence(frame.store().sequence());
        if (acknowledges_) session->Send(stored.SerializeAsString());
      } else if (frame.has_audit_checkpoint()) {
        heads_.push_back(frame.audit_checkpoint());
      }
      answers_[frame.request_id()] = frame;
    });
  }
  void TearDown() override { EXPECT_EQ(world_->auditor().broken(), ""); }

  // ---- enclaves
  // Starts (again) in this place, without a state.
  void Restart(size_t slot) {
    world_->Kill(slot);
    world_->Start(slot);
    sessions_[slot] = world_->Connect(slot);
    world_->Advance(absl::Milliseconds(5));
  }
  // The last answer of a load of the state that ends at this record: load_done, or the first
  // refusal.
  ServerFrame LoadState(size_t slot, int record) {
    ClientFrame frame;
    frame.mutable_load_begin();
    Call(slot, frame);
    for (const std::string& piece : memory_.Pieces(record, true)) {
      frame.mutable_load_record()->set_sealed(piece);
      ServerFrame answer = Call(slot, frame);
      if (!answer.has_record_loaded()) return answer;
    }
    frame.mutable_load_end();
    ServerFrame answer = Call(slot, frame);
    world_->Advance(absl::Milliseconds(5));
    return answer;
  }
  uint64_t Ask(size_t slot, ClientFrame frame) {
    frame.set_request_id(++id_);
    sessions_[slot]->Send(frame.SerializeAsString());
    world_->Advance(absl::Milliseconds(20));
    return id_;
  }
  ServerFrame Call(size_t slot, ClientFrame frame) { return answers_[Ask(slot, std::move(frame))]; }
  bool Answered(uint64_t id) const { return answers_.count(id) != 0; }
  const ServerFrame& AnswerOf(uint64_t id) const { return answers_.at(id); }

  // ---- what is asked
  ServerFrame Credit(size_t slot, const std::string& id, uint64_t amount,
                     const std::string& recipient = std::string(20, '\x77')) {
    ClientFrame frame;
    boundary::v1::Event* event = frame.mutable_apply_events()->add_events();
    event->set_id(id);
    event->set_kind(boundary::v1::Event::KIND_CREDIT);
    event->set_account("payee");
    event->set_recipient(recipient);
    event->mutable_amount()->set_low(amount);
    return Call(slot, frame);
  }
  static void Read(uint64_t nonce, boundary::v1::ChainReading* out, uint64_t round = 100,
                   uint64_t deposit = 1'000'000) {
    out->set_account_nonce(nonce);
    out->mutable_deposit()->set_low(deposit);
    out->set_round(round);
    out->set_round_block_hash(std::string(32, '\x0b'));
  }
  static void Fees(boundary::v1::Fees* out, uint64_t fee = 100) {
    out->set_gas_limit(1'000'000);
    out->mutable_max_fee_per_gas()->set_low(fee);
    out->mutable_max_priority_fee_per_gas()->set_low(fee / 10);
  }
  // The last transaction of a payout, read from its bytes.
  wire::SignedTransaction Last(const boundary::v1::Payout& payout,
                               const std::vector<ethereum::Address>& signers) {
    wire::SignedTransaction transaction;
    transaction.tickets.resize(1);
    EXPECT_GT(payout.attempts_size(), 0);
    if (payout.attempts().empty()) return transaction;
    transaction.tickets.clear();
    EXPECT_EQ(ReadTransaction(payout.attempts().rbegin()->raw_tx(), signers,
                              world_->policy().broker, &transaction),
              "");
    return transaction;
  }
  // Each of its tickets paid so much, if it succeeded.
  ServerFrame Receipt(size_t slot, const wire::SignedTransaction& transaction,
                      const ethereum::U256& paid, bool succeeded = true) {
    ClientFrame frame;
    auto* receipt = frame.mutable_report_receipt();
    receipt->set_tx_hash(std::string(transaction.hash.view()));
    receipt->set_succeeded(succeeded);
    receipt->set_block_hash(std::string(32, '\x0c'));
    for (const wire::Ticket& ticket : transaction.tickets) {
      if (succeeded) AppendLogs(world_->policy().broker, ticket, paid, receipt->mutable_logs());
    }
    return Call(slot, frame);
  }
  boundary::v1::Status Status(size_t slot) {
    ClientFrame frame;
    frame.mutable_status();
    return Call(slot, frame).status();
  }
  void SignHead(size_t slot) {
    ClientFrame frame;
    frame.mutable_get_checkpoint();
    heads_.push_back(Call(slot, frame).audit_checkpoint());
  }
  // Two heads of one size and different roots: what a witness, the registry and every reader who
  // comes back refuse.
  bool HeadsContradict() const {
    for (const auto& one : heads_) {
      for (const auto& other : heads_) {
        if (one.size() == other.size() && one.root() != other.root()) return true;
      }
    }
    return false;
  }

  std::unique_ptr<HostileWorld> world_;
  Memory memory_;
  int newest_ = -1;  // in memory_: the record that ends the newest state
  bool acknowledges_ = true;
  std::vector<boundary::v1::AuditCheckpoint> heads_;

 private:
  std::map<size_t, HostileWorld::Session*> sessions_;
  std::map<uint64_t, ServerFrame> answers_;
  uint64_t id_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_SCRIPTED_HOST_H_
