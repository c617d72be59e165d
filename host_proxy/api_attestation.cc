#include "host_proxy/api_attestation.h"

#include <iterator>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/api_json.h"
#include "host_proxy/json_text.h"
#include "runtime/os_file.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

namespace {

constexpr size_t kMaxNonceBytes = 32;
constexpr char kDevelopmentNote[] =
    "made by a development attestor: it proves nothing about a TEE, and a verifier takes it only "
    "with its root given by hand";

HttpResponse NoAttestation(const std::string& why) { return HttpError(503, "no_attestation", why); }

// With 0x or without, as clients of the old backend do.
absl::StatusOr<std::string> NonceFromHex(const std::string& text) {
  absl::StatusOr<std::string> bytes = ethereum::FromHex(text);
  if (!bytes.ok() || bytes->empty() || bytes->size() > kMaxNonceBytes) {
    return absl::InvalidArgumentError(
        "the query's nonce must be 1 to 32 bytes as hex, an even number of digits");
  }
  return bytes;
}

HttpResponse FromFrame(const ServerFrame& frame, const std::string& nonce,
                       const Json::Value& address) {
  if (frame.has_error()) {
    // An enclave of before attestation does not know the question.
    if (frame.error().code() == boundary::v1::ERROR_UNKNOWN_METHOD ||
        frame.error().code() == boundary::v1::ERROR_UNAVAILABLE) {
      return NoAttestation(absl::StrCat("the enclave gives none: ", frame.error().message()));
    }
    return FromEnclaveError(frame.error());
  }
  const boundary::v1::Attestation& attestation = frame.attestation();
  if (attestation.document().empty()) {
    return NoAttestation("the enclave has no attestation device: it does not run in a TEE");
  }
  const bool development = attestation.kind() == boundary::v1::ATTESTATION_KIND_DEVELOPMENT;
  Json::Value body;
  body["address"] = address;
  body["document_b64"] = absl::Base64Escape(attestation.document());
  body["nonce_hex"] = ethereum::ToHex(nonce);
  body["kind"] = AttestationKindWord(attestation.kind());
  body["development"] = development;
  if (development) body["note"] = kDevelopmentNote;
  return JsonAnswer(body);
}

}  // namespace

const HttpResponse* DocumentCache::Find(const std::string& nonce, absl::Time now) {
  while (!entries_.empty() && now - entries_.front().made >= kLife) DropOldest();
  const auto found = by_nonce_.find(nonce);
  return found == by_nonce_.end() ? nullptr : &found->second->response;
}

void DocumentCache::Put(const std::string& nonce, HttpResponse response, absl::Time now) {
  if (by_nonce_.contains(nonce)) return;  // asked for twice at once: either will do
  if (entries_.size() >= kEntries) DropOldest();
  entries_.push_back({nonce, std::move(response), now});
  by_nonce_[nonce] = std::prev(entries_.end());
}

void DocumentCache::DropOldest() {
  by_nonce_.erase(entries_.front().nonce);
  entries_.pop_front();
}

absl::StatusOr<std::unique_ptr<ApiAttestation>> ApiAttestation::Create(ApiAttestationPorts ports) {
  std::unique_ptr<ApiAttestation> api(new ApiAttestation(std::move(ports)));
  if (absl::Status s = api->Reload(); !s.ok()) return s;
  return api;
}

absl::Status ApiAttestation::Reload() {
  if (ports_.measurements_path.empty()) return absl::OkStatus();
  std::string text;
  absl::Status read =
      runtime::OsReadPieces(ports_.measurements_path, [&text](std::string_view piece) {
        if (text.size() <= kMaxMeasurementsBytes) text.append(piece);
      });
  if (!read.ok()) return read;
  if (text.size() > kMaxMeasurementsBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the measurements in ", ports_.measurements_path,
                                                   " have more than ", kMaxMeasurementsBytes,
                                                   " bytes"));
  }
  if (const auto json = FromText(text); !json.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("the measurements in ", ports_.measurements_path,
                                                   " are no JSON: ", json.status().message()));
  }
  measurements_ = std::move(text);
  return absl::OkStatus();
}

