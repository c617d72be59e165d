#include "tools/log_source.h"

#include "absl/strings/str_cat.h"
#include "tools/small_files.h"

namespace coffer::tools {

absl::StatusOr<std::string> FolderSource::Read(const std::string& path, size_t max_bytes) {
  return ReadWholeFile(absl::StrCat(folder_, "/", path), max_bytes);
}

}  // namespace coffer::tools
