#include "enclave_core/ethereum/signature.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <secp256k1.h>
#include <secp256k1_recovery.h>

#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

constexpr size_t kSecretBytes = 32;
constexpr std::string_view kDeriveDomain = "coffer:derive:";

// One context for the process, blinded once against side channels and never changed again, hence
// safe to share between threads. Blinding does not influence any result.
const secp256k1_context* Context() {
  static const secp256k1_context* const context = [] {
    secp256k1_context* made = secp256k1_context_create(SECP256K1_CONTEXT_NONE);
    std::array<unsigned char, 32> seed{};
    COFFER_CHECK(RAND_bytes(seed.data(), static_cast<int>(seed.size())) == 1,
                 "the random generator works");
    COFFER_CHECK(secp256k1_context_randomize(made, seed.data()) == 1, "the context is blinded");
    OPENSSL_cleanse(seed.data(), seed.size());
    return made;
  }();
  return context;
}

Address AddressOf(const secp256k1_pubkey& key) {
  std::array<unsigned char, 65> point{};  // 0x04 || x || y
  size_t size = point.size();
  COFFER_CHECK(secp256k1_ec_pubkey_serialize(Context(), point.data(), &size, &key,
                                             SECP256K1_EC_UNCOMPRESSED) == 1 &&
                   size == point.size(),
               "a parsed public key serializes");
  const Hash hash = Keccak256({reinterpret_cast<const char*>(point.data()) + 1, point.size() - 1});
  Address address;
  std::memcpy(address.bytes.data(), hash.bytes.data() + Hash::kSize - Address::kSize,
              Address::kSize);
  return address;
}

// HMAC-SHA-256 without a key, copied for each use: OpenSSL's look-ups of the two algorithms, which
// HMAC() repeats, cost more than the HMAC.
const EVP_MAC_CTX* KeylessHmac() {
  static const EVP_MAC_CTX* const context = [] {
    EVP_MAC* const hmac = EVP_MAC_fetch(nullptr, OSSL_MAC_NAME_HMAC, nullptr);
    EVP_MAC_CTX* const made = EVP_MAC_CTX_new(hmac);
    char sha256[] = "SHA256";
    const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, sha256, 0),
                                 OSSL_PARAM_construct_end()};
    COFFER_CHECK(made != nullptr && EVP_MAC_CTX_set_params(made, params) == 1,
                 "OpenSSL has HMAC-SHA-256");
    EVP_MAC_free(hmac);  // the context has it
    return made;
  }();
  return context;
}

void Hmac(std::string_view key, std::string_view label, uint8_t* out32) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  EVP_MAC_CTX* const context = EVP_MAC_CTX_dup(KeylessHmac());
  size_t size = 0;
  const bool done = context != nullptr &&
                    EVP_MAC_init(context, bytes(key), key.size(), nullptr) == 1 &&
                    EVP_MAC_update(context, bytes(kDeriveDomain), kDeriveDomain.size()) == 1 &&
                    EVP_MAC_update(context, bytes(label), label.size()) == 1 &&
                    EVP_MAC_final(context, out32, &size, kSecretBytes) == 1 && size == kSecretBytes;
  EVP_MAC_CTX_free(context);  // wipes what it made of the key
  COFFER_CHECK(done, "HMAC-SHA-256 gives 32 bytes");
}

}  // namespace

std::string Signature::ToBytes65() const {
  std::string out;
  out.reserve(65);
  out.append(r.view()).append(s.view());
  out.push_back(static_cast<char>(27 + parity));
  return out;
}

absl::StatusOr<Signature> Signature::FromBytes65(std::string_view bytes) {
  if (bytes.size() != 65) {
    return absl::InvalidArgumentError(
        absl::StrCat("signature: expected 65 bytes (r, s, v), got ", bytes.size()));
  }
  const auto v = static_cast<uint8_t>(bytes[64]);
  if (v > 1 && v != 27 && v != 28) {
    return absl::InvalidArgumentError(
        absl::StrCat("signature: v is ", v, ", allowed are 27, 28, 0 and 1"));
  }
  Hash r, s;
  std::memcpy(r.bytes.data(), bytes.data(), Hash::kSize);
  std::memcpy(s.bytes.data(), bytes.data() + Hash::kSize, Hash::kSize);
  return FromParts(r, s, v >= 27 ? static_cast<uint8_t>(v - 27) : v);
}

