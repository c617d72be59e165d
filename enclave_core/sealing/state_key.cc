#include "enclave_core/sealing/state_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::sealing {
namespace {

constexpr std::string_view kTagLabel = "state key tag v1";
constexpr std::string_view kDomain{"coffer state key v1\0", 20};
constexpr std::string_view kSigningKeyDomain{"coffer signing key v1\0", 22};

ethereum::Hash Hmac(const ethereum::SecretBytes& key, const uint8_t* text, size_t size) {
  ethereum::Hash tag;
  unsigned int length = 0;
  const unsigned char* const made =
      HMAC(EVP_sha256(), key.data().data(), static_cast<int>(key.size()), text, size,
           tag.bytes.data(), &length);
  COFFER_CHECK(made != nullptr && length == tag.bytes.size(), "OpenSSL has no HMAC-SHA-256");
  return tag;
}

bool Same(std::string_view tag, const ethereum::Hash& expected) {
  return tag.size() == expected.bytes.size() &&
         CRYPTO_memcmp(tag.data(), expected.bytes.data(), tag.size()) == 0;
}

}  // namespace

absl::StatusOr<StateKey> DeriveStateKey(const ethereum::PrivateKey& signing_key) {
  absl::StatusOr<ethereum::SecretBytes> secret = signing_key.DeriveSecret("state key v1");
  if (!secret.ok()) return secret.status();
  return StateKey{kDerivedKeyEpoch, *std::move(secret)};
}

absl::StatusOr<ethereum::SecretBytes> StateKeyTagKey(const ethereum::PrivateKey& signing_key) {
  return signing_key.DeriveSecret(kTagLabel);
}

absl::StatusOr<ethereum::Hash> StateKeyTag(const ethereum::SecretBytes& tag_key,
                                           const StateKey& key, std::string_view ciphertext) {
  // In locked memory, because the state key is a part of it.
  const size_t fixed = kDomain.size() + sizeof(uint32_t) + kStateKeyBytes;
  COFFER_CHECK(key.secret.size() == kStateKeyBytes, "a state key of another length");
  absl::StatusOr<ethereum::SecretBytes> text =
      ethereum::SecretBytes::Create(fixed + ciphertext.size());
  if (!text.ok()) return text.status();
  uint8_t* out = text->data().data();
  out = std::copy(kDomain.begin(), kDomain.end(), out);
  for (int shift = 24; shift >= 0; shift -= 8) *out++ = static_cast<uint8_t>(key.epoch >> shift);
  out = std::copy(key.secret.view().begin(), key.secret.view().end(), out);
  std::copy(ciphertext.begin(), ciphertext.end(), out);
  return Hmac(tag_key, text->data().data(), text->size());
}

absl::Status CheckStateKeyTag(const ethereum::SecretBytes& tag_key, const StateKey& key,
                              std::string_view ciphertext, std::string_view tag) {
  const absl::StatusOr<ethereum::Hash> expected = StateKeyTag(tag_key, key, ciphertext);
  if (!expected.ok()) return expected.status();
  if (Same(tag, *expected)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the state key of epoch ", key.epoch,
                   " was not made by an enclave with this signing key: its tag is another's. Give "
                   "the state key as it was stored when that enclave made it"));
}

ethereum::Hash SigningKeyTag(const ethereum::SecretBytes& tag_key, uint32_t epoch,
                             const ethereum::Address& address, std::string_view ciphertext) {
  std::string text(kSigningKeyDomain);
  for (int shift = 24; shift >= 0; shift -= 8) text.push_back(static_cast<char>(epoch >> shift));
  text.append(address.view());
  text.append(ciphertext);
  return Hmac(tag_key, reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

absl::Status CheckSigningKeyTag(const ethereum::SecretBytes& tag_key, uint32_t epoch,
                                const ethereum::Address& address, std::string_view ciphertext,
                                std::string_view tag) {
  if (Same(tag, SigningKeyTag(tag_key, epoch, address, ciphertext))) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat("the signing key of ", ethereum::ToChecksum(address),
                   " was not made by an enclave with the signing key before it: its tag is "
                   "another's. Give it as it was stored when that enclave made it"));
}

}  // namespace coffer::sealing
