#include "actors/host/log/log_index.h"

#include <unistd.h>

#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

constexpr int64_t kApplication = 0x434f4c49;  // "COLI", so that file(1) and we know it
constexpr int64_t kVersion = 1;
constexpr int kPartitionBits = 17;
constexpr size_t kMaxEventHits = 16;
// Of lists whose end is remembered; beyond that the map is begun anew.
constexpr size_t kMaxNext = 100'000;
constexpr uint8_t kEventKind = 1;

// The page cache holds a partition of `event` (about 4 MiB) and the ends of many lists. The journal
// is moved into the file when it has grown to 16 MiB.
constexpr char kPragmas[] =
    "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; "
    "PRAGMA cache_size=-32768; PRAGMA wal_autocheckpoint=4096; PRAGMA cell_size_check=ON;";
constexpr char kSchema[] =
    "BEGIN;"
    "CREATE TABLE event(part INTEGER, key INTEGER, leaf INTEGER, PRIMARY KEY(part, key, leaf)) "
    "WITHOUT ROWID;"
    "CREATE TABLE list(key INTEGER, n INTEGER, leaf INTEGER, PRIMARY KEY(key, n)) WITHOUT ROWID;"
    "CREATE TABLE position(id INTEGER PRIMARY KEY, size INTEGER, log BLOB, root BLOB);"
    "CREATE TABLE mark(id INTEGER PRIMARY KEY, boot BLOB);";

// The mark of a machine that does not tell its boots apart.
constexpr char kUnknownBoot[] = "unknown";

}  // namespace

std::string ThisBoot() {
  std::ifstream in("/proc/sys/kernel/random/boot_id");
  std::string boot;
  std::getline(in, boot);
  return boot.empty() ? kUnknownBoot : boot;
}

absl::StatusOr<std::unique_ptr<LogIndex>> LogIndex::Open(std::string path, std::string boot) {
  std::unique_ptr<LogIndex> index(new LogIndex(std::move(path), std::move(boot)));
  absl::Status status = index->OpenFile();
  if (absl::IsDataLoss(status)) {
    index->replaced_ = true;
    status = index->Clear();
  }
  if (!status.ok()) return status;
  return index;
}

LogIndex::~LogIndex() {
  if (file_ == nullptr) return;
  if (in_transaction_) (void)Fail(absl::OkStatus());
  (void)Mark("");  // one that cannot be closed cleanly stays marked
}

absl::Status LogIndex::Mark(std::string_view boot) {
  if (absl::Status s = file_->Run("PRAGMA synchronous=FULL; PRAGMA wal_checkpoint(TRUNCATE);");
      !s.ok()) {
    return s;
  }
  absl::StatusOr<SqliteStatement> statement =
      SqliteStatement::Prepare(file_.get(), "INSERT OR REPLACE INTO mark(id, boot) VALUES(?1, ?2)");
  if (!statement.ok()) return statement.status();
  absl::Status status = statement->Bind({1});
  if (status.ok()) status = statement->BindBytes(2, boot);
  if (status.ok()) status = statement->Step().status();
  if (!status.ok()) return status;
  return file_->Run("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA synchronous=OFF;");
}

