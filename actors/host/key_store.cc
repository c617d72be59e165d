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

using boundary::v1::SigningKey;
using boundary::v1::StateKey;

constexpr char kCiphertextName[] = "signing.ciphertext";
constexpr char kSigningName[] = "signing.json";

// Each has one form as a text.
bool Same(const StateKey& a, const StateKey& b) { return StateKeyText(a) == StateKeyText(b); }
bool Same(const SigningKey& a, const SigningKey& b) {
  return SigningKeyText({a, false}) == SigningKeyText({b, false});
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
    for (const KeyFile kind : {KeyFile::kState, KeyFile::kSigning}) {
      const absl::StatusOr<std::optional<uint32_t>> epoch = EpochOfName(kind, name);
      if (!epoch.ok()) {
        return absl::DataLossError(absl::StrCat(path(), "/", name, " ", epoch.status().message()));
      }
      if (!epoch->has_value()) continue;
      absl::Status loaded =
          kind == KeyFile::kState ? LoadStateKey(name, **epoch) : LoadLater(name, **epoch);
      if (!loaded.ok()) return loaded;
    }
  }
  const bool there = std::find(names->begin(), names->end(), kCiphertextName) != names->end();
  if (there) {
    if (absl::Status s = LoadSigning(); !s.ok()) return s;
  }
  return FindRoot();
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

absl::Status KeyStore::LoadLater(const std::string& name, uint32_t epoch) {
  const absl::StatusOr<std::string> text = Read(name, kMaxKeyFileBytes);
  if (!text.ok()) return text.status();
  absl::StatusOr<LaterSigningKey> signing = ParseSigningKey(*text);
  if (!signing.ok()) {
    return absl::DataLossError(absl::StrCat(path(), "/", name, " ", signing.status().message()));
  }
  if (signing->key.epoch() != epoch) {
    return absl::DataLossError(
        absl::StrCat(path(), "/", name, " is the signing key of epoch ", signing->key.epoch()));
  }
  later_[epoch] = *std::move(signing);
  return absl::OkStatus();
}

absl::Status KeyStore::FindRoot() {
  for (const auto& [epoch, signing] : later_) {
    if (signing.root) root_epoch_ = epoch;
  }
  for (const auto& [epoch, signing] : later_) {
    if (epoch <= root_epoch_) continue;
    const std::string file = absl::StrCat(path(), "/", KeyFileName(KeyFile::kSigning, epoch));
    if (epoch != root_epoch_ + 1) {
      return absl::DataLossError(
          absl::StrCat(file, " does not follow the signing key of epoch ", root_epoch_,
                       ", the oldest that is not retired: put what is missing back from a backup"));
    }
    if (!Root().has_value()) {
      return absl::DataLossError(absl::StrCat(file, " follows the signing key of ", path(), "/",
                                              kCiphertextName,
                                              ", which is missing: put it back from a backup"));
    }
  }
  return absl::OkStatus();
}

std::optional<SigningCiphertext> KeyStore::Root() const {
  if (root_epoch_ == 0) return signing_;
  const SigningKey& key = later_.at(root_epoch_).key;
  SigningCiphertext root;
  root.ciphertext = key.ciphertext();
  root.key_id = key.key_id();
  root.encryption_context = {key.encryption_context().begin(), key.encryption_context().end()};
  root.address = *ethereum::Address::FromBytes(key.address());
  if (signing_.has_value()) root.policy = signing_->policy;
  return root;
}

const SigningKey* KeyStore::Next() const {
  const auto next = later_.find(root_epoch_ + 1);
  return next == later_.end() ? nullptr : &next->second.key;
}

bool KeyStore::InUse(std::string_view address) const {
  const std::optional<SigningCiphertext> root = Root();
  if (root.has_value() && root->address.has_value() && root->address->view() == address) {
    return true;
  }
  return Next() != nullptr && Next()->address() == address;
}

bool KeyStore::Vouched(const StateKey& key) const {
  // The first signing key's state keys need not say whose they are, and whose it is may be unknown.
  const bool unopened =
      root_epoch_ == 0 && (!signing_.has_value() || !signing_->address.has_value());
  return key.address().empty() ? root_epoch_ == 0 : unopened || InUse(key.address());
}

bool KeyStore::Provides(uint32_t epoch) const {
  const auto found = state_keys_.find(epoch);
  return found != state_keys_.end() && Vouched(found->second);
}

