#include "actors/host/http_tls.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

// Sets the identity that verification demands.
bool DemandName(SSL* session, const std::string& host) {
  X509_VERIFY_PARAM* param = SSL_get0_param(session);
  if (X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1) return true;
  SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(session, host.c_str()) == 1 &&
         SSL_set_tlsext_host_name(session, host.c_str()) == 1;
}

}  // namespace

absl::StatusOr<SslCtx> NewClientContext(const std::string& ca_file) {
  SslCtx context(SSL_CTX_new(TLS_client_method()));
  if (context == nullptr || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1) {
    return absl::InternalError("OpenSSL gave no TLS context");
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const bool loaded = ca_file.empty()
                          ? SSL_CTX_set_default_verify_paths(context.get()) == 1
                          : SSL_CTX_load_verify_file(context.get(), ca_file.c_str()) == 1;
  if (!loaded) {
    ERR_clear_error();
    return absl::InvalidArgumentError(
        absl::StrCat("the CA file ", ca_file, " could not be read as PEM certificates"));
  }
  return context;
}

SSL* NewClientSession(SSL_CTX* context, const std::string& host) {
  SSL* session = SSL_new(context);
  if (session != nullptr && !DemandName(session, host)) {
    SSL_free(session);
    session = nullptr;
  }
  ERR_clear_error();
  return session;
}

std::string VerifyFailure(const SSL* session) {
  const long result = SSL_get_verify_result(session);
  return result == X509_V_OK ? "" : X509_verify_cert_error_string(result);
}

}  // namespace coffer::host
