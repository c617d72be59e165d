#include "actors/host/disk_error.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace coffer::host {

absl::Status DiskError(const char* what, const std::string& where, int error) {
  const std::string sentence = absl::StrCat(what, " of ", where, " failed: ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(sentence);
    case ENOENT:
      return absl::NotFoundError(sentence);
    default:
      return absl::InternalError(sentence);
  }
}

}  // namespace coffer::host
