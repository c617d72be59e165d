#include "actors/host/aws/imds.h"

#include <openssl/crypto.h>
#include <simdjson.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "invariant/check.h"

namespace coffer::host::aws {
namespace {

using ethereum::SecretBytes;
using Method = HttpCall::Method;

constexpr char kTokenPath[] = "/latest/api/token";
constexpr char kRolePath[] = "/latest/meta-data/iam/security-credentials/";
constexpr char kRegionPath[] = "/latest/meta-data/placement/region";
// Long enough for the three questions that follow; the service allows 1 s to 6 h.
constexpr char kTokenSeconds[] = "60";
constexpr size_t kMaxSessionBytes = 1024;
constexpr size_t kMaxRoleBytes = 128;

void Wipe(std::string_view text) {
  // The memory is the parser's or a string's own, and not constant.
  OPENSSL_cleanse(const_cast<char*>(text.data()), text.size());
}

bool Printable(std::string_view text, size_t most) {
  return !text.empty() && text.size() <= most &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// Letters, digits and +=,.@_- (IAM User Guide, "IAM and STS quotas").
bool IsRoleCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '+' || c == '=' || c == ',' ||
         c == '.' || c == '@' || c == '_' || c == '-';
}

bool IsRole(std::string_view text) {
  return Printable(text, kMaxRoleBytes) && std::all_of(text.begin(), text.end(), IsRoleCharacter);
}

absl::StatusOr<Credentials> FromObject(simdjson::dom::object object) {
  const absl::Status malformed = absl::DataLossError(
      "the instance metadata service's answer has not the form of a role's credentials");
  std::string_view code, id, secret, token, expiration;
  if (object["Code"].get(code) == simdjson::SUCCESS && code != "Success") {
    if (!Printable(code, kMaxRoleBytes)) return malformed;
    return absl::FailedPreconditionError(
        absl::StrCat("the instance metadata service has no credentials: ", std::string(code)));
  }
  if (object["AccessKeyId"].get(id) != simdjson::SUCCESS ||
      object["SecretAccessKey"].get(secret) != simdjson::SUCCESS ||
      object["Token"].get(token) != simdjson::SUCCESS ||
      object["Expiration"].get(expiration) != simdjson::SUCCESS) {
    return malformed;
  }
  absl::Time until;
  std::string error;
  if (!Printable(id, kMaxAccessKeyBytes) || !Printable(secret, kMaxSecretBytes) ||
      !Printable(token, kMaxTokenBytes) || !Printable(expiration, 64) ||
      !absl::ParseTime(absl::RFC3339_full, absl::string_view(expiration.data(), expiration.size()),
                       &until, &error)) {
    return malformed;
  }
  absl::StatusOr<SecretBytes> key = SecretBytes::CopyOf(secret);
  absl::StatusOr<SecretBytes> session = SecretBytes::CopyOf(token);
  Wipe(secret);
  Wipe(token);
  if (!key.ok()) return key.status();
  if (!session.ok()) return session.status();
  Credentials out;
  out.access_key_id = std::string(id);
  out.secret_access_key = *std::move(key);
  out.session_token = *std::move(session);
  out.expiration = until;
  out.source = "the instance's role";
  return out;
}

}  // namespace

absl::StatusOr<Credentials> ParseRoleCredentials(std::string* body) {
  if (body->size() > kMaxImdsAnswerBytes) {
    Wipe(*body);
    return absl::DataLossError("the instance metadata service's answer is too long");
  }
  // A string of our own with room for what the parser reads beyond the end, so that it makes no
  // copy that nobody wipes.
  std::string text;
  text.reserve(body->size() + simdjson::SIMDJSON_PADDING);
  text.append(*body);
  Wipe(*body);
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  absl::StatusOr<Credentials> result = absl::DataLossError(
      "the instance metadata service answered something else than an object of JSON");
  if (parser.parse(text).get(object) == simdjson::SUCCESS) result = FromObject(object);
  Wipe(text);
  return result;
}

struct Imds::Call {
  bool with_region = false;
  CredentialsSource::Done done;
  std::string session;
  Credentials found;
};

Imds::Imds(HttpSender* http, Options options) : http_(http), options_(std::move(options)) {}
Imds::~Imds() = default;

void Imds::End(const std::shared_ptr<Call>& call, absl::StatusOr<Credentials> result) {
  std::exchange(call->done, nullptr)(std::move(result));
}

void Imds::Step(std::shared_ptr<Call> call, HttpCall request, std::string target,
                absl::AnyInvocable<void(std::shared_ptr<Call>, std::string)> then) {
  HttpUrl url = options_.endpoint;
  url.target = std::move(target);
  http_->Send(url, std::move(request), options_.timeout,
              [alive = std::weak_ptr<bool>(alive_), call = std::move(call), path = url.target,
               then = std::move(then)](absl::StatusOr<HttpResponse> answer) mutable {
                if (alive.expired()) return;
                if (!answer.ok()) {
                  return End(call, absl::UnavailableError(absl::StrCat(
                                       "the instance metadata service does not answer: ",
                                       answer.status().message())));
                }
                if (answer->status == 404) {
                  return End(call, absl::NotFoundError(absl::StrCat(
                                       "the instance metadata service has no ", path,
                                       path == kRolePath ? ": the instance has no role" : "")));
                }
                if (answer->status != 200) {
                  return End(call, absl::UnavailableError(
                                       absl::StrCat("the instance metadata service answered ",
                                                    answer->status, " for ", path)));
                }
                then(std::move(call), std::move(answer->body));
              });
}

void Imds::Get(bool with_region, CredentialsSource::Done done) {
  auto call = std::make_shared<Call>();
  call->with_region = with_region;
  call->done = std::move(done);
  HttpCall request;
  request.method = Method::kPut;
  request.headers = {{"X-aws-ec2-metadata-token-ttl-seconds", kTokenSeconds}};
  Step(std::move(call), std::move(request), kTokenPath,
       [this](std::shared_ptr<Call> c, std::string token) {
         if (!Printable(token, kMaxSessionBytes)) {
           return End(c, absl::DataLossError(
                             "the instance metadata service answered a token that is none"));
         }
         c->session = std::move(token);
         AskRole(c);
       });
}

void Imds::AskRole(const std::shared_ptr<Call>& call) {
  HttpCall request;
  request.headers = {{"X-aws-ec2-metadata-token", call->session}};
  Step(call, std::move(request), kRolePath, [this](std::shared_ptr<Call> c, std::string body) {
    // One role an instance; a list would begin with it.
    const std::pair<std::string, std::string> lines =
        absl::StrSplit(body, absl::MaxSplits('\n', 1));
    const std::string role(absl::StripAsciiWhitespace(lines.first));
    if (!IsRole(role)) {
      return End(c, absl::DataLossError(
                        "the instance metadata service answered a role's name that is none"));
    }
    AskCredentials(c, role);
  });
}

void Imds::AskCredentials(const std::shared_ptr<Call>& call, const std::string& role) {
  HttpCall request;
  request.headers = {{"X-aws-ec2-metadata-token", call->session}};
  request.secret_answer = true;
  Step(call, std::move(request), kRolePath + role,
       [this, role](std::shared_ptr<Call> c, std::string body) {
         absl::StatusOr<Credentials> found = ParseRoleCredentials(&body);
         if (!found.ok()) return End(c, found.status());
         c->found = *std::move(found);
         c->found.source = absl::StrCat("the instance's role ", role);
         if (c->with_region) return AskRegion(c);
         End(c, std::move(c->found));
       });
}

void Imds::AskRegion(const std::shared_ptr<Call>& call) {
  HttpCall request;
  request.headers = {{"X-aws-ec2-metadata-token", call->session}};
  Step(call, std::move(request), kRegionPath, [](std::shared_ptr<Call> c, std::string region) {
    absl::StripAsciiWhitespace(&region);
    if (absl::Status s = CheckRegion(region); !s.ok()) {
      return End(c, absl::DataLossError("the instance metadata service names no region"));
    }
    c->found.region = std::move(region);
    End(c, std::move(c->found));
  });
}

}  // namespace coffer::host::aws
