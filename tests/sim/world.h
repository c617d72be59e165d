// The simulated machines: one enclave process and one host process, made of the production actors,
// on one scheduler; a disk that outlives the host, a network between them, and the means to kill
// either at any step.
#ifndef COFFER_TESTS_SIM_WORLD_H_
#define COFFER_TESTS_SIM_WORLD_H_

#include <memory>
#include <random>

#include "actors/enclave/enclave.h"
#include "actors/host/enclave_link.h"
#include "actors/host/log/log_publisher.h"
#include "actors/host/log/log_writer.h"
#include "actors/host/state_store.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/faulty_log_files.h"
#include "tests/support/leaf_auditor.h"

namespace coffer::sim {

class World {
 public:
  explicit World(uint64_t seed);
  ~World();

  void StartEnclave();
  void KillEnclave();
  bool enclave_runs() const { return enclave_ != nullptr; }

  // `on_start` is called with the new host's dispatcher and link, to put a client beside it.
  using OnHost = absl::AnyInvocable<void(runtime::TestDispatcher*, host::EnclaveClient*)>;
  void OnHostStart(OnHost on_start) { on_host_ = std::move(on_start); }
  void StartHost();
  // `power`: what was not synced is lost as well.
  void KillHost(bool power);
  bool host_runs() const { return host_ != nullptr; }
  void CutLink() { network_.Reset(endpoint_); }

  runtime::TestScheduler& scheduler() { return scheduler_; }
  runtime::Random& random() { return scheduler_.random(); }
  host::FaultyDisk& disk() { return disk_; }
  // The enclave's own state, for the auditor; null when none is loaded.
  const authority::Authority* state() const {
    return enclave_ ? enclave_->enclave.state() : nullptr;
  }
  const ethereum::Address& address() const { return address_; }
  const policy::Policy& policy() const { return policy_; }
  uint64_t recoveries() const { return recoveries_; }
  // The published log as a reader sees it, added up; and the first thing that was wrong with it.
  const test::LeafAuditor& log() const { return log_; }
  const std::string& log_failure() const { return log_failure_; }

 private:
  struct EnclaveProcess {
    EnclaveProcess(World* world, runtime::TestDispatcher* main, runtime::TestDispatcher* signing);
    runtime::TestDispatcher* main;
    runtime::TestDispatcher* signing;
    std::unique_ptr<runtime::Network> network;
    enclave::Enclave enclave;
  };
  struct HostProcess {
    HostProcess(World* world, runtime::TestDispatcher* main, runtime::TestDispatcher* disk_thread,
                std::unique_ptr<host::RecordStore> records);
    runtime::TestDispatcher* main;
    runtime::TestDispatcher* disk_thread;
    std::unique_ptr<runtime::Network> network;
    runtime::Mailbox<host::StoreMessage> to_store;
    runtime::Mailbox<host::StoreEvent> from_store;
    runtime::Mailbox<host::LogCommand> to_writer;
    runtime::Mailbox<host::LogEvent> from_writer;
    host::LogWriter writer;
    host::LogPublisher publisher;
    host::StateStore store;
    host::EnclaveLink link;
  };
  // Reads what is new and holds it against the head.
  void OnPublished(const host::LogPublisher::Published& published);

  runtime::TestScheduler scheduler_;
  runtime::MemoryNetwork network_;
  host::FaultyDisk disk_;
  host::FaultyLogFiles log_files_;
  test::LeafAuditor log_;
  std::string log_failure_;
  std::mt19937_64 power_;
  runtime::Endpoint endpoint_;
  policy::Policy policy_;
  ethereum::Address address_;
  OnHost on_host_;
  std::unique_ptr<EnclaveProcess> enclave_;
  std::unique_ptr<HostProcess> host_;
  uint64_t recoveries_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WORLD_H_
