// States and requests for the micro-benchmarks: plausible, repeatable, and made outside the timed
// part.
#ifndef COFFER_BENCH_MICRO_STATE_H_
#define COFFER_BENCH_MICRO_STATE_H_

#include <google/protobuf/arena.h>
#include <malloc.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/authority/credit_signature.h"
#include "enclave_core/ethereum/signature.h"
#include "invariant/check.h"

namespace coffer::bench {

inline constexpr int kEventsOfRequest = 1000;

inline ethereum::PrivateKey BenchReporter() {
  absl::StatusOr<ethereum::PrivateKey> key =
      ethereum::PrivateKey::FromBytes(std::string(32, '\x22'));
  COFFER_CHECK(key.ok(), "the benchmark's key");
  return *std::move(key);
}

// Names a reporter and does not ask for its signature, so that one state takes both kinds.
inline policy::Policy BenchPolicy() {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker.bytes.fill(0xb0);
  policy.max_face_value = policy.max_batch_total = ledger::Wei(1) << 100;
  policy.max_tickets = policy::kMaxTickets;
  policy.max_gas_limit = 30'000'000;
  policy.max_fee_per_gas = policy.max_priority_fee_per_gas = 1'000'000'000'000;
  policy.ticket_validity_rounds = 2;
  policy.credit_reporter = BenchReporter().address();
  return policy;
}

inline std::unique_ptr<authority::Authority> NewAuthority() {
  auto authority = std::make_unique<authority::Authority>();
  ethereum::Address address;
  address.bytes.fill(0xaa);
  sealed::v1::Batch batch;
  authority->Found(address, BenchPolicy(), std::string(32, 'k'), &batch);
  return authority;
}

// A credit as the journal makes them: an id of 71 bytes, a short account name, 10^13 wei.
inline void FillEvent(uint64_t id, uint64_t account, boundary::v1::Event* event) {
  event->set_id(absl::StrFormat("ledger:%048x%016x", 0, id));
  event->set_kind(boundary::v1::Event::KIND_CREDIT);
  event->set_account(absl::StrFormat("orch-%08d", account));
  event->set_recipient(std::string(12, 'r') + absl::StrFormat("%08d", account % 100'000'000));
  event->mutable_amount()->set_low(10'000'000'000'000);
}

// `count` events with ids from `first_id`, spread over `accounts` accounts from `first_account`; a
// serialized ClientFrame. With one signature by the reporter over all of them when it is given.
inline std::string RequestBytes(uint64_t first_id, int count, uint64_t first_account,
                                uint64_t accounts, const ethereum::PrivateKey* reporter = nullptr) {
  boundary::v1::ClientFrame frame;
  frame.set_request_id(1);
  for (int i = 0; i < count; ++i) {
    const auto offset = static_cast<uint64_t>(i);
    FillEvent(first_id + offset, first_account + (first_id + offset) % accounts,
              frame.mutable_apply_events()->add_events());
  }
  if (reporter != nullptr) {
    const auto digest = authority::CreditBatchDigest(frame.apply_events());
    frame.mutable_apply_events()->set_batch_signature(
        reporter->Sign(ethereum::Eip191Hash(digest.view())).ToBytes65());
  }
  return frame.SerializeAsString();
}

// What the enclave does for a request, from its bytes to the bytes that are sealed.
inline std::string Handle(authority::Authority& authority, const std::string& request) {
  google::protobuf::Arena arena;
  auto* frame = google::protobuf::Arena::CreateMessage<boundary::v1::ClientFrame>(&arena);
  COFFER_CHECK(frame->ParseFromString(request), "the benchmark's own request");
  auto* answer = google::protobuf::Arena::CreateMessage<boundary::v1::EventsApplied>(&arena);
  auto* batch = google::protobuf::Arena::CreateMessage<sealed::v1::Batch>(&arena);
  authority.ApplyEvents(frame->apply_events(), answer, batch);
  COFFER_CHECK(answer->refusals().empty(), "the benchmark's own events");
  std::string bytes = batch->SerializeAsString();
  bytes.append(authority.TakeLeaves().bundle);
  return bytes;
}

// Adds ids [from, to) over `accounts` accounts.
inline void Grow(authority::Authority& authority, uint64_t from, uint64_t to, uint64_t accounts) {
  while (from < to) {
    const auto count = static_cast<int>(std::min<uint64_t>(kEventsOfRequest, to - from));
    Handle(authority, RequestBytes(from, count, 0, accounts));
    from += static_cast<uint64_t>(count);
  }
}

// Bytes that the process has asked malloc for and not given back.
inline double HeapBytes() {
  const struct mallinfo2 info = mallinfo2();
  return static_cast<double>(info.uordblks) + static_cast<double>(info.hblkhd);
}

}  // namespace coffer::bench

#endif  // COFFER_BENCH_MICRO_STATE_H_
