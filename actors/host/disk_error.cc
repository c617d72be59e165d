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
    case EFBIG:  // a limit on the size of files
      return absl::ResourceExhaustedError(sentence);
    case EMFILE:
    case ENFILE:
      return absl::UnavailableError(sentence);
    case ENOENT:
      return absl::NotFoundError(sentence);
    default:
      return absl::InternalError(sentence);
  }
}

}  // namespace coffer::host
