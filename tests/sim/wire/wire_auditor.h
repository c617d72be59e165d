// An auditor that sees only what crosses the enclave's door, and believes neither side.
//
// From the frames it rebuilds a world of its own: the records that were handed out, each with the
// leaves that are its public part; which of them the storage has acknowledged; what the leaves add
// up to; every request that went in; every transaction and ticket that came out, read with a
// decoder of its own. Every answer is held against that world at the moment it leaves. It shares no
// code with the ledger, the payouts or the authority: from the enclave's code it takes the leaf's
// format and tree, the Ethereum primitives, and the policy as a plain struct.
//
// Records make a tree: an enclave continues from what it was loaded with, and two enclaves may have
// been loaded from one state. The rules hold along each line from the root to an enclave's newest
// record. That two such lines contradict each other is what a roll-back or a fork is, and is no
// broken rule unless ExpectOneHistory was asked for.
#ifndef COFFER_TESTS_SIM_WIRE_WIRE_AUDITOR_H_
#define COFFER_TESTS_SIM_WIRE_WIRE_AUDITOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "tests/sim/wire/tapped_network.h"

namespace coffer::sim {

class WireAuditor : public FrameObserver {
 public:
  // `policy`: what the enclaves are started with. `signer`: the address of their key. Authority
  // profile, with a storage.
  WireAuditor(const policy::Policy& policy, const ethereum::Address& signer);
  ~WireAuditor() override;

  // Also a broken rule: a state is loaded that lacks a record which the storage acknowledged to an
  // enclave, in this life or an earlier one ("I6: ..."). For honest hosts, and for hostile ones
  // that do not roll back: with it, what holds along each line holds for the whole run.
  void ExpectOneHistory();

  // Enclaves' clocks went, or may go, another way than those of this world: from now on nothing is
  // said about limits over time, which an enclave can count by no other clock.
  void DistrustClocks();

  // A new enclave process, before its first frame. `enclave` is a number that was not used before.
  void OnEnclaveStarted(uint64_t enclave);
  // That process is gone for good. Saves memory and time, and is not needed otherwise.
  void OnEnclaveStopped(uint64_t enclave);
  void OnToEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) override;
  void OnFromEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) override;

  // The first rule that was broken, as a sentence that begins with its number ("I3: ..."). Empty
  // while all hold. After that nothing more is checked.
  const std::string& broken() const;

  // What it has seen, so that a run that checks nothing cannot look like one that found nothing.
  struct Seen {
    uint64_t requests = 0;
    uint64_t answers = 0;       // those that were held against the leaves
    uint64_t records = 0;       // handed out, each counted once
    uint64_t leaves = 0;        // of these
    uint64_t transactions = 0;  // distinct ones that left, decoded and checked
    uint64_t tickets = 0;       // distinct ones in them
    uint64_t heads = 0;         // signed heads that left
    uint64_t loads = 0;         // states that were loaded
  };
  const Seen& seen() const;

 private:
  class Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WIRE_WIRE_AUDITOR_H_
