// The ciphertexts of an enclave's keys, beside its records: what only KMS can open, and only for an
// enclave that it was told to open it for. Without them the records are lost for good.
//
//   signing.ciphertext    the signing key's, as KMS made it; an operator may put it here by hand
//   signing.json          what goes with it: key id, algorithm, encryption context, and the address
//                         that came out when it was first opened
//   state-<epoch>.json    a state key (proto/signer.proto, StateKey)
//
// Each file is replaced as a whole, and durable, with the folder, when a call returns OK. None is
// ever removed here: a backup may need the oldest.
#ifndef COFFER_ACTORS_HOST_KEY_STORE_H_
#define COFFER_ACTORS_HOST_KEY_STORE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/disk.h"
#include "actors/host/key_files.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

class KeyStore {
 public:
  // Reads what is there. DataLoss names the file that is not what it should be. `disk` outlives
  // this object, which is its only user.
  static absl::StatusOr<std::unique_ptr<KeyStore>> Open(Disk* disk);
  // The same for a folder, which is made (mode 0700) when it is missing, and locked as OsDisk has
  // it.
  static absl::StatusOr<std::unique_ptr<KeyStore>> OpenFolder(
      const std::string& path, absl::Duration patience = absl::ZeroDuration());

  const std::optional<SigningCiphertext>& signing() const { return signing_; }
  const std::map<uint32_t, boundary::v1::StateKey>& state_keys() const { return state_keys_; }
  bool HasEpoch(uint32_t epoch) const { return state_keys_.contains(epoch); }
  // As Provision takes them: ascending, the newest kMaxStateKeys.
  std::vector<boundary::v1::StateKey> Newest() const;

  // AlreadyExists when another ciphertext is there: one key, one folder. With the same one the rest
  // is brought up to date.
  absl::Status PutSigning(const SigningCiphertext& signing);
  // AlreadyExists when another key of that epoch is there; with the same one nothing is done.
  absl::Status PutStateKey(const boundary::v1::StateKey& key);
  // In place of another key of that epoch, which nothing was ever sealed under.
  absl::Status ReplaceStateKey(const boundary::v1::StateKey& key);

  // For messages: the folder's path.
  const std::string& path() const { return disk_->path(); }

 private:
  KeyStore(Disk* disk, std::unique_ptr<Disk> owned) : disk_(disk), owned_(std::move(owned)) {}
  absl::Status Load();
  absl::Status LoadSigning();
  absl::Status LoadStateKey(const std::string& name, uint32_t epoch);
  absl::StatusOr<std::string> Read(const std::string& name, size_t most) const;
  absl::Status Write(const std::string& name, const std::string& content);

  Disk* const disk_;
  const std::unique_ptr<Disk> owned_;
  std::optional<SigningCiphertext> signing_;
  std::map<uint32_t, boundary::v1::StateKey> state_keys_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_STORE_H_
