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

// How many bytes the character that begins UTF-8 text takes if it is not to be shown; else 0.
size_t UnprintableAt(std::string_view text) {
  const auto byte = [&](size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
  };
  if (byte(0) < 0x20 || byte(0) == 0x7f) return 1;
  // U+0080 to U+009F, the control characters of 8-bit terminals, and U+061C.
  if (byte(0) == 0xc2 && byte(1) < 0xa0) return 2;
  if (byte(0) == 0xd8 && byte(1) == 0x9c) return 2;
  // U+200E, U+200F, U+2028 to U+202E; U+2066 to U+2069.
  const bool marks = byte(2) == 0x8e || byte(2) == 0x8f || (byte(2) >= 0xa8 && byte(2) <= 0xae);
  if (byte(0) == 0xe2 && byte(1) == 0x80 && marks) return 3;
  if (byte(0) == 0xe2 && byte(1) == 0x81 && byte(2) >= 0xa6 && byte(2) <= 0xa9) return 3;
  return 0;
}

}  // namespace

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
  const std::string valid = Utf8(text);
  std::string out;
  for (size_t at = 0; at < valid.size();) {
    const size_t length = UnprintableAt(std::string_view(valid).substr(at));
    out.push_back(length == 0 ? valid[at] : '?');
    at += std::max<size_t>(length, 1);
  }
  return out;
}

void PrintReport(const Report& report, std::ostream& out) {
  size_t width = 0;
  for (const Check& check : report.checks) width = std::max(width, check.name.size());
  for (const Check& check : report.checks) {
    std::string mark(OutcomeName(check.outcome));
    mark.resize(8, ' ');
    std::string name = check.name;
    name.resize(width + 2, ' ');
    out << mark << name << Printable(check.sentence) << "\n";
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
