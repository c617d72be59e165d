#include "tools/attest/report_text.h"

#include <algorithm>
#include <ostream>
#include <string>
#include <string_view>

#include "enclave_core/audit/text.h"

namespace coffer::tools {
namespace {

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

std::string Utf8(const std::string& text) {
  if (audit::IsUtf8(text)) return text;
  std::string out = text;
  for (char& c : out) {
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  }
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

}  // namespace coffer::tools
