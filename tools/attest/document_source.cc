#include "tools/attest/document_source.h"

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/strict_json.h"
#include "enclave_core/ethereum/types.h"
#include "tools/http_fetch.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr const char* kMember = "document_b64";
constexpr const char* kOpenPath = "/api/tee/core/attestation";

absl::StatusOr<std::string> FromBase64(std::string_view text) {
  std::string bytes;
  // White space and missing padding are forgiven: the document is signed, its wrapping is not.
  if (!absl::Base64Unescape(absl::string_view(text.data(), text.size()), &bytes) || bytes.empty()) {
    return absl::InvalidArgumentError(
        "the document is neither CBOR, nor base64, nor JSON with document_b64");
  }
  return bytes;
}

absl::StatusOr<std::string> FromJson(std::string_view text) {
  const absl::StatusOr<nlohmann::json> json = attestation::ReadStrictJson(text, kMaxDocumentText);
  if (!json.ok()) return json.status();
  const auto result = json->find("result");
  const nlohmann::json& object = result != json->end() && result->is_object() ? *result : *json;
  const auto member = object.find(kMember);
  if (member == object.end() || !member->is_string()) {
    return absl::InvalidArgumentError(
        "the JSON has no document_b64: a host without an attestor answers so");
  }
  return FromBase64(member->get_ref<const std::string&>());
}

}  // namespace

absl::StatusOr<std::string> DocumentBytes(std::string_view content) {
  if (content.empty()) return absl::InvalidArgumentError("the document is empty");
  // An array or a tag; neither base64 nor JSON begins like that.
  if (static_cast<unsigned char>(content.front()) >= 0x80) return std::string(content);
  const absl::string_view text =
      absl::StripAsciiWhitespace(absl::string_view(content.data(), content.size()));
  if (!text.empty() && text.front() == '{') return FromJson({text.data(), text.size()});
  return FromBase64({text.data(), text.size()});
}

absl::StatusOr<std::string> ReadDocumentFile(const std::string& path) {
  const absl::StatusOr<std::string> content = ReadWholeFile(path, kMaxDocumentText);
  if (!content.ok()) return content.status();
  absl::StatusOr<std::string> bytes = DocumentBytes(*content);
  if (bytes.ok()) return bytes;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", bytes.status().message()));
}

absl::StatusOr<std::string> FetchDocument(const DocumentServer& server, std::string_view nonce) {
  auto fetcher = HttpFetcher::Create(server.url, server.token, server.ca_file, server.timeout);
  if (!fetcher.ok()) return fetcher.status();
  const bool whole = absl::EndsWith((*fetcher)->name(), "/attestation");
  const std::string target =
      absl::StrCat(whole ? "" : kOpenPath, "?nonce=", ethereum::ToHex(nonce).substr(2));
  const absl::StatusOr<std::string> body = (*fetcher)->Get(target, kMaxDocumentText);
  if (!body.ok()) return body.status();
  absl::StatusOr<std::string> bytes = DocumentBytes(*body);
  if (bytes.ok()) return bytes;
  return absl::UnavailableError(
      absl::StrCat((*fetcher)->name(), " answered no document: ", bytes.status().message()));
}

}  // namespace coffer::tools
