// The real LogFiles: a folder of the file system. Every file is reached from the folder's own
// descriptor, component by component, and no symbolic link is followed on the way.
#ifndef COFFER_ACTORS_HOST_LOG_OS_LOG_FILES_H_
#define COFFER_ACTORS_HOST_LOG_OS_LOG_FILES_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/log/log_files.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

class OsLogFiles final : public LogFiles {
 public:
  // Makes the folder (mode 0755: its content is public) if it is missing.
  static absl::StatusOr<std::unique_ptr<OsLogFiles>> Open(const std::string& path);
  ~OsLogFiles() override;

  absl::Status Write(std::string_view path, std::string_view content) override;
  absl::Status WriteDurably(std::string_view path, std::string_view content) override;
  absl::StatusOr<std::string> Read(std::string_view path) override;
  absl::Status RemoveFolder(std::string_view path) override;
  // syncfs(2): one call however many files were written; the rest of the file system's too.
  absl::Status SyncAll() override;
  // Nothing without a thread for it. One at a time.
  void BeginSync() override;
  // The thread for BeginSync(). It has ended, or nothing runs on it any more, before `background`
  // is destroyed; it may outlive this object.
  void UseBackground(runtime::Dispatcher* background) { background_ = background; }
  const std::string& path() const override { return path_; }

 private:
  struct EarlySync;

  // Folders that are kept open, so that a tile costs no walk from the root.
  static constexpr size_t kOpenFolders = 16;

  OsLogFiles(std::string path, int root) : path_(std::move(path)), root_(root) {}

  // The descriptor of a folder below the root ("" is the root itself), made if `make` says so.
  // Valid until the next call.
  absl::StatusOr<int> Folder(std::string_view path, bool make);
  absl::Status Put(std::string_view path, std::string_view content, bool durably);
  void CloseFolders();
  std::string Where(std::string_view path) const;

  const std::string path_;
  const int root_;
  runtime::Dispatcher* background_ = nullptr;
  std::shared_ptr<EarlySync> early_;  // none until there was one
  std::map<std::string, int, std::less<>> folders_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_OS_LOG_FILES_H_