absl::StatusOr<Signature> Signature::FromParts(const Hash& r, const Hash& s, uint8_t parity) {
  if (parity > 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("signature: the parity is ", parity, ", allowed are 0 and 1"));
  }
  if (r.IsZero() || s.IsZero()) return absl::InvalidArgumentError("signature: r or s is zero");
  std::array<unsigned char, 64> compact{};
  std::memcpy(compact.data(), r.bytes.data(), Hash::kSize);
  std::memcpy(compact.data() + Hash::kSize, s.bytes.data(), Hash::kSize);
  secp256k1_ecdsa_signature parsed;
  if (secp256k1_ecdsa_signature_parse_compact(Context(), &parsed, compact.data()) != 1) {
    return absl::InvalidArgumentError("signature: r or s is not below the group order");
  }
  if (secp256k1_ecdsa_signature_normalize(Context(), nullptr, &parsed) == 1) {
    return absl::InvalidArgumentError("signature: s is in the upper half (EIP-2)");
  }
  return Signature{r, s, parity};
}

struct PrivateKey::Secret {
  SecretBytes key;
  Address address;
};

PrivateKey::PrivateKey(std::unique_ptr<Secret> secret) : secret_(std::move(secret)) {}
PrivateKey::PrivateKey(PrivateKey&&) noexcept = default;
PrivateKey& PrivateKey::operator=(PrivateKey&&) noexcept = default;
PrivateKey::~PrivateKey() = default;

absl::StatusOr<PrivateKey> PrivateKey::FromBytes(std::string_view secret32) {
  if (secret32.size() != kSecretBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("private key: expected 32 bytes, got ", secret32.size()));
  }
  absl::StatusOr<SecretBytes> key = SecretBytes::CopyOf(secret32);
  if (!key.ok()) return key.status();
  secp256k1_pubkey public_key;
  if (secp256k1_ec_pubkey_create(Context(), &public_key, key->data().data()) != 1) {
    return absl::InvalidArgumentError(
        "private key: the number is zero or not below the group order; make a new key");
  }
  auto secret = std::make_unique<Secret>();
  secret->key = *std::move(key);
  secret->address = AddressOf(public_key);
  return PrivateKey(std::move(secret));
}

const Address& PrivateKey::address() const { return secret_->address; }

Signature PrivateKey::Sign(const Hash& digest) const {
  secp256k1_ecdsa_recoverable_signature raw;
  COFFER_CHECK(secp256k1_ecdsa_sign_recoverable(Context(), &raw, digest.bytes.data(),
                                                secret_->key.data().data(),
                                                secp256k1_nonce_function_rfc6979, nullptr) == 1,
               "a valid key signs every digest");
  std::array<unsigned char, 64> compact{};
  int recovery_id = 0;
  secp256k1_ecdsa_recoverable_signature_serialize_compact(Context(), compact.data(), &recovery_id,
                                                          &raw);
  // 2 and 3 would need R.x in the top 2^-127 of the field; such a signature has no Ethereum
  // encoding.
  COFFER_CHECK(recovery_id == 0 || recovery_id == 1, "R.x is below the group order");
  Signature signature;
  std::memcpy(signature.r.bytes.data(), compact.data(), Hash::kSize);
  std::memcpy(signature.s.bytes.data(), compact.data() + Hash::kSize, Hash::kSize);
  signature.parity = static_cast<uint8_t>(recovery_id);
  return signature;
}

std::string PrivateKey::Derive(std::string_view label) const {
  std::string out(kSecretBytes, '\0');
  Hmac(secret_->key.view(), label, reinterpret_cast<uint8_t*>(out.data()));
  return out;
}

absl::StatusOr<SecretBytes> PrivateKey::DeriveSecret(std::string_view label) const {
  absl::StatusOr<SecretBytes> out = SecretBytes::Create(kSecretBytes);
  if (out.ok()) Hmac(secret_->key.view(), label, out->data().data());
  return out;
}

absl::StatusOr<Address> RecoverAddress(const Hash& digest, const Signature& signature) {
  // Revalidated: a Signature is a plain struct and may have been filled by hand.
  absl::StatusOr<Signature> valid =
      Signature::FromParts(signature.r, signature.s, signature.parity);
  if (!valid.ok()) return valid.status();
  std::array<unsigned char, 64> compact{};
  std::memcpy(compact.data(), valid->r.bytes.data(), Hash::kSize);
  std::memcpy(compact.data() + Hash::kSize, valid->s.bytes.data(), Hash::kSize);
  secp256k1_ecdsa_recoverable_signature raw;
  secp256k1_pubkey key;
  if (secp256k1_ecdsa_recoverable_signature_parse_compact(Context(), &raw, compact.data(),
                                                          valid->parity) != 1 ||
      secp256k1_ecdsa_recover(Context(), &key, &raw, digest.bytes.data()) != 1) {
    return absl::InvalidArgumentError(
        "signature: no public key could have made it (r is not on the curve)");
  }
  return AddressOf(key);
}

Hash Eip191Hash(std::string_view message) {
  std::string preimage = absl::StrCat(
      "\x19"
      "Ethereum Signed Message:\n",
      message.size());
  return Keccak256(preimage.append(message));
}

}  // namespace coffer::ethereum
