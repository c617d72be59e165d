// Configuration from anywhere: TOML, flags and environment of coffer-host, durations and sizes,
// endpoints and URLs. Errors only, the same answer twice, what is printed is read back, and
// addresses are judged as inet_pton does.
//
// Input: a byte that chooses, and text.
#include <arpa/inet.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "actors/host/http_url.h"
#include "host_proxy/host_options.h"
#include "invariant/check.h"
#include "runtime/config_toml.h"
#include "runtime/config_values.h"
#include "runtime/endpoint.h"
#include "tests/fuzz/input.h"

namespace {

using coffer::fuzz::Input;
namespace runtime = coffer::runtime;
namespace host_proxy = coffer::host_proxy;

void CheckToml(std::string_view text) {
  const auto entries = runtime::ParseToml(std::string(text), "coffer.toml");
  if (!entries.ok()) {
    COFFER_CHECK(absl::StrContains(entries.status().message(), "coffer.toml"), "it says where");
    return;
  }
  for (const auto& entry : *entries) {
    COFFER_CHECK(!entry.kind.empty() && !entry.where.empty(), "an entry has a kind and a place");
  }
}

// A file that is nowhere on the disk.
class File {
 public:
  explicit File(std::string_view content) : fd_(memfd_create("fuzz", 0)) {
    COFFER_CHECK(fd_ >= 0 && write(fd_, content.data(), content.size()) ==
                                 static_cast<ssize_t>(content.size()),
                 "a file in memory");
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  std::string path() const { return absl::StrCat("/proc/self/fd/", fd_); }

 private:
  const int fd_;
};

// Lines up to an empty one are flags, then NAME=VALUE up to the next empty one, then the file.
void CheckHost(Input input) {
  static const runtime::ConfigSpec spec = host_proxy::HostConfigSpec();
  std::vector<std::string> flags;
  runtime::Environment environment;
  for (std::string_view line = input.Line(); !line.empty(); line = input.Line()) {
    if (absl::StartsWith(std::string(line), "--config")) continue;  // no other file than ours
    flags.emplace_back(line);
  }
  for (std::string_view line = input.Line(); !line.empty(); line = input.Line()) {
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos || line.substr(0, equals) == "COFFER_CONFIG") continue;
    environment[std::string(line.substr(0, equals))] = std::string(line.substr(equals + 1));
  }
  const File file(input.rest());
  flags.push_back("--config=" + file.path());
  host_proxy::TranslateSignerVariables(environment);
  const auto loaded = spec.Load(flags, environment);
  if (!loaded.ok()) {
    COFFER_CHECK(!loaded.status().message().empty(), "an error says something");
    return;
  }
  if (loaded->action == runtime::ConfigSpec::Action::kHelp ||
      loaded->action == runtime::ConfigSpec::Action::kVersion) {
    return;
  }
  (void)loaded->config.Effective();
  const auto options =
      host_proxy::ParseHostOptions(loaded->config, host_proxy::ReadSignerEnvironment(environment));
  if (!options.ok()) return;
  (void)host_proxy::InsecureParts(*options);
  (void)host_proxy::LedgerOption(*options);
  COFFER_CHECK(options->http_listen.IsLocal() ||
                   (!options->viewer_token.empty() && !options->admin_token.empty()),
               "other machines are served with both tokens alone");
}

void CheckValues(const std::string& text) {
  if (const auto bytes = runtime::ParseBytesText(text); bytes.ok()) {
    const auto again = runtime::ParseBytesText(runtime::FormatBytes(*bytes));
    COFFER_CHECK(again.ok() && *again == *bytes, "what is printed is read back");
  }
  if (const auto duration = runtime::ParseDurationText(text); duration.ok()) {
    COFFER_CHECK(*duration >= absl::ZeroDuration() && *duration < absl::InfiniteDuration(),
                 "a duration is finite and not negative");
    const auto again = runtime::ParseDurationText(absl::FormatDuration(*duration));
    COFFER_CHECK(again.ok() && *again == *duration, "a duration is read back");
  }
}

bool IsAddress(int family, const std::string& text) {
  unsigned char out[16];
  return inet_pton(family, text.c_str(), out) == 1;
}

void CheckEndpoint(const std::string& text) {
  const auto endpoint = runtime::Endpoint::Parse(text);
  if (!endpoint.ok()) return;
  const std::string shown = endpoint->ToString();
  const auto again = runtime::Endpoint::Parse(shown);
  COFFER_CHECK(again.ok() && again->ToString() == shown, "what is printed is read back");
  COFFER_CHECK(again->kind == endpoint->kind && again->host == endpoint->host &&
                   again->path == endpoint->path && again->port == endpoint->port &&
                   again->cid == endpoint->cid,
               "and is the same");
  if (endpoint->kind != runtime::Endpoint::Kind::kTcp) return;
  COFFER_CHECK(endpoint->port <= 65535 && !endpoint->host.empty(), "a port and a host");
  if (endpoint->host.find(':') != std::string::npos) {
    COFFER_CHECK(IsAddress(AF_INET6, endpoint->host.substr(0, endpoint->host.find('%'))),
                 "what has colons is an IPv6 address");
  }
  if (endpoint->IsLocal() && IsAddress(AF_INET, endpoint->host)) {
    COFFER_CHECK(absl::StartsWith(endpoint->host, "127."), "what is local is loopback");
  }
}

void CheckUrl(std::string_view text) {
  const auto url = coffer::host::HttpUrl::Parse(text);
  if (!url.ok()) return;
  COFFER_CHECK(url->target.front() == '/' && url->port != 0 && !url->host.empty(), "a whole URL");
  for (const std::string* part : {&url->host, &url->target, &url->authorization}) {
    for (const char c : *part)
      COFFER_CHECK(c >= 0x20 && c < 0x7f, "no line of a header ends early");
  }
  const auto again = coffer::host::HttpUrl::Parse(
      absl::StrCat(url->tls ? "https" : "http", "://", url->HostHeader(), url->target));
  COFFER_CHECK(again.ok() && again->host == url->host && again->port == url->port &&
                   again->target == url->target && again->tls == url->tls,
               "its parts make it again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.Below(5)) {
    case 0:
      CheckToml(input.rest());
      break;
    case 1:
      CheckHost(input);
      break;
    case 2:
      CheckValues(std::string(input.rest()));
      break;
    case 3:
      CheckEndpoint(std::string(input.rest()));
      break;
    default:
      CheckUrl(input.rest());
  }
  return 0;
}
