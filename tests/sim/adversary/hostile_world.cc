#include "tests/sim/adversary/hostile_world.h"

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::sim {
namespace {

ethereum::PrivateKey Key(char fill) {
  absl::StatusOr<ethereum::PrivateKey> key = ethereum::PrivateKey::FromBytes(std::string(32, fill));
  COFFER_CHECK(key.ok(), "sim: no key");
  return *std::move(key);
}

}  // namespace

ethereum::PrivateKey HostileWorldKey() { return Key('\x42'); }
ethereum::PrivateKey AdminKey(size_t i) { return Key(static_cast<char>('\x51' + i)); }
ethereum::PrivateKey ReporterKey() { return Key('\x49'); }

HostileWorld::HostileWorld(uint64_t seed, const policy::Policy& policy, KeysFrom keys_from)
    : scheduler_(seed),
      policy_(policy),
      keys_from_(keys_from),
      address_(HostileWorldKey().address()),
      kms_(seed),
      auditor_(policy_, address_),
      network_(&scheduler_),
      host_(scheduler_.NewDispatcher("host")),
      host_network_(network_.NewNode(host_)) {
  network_.SetDelay(absl::Microseconds(10), absl::Microseconds(900));
}

HostileWorld::~HostileWorld() {
  for (size_t slot = 0; slot < kSlots; ++slot) Kill(slot);
}

runtime::Endpoint HostileWorld::endpoint(size_t slot) {
  return *runtime::Endpoint::Parse(absl::StrCat("unix:///enclave-", slot));
}

HostileWorld::Process::Process(HostileWorld* world, uint64_t number, size_t slot)
    : main(world->scheduler_.NewDispatcher(absl::StrCat("enclave ", number))),
      signing({world->scheduler_.NewDispatcher(absl::StrCat("signer ", number)),
               world->scheduler_.NewDispatcher(absl::StrCat("second signer ", number))}),
      attesting(world->scheduler_.NewDispatcher(absl::StrCat("attestor ", number))),
      network(std::make_unique<TappedNetwork>(world->network_.NewNode(main), number,
                                              &world->auditor_)) {
  enclave::EnclaveOptions options;
  options.version = "sim";
  options.policy = world->policy_;
  options.min_snapshot_interval_bytes = 1500;  // snapshots all the time
  options.snapshot_chunks_in_flight = 1;       // and much between their parts
  runtime::Random* const random = &world->scheduler_.random();
  const std::vector<runtime::Dispatcher*> signers(signing.begin(), signing.end());
  if (world->keys_from_ == KeysFrom::kStart) {
    enclave = std::make_unique<enclave::Enclave>(options, HostileWorldKey(), random, main, signers);
  } else {
    enclave::KeySource source;
    source.new_client = [world](kms::Credentials credentials, uint32_t) {
      return world->kms_.NewClient(std::move(credentials));
    };
    enclave = std::make_unique<enclave::Enclave>(
        options, random, main, signers, enclave::AttestationPorts{&world->attester_, attesting},
        std::move(source));
  }
  const absl::Status listening = enclave->Listen(network.get(), endpoint(slot));
  COFFER_CHECK(listening.ok(), "sim: the enclave cannot listen");
}

void HostileWorld::Start(size_t slot) {
  if (runs(slot)) return;
  slots_[slot].number = ++starts_;
  auditor_.OnEnclaveStarted(starts_);
  slots_[slot].process = std::make_unique<Process>(this, starts_, slot);
}

void HostileWorld::Kill(size_t slot) {
  if (!runs(slot)) return;
  slots_[slot].process->main->Crash();
  for (runtime::TestDispatcher* signer : slots_[slot].process->signing) signer->Crash();
  slots_[slot].process->attesting->Crash();
  slots_[slot].process.reset();
  auditor_.OnEnclaveStopped(slots_[slot].number);
}

HostileWorld::Session* HostileWorld::Connect(size_t slot) {
  if (!runs(slot)) return nullptr;
  sessions_.push_back(std::make_unique<Session>(this, slot, sessions_.size() + 1));
  Session* session = sessions_.back().get();
  host_network_->Connect(endpoint(slot), [session](auto stream) {
    if (stream.ok()) session->Take(*std::move(stream));
  });
  return session;
}

void HostileWorld::SetClock(size_t slot, absl::Duration offset) {
  if (!runs(slot)) return;
  auditor_.DistrustClocks();
  slots_[slot].process->main->set_wall_offset(offset);
}

void HostileWorld::StopSigner(size_t slot, absl::Duration duration) {
  if (runs(slot)) slots_[slot].process->signing.front()->Freeze(duration);
}

}  // namespace coffer::sim
