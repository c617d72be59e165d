// What the enclave binds into an attestation document's user_data, as ASCII text:
//
//   payments-signer:<address>                      or  payments-signer:unprovisioned
//   payments-tee-core:<address>:audit:<address>    or  payments-tee-core:unprovisioned
//
// That part is the old servers' (docs/protocol.md), addresses in lower case; old verifiers compare
// it or look for it as a prefix. Then our own fields, each ";key=value", in this order where
// present:
//
//   draining  0x and 40 hex digits: the address of the signing key before, which still brings to
//   its
//             end what it began
//   policy    0x and 64 hex digits: the hash of the policy in force (docs/policy.md)
//   log       the transparency log's verifier key, <name>+<id>+<base64> (audit/note.h)
//   audit     the audit address: 0x and 40 hex digits
//   sequence  decimal: the sequence number of the ledger root (the last sealed record's)
//
// An unknown key is passed over, so that older verifiers read newer enclaves; a repeated one is
// refused.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_USER_DATA_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_USER_DATA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::attestation {

inline constexpr size_t kMaxUserDataBytes = 512;

// Which of the two JSON profiles the text is of.
enum class Profile : uint8_t { kSigner, kCore };

struct UserData {
  Profile profile = Profile::kSigner;
  std::optional<ethereum::Address> address = {};        // of the signing key; absent: unprovisioned
  std::optional<ethereum::Address> audit_address = {};  // needed by kCore when there is an address
  std::optional<ethereum::Address> draining = {};
  std::optional<ethereum::Hash> policy_hash = {};
  std::optional<audit::VerifierKey> log_key = {};
  std::optional<uint64_t> sequence = {};
  bool operator==(const UserData&) const = default;
};

// The text. InvalidArgument: kCore with only one of its addresses, a log key whose name has a ';',
// or more than kMaxUserDataBytes.
absl::StatusOr<std::string> MakeUserData(const UserData& data);

// Reads what MakeUserData made, and the old servers' texts. In kCore the audit address is there
// twice and must be the same. InvalidArgument for anything else.
absl::StatusOr<UserData> ParseUserData(std::string_view text);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_USER_DATA_H_
