#include "actors/host/log/log_files.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

bool GoodComponent(std::string_view name) {
  if (name.empty() || name == "." || name == "..") return false;
  for (const char c : name) {
    if (!absl::ascii_isalnum(static_cast<unsigned char>(c)) && c != '.' && c != '_' && c != '-') {
      return false;
    }
  }
  return true;
}

}  // namespace

absl::Status CheckLogPath(std::string_view path) {
  bool good = path.size() <= kMaxLogPath;
  for (std::string_view rest = path; good;) {
    const size_t slash = rest.find('/');
    good = GoodComponent(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
  }
  if (good) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "not a path of a file of the log (", path.size(),
      " bytes): want names of letters, digits, \".\", \"_\" and \"-\", with \"/\" between them"));
}

}  // namespace coffer::host
