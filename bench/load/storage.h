// What the harness keeps for the enclave when it plays the host: sealed records and the newest
// snapshot, in two files of a folder. Simple on purpose: one append-only file, one fdatasync for
// all that waits.
#ifndef COFFER_BENCH_LOAD_STORAGE_H_
#define COFFER_BENCH_LOAD_STORAGE_H_

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/boundary.pb.h"
#include "runtime/dispatcher.h"

namespace coffer::load {

enum class Durability {
  kThread,  // a thread of its own writes and syncs, as a host would
  kInline,  // written and synced where it arrives: no hop between threads
  kNone,    // said to be stored at once, and forgotten: what the enclave could do with a free disk
};

class Storage {
 public:
  using Stored = absl::AnyInvocable<void(const boundary::v1::Stored&)>;

  // `directory` is made if needed. `stored` is called on `dispatcher`.
  static absl::StatusOr<std::unique_ptr<Storage>> Open(const std::string& directory,
                                                       Durability durability,
                                                       runtime::Dispatcher* dispatcher,
                                                       Stored stored);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  // What is on the disk: the newest snapshot's chunks (unless left out), then the records after it,
  // as far as they were there when it was opened.
  absl::Status ForEach(bool with_snapshot,
                       absl::FunctionRef<void(const boundary::v1::Store&)> visit) const;
  uint64_t last_sequence() const { return last_sequence_; }
  std::string last_hash() const;
  uint64_t bytes() const { return bytes_; }
  uint64_t syncs() const { return syncs_; }

  void Add(boundary::v1::Store store);

 private:
  Storage(std::string directory, Durability durability, runtime::Dispatcher* dispatcher,
          Stored stored);
  boundary::v1::Stored Write(const std::vector<boundary::v1::Store>& batch);
  void WriteChunk(const boundary::v1::Store& chunk);
  void RunWriter();

  const std::string directory_;
  const Durability durability_;
  runtime::Dispatcher* const dispatcher_;
  Stored stored_;
  int records_ = -1;
  int snapshot_ = -1;
  // The place of each record that was there when this was opened: what a snapshot stands for is not
  // read again, as though a host had compacted it away.
  std::vector<std::pair<uint64_t, uint64_t>> places_;  // sequence, byte
  uint64_t last_sequence_ = 0;
  std::string last_record_;
  uint64_t bytes_ = 0;
  uint64_t syncs_ = 0;

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<boundary::v1::Store> waiting_;  // guarded by mutex_
  bool stopping_ = false;                     // guarded by mutex_
  std::thread writer_;
};

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_STORAGE_H_
