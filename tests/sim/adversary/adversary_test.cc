#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>

#include "tests/sim/adversary/adversary_run.h"

TEST(Adv, Try) {
  using namespace coffer::sim;
  namespace boundary = coffer::boundary;
  const char* n = getenv("N");
  const char* f = getenv("FIRST");
  uint64_t first = f ? strtoull(f, nullptr, 10) : 1, runs = n ? strtoull(n, nullptr, 10) : 10;
  std::map<std::string, AdversaryResult::Answers> all;
  std::map<uint32_t, uint64_t> codes;
  WireAuditor::Seen seen;
  for (int mode = 0; mode < 2; ++mode) {
    for (uint64_t s = first; s < first + runs; ++s) {
      AdversaryOptions o;
      o.mode = mode ? AdversaryOptions::Mode::kRollback : AdversaryOptions::Mode::kAdversary;
      auto r = RunAdversary(s, o);
      EXPECT_EQ(r.failure, "") << "mode " << mode << " seed " << s;
      for (auto& [k, v] : r.by_request) all[k].accepted += v.accepted, all[k].refused += v.refused;
      for (auto& [k, v] : r.by_code) codes[k] += v;
      seen.answers += r.seen.answers;
      seen.transactions += r.seen.transactions;
      seen.tickets += r.seen.tickets;
      seen.heads += r.seen.heads;
      seen.loads += r.seen.loads;
      seen.records += r.seen.records;
      seen.leaves += r.seen.leaves;
    }
  }
  for (auto& [k, v] : all) std::cout << k << " " << v.accepted << " / " << v.refused << "\n";
  for (auto& [k, v] : codes) std::cout << boundary::v1::ErrorCode_Name((int)k) << " " << v << "\n";
  std::cout << "answers " << seen.answers << " tx " << seen.transactions << " tickets "
            << seen.tickets << " heads " << seen.heads << " loads " << seen.loads << " records "
            << seen.records << " leaves " << seen.leaves << "\n";
}
