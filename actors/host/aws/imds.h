// The instance metadata service of EC2, version 2: the credentials of the instance's role (EC2 User
// Guide, "Use the Instance Metadata Service", and "Retrieve security credentials from instance
// metadata"). Version 1, which anybody who can make this machine send a GET can use, is not spoken.
#ifndef COFFER_ACTORS_HOST_AWS_IMDS_H_
#define COFFER_ACTORS_HOST_AWS_IMDS_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/aws/credentials.h"
#include "actors/host/http_client.h"

namespace coffer::host::aws {

inline constexpr char kImdsEndpoint[] = "http://169.254.169.254";
inline constexpr size_t kMaxImdsAnswerBytes = 64 * 1024;

// The answer to .../iam/security-credentials/ROLE. What was read is wiped from `body`. DataLoss
// when it is not that; FailedPrecondition with the service's code when it says that there are none.
absl::StatusOr<Credentials> ParseRoleCredentials(std::string* body);

class Imds {
 public:
  struct Options {
    HttpUrl endpoint;
    absl::Duration timeout = absl::Seconds(2);  // of each of its requests
  };
  // `http` outlives this object and every call under way.
  Imds(HttpSender* http, Options options);
  ~Imds();

  // The role's credentials, and the instance's region when `with_region`. NotFound: no role.
  // Unavailable: nobody there. Others as ParseRoleCredentials has them.
  void Get(bool with_region, CredentialsSource::Done done);

 private:
  struct Call;
  void Step(std::shared_ptr<Call> call, HttpCall request, std::string target,
            absl::AnyInvocable<void(std::shared_ptr<Call>, std::string)> then);
  void AskRole(const std::shared_ptr<Call>& call);
  void AskCredentials(const std::shared_ptr<Call>& call, const std::string& role);
  void AskRegion(const std::shared_ptr<Call>& call);
  static void End(const std::shared_ptr<Call>& call, absl::StatusOr<Credentials> result);

  HttpSender* const http_;
  const Options options_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host::aws

#endif  // COFFER_ACTORS_HOST_AWS_IMDS_H_
