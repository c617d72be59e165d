#include "tools/verify_report.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "actors/host/json_text.h"

namespace coffer::tools {
namespace {

// JSON is UTF-8, and a hostile id need not be.
std::string Utf8(const std::string& text) {
  if (host::IsUtf8(text)) return text;
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
  return out;
}

}  // namespace

std::string_view OutcomeName(Outcome outcome) {
  switch (outcome) {
    case Outcome::kPassed:
      return "passed";
    case Outcome::kFailed:
      return "failed";
    case Outcome::kSkipped:
      return "skipped";
    case Outcome::kUnknown:
      break;
  }
  return "unknown";
}

void Report::Add(std::string name, Outcome outcome, std::string sentence) {
  checks.push_back({std::move(name), outcome, std::move(sentence)});
}

const Check* Report::Find(std::string_view name) const {
  const auto found = std::find_if(checks.begin(), checks.end(),
                                  [&](const Check& check) { return check.name == name; });
  return found == checks.end() ? nullptr : &*found;
}

bool Report::Failed() const { return ExitCode() == kNotVerified; }

int Report::ExitCode() const {
  int code = kVerified;
  for (const Check& check : checks) {
    if (check.outcome == Outcome::kFailed) return kNotVerified;
    if (check.outcome == Outcome::kUnknown) code = kCouldNotTell;
  }
  return code;
}

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

std::string Printable(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

void PrintReport(const Report& report, std::ostream& out) {
  size_t width = 0;
  for (const Check& check : report.checks) width = std::max(width, check.name.size());
  for (const Check& check : report.checks) {
    std::string mark(OutcomeName(check.outcome));
    mark.resize(8, ' ');
    std::string name = check.name;
    name.resize(width + 2, ' ');
    out << mark << name << Printable(Utf8(check.sentence)) << "\n";
  }
  switch (report.ExitCode()) {
    case kVerified:
      out << "verified\n";
      break;
    case kNotVerified:
      out << "NOT VERIFIED\n";
      break;
    default:
      out << "could not tell\n";
  }
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
