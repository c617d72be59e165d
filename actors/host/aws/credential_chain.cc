#include "actors/host/aws/credential_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "runtime/os_env.h"
#include "runtime/socket_address.h"

namespace coffer::host::aws {
namespace {

using ethereum::SecretBytes;

constexpr char kImdsEndpointIpv6[] = "http://[fd00:ec2::254]";
// What ends sooner is not handed over: the enclave's request has to arrive with it.
constexpr absl::Duration kLeastValidity = absl::Seconds(30);

absl::StatusOr<SecretBytes> TakeSecret(const char* name, size_t most) {
  std::optional<std::string> value = runtime::OsEnv(name);
  if (!value.has_value()) return SecretBytes();
  runtime::OsForgetEnv(name);
  if (value->empty()) return SecretBytes();
  if (value->size() > most) {
    OPENSSL_cleanse(value->data(), value->size());
    return absl::InvalidArgumentError(absl::StrCat(name, ": is too long"));
  }
  absl::StatusOr<SecretBytes> secret = SecretBytes::CopyOf(*value);
  OPENSSL_cleanse(value->data(), value->size());
  if (secret.ok()) return secret;
  return absl::Status(secret.status().code(), absl::StrCat(name, ": ", secret.status().message()));
}

std::string EnvText(const char* name) { return runtime::OsEnv(name).value_or(""); }

// A file's text, and whether others may read it. NotFound when there is none.
struct FileText {
  std::string text;
  bool open = false;
};
absl::StatusOr<FileText> ReadSmallFile(const std::string& path) {
  const runtime::Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid() && errno == ENOENT) return absl::NotFoundError("is not there");
  struct stat info {};
  if (!fd.valid() || fstat(fd.get(), &info) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot be read: ", runtime::ErrnoText(errno)));
  }
  if (!S_ISREG(info.st_mode)) return absl::UnavailableError("is not a file");
  FileText out;
  out.open = (info.st_mode & 077) != 0;
  // Of its full size from the beginning: a string that grows leaves copies behind.
  out.text.resize(kMaxProfileFileBytes + 1);
  size_t size = 0;
  ssize_t got = 1;
  while (got > 0 && size < out.text.size()) {
    got = read(fd.get(), &out.text[size], out.text.size() - size);
    if (got > 0) size += static_cast<size_t>(got);
  }
  out.text.resize(size);
  if (got < 0) return absl::UnavailableError("cannot be read");
  return out;
}

std::string Reason(const std::string& source, const absl::Status& why) {
  return absl::StrCat(source, ": ", why.message());
}

}  // namespace

absl::Status CheckRegion(const std::string& region) {
  const bool fine = !region.empty() && region.size() <= kMaxRegionBytes && region.front() != '-' &&
                    region.back() != '-' && std::all_of(region.begin(), region.end(), [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
                    });
  if (fine) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "a region is small letters, digits and dashes, as in us-east-2");
}

absl::StatusOr<AwsEnvironment> AwsEnvironment::Take() {
  AwsEnvironment out;
  absl::StatusOr<SecretBytes> secret = TakeSecret("AWS_SECRET_ACCESS_KEY", kMaxSecretBytes);
  if (!secret.ok()) return secret.status();
  absl::StatusOr<SecretBytes> token = TakeSecret("AWS_SESSION_TOKEN", kMaxTokenBytes);
  if (!token.ok()) return token.status();
  out.access_key_id = EnvText("AWS_ACCESS_KEY_ID");
  if (out.access_key_id.size() > kMaxAccessKeyBytes) {
    return absl::InvalidArgumentError("AWS_ACCESS_KEY_ID: is too long");
  }
  out.secret_access_key = *std::move(secret);
  out.session_token = *std::move(token);
  out.region = EnvText("AWS_REGION");
  if (out.region.empty()) out.region = EnvText("AWS_DEFAULT_REGION");
  out.profile = EnvText("AWS_PROFILE");
  out.home = EnvText("HOME");
  out.credentials_file = EnvText("AWS_SHARED_CREDENTIALS_FILE");
  out.config_file = EnvText("AWS_CONFIG_FILE");
  out.imds_endpoint = EnvText("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  out.imds_ipv6 =
      absl::AsciiStrToLower(EnvText("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE")) == "ipv6";
  out.imds_disabled = absl::AsciiStrToLower(EnvText("AWS_EC2_METADATA_DISABLED")) == "true";
  return out;
}

absl::StatusOr<Sources> ParseSources(const std::string& word) {
  if (word == "auto") return Sources::kAll;
  if (word == "environment") return Sources::kEnvironment;
  if (word == "profile") return Sources::kProfile;
  if (word == "instance") return Sources::kInstance;
  return absl::InvalidArgumentError("must be auto, environment, profile or instance");
}

absl::StatusOr<std::unique_ptr<CredentialChain>> CredentialChain::Create(
    runtime::Dispatcher* dispatcher, HttpSender* http, AwsEnvironment environment,
    Options options) {
  if (!options.region.empty()) {
    if (absl::Status s = CheckRegion(options.region); !s.ok()) return s;
  }
  if (!environment.region.empty()) {
    if (absl::Status s = CheckRegion(environment.region); !s.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("AWS_REGION or AWS_DEFAULT_REGION: ", s.message()));
    }
  }
  std::string endpoint = environment.imds_endpoint;
  if (endpoint.empty()) endpoint = environment.imds_ipv6 ? kImdsEndpointIpv6 : kImdsEndpoint;
  absl::StatusOr<HttpUrl> imds = HttpUrl::Parse(endpoint);
  if (!imds.ok() || imds->target != "/" || !imds->authorization.empty()) {
    return absl::InvalidArgumentError(
        "AWS_EC2_METADATA_SERVICE_ENDPOINT: it is http://HOST[:PORT] and nothing else");
  }
  return std::unique_ptr<CredentialChain>(new CredentialChain(
      dispatcher, http, std::move(environment), std::move(options), *std::move(imds)));
}

