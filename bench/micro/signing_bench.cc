// Building and signing payouts, beside libsecp256k1's own rate of recoverable signatures.
#include <benchmark/benchmark.h>
#include <secp256k1_recovery.h>

#include <cstdint>
#include <string>
#include <utility>

#include "enclave_core/payouts/signing.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

ethereum::PrivateKey Key() {
  absl::StatusOr<ethereum::PrivateKey> key =
      ethereum::PrivateKey::FromBytes(std::string(32, '\x11'));
  COFFER_CHECK(key.ok(), "the benchmark's key");
  return *std::move(key);
}

void BM_LimitSignRecoverable(benchmark::State& run) {
  secp256k1_context* context = secp256k1_context_create(SECP256K1_CONTEXT_SIGN);
  const std::string key(32, '\x11');
  uint8_t digest[32] = {1};
  secp256k1_ecdsa_recoverable_signature signature;
  for (auto _ : run) {
    ++digest[0];
    benchmark::DoNotOptimize(secp256k1_ecdsa_sign_recoverable(
        context, &signature, digest, reinterpret_cast<const uint8_t*>(key.data()), nullptr,
        nullptr));
  }
  secp256k1_context_destroy(context);
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_LimitSignRecoverable);

void BM_KeySign(benchmark::State& run) {
  const ethereum::PrivateKey key = Key();
  ethereum::Hash digest;
  for (auto _ : run) {
    ++digest.bytes[0];
    benchmark::DoNotOptimize(key.Sign(digest));
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_KeySign);

// One transaction that redeems range(0) new tickets: range(0) + 1 signatures. Items are tickets.
void BM_SignTickets(benchmark::State& run) {
  const ethereum::PrivateKey key = Key();
  payouts::SigningJob job;
  job.strategy = boundary::v1::STRATEGY_LIVEPEER_TICKET;
  job.sender = key.address();
  job.chain_id = 42161;
  job.to.bytes.fill(0xb0);
  job.fees = {24'000'000, 100'000'000, 1'000'000};
  job.aux_data.creation_round = 4000;
  job.first_signing = true;
  uint64_t next = 1;
  for (auto _ : run) {
    job.tickets.clear();
    for (int64_t i = 0; i < run.range(0); ++i) {
      payouts::SigningJob::TicketToSign ticket;
      ticket.sender_nonce = ++next;
      ticket.recipient.bytes.fill(static_cast<uint8_t>(i));
      ticket.face_value = 10'000'000'000'000'000;
      job.tickets.push_back(ticket);
    }
    benchmark::DoNotOptimize(payouts::Sign(key, job));
  }
  run.SetItemsProcessed(run.iterations() * run.range(0));
  run.counters["signatures"] = benchmark::Counter(
      static_cast<double>(run.iterations() * (run.range(0) + 1)), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_SignTickets)->Arg(1)->Arg(20)->Arg(100)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::bench
