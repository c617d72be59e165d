// What was asked of the system, kept by the test and not by any process under test: the auditor
// holds everything else against it.
#ifndef COFFER_TESTS_SIM_TRUTH_H_
#define COFFER_TESTS_SIM_TRUTH_H_

#include <cstdint>
#include <map>
#include <string>

#include "enclave_core/ethereum/types.h"

namespace coffer::sim {

// Accounts that the registry knows from the start, and those that it learns of later.
inline constexpr uint64_t kKnownAccounts = 9;
inline constexpr uint64_t kAccounts = 12;
std::string AccountName(uint64_t account);
ethereum::Address RecipientOf(uint64_t account);

// One event, by the id under which the enclave is to know it.
struct EventTruth {
  enum class Kind : uint8_t { kCredit, kUp, kDown };
  uint64_t account = 0;
  Kind kind = Kind::kCredit;
  uint64_t amount = 0;  // wei
  bool sent = false;    // by the API's client, or it is in the journal
  // It must be in the ledger at rest. Otherwise it may be: its line was lost before it was read.
  bool must = false;
  // Its line is in a journal where the tailer must come to it: applied or refused, never nothing.
  bool readable = false;
  bool acknowledged = false;  // to the API's client
  bool refused = false;       // likewise, and not acknowledged since
};

struct Truth {
  std::map<std::string, EventTruth> events;
  // Lines of the journal that can't be events: "ledger:" + hash of the line. True: it must be in
  // the dead letters at rest.
  std::map<std::string, bool> rejected;
  std::string broken;  // what the clients saw that must not be; the first
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_TRUTH_H_
