#include "tools/provision_command.h"

#include <CLI/CLI.hpp>
#include <array>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/http_client.h"
#include "actors/host/key_store.h"
#include "actors/host/secret_frames.h"
#include "actors/host/sha256.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/typed_data.h"
#include "host_proxy/kms_options.h"
#include "runtime/os_clock.h"
#include "runtime/os_random.h"
#include "runtime/process.h"
#include "tools/attest/report_text.h"
#include "tools/enclave_session.h"

namespace coffer::tools {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

constexpr size_t kNonceBytes = 32;

// One run: what is asked for, step by step.
class Provisioning {
 public:
  explicit Provisioning(ProvisionArguments arguments)
      : arguments_(std::move(arguments)), timeout_(absl::Seconds(arguments_.timeout)) {}

  // What can be said to be wrong before anybody is asked.
  absl::Status Prepare();
  absl::Status Run();

 private:
  absl::Status PrepareSigning();
  // Whether the folder's signing key is one that an enclave made after the first.
  bool rotated() const { return keys_ != nullptr && keys_->root_epoch() > 0; }
  absl::Status CheckEnclave();
  absl::Status CheckAttestation();
  absl::StatusOr<host::aws::Credentials> GetCredentials();
  ClientFrame Request() const;
  absl::Status Send(const host::aws::Credentials& credentials);
  absl::Status Keep(const boundary::v1::Provisioned& provisioned);
  absl::StatusOr<ServerFrame> Ask(ClientFrame request, ServerFrame::BodyCase kind);

  const ProvisionArguments arguments_;
  const absl::Duration timeout_;
  runtime::EventLoop loop_;
  host::aws::AwsEnvironment environment_;
  host::aws::CredentialChain::Options credentials_;
  OwnedExpectations expectations_;
  runtime::Endpoint endpoint_;
  std::unique_ptr<host::KeyStore> keys_;
  host::SigningCiphertext signing_;  // with --generate, without a ciphertext
  std::optional<ethereum::Address> expected_;
  std::unique_ptr<EnclaveSession> session_;
};

absl::Status Named(const char* option, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(option, ": ", status.message()));
}

absl::Status Provisioning::Prepare() {
  absl::StatusOr<host::aws::AwsEnvironment> environment = host::aws::AwsEnvironment::Take();
  if (!environment.ok()) return environment.status();
  environment_ = *std::move(environment);
  const absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(arguments_.endpoint);
  if (!endpoint.ok()) return Named("--endpoint", endpoint.status());
  endpoint_ = *endpoint;
  const auto sources = host::aws::ParseSources(arguments_.credentials);
  if (!sources.ok()) return Named("--credentials", sources.status());
  credentials_.sources = *sources;
  credentials_.region = arguments_.region;
  credentials_.profile = arguments_.profile;
  if (!credentials_.region.empty()) {
    if (absl::Status s = host::aws::CheckRegion(credentials_.region); !s.ok()) {
      return Named("--region", s);
    }
  }
  absl::StatusOr<OwnedExpectations> read =
      ReadExpectations(arguments_.expectations, runtime::OsWallNow());
  if (!read.ok()) return read.status();
  expectations_ = *std::move(read);
  if (!arguments_.expected_address.empty()) {
    const auto address = ethereum::AddressFromText(arguments_.expected_address);
    if (!address.ok()) return Named("--expected-address", address.status());
    expected_ = *address;
  }
  if (arguments_.generate && (arguments_.kms_key_id.empty() || arguments_.keys.empty())) {
    return absl::InvalidArgumentError(
        "--generate needs --kms-key-id, the key to make it under, and --keys, where its ciphertext "
        "is kept: without that it is lost when the enclave ends");
  }
  // Both profiles read the same flags; which one it is decides later.
  const auto policy = PolicyOf(arguments_.policy_flags, boundary::v1::PROFILE_AUTHORITY);
  if (!policy.ok()) return policy.status();
  if (!arguments_.keys.empty()) {
    auto keys = host::KeyStore::OpenFolder(arguments_.keys);
    if (!keys.ok()) return keys.status();
    keys_ = *std::move(keys);
  }
  return PrepareSigning();
}

