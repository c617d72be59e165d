// The TLS side of the HTTP client.
#ifndef COFFER_ACTORS_HOST_HTTP_TLS_H_
#define COFFER_ACTORS_HOST_HTTP_TLS_H_

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace coffer::host {

struct SslCtxFree {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using SslCtx = std::unique_ptr<SSL_CTX, SslCtxFree>;

// TLS 1.2 or newer, the server's chain verified against `ca_file` (PEM), or against the system's
// authorities when that is empty. InvalidArgument when the file can't be used.
absl::StatusOr<SslCtx> NewClientContext(const std::string& ca_file);

// A client session that accepts only a certificate for `host` (a DNS name, or an IP address, which
// must then be in the certificate as such). Null when out of memory.
SSL* NewClientSession(SSL_CTX* context, const std::string& host);

// Why the peer's certificate was refused, or empty.
std::string VerifyFailure(const SSL* session);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_HTTP_TLS_H_
