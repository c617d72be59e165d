#include "tests/sim/world.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/segment_file.h"
#include "invariant/check.h"
#include "tests/sim/chain/ticket_maker.h"
#include "tests/sim/processes.h"

namespace coffer::sim {
namespace {

constexpr char kEndpoint[] = "unix:///enclave";
// What a signing key begins with, in wei.
const ethereum::U256 kEther = ethereum::U256(1'000'000'000) * 1'000'000'000 * 1'000;
constexpr uint64_t kReserve = 1'000'000;

chain::ChainOptions ChainOptionsOf(const policy::Policy& policy) {
  chain::ChainOptions options;
  options.chain_id = policy.chain_id;
  options.broker.contracts.broker = policy.broker;
  options.broker.ticket_validity_period = policy.ticket_validity_rounds;
  options.broker.unlock_period = 2;
  return options;
}

}  // namespace

World::World(uint64_t seed, const Swarm& swarm)
    : swarm_(swarm),
      scheduler_(seed),
      network_(&scheduler_),
      endpoint_(*runtime::Endpoint::Parse(kEndpoint)),
      policy_(SimulationPolicy(swarm)),
      address_(SimulationKey().address()),
      signing_address_(address_),
      power_(seed),
      kms_(seed),
      folder_(&scheduler_),
      chain_(ChainOptionsOf(policy_)),
      nodes_(&scheduler_, &chain_, swarm.nodes + (swarm.astray ? 1 : 0)),
      journal_(&folder_, &truth_),
      api_(&truth_),
      log_(&log_files_),
      wire_(policy_, address_),
      watch_(&wire_, &chain_, &nodes_, swarm.confirmations) {
  network_.SetDelay(swarm.min_delay, swarm.max_delay);
  wire_.ExpectOneHistory();
  if (swarm.astray) nodes_.SetChainId(0, 1);
  folder_.Append(kJournal, "");
  host::SigningCiphertext signing;
  signing.ciphertext = kms_.Encrypt(SimulationSecret());
  const std::unique_ptr<host::KeyStore> keys = OpenKeys();
  COFFER_CHECK(keys != nullptr && keys->PutSigning(signing).ok(), "sim: no folder of keys");
  chain_.SetNonce(address_, 7);  // the key has a past
  chain_.AddEther(address_, kEther);
  chain_.AddDeposit(address_, FirstDeposit(swarm));
  chain_.AddReserve(address_, kReserve);
}

World::~World() {
  KillHost(false);
  KillEnclave();
}

void World::Broken(std::string sentence) {
  if (broken_.empty()) broken_ = std::move(sentence);
}

// ---- the enclave

void World::StartEnclave() {
  if (enclave_ != nullptr) return;
  ++enclave_starts_;
  wire_.OnEnclaveStarted(enclave_starts_);
  runtime::TestDispatcher* const main = scheduler_.NewDispatcher("enclave");
  std::vector<runtime::TestDispatcher*> signing;
  for (uint32_t i = 0; i < swarm_.signers; ++i)
    signing.push_back(scheduler_.NewDispatcher("signer"));
  enclave_ = std::make_unique<EnclaveProcess>(this, main, std::move(signing),
                                              scheduler_.NewDispatcher("attestor"));
  JumpClock(true, absl::ZeroDuration());
}

void World::KillEnclave() {
  if (enclave_ == nullptr) return;
  enclave_->main->Crash();
  for (runtime::TestDispatcher* signer : enclave_->signing) signer->Crash();
  enclave_->attesting->Crash();
  enclave_.reset();
}

void World::StopEnclave(absl::Duration duration) {
  if (enclave_ == nullptr) return;
  enclave_->main->Freeze(duration);
  for (runtime::TestDispatcher* signer : enclave_->signing) signer->Freeze(duration);
  enclave_->attesting->Freeze(duration);
}

void World::StopSigner(absl::Duration duration) {
  if (enclave_ != nullptr) enclave_->signing.front()->Freeze(duration);
}

size_t World::requests_in_flight() const {
  return enclave_ == nullptr ? 0 : enclave_->enclave.gateway().requests_in_flight();
}

const authority::Authority* World::state() const {
  return enclave_ ? enclave_->enclave.state() : nullptr;
}

// ---- the host

std::unique_ptr<host::RecordStore> World::OpenRecords() {
  host::RecordStore::Options options;
  options.segment_bytes = swarm_.segment_bytes;
  options.hold_segments = true;
  absl::StatusOr<std::unique_ptr<host::RecordStore>> records =
      host::RecordStore::Open(&disk_, options);
  if (records.ok()) return *std::move(records);
  // Damage: nothing here does any that is not a fault of the store, FlipBit's copies apart.
  if (absl::IsDataLoss(records.status())) {
    Broken(absl::StrCat("I5: the store does not recover: ", records.status().message()));
  }
  return nullptr;
}

// The folder of keys is small, and is written seldom: what happens to it is that the power goes.
std::unique_ptr<host::KeyStore> World::OpenKeys() {
  absl::StatusOr<std::unique_ptr<host::KeyStore>> keys = host::KeyStore::Open(&key_disk_);
  if (keys.ok()) return *std::move(keys);
  Broken(absl::StrCat("I5: the folder of keys does not recover: ", keys.status().message()));
  return nullptr;
}

bool World::StartHost() {
  if (host_ != nullptr || !broken_.empty()) return true;
  std::unique_ptr<host::RecordStore> records = OpenRecords();
  if (records == nullptr) return false;
  std::unique_ptr<host::KeyStore> keys = OpenKeys();
  if (keys == nullptr) return false;
  if (records->last_sequence() < acknowledged_) {
    Broken(absl::StrCat("I5: the store ends with record ", records->last_sequence(), ", but ",
                        acknowledged_, " was acknowledged as stored"));
    return false;
  }
  ++host_starts_;
  watch_.OnHostStart();
  host_ = std::make_unique<HostProcess>(this, scheduler_.NewDispatcher("host"),
                                        scheduler_.NewDispatcher("store"), std::move(records),
                                        std::move(keys));
  JumpClock(false, absl::ZeroDuration());
  api_.OnHostStart(host_->main, &host_->link);
  if (host_->tailer.Start().ok()) return true;
  KillHost(false);
  return false;
}

void World::KillHost(bool power) {
  if (host_ != nullptr) {
    acknowledged_ = std::max(acknowledged_, host_->store.status().last_sequence);
    api_.OnHostKilled();
    host_->main->Crash();
    host_->disk_thread->Crash();
    host_.reset();
  }
  if (!power) return;
  disk_.Restart(power_);
  journal_disk_.Restart(power_);
  key_disk_.Restart(power_);
  log_files_.Restart(power_);
}

bool World::power_failed() const {
  return disk_.crashed() || journal_disk_.crashed() || log_files_.crashed();
}

void World::Partition(bool cut) {
  if (cut) {
    network_.Cut(endpoint_);
  } else {
    network_.Heal(endpoint_);
  }
}

void World::JumpClock(bool enclave, absl::Duration offset) {
  if (enclave) {
    enclave_clock_ += offset;
    if (enclave_ == nullptr) return;
    enclave_->main->set_wall_offset(enclave_clock_);
    for (runtime::TestDispatcher* signer : enclave_->signing)
      signer->set_wall_offset(enclave_clock_);
    enclave_->attesting->set_wall_offset(enclave_clock_);
  } else {
    host_clock_ += offset;
    if (host_ == nullptr) return;
    host_->main->set_wall_offset(host_clock_);
    host_->disk_thread->set_wall_offset(host_clock_);
  }
}

void World::KillHostIfDiskFailed() {
  if (host_ != nullptr && host_->store.status().trouble.empty() &&
      host_->tailer.metrics().disk_errors == 0) {
    return;
  }
  KillHost(false);
}

void World::RotateStateKey() {
  // One that is under way goes on, and one that has to wait for the enclave is asked for again.
  if (host_ != nullptr) (void)host_->rotation.Start("");
}

bool World::RotateSigningKey() { return host_ != nullptr && host_->signing_rotation.Start().ok(); }

void World::FundSigningKey(uint64_t deposit) {
  if (state() == nullptr || !state()->founded() || state()->address() == signing_address_) return;
  signing_address_ = state()->address();
  chain_.AddEther(signing_address_, kEther);
  chain_.AddDeposit(signing_address_, deposit);
  chain_.AddReserve(signing_address_, kReserve);
}

void World::TopUpDrainingKey(uint64_t deposit) {
  const payouts::SigningKey* draining =
      state() == nullptr || !state()->founded() ? nullptr : state()->payouts().draining();
  if (draining == nullptr || draining->outstanding_tickets == 0) return;
  if (topped_up_.insert(draining->address).second) {
    chain_.AddDeposit(draining->address, deposit);
  }
}

bool World::rotation_rests() const {
  return host_ != nullptr && !host_->signing_rotation.under_way() && host_->keys->Next() == nullptr;
}

void World::RunPayouts() {
  if (host_ != nullptr) host_->drivers.RunNow();
}

void World::PausePayouts(bool pause) {
  if (host_ == nullptr) return;
  if (pause) {
    host_->drivers.Pause();
  } else {
    host_->drivers.Resume();
  }
}

void World::ReplayDeadLetters() {
  if (host_ == nullptr) return;
  host_->tailer.ReloadRegistry();
  host_->tailer.ReplayDeadLetters([](const absl::StatusOr<host::ReplaySummary>&) {});
}

void World::RedeemOldTicket(uint64_t wei) {
  const uint64_t round = chain_.broker().round();
  if (!chain_.broker().round_initialized()) return;
  const ethereum::Address holder = *ethereum::Address::FromBytes(std::string(20, '\x55'));
  chain_.StrangerRedeems(
      {chain::MakeTicket(SimulationKey(), holder, wei, (uint64_t{1} << 40) + ++old_tickets_, round,
                         chain_.broker().BlockHashForRound(round))});
}

bool World::journal_caught_up() const { return host_ != nullptr && host_->tailer.caught_up(); }

std::string World::Trouble() const {
  if (host_ == nullptr) return "the host is down";
  std::string text = host_->link.not_ready_reason();
  if (!host_->store.status().trouble.empty()) {
    absl::StrAppend(&text, "; store: ", host_->store.status().trouble);
  }
  std::vector<const host::PayoutDriverStatus*> keys = host_->drivers.Reopened();
  keys.push_back(&host_->drivers.Current());
  if (const host::PayoutDriverStatus* draining = host_->drivers.Draining()) {
    keys.push_back(draining);
    absl::StrAppend(&text, "; the draining key ", draining->drain);
  }
  for (const host::PayoutDriverStatus* key : keys) {
    for (const host::PayoutHalt& halt : key->halts) {
      absl::StrAppend(&text, "; payouts: ", halt.sentence);
    }
    for (const std::string& note : key->notes) absl::StrAppend(&text, "; note: ", note);
  }
  return text;
}

void World::TroubleNodes(uint64_t way) {
  chain::NodeFaults faults;
  const auto rate = static_cast<uint32_t>(100 + 40 * (way % 20));
  switch (way % 10) {
    case 0:
      faults.timeout = rate;
      break;
    case 1:
      faults.refused = rate;
      break;
    case 2:
      faults.rate_limited = rate;
      break;
    case 3:
      faults.garbage = rate;
      break;
    case 4:
      faults.wrong_ids = faults.truncated = rate / 2;
      break;
    case 5:
      faults.stale = rate;
      break;
    case 6:
      faults.contradictory = rate;
      break;
    case 7:
      faults.forgets = rate;
      break;
    case 8:
      faults.odd_refusals = rate;
      break;
    default:
      faults.timeout = faults.rate_limited = faults.server_error = faults.stale = faults.forgets =
          faults.truncated = rate / 6;
      break;
  }
  // A limit on eth_getLogs is a fault of some nodes at all times.
  faults.max_log_range = way % 2 == 0 ? 0 : 3;
  nodes_.SetFaults(faults);
}

// ---- damage

namespace {

// Everything that a fresh enclave would be given.
std::vector<std::string> ReadAll(host::RecordStore& records) {
  std::vector<std::string> items;
  host::StoreReader reader = records.Read();
  for (;;) {
    absl::StatusOr<std::optional<std::string>> item = reader.Next();
    COFFER_CHECK(item.ok(), "sim: what was checked at the start cannot be read");
    if (!item->has_value()) return items;
    items.push_back(**std::move(item));
  }
}

// The end of the newest segment, as a crash in the middle of its last write may leave it.
void TearEnd(host::FaultyDisk& disk, const std::vector<std::string>& names) {
  std::string newest;
  for (const std::string& name : names) {
    if (host::ParseSegmentName(name).has_value()) newest = std::max(newest, name);
  }
  if (newest.empty()) return;
  std::string& bytes = disk.Contents(newest);
  const size_t last = bytes.find_last_not_of('\0');
  if (last != std::string::npos) bytes[last] = '\0';
}

}  // namespace

void World::FlipBit(uint64_t choice) {
  KillHost(false);
  const absl::StatusOr<std::vector<std::string>> names = disk_.List();
  if (!names.ok() || names->empty()) return;
  const std::unique_ptr<host::FaultyDisk> sound = disk_.Clone();
  host::RecordStore::Options options;
  options.segment_bytes = swarm_.segment_bytes;
  options.hold_segments = true;
  const auto whole = host::RecordStore::Open(sound.get(), options);
  if (!whole.ok()) return Broken(absl::StrCat("I5: ", whole.status().message()));
  const std::unique_ptr<host::FaultyDisk> damaged = disk_.Clone();
  std::string& bytes = damaged->Contents((*names)[choice % names->size()]);
  const size_t written = bytes.find_last_not_of('\0') + 1;
  if (written == 0) return;
  const size_t where = (choice * 7919) % written;
  if (choice / 8 % 4 == 0) {
    // A sector that was written once and reads as if it never had been.
    const size_t sector = where / host::kSectorBytes * host::kSectorBytes;
    const size_t end = std::min<size_t>(sector + host::kSectorBytes, bytes.size());
    std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(sector),
              bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
  } else {
    bytes[where] ^= static_cast<char>(1 << (choice % 8));
  }
  const auto opened = host::RecordStore::Open(damaged.get(), options);
  if (!opened.ok()) return;  // named; the operator has a copy
  const std::vector<std::string> all = ReadAll(**whole);
  const std::vector<std::string> left = ReadAll(**opened);
  if (left == all) return;
  // The very last group may look torn and be dropped: the enclave refuses a storage that is behind.
  const std::unique_ptr<host::FaultyDisk> torn = disk_.Clone();
  TearEnd(*torn, *names);
  const auto shorter = host::RecordStore::Open(torn.get(), options);
  if (shorter.ok() && left == ReadAll(**shorter)) return;
  Broken("I5: damage in the store changes what is read, and nobody notices");
}

}  // namespace coffer::sim
