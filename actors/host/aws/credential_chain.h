// Where credentials are looked for, in the order of AWS's SDKs ("AWS SDKs and Tools Reference
// Guide", "Standardized credential providers"), the first that has any wins:
//
//   1. the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   2. the profile AWS_PROFILE, or "default", of ~/.aws/credentials (AWS_SHARED_CREDENTIALS_FILE),
//      and then of ~/.aws/config (AWS_CONFIG_FILE)
//   3. the role of the EC2 instance, by IMDSv2 (AWS_EC2_METADATA_SERVICE_ENDPOINT,
//      AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE=IPv6, AWS_EC2_METADATA_DISABLED=true)
//
// Of what the SDKs know besides, nothing is done here: roles to assume, SSO, web identities,
// processes and containers. A profile that asks for one of these is passed over, and the reason
// says so.
//
// The region, the first that is there: the one given, AWS_REGION, AWS_DEFAULT_REGION, the
// profile's, the instance's.
#ifndef COFFER_ACTORS_HOST_AWS_CREDENTIAL_CHAIN_H_
#define COFFER_ACTORS_HOST_AWS_CREDENTIAL_CHAIN_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "actors/host/aws/credentials.h"
#include "actors/host/aws/imds.h"
#include "actors/host/aws/profile_files.h"
#include "actors/host/http_client.h"
#include "runtime/dispatcher.h"

namespace coffer::host::aws {

// What of the environment matters here. The secrets are taken out of the process's own.
struct AwsEnvironment {
  std::string access_key_id;
  ethereum::SecretBytes secret_access_key;
  ethereum::SecretBytes session_token;
  std::string region;  // AWS_REGION, or else AWS_DEFAULT_REGION
  std::string profile;
  std::string home;
  std::string credentials_file;
  std::string config_file;
  std::string imds_endpoint;
  bool imds_ipv6 = false;
  bool imds_disabled = false;

  // Reads the variables and removes the secret ones from the process's environment. Before threads
  // run. ResourceExhausted: no locked memory. InvalidArgument: a value that is too long.
  static absl::StatusOr<AwsEnvironment> Take();
};

// Which of the sources are asked.
enum class Sources { kAll, kEnvironment, kProfile, kInstance };
// "auto", "environment", "profile", "instance". InvalidArgument for another word.
absl::StatusOr<Sources> ParseSources(const std::string& word);

class CredentialChain final : public CredentialsSource {
 public:
  struct Options {
    Sources sources = Sources::kAll;
    std::string region;   // empty: as above
    std::string profile;  // instead of AWS_PROFILE; may be empty
    absl::Duration imds_timeout = absl::Seconds(2);
  };
  // InvalidArgument for a region or an endpoint of the metadata service that can be none.
  // `dispatcher` and `http` outlive this object.
  static absl::StatusOr<std::unique_ptr<CredentialChain>> Create(runtime::Dispatcher* dispatcher,
                                                                 HttpSender* http,
                                                                 AwsEnvironment environment,
                                                                 Options options);
  ~CredentialChain() override;

  void Get(Done done) override;

 private:
  CredentialChain(runtime::Dispatcher* dispatcher, HttpSender* http, AwsEnvironment environment,
                  Options options, HttpUrl imds);
  absl::StatusOr<Credentials> FromEnvironment() const;
  absl::StatusOr<Credentials> FromProfile(std::string* region) const;
  absl::StatusOr<Profile> FromFile(const std::string& path, ProfileFile kind) const;
  void FromInstance(std::string region, std::vector<std::string> reasons, Done done);
  // Once credentials are there.
  absl::StatusOr<Credentials> Finish(Credentials found, const std::string& region) const;

  runtime::Dispatcher* const dispatcher_;
  const AwsEnvironment environment_;
  const Options options_;
  Imds imds_;
  const std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host::aws

#endif  // COFFER_ACTORS_HOST_AWS_CREDENTIAL_CHAIN_H_
