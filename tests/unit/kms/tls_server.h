// The other end of a TlsClient: an OpenSSL server over memory, and a ByteChannel to one.
#ifndef COFFER_TESTS_UNIT_KMS_TLS_SERVER_H_
#define COFFER_TESTS_UNIT_KMS_TLS_SERVER_H_

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "enclave_core/kms/remote_client.h"
#include "invariant/check.h"
#include "tests/unit/host_actors/test_ca.h"

namespace coffer::kms {

// Certificates for the tests: an authority, and what it issued.
inline std::string PemOf(const host::KeyAndCertificate& from) {
  const std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
  PEM_write_bio_X509(bio.get(), from.certificate.get());
  const char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(size)};
}

class TlsServer {
 public:
  explicit TlsServer(const host::KeyAndCertificate& own, int max_version = 0)
      : context_(host::ServerContext(own, max_version)),
        ssl_(SSL_new(context_.get()), SSL_free),
        in_(BIO_new(BIO_s_mem())),
        out_(BIO_new(BIO_s_mem())) {
    SSL_set_bio(ssl_.get(), in_, out_);
    SSL_set_accept_state(ssl_.get());
  }

  // Takes bytes of the wire; what the client says is in plaintext() afterwards.
  void Feed(std::string_view bytes) {
    if (!bytes.empty()) BIO_write(in_, bytes.data(), static_cast<int>(bytes.size()));
    if (SSL_is_init_finished(ssl_.get()) != 1) SSL_do_handshake(ssl_.get());
    std::array<char, 4096> piece{};
    int size = 0;
    while ((size = SSL_read(ssl_.get(), piece.data(), piece.size())) > 0) {
      plaintext_.append(piece.data(), static_cast<size_t>(size));
    }
    ERR_clear_error();
  }
  std::string TakeOutput() {
    std::string bytes(BIO_ctrl_pending(out_), '\0');
    if (!bytes.empty()) BIO_read(out_, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  }
  bool connected() const { return SSL_is_init_finished(ssl_.get()) == 1; }
  std::string& plaintext() { return plaintext_; }
  // SNI; empty when the client gave none.
  std::string asked_for() const {
    const char* const name = SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name);
    return name == nullptr ? "" : name;
  }
  void Write(std::string_view text) {
    COFFER_CHECK(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())) > 0, "a write");
  }
  void SayEnd() { SSL_shutdown(ssl_.get()); }
  SSL* ssl() { return ssl_.get(); }

 private:
  std::shared_ptr<SSL_CTX> context_;
  std::unique_ptr<SSL, void (*)(SSL*)> ssl_;
  BIO* in_;
  BIO* out_;
  std::string plaintext_;
};

// What stands on the other end of a channel.
struct ServerSetup {
  host::KeyAndCertificate certificate;
  int max_version = 0;
  // The answer's bytes to a whole request (head and body).
  std::function<std::string(const std::string& head, const std::string& body)> answer;
  size_t sent_plaintext = std::string::npos;  // of the answer; then the connection is cut
  bool says_end = true;                       // close_notify
  size_t piece = std::string::npos;           // bytes of one Read
};

class ServerChannel final : public ByteChannel {
 public:
  explicit ServerChannel(const ServerSetup* setup)
      : setup_(setup), server_(setup->certificate, setup->max_version) {}

  absl::Status Write(std::string_view bytes) override {
    server_.Feed(bytes);
    Serve();
    wire_ += server_.TakeOutput();
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read(size_t max) override {
    std::string taken = wire_.substr(0, std::min(max, setup_->piece));
    wire_.erase(0, taken.size());
    return taken;
  }

 private:
  void Serve() {
    std::string& text = server_.plaintext();
    const size_t end = text.find("\r\n\r\n");
    const size_t length = text.find("content-length: ");
    if (served_ || end == std::string::npos || length == std::string::npos) return;
    const size_t size = std::stoul(text.substr(length + 16));
    if (text.size() < end + 4 + size) return;
    served_ = true;
    const std::string answer = setup_->answer(text.substr(0, end + 2), text.substr(end + 4));
    const std::string sent = answer.substr(0, setup_->sent_plaintext);
    if (!sent.empty()) server_.Write(sent);
    if (sent == answer && setup_->says_end) server_.SayEnd();
  }

  const ServerSetup* const setup_;
  TlsServer server_;
  bool served_ = false;
  std::string wire_;
};

}  // namespace coffer::kms

#endif  // COFFER_TESTS_UNIT_KMS_TLS_SERVER_H_
