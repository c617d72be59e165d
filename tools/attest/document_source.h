// Where the document to be verified comes from: a file, or a host's HTTP API.
#ifndef COFFER_TOOLS_ATTEST_DOCUMENT_SOURCE_H_
#define COFFER_TOOLS_ATTEST_DOCUMENT_SOURCE_H_

#include <cstddef>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace coffer::tools {

// Of a file or an answer, in whichever form the document is there.
inline constexpr size_t kMaxDocumentText = 256 * 1024;

// The document's bytes: `content` itself, or what it holds in base64 (white space is passed over),
// or the member document_b64 of the JSON object that it is, at the top or within "result", as
// Coffer's HTTP API and the JSON protocol answer. InvalidArgument when it is none of these. Bytes
// that begin like CBOR are taken as they are, right or wrong: they are the verification's to judge.
absl::StatusOr<std::string> DocumentBytes(std::string_view content);

// As DocumentBytes has it. NotFound, ResourceExhausted and Unavailable as for any file.
absl::StatusOr<std::string> ReadDocumentFile(const std::string& path);

struct DocumentServer {
  // http(s)://HOST[:PORT][/PREFIX], asked below it for /api/tee/core/attestation, which needs no
  // token; or the whole address of an endpoint whose path ends in /attestation.
  std::string url;
  std::string token;    // for "Authorization: Bearer", or empty
  std::string ca_file;  // instead of the system's authorities, or empty
  absl::Duration timeout;
};
// A fresh document with `nonce` (raw bytes). Errors as HttpFetcher::Get has them.
absl::StatusOr<std::string> FetchDocument(const DocumentServer& server, std::string_view nonce);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_ATTEST_DOCUMENT_SOURCE_H_
