#include "host_proxy/host_keys.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/key_files.h"
#include "host_proxy/api_json.h"
#include "host_proxy/json_text.h"
#include "runtime/log.h"
#include "runtime/os_file.h"
#include "runtime/process.h"

namespace coffer::host_proxy {
namespace {

// A process that was killed holds its locks until the kernel has taken it apart.
constexpr absl::Duration kKeysLockPatience = absl::Seconds(3);

absl::StatusOr<std::string> ReadCiphertext(const std::string& path) {
  std::string content;
  bool long_ = false;
  const absl::Status read = runtime::OsReadPieces(path, [&](std::string_view piece) {
    long_ = long_ || content.size() + piece.size() > host::kMaxCiphertextBytes;
    if (!long_) content.append(piece);
  });
  if (!read.ok()) return read;
  if (long_ || content.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is no ciphertext of KMS's: it has 1 to ",
                                                   host::kMaxCiphertextBytes, " bytes"));
  }
  return content;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HostKeys>> HostKeys::Create(Ports ports, KmsOptions options,
                                                           host::aws::AwsEnvironment environment,
                                                           const std::string& folder) {
  std::unique_ptr<HostKeys> keys(new HostKeys());
  auto store = host::KeyStore::OpenFolder(folder, kKeysLockPatience);
  if (!store.ok()) return store.status();
  keys->store_ = *std::move(store);
  if (absl::Status s = TakeOver(options, *keys->store_); !s.ok()) return s;
  host::HttpOptions http;
  http.max_body = host::aws::kMaxImdsAnswerBytes;
  http.max_headers = 16u << 10;
  http.max_idle = 0;
  auto client = host::HttpClient::Create(ports.loop, std::move(http));
  if (!client.ok()) return client.status();
  keys->http_ = *std::move(client);
  auto chain = host::aws::CredentialChain::Create(ports.loop, keys->http_.get(),
                                                  std::move(environment), options.credentials);
  if (!chain.ok()) return chain.status();
  keys->credentials_ = *std::move(chain);
  host::Rotation::Options rotation;
  rotation.proxy_port = options.provisioner.proxy_port;
  rotation.expected_address = options.provisioner.expected_address;
  keys->provisioner_ = std::make_unique<host::KeyProvisioner>(
      std::move(options.provisioner), ports.loop, ports.random, keys->store_.get(),
      keys->credentials_.get(),
      [stored = std::move(ports.stored_records)] { return stored() > 0; });
  const host::Rotation::Ports of_rotations{ports.loop,
                                           ports.enclave,
                                           keys->store_.get(),
                                           keys->credentials_.get(),
                                           std::move(ports.stored_snapshots),
                                           std::move(ports.oldest_key_epoch)};
  keys->rotation_ = std::make_unique<host::KeyRotation>(rotation, of_rotations);
  keys->signing_rotation_ = std::make_unique<host::SigningKeyRotation>(rotation, of_rotations);
  keys->rotation_->NotBeside(keys->signing_rotation_.get());
  keys->signing_rotation_->NotBeside(keys->rotation_.get());
  return keys;
}

absl::Status HostKeys::TakeOver(const KmsOptions& options, host::KeyStore& store) {
  host::SigningCiphertext signing = store.signing().value_or(host::SigningCiphertext());
  if (!options.ciphertext_file.empty()) {
    const absl::StatusOr<std::string> content = ReadCiphertext(options.ciphertext_file);
    if (!store.signing().has_value()) {
      if (!content.ok()) return content.status();
      signing.ciphertext = *content;
    } else if (!content.ok() || *content != signing.ciphertext) {
      // The option stays in a configuration long after it was needed.
      runtime::Log(runtime::Level::kWarn, "kms",
                   "the ciphertext file is not looked at: a signing key's is stored already",
                   {{"file", options.ciphertext_file}, {"folder", store.path()}});
    }
  }
  // What was opened once needs nothing more.
  if (signing.ciphertext.empty() || signing.address.has_value()) return absl::OkStatus();
  if (!options.key_id.empty()) signing.key_id = options.key_id;
  if (!options.encryption_algorithm.empty()) {
    signing.encryption_algorithm = options.encryption_algorithm;
  }
  if (!options.encryption_context.empty()) signing.encryption_context = options.encryption_context;
  return store.PutSigning(signing);
}

void HostKeys::AddTo(Router& router) {
  router.Add("GET", "/api/tee/rotate-state-key", Role::kViewer, {},
             [this](RoutedRequest, HttpResponder respond) { respond(JsonAnswer(RotationJson())); });
  router.Add("POST", "/api/tee/rotate-state-key", Role::kAdmin, {},
             [this](RoutedRequest request, HttpResponder respond) {
               PostRotation(request, std::move(respond));
             });
  router.Add(
      "GET", "/api/tee/rotate-signing-key", Role::kViewer, {},
      [this](RoutedRequest, HttpResponder respond) { respond(JsonAnswer(SigningRotationJson())); });
  router.Add("POST", "/api/tee/rotate-signing-key", Role::kAdmin, {},
             [this](RoutedRequest request, HttpResponder respond) {
               PostSigningRotation(request, std::move(respond));
             });
}

void HostKeys::PostRotation(const RoutedRequest& request, HttpResponder respond) {
  std::string key_id;
  if (!request.body.empty()) {
    const absl::StatusOr<Json::Value> body = FromText(request.body);
    const bool object = body.ok() && body->isObject();
    const bool named = object && body->isMember("key_id");
    if (!object || body->size() > (named ? 1u : 0u) || (named && !(*body)["key_id"].isString())) {
      return respond(HttpError(400, "malformed", "the body is {\"key_id\": \"...\"}, or nothing"));
    }
    if (named) key_id = (*body)["key_id"].asString();
    if (key_id.size() > host::kMaxKeyIdBytes) {
      return respond(HttpError(400, "malformed", "key_id has at most 2048 bytes"));
    }
  }
  // Credentials will pass through this process's memory.
  if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return respond(FromStatus(s));
  if (absl::Status started = rotation_->Start(key_id); !started.ok()) {
    return respond(FromStatus(started));
  }
  respond(JsonAnswer(RotationJson(), 202));
}

void HostKeys::PostSigningRotation(const RoutedRequest& request, HttpResponder respond) {
  if (!request.body.empty()) {
    return respond(HttpError(400, "malformed",
                             "the body is nothing: the next signing key is made under the KMS key "
                             "of the one in use"));
  }
  if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return respond(FromStatus(s));
  if (absl::Status started = signing_rotation_->Start(); !started.ok()) {
    return respond(FromStatus(started));
  }
  respond(JsonAnswer(SigningRotationJson(), 202));
}

Json::Value HostKeys::RotationJson() const {
  const host::KeyRotation::Progress progress = rotation_->progress();
  Json::Value json;
  json["step"] = std::string(host::RotationStepWord(progress.step));
  json["from_epoch"] = Number(progress.from_epoch);
  json["epoch"] = progress.epoch == 0 ? Json::Value() : Number(progress.epoch);
  json["why"] = progress.why.empty() ? Json::Value() : Json::Value(progress.why);
  return json;
}

Json::Value HostKeys::SigningRotationJson() const {
  const host::SigningKeyRotation::Progress progress = signing_rotation_->progress();
  const auto text = [](const std::optional<ethereum::Address>& address) {
    return address.has_value() ? Json::Value(ethereum::ToChecksum(*address)) : Json::Value();
  };
  const bool draining = progress.step == host::RotationStep::kDraining;
  Json::Value json;
  json["step"] = std::string(host::RotationStepWord(progress.step));
  json["from_address"] = text(progress.from);
  json["address"] = text(progress.to);
  json["open_payouts"] = draining ? Number(progress.open_payouts) : Json::Value();
  json["why"] = progress.why.empty() ? Json::Value() : Json::Value(progress.why);
  return json;
}

}  // namespace coffer::host_proxy
