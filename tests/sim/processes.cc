#include "tests/sim/processes.h"

#include <utility>

#include "enclave_core/audit/log_keys.h"
#include "invariant/check.h"

namespace coffer::sim {
namespace {

enclave::EnclaveOptions EnclaveOptionsOf(const policy::Policy& policy, const Swarm& swarm) {
  enclave::EnclaveOptions options;
  options.version = "sim";
  options.policy = policy;
  options.min_snapshot_interval_bytes = swarm.snapshot_bytes;
  // Few, so that much happens between a snapshot's parts.
  options.snapshot_chunks_in_flight = static_cast<uint32_t>(1 + swarm.snapshot_bytes % 3);
  return options;
}

enclave::KeySource KeySourceOf(test::FakeKms* kms) {
  enclave::KeySource source;
  source.new_client = [kms](kms::Credentials credentials, uint32_t) {
    return kms->NewClient(std::move(credentials));
  };
  return source;
}

host::EnclaveLink::Options LinkOptions(const runtime::Endpoint& endpoint) {
  host::EnclaveLink::Options options;
  options.endpoint = endpoint;
  options.request_timeout = absl::Seconds(10);
  options.max_retry = absl::Seconds(1);
  options.refused_retry = absl::Seconds(3);
  options.load_window = 8;
  options.store_messages =
      32;  // so that a count that is never given back stops a run, and not a month
  return options;
}

host::JournalOptions TailOptions() {
  host::JournalOptions options;
  options.path = kJournal;
  options.window = 3;
  options.max_events = 7;
  options.chunk_bytes = 1500;
  return options;
}

host::ChainRpcOptions RpcOptions(std::vector<host::HttpUrl> urls) {
  host::ChainRpcOptions options;
  options.urls = std::move(urls);
  options.try_timeout = absl::Seconds(1);
  options.deadline = absl::Seconds(5);
  options.max_pause = absl::Seconds(2);
  options.max_retry_after = absl::Seconds(3);
  return options;
}

// Everything some ten times faster than an operator has it.
host::PayoutDriverOptions DriverOptions(const Swarm& swarm) {
  host::PayoutDriverOptions options;
  options.strategy = swarm.transfers ? boundary::v1::STRATEGY_ETH_TRANSFER
                                     : boundary::v1::STRATEGY_LIVEPEER_TICKET;
  options.run_interval = absl::Seconds(2);
  options.tick = absl::Milliseconds(200);
  options.idle_interval = absl::Seconds(2);
  options.resync_interval = absl::Seconds(5);
  options.max_tickets = swarm.max_tickets;
  options.confirmations = swarm.confirmations;
  options.stuck_after = absl::Seconds(3);
  options.retry_after = absl::Milliseconds(500);
  options.retry_max = absl::Seconds(4);
  options.lost_nonce_after = absl::Seconds(30);
  options.void_expired = swarm.void_expired;
  // Where nothing is ever taken back, a draining key need not be waited for so long.
  if (swarm.weights[static_cast<size_t>(What::kReorg)] == 0) options.reorg_window = 8;
  options.fund_below = swarm.small_deposit ? 500'000 : 0;
  options.fund_target = swarm.small_deposit ? 3'000'000 : 0;
  return options;
}

}  // namespace

std::string SimulationSecret() { return std::string(32, '\x42'); }

ethereum::PrivateKey SimulationKey() {
  absl::StatusOr<ethereum::PrivateKey> key = ethereum::PrivateKey::FromBytes(SimulationSecret());
  COFFER_CHECK(key.ok(), "sim: no key");
  return *std::move(key);
}

policy::Policy SimulationPolicy(const Swarm& swarm) {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  policy.allow_eth_transfer = swarm.transfers;
  policy.max_face_value = swarm.max_face_value;
  policy.max_transfer = swarm.max_face_value;
  policy.max_batch_total = 20'000'000;
  policy.max_tickets = 10;
  policy.max_gas_limit = 30'000'000;
  policy.max_fee_per_gas = 1'000'000'000'000;
  policy.max_priority_fee_per_gas = 1'000'000'000'000;
  policy.max_fund_deposit = 100'000'000;
  policy.ticket_validity_rounds = 2;
  policy.void_on_host_word = swarm.void_expired;
  return policy;
}

EnclaveProcess::EnclaveProcess(World* world, runtime::TestDispatcher* main_dispatcher,
                               std::vector<runtime::TestDispatcher*> signing_dispatchers,
                               runtime::TestDispatcher* attesting_dispatcher)
    : main(main_dispatcher),
      signing(std::move(signing_dispatchers)),
      attesting(attesting_dispatcher),
      network_(std::make_unique<TappedNetwork>(world->network_.NewNode(main),
                                               world->enclave_starts_, &world->watch_)),
      enclave(EnclaveOptionsOf(world->policy_, world->swarm_), &world->scheduler_.random(), main,
              {signing.begin(), signing.end()}, {&world->attester_, attesting},
              KeySourceOf(&world->kms_)) {
  const absl::Status listening = enclave.Listen(network_.get(), world->endpoint_);
  COFFER_CHECK(listening.ok(), "sim: the enclave cannot listen");
}

HostProcess::HostProcess(World* world, runtime::TestDispatcher* main_dispatcher,
                         runtime::TestDispatcher* disk_dispatcher,
                         std::unique_ptr<host::RecordStore> records,
                         std::unique_ptr<host::KeyStore> key_store)
    : main(main_dispatcher),
      disk_thread(disk_dispatcher),
      network_(world->network_.NewNode(main)),
      to_store_(disk_thread, "store", 1u << 16),
      from_store_(main, "link", host::EnclaveLink::kStoreEvents),
      to_writer_(disk_thread, "log writer", 64),
      from_writer_(main, "log publisher", 64),
      writer_({}, disk_thread, &world->log_files_, records.get(), &from_writer_),
      publisher_({}, main, &to_writer_, nullptr),
      store({}, disk_thread, std::move(records), &from_store_, &writer_),
      link(LinkOptions(world->endpoint_), main, network_.get(), &world->scheduler_.random(),
           &to_store_),
      keys(std::move(key_store)),
      credentials_(main),
      provisioner_(SimProvisionerOptions(), main, &world->scheduler_.random(), keys.get(),
                   &credentials_, [this] { return store.status().last_sequence > 0; }),
      rotation(SimRotationOptions(), RotationPorts()),
      signing_rotation(SimRotationOptions(), RotationPorts()),
      registry(kRegistry, &world->folder_),
      tailer(main, &world->folder_, &world->journal_disk_, &link, &registry, TailOptions()),
      http_(world->nodes_.NewTransport(main)),
      rpc_(main, http_.get(), &world->scheduler_.random(), RpcOptions(world->nodes_.urls())),
      drivers(main, &link, &rpc_, DriverOptions(world->swarm_)) {
  to_store_.Bind(&store);
  from_store_.Bind(&link);
  to_writer_.Bind(&writer_);
  from_writer_.Bind(&publisher_);
  link.ProvisionBy(&provisioner_);
  rotation.NotBeside(&signing_rotation);
  signing_rotation.NotBeside(&rotation);
  drivers.OnRetired([this](const std::string& address) {
    signing_rotation.OnRetired(*ethereum::Address::FromBytes(address));
  });
  FollowHeads(world);
  writer_.Start();
  link.Start();
  COFFER_CHECK(registry.Reload().ok(), "sim: the registry cannot be read");
  StartPayouts(world->policy_.chain_id);
}

host::Rotation::Ports HostProcess::RotationPorts() {
  return {main,
          &link,
          keys.get(),
          &credentials_,
          [this] { return store.status().snapshots; },
          [this] { return store.status().oldest_key_epoch; }};
}

void HostProcess::FollowHeads(World* world) {
  const absl::StatusOr<audit::LogKeys> of_log = audit::LogKeys::Derive(SimulationKey());
  COFFER_CHECK(of_log.ok() && publisher_.UseLogKey(of_log->log_key().ToString()).ok(),
               "sim: no log key");
  publisher_.Watch([world](const auto& published) { world->log_.OnPublished(published); });
  const auto take = [this, world](const boundary::v1::AuditCheckpoint& head) {
    const absl::Status taken = publisher_.OnSignedHead(head);
    if (!taken.ok()) world->log_.OnRefused(taken);
  };
  link.OnSignedHead([take](boundary::v1::AuditCheckpoint head) { take(head); });
  link.Watch([this, take](bool ready) {
    if (!ready) return;
    boundary::v1::ClientFrame frame;
    frame.mutable_get_checkpoint();
    link.Call(std::move(frame), [take](absl::StatusOr<boundary::v1::ServerFrame> answer) {
      if (answer.ok() && answer->has_audit_checkpoint()) take(answer->audit_checkpoint());
    });
  });
}

void HostProcess::StartPayouts(uint64_t chain_id) {
  rpc_.CheckChainId(chain_id, [this](const absl::Status& status) {
    if (driving_ || !(status.ok() || absl::IsUnavailable(status))) return;
    driving_ = true;
    drivers.Start();
  });
}

}  // namespace coffer::sim
