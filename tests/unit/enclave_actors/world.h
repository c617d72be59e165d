// An enclave and its hosts in virtual time, over a network in memory. Hosts are hostile or patient
// as the test wants; a disk is what survives them.
#ifndef COFFER_TESTS_UNIT_ENCLAVE_ACTORS_WORLD_H_
#define COFFER_TESTS_UNIT_ENCLAVE_ACTORS_WORLD_H_

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/enclave/enclave.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/bank.h"
#include "tests/support/fake_kms.h"

namespace coffer::test {

using v1::ClientFrame;
using v1::ServerFrame;

// What a host has durably.
struct Disk {
  std::map<uint64_t, std::string> records;
  std::map<uint64_t, std::string> leaves;  // of each record, for ever
  uint64_t base = 0;                       // of the last whole snapshot
  std::vector<std::string> snapshot;
  uint64_t part_base = 0;  // of the one that is being written
  std::vector<std::string> part;

  void Write(const v1::Store& store) {
    if (store.kind() == v1::Store::KIND_RECORD) {
      records[store.sequence()] = store.sealed();
      leaves[store.sequence()] = store.leaves();
      return;
    }
    if (store.chunk_index() == 0) {
      part.clear();
      part_base = store.sequence();
    }
    part.push_back(store.sealed());
    if (part.size() != store.chunk_count()) return;
    base = part_base;
    snapshot = std::exchange(part, {});
    records.erase(records.begin(), records.upper_bound(base));
  }
  std::vector<std::string> Everything() const {
    std::vector<std::string> all = snapshot;
    for (const auto& [sequence, sealed] : records) {
      if (sequence > base) all.push_back(sealed);
    }
    return all;
  }
  uint64_t last() const { return records.empty() ? base : records.rbegin()->first; }
};

// One connection. With a disk it is a storage that writes, and says so unless `silent`.
class Host : public runtime::StreamHandler {
 public:
  void OnFrame(runtime::FramedStream&, std::string payload) override {
    ServerFrame frame;
    if (!frame.ParseFromString(payload)) {
      unreadable.push_back(payload);
      return;
    }
    if (frame.has_audit_checkpoint()) head_sizes.push_back(frame.audit_checkpoint().size());
    if (frame.has_audit_checkpoint() && frame.request_id() == 0) {
      heads.push_back(frame.audit_checkpoint());
      return;
    }
    if (!frame.has_store()) {
      answers[frame.request_id()] = frame;
      order.push_back(frame.request_id());
      return;
    }
    stores.push_back(frame.store());
    if (disk == nullptr) return;
    disk->Write(frame.store());
    if (!silent) Acknowledge(frame.store());
  }
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream&, const absl::Status&) override { closed = true; }

  void Acknowledge(const v1::Store& store) {
    ClientFrame frame;
    if (store.kind() == v1::Store::KIND_RECORD) {
      frame.mutable_stored()->set_sequence(store.sequence());
    } else {
      frame.mutable_stored()->set_snapshot_sequence(store.sequence());
      frame.mutable_stored()->set_snapshot_chunks(store.chunk_index() + 1);
    }
    stream->Send(frame.SerializeAsString());
  }
  // Sends a request and returns its id.
  uint64_t Ask(ClientFrame frame) {
    frame.set_request_id(++last_id);
    stream->Send(frame.SerializeAsString());
    return last_id;
  }
  uint64_t AskCredit(std::string_view id, std::string_view account, Wei amount) {
    ClientFrame frame;
    *frame.mutable_apply_events()->add_events() = MakeEvent(id, account, amount);
    return Ask(std::move(frame));
  }
  uint64_t AskStatus() {
    ClientFrame frame;
    frame.mutable_status();
    return Ask(std::move(frame));
  }
  uint64_t AskLoad(const std::vector<std::string>& sealed) {
    ClientFrame begin, end;
    begin.mutable_load_begin();
    Ask(begin);
    for (const std::string& one : sealed) {
      ClientFrame record;
      record.mutable_load_record()->set_sealed(one);
      Ask(record);
    }
    end.mutable_load_end();
    return Ask(end);
  }
  uint64_t AskAttach(uint64_t sequence, std::string_view hash) {
    ClientFrame frame;
    frame.mutable_attach_storage()->set_last_sequence(sequence);
    frame.mutable_attach_storage()->set_last_hash(std::string(hash));
    return Ask(frame);
  }
  bool Has(uint64_t id) const { return answers.contains(id); }
  v1::ErrorCode Code(uint64_t id) const {
    const auto found = answers.find(id);
    if (found == answers.end()) return static_cast<v1::ErrorCode>(-1);
    return found->second.error().code();
  }

  std::unique_ptr<runtime::FramedStream> stream;
  Disk* disk = nullptr;
  bool silent = false;
  bool closed = false;
  std::map<uint64_t, ServerFrame> answers;
  std::vector<uint64_t> head_sizes;  // of every head, asked for or not, as they came
  std::vector<uint64_t> order;
  std::vector<v1::Store> stores;
  std::vector<v1::AuditCheckpoint> heads;  // signed unasked
  std::vector<std::string> unreadable;
  uint64_t last_id = 0;
};

class World {
 public:
  explicit World(uint64_t world_seed, enclave::EnclaveOptions enclave_options = Options())
      : seed(world_seed), options(std::move(enclave_options)), scheduler(seed), wire(&scheduler) {
    host_dispatcher_ = scheduler.NewDispatcher("host");
    node_ = wire.NewNode(host_dispatcher_);
    Start();
  }

