#include "actors/host/registry.h"

#include <json/reader.h>
#include <json/value.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "actors/host/journal_line.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

constexpr char kComponent[] = "registry";
using runtime::Level;
using runtime::Log;

absl::StatusOr<Json::Value> ParseJson(const std::string& text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  builder["stackLimit"] = 16;
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value root;
  std::string errors;
  try {  // jsoncpp throws when its stack limit is reached
    if (reader->parse(text.data(), text.data() + text.size(), &root, &errors)) return root;
  } catch (const std::exception& e) {
    errors = e.what();
  }
  return absl::InvalidArgumentError("not valid JSON: " + errors.substr(0, 500));
}

absl::StatusOr<std::string> ReadWhole(JournalFiles& files, const std::string& path,
                                      FileFacts& facts) {
  const auto file = files.Open(path);
  if (!file.ok()) return file.status();
  const auto found = (*file)->Facts();
  if (!found.ok()) return found.status();
  facts = *found;
  if (facts.size > kMaxRegistryBytes) return absl::InvalidArgumentError("larger than 256 MiB");
  std::string text(static_cast<size_t>(facts.size), '\0');
  const auto got = (*file)->ReadAt(0, text.data(), text.size());
  if (!got.ok()) return got.status();
  text.resize(*got);
  return text;
}

}  // namespace

Registry::Registry(std::string path, JournalFiles* files)
    : path_(std::move(path)), files_(files != nullptr ? files : &os_files_) {}

absl::Status Registry::Load() {
  const absl::StatusOr<std::string> text = ReadWhole(*files_, path_, seen_);
  if (!text.ok()) return text.status();
  const absl::StatusOr<Json::Value> root = ParseJson(*text);
  if (!root.ok()) return root.status();
  if (!root->isObject() || !(*root)["orchestrators"].isObject()) {
    return absl::InvalidArgumentError(
        R"(expected {"orchestrators": {"<orchestrator id>": "0x<40 hex digits>"}})");
  }
  const Json::Value& entries = (*root)["orchestrators"];
  Recipients file;
  file.reserve(entries.size());
  for (auto it = entries.begin(); it != entries.end(); ++it) {
    const std::string id = it.name();
    if (id.empty() || id.size() > kMaxOrchestratorIdBytes) {
      return absl::InvalidArgumentError("an orchestrator id is empty or longer than 128 bytes");
    }
    if (!it->isString()) return absl::InvalidArgumentError(id + ": the address must be a string");
    const absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(it->asString());
    if (!address.ok()) {
      return absl::InvalidArgumentError(id + ": " + std::string(address.status().message()));
    }
    if (address->IsZero()) return absl::InvalidArgumentError(id + ": the zero address burns money");
    file.emplace(id, *address);
  }
  Merge(std::move(file));
  return absl::OkStatus();
}

void Registry::Merge(Recipients file) {
  conflicts_.clear();
  for (auto& [id, address] : file) {
    const auto [it, added] = recipients_.try_emplace(id, address);
    if (!added && it->second != address) conflicts_.push_back({id, it->second, address});
  }
  std::sort(conflicts_.begin(), conflicts_.end(), [](const Conflict& a, const Conflict& b) {
    return a.orchestrator_id < b.orchestrator_id;
  });
  counters_.refused += conflicts_.size();
  constexpr size_t kLogged = 20;
  for (size_t i = 0; i < std::min(conflicts_.size(), kLogged); ++i) {
    const Conflict& conflict = conflicts_[i];
    Log(Level::kError, kComponent,
        "a recipient was changed in the file; refused, the first one stays",
        {{"orchestrator", conflict.orchestrator_id},
         {"kept", ethereum::ToChecksum(conflict.kept)},
         {"refused", ethereum::ToChecksum(conflict.refused)}});
  }
}

absl::Status Registry::Reload() {
  const size_t before = recipients_.size();
  const absl::Status status = Load();
  if (!status.ok()) {
    ++counters_.failures;
    Log(Level::kError, kComponent,
        "the registry file was not taken in; what was known before stays",
        {{"path", path_}, {"error", status}});
    return absl::Status(status.code(), path_ + ": " + std::string(status.message()));
  }
  ++counters_.reloads;
  Log(Level::kInfo, kComponent, "registry read",
      {{"orchestrators", recipients_.size()},
       {"added", recipients_.size() - before},
       {"refused", conflicts_.size()}});
  return absl::OkStatus();
}

bool Registry::ReloadIfChanged() {
  const absl::StatusOr<FileFacts> now = files_->Facts(path_);
  // Missing for a moment is how many editors replace a file; what is known stays.
  if (!now.ok()) return false;
  if (now->identity == seen_.identity && now->size == seen_.size &&
      now->modified_nanos == seen_.modified_nanos) {
    return false;
  }
  const size_t before = recipients_.size();
  seen_ = *now;  // a broken file is reported once, not at every look
  const absl::Status status = Reload();
  return status.ok() && recipients_.size() > before;
}

}  // namespace coffer::host
