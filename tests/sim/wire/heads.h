// Signed heads of the transparency log: made of the stored leaves, and signed by the log's keys.
#ifndef COFFER_TESTS_SIM_WIRE_HEADS_H_
#define COFFER_TESTS_SIM_WIRE_HEADS_H_

#include <string>
#include <vector>

#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/types.h"
#include "proto/audit.pb.h"

namespace coffer::sim::wire {

using ethereum::Address;
using ethereum::Hash;

// The log's key and the audit address: the same in every status of a run.
class LogNames {
 public:
  std::string Check(const boundary::v1::AuditState& audit, const Address& signer);
  const std::string& log_key() const { return log_key_; }        // empty until it was named
  const std::string& audit_address() const { return address_; }  // 20 bytes, likewise

 private:
  std::string log_key_;
  std::string address_;
};

class HeadChecker {
 public:
  // `leaves`: all that are stored, at least head.size() of them.
  std::string Check(const boundary::v1::AuditCheckpoint& head, const std::vector<Hash>& leaves,
                    const LogNames& names, const Address& signer);

 private:
  audit::Tree tree_;  // of the last head, so that the next one costs what is new
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_HEADS_H_