CredentialChain::CredentialChain(runtime::Dispatcher* dispatcher, HttpSender* http,
                                 AwsEnvironment environment, Options options, HttpUrl imds)
    : dispatcher_(dispatcher),
      environment_(std::move(environment)),
      options_(std::move(options)),
      imds_(http, {.endpoint = std::move(imds), .timeout = options_.imds_timeout}) {}

CredentialChain::~CredentialChain() = default;

absl::StatusOr<Credentials> CredentialChain::FromEnvironment() const {
  const bool id = !environment_.access_key_id.empty();
  const bool secret = environment_.secret_access_key.size() > 0;
  if (!id && !secret) return absl::NotFoundError("AWS_ACCESS_KEY_ID is not set");
  if (!id || !secret) {
    return absl::FailedPreconditionError(
        absl::StrCat(id ? "AWS_ACCESS_KEY_ID" : "AWS_SECRET_ACCESS_KEY", " is set and ",
                     id ? "AWS_SECRET_ACCESS_KEY" : "AWS_ACCESS_KEY_ID", " is not"));
  }
  Credentials out;
  out.access_key_id = environment_.access_key_id;
  absl::StatusOr<SecretBytes> key = SecretBytes::CopyOf(environment_.secret_access_key.view());
  if (!key.ok()) return key.status();
  out.secret_access_key = *std::move(key);
  if (environment_.session_token.size() > 0) {
    absl::StatusOr<SecretBytes> token = SecretBytes::CopyOf(environment_.session_token.view());
    if (!token.ok()) return token.status();
    out.session_token = *std::move(token);
  }
  out.source = "the environment";
  return out;
}

absl::StatusOr<Profile> CredentialChain::FromFile(const std::string& path, ProfileFile kind) const {
  absl::StatusOr<FileText> file = ReadSmallFile(path);
  if (!file.ok()) return file.status();
  const std::string& chosen = options_.profile.empty() ? environment_.profile : options_.profile;
  absl::StatusOr<Profile> profile =
      ReadProfile(file->text, kind, chosen.empty() ? "default" : chosen);
  OPENSSL_cleanse(file->text.data(), file->text.size());
  if (profile.ok() && profile->secret_access_key.size() > 0 && file->open) {
    return absl::PermissionDeniedError(
        "can be read by others; chmod 600 it (and consider what is in it known)");
  }
  return profile;
}

