// The two processes, put together as their main functions do it.
#ifndef COFFER_TESTS_SIM_PROCESSES_H_
#define COFFER_TESTS_SIM_PROCESSES_H_

#include <memory>

#include "actors/enclave/enclave.h"
#include "actors/host/chain_rpc.h"
#include "actors/host/enclave_link.h"
#include "actors/host/journal_tailer.h"
#include "actors/host/key_provisioner.h"
#include "actors/host/key_rotation.h"
#include "actors/host/key_store.h"
#include "actors/host/log/log_publisher.h"
#include "actors/host/log/log_writer.h"
#include "actors/host/payout_drivers.h"
#include "actors/host/registry.h"
#include "actors/host/signing_key_rotation.h"
#include "actors/host/state_store.h"
#include "tests/sim/key_folder.h"
#include "tests/sim/world.h"

namespace coffer::sim {

// A key for simulations only.
std::string SimulationSecret();
ethereum::PrivateKey SimulationKey();
policy::Policy SimulationPolicy(const Swarm& swarm);

class EnclaveProcess {
 public:
  EnclaveProcess(World* world, runtime::TestDispatcher* main,
                 std::vector<runtime::TestDispatcher*> signing, runtime::TestDispatcher* attesting);

  runtime::TestDispatcher* const main;
  const std::vector<runtime::TestDispatcher*> signing;
  runtime::TestDispatcher* const attesting;

 private:
  const std::unique_ptr<runtime::Network> network_;

 public:
  enclave::Enclave enclave;
};

class HostProcess {
 public:
  HostProcess(World* world, runtime::TestDispatcher* main, runtime::TestDispatcher* disk_thread,
              std::unique_ptr<host::RecordStore> records,
              std::unique_ptr<host::KeyStore> key_store);

  runtime::TestDispatcher* const main;
  runtime::TestDispatcher* const disk_thread;

 private:
  host::Rotation::Ports RotationPorts();
  void FollowHeads(World* world);
  void StartPayouts(uint64_t chain_id);

  const std::unique_ptr<runtime::Network> network_;
  runtime::Mailbox<host::StoreMessage> to_store_;
  runtime::Mailbox<host::StoreEvent> from_store_;
  runtime::Mailbox<host::LogCommand> to_writer_;
  runtime::Mailbox<host::LogEvent> from_writer_;
  host::LogWriter writer_;
  host::LogPublisher publisher_;

 public:
  host::StateStore store;
  host::EnclaveLink link;
  const std::unique_ptr<host::KeyStore> keys;

 private:
  SimCredentials credentials_;
  host::KeyProvisioner provisioner_;

 public:
  host::KeyRotation rotation;
  host::SigningKeyRotation signing_rotation;
  host::Registry registry;
  host::JournalTailer tailer;

 private:
  const std::unique_ptr<host::HttpTransport> http_;
  host::ChainRpc rpc_;
  bool driving_ = false;

 public:
  host::PayoutDrivers drivers;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_PROCESSES_H_
