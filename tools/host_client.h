// A client of the host's HTTP API for the command line: one request at a time, blocking.
#ifndef COFFER_TOOLS_HOST_CLIENT_H_
#define COFFER_TOOLS_HOST_CLIENT_H_

#include <json/value.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/endpoint.h"

namespace coffer::tools {

class HostClient {
 public:
  // `url`: http://HOST:PORT, or unix:///PATH. `token` may be empty.
  static absl::StatusOr<HostClient> Make(const std::string& url, std::string token,
                                         absl::Duration timeout);

  struct Answer {
    int status = 0;
    Json::Value body;
  };
  // Unavailable when no answer came; what the host said, whatever its status, otherwise.
  absl::StatusOr<Answer> Request(const std::string& method, const std::string& target,
                                 const std::string& body = "") const;
  // As Request, with an answer that is no success turned into an error with the host's sentence.
  absl::StatusOr<Json::Value> Get(const std::string& target) const;
  absl::StatusOr<Json::Value> Post(const std::string& target, const std::string& body = "") const;

 private:
  HostClient(runtime::Endpoint endpoint, std::string host, std::string token,
             absl::Duration timeout)
      : endpoint_(std::move(endpoint)),
        host_(std::move(host)),
        token_(std::move(token)),
        timeout_(timeout) {}

  runtime::Endpoint endpoint_;
  std::string host_;  // the Host header
  std::string token_;
  absl::Duration timeout_;
};

// `text` for a path or a query: everything but unreserved characters as %XX (RFC 3986).
std::string PercentEncode(const std::string& text);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_HOST_CLIENT_H_
