// What a reporter signs, of one event and of a whole batch, written from proto/ledger.proto; shares
// keccak, key recovery and nothing else with the enclave. The auditor checks with it, and the
// hostile host signs with it.
#ifndef COFFER_TESTS_SIM_WIRE_REPORTER_H_
#define COFFER_TESTS_SIM_WIRE_REPORTER_H_

#include <string>

#include "proto/boundary.pb.h"
#include "tests/sim/wire/answers.h"

namespace coffer::sim::wire {

// The digests before EIP-191.
Hash EventDigest(const boundary::v1::Event& event);
Hash BatchDigest(const boundary::v1::ApplyEvents& request);

// Whose signatures a request bears: null addresses where there is none, or none that is one.
class Reporters {
 public:
  explicit Reporters(const boundary::v1::ApplyEvents& request);
  // Empty, or the rule that is broken by applying this event, or by refusing it for its signature.
  std::string CheckApplied(const View& view, int event) const;
  std::string CheckRefused(const View& view, int event) const;

 private:
  bool Takes(const policy::Policy& policy, int event) const;

  const boundary::v1::ApplyEvents& request_;
  Address of_batch_;
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_REPORTER_H_
