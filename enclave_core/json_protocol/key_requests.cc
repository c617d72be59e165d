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
  out->set_key_id(std::string(params.Text("key_id", kOptional)));
  out->set_encryption_algorithm(std::string(params.Text("encryption_algorithm", kOptional)));
  out->set_expected_address(params.Address("expected_address", kOptional));
  boundary::v1::Policy policy;
  if (ReadPolicyParams(params, &policy)) *out->mutable_policy() = policy;
}

void ReadGenerate(const Fields& params, ClientFrame* frame, Call* /*call*/) {
  boundary::v1::Generate* const out = frame->mutable_generate();
  ReadCredentials(params, out->mutable_aws());
  out->set_key_id(std::string(params.Text("key_id", kRequired)));
  const std::string_view spec = params.Text("key_spec", kOptional);
  if (!spec.empty() && spec != "AES-256") params.Bad("key_spec", "must be AES-256");
  out->set_key_spec("AES_256");  // KMS's own name of it
  boundary::v1::Policy policy;
  if (ReadPolicyParams(params, &policy)) *out->mutable_policy() = policy;
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
