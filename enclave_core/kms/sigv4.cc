#include "enclave_core/kms/sigv4.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "enclave_core/ethereum/types.h"
#include "invariant/check.h"

namespace coffer::kms {
namespace {

using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

constexpr std::string_view kSecretPrefix = "AWS4";
constexpr std::string_view kSpace = " \t\r\n\v\f";

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

std::string Hex(const Digest& digest) {
  return ethereum::ToHex({reinterpret_cast<const char*>(digest.data()), digest.size()}).substr(2);
}

std::string HexSha256(std::string_view text) {
  Digest digest{};
  SHA256(Bytes(text), text.size(), digest.data());
  return Hex(digest);
}

Digest Hmac(std::string_view key, std::string_view message) {
  Digest digest{};
  unsigned size = 0;
  COFFER_CHECK(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), Bytes(message),
                    message.size(), digest.data(), &size) != nullptr &&
                   size == digest.size(),
               "OpenSSL computes an HMAC");
  return digest;
}

// Everything but the unreserved characters of RFC 3986, byte by byte.
std::string UriEncode(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (absl::ascii_isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~') {
      out.push_back(c);
    } else {
      out.append({'%', kDigits[byte >> 4U], kDigits[byte & 15U]});
    }
  }
  return out;
}

// RFC 3986, 6.2.2.3, without empty segments.
std::string CanonicalPath(std::string_view path) {
  std::vector<std::string> segments;
  for (const absl::string_view segment :
       absl::StrSplit(absl::string_view(path.data(), path.size()), '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      segments.push_back(UriEncode({segment.data(), segment.size()}));
    } else if (!segments.empty()) {
      segments.pop_back();
    }
  }
  const bool slash = !segments.empty() && !path.empty() && path.back() == '/';
  return absl::StrCat("/", absl::StrJoin(segments, "/"), slash ? "/" : "");
}

std::string CanonicalQuery(const HttpRequest& request) {
  std::vector<std::pair<std::string, std::string>> encoded;
  encoded.reserve(request.query.size());
  for (const auto& [name, value] : request.query) {
    encoded.emplace_back(UriEncode(name), UriEncode(value));
  }
  std::sort(encoded.begin(), encoded.end());
  return absl::StrJoin(encoded, "&", absl::PairFormatter("="));
}

// Without white space at its ends, and with one space for each run of it.
std::string Fold(std::string_view value) {
  std::string out;
  bool space = false;
  for (const char c : value) {
    if (kSpace.find(c) != std::string_view::npos) {
      space = !out.empty();
      continue;
    }
    if (space) out.push_back(' ');
    space = false;
    out.push_back(c);
  }
  return out;
}

// By name, in lower case.
std::map<std::string, std::string> CanonicalHeaders(const HttpRequest& request) {
  std::map<std::string, std::string> headers;
  for (const HttpHeader& header : request.headers) {
    const auto [at, first] =
        headers.try_emplace(absl::AsciiStrToLower(header.name), Fold(header.value));
    if (!first) absl::StrAppend(&at->second, ",", Fold(header.value));
  }
  return headers;
}

std::string SignedHeaders(const HttpRequest& request) {
  return absl::StrJoin(CanonicalHeaders(request), ";",
                       [](std::string* out, const auto& header) { out->append(header.first); });
}

std::string Timestamp(absl::Time time) {
  return absl::FormatTime("%Y%m%dT%H%M%SZ", time, absl::UTCTimeZone());
}

std::string Day(const CredentialScope& scope) {
  return absl::FormatTime("%Y%m%d", scope.time, absl::UTCTimeZone());
}

std::string ScopeText(const CredentialScope& scope) {
  return absl::StrCat(Day(scope), "/", scope.region, "/", scope.service, "/", kTerminator);
}

bool HasHeader(const HttpRequest& request, absl::string_view name) {
  return std::any_of(request.headers.begin(), request.headers.end(), [&](const HttpHeader& header) {
    return absl::EqualsIgnoreCase(header.name, name);
  });
}

// Visible ASCII without what would end a part of a scope or of the Authorization header.
bool IsPlain(std::string_view text, size_t max) {
  return text.size() <= max && std::all_of(text.begin(), text.end(), [](char c) {
           return c > ' ' && c <= '~' && c != '/' && c != ',';
         });
}

