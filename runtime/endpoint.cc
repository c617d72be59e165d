#include "runtime/endpoint.h"

#include <arpa/inet.h>
#include <sys/un.h>

#include <optional>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coffer::runtime {
namespace {

absl::Status Wrong(std::string_view text, const std::string& why) {
  // The text is shown cut and escaped: it may be a hostile or a mistyped value of any length.
  std::string shown;
  for (char c : text.substr(0, 80))
    shown += absl::ascii_isprint(static_cast<unsigned char>(c)) ? c : '?';
  return absl::InvalidArgumentError(
      absl::StrCat("endpoint \"", shown, "\": ", why,
                   "; write tcp://HOST:PORT, unix:///PATH or vsock://CID:PORT"));
}

// Digits only: SimpleAtoi alone would take spaces and signs too.
std::optional<uint32_t> ParseNumber(std::string_view digits) {
  if (digits.empty() || digits.size() > 10) return std::nullopt;
  for (char c : digits) {
    if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) return std::nullopt;
  }
  uint32_t value = 0;
  if (!absl::SimpleAtoi(std::string(digits), &value)) return std::nullopt;
  return value;
}

bool IsHostText(std::string_view host) {
  for (char c : host) {
    const bool ok = absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '.' || c == '-' ||
                    c == '_' || c == ':' || c == '%';
    if (!ok) return false;
  }
  return true;
}

// With or without a zone: "fe80::1%eth0".
bool IsIpv6(std::string_view host) {
  const size_t zone = host.find('%');
  if (zone != std::string_view::npos && zone + 1 == host.size()) return false;
  in6_addr address;
  return inet_pton(AF_INET6, std::string(host.substr(0, zone)).c_str(), &address) == 1;
}

absl::StatusOr<Endpoint> ParseTcp(std::string_view text, std::string_view rest) {
  Endpoint endpoint;
  const size_t colon = rest.rfind(':');
  if (colon == std::string_view::npos) return Wrong(text, "the port is missing");
  std::string_view host = rest.substr(0, colon);
  if (host.starts_with("[")) {
    if (!host.ends_with("]") || host.size() < 3) {
      return Wrong(text, "an IPv6 address ends with ]");
    }
    host = host.substr(1, host.size() - 2);
    if (!IsIpv6(host)) return Wrong(text, "what is in brackets is no IPv6 address");
  } else if (host.find(':') != std::string_view::npos) {
    return Wrong(text, "an IPv6 address is written in [brackets]");
  }
  if (host.empty()) return Wrong(text, "the host is missing (0.0.0.0 means every address)");
  if (host.size() > 255 || !IsHostText(host)) {
    return Wrong(text, "the host is neither a name nor an IP address");
  }
  const std::optional<uint32_t> port = ParseNumber(rest.substr(colon + 1));
  if (!port.has_value() || *port > 65535) return Wrong(text, "the port is not a number 0..65535");
  endpoint.kind = Endpoint::Kind::kTcp;
  endpoint.host = std::string(host);
  endpoint.port = *port;
  return endpoint;
}

absl::StatusOr<Endpoint> ParseUnix(std::string_view text, std::string_view path) {
  if (!path.starts_with("/")) return Wrong(text, "the path is not absolute");
  if (path.size() < 2 || path.ends_with("/")) return Wrong(text, "the path names no file");
  if (path.find('\0') != std::string_view::npos)
    return Wrong(text, "the path contains a zero byte");
  if (path.size() >= sizeof(sockaddr_un::sun_path)) {
    return Wrong(text, absl::StrCat("the path is longer than ", sizeof(sockaddr_un::sun_path) - 1,
                                    " bytes, the limit of the kernel"));
  }
  Endpoint endpoint;
  endpoint.kind = Endpoint::Kind::kUnix;
  endpoint.path = std::string(path);
  return endpoint;
}

absl::StatusOr<Endpoint> ParseVsock(std::string_view text, std::string_view rest) {
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return Wrong(text, "the port is missing");
  const std::optional<uint32_t> cid = ParseNumber(rest.substr(0, colon));
  const std::optional<uint32_t> port = ParseNumber(rest.substr(colon + 1));
  if (!cid.has_value()) return Wrong(text, "the CID is not a number 0..4294967295");
  if (!port.has_value()) return Wrong(text, "the port is not a number 0..4294967295");
  Endpoint endpoint;
  endpoint.kind = Endpoint::Kind::kVsock;
  endpoint.cid = *cid;
  endpoint.port = *port;
  return endpoint;
}

}  // namespace

absl::StatusOr<Endpoint> Endpoint::Parse(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos) return Wrong(text, "there is no scheme");
  const std::string_view name = text.substr(0, scheme);
  const std::string_view rest = text.substr(scheme + 3);
  if (name == "tcp") return ParseTcp(text, rest);
  if (name == "unix") return ParseUnix(text, rest);
  if (name == "vsock") return ParseVsock(text, rest);
  return Wrong(text, "the scheme is unknown");
}

std::string Endpoint::ToString() const {
  switch (kind) {
    case Kind::kTcp:
      return (host.find(":") != std::string_view::npos) ? absl::StrCat("tcp://[", host, "]:", port)
                                                        : absl::StrCat("tcp://", host, ":", port);
    case Kind::kUnix:
      return absl::StrCat("unix://", path);
    case Kind::kVsock:
      return absl::StrCat("vsock://", cid, ":", port);
  }
  return "";
}

bool Endpoint::IsLocal() const {
  if (kind != Kind::kTcp) return true;
  if (host == "localhost" || host == "::1") return true;
  // 127.0.0.0/8, and not the name of a machine that begins with 127.
  if (!host.starts_with("127.")) return false;
  int dots = 0;
  for (char c : host) {
    if (c == '.') {
      ++dots;
    } else if (!absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      return false;
    }
  }
  return dots == 3;
}

}  // namespace coffer::runtime
