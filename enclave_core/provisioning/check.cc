// What a request for keys may hold.
#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "enclave_core/error.h"
#include "enclave_core/provisioning/provisioning.h"

namespace coffer::provisioning {
namespace {

using boundary::v1::ERROR_MALFORMED;

constexpr size_t kMaxRegionBytes = 32;
constexpr size_t kMaxCredentialBytes = 16 * 1024;  // session tokens are long
constexpr std::string_view kPurpose = "coffer:purpose";
constexpr std::string_view kStateKeyPurpose = "state-key";

absl::Status Malformed(absl::string_view what, absl::string_view why) {
  return Refuse(ERROR_MALFORMED, absl::StrCat(what, " ", why));
}

absl::Status CheckBytes(absl::string_view name, const std::string& value, size_t least,
                        size_t most) {
  if (value.size() >= least && value.size() <= most) return absl::OkStatus();
  return Malformed(
      name, absl::StrCat("has ", value.size(), " bytes; ", least, "..", most, " are allowed"));
}

absl::Status CheckAddress(absl::string_view name, const std::string& value) {
  if (value.empty() || value.size() == ethereum::Address::kSize) return absl::OkStatus();
  return Malformed(name, "must be 20 bytes, or absent");
}

// One label of a host's name: anything else could name a host that is not AWS's.
bool IsRegion(std::string_view text) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  };
  return !text.empty() && text.size() <= kMaxRegionBytes && text.front() != '-' &&
         text.back() != '-' && std::all_of(text.begin(), text.end(), allowed);
}

absl::Status CheckCredentials(const boundary::v1::AwsCredentials& aws) {
  if (!IsRegion(aws.region())) {
    return Malformed("region", "must be a region's name, like us-east-2");
  }
  struct Row {
    const char* name;
    const std::string& value;
    size_t least;
  };
  for (const Row& row : {Row{"access_key_id", aws.access_key_id(), 1},
                         Row{"secret_access_key", aws.secret_access_key(), 1},
                         Row{"session_token", aws.session_token(), 0}}) {
    absl::Status checked = CheckBytes(row.name, row.value, row.least, kMaxCredentialBytes);
    if (!checked.ok()) return checked;
  }
  return absl::OkStatus();
}

