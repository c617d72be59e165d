// One signature over a batch of credits: the digest as ethers computes it, everything that it
// binds, and what it is worth beside an event's own signature.
#include <gtest/gtest.h>

#include <functional>
#include <utility>

#include "enclave_core/authority/credit_signature.h"
#include "tests/unit/authority/reporter_policy.h"

namespace coffer::test {
namespace {

// ethers 6: solidityPacked, sha256, solidityPackedKeccak256, and signMessage with 0x2222...22, over
// the four events of Four.
constexpr char kDigest[] = "0x8a74f18451b19095a8a1be6e45f988145b1c146b46e9d9865ccdbe6c7c1d9f65";
constexpr char kSignature[] =
    "fdf090fdd7b383ae872231a17ec55f7b5113dbf1b6f271d4e98178567d619e7f791c813ddc53a1b0865a256ee7f199"
    "678f9d82f4ba5f9e6f43fe79c42202d71e1b";

v1::ApplyEvents Four() {
  v1::ApplyEvents request;
  *request.add_events() = MakeEvent("e-credit", "alice", 1000);
  *request.add_events() = MakeEvent("e-up", "alice", 50, kUp);
  request.mutable_events(1)->set_content_hash(Bytes32(0x77));
  *request.add_events() = MakeEvent("e-down", "alice", 30, kDown);
  *request.add_events() = MakeEvent("e-bob", "bob", 40);
  request.set_batch_signature(ethereum::FromHex(kSignature).value());
  return request;
}

std::string SignedBy(uint8_t key, const v1::ApplyEvents& request) {
  return Key(key)
      .Sign(ethereum::Eip191Hash(authority::CreditBatchDigest(request).view()))
      .ToBytes65();
}

v1::EventsApplied Apply(Bank& bank, const v1::ApplyEvents& request) {
  v1::EventsApplied answer;
  bank.state.ApplyEvents(request, &answer, bank.Next());
  return answer;
}

// Every event of the request is refused for its signature, and none is remembered.
void ExpectNothingApplied(const v1::ApplyEvents& request) {
  for (const bool required : {false, true}) {
    Bank bank(Guarded(required));
    const v1::EventsApplied answer = Apply(bank, request);
    EXPECT_EQ(answer.applied(), 0u);
    EXPECT_EQ(answer.duplicates_size(), 0);
    ASSERT_EQ(answer.refusals_size(), request.events_size());
    for (const v1::EventRefusal& refusal : answer.refusals()) {
      EXPECT_EQ(refusal.error().code(), v1::ERROR_SIGNATURE) << refusal.error().message();
    }
    EXPECT_EQ(bank.batches.back().events_size(), 0);
    EXPECT_EQ(bank.state.event_ids().size(), 0u);
    EXPECT_EQ(Apply(bank, Four()).applied(), 4u) << "refused once is not lost for ever";
  }
}

TEST(BatchSignatureTest, TheDigestIsEthers) {
  EXPECT_EQ(authority::CreditBatchDigest(Four()).ToHex(), kDigest);
}

TEST(BatchSignatureTest, ABatchThatTheReporterSignedIsTaken) {
  for (const bool required : {false, true}) {
    Bank bank(Guarded(required));
    const v1::EventsApplied answer = Apply(bank, Four());
    EXPECT_EQ(answer.applied(), 4u);
    EXPECT_EQ(answer.refusals_size(), 0);
    EXPECT_EQ(Line(bank.Of("alice")), "1020 0 0");
    EXPECT_EQ(Line(bank.Of("bob")), "40 0 0");
  }
}

TEST(BatchSignatureTest, EveryFieldTheOrderAndTheNumberAreSigned) {
  struct Row {
    const char* name;
    std::function<void(v1::ApplyEvents&)> change;
  };
  const auto event = [](auto change) {
    return [change](v1::ApplyEvents& r) { change(*r.mutable_events(3)); };
  };
  const Row rows[] = {
      {"id", event([](auto& e) { e.set_id("e-boc"); })},
      {"kind", event([](auto& e) { e.set_kind(kUp); })},
      {"account", event([](auto& e) { e.set_account("boc"); })},
      {"recipient", event([](auto& e) { e.set_recipient(RecipientOf("alice")); })},
      {"amount", event([](auto& e) { ledger::ToProto(41, e.mutable_amount()); })},
      {"amount, above 64 bits", event([](auto& e) { e.mutable_amount()->set_high(1); })},
      {"a content hash more", event([](auto& e) { e.set_content_hash(Bytes32(0x77)); })},
      {"another content hash",
       [](auto& r) { r.mutable_events(1)->set_content_hash(Bytes32(0x78)); }},
      {"a content hash less", [](auto& r) { r.mutable_events(1)->clear_content_hash(); }},
      {"order", [](auto& r) { r.mutable_events()->SwapElements(0, 1); }},
      {"the last one dropped", [](auto& r) { r.mutable_events()->RemoveLast(); }},
      {"the first one dropped",
       [](auto& r) { r.mutable_events()->erase(r.mutable_events()->begin()); }},
      {"one more", [](auto& r) { *r.add_events() = MakeEvent("e-more", "bob", 1); }},
      {"one twice", [](auto& r) { *r.add_events() = v1::Event(r.events(3)); }},
      {"the boundary of account and id", event([](auto& e) {
         e.set_account("bobe");
         e.set_id("-bob");
       })},
      {"the same boundary, the other way", event([](auto& e) {
         e.set_account("bo");
         e.set_id("be-bob");
       })},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.name);
    v1::ApplyEvents request = Four();
    row.change(request);
    ExpectNothingApplied(request);
  }
}

TEST(BatchSignatureTest, EveryOtherSignatureIsRefused) {
  const auto with = [](std::string signature) {
    v1::ApplyEvents request = Four();
    request.set_batch_signature(std::move(signature));
    return request;
  };
  const std::string good = Four().batch_signature();
  ExpectNothingApplied(with(SignedBy(0x33, Four())));
  ExpectNothingApplied(with(Key(0x22).Sign(authority::CreditBatchDigest(Four())).ToBytes65()));
  ExpectNothingApplied(with(std::string(65, '\0')));
  for (const size_t size : {size_t{1}, size_t{64}, size_t{66}, size_t{1000}}) {
    std::string cut = good;
    cut.resize(size);
    ExpectNothingApplied(with(cut));
  }
  for (const size_t byte : {size_t{10}, size_t{40}, size_t{64}}) {
    std::string flipped = good;
    flipped[byte] = static_cast<char>(flipped[byte] ^ 7);
    ExpectNothingApplied(with(flipped));
  }
}

// A batch of one has another domain than a credit: neither signature passes for the other.
TEST(BatchSignatureTest, ACreditsOwnSignatureIsNone) {
  v1::ApplyEvents one;
  *one.add_events() = MakeEvent("e-credit", "alice", 1000);
  const std::string own =
      Key(0x22)
          .Sign(ethereum::Eip191Hash(authority::CreditDigest(one.events(0)).view()))
          .ToBytes65();
  v1::ApplyEvents request = one;
  request.set_batch_signature(own);
  ExpectNothingApplied(request);
  request = one;
  request.mutable_events(0)->set_signature(SignedBy(0x22, one));
  ExpectNothingApplied(request);
}

TEST(BatchSignatureTest, AnEventsOwnSignatureIsCheckedAllTheSame) {
  Bank bank(Guarded(true));
  v1::ApplyEvents request = Four();
  const auto own =
      Key(0x22).Sign(ethereum::Eip191Hash(authority::CreditDigest(request.events(0)).view()));
  request.mutable_events(0)->set_signature(own.ToBytes65());
  request.mutable_events(3)->set_signature(own.ToBytes65());  // another event's
  const v1::EventsApplied answer = Apply(bank, request);
  EXPECT_EQ(answer.applied(), 3u);
  ASSERT_EQ(answer.refusals_size(), 1);
  EXPECT_EQ(answer.refusals(0).index(), 3u);
  EXPECT_EQ(answer.refusals(0).error().code(), v1::ERROR_SIGNATURE);
}

// A right signature of its own does not rescue an event from a batch that is not the reporter's.
TEST(BatchSignatureTest, AWrongBatchIsRefusedWithItsSignedEvents) {
  v1::ApplyEvents request = Four();
  for (v1::Event& event : *request.mutable_events()) {
    event.set_signature(
        Key(0x22).Sign(ethereum::Eip191Hash(authority::CreditDigest(event).view())).ToBytes65());
  }
  request.set_batch_signature(SignedBy(0x33, request));
  ExpectNothingApplied(request);
}

// I7: what was applied is a repetition in a batch whose signature is right or wrong, as it is in a
// request without any.
TEST(BatchSignatureTest, SentAgainItsEventsAreDuplicates) {
  Bank bank(Guarded(true));
  ASSERT_EQ(Apply(bank, Four()).applied(), 4u);
  v1::ApplyEvents wrong = Four();
  wrong.set_batch_signature(SignedBy(0x33, wrong));
  v1::ApplyEvents bare = Four();
  bare.clear_batch_signature();
  for (const v1::ApplyEvents& request : {Four(), wrong, bare}) {
    const v1::EventsApplied answer = Apply(bank, request);
    EXPECT_EQ(answer.duplicates_size(), 4);
    EXPECT_EQ(answer.refusals_size(), 0);
    EXPECT_EQ(bank.batches.back().events_size(), 0);
  }
  EXPECT_EQ(Line(bank.Of("alice")), "1020 0 0");
}

// The events are refused and applied one by one, as in every request: a batch is no transaction.
TEST(BatchSignatureTest, WhatTheReporterSignedMayStillBeRefused) {
  Bank bank(Guarded(true));
  v1::ApplyEvents request = Four();
  request.mutable_events(1)->set_recipient("short");
  request.mutable_events(2)->set_kind(static_cast<v1::Event::Kind>(257));
  ledger::ToProto(0, request.mutable_events(3)->mutable_amount());
  request.set_batch_signature(SignedBy(0x22, request));
  const v1::EventsApplied answer = Apply(bank, request);
  EXPECT_EQ(answer.applied(), 1u);
  ASSERT_EQ(answer.refusals_size(), 3);
  EXPECT_EQ(answer.refusals(0).error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(answer.refusals(1).error().code(), v1::ERROR_MALFORMED);
  EXPECT_EQ(answer.refusals(2).error().code(), v1::ERROR_OUT_OF_RANGE);
  // A kind that is none is signed with all its bits: 257 is not 1.
  request.mutable_events(2)->set_kind(v1::Event::KIND_CREDIT);
  EXPECT_FALSE(authority::CheckBatchSignature(Guarded(true), request).ok());
}

TEST(BatchSignatureTest, WithoutAReporterNobodyLooksAtIt) {
  Bank bank;
  v1::ApplyEvents request = Four();
  request.set_batch_signature("whatever");
  EXPECT_EQ(Apply(bank, request).applied(), 4u);
  const absl::StatusOr<bool> looked = authority::CheckBatchSignature(WidePolicy(), request);
  EXPECT_TRUE(looked.ok() && !*looked);
}

TEST(BatchSignatureTest, AMissingOneIsRefusedWhereThePolicyWantsIt) {
  v1::ApplyEvents request = Four();
  request.clear_batch_signature();
  Bank strict(Guarded(true));
  EXPECT_EQ(Apply(strict, request).refusals_size(), 4);
  Bank lenient(Guarded(false));
  EXPECT_EQ(Apply(lenient, request).applied(), 4u);
}

// As many events as a request may have, more than is hashed at once.
TEST(BatchSignatureTest, TheLargestBatch) {
  Bank bank(Guarded(true));
  v1::ApplyEvents request;
  for (int i = 0; i < authority::kMaxEventsPerRequest; ++i) {
    *request.add_events() = MakeEvent(absl::StrCat("e", i), absl::StrCat("a", i % 10), 1);
  }
  request.set_batch_signature(SignedBy(0x22, request));
  v1::ApplyEvents changed = request;
  ledger::ToProto(2, changed.mutable_events(5000)->mutable_amount());
  EXPECT_EQ(Apply(bank, changed).refusals_size(), authority::kMaxEventsPerRequest);
  EXPECT_EQ(Apply(bank, request).applied(), static_cast<uint32_t>(authority::kMaxEventsPerRequest));
}

}  // namespace
}  // namespace coffer::test
