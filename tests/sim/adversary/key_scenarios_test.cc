// What a hostile host can do with the keys of an enclave, and what it can't: each test is an item
// of docs/threat-model.md, or what keeps it from being one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/sim/adversary/hostile_world.h"
#include "tests/sim/adversary/memory.h"

namespace coffer::sim {
namespace {

namespace v1 = boundary::v1;
using v1::ClientFrame;
using v1::ServerFrame;

policy::Policy KeyPolicy() {
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

class KeyScenario : public testing::Test {
 protected:
  KeyScenario() : world_(1, KeyPolicy(), HostileWorld::KeysFrom::kKms) {
    ciphertext_ = world_.kms().Encrypt(std::string(32, '\x42'));
    world_.OnFrame([this](HostileWorld::Session* session, std::string payload) {
      ServerFrame frame;
      ASSERT_TRUE(frame.ParseFromString(payload));
      if (frame.has_store()) {
        newest_ = std::max(newest_, memory_.Keep(frame.store()));
        ClientFrame stored;
        stored.mutable_stored()->set_sequence(frame.store().sequence());
        session->Send(stored.SerializeAsString());
      }
      answers_[frame.request_id()] = frame;
    });
  }
  void TearDown() override { EXPECT_EQ(world_.auditor().broken(), ""); }

  void Restart() {
    world_.Kill(0);
    world_.Start(0);
    session_ = world_.Connect(0);
    world_.Advance(absl::Milliseconds(5));
  }
  ServerFrame Call(ClientFrame frame) {
    frame.set_request_id(++id_);
    session_->Send(frame.SerializeAsString());
    world_.Advance(absl::Milliseconds(20));
    return answers_[id_];
  }
  ServerFrame Provision(const std::vector<v1::StateKey>& keys) {
    ClientFrame frame;
    test::FillCredentials(frame.mutable_provision()->mutable_aws());
    frame.mutable_provision()->set_ciphertext(ciphertext_);
    for (const v1::StateKey& key : keys) *frame.mutable_provision()->add_state_keys() = key;
    return Call(frame);
  }
  // The last answer of a load: load_done, or the first refusal.
  ServerFrame Load() {
    ClientFrame frame;
    frame.mutable_load_begin();
    Call(frame);
    for (const std::string& piece : memory_.Pieces(newest_, true)) {
      frame.mutable_load_record()->set_sealed(piece);
      ServerFrame answer = Call(frame);
      if (answer.has_error()) return answer;
    }
    frame.mutable_load_end();
    return Call(frame);
  }
  v1::Status Status() {
    ClientFrame frame;
    frame.mutable_status();
    return Call(frame).status();
  }
  // As KMS encrypts it for whoever may ask.
  v1::StateKey HostsKey(uint32_t epoch) {
    v1::StateKey key;
    key.set_epoch(epoch);
    key.set_ciphertext(
        world_.kms().Encrypt(std::string(32, 'h'), {{"coffer:purpose", "state-key"},
                                                    {"coffer:address", world_.address().ToHex()},
                                                    {"coffer:epoch", absl::StrCat(epoch)}}));
    key.set_tag(std::string(32, 't'));
    return key;
  }

  HostileWorld world_;
  std::string ciphertext_;
  Memory memory_;
  int newest_ = -1;

 private:
  HostileWorld::Session* session_ = nullptr;
  std::map<uint64_t, ServerFrame> answers_;
  uint64_t id_ = 0;
};

TEST_F(KeyScenario, AStateKeyOfItsOwnIsRefused) {
  Restart();
  EXPECT_EQ(Provision({HostsKey(1)}).error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_EQ(Status().phase(), v1::PHASE_UNPROVISIONED);
  const ServerFrame first = Provision({});
  ASSERT_TRUE(first.has_provisioned());
  const v1::StateKey genuine = first.provisioned().new_state_keys(0);
  // Nor behind a genuine one, under which it would be sealed from then on, nor with its tag.
  Restart();
  EXPECT_EQ(Provision({genuine, HostsKey(2)}).error().code(), v1::ERROR_STATE_REFUSED);
  v1::StateKey borrowed = HostsKey(1);
  borrowed.set_tag(genuine.tag());
  EXPECT_EQ(Provision({borrowed}).error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_TRUE(Provision({genuine}).has_provisioned());
}

TEST_F(KeyScenario, LosesAStateByLosingItsKey) {
  Restart();
  const ServerFrame first = Provision({});
  ASSERT_TRUE(Load().has_load_done());
  Restart();
  ASSERT_TRUE(Provision({}).has_provisioned());
  EXPECT_EQ(Load().error().code(), v1::ERROR_STATE_REFUSED);
  Restart();
  ASSERT_TRUE(Provision({first.provisioned().new_state_keys(0)}).has_provisioned());
  EXPECT_TRUE(Load().has_load_done());
}

// Another key is another enclave. Who is about to send something looks at the attested address.
TEST_F(KeyScenario, StartsAnEnclaveWithAKeyOfItsOwn) {
  ciphertext_ = world_.kms().Encrypt(std::string(32, '\x43'));
  Restart();
  const ServerFrame answer = Provision({});
  ASSERT_TRUE(answer.has_provisioned());
  EXPECT_NE(answer.provisioned().address(), world_.address().view());
  EXPECT_EQ(Status().address(), answer.provisioned().address());
}

}  // namespace
}  // namespace coffer::sim