absl::Status LogIndex::OpenFile() {
  absl::StatusOr<std::unique_ptr<SqliteFile>> file = SqliteFile::Open(path_);
  if (!file.ok()) return file.status();
  file_ = *std::move(file);
  if (absl::Status s = file_->Run(kPragmas); !s.ok()) return s;
  const absl::StatusOr<int64_t> tables = file_->Number("SELECT count(*) FROM sqlite_master");
  if (!tables.ok()) return tables.status();
  if (*tables == 0) {
    absl::Status made = file_->Run(absl::StrCat(kSchema, "PRAGMA application_id=", kApplication,
                                                "; PRAGMA user_version=", kVersion, "; COMMIT;"));
    if (!made.ok()) return made;
  }
  const absl::StatusOr<int64_t> application = file_->Number("PRAGMA application_id");
  const absl::StatusOr<int64_t> version = file_->Number("PRAGMA user_version");
  if (!application.ok()) return application.status();
  if (!version.ok()) return version.status();
  if (*application != kApplication || *version != kVersion) {
    return absl::DataLossError(absl::StrCat(path_, " is not an index of this version"));
  }
  const std::pair<SqliteStatement*, const char*> statements[] = {
      {&add_event_, "INSERT OR IGNORE INTO event VALUES(?1, ?2, ?3)"},
      {&add_list_, "INSERT INTO list VALUES(?1, ?2, ?3)"},
      {&find_event_, "SELECT leaf FROM event WHERE part=?1 AND key=?2 ORDER BY leaf DESC LIMIT ?3"},
      {&count_list_, "SELECT n FROM list WHERE key=?1 ORDER BY n DESC LIMIT 1"},
      {&page_list_, "SELECT leaf FROM list WHERE key=?1 AND n>=?2 ORDER BY n LIMIT ?3"},
      {&set_position_,
       "INSERT OR REPLACE INTO position(id, size, log, root) VALUES(1, ?1, ?2, ?3)"},
  };
  for (const auto& [statement, sql] : statements) {
    absl::StatusOr<SqliteStatement> prepared = SqliteStatement::Prepare(file_.get(), sql);
    if (!prepared.ok()) return absl::DataLossError(prepared.status().message());
    *statement = *std::move(prepared);
  }
  if (absl::Status s = CheckMark(); !s.ok()) return s;
  return ReadPosition();
}

absl::Status LogIndex::ReadPosition() {
  absl::StatusOr<SqliteStatement> statement =
      SqliteStatement::Prepare(file_.get(), "SELECT size, log, root FROM position WHERE id=1");
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  committed_ = Position();
  if (*row) {
    const absl::StatusOr<audit::Hash> root = audit::Hash::FromBytes(statement->Bytes(2));
    if (!root.ok() || statement->Number(0) < 0) {
      return absl::DataLossError(absl::StrCat(path_, " has no usable position"));
    }
    committed_ = {static_cast<uint64_t>(statement->Number(0)), statement->Bytes(1), *root};
  }
  size_ = committed_.size;
  return absl::OkStatus();
}

absl::Status LogIndex::CheckMark() {
  absl::StatusOr<SqliteStatement> statement =
      SqliteStatement::Prepare(file_.get(), "SELECT boot FROM mark WHERE id=1");
  if (!statement.ok()) return statement.status();
  const absl::StatusOr<bool> row = statement->Step();
  if (!row.ok()) return row.status();
  const std::string marked = *row ? statement->Bytes(0) : "";
  if (!marked.empty() && (marked == kUnknownBoot || marked != boot_)) {
    return absl::DataLossError(
        absl::StrCat(path_, " was in use when the machine stopped, it may be torn"));
  }
  statement->Reset();
  return Mark(boot_);
}

absl::Status LogIndex::Clear() {
  for (SqliteStatement* statement :
       {&add_event_, &add_list_, &find_event_, &count_list_, &page_list_, &set_position_}) {
    *statement = SqliteStatement();
  }
  file_.reset();
  in_transaction_ = false;
  next_.clear();
  committed_ = Position();
  size_ = 0;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((path_ + suffix).c_str());
  return OpenFile();
}

int64_t LogIndex::Key(uint8_t kind, std::string_view text) {
  scratch_.assign(1, static_cast<char>(kind));
  scratch_.append(text);
  const Sha256Digest digest = sha256_.Hash(scratch_);
  uint64_t key = 0;
  for (size_t i = 0; i < 8; ++i) key = key << 8 | digest[i];
  return static_cast<int64_t>(key);
}

absl::Status LogIndex::Fail(absl::Status status) {
  if (in_transaction_) (void)file_->Run("ROLLBACK");
  in_transaction_ = false;
  next_.clear();
  size_ = committed_.size;
  return status;
}