absl::Status Provisioning::PrepareSigning() {
  const std::optional<host::SigningCiphertext> root =
      keys_ == nullptr ? std::nullopt : keys_->Root();
  const bool stored = root.has_value();
  const bool given = !arguments_.ciphertext_file.empty() || !arguments_.ciphertext.empty();
  if (arguments_.generate && stored) {
    return absl::InvalidArgumentError(
        absl::StrCat("--generate: ", keys_->path(), " has a signing key's ciphertext already"));
  }
  if (!arguments_.generate && !given && !stored) {
    return absl::InvalidArgumentError(
        "give the signing key's ciphertext, a folder (--keys) that has it, or --generate");
  }
  if (stored) signing_ = *root;
  const bool details = !arguments_.kms_key_id.empty() || !arguments_.encryption_algorithm.empty() ||
                       !arguments_.encryption_context.empty();
  if (rotated() && (given || details)) {
    return absl::InvalidArgumentError(
        absl::StrCat("the signing key of ", keys_->path(),
                     " was rotated, and all that belongs to it is there: leave out the ciphertext, "
                     "--kms-key-id, --encryption-algorithm and --encryption-context"));
  }
  if (given) {
    absl::StatusOr<std::string> ciphertext = ReadCiphertext(arguments_);
    if (!ciphertext.ok()) return ciphertext.status();
    if (stored && *ciphertext != signing_.ciphertext) {
      return absl::InvalidArgumentError(absl::StrCat(
          keys_->path(), " has another signing key's ciphertext: one folder serves one key"));
    }
    signing_.ciphertext = *std::move(ciphertext);
  }
  if (!arguments_.kms_key_id.empty()) signing_.key_id = arguments_.kms_key_id;
  if (!arguments_.encryption_algorithm.empty()) {
    signing_.encryption_algorithm = arguments_.encryption_algorithm;
  }
  if (!arguments_.encryption_context.empty()) {
    auto context = host_proxy::ParseEncryptionContext(arguments_.encryption_context);
    if (!context.ok()) return Named("--encryption-context", context.status());
    signing_.encryption_context = *std::move(context);
  }
  if (!stored) return absl::OkStatus();
  expected_ = host::RootAddress(*keys_, expected_);
  return absl::OkStatus();
}

absl::StatusOr<ServerFrame> Provisioning::Ask(ClientFrame request, ServerFrame::BodyCase kind) {
  absl::StatusOr<ServerFrame> answer = session_->Ask(std::move(request), timeout_);
  if (answer.ok() && answer->body_case() != kind) {
    return absl::UnavailableError("the enclave answered something else than it was asked");
  }
  return answer;
}

absl::Status Provisioning::Run() {
  absl::StatusOr<std::unique_ptr<EnclaveSession>> session =
      EnclaveSession::Connect(&loop_, endpoint_, timeout_);
  if (!session.ok()) return session.status();
  session_ = *std::move(session);
  if (absl::Status s = CheckEnclave(); !s.ok()) return s;
  if (absl::Status s = CheckAttestation(); !s.ok()) return s;
  // Not before: what is not there cannot be sent to the wrong one.
  absl::StatusOr<host::aws::Credentials> credentials = GetCredentials();
  if (!credentials.ok()) return credentials.status();
  if (!arguments_.dry_run) return Send(*credentials);
  DescribeRequest(Request(), *credentials, std::cout);
  return absl::OkStatus();
}

absl::Status Provisioning::CheckEnclave() {
  ClientFrame request;
  request.mutable_status();
  const absl::StatusOr<ServerFrame> answer = Ask(std::move(request), ServerFrame::kStatus);
  if (!answer.ok()) return answer.status();
  const boundary::v1::Status& status = answer->status();
  if (status.phase() != boundary::v1::PHASE_UNPROVISIONED) {
    const auto address = ethereum::Address::FromBytes(status.address());
    return absl::FailedPreconditionError(
        absl::StrCat("the enclave has a key already: ",
                     address.ok() ? ethereum::ToChecksum(*address) : "of no address"));
  }
  if (arguments_.keys.empty() && !status.without_storage()) {
    return absl::InvalidArgumentError(
        "this enclave has its state stored, so a state key is made for it: name the folder that "
        "keeps its ciphertext (--keys), or all that is sealed is lost when the enclave ends");
  }
  absl::StatusOr<std::string> policy = PolicyOf(arguments_.policy_flags, status.profile());
  if (!policy.ok()) return policy.status();
  if (!policy->empty()) signing_.policy = *std::move(policy);
  return absl::OkStatus();
}

