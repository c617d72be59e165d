// Finds leaves by event id, payout and account: a SQLite file that maps a 64-bit hash of (kind,
// text) to leaf indexes.
//
// Derived data: everything in it comes from the tiles, and it says up to which leaf it has come, in
// the same transaction. Write-ahead journal and synchronous=OFF: a transaction is all or nothing
// when this process dies, and no question ever waits for an fsync. Only when the machine itself
// stops can the file be torn. So it is marked with the machine's boot (kernel.random.boot_id),
// durably, before anything is written, and unmarked, durably, when it is closed; one that is marked
// with another boot is not believed. A file that is damaged, torn or not ours is replaced by an
// empty one.
//
// Hashes collide, so whoever gets an index from here looks at the leaf itself.
//
// Two tables, WITHOUT ROWID: `list` numbers the leaves of an account or payout from 0, so that any
// page of them is one range, and their count one look-up. `event` is partitioned by 2^17 leaves:
// ids are random, so every page of a partition is written in each transaction, and a small
// partition has few; a look-up asks each partition (a microsecond or two; 763 of them at 100
// million leaves).
#ifndef COFFER_ACTORS_HOST_LOG_LOG_INDEX_H_
#define COFFER_ACTORS_HOST_LOG_LOG_INDEX_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/log/sqlite.h"
#include "actors/host/sha256.h"
#include "enclave_core/audit/leaf.h"

namespace coffer::host {

// One thread. Calls block on the disk. Errors: ResourceExhausted = the disk is full; DataLoss = the
// file is damaged (Clear() begins anew); Internal for the rest.
class LogIndex {
 public:
  enum class List : uint8_t { kPayout = 2, kAccount = 3 };
  // What the file vouches for: leaves [0, size) of this log, whose tree had this root.
  struct Position {
    uint64_t size = 0;
    std::string log;  // PublishedHead::log_key_id
    audit::Hash root;
  };

  // `boot` tells this run of the machine from others; ThisBoot() but for tests.
  static absl::StatusOr<std::unique_ptr<LogIndex>> Open(std::string path, std::string boot);
  ~LogIndex();
  // Open() found a file that was no use.
  bool replaced() const { return replaced_; }

  // Leaves that can be found now, those not committed included.
  uint64_t size() const { return size_; }
  const Position& committed() const { return committed_; }

  // The leaf of sequence size(). After an error what was not committed is gone.
  absl::Status Add(const audit::Leaf& leaf);
  // Makes what was added last, with its position.
  absl::Status Commit(std::string log, const audit::Hash& root);
  // Throws the file away and begins with an empty one.
  absl::Status Clear();

  // Newest first, at most 16: an id has one leaf, the rest are collisions.
  absl::StatusOr<std::vector<uint64_t>> Event(std::string_view event_id);
  absl::StatusOr<uint64_t> Count(List list, std::string_view text);
  // The `first`-th and those after it, in the log's order; at most `count`.
  absl::StatusOr<std::vector<uint64_t>> Page(List list, std::string_view text, uint64_t first,
                                             uint64_t count);

 private:
  LogIndex(std::string path, std::string boot) : path_(std::move(path)), boot_(std::move(boot)) {}
  absl::Status OpenFile();
  absl::Status ReadPosition();
  absl::Status CheckMark();
  // Durably; so is everything written before.
  absl::Status Mark(std::string_view boot);
  absl::Status AddToList(List list, std::string_view text, uint64_t leaf);
  // Undoes what was not committed and passes the error on.
  absl::Status Fail(absl::Status status);
  int64_t Key(uint8_t kind, std::string_view text);

  const std::string path_;
  const std::string boot_;
  std::unique_ptr<SqliteFile> file_;
  SqliteStatement add_event_, add_list_, find_event_, count_list_, page_list_, set_position_;
  Sha256 sha256_;
  std::string scratch_;
  Position committed_;
  uint64_t size_ = 0;
  bool in_transaction_ = false;
  bool replaced_ = false;
  absl::flat_hash_map<int64_t, uint64_t> next_;  // of the lists seen lately: the next number
};

// "unknown" where the machine does not tell; then nothing but a clean close is believed.
std::string ThisBoot();

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_LOG_INDEX_H_
