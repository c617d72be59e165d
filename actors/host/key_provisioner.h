// Gives an enclave its keys from the ciphertexts that this host keeps (key_store.h), at each start
// of the enclave, with credentials that are fetched anew each time; and stores what keys the
// enclave made before any state is loaded, because what is sealed under a key that nobody stored is
// lost when the enclave ends.
//
// It guards the loading even where it does not provision itself: an enclave whose state key, or
// whose later signing key, is not in the folder is loaded with nothing.
#ifndef COFFER_ACTORS_HOST_KEY_PROVISIONER_H_
#define COFFER_ACTORS_HOST_KEY_PROVISIONER_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "actors/host/aws/credentials.h"
#include "actors/host/key_store.h"
#include "actors/host/provisioner.h"
#include "runtime/backoff.h"
#include "runtime/dispatcher.h"
#include "runtime/random.h"

namespace coffer::host {

// Why an enclave has no key, by who can mend it. The words are in logs, metrics and /readyz.
enum class KeyTrouble : uint8_t {
  kNotAsked,     // "not_asked": this host does not provision
  kCiphertext,   // "no_ciphertext": a signing key's is missing
  kStateKeys,    // "no_state_keys": there are records, and not the key that they are sealed under
  kCredentials,  // "no_credentials"
  kFolder,       // "key_folder": what was made cannot be stored
  kKms,          // "kms": KMS refused, or was not reached
  kRefused,      // "refused": the enclave refused
  kAddress,      // "address": another key came out
  kNoAnswer,     // "no_answer": of the enclave
};
inline constexpr size_t kKeyTroubles = 9;
std::string_view KeyTroubleWord(KeyTrouble trouble);

class KeyProvisioner final : public Provisioner {
 public:
  struct Options {
    bool provision = false;       // false: it only guards the loading
    std::string state_key_id;     // of the KMS key for new state keys; empty: the signing key's
    std::string generate_key_id;  // makes a signing key where none is stored; empty: never
    std::map<std::string, std::string> generate_context;  // goes with the generated one
    std::optional<ethereum::Address> expected_address;    // of the root, or of the one after it
    // Has a new state key made although there are records and no state key is stored.
    bool new_state_key = false;
    uint32_t proxy_port = 8000;
    absl::Duration timeout = absl::Seconds(120);  // of the enclave's answer
    absl::Duration first_retry = absl::Seconds(1);
    absl::Duration max_retry = absl::Minutes(1);
  };
  struct Counters {
    uint64_t attempts = 0;    // requests of credentials, each for one provisioning
    uint64_t provisions = 0;  // that gave an enclave its key
    std::array<uint64_t, kKeyTroubles> failures{};
    double last_seconds = 0;   // that the last provisioning took
    bool provisioned = false;  // the enclave of the last connection has a key
  };

  // `keys` and `credentials` (null when !options.provision) outlive this object. `has_records` says
  // whether sealed state is stored here.
  KeyProvisioner(Options options, runtime::Dispatcher* dispatcher, runtime::Random* random,
                 KeyStore* keys, aws::CredentialsSource* credentials,
                 absl::AnyInvocable<bool()> has_records);

  void Prepare(const boundary::v1::Status& status, Send send, Done done) override;

  const Counters& counters() const { return counters_; }

 private:
  // What the enclave made and the folder has not yet.
  struct Unstored {
    SigningCiphertext signing;
    std::vector<boundary::v1::StateKey> keys;
    bool Has(uint32_t epoch) const;
  };

  // What is there to provision with, or the trouble.
  bool MayProvision();
  void Provision();
  void Ask(absl::StatusOr<aws::Credentials> credentials);
  boundary::v1::ClientFrame Request(const aws::Credentials& credentials) const;
  void Answered(absl::StatusOr<boundary::v1::ServerFrame> frame);
  void Refused(const boundary::v1::Error& error);
  void Take(const boundary::v1::Provisioned& provisioned);
  void StoreNew();
  void GuardLoading(const boundary::v1::Status& status);
  void NoteReady(const boundary::v1::Status& status);
  // A signing key that the enclave holds and the folder does not, as a text; empty: there is none.
  std::string UnkeptSigning(const boundary::v1::Status& status, bool waiting_too) const;
  void Fail(KeyTrouble trouble, const std::string& why);
  void Succeed();

  const Options options_;
  runtime::Dispatcher* const dispatcher_;
  KeyStore* const keys_;
  aws::CredentialsSource* const credentials_;
  absl::AnyInvocable<bool()> has_records_;
  runtime::Backoff backoff_;

  uint64_t attempt_ = 0;  // counts Prepare, so that answers to an older one are known
  Send send_;
  Done done_;
  absl::Time began_;
  bool asked_ = false;  // the enclave, in this attempt
  std::optional<Unstored> unstored_;
  std::string last_trouble_;
  uint32_t said_epoch_ = 0;
  std::string said_signing_;
  Counters counters_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_KEY_PROVISIONER_H_
