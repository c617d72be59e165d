// An enclave that is given its keys, without any cryptography: they are counted. For tests of the
// host's side.
#ifndef COFFER_TESTS_SUPPORT_KEY_ENCLAVE_H_
#define COFFER_TESTS_SUPPORT_KEY_ENCLAVE_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/sealing/record.h"
#include "tests/support/scripted_enclave.h"

namespace coffer::host {

class KeyEnclave {
 public:
  using ClientFrame = boundary::v1::ClientFrame;
  using ServerFrame = boundary::v1::ServerFrame;

  KeyEnclave(runtime::Network* network, const runtime::Endpoint& at) : scripted(network, at) {
    scripted.phase = boundary::v1::PHASE_UNPROVISIONED;
    scripted.on_request = [this](const ClientFrame& request, ServerFrame& answer) {
      return Handle(request, answer);
    };
    scripted.on_status = [this](boundary::v1::Status* status) { AddKeys(status); };
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
  // A signing key that follows the first, or another that does, by the byte of its address.
  static boundary::v1::SigningKey MadeSigning(uint32_t epoch, char fill) {
    boundary::v1::SigningKey key;
    key.set_epoch(epoch);
    key.set_address(Address(fill));
    key.set_ciphertext(std::string("signing key ") + fill);
    key.set_key_id("arn:aws:kms:us-east-2:1:key/k");
    (*key.mutable_encryption_context())["coffer:purpose"] = "signing-key";
    key.set_tag(std::string(32, 's'));
    return key;
  }
  // Its state key.
  static boundary::v1::StateKey MadeFor(const boundary::v1::SigningKey& signing, uint32_t epoch) {
    boundary::v1::StateKey key = Made(epoch, 1);
    key.set_address(signing.address());
    return key;
  }
  // A record, and a snapshot on it under the state key in use, with its real header.
  void SealSnapshot() {
    scripted.Seal();
    ServerFrame frame;
    auto* store = frame.mutable_store();
    store->set_kind(boundary::v1::Store::KIND_SNAPSHOT_CHUNK);
    store->set_sequence(scripted.sealed_);
    store->set_chunk_count(1);
    sealing::Header header;
    header.kind = sealing::Kind::kSnapshotChunk;
    header.key_epoch = scripted.state_key_epoch;
    header.sequence = scripted.sealed_;
    header.chunk_count = 1;
    store->set_sealed(sealing::EncodeHeader(header) + std::string(sealing::kTagBytes, 'x'));
    scripted.Send(frame);
  }
  // What the payout driver has it do once nothing of the draining key is open.
  void Retire() {
    for (auto& key : signing) {
      if (key.use() == boundary::v1::SigningKeyState::USE_DRAINING) {
        key.set_use(boundary::v1::SigningKeyState::USE_RETIRED);
      }
    }
  }

  ScriptedEnclave scripted;
  std::string address = Address();
  boundary::v1::ErrorCode refuse = boundary::v1::ERROR_UNSPECIFIED;  // of provision and generate
  bool mute = false;
  bool reprovision = false;          // as --allow-reprovision, while nothing is loaded
  bool die_after_provision = false;  // the connection ends before the answer
  bool forget_pending = false;
  std::vector<ClientFrame> asked;
  int made = 0;
  uint32_t pending = 0;
  // What its state knows of signing keys, which outlives it; empty: of the first alone.
  std::vector<boundary::v1::SigningKeyState> signing;
  std::string given;  // address of the key that it was provisioned with
  std::optional<boundary::v1::NextSigningKey> waiting;
  bool waits = false;          // it was given, and not made here
  uint64_t open_payouts = 3;   // of a key that drains
  char next_fill = '\x21';     // of the next signing key's address
  bool die_at_rotate = false;  // the connection ends before the answer
  std::function<void()> on_adopt;
  std::function<std::string(const std::string& nonce)> attest;  // a document

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
      case ClientFrame::kGetAttestation:
        answer.mutable_attestation();
        if (attest) {
          answer.mutable_attestation()->set_document(attest(request.get_attestation().nonce()));
        }
        return true;
      case ClientFrame::kProvision:
        if (!Provision(request.provision().state_keys(), "", answer)) return false;
        if (!answer.has_provisioned()) return true;
        TakeSigning(request.provision());
        answer.mutable_provisioned()->set_address(given);
        return true;
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
      case ClientFrame::kRotateSigningKey:
        return RotateSigningKey(answer);
      case ClientFrame::kAdoptSigningKey:
        return AdoptSigningKey(request.adopt_signing_key().address(), answer);
      case ClientFrame::kRetireSigningKey:  // asked again: it is stored by now
        answer.mutable_signing_key_retired();
        return true;
      default:
        return Refuse(answer, boundary::v1::ERROR_UNKNOWN_METHOD);
    }
  }

