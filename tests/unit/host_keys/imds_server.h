// The instance metadata service, as EC2 has it, or as a test wants it.
#ifndef COFFER_TESTS_UNIT_HOST_KEYS_IMDS_SERVER_H_
#define COFFER_TESTS_UNIT_HOST_KEYS_IMDS_SERVER_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/unit/host_actors/test_servers.h"

namespace coffer::host::aws {

class ImdsServer {
 public:
  explicit ImdsServer(runtime::EventLoop* loop)
      : server_(loop, [this](const std::string&, evhttp_request* r) { return Answer(r); }) {}

  std::string Url() const {
    const std::string url = server_.Url();
    return url.substr(0, url.rfind('/'));
  }
  static std::string Role(const std::string& secret, const std::string& expiration) {
    return absl::StrCat(
        R"({"Code":"Success","LastUpdated":"2026-01-31T12:00:00Z","Type":"AWS-HMAC",)",
        R"("AccessKeyId":"ASIAROLE","SecretAccessKey":")", secret,
        R"(","Token":"session-token","Expiration":")", expiration, "\"}");
  }

  // What a test sets.
  std::map<std::string, std::string> bodies = {
      {"/latest/meta-data/iam/security-credentials/", "pay-role\n"},
      {"/latest/meta-data/iam/security-credentials/pay-role",
       Role("role/secret", "2126-01-31T18:00:00Z")},
      {"/latest/meta-data/placement/region", "us-east-2"}};
  std::string mute;  // a path that is never answered
  int token_status = 200;
  // What a test reads: "PUT /latest/api/token", ...
  std::vector<std::string> asked;

 private:
  using Reply = TestServer::Reply;
  Reply Answer(evhttp_request* request) {
    const std::string path = evhttp_request_get_uri(request);
    const bool put = evhttp_request_get_command(request) == EVHTTP_REQ_PUT;
    asked.push_back(absl::StrCat(put ? "PUT " : "GET ", path));
    if (path == mute) return {.never = true};
    const auto header = [&](const char* name) {
      const char* value = evhttp_find_header(evhttp_request_get_input_headers(request), name);
      return std::string(value == nullptr ? "" : value);
    };
    if (path == "/latest/api/token") {
      const bool fine = put && !header("X-aws-ec2-metadata-token-ttl-seconds").empty();
      return {fine ? token_status : 400, "TOKEN=="};
    }
    if (header("X-aws-ec2-metadata-token") != "TOKEN==") return {401, ""};
    const auto found = bodies.find(path);
    return found == bodies.end() ? Reply{404, "not here"} : Reply{200, found->second};
  }

  TestServer server_;
};

}  // namespace coffer::host::aws

#endif  // COFFER_TESTS_UNIT_HOST_KEYS_IMDS_SERVER_H_
