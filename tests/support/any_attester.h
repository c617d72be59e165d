// An attester whose documents nobody reads.
#ifndef COFFER_TESTS_SUPPORT_ANY_ATTESTER_H_
#define COFFER_TESTS_SUPPORT_ANY_ATTESTER_H_

#include <string>
#include <vector>

#include "enclave_core/attestation/attester.h"

namespace coffer::test {

class AnyAttester final : public attestation::Attester {
 public:
  attestation::Kind kind() const override { return attestation::Kind::kDevelopment; }
  absl::StatusOr<std::string> Attest(const attestation::Fields& fields) override {
    asked.push_back(fields);
    return "a document";
  }
  std::vector<attestation::Fields> asked;
};

}  // namespace coffer::test

#endif  // COFFER_TESTS_SUPPORT_ANY_ATTESTER_H_