absl::Status Provisioning::CheckAttestation() {
  if (arguments_.skip_attestation) {
    std::cerr << "coffer: INSECURE: the credentials go to an enclave whose attestation nobody "
                 "looked at\n";
    return absl::OkStatus();
  }
  std::array<uint8_t, kNonceBytes> random{};
  runtime::OsRandom().Fill(absl::MakeSpan(random));
  const std::string nonce(random.begin(), random.end());
  ClientFrame request;
  request.mutable_get_attestation()->set_nonce(nonce);
  const absl::StatusOr<ServerFrame> answer = Ask(std::move(request), ServerFrame::kAttestation);
  if (!answer.ok()) return answer.status();
  if (answer->attestation().document().empty()) {
    return absl::FailedPreconditionError(
        "the enclave has no attestation device, so nothing proves what it is: it is sent no "
        "credentials (--insecure-skip-attestation sends them, for development)");
  }
  expectations_.expected.nonce = nonce;
  const attestation::Verification found =
      attestation::Verify(answer->attestation().document(), expectations_.expected);
  PrintReport(found.report, std::cerr);
  if (found.report.ExitCode() == kVerified) return absl::OkStatus();
  return absl::FailedPreconditionError(
      "the enclave is not the one that is meant, as far as can be told: it was sent nothing (say "
      "which image is meant with --measurements or --pcr0)");
}

absl::StatusOr<host::aws::Credentials> Provisioning::GetCredentials() {
  host::HttpOptions options;
  options.max_body = host::aws::kMaxImdsAnswerBytes;
  auto http = host::HttpClient::Create(&loop_, std::move(options));
  if (!http.ok()) return http.status();
  auto chain = host::aws::CredentialChain::Create(&loop_, http->get(), std::move(environment_),
                                                  credentials_);
  if (!chain.ok()) return chain.status();
  absl::StatusOr<host::aws::Credentials> got = absl::InternalError("no answer");
  (*chain)->Get([&](absl::StatusOr<host::aws::Credentials> found) {
    got = std::move(found);
    loop_.Stop();
  });
  loop_.Run();
  return got;
}

ClientFrame Provisioning::Request() const {
  ClientFrame frame;
  if (arguments_.generate) {
    auto* generate = frame.mutable_generate();
    generate->set_key_id(signing_.key_id);
    generate->set_key_spec("AES_256");
    generate->set_state_key_id(arguments_.state_key_id);
    generate->mutable_encryption_context()->insert(signing_.encryption_context.begin(),
                                                   signing_.encryption_context.end());
    // Serialized here, a moment ago.
    if (!signing_.policy.empty()) generate->mutable_policy()->ParseFromString(signing_.policy);
    return frame;
  }
  auto* provision = frame.mutable_provision();
  host::FillProvision(signing_, keys_.get(), provision);
  provision->set_state_key_id(arguments_.state_key_id);
  if (expected_.has_value()) provision->set_expected_address(std::string(expected_->view()));
  return frame;
}

absl::Status Provisioning::Send(const host::aws::Credentials& credentials) {
  ClientFrame request = Request();
  host::PutCredentials(credentials, arguments_.proxy_port, host::CredentialsOf(&request));
  const absl::StatusOr<ServerFrame> answer = Ask(std::move(request), ServerFrame::kProvisioned);
  if (!answer.ok()) return answer.status();
  return Keep(answer->provisioned());
}

