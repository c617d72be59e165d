// What a hostile host can do with the keys of an enclave, and what it can't: each test is an item
// of docs/threat-model.md, or what keeps it from being one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/sim/adversary/scripted_host.h"

namespace coffer::sim {
namespace {

namespace v1 = boundary::v1;

class KeyScenario : public ScriptedHost {
 protected:
  KeyScenario() {
    Open(ScenarioPolicy(), HostileWorld::KeysFrom::kKms);
    ciphertext_ = world_->kms().Encrypt(std::string(32, '\x42'));
  }
  ServerFrame Provision(const std::vector<v1::StateKey>& keys) {
    ClientFrame frame;
    test::FillCredentials(frame.mutable_provision()->mutable_aws());
    frame.mutable_provision()->set_ciphertext(ciphertext_);
    for (const v1::StateKey& key : keys) *frame.mutable_provision()->add_state_keys() = key;
    return Call(0, frame);
  }
  // As KMS encrypts it for whoever may ask.
  v1::StateKey HostsKey(uint32_t epoch) {
    v1::StateKey key;
    key.set_epoch(epoch);
    key.set_ciphertext(
        world_->kms().Encrypt(std::string(32, 'h'), {{"coffer:purpose", "state-key"},
                                                     {"coffer:address", world_->address().ToHex()},
                                                     {"coffer:epoch", absl::StrCat(epoch)}}));
    key.set_tag(std::string(32, 't'));
    return key;
  }

  std::string ciphertext_;
};

TEST_F(KeyScenario, AStateKeyOfItsOwnIsRefused) {
  Restart(0);
  EXPECT_EQ(Provision({HostsKey(1)}).error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_EQ(Status(0).phase(), v1::PHASE_UNPROVISIONED);
  const ServerFrame first = Provision({});
  ASSERT_TRUE(first.has_provisioned());
  const v1::StateKey genuine = first.provisioned().new_state_keys(0);
  // Nor behind a genuine one, under which it would be sealed from then on, nor with its tag.
  Restart(0);
  EXPECT_EQ(Provision({genuine, HostsKey(2)}).error().code(), v1::ERROR_STATE_REFUSED);
  v1::StateKey borrowed = HostsKey(1);
  borrowed.set_tag(genuine.tag());
  EXPECT_EQ(Provision({borrowed}).error().code(), v1::ERROR_STATE_REFUSED);
  EXPECT_TRUE(Provision({genuine}).has_provisioned());
}

TEST_F(KeyScenario, LosesAStateByLosingItsKey) {
  Restart(0);
  const ServerFrame first = Provision({});
  ASSERT_TRUE(LoadState(0, newest_).has_load_done());
  Restart(0);
  ASSERT_TRUE(Provision({}).has_provisioned());
  EXPECT_EQ(LoadState(0, newest_).error().code(), v1::ERROR_STATE_REFUSED);
  Restart(0);
  ASSERT_TRUE(Provision({first.provisioned().new_state_keys(0)}).has_provisioned());
  EXPECT_TRUE(LoadState(0, newest_).has_load_done());
}

// Another key is another enclave. Who is about to send something looks at the attested address.
TEST_F(KeyScenario, StartsAnEnclaveWithAKeyOfItsOwn) {
  ciphertext_ = world_->kms().Encrypt(std::string(32, '\x43'));
  Restart(0);
  const ServerFrame answer = Provision({});
  ASSERT_TRUE(answer.has_provisioned());
  EXPECT_NE(answer.provisioned().address(), world_->address().view());
  EXPECT_EQ(Status(0).address(), answer.provisioned().address());
}

}  // namespace
}  // namespace coffer::sim
