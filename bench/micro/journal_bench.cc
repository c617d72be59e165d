// What the journal side costs a line: parsing with its id, and the parts of it.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "actors/host/decimal_wei.h"
#include "actors/host/journal_line.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

std::string Line(int n) {
  return "{\"timestamp\":\"2026-01-05T10:00:00.123456+00:00\",\"event\":\"credit\",\"orchestrator_"
         "id\":\"orch-" +
         std::to_string(1000 + n % 300) +
         "\",\"amount\":\"0.00001606079\",\"balance\":\"0.1204\",\"delta\":\"0.00001606079\","
         "\"reason\":\"workload\",\"metadata\":{\"workload_id\":\"w-" +
         std::to_string(10000 + n) + "\"}}\n";
}

void Parse(benchmark::State& state) {
  LineParser parser;
  std::vector<std::string> lines;
  for (int i = 0; i < 4096; ++i) lines.push_back(Line(i));
  size_t bytes = 0;
  size_t i = 0;
  for (auto _ : state) {
    const std::string& line = lines[i++ % lines.size()];
    const ParsedLine parsed = parser.Parse(line);
    COFFER_CHECK(std::holds_alternative<Credit>(parsed), "the benchmark's line is a credit");
    benchmark::DoNotOptimize(&parsed);
    bytes += line.size();
  }
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Parse);

void IdAlone(benchmark::State& state) {
  LineParser parser;
  const std::string line = Line(1);
  for (auto _ : state) {
    EventId id = parser.Id(line);
    benchmark::DoNotOptimize(id);
  }
}
BENCHMARK(IdAlone);

void RejectNoise(benchmark::State& state) {
  LineParser parser;
  const std::string line = std::string(200, 'x') + "\n";
  for (auto _ : state) {
    const ParsedLine parsed = parser.Parse(line);
    benchmark::DoNotOptimize(&parsed);
  }
}
BENCHMARK(RejectNoise);

void Decimal(benchmark::State& state) {
  for (auto _ : state) {
    auto wei = ParseEthToWei("0.00001606079");
    benchmark::DoNotOptimize(wei);
  }
}
BENCHMARK(Decimal);

}  // namespace
}  // namespace coffer::host
