// No nonce seals two things. Under AES-GCM a nonce that is used twice with one key gives away the
// difference of both texts and the key that authenticates (NIST SP 800-38D, section 8). The salt in
// a sealed thing's clear header makes its key and the counter there is its nonce, so the pair of
// them may stand on one text only.
#ifndef COFFER_TESTS_SIM_WIRE_SEALS_H_
#define COFFER_TESTS_SIM_WIRE_SEALS_H_

#include <map>
#include <string>
#include <string_view>

#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::sim::wire {

class Seals {
 public:
  // Everything sealed that leaves an enclave. Empty, or the broken rule.
  std::string Note(std::string_view sealed) {
    // Where docs and enclave_core/sealing/record.h say that they stand.
    constexpr size_t kSaltAt = 57, kSaltAndCounterBytes = 32 + 8;
    if (sealed.size() < kSaltAt + kSaltAndCounterBytes) return {};
    const auto [known, fresh] = texts_.try_emplace(
        std::string(sealed.substr(kSaltAt, kSaltAndCounterBytes)), audit::Sha256(sealed));
    if (fresh || known->second == audit::Sha256(sealed)) return {};
    return "I8: two things are sealed with one key and one nonce";
  }

 private:
  std::map<std::string, ethereum::Hash> texts_;  // by salt and counter
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_SEALS_H_
