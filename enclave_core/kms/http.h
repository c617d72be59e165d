// HTTP/1.1 (RFC 9112) as much of it as one exchange with KMS takes: a request's bytes, and a
// response read strictly. What two readers could understand differently is refused, so that nobody
// on the way can make one response look like another.
#ifndef COFFER_ENCLAVE_CORE_KMS_HTTP_H_
#define COFFER_ENCLAVE_CORE_KMS_HTTP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coffer::kms {

inline constexpr size_t kMaxHttpHeadBytes = 16 * 1024;  // status line and headers
inline constexpr size_t kMaxHttpHeaders = 64;
inline constexpr size_t kMaxHttpBodyBytes = 64 * 1024;

struct HttpHeader {
  std::string name;
  std::string value;
};

struct HttpRequest {
  std::string method;
  std::string path;  // as the request line has it, percent-encoded once: "/"
  std::vector<std::pair<std::string, std::string>> query;  // names and values, not encoded
  std::vector<HttpHeader> headers;
  std::string body;
};

struct HttpResponse {
  int status = 0;                   // 200..599
  std::vector<HttpHeader> headers;  // names in lower case
  std::string body;

  // The value of the one header of this (lower-case) name; empty when there is none, or several.
  std::string_view Header(std::string_view name) const;
};

// The bytes of a request without a query, with Content-Length and "Connection: close" added.
// InvalidArgument: a query, or a method, path or header that would not be read back as it is.
absl::StatusOr<std::string> SerializeRequest(const HttpRequest& request);

// Reads one response from a stream, in whatever pieces it comes.
//
// Taken: HTTP/1.1, a final status, CRLF line ends, and a body by either exactly one Content-Length
// or "Transfer-Encoding: chunked" without extensions and trailers. Refused, among others: both or
// neither of them, a repeated Content-Length, folded headers, white space before a colon, bytes
// after the end.
class ResponseParser {
 public:
  // DataLoss with what is wrong; from then on every call says the same.
  absl::Status Feed(std::string_view bytes);
  // The stream has ended. DataLoss when the response is not whole.
  absl::Status FeedEnd();

  bool done() const { return state_ == State::kDone; }
  // Once done.
  HttpResponse Take() { return std::move(response_); }

 private:
  enum class State : uint8_t { kHead, kBody, kChunkSize, kChunk, kChunkEnd, kLastEnd, kDone };

  absl::Status Wrong(absl::string_view what);
  // Each takes what it can from buffer_; false when more bytes are needed.
  absl::StatusOr<bool> Step();
  absl::StatusOr<bool> TakeHead();
  absl::StatusOr<bool> TakeBody();
  absl::StatusOr<bool> TakeChunkSize();
  absl::StatusOr<bool> TakeLineEnd();
  absl::Status ParseHeader(std::string_view line);
  absl::Status ChooseFraming();

  State state_ = State::kHead;
  absl::Status failed_;
  std::string buffer_;  // received and not yet taken: a head or a body at most, and one Feed
  size_t wanted_ = 0;   // bytes of the body, or of the chunk
  HttpResponse response_;
};

}  // namespace coffer::kms

#endif  // COFFER_ENCLAVE_CORE_KMS_HTTP_H_
