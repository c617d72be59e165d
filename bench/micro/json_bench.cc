// The JSON protocol on the path of a signature: its request read, its answer written.
#include <benchmark/benchmark.h>

#include <string>

#include "enclave_core/json_protocol/json_protocol.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

// A redemption has 580 bytes of calldata.
std::string SignTransactionRequest(int64_t data_bytes) {
  return R"({"method":"sign_transaction","params":{"tx":{"chainId":42161,"data":"0x)" +
         std::string(2 * static_cast<size_t>(data_bytes), 'a') +
         R"(","gas":350000,"maxFeePerGas":200000000,"maxPriorityFeePerGas":1,"nonce":7,)"
         R"("to":"0xa8bb618b1520e284046f3dfc448851a1ff26e41b","value":0}}})";
}

void BM_ParseSignTransaction(benchmark::State& run) {
  const std::string request = SignTransactionRequest(run.range(0));
  boundary::v1::ClientFrame frame;
  for (auto _ : run) {
    const auto call = json_protocol::ParseRequest(request, &frame);
    COFFER_CHECK(call.ok(), "the benchmark's request");
    benchmark::DoNotOptimize(frame);
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_ParseSignTransaction)->Arg(0)->Arg(580)->Arg(128 << 10);

void BM_ParseCredit(benchmark::State& run) {
  const std::string request =
      R"({"method":"credit","params":{"amount_wei":1000000000000000000,"event_id":"ledger:00000",)"
      R"("orchestrator_id":"orch-1","recipient":"0xa8bb618b1520e284046f3dfc448851a1ff26e41b"}})";
  boundary::v1::ClientFrame frame;
  for (auto _ : run) {
    const auto call = json_protocol::ParseRequest(request, &frame);
    COFFER_CHECK(call.ok(), "the benchmark's request");
  }
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_ParseCredit);

void BM_RefuseBrackets(benchmark::State& run) {
  const std::string request = R"({"method":"status","params":)" + std::string(100'000, '[');
  boundary::v1::ClientFrame frame;
  for (auto _ : run) {
    COFFER_CHECK(!json_protocol::ParseRequest(request, &frame).ok(), "100,000 brackets");
  }
}
BENCHMARK(BM_RefuseBrackets);

void BM_WriteRawTransaction(benchmark::State& run) {
  json_protocol::Call call;
  call.method = json_protocol::Method::kSignTransaction;
  boundary::v1::ServerFrame answer;
  answer.mutable_signed_transaction()->set_raw_tx(
      std::string(static_cast<size_t>(run.range(0)), 'r'));
  for (auto _ : run) benchmark::DoNotOptimize(json_protocol::WriteAnswer(call, answer));
  run.SetItemsProcessed(run.iterations());
}
BENCHMARK(BM_WriteRawTransaction)->Arg(110)->Arg(700);

}  // namespace
}  // namespace coffer::bench
