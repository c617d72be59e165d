// A host with its store, link and keys against a scripted enclave, in virtual time.
#ifndef COFFER_TESTS_UNIT_HOST_KEYS_KEY_WORLD_H_
#define COFFER_TESTS_UNIT_HOST_KEYS_KEY_WORLD_H_

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/enclave_link.h"
#include "actors/host/key_provisioner.h"
#include "actors/host/key_rotation.h"
#include "actors/host/key_store.h"
#include "actors/host/signing_key_rotation.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/key_enclave.h"

namespace coffer::host {

class FakeCredentials final : public aws::CredentialsSource {
 public:
  explicit FakeCredentials(runtime::Dispatcher* dispatcher) : dispatcher_(dispatcher) {}
  void Get(Done done) override {
    ++asked;
    dispatcher_->Post([this, done = std::move(done)]() mutable {
      if (!why.ok()) return done(why);
      aws::Credentials out;
      out.region = "us-east-2";
      out.access_key_id = "AKIDTEST";
      out.secret_access_key = *ethereum::SecretBytes::CopyOf(absl::StrCat("secret ", asked));
      out.session_token = *ethereum::SecretBytes::CopyOf("token");
      out.source = "the test";
      done(std::move(out));
    });
  }
  absl::Status why;
  int asked = 0;

 private:
  runtime::Dispatcher* const dispatcher_;
};

struct KeyHost {
  KeyHost(runtime::TestScheduler& scheduler, runtime::MemoryNetwork& wire, FaultyDisk& records,
          FaultyDisk& folder, const runtime::Endpoint& at,
          const KeyProvisioner::Options& provisioner_options)
      : random(7),
        main(scheduler.NewDispatcher("host")),
        store_thread(scheduler.NewDispatcher("store")),
        network(wire.NewNode(main)),
        to_store(store_thread, "store", 1 << 16),
        to_link(main, "link", EnclaveLink::kStoreEvents),
        store({}, store_thread, *RecordStore::Open(&records, {.segment_bytes = 8192}), &to_link),
        link(LinkTo(at), main, network.get(), &random, &to_store),
        keys(*KeyStore::Open(&folder)),
        credentials(main),
        provisioner(provisioner_options, main, &random, keys.get(), &credentials,
                    [this] { return store.status().last_sequence > 0; }),
        rotation({}, Ports()),
        signing_rotation({.expected_address = provisioner_options.expected_address}, Ports()) {
    rotation.NotBeside(&signing_rotation);
    signing_rotation.NotBeside(&rotation);
    to_store.Bind(&store);
    to_link.Bind(&link);
    link.ProvisionBy(&provisioner);
    main->Post([this] { link.Start(); });
  }
  ~KeyHost() {
    main->Crash();
    store_thread->Crash();
  }
  Rotation::Ports Ports() {
    return {main,
            &link,
            keys.get(),
            &credentials,
            [this] { return store.status().snapshots; },
            [this] { return store.status().oldest_key_epoch; }};
  }
  static EnclaveLink::Options LinkTo(const runtime::Endpoint& at) {
    EnclaveLink::Options options;
    options.endpoint = at;
    return options;
  }

  runtime::SeededRandom random;
  runtime::TestDispatcher* main;
  runtime::TestDispatcher* store_thread;
  std::unique_ptr<runtime::Network> network;
  runtime::Mailbox<StoreMessage> to_store;
  runtime::Mailbox<StoreEvent> to_link;
  StateStore store;
  EnclaveLink link;
  std::unique_ptr<KeyStore> keys;
  FakeCredentials credentials;
  KeyProvisioner provisioner;
  KeyRotation rotation;
  SigningKeyRotation signing_rotation;
};

class KeyWorld : public ::testing::Test {
 protected:
  KeyWorld()
      : scheduler_(11),
        wire_(&scheduler_),
        enclave_dispatcher_(scheduler_.NewDispatcher("enclave")),
        enclave_network_(wire_.NewNode(enclave_dispatcher_)) {
    options_.provision = true;
    StartEnclave();
  }
  // One without a key, in place of the one before.
  void StartEnclave() {
    enclave_.reset();
    enclave_ = std::make_unique<KeyEnclave>(enclave_network_.get(), at_);
  }
  void StartHost() {
    host_.reset();
    host_ = std::make_unique<KeyHost>(scheduler_, wire_, *records_, *folder_, at_, options_);
  }
  void PutCiphertext(const std::string& bytes = "ciphertext") {
    SigningCiphertext signing;
    signing.ciphertext = bytes;
    ASSERT_TRUE((*KeyStore::Open(folder_.get()))->PutSigning(signing).ok());
  }
  bool UntilReady() {
    return scheduler_.RunUntil([this] { return host_->link.ready(); }, absl::Minutes(5));
  }
  const std::string& Reason() { return host_->link.not_ready_reason(); }
  uint64_t Failures(KeyTrouble trouble) {
    return host_->provisioner.counters().failures.at(static_cast<size_t>(trouble));
  }

  const runtime::Endpoint at_ = runtime::Endpoint::Parse("vsock://16:5000").value();
  runtime::TestScheduler scheduler_;
  runtime::MemoryNetwork wire_;
  runtime::TestDispatcher* enclave_dispatcher_;
  std::unique_ptr<runtime::Network> enclave_network_;
  std::unique_ptr<FaultyDisk> records_ = std::make_unique<FaultyDisk>();
  std::unique_ptr<FaultyDisk> folder_ = std::make_unique<FaultyDisk>();
  KeyProvisioner::Options options_;
  std::unique_ptr<KeyEnclave> enclave_;
  std::unique_ptr<KeyHost> host_;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_KEYS_KEY_WORLD_H_
