// The client's end of one TLS connection, without the connection: bytes from the wire go in, bytes
// for the wire come out. So TLS ends inside the enclave, whoever carries the bytes.
#ifndef COFFER_ENCLAVE_CORE_KMS_TLS_H_
#define COFFER_ENCLAVE_CORE_KMS_TLS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coffer::kms {

// A server that sends more than this in one connection is not KMS.
inline constexpr size_t kMaxTlsInputBytes = 1024 * 1024;

struct TlsOptions {
  std::string host;  // the name, or the IP address, that the certificate must be for
  absl::Time now;    // certificates are judged at this time
  // Empty: Amazon's roots (amazon_roots.h). Otherwise these certificates (PEM) and nothing else:
  // for a KMS that is not AWS's, so whoever sets this says so loudly.
  std::string ca_pem;
};

// TLS 1.2 or 1.3 with forward secrecy and AEAD; no resumption, no renegotiation, no client
// certificate. Not thread-safe.
//
// Errors are Unavailable, and say which: an expired certificate, one of another host, an issuer who
// is not trusted, a handshake that the server refused, a stream that is no TLS. After one there is
// still TakeOutput to send, the alert that tells the server.
class TlsClient {
 public:
  // The handshake's first bytes are in TakeOutput. InvalidArgument: the host or the CA cannot be.
  static absl::StatusOr<std::unique_ptr<TlsClient>> Create(const TlsOptions& options);
  ~TlsClient();

  // Bytes for the wire, in order.
  std::string TakeOutput();
  absl::Status FeedWire(std::string_view bytes);
  // The wire has ended. OK only when the server had said that it would (close_notify): anybody can
  // cut a connection.
  absl::Status FeedWireEnd();

  // The server is who it should be, and the keys are agreed.
  bool connected() const;
  // The server has sent its last byte, and said so.
  bool closed() const;
  // Once connected. At most 1 MiB in one call.
  absl::Status Write(std::string_view plaintext);
  std::string TakePlaintext();

 private:
  struct State;
  explicit TlsClient(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_TLS_H_
