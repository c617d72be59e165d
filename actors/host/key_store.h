// The ciphertexts of an enclave's keys, beside its records: what only KMS can open, and only for an
// enclave that it was told to open it for. Without them the records are lost for good.
//
//   signing.ciphertext    the first signing key's, as KMS made it; an operator may put it here by
//                         hand
//   signing.json          what goes with it: key id, algorithm, encryption context, the address
//   that
//                         came out when it was first opened; and the policy, whichever key is in
//                         use
//   signing-<epoch>.json  a signing key after the first (proto/signer.proto, SigningKey), and
//                         whether all older ones are retired
//   state-<epoch>.json    a state key (proto/signer.proto, StateKey)
//
// In use are the **root**, the oldest signing key that is not retired, and at most one more, the
// **next**, which follows it. An enclave is given these, and the state keys that they vouch for.
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
#include <string_view>
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

  // The first signing key's; none: its ciphertext is not here.
  const std::optional<SigningCiphertext>& signing() const { return signing_; }
  // Those after it, by epoch.
  const std::map<uint32_t, LaterSigningKey>& later_signing() const { return later_; }
  // The root, as it is provisioned, the policy of signing.json with it; none: there is no key here.
  std::optional<SigningCiphertext> Root() const;
  uint32_t root_epoch() const { return root_epoch_; }
  // The one after the root; null: there is none.
  const boundary::v1::SigningKey* Next() const;
  // Whether `address`, 20 bytes, is the root's or the next one's.
  bool InUse(std::string_view address) const;

  const std::map<uint32_t, boundary::v1::StateKey>& state_keys() const { return state_keys_; }
  bool HasEpoch(uint32_t epoch) const { return state_keys_.contains(epoch); }
  // Whether an enclave is given the state key of this epoch.
  bool Provides(uint32_t epoch) const;
  // As Provision takes them: those that the root or the next one vouches for, ascending, the newest
  // kMaxStateKeys.
  std::vector<boundary::v1::StateKey> Newest() const;

  // The first signing key's. AlreadyExists when another ciphertext is there: one key, one folder.
  // With the same one the rest is brought up to date.
  absl::Status PutSigning(const SigningCiphertext& signing);
  // Has `policy` go with each provisioning from now on. FailedPrecondition without a
  // signing.ciphertext, whose file keeps it.
  absl::Status PutPolicy(const std::string& policy);
  // The key that follows the root. AlreadyExists when another one does already, or the epoch is
  // taken; FailedPrecondition when it does not follow the root; with the same key nothing is done.
  absl::Status PutNext(const boundary::v1::SigningKey& key);
  // The signing key with this address is the root from now on: all older ones are retired.
  // NotFound when it is neither root nor next; nothing is done when it is the root.
  absl::Status MakeRoot(const ethereum::Address& address);
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
  absl::Status LoadLater(const std::string& name, uint32_t epoch);
  // Which of those read is the root; DataLoss when the rest does not fit to it.
  absl::Status FindRoot();
  // Whether the root or the next one vouches for it.
  bool Vouched(const boundary::v1::StateKey& key) const;
  absl::Status LoadStateKey(const std::string& name, uint32_t epoch);
  absl::StatusOr<std::string> Read(const std::string& name, size_t most) const;
  absl::Status Write(const std::string& name, const std::string& content);
  absl::Status WriteLater(const LaterSigningKey& signing);

  Disk* const disk_;
  const std::unique_ptr<Disk> owned_;
  std::optional<SigningCiphertext> signing_;
  std::map<uint32_t, LaterSigningKey> later_;
  uint32_t root_epoch_ = 0;
  std::map<uint32_t, boundary::v1::StateKey> state_keys_;
};

// The address that has to come out of the root's ciphertext; none: any may. `expected` is an
// operator's word: the root's address or, while it drains already, the next one's.
std::optional<ethereum::Address> RootAddress(const KeyStore& keys,
                                             const std::optional<ethereum::Address>& expected);

// Fills in what an enclave is to be given: `signing`, the root as it is to be asked for, and what
// `keys` has beside it; null: nothing else is kept. Credentials, the KMS key for new state keys and
// the address that is expected are the caller's.
void FillProvision(const SigningCiphertext& signing, const KeyStore* keys,
                   boundary::v1::Provision* out);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_STORE_H_
