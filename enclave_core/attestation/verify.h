// Verifies an attestation document as somebody does who believes nobody. All checks that can be
// made are made, and each is reported by its name; the first that fails does not hide the others.
// Pure: the time is an argument.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_VERIFY_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_VERIFY_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "enclave_core/attestation/certificates.h"
#include "enclave_core/attestation/document.h"
#include "enclave_core/attestation/measurements.h"
#include "enclave_core/attestation/user_data.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/audit/report.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::attestation {

// Of a document's time before the verifier's: clocks differ.
inline constexpr absl::Duration kClockSkew = absl::Minutes(1);

struct Expectations {
  // The root that is trusted; null: AwsNitroRoot(). Must outlive the call. Another one makes every
  // document that stands on it a development document, and the report says so.
  const Certificate* root = nullptr;
  // The time at which the certificates must be valid and from which the age is counted.
  absl::Time at;
  // By index, the values of which one must be there, raw bytes. Several are an overlap: an old
  // image and the new one.
  std::map<uint32_t, std::vector<std::string>> pcrs;
  // The pinned releases of which one must be met, and be allowed at the time `at`; null: none.
  const Measurements* measurements = nullptr;
  // Without PCR0, PCR8 and measurements, and without this, nobody said which image is meant, and
  // whether the document is worth anything can't be told: the check "image" is then unknown.
  bool any_image = false;
  bool allow_debug = false;
  std::optional<std::string> nonce;  // raw bytes
  std::optional<absl::Duration> max_age;
  std::optional<ethereum::Address> address;
  std::optional<ethereum::Hash> policy_hash;
  std::optional<audit::VerifierKey> log_key;
};

struct Verification {
  audit::Report report;
  // What was read, verified or not: only to be believed when the report has no failure.
  std::optional<Document> document;
  std::optional<UserData> user_data;
  std::string root_fingerprint;  // of the document's own first certificate; empty: there is none
  bool development = false;      // stands, or wants to stand, on a root that is not AWS's
};

// The names of its checks, in this order: cose, algorithm, fields, root, chain, usage, validity (at
// the document's own time), validity-at (at Expectations::at), signature, debug, image, pcr0, pcr1,
// pcr2, pcr3, pcr4, pcr8 and whatever other PCR is asked for, nonce, age, address, policy, log.
// What can't be looked at because the document can't be read that far is "unknown", beside the
// failure that says why.
Verification Verify(std::string_view document, const Expectations& expectations);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_VERIFY_H_
