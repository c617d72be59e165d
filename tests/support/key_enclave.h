// An enclave that is given its keys, without any cryptography: they are counted. For tests of the
// host's side.
#ifndef COFFER_TESTS_SUPPORT_KEY_ENCLAVE_H_
#define COFFER_TESTS_SUPPORT_KEY_ENCLAVE_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
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
  bool reprovision = false;          // as --allow-reprovision, while nothing is loaded
  bool die_after_provision = false;  // the connection ends before the answer
  bool forget_pending = false;
  std::vector<ClientFrame> asked;
  int made = 0;
  uint32_t pending = 0;
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
