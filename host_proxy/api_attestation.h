// The enclave's attestation over HTTP: who holds the key, and in which image. Runs on the program's
// main dispatcher.
//
//   GET /api/tee/attestation?nonce=        viewer
//   GET /api/tee/core/attestation?nonce=   everybody
//   GET /api/tee/measurements              everybody: the images that the operator stands by
//
// A document costs the enclave a question to its device, so what may be asked is limited by
// address, and one that was asked for with the same nonce a moment ago is given again.
#ifndef COFFER_HOST_PROXY_API_ATTESTATION_H_
#define COFFER_HOST_PROXY_API_ATTESTATION_H_

#include <json/value.h>

#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/enclave_client.h"
#include "host_proxy/rate_limiter.h"
#include "host_proxy/router.h"
#include "runtime/dispatcher.h"
#include "runtime/random.h"

namespace coffer::host_proxy {

// Answers by nonce, for a few seconds. The oldest makes room.
class DocumentCache {
 public:
  static constexpr absl::Duration kLife = absl::Seconds(5);
  static constexpr size_t kEntries = 256;  // of some 10 KB each

  // Null when there is none that is young enough. `now`: monotonic.
  const HttpResponse* Find(const std::string& nonce, absl::Time now);
  void Put(const std::string& nonce, HttpResponse response, absl::Time now);
  size_t size() const { return by_nonce_.size(); }

 private:
  struct Entry {
    std::string nonce;
    HttpResponse response;
    absl::Time made;
  };
  void DropOldest();
  std::list<Entry> entries_;  // the oldest in front
  absl::flat_hash_map<std::string, std::list<Entry>::iterator> by_nonce_;
};

struct ApiAttestationPorts {
  host::EnclaveClient* enclave = nullptr;
  runtime::Dispatcher* dispatcher = nullptr;  // the one this runs on
  runtime::Random* random = nullptr;          // for nonces that a client leaves out
  bool without_signer = false;                // this host has none (--enclave none)
  RateLimiter::Options limit;
  std::string measurements_path;  // a JSON file (docs/measurements.md); empty: none is served
};

class ApiAttestation {
 public:
  // What a new document counts for in `limit`; everything else counts 1.
  static constexpr double kDocumentCost = 20;
  // Documents under way for all clients together; more are answered 503.
  static constexpr size_t kMaxUnderWay = 16;
  static constexpr size_t kMaxMeasurementsBytes = 1u << 20;

  // NotFound, InvalidArgument and so on: the measurements cannot be read, or are no JSON.
  static absl::StatusOr<std::unique_ptr<ApiAttestation>> Create(ApiAttestationPorts ports);

  // Adds the routes. Both must outlive the server.
  void AddTo(Router& router);
  // Reads the measurements again. What was served stays when they cannot be read now.
  absl::Status Reload();

  struct Stats {
    uint64_t documents = 0;  // that the enclave made
    uint64_t cached = 0;     // answered with one made before
    uint64_t limited = 0;    // refused because of their address's rate
  };
  Stats stats() const { return {documents_, cached_, limiter_.refused()}; }

 private:
  explicit ApiAttestation(ApiAttestationPorts ports)
      : ports_(std::move(ports)), limiter_(ports_.limit) {}

  bool Limited(const RoutedRequest& request, double cost, HttpResponder& respond);
  void GetDocument(const RoutedRequest& request, HttpResponder respond);
  void AskEnclave(std::string nonce, bool keep, HttpResponder respond);
  void AskForDocument(std::string nonce, bool keep, Json::Value address, HttpResponder respond);
  void GetMeasurements(const RoutedRequest& request, HttpResponder respond);

  const ApiAttestationPorts ports_;
  RateLimiter limiter_;
  DocumentCache cache_;
  std::string measurements_;  // the file's text
  size_t under_way_ = 0;
  uint64_t documents_ = 0;
  uint64_t cached_ = 0;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_API_ATTESTATION_H_
