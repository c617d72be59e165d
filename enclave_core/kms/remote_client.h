// KMS, really asked: every call is one TLS connection to it and one signed request, with a fresh
// attestation document; the answer is encrypted to a key that only this process has.
//
// Nothing is tried again here: whoever provisions the enclave does that, and knows better when.
#ifndef COFFER_ENCLAVE_CORE_KMS_REMOTE_CLIENT_H_
#define COFFER_ENCLAVE_CORE_KMS_REMOTE_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "enclave_core/attestation/attester.h"
#include "enclave_core/attestation/ephemeral_key.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/kms/client.h"
#include "enclave_core/kms/http.h"
#include "enclave_core/kms/requests.h"

namespace coffer::kms {

// A connected byte stream to KMS, or to whoever says so: it is not trusted. Calls block, up to a
// deadline that whoever opened it has set; then they are Unavailable. Closed when destroyed.
class ByteChannel {
 public:
  virtual ~ByteChannel() = default;
  virtual absl::Status Write(std::string_view bytes) = 0;  // all of them
  // 1..max bytes; empty when the other end has sent its last.
  virtual absl::StatusOr<std::string> Read(size_t max) = 0;
};

// What RemoteClient needs of the world.
struct RemotePorts {
  attestation::Attester* attester = nullptr;  // outlives the client
  // A new connection for each call. Unavailable when there is none to be had.
  absl::AnyInvocable<absl::StatusOr<std::unique_ptr<ByteChannel>>()> connect;
  absl::AnyInvocable<absl::Time()> now;  // for signatures and certificates
  absl::AnyInvocable<void(absl::Span<uint8_t>)> random;
};

struct RemoteOptions {
  std::string host;    // "kms.us-east-2.amazonaws.com": in the certificate and in the request
  std::string ca_pem;  // TlsOptions::ca_pem: empty but for a KMS that is not AWS's
};

// Errors as client.h has them. A KMS that is busy or broken (throttling, HTTP 5xx) is Unavailable,
// with its name of the error. Not thread-safe; on a thread that may block.
class RemoteClient final : public Client {
 public:
  // Makes the RSA key that answers are encrypted to, which takes a tenth of a second or more.
  static absl::StatusOr<std::unique_ptr<RemoteClient>> Create(RemoteOptions options,
                                                              Credentials credentials,
                                                              RemotePorts ports);

  absl::StatusOr<OpenedKey> Decrypt(std::string_view ciphertext, std::string_view key_id,
                                    std::string_view algorithm,
                                    const EncryptionContext& context) override;
  absl::StatusOr<OpenedKey> GenerateDataKey(std::string_view key_id,
                                            const EncryptionContext& context) override;
  absl::StatusOr<ethereum::SecretBytes> GenerateRandom(size_t bytes) override;

 private:
  RemoteClient(RemoteOptions options, Credentials credentials, RemotePorts ports,
               attestation::EphemeralKey key);
  // A fresh document that has KMS encrypt to key_.
  absl::StatusOr<std::string> MakeRecipient();
  // The body of a 200, or the error that KMS, or what stood before it, gave.
  absl::StatusOr<std::string> Call(absl::string_view target, absl::StatusOr<std::string> body);
  absl::StatusOr<HttpResponse> Exchange(absl::Time now, const std::string& request);
  absl::Status Refusal(const HttpResponse& response) const;
  absl::StatusOr<ethereum::SecretBytes> Open(const Answer& answer, size_t expected_bytes) const;

  const RemoteOptions options_;
  const Credentials credentials_;
  RemotePorts ports_;
  const attestation::EphemeralKey key_;
};

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_REMOTE_CLIENT_H_
