// An enclave that gets its keys from a KMS, and what its host keeps beside the records.
#ifndef COFFER_TESTS_UNIT_ENCLAVE_ACTORS_KMS_WORLD_H_
#define COFFER_TESTS_UNIT_ENCLAVE_ACTORS_KMS_WORLD_H_

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/any_attester.h"
#include "tests/unit/enclave_actors/world.h"

namespace coffer::test {

class KmsWorld : public World {
 public:
  explicit KmsWorld(uint64_t world_seed, enclave::EnclaveOptions enclave_options = Options())
      : World(world_seed, std::move(enclave_options)),
        ciphertext(kms.Encrypt(std::string(32, '\x11'))) {
    attester = &any_attester;
    StartWithoutKey();
  }

  ClientFrame ProvisionFrame() const {
    ClientFrame frame;
    FillCredentials(frame.mutable_provision()->mutable_aws());
    v1::Provision* const provision = frame.mutable_provision();
    if (root.has_value()) {
      provision->set_ciphertext(root->ciphertext());
      provision->set_signing_key_epoch(root->epoch());
      *provision->mutable_encryption_context() = root->encryption_context();
    } else {
      provision->set_ciphertext(ciphertext);
    }
    if (next.has_value()) *provision->mutable_next_signing_key() = *next;
    for (const auto& [epoch, key] : keys) {
      const bool of_root = key.address() == (root.has_value() ? root->address() : "");
      const bool of_next = next.has_value() && key.address() == next->address();
      if (of_root || of_next) *provision->add_state_keys() = key;
    }
    return frame;
  }
  ClientFrame RotateSigningFrame() const {
    ClientFrame frame;
    FillCredentials(frame.mutable_rotate_signing_key()->mutable_aws());
    return frame;
  }
  static ClientFrame AdoptSigningFrame(std::string_view address) {
    ClientFrame frame;
    frame.mutable_adopt_signing_key()->set_address(std::string(address));
    return frame;
  }
  static ClientFrame RetireFrame(std::string_view address) {
    ClientFrame frame;
    frame.mutable_retire_signing_key()->set_address(std::string(address));
    return frame;
  }
  // As a host does it that stores what it is given.
  void Keep(const v1::NextSigningKey& made) {
    next = made.signing_key();
    keys[made.state_key().epoch()] = made.state_key();
  }
  void KeepOnlyTheNext() { root = std::exchange(next, std::nullopt); }
  ClientFrame RotateFrame(const std::string& key_id = "") const {
    ClientFrame frame;
    FillCredentials(frame.mutable_rotate_state_key()->mutable_aws());
    frame.mutable_rotate_state_key()->set_key_id(key_id);
    return frame;
  }
  static ClientFrame AdoptFrame(uint32_t epoch) {
    ClientFrame frame;
    frame.mutable_adopt_state_key()->set_epoch(epoch);
    return frame;
  }
  // By a connection of its own; new state keys are kept.
  ServerFrame Provision() {
    ServerFrame answer = Call(Connect(), ProvisionFrame());
    for (const v1::StateKey& key : answer.provisioned().new_state_keys()) keys[key.epoch()] = key;
    return answer;
  }
  // A new process, provisioned with what is kept, which has loaded the disk.
  Host& Restart(Disk* disk) {
    StartWithoutKey();
    const ServerFrame answer = Provision();
    COFFER_CHECK(answer.has_provisioned(), "a restarted enclave of a test is provisioned");
    return Load(disk);
  }
  // What becomes of a load by a new process.
  ServerFrame TryLoad(const Disk& disk) {
    Host& host = Connect();
    const std::vector<std::string> all = disk.Everything();
    const uint64_t end = host.AskLoad(all);
    scheduler.RunUntilIdle();
    for (uint64_t id = end - all.size(); id < end; ++id) {
      if (host.answers[id].has_error()) return host.answers[id];
    }
    return host.answers[end];
  }

  const std::string ciphertext;           // of the signing key
  std::map<uint32_t, v1::StateKey> keys;  // what the host has stored, by epoch
  std::optional<v1::SigningKey> root;     // the oldest in use, where that is not the first
  std::optional<v1::SigningKey> next;
  AnyAttester any_attester;
};

inline uint32_t EpochOf(const std::string& sealed) {
  return sealing::ParseHeader(sealed).value().key_epoch;
}

}  // namespace coffer::test

#endif  // COFFER_TESTS_UNIT_ENCLAVE_ACTORS_KMS_WORLD_H_
