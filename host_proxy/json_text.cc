#include "host_proxy/json_text.h"

#include <json/reader.h>
#include <json/writer.h>

#include <exception>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_replace.h"
#include "actors/host/json_text.h"

namespace coffer::host_proxy {
namespace {

// The escape of half a surrogate pair, which jsoncpp lets through as three bytes that are no UTF-8.
bool IsUtf8(const Json::Value& value) {
  if (value.isString()) {
    const char* begin = nullptr;
    const char* end = nullptr;
    value.getString(&begin, &end);
    return host::IsUtf8({begin, static_cast<size_t>(end - begin)});
  }
  if (!value.isObject() && !value.isArray()) return true;
  for (auto member = value.begin(); member != value.end(); ++member) {
    if (value.isObject() && !host::IsUtf8(member.name())) return false;
    if (!IsUtf8(*member)) return false;
  }
  return true;
}

}  // namespace

std::string ToText(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  builder["emitUTF8"] = true;
  return Json::writeString(builder, value) + "\n";
}

absl::StatusOr<Json::Value> FromText(std::string_view text) {
  if (!host::IsUtf8(text)) {
    return absl::InvalidArgumentError("the body is not valid JSON: it is not UTF-8");
  }
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
    if (reader->parse(text.data(), text.data() + text.size(), &value, &errors)) {
      if (IsUtf8(value)) return value;
      errors = "a text in it is not UTF-8";
    }
  } catch (const std::exception& e) {
    errors = e.what();
  }
  absl::StrReplaceAll({{"\n", " "}}, &errors);
  return absl::InvalidArgumentError("the body is not valid JSON: " + errors);
}

}  // namespace coffer::host_proxy
