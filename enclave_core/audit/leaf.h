// A leaf of the audit log (rule I9): one change of a balance or one signature given, as the enclave
// alone writes it.
//
// Canonical encoding, version 1; integers big-endian, fields in this order, nothing after the last:
//
// - version 1 byte (1) | kind 1 | fields 2 (a bit for each that follows)
// - sequence 8 | claimed time 8
// - bit 0 event id: length 1 byte (1..128), then as many
// - bit 1 payout: 8
// - bit 2 item: 4
// - bit 3 account: length 1 byte (1..128), then as many
// - bit 4 recipient: 20
// - bit 5 balances, wei: delta 16 (two's complement) | available 16 | reserved 16 | paid 16
// - bit 6 amount, wei: 16
// - bit 7 tx hash: 32
// - bit 8 ticket hash: 32
// - bit 9 content hash: 32
// - bit 10 digest: 32
// - bit 11 host's word: 0, the bit says it
//
// A leaf has one encoding and an encoding one leaf: lengths of zero, unknown bits, a field that its
// kind does not have, one that is missing and bytes left over are all refused. The table of kinds
// and fields is printed in docs/transparency.md. The Merkle tree hashes these bytes
// (RFC 6962, 2.1: SHA-256(0x00 || leaf)).
#ifndef COFFER_ENCLAVE_CORE_AUDIT_LEAF_H_
#define COFFER_ENCLAVE_CORE_AUDIT_LEAF_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/numeric/int128.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::audit {

using ethereum::Address;
using ethereum::Hash;

// The numbers are part of the format: never reused, never renumbered.
enum class LeafKind : uint8_t {
  kGenesis = 1,           // recipient: the signing key's address; content: the first policy's hash
  kAccountOpened = 2,     // the account's recipient was fixed (I1)
  kCredit = 3,            // content: reason and metadata of the event
  kAdjustUp = 4,          //
  kAdjustDown = 5,        //
  kPayoutReserved = 6,    // one leaf an item
  kPayoutSigned = 7,      // one leaf a transaction, bumps and retries included
  kTicketSigned = 8,      // one leaf a ticket
  kItemPaid = 9,          // amount: what was paid; a shortfall came back in delta
  kItemVoided = 10,       // the whole item came back
  kPayoutReverted = 11,   // a receipt that a reorg took back; one leaf an item that changed
  kFunding = 12,          // amount: for the broker's deposit and reserve
  kPolicyChanged = 13,    // content: the new policy's hash
  kSignature = 14,        // the signer profile: digest is what was signed
  kCarriedOver = 15,      // what an account had when a state from before the log began one
  kSigningKeyAdded = 16,  // recipient: the address of the key that signs from here on
  kSigningKeyRetired = 17,  // recipient: the address of a key that is wiped
};

// What moved in an account. I2 holds in each leaf; all of them in wei below 2^127.
struct Balances {
  absl::int128 delta = 0;  // of `available`
  absl::uint128 available = 0;
  absl::uint128 reserved = 0;
  absl::uint128 paid = 0;
  bool operator==(const Balances&) const = default;
};

struct Leaf {
  uint64_t sequence = 0;      // the leaf's index in the log, from 0
  uint64_t claimed_time = 0;  // ms since 1970, as a clock the host controls says: a claim
  LeafKind kind = LeafKind::kGenesis;
  std::string event_id;  // empty = absent
  std::optional<uint64_t> payout;
  std::optional<uint32_t> item;  // index in the payout, from 0
  std::string account;           // id; empty = absent
  std::optional<Address> recipient;
  std::optional<Balances> balances;
  std::optional<absl::uint128> amount;  // wei
  std::optional<Hash> tx_hash;
  std::optional<Hash> ticket_hash;
  std::optional<Hash> content_hash;  // SHA-256 of a text that stays with the host
  std::optional<Hash> digest;
  bool hosts_word = false;  // that this was paid is what the host said, without a proof
  bool operator==(const Leaf&) const = default;
};

inline constexpr uint8_t kLeafVersion = 1;
inline constexpr size_t kMaxLeafIdBytes = 128;
// Every field at its longest; far below the 65,535 bytes that an entry bundle can hold.
inline constexpr size_t kMaxLeafBytes = 20 + 2 * (1 + kMaxLeafIdBytes) + 8 + 4 + 20 + 64 + 16 + 128;

// Appends the encoding to `out` (which the caller reuses). InvalidArgument with a sentence, and
// `out` as it was, when the leaf is not one of its kind or a length or amount is out of bounds.
absl::Status AppendLeaf(const Leaf& leaf, std::string* out);

// The one leaf that these bytes encode. DataLoss with a sentence that says what is wrong and where.
absl::StatusOr<Leaf> ParseLeaf(std::string_view bytes);

// "credit", "payout_reserved", ...: the names that JSON and documents use. "unknown" for no kind.
std::string_view KindName(LeafKind kind);

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_LEAF_H_
