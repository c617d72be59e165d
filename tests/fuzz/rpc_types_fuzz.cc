// Whatever a node answers, the typed parsers neither crash nor pass on more than they promise.
//
// Input: JSON text; what is not JSON is read as the text of a string.
#include <json/reader.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "actors/host/rpc_types.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

Json::Value JsonOf(std::string_view text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = 32;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value value;
  std::string errors;
  try {
    if (reader->parse(text.data(), text.data() + text.size(), &value, &errors)) return value;
  } catch (const Json::Exception&) {
    // Too deep; the reader says that by throwing.
  }
  return Json::Value(std::string(text));
}

void CheckReceipt(const Json::Value& json) {
  const auto receipt = ParseReceipt(json);
  if (!receipt.ok() || !receipt->has_value()) return;
  COFFER_CHECK((*receipt)->logs.size() <= kMaxLogsInAnswer, "logs are bounded");
  for (const ethereum::Log& log : (*receipt)->logs) {
    COFFER_CHECK(log.topics.size() <= 4 && log.data.size() <= kMaxRpcDataBytes, "a log is bounded");
  }
}

void CheckQuantity(const Json::Value& json) {
  const auto small = ParseQuantity(json);
  const auto large = ParseQuantityU256(json);
  if (small.ok()) {
    COFFER_CHECK(large.ok() && *large == *small, "both readers agree");
    COFFER_CHECK(QuantityHex(*small) == QuantityHex(*large), "both writers agree");
  }
  if (large.ok()) {
    const auto again = ParseQuantityU256(Json::Value(QuantityHex(*large)));
    COFFER_CHECK(again.ok() && *again == *large, "what is written is read back");
  }
}

void CheckError(const Json::Value& json) {
  const RpcError error = ParseRpcError(json);
  COFFER_CHECK(error.message.size() <= kMaxErrorText, "error texts are bounded");
  COFFER_CHECK(!RpcErrorKindName(ClassifyRpcError(error)).empty(), "every kind has a name");
  COFFER_CHECK(!RevertReasonOf(error).empty(), "a reason is never empty");
}

}  // namespace
}  // namespace coffer::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coffer::host;  // NOLINT(google-build-using-namespace): one function, not a header
  const Json::Value json = JsonOf({reinterpret_cast<const char*>(data), size});
  CheckQuantity(json);
  CheckReceipt(json);
  CheckError(json);
  (void)ParseBlock(json);
  (void)ParseLogs(json);
  const auto bytes = ParseData(json);
  COFFER_CHECK(!bytes.ok() || bytes->size() <= kMaxRpcDataBytes, "data is bounded");
  (void)ParseHash(json);
  (void)ParseAddress(json);
  return 0;
}
