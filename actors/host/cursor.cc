#include "actors/host/cursor.h"

#include <simdjson.h>

#include <memory>
#include <utility>

#include "actors/host/json_text.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::host {
namespace {

constexpr uint64_t kVersion = 1;
constexpr size_t kMaxCursorBytes = 64 << 10;

void AppendFingerprint(const char* name, const Fingerprint& print, std::string& out) {
  out += ",\"" + std::string(name) + "_length\":" + std::to_string(print.length) + ",\"" + name +
         "_sha256\":\"" + ToHex(print.sha256) + "\"";
}

bool ReadNumber(simdjson::dom::object object, const char* key, uint64_t& out) {
  return object[key].get(out) == simdjson::SUCCESS;
}

bool ReadFingerprint(simdjson::dom::object object, const std::string& name, Fingerprint& out) {
  std::string_view hex;
  if (!ReadNumber(object, (name + "_length").c_str(), out.length) ||
      out.length > Fingerprint::kMaxBytes ||
      object[name + "_sha256"].get(hex) != simdjson::SUCCESS) {
    return false;
  }
  const auto digest = ethereum::Hash::FromHex(hex);
  if (!digest.ok()) return false;
  out.sha256 = digest->bytes;
  return true;
}

}  // namespace

absl::StatusOr<Fingerprint> TakeFingerprint(JournalFile& file, uint64_t offset, uint64_t length) {
  std::string bytes(static_cast<size_t>(length), '\0');
  const absl::StatusOr<size_t> got = file.ReadAt(offset, bytes.data(), bytes.size());
  if (!got.ok()) return got.status();
  if (*got != length) return absl::OutOfRangeError("the file is shorter than it was");
  return Fingerprint{.length = length, .sha256 = Sha256().Hash(bytes)};
}

absl::Status SaveCursor(Disk& disk, std::string_view name, const Cursor& cursor) {
  std::string text = "{\"version\":" + std::to_string(kVersion) + ",\"path\":";
  AppendJsonString(cursor.path, text);
  text += ",\"device\":" + std::to_string(cursor.file.device) +
          ",\"inode\":" + std::to_string(cursor.file.inode) +
          ",\"generation\":" + std::to_string(cursor.generation) +
          ",\"offset\":" + std::to_string(cursor.offset);
  AppendFingerprint("head", cursor.head, text);
  AppendFingerprint("tail", cursor.tail, text);
  text += ",\"dead_letters\":" + std::to_string(cursor.dead_letters);
  if (cursor.done_before_nanos.has_value()) {
    text += ",\"done_before_nanos\":" + std::to_string(*cursor.done_before_nanos);
  }
  text += "}\n";
  const std::string temporary = std::string(name) + ".new";
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk.Create(temporary);
  if (!file.ok()) return file.status();
  if (absl::Status status = (*file)->Write(0, text); !status.ok()) return status;
  if (absl::Status status = (*file)->Sync(); !status.ok()) return status;
  if (absl::Status status = disk.Rename(temporary, name); !status.ok()) return status;
  return disk.SyncDirectory();
}

absl::StatusOr<Cursor> LoadCursor(Disk& disk, std::string_view name) {
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk.Open(name);
  if (!file.ok()) return file.status();
  const absl::StatusOr<std::string> text = (*file)->Read(0, kMaxCursorBytes);
  if (!text.ok()) return text.status();
  simdjson::dom::parser parser;
  simdjson::dom::object object;
  uint64_t version = 0;
  std::string_view path;
  Cursor cursor;
  if (parser.parse(*text).get(object) == simdjson::SUCCESS &&
      ReadNumber(object, "version", version) && version == kVersion &&
      object["path"].get(path) == simdjson::SUCCESS &&
      ReadNumber(object, "device", cursor.file.device) &&
      ReadNumber(object, "inode", cursor.file.inode) &&
      ReadNumber(object, "generation", cursor.generation) &&
      ReadNumber(object, "offset", cursor.offset) && ReadFingerprint(object, "head", cursor.head) &&
      ReadFingerprint(object, "tail", cursor.tail) && cursor.tail.length <= cursor.offset &&
      ReadNumber(object, "dead_letters", cursor.dead_letters)) {
    cursor.path = std::string(path);
    int64_t done_before = 0;
    if (object["done_before_nanos"].get(done_before) == simdjson::SUCCESS) {
      cursor.done_before_nanos = done_before;
    }
    return cursor;
  }
  return absl::DataLossError(std::string(name) + " is not a cursor of version 1");
}

}  // namespace coffer::host