  using Key = boundary::v1::SigningKeyState;
  static Key StateOf(uint32_t epoch, const std::string& address, Key::Use use) {
    Key key;
    key.set_epoch(epoch);
    key.set_address(address);
    key.set_use(use);
    return key;
  }
  void AddKeys(boundary::v1::Status* status) {
    if (scripted.phase == boundary::v1::PHASE_UNPROVISIONED) return;
    status->set_address(given.empty() ? address : given);
    for (const Key& key : signing) {
      if (scripted.phase != boundary::v1::PHASE_READY) break;
      *status->add_signing_keys() = key;
      if (key.use() == Key::USE_CURRENT) status->set_address(key.address());
    }
    // Of one that it made itself it does not speak before it is adopted.
    if (!waiting.has_value() || !waits || scripted.phase != boundary::v1::PHASE_READY) return;
    if (status->signing_keys().empty()) {
      *status->add_signing_keys() = StateOf(0, address, Key::USE_CURRENT);
    }
    *status->add_signing_keys() =
        StateOf(waiting->signing_key().epoch(), waiting->signing_key().address(), Key::USE_WAITING);
  }
  bool RotateSigningKey(ServerFrame& answer) {
    if (refuse != boundary::v1::ERROR_UNSPECIFIED) return Refuse(answer, refuse);
    for (const Key& key : signing) {
      if (key.use() == Key::USE_DRAINING) return Refuse(answer, boundary::v1::ERROR_WRONG_STATE);
    }
    if (!waiting.has_value()) {
      const uint32_t epoch = signing.empty() ? 1 : signing.back().epoch() + 1;
      waiting.emplace();
      *waiting->mutable_signing_key() = MadeSigning(epoch, next_fill++);
      *waiting->mutable_state_key() = MadeFor(waiting->signing_key(), scripted.state_key_epoch + 1);
    }
    *answer.mutable_next_signing_key() = *waiting;
    return !die_at_rotate;
  }
  bool AdoptSigningKey(const std::string& wanted, ServerFrame& answer) {
    if (!waiting.has_value() || waiting->signing_key().address() != wanted) {
      return Refuse(answer, boundary::v1::ERROR_WRONG_STATE);
    }
    if (signing.empty()) signing.push_back(StateOf(0, address, Key::USE_CURRENT));
    signing.back().set_use(Key::USE_DRAINING);
    signing.back().set_open_payouts(open_payouts);
    signing.push_back(StateOf(waiting->signing_key().epoch(), wanted, Key::USE_CURRENT));
    waiting.reset();
    // With one that it was given it seals under its state key already.
    if (!std::exchange(waits, false)) {
      ++scripted.state_key_epoch;
      if (on_adopt) on_adopt();
    }
    boundary::v1::Status* const status = answer.mutable_signing_key_adopted();
    status->set_state_key_epoch(scripted.state_key_epoch);
    AddKeys(status);
    return true;
  }
  // What a state that knows of signing keys has to say to what is given to it.
  void TakeSigning(const boundary::v1::Provision& request) {
    given = request.signing_key_epoch() == 0 ? address : Address(request.ciphertext().back());
    // Finding older records, it makes a snapshot by itself.
    if (request.state_keys_size() > 1) scripted.on_loaded = [this] { SealSnapshot(); };
    if (!request.has_next_signing_key()) return;
    const boundary::v1::SigningKey& next = request.next_signing_key();
    for (const Key& key : signing) {
      if (key.address() == next.address()) return;
    }
    waiting.emplace();
    *waiting->mutable_signing_key() = next;
    waits = true;
  }

  bool Provision(const google::protobuf::RepeatedPtrField<boundary::v1::StateKey>& keys,
                 const std::string& ciphertext, ServerFrame& answer) {
    const bool again = reprovision && scripted.phase == boundary::v1::PHASE_EMPTY;
    if (scripted.phase != boundary::v1::PHASE_UNPROVISIONED && !again) {
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

}  // namespace coffer::host

#endif  // COFFER_TESTS_SUPPORT_KEY_ENCLAVE_H_