absl::Status Provisioning::Keep(const boundary::v1::Provisioned& provisioned) {
  const auto address = ethereum::Address::FromBytes(provisioned.address());
  if (!address.ok() || (expected_.has_value() && *address != *expected_)) {
    return absl::DataLossError(
        absl::StrCat("the enclave has another key than the expected one: its address is ",
                     address.ok() ? ethereum::ToChecksum(*address) : "malformed",
                     ". Do not use it; restart it"));
  }
  if (arguments_.generate) {
    signing_.ciphertext = provisioned.ciphertext();
    // Its ARN: an alias may be another key's tomorrow.
    if (!provisioned.key_id().empty()) signing_.key_id = provisioned.key_id();
  }
  signing_.address = *address;
  absl::Status kept;
  if (rotated()) {
    if (!signing_.policy.empty()) kept = keys_->PutPolicy(signing_.policy);
  } else if (keys_ != nullptr) {
    kept = keys_->PutSigning(signing_);
  }
  for (const boundary::v1::StateKey& key : provisioned.new_state_keys()) {
    if (kept.ok() && keys_ != nullptr) kept = keys_->PutStateKey(key);
  }
  if (!kept.ok()) {
    return absl::DataLossError(absl::StrCat(
        "the enclave has its key, but its ciphertexts could not be stored: restart the enclave "
        "before anything is loaded into it, and try again: ",
        kept.message()));
  }
  std::cout << ethereum::ToChecksum(*address) << "\n";
  return absl::OkStatus();
}

// The first four characters say which kind of key it is; the last four, which one.
std::string Masked(const std::string& id) {
  if (id.size() < 12) return "****";
  return absl::StrCat(id.substr(0, 4), "****", id.substr(id.size() - 4));
}

}  // namespace

void DescribeRequest(const ClientFrame& request, const host::aws::Credentials& credentials,
                     std::ostream& out) {
  const auto line = [&out](const char* name, const std::string& value) {
    if (!value.empty()) out << name << ": " << Printable(value) << "\n";
  };
  const bool generate = request.has_generate();
  const auto& provision = request.provision();
  line("request", generate ? "generate" : "provision");
  line("region", credentials.region);
  line("credentials", credentials.source);
  line("access key id", Masked(credentials.access_key_id));
  line("secret access key", "(set, masked)");
  line("session token", credentials.session_token.size() > 0 ? "(set, masked)" : "(none)");
  line("kms key id", generate ? request.generate().key_id() : provision.key_id());
  line("state key id", generate ? request.generate().state_key_id() : provision.state_key_id());
  if (!generate) {
    line("ciphertext", absl::StrCat(provision.ciphertext().size(), " bytes, sha256 ",
                                    host::ToHex(host::Sha256().Hash(provision.ciphertext()))));
    line("encryption algorithm", provision.encryption_algorithm());
    const auto address = ethereum::Address::FromBytes(provision.expected_address());
    line("expected address", address.ok() ? ethereum::ToChecksum(*address) : "(any)");
    const auto next = ethereum::Address::FromBytes(provision.next_signing_key().address());
    if (next.ok()) line("next signing key", ethereum::ToChecksum(*next));
    line("state keys", absl::StrCat(provision.state_keys_size(),
                                    provision.state_keys_size() == 0 ? ", so one is made" : ""));
  }
  for (const auto& [name, value] :
       generate ? request.generate().encryption_context() : provision.encryption_context()) {
    line("encryption context", absl::StrCat(name, "=", value));
  }
  const bool has_policy = generate ? request.generate().has_policy() : provision.has_policy();
  const auto policy =
      policy::FromProto(generate ? request.generate().policy() : provision.policy());
  line("policy", !has_policy   ? "(the enclave's own)"
                 : policy.ok() ? absl::StrCat("chain ", policy->chain_id, ", hash ",
                                              ethereum::ToHex(policy::PolicyHash(*policy).view()))
                               : std::string(policy.status().message()));
}

int RunProvision(ProvisionArguments arguments) {
  // Credentials pass through here.
  absl::Status done = runtime::ForbidCoreDumps();
  const bool dry_run = arguments.dry_run;
  Provisioning provisioning(std::move(arguments));
  if (done.ok()) done = provisioning.Prepare();
  if (!done.ok()) {
    std::cerr << "coffer: " << Printable(std::string(done.message())) << "\n";
    return 2;
  }
  done = provisioning.Run();
  if (done.ok()) {
    if (dry_run) std::cerr << "coffer: nothing was sent (--dry-run)\n";
    return 0;
  }
  std::cerr << "coffer: " << Printable(std::string(done.message())) << "\n";
  return 1;
}

}  // namespace coffer::tools
