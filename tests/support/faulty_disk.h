// A Disk in memory that fails on demand and, at a crash, loses what was not synced: of every
// unsynced write each sector on its own, of the directory's unsynced changes each one on its own.
#ifndef COFFER_TESTS_SUPPORT_FAULTY_DISK_H_
#define COFFER_TESTS_SUPPORT_FAULTY_DISK_H_

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "actors/host/disk.h"

namespace coffer::host {

class FaultyDisk final : public Disk {
 public:
  static constexpr size_t kSector = 512;

  struct Inode {
    std::string durable;
    std::string now;
    std::vector<size_t> dirty;  // sectors written since the last sync
    bool size_dirty = false;
  };
  using Directory = std::map<std::string, std::shared_ptr<Inode>>;

  // The operation with this number (counting from 1) is cut short by a power failure; every later
  // one fails.
  void CrashAt(uint64_t operation) { crash_at_ = operation; }
  // Operations from `operation` on fail with `status`, `times` of them.
  void FailAt(uint64_t operation, absl::Status status, uint64_t times = 1) {
    fail_at_ = operation;
    fail_times_ = times;
    fail_status_ = std::move(status);
  }
  void FailSyncs(absl::Status status) { sync_status_ = std::move(status); }
  // The next Sync of a file fails, and what it should have made durable never will be, whatever
  // later ones say, though it can still be read until the power goes: what Linux does.
  void LoseNextSync() { lose_sync_ = true; }
  // No more faults.
  void Heal() {
    fail_at_ = crash_at_ = 0;
    lose_sync_ = false;
    sync_status_ = absl::OkStatus();
    capacity_ = ~uint64_t{0};
  }
  // Bytes of all files together; more is ResourceExhausted.
  void set_capacity(uint64_t bytes) { capacity_ = bytes; }
  uint64_t operations() const { return operations_; }
  bool crashed() const { return crashed_; }
  uint64_t syncs() const { return syncs_; }

  // Power comes back: `random` decides what of the unsynced changes survived.
  void Restart(std::mt19937_64& random) {
    Directory after = durable_;
    for (const auto& [name, inode] : now_) {  // created, or renamed to
      if (durable_.count(name) != 0 && durable_.at(name) == inode) continue;
      if (random() % 2 == 0) after[name] = inode;
    }
    for (const auto& [name, inode] : durable_) {  // removed, or renamed from
      if (now_.count(name) == 0 && random() % 2 == 0) after.erase(name);
    }
    for (auto& [name, inode] : after) Settle(*inode, random);
    now_ = durable_ = after;
    crashed_ = false;
    crash_at_ = fail_at_ = 0;
    operations_ = 0;
  }

  // The bytes of a file, to damage them.
  std::string& Contents(const std::string& name) { return now_.at(name)->now; }
  bool Exists(const std::string& name) const { return now_.count(name) != 0; }
  // Forgets nothing and copies everything: a disk in the same state.
  std::unique_ptr<FaultyDisk> Clone() const {
    auto copy = std::make_unique<FaultyDisk>();
    for (const auto& [name, inode] : now_) {
      auto fresh = std::make_shared<Inode>();
      fresh->now = fresh->durable = inode->now;
      copy->now_[name] = copy->durable_[name] = fresh;
    }
    return copy;
  }

  absl::StatusOr<std::unique_ptr<DiskFile>> Create(std::string_view name) override {
    if (absl::Status s = Operation(); !s.ok()) return s;
    auto inode = std::make_shared<Inode>();
    now_[std::string(name)] = inode;
    return std::make_unique<File>(this, inode);
  }
  absl::StatusOr<std::unique_ptr<DiskFile>> Open(std::string_view name) override {
    const auto it = now_.find(std::string(name));
    if (it == now_.end()) return absl::NotFoundError("no file " + std::string(name));
    return std::make_unique<File>(this, it->second);
  }
  absl::StatusOr<std::vector<std::string>> List() override {
    std::vector<std::string> names;
    for (const auto& [name, inode] : now_) names.push_back(name);
    return names;
  }
  absl::Status Rename(std::string_view from, std::string_view to) override {
    if (absl::Status s = Operation(); !s.ok()) return s;
    const auto it = now_.find(std::string(from));
    if (it == now_.end()) return absl::NotFoundError("no file " + std::string(from));
    now_[std::string(to)] = it->second;
    now_.erase(std::string(from));
    return absl::OkStatus();
  }
  absl::Status Remove(std::string_view name) override {
    if (absl::Status s = Operation(); !s.ok()) return s;
    if (now_.erase(std::string(name)) == 0) return absl::NotFoundError("no file");
    return absl::OkStatus();
  }
  absl::Status SyncDirectory() override {
    if (absl::Status s = Operation(); !s.ok()) return s;
    durable_ = now_;
    return absl::OkStatus();
  }
  const std::string& path() const override { return path_; }

