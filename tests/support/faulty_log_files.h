// LogFiles in memory that fail on demand and, at a crash, lose what was not synced: of every file
// on its own the old content, the new one, or a part of the new one is what is found afterwards.
#ifndef COFFER_TESTS_SUPPORT_FAULTY_LOG_FILES_H_
#define COFFER_TESTS_SUPPORT_FAULTY_LOG_FILES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "actors/host/log/log_files.h"

namespace coffer::host {

class FaultyLogFiles final : public LogFiles {
 public:
  // The operation with this number (counting from 1) is cut short by a power failure; every later
  // one fails.
  void CrashAt(uint64_t operation) { crash_at_ = operations_ + operation; }
  // The next operations fail.
  void FailNext(uint64_t times, absl::Status status) {
    fail_times_ = times;
    fail_status_ = std::move(status);
  }
  // The next SyncAll fails, and what was not synced by then never will be, whatever later ones say.
  void FailSync(absl::Status status) { sync_status_ = std::move(status); }
  // No more faults.
  void Heal() {
    crash_at_ = fail_times_ = 0;
    sync_status_ = absl::OkStatus();
    capacity_ = ~uint64_t{0};
  }
  // Bytes of all files together; more is ResourceExhausted.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  bool crashed() const { return crashed_; }
  uint64_t operations() const { return operations_; }
  uint64_t syncs() const { return syncs_; }
  uint64_t syncs_begun() const { return syncs_begun_; }
  void BeginSync() override { ++syncs_begun_; }

  // Power comes back.
  void Restart(std::mt19937_64& random) {
    for (auto& [path, file] : files_) {
      if (file.now != file.durable) {
        const auto choice = random() % 3;
        if (choice == 0) file.now = file.durable;
        if (choice == 1 && file.now.has_value() && !file.now->empty()) {
          file.now->resize(random() % file.now->size());
        }
      }
      file.durable = file.now;
      file.dirty = false;
    }
    crashed_ = false;
    crash_at_ = 0;
  }

  // What the folder holds, to look at and to damage.
  std::map<std::string, std::string> All() const {
    std::map<std::string, std::string> all;
    for (const auto& [path, file] : files_) {
      if (file.now.has_value()) all[path] = *file.now;
    }
    return all;
  }
  void Put(const std::string& path, std::optional<std::string> content) {
    files_[path] = {content, content, false};
  }
  void Clear() { files_.clear(); }

  absl::Status Write(std::string_view path, std::string_view content) override {
    if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
    if (absl::Status s = Operation(content.size()); !s.ok()) {
      // A crash may come after the rename.
      if (crashed_) Change(path, content);
      return s;
    }
    Change(path, content);
    return absl::OkStatus();
  }
  absl::Status WriteDurably(std::string_view path, std::string_view content) override {
    if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
    if (absl::Status s = Operation(content.size()); !s.ok()) {
      // Old or new, never a part.
      if (crashed_ && content.size() % 2 == 0) Put(std::string(path), std::string(content));
      return s;
    }
    Put(std::string(path), std::string(content));
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Read(std::string_view path) override {
    if (absl::Status s = CheckLogPath(path); !s.ok()) return s;
    if (crashed_) return absl::InternalError("the power is off");
    const auto found = files_.find(path);
    if (found == files_.end() || !found->second.now.has_value()) {
      return absl::NotFoundError("no file " + std::string(path));
    }
    return *found->second.now;
  }
  absl::Status RemoveFolder(std::string_view path) override {
    if (absl::Status s = Operation(0); !s.ok()) return s;
    const std::string prefix = std::string(path) + "/";
    for (auto& [name, file] : files_) {
      if (name.compare(0, prefix.size(), prefix) != 0 || !file.now.has_value()) continue;
      file.now.reset();
      file.dirty = true;
    }
    return absl::OkStatus();
  }
  absl::Status SyncAll() override {
    if (absl::Status s = Operation(0); !s.ok()) return s;
    ++syncs_;
    absl::Status status = std::exchange(sync_status_, absl::OkStatus());
    for (auto& [path, file] : files_) {
      if (file.dirty && status.ok()) file.durable = file.now;
      file.dirty = false;
    }
    return status;
  }
  const std::string& path() const override { return path_; }

 private:
  struct File {
    std::optional<std::string> durable;
    std::optional<std::string> now;
    bool dirty = false;  // a sync would make it durable
  };

  void Change(std::string_view path, std::string_view content) {
    File& file = files_[std::string(path)];
    file.now = std::string(content);
    file.dirty = true;
  }

  absl::Status Operation(size_t bytes) {
    if (crashed_) return absl::InternalError("the power is off");
    ++operations_;
    if (operations_ == crash_at_) {
      crashed_ = true;
      return absl::InternalError("the power went off");
    }
    if (fail_times_ > 0) {
      --fail_times_;
      return fail_status_;
    }
    if (capacity_ == ~uint64_t{0} || bytes == 0) return absl::OkStatus();
    uint64_t used = bytes;
    for (const auto& [path, file] : files_) used += file.now.has_value() ? file.now->size() : 0;
    if (used > capacity_) return absl::ResourceExhaustedError("no space left on device");
    return absl::OkStatus();
  }

  const std::string path_ = "/faulty/log";
  std::map<std::string, File, std::less<>> files_;
  uint64_t operations_ = 0;
  uint64_t syncs_ = 0;
  uint64_t syncs_begun_ = 0;
  uint64_t crash_at_ = 0;
  uint64_t fail_times_ = 0;
  uint64_t capacity_ = ~uint64_t{0};
  absl::Status fail_status_;
  absl::Status sync_status_;
  bool crashed_ = false;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_SUPPORT_FAULTY_LOG_FILES_H_
