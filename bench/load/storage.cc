#include "bench/load/storage.h"

#include <fcntl.h>
#include <openssl/sha.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/os_file.h"

namespace coffer::load {
namespace {

using boundary::v1::Store;

void WriteAll(int file, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = write(file, bytes.data() + done, bytes.size() - done);
    COFFER_CHECK(n > 0, "the harness cannot write its store; is the disk full?");
    done += static_cast<size_t>(n);
  }
}

void AppendFramed(const Store& store, std::string* out) {
  const auto length = static_cast<uint32_t>(store.ByteSizeLong());
  out->append(reinterpret_cast<const char*>(&length), sizeof(length));
  store.AppendToString(out);
}

absl::Status ReadFramed(const std::string& path, uint64_t from,
                        absl::FunctionRef<void(const Store&)> visit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::OkStatus();  // nothing stored yet
  file.seekg(static_cast<std::streamoff>(from));
  uint32_t length = 0;
  std::string bytes;
  while (file.read(reinterpret_cast<char*>(&length), sizeof(length))) {
    bytes.resize(length);
    Store store;
    if (!file.read(bytes.data(), length))
      return absl::OkStatus();  // torn by a kill: never acknowledged
    if (!store.ParseFromString(bytes)) {
      return absl::DataLossError(absl::StrCat(path, " is not a store of this harness"));
    }
    visit(store);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<Storage>> Storage::Open(const std::string& directory,
                                                       Durability durability,
                                                       runtime::Dispatcher* dispatcher,
                                                       Stored stored) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  std::unique_ptr<Storage> storage(
      new Storage(directory, durability, dispatcher, std::move(stored)));
  uint64_t at = 0;
  const absl::Status read = ReadFramed(directory + "/records", 0, [&](const Store& store) {
    storage->places_.emplace_back(store.sequence(), at);
    at += sizeof(uint32_t) + store.ByteSizeLong();
    storage->last_sequence_ = store.sequence();
    storage->last_record_ = store.sealed();
  });
  if (!read.ok()) return read;
  storage->records_ =
      open((directory + "/records").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (storage->records_ < 0) {
    return absl::PermissionDeniedError(absl::StrCat("cannot write ", directory, "/records"));
  }
  if (durability == Durability::kThread)
    storage->writer_ = std::thread([s = storage.get()] { s->RunWriter(); });
  return storage;
}

Storage::Storage(std::string directory, Durability durability, runtime::Dispatcher* dispatcher,
                 Stored stored)
    : directory_(std::move(directory)),
      durability_(durability),
      dispatcher_(dispatcher),
      stored_(std::move(stored)) {}

Storage::~Storage() {
  if (writer_.joinable()) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    writer_.join();
  }
  if (records_ >= 0) close(records_);
  if (snapshot_ >= 0) close(snapshot_);
}

std::string Storage::last_hash() const {
  if (last_record_.empty()) return "";
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(last_record_.data()), last_record_.size(),
         reinterpret_cast<uint8_t*>(hash.data()));
  return hash;
}

absl::Status Storage::ForEach(bool with_snapshot,
                              absl::FunctionRef<void(const Store&)> visit) const {
  uint64_t base = 0;
  if (with_snapshot) {
    absl::Status read = ReadFramed(directory_ + "/snapshot", 0, [&](const Store& chunk) {
      base = chunk.sequence();
      visit(chunk);
    });
    if (!read.ok()) return read;
  }
  const auto after =
      std::upper_bound(places_.begin(), places_.end(), base,
                       [](uint64_t sequence, const auto& place) { return sequence < place.first; });
  if (after == places_.end()) return absl::OkStatus();
  return ReadFramed(directory_ + "/records", after->second, visit);
}

void Storage::Add(Store store) {
  if (durability_ == Durability::kThread) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      waiting_.push_back(std::move(store));
    }
    wake_.notify_one();
    return;
  }
  boundary::v1::Stored stored;
  if (durability_ == Durability::kInline) {
    std::vector<Store> batch;
    batch.push_back(std::move(store));
    stored = Write(batch);
  } else if (store.kind() == Store::KIND_RECORD) {
    stored.set_sequence(store.sequence());
  } else {
    stored.set_snapshot_sequence(store.sequence());
    stored.set_snapshot_chunks(store.chunk_index() + 1);
  }
  stored_(stored);
}

void Storage::RunWriter() {
  while (true) {
    std::vector<Store> batch;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      batch.swap(waiting_);
    }
    dispatcher_->Post([this, stored = Write(batch)] { stored_(stored); });
  }
}

boundary::v1::Stored Storage::Write(const std::vector<Store>& batch) {
  boundary::v1::Stored stored;
  std::string bytes;
  for (const Store& store : batch) {
    if (store.kind() == Store::KIND_SNAPSHOT_CHUNK) {
      WriteChunk(store);
      stored.set_snapshot_sequence(store.sequence());
      stored.set_snapshot_chunks(store.chunk_index() + 1);
      continue;
    }
    AppendFramed(store, &bytes);
    stored.set_sequence(store.sequence());
    last_sequence_ = store.sequence();
    last_record_ = store.sealed();
  }
  if (!bytes.empty()) {
    WriteAll(records_, bytes);
    COFFER_CHECK(fdatasync(records_) == 0, "fdatasync of the harness's store failed");
    bytes_ += bytes.size();
    ++syncs_;
  }
  return stored;
}

// A snapshot counts once its last chunk is durable: then it replaces the one before it.
void Storage::WriteChunk(const Store& chunk) {
  const std::string path = directory_ + "/snapshot.new";
  if (chunk.chunk_index() == 0) {
    if (snapshot_ >= 0) close(snapshot_);
    snapshot_ = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  }
  COFFER_CHECK(snapshot_ >= 0,
               "a snapshot chunk without its first, or a folder that cannot be written");
  std::string bytes;
  AppendFramed(chunk, &bytes);
  WriteAll(snapshot_, bytes);
  bytes_ += bytes.size();
  // Each chunk, as coffer-host does it: all at the end would hold the next record up for that long.
  COFFER_CHECK(fdatasync(snapshot_) == 0, "fdatasync of the harness's snapshot failed");
  ++syncs_;
  if (chunk.chunk_index() + 1 < chunk.chunk_count()) return;
  close(std::exchange(snapshot_, -1));
  // The one before it is let go of as coffer-host does it, see OsDisk::Remove.
  const std::string newest = directory_ + "/snapshot";
  const int before = open(newest.c_str(), O_RDONLY | O_CLOEXEC);
  COFFER_CHECK(rename(path.c_str(), newest.c_str()) == 0, "rename failed");
  if (before >= 0) runtime::OsCloseInBackground(before);
}

}  // namespace coffer::load
