// SQLite as the host uses it: one file, one thread, integers and blobs.
#ifndef COFFER_ACTORS_HOST_LOG_SQLITE_H_
#define COFFER_ACTORS_HOST_LOG_SQLITE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

struct sqlite3;
struct sqlite3_stmt;

namespace coffer::host {

// Errors of all calls: ResourceExhausted = the disk is full, DataLoss = the file is damaged or no
// database, Internal else.
class SqliteFile {
 public:
  static absl::StatusOr<std::unique_ptr<SqliteFile>> Open(const std::string& path);
  SqliteFile(const SqliteFile&) = delete;
  SqliteFile& operator=(const SqliteFile&) = delete;
  ~SqliteFile();

  // One or more statements without results.
  absl::Status Run(const std::string& sql);
  // The integer that a statement answers with first; 0 when it has no row.
  absl::StatusOr<int64_t> Number(const std::string& sql);

  sqlite3* get() const { return db_; }
  // What a result code of this file means.
  absl::Status Error(int code) const;

 private:
  explicit SqliteFile(sqlite3* db) : db_(db) {}
  sqlite3* const db_;
};

// A prepared statement; must be gone before its file.
class SqliteStatement {
 public:
  SqliteStatement() = default;
  SqliteStatement(SqliteStatement&& other) noexcept;
  SqliteStatement& operator=(SqliteStatement&& other) noexcept;
  ~SqliteStatement();
  static absl::StatusOr<SqliteStatement> Prepare(SqliteFile* file, std::string_view sql);

  // Begins anew with these parameters.
  absl::Status Bind(absl::Span<const int64_t> numbers);
  // After Bind, the parameter `at` (from 1) as bytes, which must live until the last Step.
  absl::Status BindBytes(int at, std::string_view bytes);
  // True when there is a row; false at the end, when it is also reset.
  absl::StatusOr<bool> Step();
  // Bind, and Step to the end.
  absl::Status Run(absl::Span<const int64_t> numbers);
  void Reset();

  int64_t Number(int column) const;
  std::string Bytes(int column) const;

 private:
  SqliteFile* file_ = nullptr;
  sqlite3_stmt* statement_ = nullptr;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_SQLITE_H_
