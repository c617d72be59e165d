// Wakes the tailer as soon as the journal changes; the tailer's own timer is the fall-back where
// inotify does not work (network file systems, no more watches).
#ifndef COFFER_ACTORS_HOST_INOTIFY_WATCHER_H_
#define COFFER_ACTORS_HOST_INOTIFY_WATCHER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "runtime/dispatcher.h"

struct event;
struct event_base;

namespace coffer::host {

// Stops watching when destroyed.
class FileWatcher {
 public:
  virtual ~FileWatcher() = default;
};

class InotifyWatcher final : public FileWatcher {
 public:
  // Calls `changed` on the thread of `base` after the file `path` was written, made, moved here or
  // away: once for many changes. The folder is watched, not the file, so the file may come later
  // and be rotated; the folder must exist. An error (inotify(7): too many watches or instances) is
  // a reason to go on without.
  static absl::StatusOr<std::unique_ptr<InotifyWatcher>> Start(event_base* base,
                                                               const std::string& path,
                                                               runtime::Task changed);
  ~InotifyWatcher() override;
  InotifyWatcher(const InotifyWatcher&) = delete;
  InotifyWatcher& operator=(const InotifyWatcher&) = delete;

 private:
  InotifyWatcher(int fd, std::string name, runtime::Task changed);
  static void OnReadable(int fd, short what, void* self);
  // Takes all that the kernel has queued; true when any of it is about the file.
  bool Drain();

  const int fd_;
  const std::string name_;
  runtime::Task changed_;
  event* event_ = nullptr;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_INOTIFY_WATCHER_H_
