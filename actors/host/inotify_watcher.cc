#include "actors/host/inotify_watcher.h"

#include <event2/event.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/status/status.h"

namespace coffer::host {

InotifyWatcher::InotifyWatcher(int fd, std::string name, runtime::Task changed)
    : fd_(fd), name_(std::move(name)), changed_(std::move(changed)) {}

InotifyWatcher::~InotifyWatcher() {
  if (event_ != nullptr) event_free(event_);
  close(fd_);
}

absl::StatusOr<std::unique_ptr<InotifyWatcher>> InotifyWatcher::Start(event_base* base,
                                                                      const std::string& path,
                                                                      runtime::Task changed) {
  const std::filesystem::path whole(path);
  const std::string folder = whole.has_parent_path() ? whole.parent_path().string() : ".";
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, "inotify_init1");
  std::unique_ptr<InotifyWatcher> watcher(
      new InotifyWatcher(fd, whole.filename().string(), std::move(changed)));
  constexpr uint32_t kMask = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_ONLYDIR;
  if (inotify_add_watch(fd, folder.c_str(), kMask) < 0) {
    return absl::ErrnoToStatus(errno, "cannot watch " + folder);
  }
  watcher->event_ = event_new(base, fd, EV_READ | EV_PERSIST, &OnReadable, watcher.get());
  if (watcher->event_ == nullptr || event_add(watcher->event_, nullptr) != 0) {
    return absl::InternalError("libevent does not take the inotify descriptor");
  }
  return watcher;
}

void InotifyWatcher::OnReadable(int, short, void* self) {
  auto* const watcher = static_cast<InotifyWatcher*>(self);
  if (watcher->Drain()) watcher->changed_();  // may destroy the watcher
}

bool InotifyWatcher::Drain() {
  bool about_it = false;
  alignas(inotify_event) char buffer[16 << 10];
  while (true) {
    const ssize_t n = read(fd_, buffer, sizeof buffer);
    if (n <= 0) return about_it;
    for (ssize_t at = 0; at < n;) {
      inotify_event head;
      std::memcpy(&head, buffer + at, sizeof head);
      // A queue that ran over tells of no file: it may have been ours.
      if ((head.mask & IN_Q_OVERFLOW) != 0) about_it = true;
      if (head.len > 0 && name_ == buffer + at + sizeof head) about_it = true;
      at += static_cast<ssize_t>(sizeof head + head.len);
    }
  }
}

}  // namespace coffer::host
