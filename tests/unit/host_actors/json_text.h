// JSON as the tests write and compare it.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_JSON_TEXT_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_JSON_TEXT_H_

#include <gtest/gtest.h>
#include <json/reader.h>
#include <json/writer.h>

#include <sstream>
#include <string>

namespace coffer::host {

inline Json::Value J(const std::string& text) {
  Json::Value value;
  std::istringstream in(text);
  std::string errors;
  EXPECT_TRUE(Json::parseFromStream(Json::CharReaderBuilder(), in, &value, &errors)) << errors;
  return value;
}

inline std::string Compact(const Json::Value& value) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  return Json::writeString(builder, value);
}

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_JSON_TEXT_H_
