// The simulated machines: one enclave process and one host process, made of the production actors;
// what outlives a process (disks, the journal's folder, the chain, the nodes); the network between
// them; and the means to kill, stop, cut and starve any of it at any step.
#ifndef COFFER_TESTS_SIM_WORLD_H_
#define COFFER_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "actors/host/key_store.h"
#include "actors/host/record_store.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/sim/api_client.h"
#include "tests/sim/chain/chain_model.h"
#include "tests/sim/chain/sim_nodes.h"
#include "tests/sim/host_watch.h"
#include "tests/sim/journal_folder.h"
#include "tests/sim/journal_writer.h"
#include "tests/sim/plan.h"
#include "tests/sim/published_log.h"
#include "tests/sim/truth.h"
#include "tests/sim/wire/wire_auditor.h"
#include "tests/support/any_attester.h"
#include "tests/support/fake_kms.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/faulty_log_files.h"

namespace coffer::authority {
class Authority;
}

namespace coffer::sim {

class EnclaveProcess;
class HostProcess;

class World {
 public:
  World(uint64_t seed, const Swarm& swarm);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void StartEnclave();
  void KillEnclave();
  void StopEnclave(absl::Duration duration);  // SIGSTOP
  void StopSigner(absl::Duration duration);   // one of its signing threads alone
  // False when it ended at once, as the program does when a disk gives an error at the start:
  // somebody has to start it again.
  bool StartHost();
  // `power`: what was not synced is lost as well.
  void KillHost(bool power);
  // A machine whose disk went off in the middle of an operation.
  bool power_failed() const;
  void CutLink() { network_.Reset(endpoint_); }
  void Partition(bool cut);
  // Damages what the store holds while nobody runs, a bit or a sector of it, and sees whether that
  // is noticed.
  void FlipBit(uint64_t choice);
  void JumpClock(bool enclave, absl::Duration offset);
  // What an operator does about a disk that failed, before the host is started again.
  void KillHostIfDiskFailed();

  // Levers of the host process; nothing happens when it is down.
  void RotateStateKey();
  bool RotateSigningKey();  // false: it has to be asked for again
  void RunPayouts();
  void PausePayouts(bool pause);
  void ReplayDeadLetters();
  // A ticket of this key's from before the simulation, over so much, is redeemed by its holder.
  void RedeemOldTicket(uint64_t wei);
  // All nodes behave badly, in one of ten ways, until their faults are set again.
  void TroubleNodes(uint64_t way);

  runtime::TestScheduler& scheduler() { return scheduler_; }
  host::FaultyDisk& disk() { return disk_; }
  host::FaultyDisk& journal_disk() { return journal_disk_; }
  host::FaultyLogFiles& log_files() { return log_files_; }
  const Swarm& swarm() const { return swarm_; }
  chain::ChainModel& chain() { return chain_; }
  const chain::ChainModel& chain() const { return chain_; }
  chain::SimNodes& nodes() { return nodes_; }
  JournalWriter& journal() { return journal_; }
  ApiClient& api() { return api_; }
  Truth& truth() { return truth_; }
  const Truth& truth() const { return truth_; }

  bool enclave_runs() const { return enclave_ != nullptr; }
  bool host_runs() const { return host_ != nullptr; }
  // The journal was taken in to its end and nothing is on its way.
  bool journal_caught_up() const;
  // The enclave's own state, for the auditor; null when none is loaded.
  const authority::Authority* state() const;
  const ethereum::Address& address() const { return address_; }  // of the first signing key
  // Of the one that signs, as far as is known.
  const ethereum::Address& signing_address() const { return signing_address_; }
  // What an operator does about a new signing key: it gets ether and a deposit of its own.
  void FundSigningKey(uint64_t deposit);
  // And, once, about one that drains and still has to pay: others may have used up its deposit.
  void TopUpDrainingKey(uint64_t deposit);
  // Nothing of a rotation of the signing key is under way at the host.
  bool rotation_rests() const;
  const policy::Policy& policy() const { return policy_; }
  const PublishedLog& log() const { return log_; }
  const WireAuditor& wire() const { return wire_; }
  HostWatch& watch() { return watch_; }
  // Of the enclave, as it counts them; 0 when none runs.
  size_t requests_in_flight() const;
  // What the world itself saw that must not be; the first.
  const std::string& broken() const { return broken_; }
  uint64_t enclave_starts() const { return enclave_starts_; }
  uint64_t host_starts() const { return host_starts_; }
  // Why the host says that it is not ready, for a person who reads a trace.
  std::string Trouble() const;

 private:
  friend class EnclaveProcess;
  friend class HostProcess;
  void Broken(std::string sentence);
  // Null when the disk gives an error.
  std::unique_ptr<host::RecordStore> OpenRecords();
  std::unique_ptr<host::KeyStore> OpenKeys();

  const Swarm swarm_;
  runtime::TestScheduler scheduler_;
  runtime::MemoryNetwork network_;
  const runtime::Endpoint endpoint_;
  const policy::Policy policy_;
  const ethereum::Address address_;
  ethereum::Address signing_address_;
  std::set<ethereum::Address> topped_up_;
  std::mt19937_64 power_;
  test::FakeKms kms_;
  test::AnyAttester attester_;

  host::FaultyDisk disk_;
  host::FaultyDisk journal_disk_;
  host::FaultyDisk key_disk_;
  host::FaultyLogFiles log_files_;
  JournalFolder folder_;
  chain::ChainModel chain_;
  chain::SimNodes nodes_;

  Truth truth_;
  JournalWriter journal_;
  ApiClient api_;
  PublishedLog log_;
  WireAuditor wire_;
  HostWatch watch_;
  std::string broken_;
  absl::Duration enclave_clock_, host_clock_;  // how far their wall clocks are off
  uint64_t enclave_starts_ = 0;
  uint64_t host_starts_ = 0;
  uint64_t old_tickets_ = 0;
  uint64_t acknowledged_ = 0;  // the last record that the host said to have stored
  std::unique_ptr<EnclaveProcess> enclave_;
  std::unique_ptr<HostProcess> host_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WORLD_H_
