// Everything that one enclave process was asked for, so that a leaf can be held against it: no
// balance moves and nothing is signed without somebody who asked.
#ifndef COFFER_TESTS_SIM_WIRE_ASKED_H_
#define COFFER_TESTS_SIM_WIRE_ASKED_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/numeric/int128.h"
#include "enclave_core/audit/leaf.h"
#include "proto/boundary.pb.h"
#include "tests/sim/wire/signed_things.h"

namespace coffer::sim::wire {

absl::uint128 ToWei(const boundary::v1::Wei& wei);
U256 ToU256(absl::uint128 wei);

struct AskedEvent {
  boundary::v1::Event::Kind kind = boundary::v1::Event::KIND_UNSPECIFIED;
  std::string account;
  std::string recipient;
  absl::uint128 amount = 0;
  // What I7 compares: everything but the id, the signature and the text about it.
  bool operator==(const AskedEvent&) const = default;
};
AskedEvent ContentOf(const boundary::v1::Event& event);
audit::LeafKind LeafKindOf(boundary::v1::Event::Kind kind);

struct ToldReceipt {
  bool succeeded = false;
  bool status_only = false;  // no logs were seen: the host's word for all of it
  std::vector<Redemption> redemptions;
};

struct AskedItem {
  boundary::v1::Strategy strategy = boundary::v1::STRATEGY_UNSPECIFIED;
  absl::uint128 amount = 0;  // 0: all that there is, up to the policy
  bool at_most = false;      // the amount is a maximum
  bool operator<(const AskedItem& other) const {
    return std::tie(strategy, amount, at_most) <
           std::tie(other.strategy, other.amount, other.at_most);
  }
};

// UNLOCK, WITHDRAW and SWEEP, which only a draining key does.
bool IsMove(boundary::v1::Strategy strategy);

struct AskedVoid {
  std::vector<uint32_t> items;  // none: all open ones
  uint64_t round = 0;
};

// What any enclave of a run was told of the chain.
struct Told {
  // Whether this transaction was ever said to be mined.
  bool Mined(const std::string& tx_hash) const {
    const auto found = mined.lower_bound({tx_hash, "", false});
    return found != mined.end() && std::get<0>(*found) == tx_hash;
  }
  std::set<std::pair<uint64_t, std::string>> rounds;  // that a reading named, with block hash
  // (transaction, block hash or empty, succeeded)
  std::set<std::tuple<std::string, std::string, bool>> mined;
  std::set<std::string> reorgs;  // transactions that were said to be mined no longer
};

class Asked {
 public:
  // Takes note of a request; `broker` to read a receipt's logs.
  void Note(const boundary::v1::ClientFrame& frame, const Address& broker, Told* told);

  struct EventCopies {
    std::vector<AskedEvent> contents;  // distinct ones
    uint64_t asked = 0;
    uint64_t refused = 0;
  };
  std::map<std::string, EventCopies> events;
  std::set<std::pair<std::string, std::string>> accounts;  // and recipients that events named
  std::map<std::string, std::set<AskedItem>> items;        // by account
  uint64_t prepares = 0;                                   // requests that may each make one payout
  std::map<std::string, std::vector<ToldReceipt>> receipts;  // by transaction hash
  std::set<std::string> reorgs;
  std::map<uint64_t, std::vector<AskedVoid>> voids;  // by payout
  std::vector<boundary::v1::ChangePolicy> policies;
  std::set<std::pair<boundary::v1::Strategy, absl::uint128>> fundings;  // with the amount
  std::set<std::string> adoptions, retirements;                         // addresses
  bool loads = false;       // load_end: a new state may be founded
  bool provisions = false;  // it was asked to take keys
  // The addresses of the signing keys that it said it took, oldest first. Empty: those of its
  // start, or its answer was lost.
  std::vector<Address> holds;
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_ASKED_H_