absl::StatusOr<Credentials> CredentialChain::FromProfile(std::string* region) const {
  std::vector<std::string> reasons;
  std::optional<Credentials> found;
  const std::string folder = absl::StrCat(environment_.home, "/.aws/");
  for (const ProfileFile kind : {ProfileFile::kCredentials, ProfileFile::kConfig}) {
    const bool first = kind == ProfileFile::kCredentials;
    std::string path = first ? environment_.credentials_file : environment_.config_file;
    if (path.empty() && environment_.home.empty()) {
      reasons.push_back("HOME is not set");
      break;
    }
    if (path.empty()) path = absl::StrCat(folder, first ? "credentials" : "config");
    absl::StatusOr<Profile> profile = FromFile(path, kind);
    if (!profile.ok()) {
      reasons.push_back(absl::StrCat(path, " ", profile.status().message()));
      continue;
    }
    if (region->empty()) *region = profile->region;
    if (found.has_value()) continue;
    if (!profile->found) {
      reasons.push_back(absl::StrCat(path, " has not the profile"));
    } else if (!profile->elsewhere.empty()) {
      reasons.push_back(absl::StrCat(path, " has ", profile->elsewhere,
                                     ", which is not done here: give keys, or a role to the "
                                     "instance"));
    } else if (profile->access_key_id.empty() || profile->secret_access_key.size() == 0) {
      reasons.push_back(absl::StrCat(path, " has no aws_access_key_id with aws_secret_access_key"));
    } else {
      found.emplace();
      found->access_key_id = profile->access_key_id;
      found->secret_access_key = std::move(profile->secret_access_key);
      found->session_token = std::move(profile->session_token);
      found->source = path;
    }
  }
  if (found.has_value()) return *std::move(found);
  return absl::NotFoundError(absl::StrJoin(reasons, ", "));
}

void CredentialChain::Get(Done done) {
  std::string region = options_.region.empty() ? environment_.region : options_.region;
  std::vector<std::string> reasons;
  const auto wanted = [this](Sources one) {
    return options_.sources == Sources::kAll || options_.sources == one;
  };
  absl::StatusOr<Credentials> found = absl::NotFoundError("");
  if (wanted(Sources::kEnvironment)) {
    found = FromEnvironment();
    if (!found.ok()) reasons.push_back(Reason("the environment", found.status()));
  }
  // Also for the region alone.
  if (options_.sources != Sources::kInstance && (!found.ok() || region.empty())) {
    absl::StatusOr<Credentials> profile = FromProfile(&region);
    if (!found.ok() && wanted(Sources::kProfile)) {
      if (!profile.ok()) reasons.push_back(Reason("the profile", profile.status()));
      found = std::move(profile);
    }
  }
  if (!found.ok() && wanted(Sources::kInstance)) {
    return FromInstance(std::move(region), std::move(reasons), std::move(done));
  }
  absl::StatusOr<Credentials> result = absl::NotFoundError(
      absl::StrCat("no credentials of AWS were found: ", absl::StrJoin(reasons, "; ")));
  if (found.ok()) result = Finish(*std::move(found), region);
  dispatcher_->Post([alive = std::weak_ptr<bool>(alive_), done = std::move(done),
                     result = std::move(result)]() mutable {
    if (!alive.expired()) done(std::move(result));
  });
}

void CredentialChain::FromInstance(std::string region, std::vector<std::string> reasons,
                                   Done done) {
  auto end = [this, region, reasons](absl::StatusOr<Credentials> found) mutable {
    if (found.ok()) {
      const std::string known = region.empty() ? found->region : region;
      return Finish(*std::move(found), known);
    }
    reasons.push_back(Reason("the instance", found.status()));
    return absl::StatusOr<Credentials>(absl::Status(
        absl::IsUnavailable(found.status()) ? absl::StatusCode::kUnavailable
                                            : absl::StatusCode::kNotFound,
        absl::StrCat("no credentials of AWS were found: ", absl::StrJoin(reasons, "; "))));
  };
  if (environment_.imds_disabled) {
    return dispatcher_->Post(
        [alive = std::weak_ptr<bool>(alive_), end, done = std::move(done)]() mutable {
          if (!alive.expired()) {
            done(end(absl::NotFoundError("AWS_EC2_METADATA_DISABLED is true")));
          }
        });
  }
  imds_.Get(region.empty(),
            [end, done = std::move(done)](absl::StatusOr<Credentials> found) mutable {
              done(end(std::move(found)));
            });
}

absl::StatusOr<Credentials> CredentialChain::Finish(Credentials found,
                                                    const std::string& region) const {
  if (region.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "there are credentials (", found.source, ") and no region: give one, or set AWS_REGION"));
  }
  if (absl::Status s = CheckRegion(region); !s.ok()) return s;
  found.region = region;
  if (found.expiration.has_value() && *found.expiration < dispatcher_->WallNow() + kLeastValidity) {
    return absl::UnavailableError(
        absl::StrCat("the credentials of ", found.source, " end at ",
                     absl::FormatTime(absl::RFC3339_sec, *found.expiration, absl::UTCTimeZone()),
                     ", too soon to be used"));
  }
  return found;
}

}  // namespace coffer::host::aws
