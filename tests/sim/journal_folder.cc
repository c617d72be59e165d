#include "tests/sim/journal_folder.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace coffer::sim {

class JournalFolder::File final : public host::JournalFile {
 public:
  explicit File(std::shared_ptr<Inode> inode) : inode_(std::move(inode)) {}
  absl::StatusOr<host::FileFacts> Facts() override { return FactsOf(*inode_); }
  absl::StatusOr<size_t> ReadAt(uint64_t offset, char* out, size_t size) override {
    if (offset >= inode_->bytes.size()) return 0;
    return inode_->bytes.copy(out, size, offset);
  }

 private:
  const std::shared_ptr<Inode> inode_;
};

absl::StatusOr<std::unique_ptr<host::JournalFile>> JournalFolder::Open(const std::string& path) {
  const auto found = names_.find(path);
  if (found == names_.end()) return absl::NotFoundError("no file " + path);
  return std::make_unique<File>(found->second);
}

absl::StatusOr<host::FileFacts> JournalFolder::Facts(const std::string& path) {
  const auto found = names_.find(path);
  if (found == names_.end()) return absl::NotFoundError("no file " + path);
  return FactsOf(*found->second);
}

std::vector<host::RotatedFile> JournalFolder::Rotated(const std::string& path) {
  std::vector<host::RotatedFile> rotated;
  for (const auto& [name, inode] : names_) {
    const bool numbered = name.size() > path.size() + 1 &&
                          name.compare(0, path.size(), path) == 0 &&
                          (name[path.size()] == '.' || name[path.size()] == '-') &&
                          std::all_of(name.begin() + static_cast<ptrdiff_t>(path.size()) + 1,
                                      name.end(), [](unsigned char c) { return std::isdigit(c); });
    if (numbered) rotated.push_back({name, FactsOf(*inode)});
  }
  std::stable_sort(rotated.begin(), rotated.end(), [](const auto& a, const auto& b) {
    return a.facts.modified_nanos < b.facts.modified_nanos;
  });
  return rotated;
}

void JournalFolder::Touch(Inode& inode) const {
  inode.modified_nanos = absl::ToUnixNanos(scheduler_->Now());
}

JournalFolder::Inode& JournalFolder::Make(const std::string& path) {
  std::shared_ptr<Inode>& inode = names_[path];
  inode = std::make_shared<Inode>();
  inode->number = ++inodes_;
  return *inode;
}

void JournalFolder::Append(const std::string& path, std::string_view bytes) {
  const auto found = names_.find(path);
  Inode& inode = found == names_.end() ? Make(path) : *found->second;
  inode.bytes += bytes;
  Touch(inode);
}

void JournalFolder::Truncate(const std::string& path, size_t size) {
  const auto found = names_.find(path);
  if (found == names_.end() || size > found->second->bytes.size()) return;
  found->second->bytes.resize(size);
  Touch(*found->second);
}

void JournalFolder::Overwrite(const std::string& path, size_t offset, std::string_view bytes) {
  const auto found = names_.find(path);
  if (found == names_.end() || offset >= found->second->bytes.size()) return;
  std::string& all = found->second->bytes;
  const size_t size = std::min(bytes.size(), all.size() - offset);
  all.replace(offset, size, bytes.substr(0, size));
  Touch(*found->second);
}

void JournalFolder::Replace(const std::string& path, std::string bytes) {
  Inode& inode = Make(path);
  inode.bytes = std::move(bytes);
  Touch(inode);
}

void JournalFolder::Rename(const std::string& from, const std::string& to) {
  const auto found = names_.find(from);
  if (found == names_.end()) return;
  std::shared_ptr<Inode> inode = std::move(found->second);
  names_.erase(found);
  names_[to] = std::move(inode);
}

std::string_view JournalFolder::Bytes(const std::string& path) const {
  const auto found = names_.find(path);
  return found == names_.end() ? std::string_view() : found->second->bytes;
}

}  // namespace coffer::sim
