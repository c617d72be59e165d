// The journal's folder as the simulated writer and the tailer see it: files with an identity of
// their own, whatever their names; appended, rotated, truncated and damaged while they are read.
// What is written is there at once and stays: the journal belongs to another machine.
#ifndef COFFER_TESTS_SIM_JOURNAL_FOLDER_H_
#define COFFER_TESTS_SIM_JOURNAL_FOLDER_H_

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "actors/host/journal_file.h"
#include "runtime/test_dispatcher.h"

namespace coffer::sim {

class JournalFolder final : public host::JournalFiles {
 public:
  explicit JournalFolder(const runtime::TestScheduler* scheduler) : scheduler_(scheduler) {}

  absl::StatusOr<std::unique_ptr<host::JournalFile>> Open(const std::string& path) override;
  absl::StatusOr<host::FileFacts> Facts(const std::string& path) override;
  std::vector<host::RotatedFile> Rotated(const std::string& path) override;

  // The file is made when it is missing.
  void Append(const std::string& path, std::string_view bytes);
  void Truncate(const std::string& path, size_t size);
  // Other bytes from `offset` on, as many as fit.
  void Overwrite(const std::string& path, size_t offset, std::string_view bytes);
  // A new file under this name.
  void Replace(const std::string& path, std::string bytes);
  void Rename(const std::string& from, const std::string& to);
  // Its bytes; empty when there is no such file.
  std::string_view Bytes(const std::string& path) const;

 private:
  struct Inode {
    uint64_t number = 0;
    std::string bytes;
    int64_t modified_nanos = 0;
  };
  class File;
  static host::FileFacts FactsOf(const Inode& inode) {
    return {{1, inode.number}, inode.bytes.size(), inode.modified_nanos};
  }
  void Touch(Inode& inode) const;
  Inode& Make(const std::string& path);

  const runtime::TestScheduler* const scheduler_;
  std::map<std::string, std::shared_ptr<Inode>> names_;
  uint64_t inodes_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_JOURNAL_FOLDER_H_
