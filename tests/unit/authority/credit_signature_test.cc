// Signed credits: the packed digest as ethers computes it, and everything that is not the
// reporter's signature.
#include "enclave_core/authority/credit_signature.h"

#include <gtest/gtest.h>

#include <functional>

#include "tests/unit/authority/reporter_policy.h"

namespace coffer::test {
namespace {

constexpr v1::Event::Kind kCredit = v1::Event::KIND_CREDIT;

// ethers 6: solidityPackedKeccak256 and signMessage with the key 0x2222...22, for account "alice"
// and her recipient of the tests.
struct Vector {
  const char* id;
  v1::Event::Kind kind;
  uint64_t amount;
  const char* digest;
  const char* signature;
};
const Vector kVectors[] = {
    {"e-credit", kCredit, 1000,
     "0x82af1c571a2eb32d2dcaa2f720c3c2d36201b591fdc1364a348b0ea0921a261c",
     "dbfecd6b891454e7df14de1f672a4d30cf0daad10399ee407e6ea4d5ca74929c08ff7d"
     "620c30c1ccd8cc2064c2ec610ec41385bd1421ebc4ba88a93cdd56e8931c"},
    {"e-up", kUp, 50, "0x6cb06b812224fa49b98d3b9d8ef5a02b78f88c5844ca77a8e65e197945be5273",
     "ea2c38a210985b9247bf2940287db2a5ae9a44947bdfc55d8f4be67fdf9600021670b3"
     "ad910d3ac03e1f218c0f9f41bf003f065941317ae21d38c244c49a66291c"},
    {"e-down", kDown, 30, "0x7057da9ac41d08cdd49077f783b88ed2785643763ed2229caf3c1ac9a80b835f",
     "6ccaa2a85f3fb80185657fe05f505e00850c1b67e80192c2707fd9c27eb9e6dc63f260"
     "9e5c50907ca8b9ee0796006bc9c32a7c817299b3a5a817079c51f88e1c1c"},
};

v1::Event Signed(const Vector& vector) {
  v1::Event event = MakeEvent(vector.id, "alice", vector.amount, vector.kind);
  event.set_signature(ethereum::FromHex(vector.signature).value());
  return event;
}

v1::ErrorCode Verdict(Bank& bank, const v1::Event& event) {
  const v1::EventsApplied answer = bank.Apply({event});
  return answer.refusals().empty() ? v1::ERROR_UNSPECIFIED : answer.refusals(0).error().code();
}

TEST(CreditSignatureTest, TheDigestIsEthers) {
  for (const Vector& vector : kVectors) {
    EXPECT_EQ(authority::CreditDigest(Signed(vector)).ToHex(), vector.digest) << vector.id;
  }
}

TEST(CreditSignatureTest, WhatTheReporterSignedIsTaken) {
  for (const bool required : {false, true}) {
    Bank bank(Guarded(required));
    for (const Vector& vector : kVectors) {
      EXPECT_EQ(Verdict(bank, Signed(vector)), v1::ERROR_UNSPECIFIED) << vector.id;
    }
    EXPECT_EQ(Line(bank.Of("alice")), "1020 0 0");
  }
}

TEST(CreditSignatureTest, EveryOtherSignatureIsRefusedAndTheEventIsNotRemembered) {
  struct Row {
    const char* name;
    std::function<void(v1::Event&)> change;
  };
  const Row rows[] = {
      {"amount", [](auto& e) { ledger::ToProto(1001, e.mutable_amount()); }},
      {"account", [](auto& e) { e.set_account("bob"); }},
      {"recipient", [](auto& e) { e.set_recipient(RecipientOf("bob")); }},
      {"kind", [](auto& e) { e.set_kind(kUp); }},
      {"one bit", [](auto& e) { (*e.mutable_signature())[10] ^= 1; }},
      {"v", [](auto& e) { (*e.mutable_signature())[64] ^= 7; }},
      {"64 bytes", [](auto& e) { e.mutable_signature()->pop_back(); }},
      {"66 bytes", [](auto& e) { e.mutable_signature()->push_back('x'); }},
      {"another key",
       [](auto& e) {
         e.set_signature(
             Key(0x33).Sign(ethereum::Eip191Hash(authority::CreditDigest(e).view())).ToBytes65());
       }},
      {"without the prefix of EIP-191",
       [](auto& e) { e.set_signature(Key(0x22).Sign(authority::CreditDigest(e)).ToBytes65()); }},
      {"zeros", [](auto& e) { e.set_signature(std::string(65, '\0')); }},
  };
  for (const bool required : {false, true}) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.name);
      Bank bank(Guarded(required));
      v1::Event event = Signed(kVectors[0]);
      row.change(event);
      EXPECT_EQ(Verdict(bank, event), v1::ERROR_SIGNATURE);
      EXPECT_EQ(bank.batches.back().events_size(), 0);
      EXPECT_EQ(bank.state.event_ids().size(), 0u);
      EXPECT_EQ(Verdict(bank, Signed(kVectors[0])), v1::ERROR_UNSPECIFIED)
          << "refused once is not lost for ever";
    }
  }
}

TEST(CreditSignatureTest, AMissingOneIsRefusedWhereThePolicyWantsIt) {
  Bank strict(Guarded(true));
  EXPECT_EQ(Verdict(strict, MakeEvent("e", "alice", 5)), v1::ERROR_SIGNATURE);
  EXPECT_EQ(strict.state.event_ids().size(), 0u);
  Bank lenient(Guarded(false));
  EXPECT_EQ(Verdict(lenient, MakeEvent("e", "alice", 5)), v1::ERROR_UNSPECIFIED);
  Bank without;  // nobody is named whose signature it could be
  v1::Event event = MakeEvent("e", "alice", 5);
  event.set_signature("whatever");
  EXPECT_EQ(Verdict(without, event), v1::ERROR_UNSPECIFIED);
}

// The correction downwards is signed as a negative number: the same magnitude upwards is another.
TEST(CreditSignatureTest, ADeltasSignIsSigned) {
  Bank bank(Guarded(true));
  ASSERT_EQ(Verdict(bank, Signed(kVectors[0])), v1::ERROR_UNSPECIFIED);
  v1::Event event = Signed(kVectors[2]);
  event.set_kind(kUp);
  EXPECT_EQ(Verdict(bank, event), v1::ERROR_SIGNATURE);
}

// I7 before the signature: what was applied before the policy asked for one stays applied.
TEST(CreditSignatureTest, ARepetitionIsARepetition) {
  Bank bank(Guarded(true));
  ASSERT_EQ(Verdict(bank, Signed(kVectors[0])), v1::ERROR_UNSPECIFIED);
  v1::Event bare = Signed(kVectors[0]);
  bare.clear_signature();
  const v1::EventsApplied answer = bank.Apply({bare});
  EXPECT_EQ(answer.duplicates_size(), 1);
  EXPECT_EQ(answer.refusals_size(), 0);
  EXPECT_EQ(Line(bank.Of("alice")), "1000 0 0");
}

}  // namespace
}  // namespace coffer::test
