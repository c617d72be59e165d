#include "tests/sim/world.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/audit/tiles.h"
#include "invariant/check.h"

namespace coffer::sim {
namespace {

// A key for simulations only.
const std::string kKey(32, '\x42');

ethereum::PrivateKey Key() {
  absl::StatusOr<ethereum::PrivateKey> key = ethereum::PrivateKey::FromBytes(kKey);
  COFFER_CHECK(key.ok(), "sim: no key");
  return *std::move(key);
}

policy::Policy MakePolicy() {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = *ethereum::Address::FromBytes(std::string(20, '\xb0'));
  policy.allow_eth_transfer = true;
  policy.max_face_value = 5'000'000;
  policy.max_transfer = 5'000'000;
  policy.max_batch_total = 20'000'000;
  policy.max_tickets = 10;
  policy.max_gas_limit = 30'000'000;
  policy.max_fee_per_gas = 1'000'000'000'000;
  policy.max_priority_fee_per_gas = 1'000'000'000'000;
  policy.max_fund_deposit = 100'000'000;
  policy.ticket_validity_rounds = 2;
  return policy;
}

}  // namespace

World::World(uint64_t seed)
    : scheduler_(seed),
      network_(&scheduler_),
      power_(seed),
      endpoint_(*runtime::Endpoint::Parse("unix:///enclave")),
      policy_(MakePolicy()),
      address_(Key().address()) {
  network_.SetDelay(absl::Microseconds(20), absl::Milliseconds(3));
}

World::~World() {
  KillHost(false);
  KillEnclave();
}

World::EnclaveProcess::EnclaveProcess(World* world, runtime::TestDispatcher* main_dispatcher,
                                      runtime::TestDispatcher* signing_dispatcher)
    : main(main_dispatcher),
      signing(signing_dispatcher),
      network(world->network_.NewNode(main)),
      enclave(
          [world] {
            enclave::EnclaveOptions options;
            options.version = "sim";
            options.policy = world->policy_;
            // Small, so that snapshots happen all the time.
            options.min_snapshot_interval_bytes = 2000 + world->random().Below(20000);
            return options;
          }(),
          Key(), &world->random(), main, signing) {
  const absl::Status listening = enclave.Listen(network.get(), world->endpoint_);
  COFFER_CHECK(listening.ok(), "sim: the enclave cannot listen");
}

void World::StartEnclave() {
  if (enclave_ != nullptr) return;
  enclave_ = std::make_unique<EnclaveProcess>(this, scheduler_.NewDispatcher("enclave"),
                                              scheduler_.NewDispatcher("signer"));
  ++recoveries_;
}

void World::KillEnclave() {
  if (enclave_ == nullptr) return;
  enclave_->main->Crash();
  enclave_->signing->Crash();
  enclave_.reset();
}

World::HostProcess::HostProcess(World* world, runtime::TestDispatcher* main_dispatcher,
                                runtime::TestDispatcher* disk_dispatcher,
                                std::unique_ptr<host::RecordStore> records)
    : main(main_dispatcher),
      disk_thread(disk_dispatcher),
      network(world->network_.NewNode(main)),
      to_store(disk_thread, "store", 1u << 16),
      from_store(main, "link", host::EnclaveLink::kStoreEvents),
      to_writer(disk_thread, "log writer", 64),
      from_writer(main, "log publisher", 64),
      writer({}, disk_thread, &world->log_files_, records.get(), &from_writer),
      publisher({}, main, &to_writer, nullptr),
      store({}, disk_thread, std::move(records), &from_store, &writer),
      link(
          [world] {
            host::EnclaveLink::Options options;
            options.endpoint = world->endpoint_;
            return options;
          }(),
          main, network.get(), &world->random(), &to_store) {
  to_store.Bind(&store);
  from_store.Bind(&link);
  to_writer.Bind(&writer);
  from_writer.Bind(&publisher);
  const absl::StatusOr<audit::LogKeys> keys = audit::LogKeys::Derive(Key());
  COFFER_CHECK(keys.ok() && publisher.UseLogKey(keys->log_key().ToString()).ok(),
               "sim: no log key");
  publisher.Watch([world](const auto& published) { world->OnPublished(published); });
  const auto take = [this, world](const boundary::v1::AuditCheckpoint& head) {
    const absl::Status taken = publisher.OnSignedHead(head);
    if (!taken.ok() && world->log_failure_.empty()) {
      world->log_failure_ = absl::StrCat("I9: a head is refused: ", taken.message());
    }
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

void World::OnPublished(const host::LogPublisher::Published& published) {
  const auto wrong = [this](const std::string& sentence) {
    if (log_failure_.empty()) log_failure_ = absl::StrCat("I9: ", sentence);
  };
  if (published.size < log_.tree().size()) {
    return wrong(absl::StrCat("a log of ", published.size, " leaves is published after one of ",
                              log_.tree().size()));
  }
  while (log_.tree().size() < published.size) {
    const uint64_t next = log_.tree().size();
    audit::TileRef bundle;
    bundle.entries = true;
    bundle.index = next / audit::kTileWidth;
    bundle.width = audit::TileWidthAt(0, bundle.index, published.size);
    const absl::StatusOr<std::string> bytes = log_files_.Read(audit::TilePath(bundle));
    if (!bytes.ok()) return wrong(std::string(bytes.status().message()));
    const auto leaves = audit::ParseBundle(*bytes, bundle.width);
    if (!leaves.ok()) return wrong(std::string(leaves.status().message()));
    for (size_t i = next % audit::kTileWidth; i < leaves->size(); ++i) {
      if (std::string broken = log_.Add((*leaves)[i]); !broken.empty()) return wrong(broken);
    }
  }
  if (log_.tree().Root() != published.root) {
    wrong(absl::StrCat("the leaves of the log of size ", published.size,
                       " do not make the root that was signed"));
  }
}

void World::StartHost() {
  if (host_ != nullptr) return;
  host::RecordStore::Options options;
  options.segment_bytes = 64u << 10;
  options.hold_segments = true;
  absl::StatusOr<std::unique_ptr<host::RecordStore>> records =
      host::RecordStore::Open(&disk_, options);
  COFFER_CHECK(records.ok(), "sim: the store does not recover from a crash");
  host_ = std::make_unique<HostProcess>(this, scheduler_.NewDispatcher("host"),
                                        scheduler_.NewDispatcher("store"), *std::move(records));
  host_->writer.Start();
  host_->link.Start();
  on_host_(host_->main, &host_->link);
}

void World::KillHost(bool power) {
  if (host_ == nullptr) return;
  host_->main->Crash();
  host_->disk_thread->Crash();
  host_.reset();
  if (!power) return;
  disk_.Restart(power_);
  log_files_.Restart(power_);
}

}  // namespace coffer::sim
