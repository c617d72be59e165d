// The auditor at the door, and the keys that an enclave is provisioned with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "tests/sim/wire/door.h"

namespace coffer::sim {
namespace {

using testing::HasSubstr;
namespace v1 = boundary::v1;

// A second enclave is provisioned with what the first one had made, and something of it spoiled.
std::string AfterProvisioning(const std::function<void(v1::Provision&)>& spoil) {
  Door door;
  door.FoundAndCredit();
  door.RotateAndAdopt(1);
  door.enclave = 2;
  door.auditor.OnEnclaveStarted(2);
  ClientFrame frame;
  v1::Provision& request = *frame.mutable_provision();
  *request.mutable_next_signing_key() = Door::Next(1).signing_key();
  *request.add_state_keys() = Door::Next(1).state_key();
  std::string own = Text(DoorKey(0).address());
  request.set_expected_address(own);
  spoil(request);
  ServerFrame answer;
  answer.mutable_provisioned()->set_address(request.expected_address());
  door.Say(answer, door.Ask(frame));
  if (door.auditor.broken().empty()) door.Load(door.records);
  return door.auditor.broken();
}

TEST(WireStateKeysTest, WhatAnEnclaveIsGiven) {
  EXPECT_EQ(AfterProvisioning([](v1::Provision&) {}), "");
  EXPECT_THAT(AfterProvisioning([](v1::Provision& request) {
                request.mutable_next_signing_key()->set_ciphertext("the host's");
              }),
              HasSubstr("takes a signing key that no enclave had made"));
  EXPECT_THAT(AfterProvisioning([](v1::Provision& request) {
                request.set_expected_address(Text(DoorKey(2).address()));
              }),
              HasSubstr("did not vouch for it"));
  EXPECT_THAT(AfterProvisioning([](v1::Provision& request) {
                request.mutable_state_keys(0)->set_ciphertext("the host's");
              }),
              HasSubstr("takes a state key of epoch 2 that no enclave had made"));
  EXPECT_THAT(AfterProvisioning([](v1::Provision& request) { request.clear_next_signing_key(); }),
              HasSubstr("another signing key vouches for"));
  EXPECT_THAT(AfterProvisioning([](v1::Provision& request) {
                request.clear_next_signing_key();
                request.clear_state_keys();
              }),
              HasSubstr("is loaded by an enclave without the key of"));
}

}  // namespace
}  // namespace coffer::sim
