// GET /api/tee/...: what the enclave is, and the proof of it.
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/api.h"
#include "host_proxy/api_json.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

constexpr size_t kMaxNonceBytes = 32;
constexpr char kNone[] = "none";

HttpResponse NoAttestation(const std::string& why) { return HttpError(503, "no_attestation", why); }

absl::StatusOr<std::string> NonceOf(const RoutedRequest& request, runtime::Random& random) {
  const auto given = request.query.find("nonce");
  std::string nonce(kMaxNonceBytes, 0);
  if (given == request.query.end()) {
    random.Fill({reinterpret_cast<uint8_t*>(nonce.data()), nonce.size()});
    return nonce;
  }
  absl::StatusOr<std::string> bytes = ethereum::FromHex(given->second);
  if (!bytes.ok() || bytes->empty() || bytes->size() > kMaxNonceBytes) {
    return absl::InvalidArgumentError(
        "the query's nonce must be 1 to 32 bytes as hex, 0x and an even number of digits");
  }
  return bytes;
}

HttpResponse FromAttestation(const ServerFrame& frame, const std::string& nonce,
                             const Json::Value& address) {
  if (frame.has_error()) {
    // An enclave of before attestation does not know the question.
    if (frame.error().code() == boundary::v1::ERROR_UNKNOWN_METHOD ||
        frame.error().code() == boundary::v1::ERROR_UNAVAILABLE) {
      return NoAttestation(absl::StrCat("the enclave gives none: ", frame.error().message()));
    }
    return FromEnclaveError(frame.error());
  }
  if (frame.attestation().document().empty()) {
    return NoAttestation("the enclave has no attestation device: it does not run in a TEE");
  }
  Json::Value body;
  body["address"] = address;
  body["document_b64"] = absl::Base64Escape(frame.attestation().document());
  body["nonce_hex"] = ethereum::ToHex(nonce);
  return JsonAnswer(body);
}

}  // namespace

void Api::AddTee(Router& router) {
  router.Add("GET", "/api/tee/status", Role::kViewer, {},
             [this](RoutedRequest, HttpResponder respond) {
               if (ports_.mode == kNone) {
                 Json::Value body;
                 body["mode"] = kNone;
                 body["address"] = Json::Value();
                 body["attestation_available"] = false;
                 return respond(JsonAnswer(body));
               }
               ClientFrame request;
               request.mutable_status();
               Ask(std::move(request), std::move(respond), [this](const ServerFrame& frame) {
                 Json::Value body = ToJson(frame.status());
                 body["mode"] = ports_.mode;
                 body["log"] = ports_.log_status ? ports_.log_status() : Json::Value();
                 return JsonAnswer(body);
               });
             });
  router.Add("GET", "/api/tee/attestation", Role::kViewer, {"nonce"},
             [this](RoutedRequest request, HttpResponder respond) {
               GetAttestation(request, std::move(respond));
             });
}

// The status first, for the address: what a reader holds the document's user_data against.
void Api::GetAttestation(const RoutedRequest& request, HttpResponder respond) {
  const absl::StatusOr<std::string> nonce = NonceOf(request, *ports_.random);
  if (!nonce.ok()) return respond(FromStatus(nonce.status()));
  if (ports_.mode == kNone) {
    return respond(NoAttestation("this host has no signer (--enclave none)"));
  }
  ClientFrame status;
  status.mutable_status();
  ports_.enclave->Call(std::move(status), [this, nonce = *nonce, respond = std::move(respond)](
                                              absl::StatusOr<ServerFrame> frame) mutable {
    if (!frame.ok()) return respond(FromStatus(frame.status()));
    if (frame->has_error()) return respond(FromEnclaveError(frame->error()));
    ClientFrame question;
    question.mutable_get_attestation()->set_nonce(nonce);
    ports_.enclave->Call(
        std::move(question),
        [nonce = std::move(nonce), address = AddressText(frame->status().address()),
         respond = std::move(respond)](absl::StatusOr<ServerFrame> answer) mutable {
          if (!answer.ok()) return respond(FromStatus(answer.status()));
          respond(FromAttestation(*answer, nonce, address));
        });
  });
}

}  // namespace coffer::host_proxy