absl::Status CheckCredentials(const Credentials& credentials) {
  constexpr size_t kMaxNameBytes = 128;
  constexpr size_t kMaxTokenBytes = 8192;
  if (credentials.region.empty() || !IsPlain(credentials.region, kMaxNameBytes)) {
    return absl::InvalidArgumentError("the credentials' region is not the name of one");
  }
  if (credentials.access_key_id.empty() || !IsPlain(credentials.access_key_id, kMaxNameBytes)) {
    return absl::InvalidArgumentError("the credentials' access key id is none");
  }
  const std::string_view token = credentials.session_token;
  const bool visible =
      std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (token.size() > kMaxTokenBytes || !visible) {
    return absl::InvalidArgumentError("the credentials' session token is none");
  }
  return absl::OkStatus();
}

}  // namespace

std::string CanonicalRequest(const HttpRequest& request) {
  std::string headers;
  for (const auto& [name, value] : CanonicalHeaders(request)) {
    absl::StrAppend(&headers, name, ":", value, "\n");
  }
  return absl::StrJoin({request.method, CanonicalPath(request.path), CanonicalQuery(request),
                        headers, SignedHeaders(request), HexSha256(request.body)},
                       "\n");
}

std::string StringToSign(const std::string& canonical_request, const CredentialScope& scope) {
  return absl::StrCat(kAlgorithm, "\n", Timestamp(scope.time), "\n", ScopeText(scope), "\n",
                      HexSha256(canonical_request));
}

absl::StatusOr<ethereum::SecretBytes> SigningKey(const ethereum::SecretBytes& secret_access_key,
                                                 const CredentialScope& scope) {
  const std::string_view secret = secret_access_key.view();
  if (secret.empty() || secret.size() > kMaxSecretAccessKeyBytes) {
    return absl::InvalidArgumentError("the credentials' secret access key is none");
  }
  absl::StatusOr<ethereum::SecretBytes> key =
      ethereum::SecretBytes::Create(kSecretPrefix.size() + secret.size());
  if (!key.ok()) return key;
  std::memcpy(key->data().data(), kSecretPrefix.data(), kSecretPrefix.size());
  std::memcpy(key->data().data() + kSecretPrefix.size(), secret.data(), secret.size());
  for (const std::string& part :
       {Day(scope), scope.region, scope.service, std::string(kTerminator)}) {
    Digest digest = Hmac(key->view(), part);
    key = ethereum::SecretBytes::CopyOf(
        {reinterpret_cast<const char*>(digest.data()), digest.size()});
    OPENSSL_cleanse(digest.data(), digest.size());
    if (!key.ok()) return key;
  }
  return key;
}

absl::Status SignRequest(const Credentials& credentials, std::string_view service, absl::Time now,
                         HttpRequest* request) {
  if (absl::Status status = CheckCredentials(credentials); !status.ok()) return status;
  if (!HasHeader(*request, "host")) {
    return absl::InvalidArgumentError("a request without a host header cannot be signed");
  }
  for (const absl::string_view name : {"x-amz-date", "x-amz-security-token", "authorization"}) {
    if (HasHeader(*request, name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the request has the header ", name, " already, which signing adds"));
    }
  }
  const CredentialScope scope{credentials.region, std::string(service), now};
  const absl::StatusOr<ethereum::SecretBytes> key =
      SigningKey(credentials.secret_access_key, scope);
  if (!key.ok()) return key.status();
  request->headers.push_back({"x-amz-date", Timestamp(now)});
  if (!credentials.session_token.empty()) {
    request->headers.push_back({"x-amz-security-token", credentials.session_token});
  }
  const Digest signature = Hmac(key->view(), StringToSign(CanonicalRequest(*request), scope));
  request->headers.push_back(
      {"authorization",
       absl::StrCat(kAlgorithm, " Credential=", credentials.access_key_id, "/", ScopeText(scope),
                    ", SignedHeaders=", SignedHeaders(*request), ", Signature=", Hex(signature))});
  return absl::OkStatus();
}

}  // namespace coffer::kms
