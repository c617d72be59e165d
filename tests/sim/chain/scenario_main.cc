// coffer_chain_scenario: a random play on the broker's model as JSON lines, for
// tests/e2e/chain_model.test.mjs, which makes the same calls on the contract.
#include <json/writer.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>

#include "tests/sim/chain/scenario.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Plays random calls on the simulated TicketBroker and prints each with its outcome as a line "
      "of JSON.\nExample: coffer_chain_scenario --seed 42 --steps 100"};
  uint64_t seed = 0;
  uint64_t steps = 100;
  app.add_option("--seed", seed, "Decides every call")->required();
  app.add_option("--steps", steps, "Lines after the first, which is the setup")
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  const auto print = [&](const Json::Value& json) {
    std::puts(Json::writeString(builder, json).c_str());
  };
  coffer::sim::chain::Scenario scenario(seed);
  print(scenario.Setup());
  for (uint64_t i = 0; i < steps; ++i) print(scenario.Step());
  return 0;
}
