#include "enclave_core/kms/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/certificates.h"
#include "enclave_core/attestation/openssl.h"
#include "enclave_core/kms/amazon_roots.h"
#include "invariant/check.h"

namespace coffer::kms {
namespace {

struct Free {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
  void operator()(SSL* ssl) const { SSL_free(ssl); }
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(ASN1_OCTET_STRING* address) const { ASN1_OCTET_STRING_free(address); }
};
template <typename T>
using Freed = std::unique_ptr<T, Free>;

constexpr size_t kMaxHostBytes = 253;
constexpr size_t kMaxCaBytes = 64 * 1024;
constexpr size_t kMaxCas = 16;
constexpr size_t kMaxWriteBytes = 1024 * 1024;
constexpr int kSecurityLevel = 2;  // 112 bits: RSA with 2048, no SHA-1
// TLS 1.3's suites are all of this kind; these are 1.2's.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";

absl::Status NoMemory() { return absl::ResourceExhaustedError("OpenSSL has no memory for TLS"); }

absl::Status AddRoots(const std::string& pem, X509_STORE* store) {
  const Freed<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (bio == nullptr) return NoMemory();
  size_t count = 0;
  ERR_clear_error();
  while (count <= kMaxCas) {
    const attestation::Owned<X509> root(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (root == nullptr) break;
    if (X509_STORE_add_cert(store, root.get()) != 1) return NoMemory();
    ++count;
  }
  // How OpenSSL says that a PEM text has no more.
  const bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (count == 0 || count > kMaxCas || !whole) {
    return absl::InvalidArgumentError(
        absl::StrCat("the CA for KMS is not a PEM text of 1 to ", kMaxCas, " certificates"));
  }
  return absl::OkStatus();
}

// What the server's certificate is judged by.
absl::Status Configure(const TlsOptions& options, SSL_CTX* context) {
  if (options.ca_pem.size() > kMaxCaBytes) {
    return absl::InvalidArgumentError("the CA for KMS is too long");
  }
  X509_STORE* const store = SSL_CTX_get_cert_store(context);
  if (!options.ca_pem.empty()) {
    if (absl::Status status = AddRoots(options.ca_pem, store); !status.ok()) return status;
  } else {
    for (const PinnedRoot& root : AmazonRoots()) {
      if (absl::Status status = AddRoots(std::string(root.pem), store); !status.ok()) return status;
    }
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_security_level(context, kSecurityLevel);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION);
  const bool set = SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
                   SSL_CTX_set_cipher_list(context, kCiphers) == 1;
  return set ? absl::OkStatus() : NoMemory();
}

absl::Status ExpectHost(const TlsOptions& options, SSL* ssl) {
  const std::string& host = options.host;
  const bool plain = std::all_of(host.begin(), host.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '.' || c == ':';
  });
  if (host.empty() || host.size() > kMaxHostBytes || !plain) {
    return absl::InvalidArgumentError("the host name of KMS is none");
  }
  X509_VERIFY_PARAM* const param = SSL_get0_param(ssl);
  X509_VERIFY_PARAM_set_time(param, absl::ToTimeT(options.now));
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const Freed<ASN1_OCTET_STRING> address(a2i_IPADDRESS(host.c_str()));
  const bool set = address != nullptr ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                                      : X509_VERIFY_PARAM_set1_host(param, host.c_str(), 0) == 1 &&
                                            SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  return set ? absl::OkStatus() : NoMemory();
}

}  // namespace

struct TlsClient::State {
  Freed<SSL_CTX> context;
  Freed<SSL> ssl;
  BIO* in = nullptr;  // both are owned by `ssl`
  BIO* out = nullptr;
  TlsOptions options;
  size_t received = 0;  // bytes of the wire
  bool connected = false;
  bool closed = false;
  absl::Status failed;
  std::string plaintext;

