#include "host_proxy/json_text.h"

#include <json/reader.h>
#include <json/writer.h>

#include <exception>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"

namespace coffer::host_proxy {

std::string ToText(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["emitUTF8"] = true;
  return Json::writeString(builder, value) + "\n";
}

absl::StatusOr<Json::Value> FromText(std::string_view text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["strictRoot"] = false;
  builder["stackLimit"] = 16;
  builder["failIfExtra"] = true;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value value;
  std::string errors;
  // jsoncpp throws beyond its stack limit and on some malformed numbers.
  try {
    if (reader->parse(text.data(), text.data() + text.size(), &value, &errors)) return value;
  } catch (const std::exception& e) {
    errors = e.what();
  }
  absl::StrReplaceAll({{"\n", " "}}, &errors);
  return absl::InvalidArgumentError("the body is not valid JSON: " + errors);
}

}  // namespace coffer::host_proxy
