#include "host_proxy/keystore.h"

#include <crypto++/scrypt.h>
#include <json/value.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <bit>
#include <exception>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {

using ethereum::SecretBytes;

namespace {

constexpr size_t kDerivedBytes = 32;
constexpr size_t kKeyBytes = 32;
constexpr size_t kIvBytes = 16;
constexpr size_t kMaxSaltBytes = 256;

absl::Status Wrong(const std::string& field, const std::string& why) {
  return absl::InvalidArgumentError(absl::StrCat("keystore: ", field, ": ", why));
}

absl::StatusOr<const Json::Value*> ObjectAt(const Json::Value& json, const std::string& field,
                                            const char* name) {
  const Json::Value* value = json.find(name, name + std::string_view(name).size());
  if (value == nullptr || !value->isObject()) return Wrong(field, "must be there, as an object");
  return value;
}

absl::StatusOr<std::string> WordAt(const Json::Value& json, const std::string& field,
                                   const char* name) {
  const Json::Value& value = json[name];
  if (!value.isString()) return Wrong(field, "must be there, as a string");
  return value.asString();
}

absl::StatusOr<std::string> HexAt(const Json::Value& json, const std::string& field,
                                  const char* name, size_t least, size_t most) {
  const absl::StatusOr<std::string> text = WordAt(json, field, name);
  if (!text.ok()) return text.status();
  absl::StatusOr<std::string> bytes = ethereum::FromHex(*text);
  if (!bytes.ok() || bytes->size() < least || bytes->size() > most) {
    return Wrong(field, least == most
                            ? absl::StrCat("must be ", 2 * least, " hex digits")
                            : absl::StrCat("must be ", 2 * least, " to ", 2 * most, " hex digits"));
  }
  return bytes;
}

absl::StatusOr<uint64_t> NumberAt(const Json::Value& json, const std::string& field,
                                  const char* name, uint64_t least, uint64_t most) {
  const Json::Value& value = json[name];
  const bool whole = value.type() == Json::intValue || value.type() == Json::uintValue;
  if (!whole || !value.isUInt64() || value.asUInt64() < least || value.asUInt64() > most) {
    return Wrong(field, absl::StrCat("must be a whole number from ", least, " to ", most));
  }
  return value.asUInt64();
}

struct KdfParams {
  bool scrypt = false;
  uint64_t n = 0, r = 0, p = 0;  // scrypt
  uint64_t c = 0;                // pbkdf2
  std::string salt;
};

// A file with everything checked, and nothing computed yet.
struct Keystore {
  KdfParams kdf;
  std::string iv;
  std::string ciphertext;
  std::string mac;
  std::string address;  // 20 bytes, or empty: the file need not say it
};

absl::Status ParseScrypt(const Json::Value& json, KdfParams& kdf) {
  const auto n = NumberAt(json, "kdfparams.n", "n", 2, uint64_t{1} << 24);
  const auto r = NumberAt(json, "kdfparams.r", "r", 1, 64);
  const auto p = NumberAt(json, "kdfparams.p", "p", 1, 64);
  for (const auto* number : {&n, &r, &p}) {
    if (!number->ok()) return number->status();
  }
  if (!std::has_single_bit(*n)) return Wrong("kdfparams.n", "must be a power of two");
  // The memory of RFC 7914: V has 128 r N bytes, B 128 r p, and a few blocks more.
  if (128 * *r * (*n + *p + 2) > kMaxScryptBytes) {
    return Wrong("kdfparams.n, kdfparams.r", "they ask for more than 512 MiB of memory");
  }
  kdf.scrypt = true;
  kdf.n = *n, kdf.r = *r, kdf.p = *p;
  return absl::OkStatus();
}

absl::Status ParsePbkdf2(const Json::Value& json, KdfParams& kdf) {
  const auto prf = WordAt(json, "kdfparams.prf", "prf");
  if (!prf.ok()) return prf.status();
  if (*prf != "hmac-sha256") return Wrong("kdfparams.prf", "only hmac-sha256 is known");
  const auto c = NumberAt(json, "kdfparams.c", "c", 1, kMaxPbkdf2Rounds);
  if (!c.ok()) return c.status();
  kdf.c = *c;
  return absl::OkStatus();
}

absl::Status ParseKdf(const Json::Value& crypto, KdfParams& kdf) {
  const auto name = WordAt(crypto, "kdf", "kdf");
  if (!name.ok()) return name.status();
  const auto params = ObjectAt(crypto, "kdfparams", "kdfparams");
  if (!params.ok()) return params.status();
  const auto length = NumberAt(**params, "kdfparams.dklen", "dklen", kDerivedBytes, kDerivedBytes);
  if (!length.ok()) return length.status();
  auto salt = HexAt(**params, "kdfparams.salt", "salt", 1, kMaxSaltBytes);
  if (!salt.ok()) return salt.status();
  kdf.salt = *std::move(salt);
  if (*name == "scrypt") return ParseScrypt(**params, kdf);
  if (*name == "pbkdf2") return ParsePbkdf2(**params, kdf);
  return Wrong("kdf", "only scrypt and pbkdf2 are known");
}

absl::StatusOr<Keystore> Parse(std::string_view text) {
  if (text.size() > kMaxKeystoreBytes) {
    return absl::InvalidArgumentError("keystore: the file is longer than 64 KiB");
  }
  const absl::StatusOr<Json::Value> json = FromText(text);
  if (!json.ok() || !json->isObject()) {
    return absl::InvalidArgumentError(
        "keystore: the file is not a JSON object, or has a key twice");
  }
  const auto version = NumberAt(*json, "version", "version", 3, 3);
  if (!version.ok()) return version.status();
  // Old writers spell it with a capital letter.
  const char* const name = json->isMember("crypto") ? "crypto" : "Crypto";
  if (json->isMember("crypto") && json->isMember("Crypto")) {
    return Wrong("crypto", "is there twice, once with a capital letter");
  }
  const auto crypto = ObjectAt(*json, "crypto", name);
  if (!crypto.ok()) return crypto.status();

  Keystore keystore;
  const auto cipher = WordAt(**crypto, "cipher", "cipher");
  if (!cipher.ok()) return cipher.status();
  if (*cipher != "aes-128-ctr") return Wrong("cipher", "only aes-128-ctr is known");
  const auto params = ObjectAt(**crypto, "cipherparams", "cipherparams");
  if (!params.ok()) return params.status();
  auto iv = HexAt(**params, "cipherparams.iv", "iv", kIvBytes, kIvBytes);
  auto ciphertext = HexAt(**crypto, "ciphertext", "ciphertext", kKeyBytes, kKeyBytes);
  auto mac = HexAt(**crypto, "mac", "mac", 32, 32);
  for (const auto* bytes : {&iv, &ciphertext, &mac}) {
    if (!bytes->ok()) return bytes->status();
  }
  if (json->isMember("address") && !(*json)["address"].isNull()) {
    auto address = HexAt(*json, "address", "address", 20, 20);
    if (!address.ok()) return address.status();
    keystore.address = *std::move(address);
  }
  keystore.iv = *std::move(iv);
  keystore.ciphertext = *std::move(ciphertext);
  keystore.mac = *std::move(mac);
  if (absl::Status s = ParseKdf(**crypto, keystore.kdf); !s.ok()) return s;
  return keystore;
}

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Not OpenSSL's: that refuses n >= 2^(16 r), which the format's first test vector and many files of
// older Python and JavaScript wallets have (n = 262144, r = 1, p = 8). Its memory is wiped.
bool Scrypt(const KdfParams& kdf, std::string_view password, absl::Span<uint8_t> out) {
  try {
    CryptoPP::Scrypt().DeriveKey(out.data(), out.size(), Bytes(password), password.size(),
                                 Bytes(kdf.salt), kdf.salt.size(), kdf.n, kdf.r, kdf.p);
    return true;
  } catch (const std::exception&) {  // no memory
    return false;
  }
}

absl::StatusOr<SecretBytes> DeriveKey(const KdfParams& kdf, std::string_view password) {
  absl::StatusOr<SecretBytes> key = SecretBytes::Create(kDerivedBytes);
  if (!key.ok()) return key.status();
  bool done = false;
  if (kdf.scrypt) {
    done = Scrypt(kdf, password, key->data());
  } else {
    done = PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), Bytes(kdf.salt),
                             static_cast<int>(kdf.salt.size()), static_cast<int>(kdf.c),
                             EVP_sha256(), kDerivedBytes, key->data().data()) == 1;
  }
  if (done) return key;
  return absl::ResourceExhaustedError(
      "keystore: the key derivation failed; is there enough memory?");
}