  static enclave::EnclaveOptions Options() {
    enclave::EnclaveOptions options;
    options.version = "test";
    options.policy = WidePolicy();
    return options;
  }

  // A new process; the old one, if any, is killed at this very step.
  void Start(uint8_t key = 0x11) {
    NewProcess();
    enclaves_.push_back(std::make_unique<enclave::Enclave>(
        options, Key(key), randoms_.back().get(), main_, Signing(),
        enclave::AttestationPorts{attester, attesting_}));
    Listen();
  }
  // The same, waiting for a key from `kms`. Needs an attester.
  void StartWithoutKey() {
    NewProcess();
    enclave::KeySource source;
    source.allow_debug = allow_debug;
    source.new_client = [this](kms::Credentials credentials, uint32_t) {
      return kms.NewClient(std::move(credentials));
    };
    enclaves_.push_back(std::make_unique<enclave::Enclave>(
        options, randoms_.back().get(), main_, Signing(),
        enclave::AttestationPorts{attester, attesting_}, std::move(source)));
    Listen();
  }
  void Kill() {
    if (main_ == nullptr) return;
    main_->Crash();
    for (runtime::TestDispatcher* signer : signing_) signer->Crash();
    if (attesting_ != nullptr) attesting_->Crash();
  }

  // A connected host.
  Host& Connect(Disk* disk = nullptr) {
    hosts_.push_back(std::make_unique<Host>());
    Host& host = *hosts_.back();
    host.disk = disk;
    node_->Connect(At(), [&host](auto made) {
      COFFER_CHECK(made.ok(), "a host of a test connects");
      (*made)->SetHandler(&host);
      host.stream = *std::move(made);
    });
    scheduler.RunUntil([&] { return host.stream != nullptr; }, absl::Seconds(10));
    COFFER_CHECK(host.stream != nullptr, "a host of a test is connected");
    return host;
  }
  // A host that has loaded its disk and is the storage.
  Host& Load(Disk* disk) {
    Host& host = Connect(disk);
    const uint64_t id = host.AskLoad(disk->Everything());
    scheduler.RunUntilIdle();
    COFFER_CHECK(host.Has(id) && host.answers[id].has_load_done(), "the disk of a test loads");
    return host;
  }
  ServerFrame Call(Host& host, ClientFrame frame) {
    const uint64_t id = host.Ask(std::move(frame));
    scheduler.RunUntilIdle();
    return host.answers[id];
  }
  v1::Status Status(Host& host) {
    const uint64_t id = host.AskStatus();
    scheduler.RunUntilIdle();
    return host.answers[id].status();
  }
  void Wait(absl::Duration time) {
    bool over = false;
    const auto timer = host_dispatcher_->After(time, [&] { over = true; });
    scheduler.RunUntil([&] { return over; }, 2 * time);
  }
  // The thread that the device's calls block; with an attester.
  runtime::TestDispatcher& attesting() { return *attesting_; }
  enclave::Enclave& enclave() { return *enclaves_.back(); }
  runtime::Endpoint At() const {
    return runtime::Endpoint::Parse(absl::StrCat("vsock://16:", 5000 + runs_)).value();
  }

  const uint64_t seed;
  enclave::EnclaveOptions options;
  FakeKms kms;
  bool allow_debug = false;
  size_t signers = 2;                         // of the runs that are started from now on
  attestation::Attester* attester = nullptr;  // of the runs that are started from now on
  runtime::TestScheduler scheduler;
  runtime::MemoryNetwork wire;

 private:
  std::vector<runtime::Dispatcher*> Signing() const { return {signing_.begin(), signing_.end()}; }
  void NewProcess() {
    Kill();
    ++runs_;
    main_ = scheduler.NewDispatcher(absl::StrCat("enclave ", runs_));
    signing_.clear();
    for (size_t i = 0; i < signers; ++i)
      signing_.push_back(scheduler.NewDispatcher(absl::StrCat("signing ", runs_, ".", i)));
    attesting_ =
        attester == nullptr ? nullptr : scheduler.NewDispatcher(absl::StrCat("attesting ", runs_));
    randoms_.push_back(std::make_unique<runtime::SeededRandom>(seed * 1000 + runs_));
    nodes_.push_back(wire.NewNode(main_));
  }
  void Listen() {
    const absl::Status listening = enclave().Listen(nodes_.back().get(), At());
    COFFER_CHECK(listening.ok(), "the enclave of a test listens");
  }

  runtime::TestDispatcher* host_dispatcher_ = nullptr;
  runtime::TestDispatcher* main_ = nullptr;
  std::vector<runtime::TestDispatcher*> signing_;
  runtime::TestDispatcher* attesting_ = nullptr;
  std::unique_ptr<runtime::Network> node_;
  std::vector<std::unique_ptr<runtime::SeededRandom>> randoms_;
  std::vector<std::unique_ptr<runtime::Network>> nodes_;
  std::vector<std::unique_ptr<enclave::Enclave>> enclaves_;
  std::vector<std::unique_ptr<Host>> hosts_;
  uint64_t runs_ = 0;
};

}  // namespace coffer::test

#endif  // COFFER_TESTS_UNIT_ENCLAVE_ACTORS_WORLD_H_
