#include "actors/host/log/sqlite.h"

#include <sqlite3.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::host {

absl::StatusOr<std::unique_ptr<SqliteFile>> SqliteFile::Open(const std::string& path) {
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(
      path.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  if (db == nullptr) return absl::InternalError("no memory for a database");
  std::unique_ptr<SqliteFile> file(new SqliteFile(db));
  if (code != SQLITE_OK) return file->Error(code);
  sqlite3_extended_result_codes(db, 1);
  return file;
}

SqliteFile::~SqliteFile() { sqlite3_close(db_); }

absl::Status SqliteFile::Error(int code) const {
  const std::string sentence = absl::StrCat("SQLite: ", sqlite3_errmsg(db_), " (code ", code, ")");
  switch (code & 0xff) {
    case SQLITE_FULL:
      return absl::ResourceExhaustedError(sentence);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(sentence);
    default:
      return absl::InternalError(sentence);
  }
}

absl::Status SqliteFile::Run(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::StatusOr<int64_t> SqliteFile::Number(const std::string& sql) {
  absl::StatusOr<SqliteStatement> statement = SqliteStatement::Prepare(this, sql);
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  return *row ? statement->Number(0) : 0;
}

SqliteStatement::SqliteStatement(SqliteStatement&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      statement_(std::exchange(other.statement_, nullptr)) {}

SqliteStatement& SqliteStatement::operator=(SqliteStatement&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(statement_, other.statement_);
  return *this;
}

SqliteStatement::~SqliteStatement() { sqlite3_finalize(statement_); }

absl::StatusOr<SqliteStatement> SqliteStatement::Prepare(SqliteFile* file, std::string_view sql) {
  SqliteStatement out;
  out.file_ = file;
  const int code = sqlite3_prepare_v3(file->get(), sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &out.statement_, nullptr);
  if (code != SQLITE_OK) return file->Error(code);
  return out;
}

absl::Status SqliteStatement::Bind(absl::Span<const int64_t> numbers) {
  sqlite3_reset(statement_);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const int code = sqlite3_bind_int64(statement_, static_cast<int>(i) + 1, numbers[i]);
    if (code != SQLITE_OK) return file_->Error(code);
  }
  return absl::OkStatus();
}

absl::Status SqliteStatement::BindBytes(int at, std::string_view bytes) {
  // No destructor: SQLite reads the caller's bytes (SQLITE_STATIC, a null pointer).
  const int code =
      sqlite3_bind_blob(statement_, at, bytes.data(), static_cast<int>(bytes.size()), nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : file_->Error(code);
}

absl::StatusOr<bool> SqliteStatement::Step() {
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  absl::Status status = code == SQLITE_DONE ? absl::OkStatus() : file_->Error(code);
  sqlite3_reset(statement_);
  if (!status.ok()) return status;
  return false;
}

absl::Status SqliteStatement::Run(absl::Span<const int64_t> numbers) {
  if (absl::Status status = Bind(numbers); !status.ok()) return status;
  absl::StatusOr<bool> row = true;
  while (row.ok() && *row) row = Step();
  return row.status();
}

void SqliteStatement::Reset() { sqlite3_reset(statement_); }

int64_t SqliteStatement::Number(int column) const {
  return sqlite3_column_int64(statement_, column);
}

std::string SqliteStatement::Bytes(int column) const {
  const void* const bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (bytes == nullptr || size <= 0) return "";
  return std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

}  // namespace coffer::host
