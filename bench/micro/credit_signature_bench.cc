// A reporter's signature on a credit, checked, beside what libsecp256k1 takes for it.
#include <benchmark/benchmark.h>
#include <secp256k1_recovery.h>

#include <cstdint>
#include <string>
#include <utility>

#include "bench/micro/state.h"
#include "enclave_core/authority/credit_signature.h"
#include "enclave_core/ethereum/signature.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

// A context, a digest and a signature over it, as libsecp256k1 has them.
struct Signed {
  Signed() : context(secp256k1_context_create(SECP256K1_CONTEXT_NONE)) {
    const std::string key(32, '\x22');
    const auto* secret = reinterpret_cast<const uint8_t*>(key.data());
    COFFER_CHECK(secp256k1_ec_pubkey_create(context, &pubkey, secret) == 1, "a public key");
    COFFER_CHECK(secp256k1_ecdsa_sign_recoverable(context, &recoverable, digest, secret, nullptr,
                                                  nullptr) == 1,
                 "a signature");
    secp256k1_ecdsa_recoverable_signature_convert(context, &signature, &recoverable);
  }
  ~Signed() { secp256k1_context_destroy(context); }
  Signed(const Signed&) = delete;
  Signed& operator=(const Signed&) = delete;

  secp256k1_context* context;
  uint8_t digest[32] = {1};
  secp256k1_pubkey pubkey;
  secp256k1_ecdsa_recoverable_signature recoverable;
  secp256k1_ecdsa_signature signature;
};

void BM_LimitVerify(benchmark::State& run) {
  const Signed s;
  while (run.KeepRunning()) {
    COFFER_CHECK(secp256k1_ecdsa_verify(s.context, &s.signature, s.digest, &s.pubkey) == 1,
                 "the signature verifies");
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_LimitVerify);

void BM_LimitRecover(benchmark::State& run) {
  const Signed s;
  secp256k1_pubkey found;
  while (run.KeepRunning()) {
    COFFER_CHECK(secp256k1_ecdsa_recover(s.context, &found, &s.recoverable, s.digest) == 1,
                 "the key is recovered");
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_LimitRecover);

void BM_CheckCreditSignature(benchmark::State& run) {
  const ethereum::PrivateKey key = BenchReporter();
  policy::Policy policy = BenchPolicy();
  policy.require_credit_signature = true;
  boundary::v1::Event event;
  FillEvent(7, 7, &event);
  const auto digest = ethereum::Eip191Hash(authority::CreditDigest(event).view());
  event.set_signature(key.Sign(digest).ToBytes65());
  while (run.KeepRunning()) {
    COFFER_CHECK(authority::CheckCreditSignature(policy, event, false).ok(),
                 "the reporter's signature");
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_CheckCreditSignature);

// What one signature over a batch adds to applying it. Items are its events.
void BM_CheckBatchSignature(benchmark::State& run) {
  const ethereum::PrivateKey key = BenchReporter();
  const policy::Policy policy = BenchPolicy();
  boundary::v1::ClientFrame frame;
  COFFER_CHECK(frame.ParseFromString(RequestBytes(0, static_cast<int>(run.range(0)), 0, 100, &key)),
               "the benchmark's own request");
  while (run.KeepRunning()) {
    COFFER_CHECK(*authority::CheckBatchSignature(policy, frame.apply_events()),
                 "the reporter's signature");
  }
  run.SetItemsProcessed(run.iterations() * run.range(0));
}
BENCHMARK(BM_CheckBatchSignature)->Arg(1)->Arg(1000)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::bench