  absl::Status Fail(absl::string_view what) {
    failed = absl::UnavailableError(absl::StrCat("KMS at ", options.host, ": ", what));
    return failed;
  }
  absl::Status Explain();
  absl::Status Advance();
};

// Why OpenSSL has given up. Its own words are constants of it, never the server's.
absl::Status TlsClient::State::Explain() {
  const long verified = SSL_get_verify_result(ssl.get());
  switch (verified) {
    case X509_V_OK:
      break;
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return Fail(absl::StrCat("its certificate has expired (judged at ",
                               attestation::UtcText(options.now), ")"));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return Fail(absl::StrCat("its certificate is not valid yet (judged at ",
                               attestation::UtcText(options.now), ")"));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
      return Fail("its certificate is another host's");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return Fail(options.ca_pem.empty()
                      ? "its certificate's issuer is unknown: it is not under Amazon's roots"
                      : "its certificate's issuer is unknown: it is not under the CA given for it");
    default:
      return Fail(
          absl::StrCat("its certificate is not valid: ", X509_verify_cert_error_string(verified)));
  }
  const char* const reason = ERR_reason_error_string(ERR_peek_last_error());
  return Fail(
      absl::StrCat(connected ? "the TLS stream is broken: " : "the TLS handshake was refused: ",
                   reason == nullptr ? "no reason is known" : reason));
}

absl::Status TlsClient::State::Advance() {
  const attestation::QuietErrors quiet;
  ERR_clear_error();
  if (!connected) {
    const int done = SSL_do_handshake(ssl.get());
    if (done != 1) {
      const int error = SSL_get_error(ssl.get(), done);
      return error == SSL_ERROR_WANT_READ ? absl::OkStatus() : Explain();
    }
    connected = true;
  }
  std::array<char, 4096> piece{};
  while (!closed) {
    size_t size = 0;
    const int read = SSL_read_ex(ssl.get(), piece.data(), piece.size(), &size);
    if (read == 1) {
      plaintext.append(piece.data(), size);
      continue;
    }
    const int error = SSL_get_error(ssl.get(), read);
    if (error == SSL_ERROR_WANT_READ) return absl::OkStatus();
    if (error != SSL_ERROR_ZERO_RETURN) return Explain();
    closed = true;
  }
  return absl::OkStatus();
}

TlsClient::TlsClient(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsClient::~TlsClient() = default;

absl::StatusOr<std::unique_ptr<TlsClient>> TlsClient::Create(const TlsOptions& options) {
  const attestation::QuietErrors quiet;
  auto state = std::make_unique<State>();
  state->options = options;
  state->context.reset(SSL_CTX_new(TLS_client_method()));
  if (state->context == nullptr) return NoMemory();
  if (absl::Status status = Configure(options, state->context.get()); !status.ok()) return status;
  state->ssl.reset(SSL_new(state->context.get()));
  if (state->ssl == nullptr) return NoMemory();
  if (absl::Status status = ExpectHost(options, state->ssl.get()); !status.ok()) return status;
  state->in = BIO_new(BIO_s_mem());
  state->out = BIO_new(BIO_s_mem());
  SSL_set_bio(state->ssl.get(), state->in, state->out);
  if (state->in == nullptr || state->out == nullptr) return NoMemory();
  SSL_set_connect_state(state->ssl.get());
  if (absl::Status status = state->Advance(); !status.ok()) return status;
  return std::unique_ptr<TlsClient>(new TlsClient(std::move(state)));
}

std::string TlsClient::TakeOutput() {
  const size_t size = BIO_ctrl_pending(state_->out);
  std::string bytes(size, '\0');
  if (size > 0) {
    size_t read = 0;
    COFFER_CHECK(BIO_read_ex(state_->out, bytes.data(), size, &read) == 1 && read == size,
                 "a memory BIO gives what it holds");
  }
  return bytes;
}

absl::Status TlsClient::FeedWire(std::string_view bytes) {
  State& state = *state_;
  if (!state.failed.ok()) return state.failed;
  if (bytes.empty()) return absl::OkStatus();
  if (bytes.size() > kMaxTlsInputBytes - state.received) {
    return state.Fail("it sends more than any answer of KMS has");
  }
  state.received += bytes.size();
  size_t written = 0;
  if (BIO_write_ex(state.in, bytes.data(), bytes.size(), &written) != 1) return NoMemory();
  COFFER_CHECK(written == bytes.size(), "a memory BIO takes all");
  return state.Advance();
}

absl::Status TlsClient::FeedWireEnd() {
  if (!state_->failed.ok() || state_->closed) return state_->failed;
  return state_->Fail(connected() ? "the connection was cut: it ended without TLS saying so"
                                  : "the connection ended during the TLS handshake");
}

bool TlsClient::connected() const { return state_->failed.ok() && state_->connected; }

bool TlsClient::closed() const { return state_->closed; }

absl::Status TlsClient::Write(std::string_view plaintext) {
  if (!state_->failed.ok()) return state_->failed;
  if (!connected() || plaintext.empty() || plaintext.size() > kMaxWriteBytes) {
    return absl::InvalidArgumentError("TLS cannot send this, or not now");
  }
  const attestation::QuietErrors quiet;
  ERR_clear_error();
  size_t written = 0;
  // A memory BIO takes all that TLS makes of it.
  if (SSL_write_ex(state_->ssl.get(), plaintext.data(), plaintext.size(), &written) != 1 ||
      written != plaintext.size()) {
    return state_->Explain();
  }
  return absl::OkStatus();
}

std::string TlsClient::TakePlaintext() { return std::exchange(state_->plaintext, std::string()); }

}  // namespace coffer::kms
