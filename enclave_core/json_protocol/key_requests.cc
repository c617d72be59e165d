#include <string>
#include <string_view>

#include "enclave_core/json_protocol/policy_json.h"
#include "enclave_core/json_protocol/requests.h"
#include "enclave_core/policy/policy.h"

namespace coffer::json_protocol {
namespace {

constexpr size_t kMaxNonceBytes = 32;
constexpr size_t kMaxCiphertextBytes = 6144;       // what KMS encrypts to at most, and more
constexpr size_t kMaxBlobBytes = 12u << 20;        // whose base64 fits a frame
constexpr size_t kMaxCredentialBytes = 16 * 1024;  // session tokens are long
constexpr uint32_t kProxyPort = 8000;
constexpr size_t kMaxKeyIdBytes = 2048;  // KMS's own limit
constexpr uint32_t kMaxStateKeys = 64;   // sealing/state_key.h
constexpr uint32_t kMaxContextPairs = 8;
constexpr size_t kStateKeyTagBytes = 32;

void ReadCredentials(const Fields& params, boundary::v1::AwsCredentials* out) {
  const auto text = [&](std::string_view name) {
    return std::string(params.Text(name, kRequired, kMaxCredentialBytes));
  };
  out->set_region(text("region"));
  out->set_access_key_id(text("aws_access_key_id"));
  out->set_secret_access_key(text("aws_secret_access_key"));
  out->set_session_token(text("aws_session_token"));
  out->set_proxy_port(kProxyPort);
  if (!params.Has("proxy_port")) return;
  const uint32_t port = params.Uint32("proxy_port", kRequired);
  if (port == 0) params.Bad("proxy_port", "must not be 0");
  out->set_proxy_port(port);
}

// {"name": "text", ...} into a protobuf map.
template <typename Map>
void ReadEncryptionContext(const Fields& params, Map* out) {
  const Value* const object = params.Object("encryption_context", kOptional);
  if (object == nullptr) return;
  if (object->size > kMaxContextPairs) {
    return params.Bad("encryption_context", "has too many members; at most 8 are allowed");
  }
  for (const Value* one = object->first; one != nullptr; one = one->next) {
    if (one->kind != Value::Kind::kString) {
      return params.Bad("encryption_context", "must hold strings only");
    }
    (*out)[std::string(one->key)] = std::string(one->text);
  }
}

void ReadStateKeys(const Fields& params, boundary::v1::Provision* out) {
  const Value* const list = params.Array("state_keys", kOptional, kMaxStateKeys);
  if (list == nullptr) return;
  const Path at{&params.path(), "state_keys", -1};
  int index = 0;
  for (const Value* one = list->first; one != nullptr; one = one->next) {
    const Fields key(*one, {&at, {}, index++}, params.problems());
    key.OnlyThese({"epoch", "ciphertext_b64", "key_id", "tag", "address"});
    boundary::v1::StateKey* const stored = out->add_state_keys();
    stored->set_epoch(key.Uint32("epoch", kRequired));
    stored->set_ciphertext(key.Base64("ciphertext_b64", kRequired, kMaxCiphertextBytes));
    stored->set_key_id(std::string(key.Text("key_id", kOptional, kMaxKeyIdBytes)));
    stored->set_tag(key.HexExactly("tag", kRequired, kStateKeyTagBytes));
    stored->set_address(key.Address("address", kOptional));
  }
}

void ReadNextSigningKey(const Fields& params, boundary::v1::Provision* out) {
  const Value* const object = params.Object("next_signing_key", kOptional);
  if (object == nullptr) return;
  const Fields key = params.Inside("next_signing_key", *object);
  key.OnlyThese({"epoch", "address", "ciphertext_b64", "key_id", "encryption_context", "tag"});
  boundary::v1::SigningKey* const stored = out->mutable_next_signing_key();
  stored->set_epoch(key.Uint32("epoch", kRequired));
  stored->set_address(key.Address("address", kRequired));
  stored->set_ciphertext(key.Base64("ciphertext_b64", kRequired, kMaxCiphertextBytes));
  stored->set_key_id(std::string(key.Text("key_id", kOptional, kMaxKeyIdBytes)));
  ReadEncryptionContext(key, stored->mutable_encryption_context());
  stored->set_tag(key.HexExactly("tag", kRequired, kStateKeyTagBytes));
}

}  // namespace

void ReadAttestation(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::GetAttestation* const out = frame->mutable_get_attestation();
  out->set_nonce(params.Hex("nonce", kOptional, kMaxNonceBytes));
  const std::string_view key = params.Text("public_key", kOptional);
  if (key == "rsa-2048") return out->set_public_key(boundary::v1::ATTESTED_KEY_RSA_2048);
  if (key == "p-384") return out->set_public_key(boundary::v1::ATTESTED_KEY_P384);
  if (!key.empty()) params.Bad("public_key", "must be rsa-2048 or p-384");
}

void ReadProvision(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::Provision* const out = frame->mutable_provision();
  ReadCredentials(params, out->mutable_aws());
  out->set_ciphertext(params.Base64("ciphertext_b64", kRequired, kMaxCiphertextBytes));
  out->set_key_id(std::string(params.Text("key_id", kOptional, kMaxKeyIdBytes)));
  out->set_encryption_algorithm(std::string(params.Text("encryption_algorithm", kOptional)));
  out->set_expected_address(params.Address("expected_address", kOptional));
  out->set_state_key_id(std::string(params.Text("state_key_id", kOptional, kMaxKeyIdBytes)));
  ReadEncryptionContext(params, out->mutable_encryption_context());
  ReadStateKeys(params, out);
  if (params.Has("signing_key_epoch")) {
    out->set_signing_key_epoch(params.Uint32("signing_key_epoch", kRequired));
  }
  ReadNextSigningKey(params, out);
  boundary::v1::Policy policy;
  if (ReadPolicyParams(params, &policy)) *out->mutable_policy() = policy;
}

void ReadGenerate(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::Generate* const out = frame->mutable_generate();
  ReadCredentials(params, out->mutable_aws());
  out->set_key_id(std::string(params.Text("key_id", kRequired, kMaxKeyIdBytes)));
  out->set_state_key_id(std::string(params.Text("state_key_id", kOptional, kMaxKeyIdBytes)));
  ReadEncryptionContext(params, out->mutable_encryption_context());
  const std::string_view spec = params.Text("key_spec", kOptional);
  if (!spec.empty() && spec != "AES-256") params.Bad("key_spec", "must be AES-256");
  out->set_key_spec("AES_256");  // KMS's own name of it
  boundary::v1::Policy policy;
  if (ReadPolicyParams(params, &policy)) *out->mutable_policy() = policy;
}

void ReadRotateStateKey(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::RotateStateKey* const out = frame->mutable_rotate_state_key();
  ReadCredentials(params, out->mutable_aws());
  out->set_key_id(std::string(params.Text("key_id", kOptional, kMaxKeyIdBytes)));
}

void ReadAdoptStateKey(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_adopt_state_key()->set_epoch(params.Uint32("epoch", kRequired));
}

void ReadRotateSigningKey(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  ReadCredentials(params, frame->mutable_rotate_signing_key()->mutable_aws());
}

void ReadAdoptSigningKey(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_adopt_signing_key()->set_address(params.Address("address", kRequired));
}

void ReadRetireSigningKey(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_retire_signing_key()->set_address(params.Address("address", kRequired));
}

void ReadChangePolicy(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::ChangePolicy* const out = frame->mutable_change_policy();
  out->set_sequence(params.Uint64("sequence", kRequired));
  if (const Value* const list = params.Array("signatures", kRequired, policy::kMaxAdmins)) {
    const Path at{&params.path(), "signatures", -1};
    int index = 0;
    for (const Value* one = list->first; one != nullptr; one = one->next) {
      out->add_signatures(params.HexExactlyOf(*one, {&at, {}, index++}, 65));
    }
  }
  if (const Value* const object = params.Object("policy", kRequired)) {
    ReadPolicy(params.Inside("policy", *object), out->mutable_policy());
  }
}

void ReadLoadState(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_import_state()->set_blob(params.Base64("blob_b64", kRequired, kMaxBlobBytes));
}

void ReadAuditEvent(const Fields& params, ClientFrame* /*frame*/, Call* /*call*/) {
  params.Text("kind", kRequired);
  params.Text("event_id", kRequired);
  params.Text("reason", kOptional, 64 * 1024);
  params.Text("orchestrator_id", kOptional);
  params.Address("recipient", kOptional);
  params.Object("metadata", kOptional);
  // I9. The parameters have been checked all the same.
  if (!params.ok()) return;
  params.problems()->Add(
      boundary::v1::ERROR_POLICY,
      "the enclave alone writes its transparency log, a leaf for each change of a balance and each "
      "signature: nobody can put an entry of their own among them. Say what an event is about in "
      "its reason and metadata, whose hash goes into its leaf");
}

void ReadAuditStatus(const Fields& /*params*/, ClientFrame* frame, Call* /*call*/) {
  frame->mutable_status();
}

void ReadAuditCheckpoint(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::GetCheckpoint* const out = frame->mutable_get_checkpoint();
  out->set_chain_id(params.Uint64("chain_id", kRequired));
  if (out->chain_id() == 0) params.Bad("chain_id", "must not be 0");
  out->set_registry(params.Address("contract_address", kOptional));
}

}  // namespace coffer::json_protocol
