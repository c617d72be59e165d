#include "enclave_core/kms/remote_client.h"

#include <array>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/kms/cms.h"
#include "enclave_core/kms/sigv4.h"
#include "enclave_core/kms/tls.h"

namespace coffer::kms {
namespace {

constexpr absl::string_view kService = "kms";
constexpr size_t kReadBytes = 16 * 1024;
constexpr size_t kNonceBytes = 32;
constexpr size_t kDataKeyBytes = 32;  // AES_256
constexpr int kOk = 200;
constexpr int kFirstServerError = 500;

// What TLS has to say goes out, whether it is content with what came or not: an alert is the
// server's to know.
absl::Status Flush(TlsClient& tls, ByteChannel& channel) {
  const std::string bytes = tls.TakeOutput();
  return bytes.empty() ? absl::OkStatus() : channel.Write(bytes);
}

// Waits for the next bytes of the wire, and hands them to TLS.
absl::Status Receive(TlsClient& tls, ByteChannel& channel) {
  const absl::StatusOr<std::string> bytes = channel.Read(kReadBytes);
  if (!bytes.ok()) return bytes.status();
  if (bytes->empty()) {
    if (absl::Status status = tls.FeedWireEnd(); !status.ok()) return status;
    return absl::OkStatus();
  }
  absl::Status fed = tls.FeedWire(*bytes);
  const absl::Status flushed = Flush(tls, channel);
  return fed.ok() ? flushed : fed;
}

absl::StatusOr<HttpResponse> ReadResponse(TlsClient& tls, ByteChannel& channel) {
  ResponseParser parser;
  while (true) {
    if (absl::Status status = parser.Feed(tls.TakePlaintext()); !status.ok()) return status;
    if (parser.done()) return parser.Take();
    if (tls.closed()) return parser.FeedEnd();
    if (absl::Status status = Receive(tls, channel); !status.ok()) return status;
  }
}

bool IsBusy(const ServiceError& error, int http_status) {
  return http_status >= kFirstServerError || error.name == "ThrottlingException" ||
         error.name == "RequestLimitExceeded";
}

// KMS may quote what it was sent: a canonical request holds the session token.
bool Quotes(const std::string& message, const Credentials& credentials) {
  constexpr size_t kEnough = 16;
  const absl::string_view token = credentials.session_token;
  return !token.empty() && absl::StrContains(message, token.substr(0, kEnough));
}

}  // namespace

absl::StatusOr<std::unique_ptr<RemoteClient>> RemoteClient::Create(RemoteOptions options,
                                                                   Credentials credentials,
                                                                   RemotePorts ports) {
  absl::StatusOr<attestation::EphemeralKey> key =
      attestation::EphemeralKey::Make(attestation::EphemeralKey::Type::kRsa2048);
  if (!key.ok()) return key.status();
  return std::unique_ptr<RemoteClient>(new RemoteClient(std::move(options), std::move(credentials),
                                                        std::move(ports), *std::move(key)));
}

RemoteClient::RemoteClient(RemoteOptions options, Credentials credentials, RemotePorts ports,
                           attestation::EphemeralKey key)
    : options_(std::move(options)),
      credentials_(std::move(credentials)),
      ports_(std::move(ports)),
      key_(std::move(key)) {}

absl::StatusOr<std::string> RemoteClient::MakeRecipient() {
  std::array<uint8_t, kNonceBytes> nonce{};
  ports_.random(absl::MakeSpan(nonce));
  attestation::Fields fields;
  fields.nonce.assign(nonce.begin(), nonce.end());
  fields.public_key = key_.public_der();
  return ports_.attester->Attest(fields);
}

absl::StatusOr<OpenedKey> RemoteClient::Decrypt(std::string_view ciphertext,
                                                std::string_view key_id, std::string_view algorithm,
                                                const EncryptionContext& context) {
  const absl::StatusOr<std::string> document = MakeRecipient();
  if (!document.ok()) return document.status();
  const absl::StatusOr<std::string> body =
      Call(kDecryptTarget, DecryptBody(ciphertext, key_id, algorithm, context, *document));
  if (!body.ok()) return body.status();
  const absl::StatusOr<Answer> answer = ParseDecrypt(*body, algorithm);
  if (!answer.ok()) return answer.status();
  absl::StatusOr<ethereum::SecretBytes> plaintext = OpenEnvelope(answer->envelope, key_.key());
  if (!plaintext.ok()) return plaintext.status();
  return OpenedKey{*std::move(plaintext), "", answer->key_id};
}

absl::StatusOr<OpenedKey> RemoteClient::GenerateDataKey(std::string_view key_id,
                                                        const EncryptionContext& context) {
  const absl::StatusOr<std::string> document = MakeRecipient();
  if (!document.ok()) return document.status();
  const absl::StatusOr<std::string> body =
      Call(kGenerateDataKeyTarget, GenerateDataKeyBody(key_id, context, *document));
  if (!body.ok()) return body.status();
  const absl::StatusOr<Answer> answer = ParseGenerateDataKey(*body);
  if (!answer.ok()) return answer.status();
  absl::StatusOr<ethereum::SecretBytes> plaintext = Open(*answer, kDataKeyBytes);
  if (!plaintext.ok()) return plaintext.status();
  return OpenedKey{*std::move(plaintext), answer->ciphertext, answer->key_id};
}

absl::StatusOr<ethereum::SecretBytes> RemoteClient::GenerateRandom(size_t bytes) {
  const absl::StatusOr<std::string> document = MakeRecipient();
  if (!document.ok()) return document.status();
  const absl::StatusOr<std::string> body =
      Call(kGenerateRandomTarget, GenerateRandomBody(bytes, *document));
  if (!body.ok()) return body.status();
  const absl::StatusOr<Answer> answer = ParseGenerateRandom(*body);
  if (!answer.ok()) return answer.status();
  return Open(*answer, bytes);
}

absl::StatusOr<ethereum::SecretBytes> RemoteClient::Open(const Answer& answer,
                                                         size_t expected_bytes) const {
  absl::StatusOr<ethereum::SecretBytes> plaintext = OpenEnvelope(answer.envelope, key_.key());
  if (plaintext.ok() && plaintext->size() != expected_bytes) {
    return absl::DataLossError(
        absl::StrCat("KMS's answer does not hold the ", expected_bytes, " bytes asked for"));
  }
  return plaintext;
}

absl::StatusOr<std::string> RemoteClient::Call(absl::string_view target,
                                               absl::StatusOr<std::string> body) {
  if (!body.ok()) return body;
  const absl::Time now = ports_.now();
  HttpRequest request{"POST",
                      "/",
                      {},
                      {{"host", options_.host},
                       {"content-type", std::string(kContentType)},
                       {"x-amz-target", std::string(target)}},
                      *std::move(body)};
  if (absl::Status status =
          SignRequest(credentials_, {kService.data(), kService.size()}, now, &request);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::string> bytes = SerializeRequest(request);
  if (!bytes.ok()) return bytes.status();
  absl::StatusOr<HttpResponse> response = Exchange(now, *bytes);
  if (!response.ok()) return response.status();
  if (response->status != kOk) return Refusal(*response);
  return std::move(response->body);
}

absl::StatusOr<HttpResponse> RemoteClient::Exchange(absl::Time now, const std::string& request) {
  absl::StatusOr<std::unique_ptr<TlsClient>> tls =
      TlsClient::Create({options_.host, now, options_.ca_pem});
  if (!tls.ok()) return tls.status();
  const absl::StatusOr<std::unique_ptr<ByteChannel>> channel = ports_.connect();
  if (!channel.ok()) return channel.status();
  if (absl::Status status = Flush(**tls, **channel); !status.ok()) return status;
  while (!(*tls)->connected()) {
    if (absl::Status status = Receive(**tls, **channel); !status.ok()) return status;
  }
  if (absl::Status status = (*tls)->Write(request); !status.ok()) return status;
  if (absl::Status status = Flush(**tls, **channel); !status.ok()) return status;
  return ReadResponse(**tls, **channel);
}

absl::Status RemoteClient::Refusal(const HttpResponse& response) const {
  ServiceError error = ParseServiceError(response.status, response.body);
  // What a refusal of a signature quotes is the request itself.
  if (absl::StrContains(error.name, "Signature")) {
    error.message = "are the secret access key, the region and the clock right?";
  } else if (Quotes(error.message, credentials_)) {
    error.message.clear();
  }
  const std::string sentence = error.message.empty()
                                   ? absl::StrCat(error.name, " (KMS gave no words to it)")
                                   : absl::StrCat(error.name, ": ", error.message);
  return IsBusy(error, response.status) ? absl::UnavailableError(sentence)
                                        : absl::FailedPreconditionError(sentence);
}

}  // namespace coffer::kms
