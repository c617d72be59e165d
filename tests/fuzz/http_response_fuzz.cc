// HTTP responses as the KMS client reads them: the pieces in which they come change nothing, and
// what is accepted is to a second reader, which knows nothing of state, the same body and all there
// is.
//
// Input: the size of the pieces (one byte), then the stream.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "enclave_core/kms/http.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

namespace kms = coffer::kms;

struct Outcome {
  bool whole = false;
  kms::HttpResponse response;
};

Outcome Read(std::string_view stream, size_t piece) {
  kms::ResponseParser parser;
  for (size_t at = 0; at < stream.size(); at += piece) {
    if (!parser.Feed(stream.substr(at, piece)).ok()) {
      COFFER_CHECK(!parser.Feed("").ok() && !parser.FeedEnd().ok(), "an error stays one");
      return {};
    }
  }
  const bool done = parser.done();
  COFFER_CHECK(parser.FeedEnd().ok() == done, "a stream that ends early is an error");
  return done ? Outcome{true, parser.Take()} : Outcome{};
}

// The body of a stream that was accepted, by looking at it as a whole.
std::string SecondReader(const std::string& stream, const kms::HttpResponse& response) {
  const size_t head = stream.find("\r\n\r\n") + 4;
  if (response.Header("transfer-encoding").empty()) {
    const size_t length =
        std::strtoul(std::string(response.Header("content-length")).c_str(), nullptr, 10);
    COFFER_CHECK(stream.size() == head + length, "nothing follows, nothing is missing");
    return stream.substr(head);
  }
  std::string body;
  size_t at = head;
  while (true) {
    char* end = nullptr;
    const size_t size = std::strtoul(stream.c_str() + at, &end, 16);
    at = static_cast<size_t>(end - stream.c_str()) + 2;
    body += stream.substr(at, size);
    at += size + 2;
    if (size == 0) break;
  }
  COFFER_CHECK(at == stream.size(), "nothing follows, nothing is missing");
  return body;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  const size_t piece = 1 + input.Below(64);
  const std::string stream(input.rest());
  const Outcome whole = Read(stream, stream.size() + 1);
  const Outcome torn = Read(stream, piece);
  COFFER_CHECK(whole.whole == torn.whole, "pieces change nothing");
  if (!whole.whole) return 0;
  COFFER_CHECK(whole.response.status == torn.response.status &&
                   whole.response.body == torn.response.body &&
                   whole.response.headers.size() == torn.response.headers.size(),
               "pieces change nothing");
  COFFER_CHECK(whole.response.status >= 200 && whole.response.status <= 599, "a final status");
  COFFER_CHECK(whole.response.body.size() <= kms::kMaxHttpBodyBytes, "bounded");
  COFFER_CHECK(whole.response.body == SecondReader(stream, whole.response), "one body");
  return 0;
}