// keccak-256(derived[16..32] || ciphertext)
bool MacFits(const SecretBytes& derived, const Keystore& keystore) {
  std::string input = absl::StrCat(std::string(derived.view().substr(16)), keystore.ciphertext);
  const ethereum::Hash mac = ethereum::Keccak256(input);
  OPENSSL_cleanse(input.data(), input.size());
  return CRYPTO_memcmp(mac.view().data(), keystore.mac.data(), keystore.mac.size()) == 0;
}

absl::StatusOr<SecretBytes> Decrypt(const SecretBytes& derived, const Keystore& keystore) {
  absl::StatusOr<SecretBytes> key = SecretBytes::Create(kKeyBytes);
  if (!key.ok()) return key.status();
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> context(
      EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int written = 0;
  const bool done =
      context != nullptr &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_128_ctr(), nullptr, derived.data().data(),
                         Bytes(keystore.iv)) == 1 &&
      EVP_DecryptUpdate(context.get(), key->data().data(), &written, Bytes(keystore.ciphertext),
                        static_cast<int>(keystore.ciphertext.size())) == 1;
  if (!done || written != static_cast<int>(kKeyBytes)) {
    return absl::InternalError("keystore: OpenSSL refused to decrypt");
  }
  return key;
}

}  // namespace

absl::StatusOr<SecretBytes> OpenKeystore(std::string_view json, std::string_view password) {
  const absl::StatusOr<Keystore> keystore = Parse(json);
  if (!keystore.ok()) return keystore.status();
  const absl::StatusOr<SecretBytes> derived = DeriveKey(keystore->kdf, password);
  if (!derived.ok()) return derived.status();
  if (!MacFits(*derived, *keystore)) {
    return absl::PermissionDeniedError(
        "keystore: the password does not fit this file (its mac differs)");
  }
  absl::StatusOr<SecretBytes> key = Decrypt(*derived, *keystore);
  if (!key.ok()) return key;
  const absl::StatusOr<ethereum::PrivateKey> checked = ethereum::PrivateKey::FromBytes(key->view());
  if (!checked.ok()) return Wrong("ciphertext", "what is inside is not a key of secp256k1");
  if (!keystore->address.empty() && keystore->address != checked->address().view()) {
    return Wrong("address", "the key inside belongs to another address");
  }
  return key;
}

}  // namespace coffer::host_proxy
