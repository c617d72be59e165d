#include "actors/host/key_store.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/host/disk_error.h"
#include "actors/host/os_disk.h"
#include "enclave_core/sealing/state_key.h"
#include "runtime/socket_address.h"

namespace coffer::host {
namespace {

using boundary::v1::StateKey;

constexpr char kCiphertextName[] = "signing.ciphertext";
constexpr char kSigningName[] = "signing.json";

bool Same(const StateKey& a, const StateKey& b) {
  return a.epoch() == b.epoch() && a.ciphertext() == b.ciphertext() && a.key_id() == b.key_id() &&
         a.tag() == b.tag();
}

// The entry of a new folder is its parent's.
absl::Status SyncParent(const std::string& path) {
  const std::string parent = std::filesystem::absolute(path).lexically_normal().parent_path();
  const runtime::Fd fd(open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid() || fsync(fd.get()) != 0) return DiskError("fsync", parent, errno);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyStore>> KeyStore::Open(Disk* disk) {
  std::unique_ptr<KeyStore> store(new KeyStore(disk, nullptr));
  if (absl::Status s = store->Load(); !s.ok()) return s;
  return store;
}

absl::StatusOr<std::unique_ptr<KeyStore>> KeyStore::OpenFolder(const std::string& path,
                                                               absl::Duration patience) {
  absl::StatusOr<std::unique_ptr<OsDisk>> disk = OsDisk::Open(path, patience);
  if (!disk.ok()) return disk.status();
  if (absl::Status s = SyncParent(path); !s.ok()) return s;
  Disk* const raw = disk->get();
  std::unique_ptr<KeyStore> store(new KeyStore(raw, *std::move(disk)));
  if (absl::Status s = store->Load(); !s.ok()) return s;
  return store;
}

absl::StatusOr<std::string> KeyStore::Read(const std::string& name, size_t most) const {
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_->Open(name);
  if (!file.ok()) return file.status();
  absl::StatusOr<std::string> content = (*file)->Read(0, most + 1);
  if (content.ok() && content->size() > most) {
    return absl::DataLossError(absl::StrCat(path(), "/", name, " has more than ", most, " bytes"));
  }
  return content;
}

absl::Status KeyStore::Load() {
  const absl::StatusOr<std::vector<std::string>> names = disk_->List();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const absl::StatusOr<std::optional<uint32_t>> epoch = EpochOfName(name);
    if (!epoch.ok()) {
      return absl::DataLossError(absl::StrCat(path(), "/", name, " ", epoch.status().message()));
    }
    if (!epoch->has_value()) continue;
    if (absl::Status s = LoadStateKey(name, **epoch); !s.ok()) return s;
  }
  const bool there = std::find(names->begin(), names->end(), kCiphertextName) != names->end();
  return there ? LoadSigning() : absl::OkStatus();
}

absl::Status KeyStore::LoadSigning() {
  absl::StatusOr<std::string> ciphertext = Read(kCiphertextName, kMaxCiphertextBytes);
  if (!ciphertext.ok()) return ciphertext.status();
  SigningCiphertext alone;
  alone.ciphertext = *ciphertext;
  if (absl::Status s = CheckSigning(alone); !s.ok()) {
    return absl::DataLossError(absl::StrCat(path(), "/", kCiphertextName, ": ", s.message()));
  }
  const absl::StatusOr<std::string> text = Read(kSigningName, kMaxKeyFileBytes);
  if (absl::IsNotFound(text.status())) {
    signing_ = std::move(alone);
    return absl::OkStatus();
  }
  if (!text.ok()) return text.status();
  absl::StatusOr<SigningCiphertext> signing = ParseSigning(*text, *ciphertext);
  if (!signing.ok()) {
    return absl::DataLossError(
        absl::StrCat(path(), "/", kSigningName, " ", signing.status().message()));
  }
  signing_ = *std::move(signing);
  return absl::OkStatus();
}

absl::Status KeyStore::LoadStateKey(const std::string& name, uint32_t epoch) {
  const absl::StatusOr<std::string> text = Read(name, kMaxKeyFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<StateKey> key = ParseStateKey(*text);
  if (!key.ok()) {
    return absl::DataLossError(absl::StrCat(path(), "/", name, " ", key.status().message()));
  }
  if (key->epoch() != epoch) {
    return absl::DataLossError(
        absl::StrCat(path(), "/", name, " is the state key of epoch ", key->epoch()));
  }
  state_keys_[epoch] = *std::move(key);
  return absl::OkStatus();
}

std::vector<StateKey> KeyStore::Newest() const {
  std::vector<StateKey> keys;
  for (const auto& [epoch, key] : state_keys_) keys.push_back(key);
  const size_t most = sealing::kMaxStateKeys;
  if (keys.size() > most) {
    keys.erase(keys.begin(), keys.end() - static_cast<ptrdiff_t>(most));
  }
  return keys;
}

absl::Status KeyStore::Write(const std::string& name, const std::string& content) {
  const std::string temporary = name + ".new";
  absl::StatusOr<std::unique_ptr<DiskFile>> file = disk_->Create(temporary);
  if (!file.ok()) return file.status();
  if (absl::Status s = (*file)->Write(0, content); !s.ok()) return s;
  if (absl::Status s = (*file)->Sync(); !s.ok()) return s;
  if (absl::Status s = disk_->Rename(temporary, name); !s.ok()) return s;
  return disk_->SyncDirectory();
}

absl::Status KeyStore::PutSigning(const SigningCiphertext& signing) {
  if (absl::Status s = CheckSigning(signing); !s.ok()) return s;
  if (signing_.has_value() && *signing_ == signing) return absl::OkStatus();
  const bool fresh = !signing_.has_value();
  if (!fresh && signing_->ciphertext != signing.ciphertext) {
    return absl::AlreadyExistsError(
        absl::StrCat("another signing key's ciphertext is in ", path(), "/", kCiphertextName,
                     ": one folder serves one key. Give another folder, or move this one away "
                     "together with the records that belong to it"));
  }
  // The ciphertext comes last: without it the other file means nothing, so that the two agree
  // wherever a crash comes in between.
  if (absl::Status s = Write(kSigningName, SigningText(signing)); !s.ok()) return s;
  if (fresh) {
    if (absl::Status s = Write(kCiphertextName, signing.ciphertext); !s.ok()) return s;
  }
  signing_ = signing;
  return absl::OkStatus();
}

absl::Status KeyStore::PutStateKey(const StateKey& key) {
  const auto found = state_keys_.find(key.epoch());
  if (found == state_keys_.end()) return ReplaceStateKey(key);
  if (Same(found->second, key)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("another state key of epoch ", key.epoch(),
                                               " is in ", path(), "/", StateKeyName(key.epoch())));
}

absl::Status KeyStore::ReplaceStateKey(const StateKey& key) {
  if (absl::Status s = CheckStateKey(key); !s.ok()) return s;
  if (absl::Status s = Write(StateKeyName(key.epoch()), StateKeyText(key)); !s.ok()) return s;
  state_keys_[key.epoch()] = key;
  return absl::OkStatus();
}

}  // namespace coffer::host
