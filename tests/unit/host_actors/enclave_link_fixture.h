// The link and the store together, in virtual time, against an enclave that a test scripts.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_ENCLAVE_LINK_FIXTURE_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_ENCLAVE_LINK_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "actors/host/enclave_link.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/scripted_enclave.h"

namespace coffer::host::enclave_link_test {

// One host process: the store on its dispatcher, the link on another.
struct Host {
  Host(runtime::TestScheduler& scheduler, runtime::MemoryNetwork& wire, FaultyDisk& disk,
       EnclaveLink::Options options)
      : random(7),
        main(scheduler.NewDispatcher("host")),
        store_thread(scheduler.NewDispatcher("store")),
        network(wire.NewNode(main)),
        to_store(store_thread, "store", 1 << 16),
        to_link(main, "link", EnclaveLink::kStoreEvents),
        store({}, store_thread, *RecordStore::Open(&disk, {.segment_bytes = 8192}), &to_link),
        link(std::move(options), main, network.get(), &random, &to_store) {
    to_store.Bind(&store);
    to_link.Bind(&link);
    link.CheckStatus([this](const boundary::v1::Status&) { return fit; });
    link.Watch([this](bool ready) { readiness.push_back(ready); });
    link.OnProblem([this](const std::string& problem) { problems.push_back(problem); });
    main->Post([this] { link.Start(); });
  }
  ~Host() {
    main->Crash();
    store_thread->Crash();
  }

  runtime::SeededRandom random;
  runtime::TestDispatcher* main;
  runtime::TestDispatcher* store_thread;
  std::unique_ptr<runtime::Network> network;
  runtime::Mailbox<StoreMessage> to_store;
  runtime::Mailbox<StoreEvent> to_link;
  StateStore store;
  EnclaveLink link;
  absl::Status fit;
  std::vector<bool> readiness;
  std::vector<std::string> problems;
};

class EnclaveLinkTest : public ::testing::Test {
 protected:
  EnclaveLinkTest()
      : scheduler_(11),
        wire_(&scheduler_),
        enclave_dispatcher_(scheduler_.NewDispatcher("enclave")),
        enclave_network_(wire_.NewNode(enclave_dispatcher_)) {
    options_.endpoint = at_;
    NewEnclave();
  }
  void NewEnclave() {
    enclave_.reset();
    enclave_ = std::make_unique<ScriptedEnclave>(enclave_network_.get(), at_);
  }
  void StartHost() {
    host_.reset();
    host_ = std::make_unique<Host>(scheduler_, wire_, disk_, options_);
  }
  bool UntilReady() {
    return scheduler_.RunUntil([this] { return host_->link.ready(); }, absl::Minutes(2));
  }
  void Seal(int count) {
    for (int i = 0; i < count; ++i) enclave_->Seal();
    scheduler_.Advance(absl::Seconds(1));
  }
  // Fills the store: genesis and more records.
  void Prepare(int records) {
    StartHost();
    ASSERT_TRUE(UntilReady());
    Seal(records - 1);
    ASSERT_EQ(enclave_->stored_, static_cast<uint64_t>(records));
  }

  const runtime::Endpoint at_ = runtime::Endpoint::Parse("vsock://16:5000").value();
  runtime::TestScheduler scheduler_;
  runtime::MemoryNetwork wire_;
  runtime::TestDispatcher* enclave_dispatcher_;
  std::unique_ptr<runtime::Network> enclave_network_;
  FaultyDisk disk_;
  EnclaveLink::Options options_;
  std::unique_ptr<ScriptedEnclave> enclave_;
  std::unique_ptr<Host> host_;
};

}  // namespace coffer::host::enclave_link_test

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_ENCLAVE_LINK_FIXTURE_H_