template <typename Context>
absl::Status CheckContext(const Context& context) {
  if (context.size() > kMaxContextPairs) {
    return Malformed("encryption_context", absl::StrCat("has ", context.size(), " pairs; at most ",
                                                        kMaxContextPairs, " are allowed"));
  }
  for (const auto& [key, value] : context) {
    absl::Status checked = CheckBytes("encryption_context's key", key, 1, kMaxContextBytes);
    if (checked.ok()) {
      checked = CheckBytes("encryption_context's value", value, 0, kMaxContextBytes);
    }
    if (!checked.ok()) return checked;
    if (key == kPurpose && value == kStateKeyPurpose) {
      return Malformed("encryption_context", "is a state key's; a signing key is asked for");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckStateKeys(const boundary::v1::Provision& request, StateKeys state_keys) {
  const auto& keys = request.state_keys();
  if (keys.empty()) return absl::OkStatus();
  if (state_keys == StateKeys::kDerived) {
    return Malformed("state_keys",
                     "are of no use: this enclave was started with --storage none, and seals its "
                     "state under a key of its own");
  }
  if (static_cast<size_t>(keys.size()) > sealing::kMaxStateKeys) {
    return Malformed("state_keys",
                     absl::StrCat("are ", keys.size(), "; at most ", sealing::kMaxStateKeys,
                                  " are allowed: leave out the oldest, which nothing is sealed "
                                  "under any more"));
  }
  for (int i = 0; i < keys.size(); ++i) {
    const boundary::v1::StateKey& key = keys[i];
    const std::string name = absl::StrCat("state_keys[", i, "]");
    if (key.epoch() == sealing::kDerivedKeyEpoch) {
      return Malformed(name, "is of epoch 0, which is no key of KMS's");
    }
    // Subtracted and not added, so that the last epoch has no successor.
    if (i > 0 && key.epoch() - 1 != keys[i - 1].epoch()) {
      return Malformed(name, absl::StrCat("is of epoch ", key.epoch(), " and follows epoch ",
                                          keys[i - 1].epoch(),
                                          "; they come in order, each once and none left out"));
    }
    absl::Status checked = CheckBytes(absl::StrCat(name, "'s ciphertext"), key.ciphertext(), 1,
                                      kms::kMaxCiphertextBytes);
    if (checked.ok()) {
      checked = CheckBytes(absl::StrCat(name, "'s key_id"), key.key_id(), 0, kMaxKeyIdBytes);
    }
    if (checked.ok()) checked = CheckBytes(absl::StrCat(name, "'s tag"), key.tag(), 32, 32);
    if (checked.ok()) checked = CheckAddress(absl::StrCat(name, "'s address"), key.address());
    if (!checked.ok()) return checked;
  }
  return absl::OkStatus();
}

absl::Status CheckNextSigningKey(const boundary::v1::Provision& request, StateKeys state_keys) {
  if (!request.has_next_signing_key()) return absl::OkStatus();
  const boundary::v1::SigningKey& key = request.next_signing_key();
  if (state_keys == StateKeys::kDerived) {
    return Malformed("next_signing_key",
                     "is of no use: this enclave was started with --storage none, and its keys do "
                     "not follow one another");
  }
  if (key.epoch() == 0 || key.epoch() - 1 != request.signing_key_epoch()) {
    return Malformed("next_signing_key",
                     absl::StrCat("is of epoch ", key.epoch(), " and follows one of epoch ",
                                  request.signing_key_epoch()));
  }
  if (request.state_keys().empty()) {
    return Malformed("next_signing_key", "comes without state keys, one of which was made with it");
  }
  absl::Status checked =
      CheckBytes("next_signing_key's ciphertext", key.ciphertext(), 1, kms::kMaxCiphertextBytes);
  if (checked.ok())
    checked = CheckBytes("next_signing_key's key_id", key.key_id(), 0, kMaxKeyIdBytes);
  if (checked.ok()) checked = CheckBytes("next_signing_key's tag", key.tag(), 32, 32);
  if (checked.ok()) checked = CheckBytes("next_signing_key's address", key.address(), 20, 20);
  return checked.ok() ? CheckContext(key.encryption_context()) : checked;
}

}  // namespace

absl::Status Check(const boundary::v1::Provision& request, StateKeys state_keys) {
  if (absl::Status s = CheckCredentials(request.aws()); !s.ok()) return s;
  if (absl::Status s = CheckBytes("ciphertext", request.ciphertext(), 1, kms::kMaxCiphertextBytes);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = CheckBytes("key_id", request.key_id(), 0, kMaxKeyIdBytes); !s.ok()) return s;
  if (absl::Status s = CheckBytes("encryption_algorithm", request.encryption_algorithm(), 0, 64);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = CheckBytes("state_key_id", request.state_key_id(), 0, kMaxKeyIdBytes);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = CheckAddress("expected_address", request.expected_address()); !s.ok()) {
    return s;
  }
  if (absl::Status s = CheckContext(request.encryption_context()); !s.ok()) return s;
  if (absl::Status s = CheckNextSigningKey(request, state_keys); !s.ok()) return s;
  return CheckStateKeys(request, state_keys);
}

absl::Status Check(const boundary::v1::Generate& request) {
  if (absl::Status s = CheckCredentials(request.aws()); !s.ok()) return s;
  if (absl::Status s = CheckBytes("key_id", request.key_id(), 1, kMaxKeyIdBytes); !s.ok()) return s;
  if (absl::Status s = CheckBytes("state_key_id", request.state_key_id(), 0, kMaxKeyIdBytes);
      !s.ok()) {
    return s;
  }
  if (request.key_spec() != "AES_256") return Malformed("key_spec", "must be AES_256");
  return CheckContext(request.encryption_context());
}

absl::Status Check(const boundary::v1::RotateStateKey& request) {
  if (absl::Status s = CheckCredentials(request.aws()); !s.ok()) return s;
  return CheckBytes("key_id", request.key_id(), 0, kMaxKeyIdBytes);
}

absl::Status Check(const boundary::v1::RotateSigningKey& request) {
  return CheckCredentials(request.aws());
}

}  // namespace coffer::provisioning
