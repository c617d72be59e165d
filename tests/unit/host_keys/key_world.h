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
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_disk.h"
#include "tests/support/scripted_enclave.h"

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

// What the enclave's side of KMS does, without any cryptography: keys are counted.
class KeyEnclave {
 public:
  using ClientFrame = boundary::v1::ClientFrame;
  using ServerFrame = boundary::v1::ServerFrame;

  KeyEnclave(runtime::Network* network, const runtime::Endpoint& at) : scripted(network, at) {
    scripted.phase = boundary::v1::PHASE_UNPROVISIONED;
    scripted.on_request = [this](const ClientFrame& request, ServerFrame& answer) {
      return Handle(request, answer);
    };
  }

  static std::string Address(char fill = '\x11') { return std::string(20, fill); }
  static boundary::v1::StateKey Made(uint32_t epoch, int count) {
    boundary::v1::StateKey key;
    key.set_epoch(epoch);
    key.set_ciphertext(absl::StrCat("state key ", epoch, ", the ", count, "th"));
    key.set_key_id("arn:aws:kms:us-east-2:1:key/k");
    key.set_tag(std::string(32, 't'));
    return key;
  }

  ScriptedEnclave scripted;
  std::string address = Address();
  boundary::v1::ErrorCode refuse = boundary::v1::ERROR_UNSPECIFIED;  // of provision and generate
  bool mute = false;
  bool die_after_provision = false;  // the connection ends before the answer
  bool forget_pending = false;
  std::vector<ClientFrame> asked;
  int made = 0;
  uint32_t pending = 0;
  std::function<void()> on_adopt;

 private:
  bool Refuse(ServerFrame& answer, boundary::v1::ErrorCode code) {
    answer.mutable_error()->set_code(code);
    answer.mutable_error()->set_message("AccessDeniedException: no");
    return true;
  }

  bool Handle(const ClientFrame& request, ServerFrame& answer) {
    asked.push_back(request);
    if (mute) return false;
    switch (request.body_case()) {
      case ClientFrame::kProvision:
        return Provision(request.provision().state_keys(), "", answer);
      case ClientFrame::kGenerate:
        return Provision({}, "generated ciphertext", answer);
      case ClientFrame::kRotateStateKey:
        if (refuse != boundary::v1::ERROR_UNSPECIFIED) return Refuse(answer, refuse);
        pending = scripted.state_key_epoch + 1;
        *answer.mutable_state_key() = Made(pending, ++made);
        return true;
      case ClientFrame::kAdoptStateKey:
        if (pending == 0 || request.adopt_state_key().epoch() != pending) {
          return Refuse(answer, boundary::v1::ERROR_WRONG_STATE);
        }
        scripted.state_key_epoch = pending;
        pending = 0;
        if (on_adopt) on_adopt();
        answer.mutable_state_key_adopted()->set_state_key_epoch(scripted.state_key_epoch);
        answer.mutable_state_key_adopted()->set_sealed_sequence(scripted.sealed_);
        return true;
      default:
        return Refuse(answer, boundary::v1::ERROR_UNKNOWN_METHOD);
    }
  }

  bool Provision(const google::protobuf::RepeatedPtrField<boundary::v1::StateKey>& keys,
                 const std::string& ciphertext, ServerFrame& answer) {
    if (scripted.phase != boundary::v1::PHASE_UNPROVISIONED) {
      return Refuse(answer, boundary::v1::ERROR_ALREADY_PROVISIONED);
    }
    if (refuse != boundary::v1::ERROR_UNSPECIFIED) return Refuse(answer, refuse);
    scripted.phase = boundary::v1::PHASE_EMPTY;
    scripted.state_key_epoch = keys.empty() ? 1 : keys[keys.size() - 1].epoch();
    auto* provisioned = answer.mutable_provisioned();
    provisioned->set_address(address);
    provisioned->set_ciphertext(ciphertext);
    if (keys.empty()) *provisioned->add_new_state_keys() = Made(1, ++made);
    return !die_after_provision;
  }
};

struct KeyHost {
  KeyHost(runtime::TestScheduler& scheduler, runtime::MemoryNetwork& wire, FaultyDisk& records,
          FaultyDisk& folder, const runtime::Endpoint& at, KeyProvisioner::Options options)
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
        provisioner(std::move(options), main, &random, keys.get(), &credentials,
                    [this] { return store.status().last_sequence > 0; }),
        rotation({}, main, &link, keys.get(), &credentials,
                 [this] { return store.status().snapshot_sequence; }) {
    to_store.Bind(&store);
    to_link.Bind(&link);
    link.ProvisionBy(&provisioner);
    main->Post([this] { link.Start(); });
  }
  ~KeyHost() {
    main->Crash();
    store_thread->Crash();
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
