// The transparency log over HTTP: for everybody, without a token, from any site's page, and limited
// by address. Runs on the program's main dispatcher; answers are made on the log reader's thread.
//
//   GET /log/checkpoint, /log/tile/...          the files, as C2SP tlog-tiles has them
//   GET /api/transparency/tee-core/...
//       audit/status                            the enclave's log and what is published of it
//       audit/checkpoint?chain_id=&contract_address=     a head signed for a chain
//       audit/proof?event_id= | payout_id= | leaf_index=
//       audit/consistency?first=&second=
//       log?limit=&offset=&order=&orchestrator_id=
//       receipt?event_id= | payout_id= | leaf_index=, &format=file
//
// What is published is served with no enclave, too.
#ifndef COFFER_HOST_PROXY_API_LOG_H_
#define COFFER_HOST_PROXY_API_LOG_H_

#include <json/value.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "actors/host/enclave_client.h"
#include "actors/host/log/log_reader.h"
#include "host_proxy/rate_limiter.h"
#include "host_proxy/router.h"
#include "runtime/dispatcher.h"

namespace coffer::host_proxy {

struct ApiLogPorts {
  host::LogReader* log = nullptr;  // null: this host keeps no log, and says so
  host::EnclaveClient* enclave = nullptr;
  runtime::Dispatcher* dispatcher = nullptr;  // the one this runs on
  RateLimiter::Options limit;
  // Goes into receipts: where to look for what binds the log's key (enclave_core/audit/receipt.h).
  std::string attestation;
};

class ApiLog {
 public:
  // Questions to the enclave that strangers may have under way; more are answered 503.
  static constexpr size_t kMaxEnclaveCalls = 16;

  explicit ApiLog(ApiLogPorts ports) : ports_(std::move(ports)), limiter_(ports_.limit) {}
  // Adds the routes. Both must outlive the server.
  void AddTo(Router& router);

  const RateLimiter& limiter() const { return limiter_; }

 private:
  using Question = absl::AnyInvocable<absl::StatusOr<HttpResponse>(host::LogView&)>;
  using Handler = void (ApiLog::*)(RoutedRequest, HttpResponder);
  using FrameDone = absl::AnyInvocable<void(absl::StatusOr<boundary::v1::ServerFrame>)>;

  // What a request costs: 1, or as its handler's route says.
  void Add(Router& router, const std::string& path, std::vector<std::string> query, Handler handler,
           double cost = 1);
  bool Limited(const RoutedRequest& request, double cost, HttpResponder& respond);

  void GetCheckpointFile(RoutedRequest request, HttpResponder respond);
  void GetTile(RoutedRequest request, HttpResponder respond);
  void GetStatus(RoutedRequest request, HttpResponder respond);
  void GetCheckpoint(RoutedRequest request, HttpResponder respond);
  void GetProof(RoutedRequest request, HttpResponder respond);
  void GetConsistency(RoutedRequest request, HttpResponder respond);
  void GetLog(RoutedRequest request, HttpResponder respond);
  void GetReceipt(RoutedRequest request, HttpResponder respond);

  void AskLog(HttpResponder respond, Question question);
  // For a leaf that was asked for by name: where it is not, the enclave's size says why.
  void AskForLeaf(host::LeafName name, HttpResponder respond, Question question);
  void ExplainMissing(const absl::Status& why, host::LeafName name, HttpResponder respond);
  // One question at most kMaxEnclaveCalls; an Error of the enclave comes as its frame.
  void CallEnclave(boundary::v1::ClientFrame frame, FrameDone done);

  const ApiLogPorts ports_;
  RateLimiter limiter_;
  size_t enclave_calls_ = 0;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_API_LOG_H_
