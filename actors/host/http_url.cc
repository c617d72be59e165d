#include "actors/host/http_url.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

constexpr size_t kMaxUrl = 2048;

absl::Status Wrong(const char* what) {
  return absl::InvalidArgumentError(absl::StrCat(
      "the URL of a node: ", what, "; expected http[s]://[USER:PASS@]HOST[:PORT][/PATH]"));
}

// %41 -> A. Nothing when a percent sign has no two hex digits behind it.
absl::StatusOr<std::string> PercentDecoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    const auto hex = [&](size_t at) {
      return at < text.size() && absl::ascii_isxdigit(static_cast<unsigned char>(text[at]));
    };
    if (!hex(i + 1) || !hex(i + 2)) return Wrong("a % without two hex digits");
    out += absl::HexStringToBytes(std::string(text.substr(i + 1, 2)));
    i += 2;
  }
  return out;
}

bool IsHostCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' || c == '_';
}

absl::Status TakeHost(std::string_view text, HttpUrl* url) {
  std::string_view port;
  if (text.substr(0, 1) == "[") {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Wrong("a [ without its ]");
    url->host = std::string(text.substr(1, end - 1));
    port = text.substr(end + 1);
    const bool plain = std::all_of(url->host.begin(), url->host.end(), [](char c) {
      return absl::ascii_isxdigit(static_cast<unsigned char>(c)) || c == ':' || c == '.';
    });
    if (!plain || url->host.find(':') == std::string::npos) return Wrong("not an IPv6 address");
  } else {
    const size_t colon = text.find(':');
    url->host = std::string(text.substr(0, colon));
    if (colon != std::string_view::npos) port = text.substr(colon);
    if (!std::all_of(url->host.begin(), url->host.end(), IsHostCharacter)) {
      return Wrong("a host name of letters, digits, dots and dashes was expected");
    }
  }
  if (url->host.empty() || url->host.size() > 253) return Wrong("the host is missing or too long");
  url->port = url->tls ? 443 : 80;
  if (port.empty()) return absl::OkStatus();
  uint32_t number = 0;
  const std::string digits(port.substr(1));
  if (port[0] != ':' || digits.empty() ||
      !std::all_of(digits.begin(), digits.end(),
                   [](unsigned char c) { return absl::ascii_isdigit(c); }) ||
      !absl::SimpleAtoi(digits, &number) || number == 0 || number > 65535) {
    return Wrong("the port is not 1 to 65535");
  }
  url->port = static_cast<uint16_t>(number);
  return absl::OkStatus();
}

std::string Bracketed(const std::string& host) {
  return host.find(':') == std::string::npos ? host : absl::StrCat("[", host, "]");
}

}  // namespace

absl::StatusOr<HttpUrl> HttpUrl::Parse(std::string_view text) {
  if (text.size() > kMaxUrl) return Wrong("longer than 2048 bytes");
  if (!std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
    return Wrong("a space, a control character or a byte beyond ASCII");
  }
  if (text.find('#') != std::string_view::npos) return Wrong("a fragment");
  HttpUrl url;
  const size_t scheme_end = text.find("://");
  const std::string scheme = absl::AsciiStrToLower(
      std::string(text.substr(0, scheme_end == std::string_view::npos ? 0 : scheme_end)));
  if (scheme != "http" && scheme != "https") return Wrong("the scheme is not http or https");
  url.tls = scheme == "https";
  text.remove_prefix(scheme_end + 3);
  const size_t path = std::min(text.find_first_of("/?"), text.size());
  std::string_view authority = text.substr(0, path);
  url.target = std::string(text.substr(path));
  if (url.target.empty() || url.target[0] == '?') url.target.insert(url.target.begin(), '/');
  if (const size_t at = authority.rfind('@'); at != std::string_view::npos) {
    absl::StatusOr<std::string> user = PercentDecoded(authority.substr(0, at));
    if (!user.ok()) return user.status();
    url.authorization = absl::StrCat("Basic ", absl::Base64Escape(*user));
    authority.remove_prefix(at + 1);
  }
  if (absl::Status status = TakeHost(authority, &url); !status.ok()) return status;
  return url;
}

std::string HttpUrl::Masked() const {
  const bool secret = target != "/" || !authorization.empty();
  return absl::StrCat(tls ? "https://" : "http://", Bracketed(host), ":", port,
                      secret ? "/***" : "/");
}

std::string HttpUrl::HostHeader() const {
  const bool own = port == (tls ? 443 : 80);
  return own ? Bracketed(host) : absl::StrCat(Bracketed(host), ":", port);
}

}  // namespace coffer::host
