// The auditor at the door, and the reporter's signatures on credits: its own digests are ethers',
// and it names what is applied or refused against them.
#include "tests/sim/wire/reporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "enclave_core/ethereum/signature.h"
#include "tests/sim/wire/door.h"

namespace coffer::sim {
namespace {

using testing::HasSubstr;
namespace v1 = boundary::v1;

policy::Policy WithReporter(bool required) {
  policy::Policy policy = DoorPolicy();
  policy.credit_reporter = ReporterKey().address();
  policy.require_credit_signature = required;
  return policy;
}

std::string SignedBy(const ethereum::PrivateKey& key, const Hash& digest) {
  return key.Sign(ethereum::Eip191Hash(digest.view())).ToBytes65();
}

// A founded enclave applies alice's first credit, or refuses it for its signature, after `spoil`.
std::string After(bool required, bool applied, const std::function<void(v1::ApplyEvents&)>& spoil) {
  Door door(WithReporter(required));
  door.Found();
  ClientFrame request = Door::CreditRequest("e1", 100);
  spoil(*request.mutable_apply_events());
  const uint64_t id = door.Ask(request);
  ServerFrame answer = Door::Applied();
  if (applied) {
    door.AddOpened();
    door.AddMove(LeafKind::kCredit, 100).event_id = "e1";
    door.HandOutAndStore();
  } else {
    answer = Door::Applied(0);
    answer.mutable_events_applied()->add_refusals()->mutable_error()->set_code(v1::ERROR_SIGNATURE);
  }
  door.Say(answer, id);
  return door.auditor.broken();
}

void ByReporter(v1::ApplyEvents& request) {
  request.set_batch_signature(SignedBy(ReporterKey(), wire::BatchDigest(request)));
}
void ByStranger(v1::ApplyEvents& request) {
  request.set_batch_signature(SignedBy(AdminKey(0), wire::BatchDigest(request)));
}
void EventByReporter(v1::ApplyEvents& request) {
  v1::Event& event = *request.mutable_events(0);
  event.set_signature(SignedBy(ReporterKey(), wire::EventDigest(event)));
}
void EventByStranger(v1::ApplyEvents& request) {
  v1::Event& event = *request.mutable_events(0);
  event.set_signature(SignedBy(AdminKey(0), wire::EventDigest(event)));
}
void Unsigned(v1::ApplyEvents&) {}

TEST(WireReporterTest, WhatTheReporterSignedIsApplied) {
  for (const bool required : {false, true}) {
    for (const auto sign : {ByReporter, EventByReporter}) {
      EXPECT_EQ(After(required, true, sign), "");
      EXPECT_THAT(After(required, false, sign), HasSubstr("nothing is wrong with it"));
    }
  }
  EXPECT_EQ(After(false, true, Unsigned), "");
  EXPECT_THAT(After(false, false, Unsigned), HasSubstr("nothing is wrong with it"));
}

TEST(WireReporterTest, WhatItDidNotSignIsRefused) {
  const auto changed = [](v1::ApplyEvents& request) {
    ByReporter(request);
    request.mutable_events(0)->set_content_hash(std::string(32, 'c'));
  };
  const auto doubled = [](v1::ApplyEvents& request) {
    EventByReporter(request);
    ByStranger(request);
  };
  const std::function<void(v1::ApplyEvents&)> spoils[] = {ByStranger, EventByStranger, changed,
                                                          doubled};
  for (const bool required : {false, true}) {
    for (const auto& spoil : spoils) {
      EXPECT_EQ(After(required, false, spoil), "");
      EXPECT_THAT(After(required, true, spoil), HasSubstr("without its reporter's signature"));
    }
  }
  EXPECT_EQ(After(true, false, Unsigned), "");
  EXPECT_THAT(After(true, true, Unsigned), HasSubstr("without its reporter's signature"));
}

// The vectors of ethers that tests/unit/authority has, too.
TEST(WireReporterTest, ItsDigestsAreEthers) {
  v1::ApplyEvents request;
  const auto add = [&](const char* id, v1::Event::Kind kind, uint64_t amount, std::string account) {
    v1::Event& event = *request.add_events();
    event.set_id(id);
    event.set_kind(kind);
    event.set_recipient(std::string(ethereum::Keccak256(account).view().substr(0, 20)));
    event.set_account(std::move(account));
    event.mutable_amount()->set_low(amount);
  };
  add("e-credit", v1::Event::KIND_CREDIT, 1000, "alice");
  add("e-up", v1::Event::KIND_ADJUST_UP, 50, "alice");
  request.mutable_events(1)->set_content_hash(std::string(32, '\x77'));
  add("e-down", v1::Event::KIND_ADJUST_DOWN, 30, "alice");
  add("e-bob", v1::Event::KIND_CREDIT, 40, "bob");
  EXPECT_EQ(wire::BatchDigest(request).ToHex(),
            "0x8a74f18451b19095a8a1be6e45f988145b1c146b46e9d9865ccdbe6c7c1d9f65");
  EXPECT_EQ(wire::EventDigest(request.events(0)).ToHex(),
            "0x82af1c571a2eb32d2dcaa2f720c3c2d36201b591fdc1364a348b0ea0921a261c");
  EXPECT_EQ(wire::EventDigest(request.events(1)).ToHex(),
            "0x6cb06b812224fa49b98d3b9d8ef5a02b78f88c5844ca77a8e65e197945be5273");
  EXPECT_EQ(wire::EventDigest(request.events(2)).ToHex(),
            "0x7057da9ac41d08cdd49077f783b88ed2785643763ed2229caf3c1ac9a80b835f");
}

}  // namespace
}  // namespace coffer::sim
