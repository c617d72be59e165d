// Any bytes as a JSON request: no crash, the same frame twice, what is refused leaves the frame
// empty and is explained in JSON, and what is taken is JSON to a second, whole parser.
#include <simdjson.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/error.h"
#include "enclave_core/json_protocol/json_protocol.h"
#include "invariant/check.h"

namespace {

using coffer::boundary::v1::ClientFrame;

void CheckJson(const std::string& text) {
  simdjson::dom::parser dom;
  simdjson::dom::element element;
  const auto error = dom.parse(text).get(element);
  // Numbers beyond a double's range are valid JSON.
  if (error == simdjson::NUMBER_ERROR) return;
  COFFER_CHECK(error == simdjson::SUCCESS && element.is_object(), "a JSON object");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  ClientFrame frame;
  const auto call = coffer::json_protocol::ParseRequest(text, &frame);
  if (!call.ok()) {
    COFFER_CHECK(frame.ByteSizeLong() == 0, "a refused request leaves no frame");
    coffer::boundary::v1::Error error;
    coffer::ToProto(call.status(), &error);
    COFFER_CHECK(error.code() != coffer::boundary::v1::ERROR_INTERNAL, "a refusal has a code");
    CheckJson(coffer::json_protocol::WriteError(error));
    return 0;
  }
  CheckJson(text);
  COFFER_CHECK(frame.body_case() != ClientFrame::BODY_NOT_SET, "a request has a body");
  const std::string bytes = frame.SerializeAsString();
  ClientFrame parsed;
  COFFER_CHECK(parsed.ParseFromString(bytes), "strings of a frame are valid UTF-8");
  ClientFrame again;
  COFFER_CHECK(
      coffer::json_protocol::ParseRequest(text, &again).ok() && again.SerializeAsString() == bytes,
      "a request means the same twice");
  return 0;
}