absl::Status LogIndex::Add(const audit::Leaf& leaf) {
  COFFER_CHECK(leaf.sequence == size_, "leaves are indexed in order");
  if (!in_transaction_) {
    if (absl::Status s = file_->Run("BEGIN"); !s.ok()) return Fail(std::move(s));
    in_transaction_ = true;
  }
  absl::Status status;
  if (!leaf.event_id.empty()) {
    status = add_event_.Run({static_cast<int64_t>(size_ >> kPartitionBits),
                             Key(kEventKind, leaf.event_id), static_cast<int64_t>(size_)});
  }
  if (status.ok() && leaf.payout.has_value()) {
    status = AddToList(List::kPayout, absl::StrCat(*leaf.payout), size_);
  }
  if (status.ok() && !leaf.account.empty()) {
    status = AddToList(List::kAccount, leaf.account, size_);
  }
  if (!status.ok()) return Fail(std::move(status));
  ++size_;
  return absl::OkStatus();
}

absl::Status LogIndex::AddToList(List list, std::string_view text, uint64_t leaf) {
  const int64_t key = Key(static_cast<uint8_t>(list), text);
  if (next_.size() >= kMaxNext) next_.clear();
  auto next = next_.find(key);
  if (next == next_.end()) {
    const absl::StatusOr<uint64_t> count = Count(list, text);
    if (!count.ok()) return count.status();
    next = next_.emplace(key, *count).first;
  }
  return add_list_.Run({key, static_cast<int64_t>(next->second++), static_cast<int64_t>(leaf)});
}

absl::Status LogIndex::Commit(std::string log, const audit::Hash& root) {
  if (!in_transaction_) return absl::OkStatus();
  absl::Status status = set_position_.Bind({static_cast<int64_t>(size_)});
  if (status.ok()) status = set_position_.BindBytes(2, log);
  if (status.ok()) status = set_position_.BindBytes(3, root.view());
  if (status.ok()) status = set_position_.Step().status();
  if (status.ok()) status = file_->Run("COMMIT");
  if (!status.ok()) return Fail(std::move(status));
  in_transaction_ = false;
  committed_ = {size_, std::move(log), root};
  return absl::OkStatus();
}

absl::StatusOr<std::vector<uint64_t>> LogIndex::Event(std::string_view event_id) {
  std::vector<uint64_t> leaves;
  if (size_ == 0) return leaves;
  const int64_t key = Key(kEventKind, event_id);
  for (auto part = static_cast<int64_t>((size_ - 1) >> kPartitionBits); part >= 0; --part) {
    absl::Status s = find_event_.Bind({part, key, static_cast<int64_t>(kMaxEventHits)});
    if (!s.ok()) return s;
    absl::StatusOr<bool> row = find_event_.Step();
    for (; row.ok() && *row; row = find_event_.Step()) {
      leaves.push_back(static_cast<uint64_t>(find_event_.Number(0)));
    }
    if (!row.ok()) return row.status();
    if (leaves.size() >= kMaxEventHits) break;
  }
  return leaves;
}

absl::StatusOr<uint64_t> LogIndex::Count(List list, std::string_view text) {
  if (absl::Status s = count_list_.Bind({Key(static_cast<uint8_t>(list), text)}); !s.ok()) return s;
  const absl::StatusOr<bool> row = count_list_.Step();
  if (!row.ok()) return row.status();
  const uint64_t count = *row ? static_cast<uint64_t>(count_list_.Number(0)) + 1 : 0;
  count_list_.Reset();
  return count;
}

absl::StatusOr<std::vector<uint64_t>> LogIndex::Page(List list, std::string_view text,
                                                     uint64_t first, uint64_t count) {
  std::vector<uint64_t> leaves;
  if (first > INT64_MAX || count > INT64_MAX) return leaves;
  absl::Status s = page_list_.Bind({Key(static_cast<uint8_t>(list), text),
                                    static_cast<int64_t>(first), static_cast<int64_t>(count)});
  if (!s.ok()) return s;
  absl::StatusOr<bool> row = page_list_.Step();
  for (; row.ok() && *row; row = page_list_.Step()) {
    leaves.push_back(static_cast<uint64_t>(page_list_.Number(0)));
  }
  if (!row.ok()) return row.status();
  return leaves;
}

}  // namespace coffer::host