std::vector<StateKey> KeyStore::Newest() const {
  std::vector<StateKey> keys;
  for (const auto& [epoch, key] : state_keys_) {
    if (Vouched(key)) keys.push_back(key);
  }
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

absl::Status KeyStore::PutPolicy(const std::string& policy) {
  if (!signing_.has_value()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the policy is kept beside ", path(), "/", kCiphertextName,
                     ", which is missing: put it back from a backup"));
  }
  SigningCiphertext signing = *signing_;
  signing.policy = policy;
  return PutSigning(signing);
}

absl::Status KeyStore::PutNext(const SigningKey& key) {
  if (absl::Status s = CheckSigningKey(key); !s.ok()) return s;
  if (const SigningKey* const next = Next(); next != nullptr) {
    if (Same(*next, key)) return absl::OkStatus();
    return absl::AlreadyExistsError(absl::StrCat("another signing key is in ", path(), "/",
                                                 KeyFileName(KeyFile::kSigning, next->epoch()),
                                                 ", and waits for its turn"));
  }
  const std::optional<SigningCiphertext> root = Root();
  if (!root.has_value() || !root->address.has_value() || key.epoch() != root_epoch_ + 1 ||
      key.address() == root->address->view()) {
    return absl::FailedPreconditionError(
        absl::StrCat("a signing key of epoch ", key.epoch(), " does not follow what is in ", path(),
                     ", where that of epoch ", root_epoch_, " is in use"));
  }
  return WriteLater({key, false});
}

absl::Status KeyStore::MakeRoot(const ethereum::Address& address) {
  const std::optional<SigningCiphertext> root = Root();
  if (root.has_value() && root->address == address) return absl::OkStatus();
  if (Next() == nullptr || Next()->address() != address.view()) {
    return absl::NotFoundError(absl::StrCat("the signing key of ", ethereum::ToChecksum(address),
                                            " is not in use in ", path()));
  }
  const uint32_t epoch = root_epoch_ + 1;
  if (absl::Status s = WriteLater({*Next(), true}); !s.ok()) return s;
  root_epoch_ = epoch;
  return absl::OkStatus();
}

absl::Status KeyStore::WriteLater(const LaterSigningKey& signing) {
  const uint32_t epoch = signing.key.epoch();
  absl::Status written = Write(KeyFileName(KeyFile::kSigning, epoch), SigningKeyText(signing));
  if (written.ok()) later_[epoch] = signing;
  return written;
}

absl::Status KeyStore::PutStateKey(const StateKey& key) {
  const auto found = state_keys_.find(key.epoch());
  if (found == state_keys_.end()) return ReplaceStateKey(key);
  if (Same(found->second, key)) return absl::OkStatus();
  return absl::AlreadyExistsError(absl::StrCat("another state key of epoch ", key.epoch(),
                                               " is in ", path(), "/",
                                               KeyFileName(KeyFile::kState, key.epoch())));
}

absl::Status KeyStore::ReplaceStateKey(const StateKey& key) {
  if (absl::Status s = CheckStateKey(key); !s.ok()) return s;
  if (absl::Status s = Write(KeyFileName(KeyFile::kState, key.epoch()), StateKeyText(key)); !s.ok())
    return s;
  state_keys_[key.epoch()] = key;
  return absl::OkStatus();
}

std::optional<ethereum::Address> RootAddress(const KeyStore& keys,
                                             const std::optional<ethereum::Address>& expected) {
  const std::optional<SigningCiphertext> root = keys.Root();
  const std::optional<ethereum::Address> kept =
      root.has_value() ? root->address : std::optional<ethereum::Address>();
  if (!expected.has_value()) return kept;
  return kept.has_value() && keys.InUse(expected->view()) ? kept : expected;
}

void FillProvision(const SigningCiphertext& signing, const KeyStore* keys,
                   boundary::v1::Provision* out) {
  out->set_ciphertext(signing.ciphertext);
  out->set_key_id(signing.key_id);
  out->set_encryption_algorithm(signing.encryption_algorithm);
  out->mutable_encryption_context()->insert(signing.encryption_context.begin(),
                                            signing.encryption_context.end());
  // Checked when it was stored and read.
  if (!signing.policy.empty()) out->mutable_policy()->ParseFromString(signing.policy);
  if (keys == nullptr) return;
  out->set_signing_key_epoch(keys->root_epoch());
  if (keys->Next() != nullptr) *out->mutable_next_signing_key() = *keys->Next();
  for (StateKey& key : keys->Newest()) *out->add_state_keys() = std::move(key);
}

}  // namespace coffer::host