 private:
  class File final : public DiskFile {
   public:
    File(FaultyDisk* disk, std::shared_ptr<Inode> inode) : disk_(disk), inode_(std::move(inode)) {}

    absl::Status Write(uint64_t offset, std::string_view bytes) override {
      absl::Status status = disk_->Operation();
      // A write that is cut short may have put down any part.
      if (!status.ok() && !disk_->crashed_) return status;
      if (absl::Status s = Resize(std::max<uint64_t>(inode_->now.size(), offset + bytes.size()));
          !s.ok()) {
        return s;
      }
      std::copy(bytes.begin(), bytes.end(), inode_->now.begin() + static_cast<ptrdiff_t>(offset));
      for (size_t at = offset / kSector; at * kSector < offset + bytes.size(); ++at) {
        inode_->dirty.push_back(at);
      }
      return status;
    }
    absl::StatusOr<std::string> Read(uint64_t offset, size_t size) override {
      if (offset >= inode_->now.size()) return std::string();
      return inode_->now.substr(offset, size);
    }
    absl::Status Sync() override {
      if (absl::Status s = disk_->Operation(); !s.ok()) return s;
      ++disk_->syncs_;
      if (!disk_->sync_status_.ok()) return disk_->sync_status_;
      const bool lost = std::exchange(disk_->lose_sync_, false);
      if (!lost) Persist();
      inode_->dirty.clear();
      inode_->size_dirty = false;
      return lost ? absl::InternalError("input/output error") : absl::OkStatus();
    }
    absl::Status Allocate(uint64_t size) override {
      if (absl::Status s = disk_->Operation(); !s.ok()) return s;
      return Resize(std::max<uint64_t>(inode_->now.size(), size));
    }
    absl::Status Truncate(uint64_t size) override {
      if (absl::Status s = disk_->Operation(); !s.ok()) return s;
      return Resize(size);
    }
    absl::StatusOr<uint64_t> Size() override { return inode_->now.size(); }

   private:
    void Persist() {
      std::string& durable = inode_->durable;
      durable.resize(inode_->now.size(), '\0');
      for (const size_t sector : inode_->dirty) {
        const size_t from = sector * kSector;
        if (from >= durable.size()) continue;
        const size_t size = std::min(kSector, durable.size() - from);
        durable.replace(from, size, inode_->now, from, size);
      }
    }
    absl::Status Resize(uint64_t size) {
      uint64_t used = size;
      for (const auto& [name, inode] : disk_->now_) {
        if (inode != inode_) used += inode->now.size();
      }
      if (size > inode_->now.size() && used > disk_->capacity_) {
        return absl::ResourceExhaustedError("no space left on device");
      }
      if (size != inode_->now.size()) inode_->size_dirty = true;
      inode_->now.resize(size, '\0');
      return absl::OkStatus();
    }
    FaultyDisk* disk_;
    std::shared_ptr<Inode> inode_;
  };

  absl::Status Operation() {
    if (crashed_) return absl::InternalError("the power is off");
    ++operations_;
    if (operations_ == crash_at_) {
      crashed_ = true;
      return absl::InternalError("the power went off");
    }
    if (fail_at_ != 0 && operations_ >= fail_at_ && operations_ < fail_at_ + fail_times_) {
      return fail_status_;
    }
    return absl::OkStatus();
  }

  static void Settle(Inode& inode, std::mt19937_64& random) {
    std::string after = inode.durable;
    if (inode.size_dirty && random() % 2 == 0) after.resize(inode.now.size(), '\0');
    for (const size_t sector : inode.dirty) {
      const size_t from = sector * kSector;
      if (from >= after.size() || from >= inode.now.size() || random() % 2 == 0) continue;
      const size_t size = std::min({kSector, after.size() - from, inode.now.size() - from});
      after.replace(from, size, inode.now, from, size);
    }
    inode.now = inode.durable = after;
    inode.dirty.clear();
    inode.size_dirty = false;
  }

  const std::string path_ = "/faulty";
  Directory durable_;
  Directory now_;
  uint64_t operations_ = 0;
  uint64_t syncs_ = 0;
  uint64_t crash_at_ = 0;
  uint64_t fail_at_ = 0;
  uint64_t fail_times_ = 0;
  absl::Status fail_status_;
  absl::Status sync_status_;
  uint64_t capacity_ = ~uint64_t{0};
  bool crashed_ = false;
  bool lose_sync_ = false;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_SUPPORT_FAULTY_DISK_H_
