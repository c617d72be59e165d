#include "tools/verify_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace coffer::tools {

void Problems::Add(std::string sentence) {
  if (std::find(first_.begin(), first_.end(), sentence) != first_.end()) return;
  ++count_;
  if (first_.size() < kKept) first_.push_back(std::move(sentence));
}

std::string Problems::Sentence() const {
  std::string out = absl::StrJoin(first_, "; ");
  if (count_ > first_.size()) absl::StrAppend(&out, "; and ", count_ - first_.size(), " more");
  return out;
}

Json::Value ReportJson(const Report& report) {
  Json::Value json;
  const int code = report.ExitCode();
  json["verified"] = code == kCouldNotTell ? Json::Value() : Json::Value(code == kVerified);
  json["checks"] = Json::Value(Json::arrayValue);
  for (const Check& check : report.checks) {
    Json::Value one;
    one["name"] = check.name;
    one["outcome"] = std::string(OutcomeName(check.outcome));
    one["sentence"] = Utf8(check.sentence);
    json["checks"].append(std::move(one));
  }
  return json;
}

}  // namespace coffer::tools