void ApiAttestation::AddTo(Router& router) {
  const auto document = [this](RoutedRequest request, HttpResponder respond) {
    GetDocument(request, std::move(respond));
  };
  router.Add("GET", "/api/tee/attestation", Role::kViewer, {"nonce"}, document);
  router.AddOpen("/api/tee/core/attestation", {"nonce"}, document);
  router.AddOpen("/api/tee/measurements", {}, [this](RoutedRequest request, HttpResponder respond) {
    GetMeasurements(request, std::move(respond));
  });
}

bool ApiAttestation::Limited(const RoutedRequest& request, double cost, HttpResponder& respond) {
  const absl::Duration wait = limiter_.Take(request.peer, cost, ports_.dispatcher->Now());
  if (wait <= absl::ZeroDuration()) return false;
  respond(RateLimited(wait));
  return true;
}

void ApiAttestation::GetDocument(const RoutedRequest& request, HttpResponder respond) {
  const auto given = request.query.find("nonce");
  const bool keep = given != request.query.end();  // nobody asks again with a nonce made here
  std::string nonce(kMaxNonceBytes, '\0');
  if (keep) {
    absl::StatusOr<std::string> parsed = NonceFromHex(given->second);
    if (!parsed.ok()) {
      if (!Limited(request, 1, respond)) respond(FromStatus(parsed.status()));
      return;
    }
    nonce = *std::move(parsed);
  } else {
    ports_.random->Fill({reinterpret_cast<uint8_t*>(nonce.data()), nonce.size()});
  }
  const HttpResponse* made = keep ? cache_.Find(nonce, ports_.dispatcher->Now()) : nullptr;
  if (Limited(request, made != nullptr ? 1 : kDocumentCost, respond)) return;
  if (made != nullptr) {
    ++cached_;
    return respond(HttpResponse(*made));
  }
  if (ports_.without_signer) {
    return respond(NoAttestation("this host has no signer (--enclave none)"));
  }
  if (under_way_ >= kMaxUnderWay) {
    return respond(
        HttpError(503, "overloaded", "too many attestation documents are under way: ask again"));
  }
  AskEnclave(std::move(nonce), keep, std::move(respond));
}

// The status first, for the address: what a reader holds the document's user_data against.
void ApiAttestation::AskEnclave(std::string nonce, bool keep, HttpResponder respond) {
  ++under_way_;
  ClientFrame status;
  status.mutable_status();
  ports_.enclave->Call(std::move(status), [this, nonce = std::move(nonce), keep,
                                           respond = std::move(respond)](
                                              absl::StatusOr<ServerFrame> frame) mutable {
    if (!frame.ok() || frame->has_error()) {
      --under_way_;
      return respond(frame.ok() ? FromEnclaveError(frame->error()) : FromStatus(frame.status()));
    }
    AskForDocument(std::move(nonce), keep, AddressText(frame->status().address()),
                   std::move(respond));
  });
}

void ApiAttestation::AskForDocument(std::string nonce, bool keep, Json::Value address,
                                    HttpResponder respond) {
  ClientFrame question;
  question.mutable_get_attestation()->set_nonce(nonce);
  ports_.enclave->Call(std::move(question),
                       [this, nonce = std::move(nonce), keep, address = std::move(address),
                        respond = std::move(respond)](absl::StatusOr<ServerFrame> answer) mutable {
                         --under_way_;
                         if (!answer.ok()) return respond(FromStatus(answer.status()));
                         HttpResponse response = FromFrame(*answer, nonce, address);
                         if (response.status == 200) {
                           ++documents_;
                           if (keep) cache_.Put(nonce, response, ports_.dispatcher->Now());
                         }
                         respond(std::move(response));
                       });
}

void ApiAttestation::GetMeasurements(const RoutedRequest& request, HttpResponder respond) {
  if (Limited(request, 1, respond)) return;
  if (measurements_.empty()) {
    return respond(
        HttpError(404, "no_measurements", "this host was given no list of them (--measurements)"));
  }
  HttpResponse response;
  response.body = measurements_;
  respond(std::move(response));
}

}  // namespace coffer::host_proxy
