#include "host_proxy/router.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "actors/host/json_text.h"

namespace coffer::host_proxy {
namespace {

std::vector<std::string> SplitPath(const std::string& path) {
  return absl::StrSplit(path.substr(1), '/');
}

// "{path...}": the rest of the path.
bool IsTail(const std::string& part) {
  return part.size() > 5 && part.front() == '{' && absl::EndsWith(part, "...}");
}

bool IsParameter(const std::string& part) { return part.size() > 2 && part.front() == '{'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// A Host header without its port.
std::string HostName(const std::string& host) {
  if (!host.empty() && host.front() == '[') return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool IsThisMachine(const std::string& host) {
  const std::string name = HostName(host);
  return name == "localhost" || name == "127.0.0.1" || name == "[::1]" || name.empty();
}

absl::StatusOr<std::map<std::string, std::string>> ParseQuery(
    const std::string& query, const std::vector<std::string>& allowed) {
  std::map<std::string, std::string> parameters;
  if (query.empty()) return parameters;
  for (const absl::string_view pair : absl::StrSplit(query, '&', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(pair, absl::MaxSplits('=', 1));
    absl::StatusOr<std::string> name = PercentDecode(parts.first, true);
    absl::StatusOr<std::string> value = PercentDecode(parts.second, true);
    if (!name.ok()) return name.status();
    if (!value.ok()) return value.status();
    if (std::find(allowed.begin(), allowed.end(), *name) == allowed.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the query has a parameter that is not known here; known are: ",
                       allowed.empty() ? "none" : absl::StrJoin(allowed, ", ")));
    }
    if (value->size() > kMaxParameterBytes) {
      return absl::InvalidArgumentError(
          absl::StrCat("the query's ", *name, " exceeds ", kMaxParameterBytes, " bytes"));
    }
    if (!parameters.emplace(*name, *value).second) {
      return absl::InvalidArgumentError(absl::StrCat("the query has ", *name, " twice"));
    }
  }
  return parameters;
}

}  // namespace

absl::StatusOr<std::string> PercentDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out.push_back(' ');
    } else if (text[i] != '%') {
      out.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return absl::InvalidArgumentError("a percent sign is not followed by two hex digits");
      }
      out.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  if (out.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError("a percent escape stands for a NUL byte");
  }
  // It goes on as a text to the enclave, which refuses a frame with anything else in it as a whole.
  if (!host::IsUtf8(out)) return absl::InvalidArgumentError("what is decoded is not UTF-8");
  return out;
}

void Router::Add(std::string method, std::string pattern, Role role, std::vector<std::string> query,
                 Handler handler) {
  routes_.push_back(
      Route{std::move(method), SplitPath(pattern), role, std::move(query), std::move(handler)});
}

void Router::AddOpen(std::string pattern, std::vector<std::string> query, Handler handler) {
  Add("GET", std::move(pattern), Role::kNobody, std::move(query), std::move(handler));
  routes_.back().open = true;
}

bool Router::Matches(const Route& route, const std::vector<std::string>& parts) {
  const bool tail = IsTail(route.parts.back());
  if (tail ? parts.size() < route.parts.size() : parts.size() != route.parts.size()) return false;
  for (size_t i = 0; i < route.parts.size(); ++i) {
    if (!IsParameter(route.parts[i]) && route.parts[i] != parts[i]) return false;
  }
  return true;
}

bool Router::CrossSite(const HttpRequest& request) const {
  if (local_only_ && !IsThisMachine(request.host)) return true;
  if (request.origin.empty()) return false;
  return request.origin != "http://" + request.host && request.origin != "https://" + request.host;
}

void Router::Handle(HttpRequest request, HttpResponder respond) {
  if (request.path.empty() || request.path.front() != '/' || request.path.size() > kMaxPathBytes) {
    return respond(
        HttpError(400, "bad_path", "the path must begin with / and be at most 2048 bytes"));
  }
  const std::vector<std::string> parts = SplitPath(request.path);
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  std::vector<std::string> methods;
  Route* found = nullptr;
  for (Route& route : routes_) {
    if (!Matches(route, parts)) continue;
    methods.push_back(route.method);
    if (route.method == method) found = &route;
    if (found != nullptr) break;
  }
  if (found != nullptr && found->open) {
    respond = [respond = std::move(respond)](HttpResponse response) mutable {
      response.headers.emplace_back("Access-Control-Allow-Origin", "*");
      respond(std::move(response));
    };
  } else if (CrossSite(request)) {
    return respond(HttpError(403, "cross_site", "requests made by other sites' pages are refused"));
  }
  // What is public stays public; all else is told to those with a token alone, even that it does
  // not exist.
  const Role needed = found != nullptr ? found->role : Role::kViewer;
  const Role role = tokens_.RoleOf(request.authorization);
  if (role < needed) {
    HttpResponse refusal = role == Role::kNobody
                               ? HttpError(401, "unauthorized",
                                           "send `Authorization: Bearer TOKEN` with a valid token")
                               : HttpError(403, "forbidden", "this needs the admin's token");
    if (role == Role::kNobody) refusal.headers.emplace_back("WWW-Authenticate", "Bearer");
    return respond(std::move(refusal));
  }
  if (methods.empty()) {
    return respond(HttpError(404, "not_found", "there is nothing at this path"));
  }
  if (found == nullptr) {
    HttpResponse refusal = HttpError(405, "method_not_allowed",
                                     absl::StrCat("allowed here: ", absl::StrJoin(methods, ", ")));
    refusal.headers.emplace_back("Allow", absl::StrJoin(methods, ", "));
    return respond(std::move(refusal));
  }
  if (!request.body.empty() &&
      !absl::StartsWithIgnoreCase(request.content_type, "application/json")) {
    return respond(HttpError(415, "content_type", "the body must be application/json"));
  }
  RoutedRequest routed;
  for (size_t i = 0; i < found->parts.size(); ++i) {
    if (!IsParameter(found->parts[i])) continue;
    if (IsTail(found->parts[i])) {
      const std::string& tail = found->parts[i];
      routed.path.emplace(
          tail.substr(1, tail.size() - 5),
          absl::StrJoin(parts.begin() + static_cast<ptrdiff_t>(i), parts.end(), "/"));
      break;
    }
    absl::StatusOr<std::string> value = PercentDecode(parts[i], false);
    if (!value.ok() || value->empty() || value->size() > kMaxParameterBytes) {
      return respond(HttpError(400, "bad_path",
                               value.ok() ? "a part of the path is empty or longer than 128 bytes"
                                          : std::string(value.status().message())));
    }
    const std::string& name = found->parts[i];
    routed.path.emplace(name.substr(1, name.size() - 2), *std::move(value));
  }
  absl::StatusOr<std::map<std::string, std::string>> query =
      ParseQuery(request.query, found->query);
  if (!query.ok()) {
    return respond(HttpError(400, "bad_query", std::string(query.status().message())));
  }
  routed.query = *std::move(query);
  routed.body = std::move(request.body);
  routed.peer = std::move(request.peer);
  found->handler(std::move(routed), std::move(respond));
}

}  // namespace coffer::host_proxy
