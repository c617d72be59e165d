#include "enclave_core/sealing/vault.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>

#include <array>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"

namespace coffer::sealing {
namespace {

constexpr std::string_view kKeyInfo = "coffer sealed record v1";
constexpr size_t kKeyBytes = 32;
constexpr size_t kNonceBytes = 12;

std::array<uint8_t, kNonceBytes> NonceOf(uint64_t counter) {
  std::array<uint8_t, kNonceBytes> nonce{};
  for (size_t i = 0; i < 8; ++i) {
    nonce[kNonceBytes - 1 - i] = static_cast<uint8_t>(counter >> (8 * i));
  }
  return nonce;
}

const uint8_t* Bytes(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }
uint8_t* Bytes(char* p) { return reinterpret_cast<uint8_t*>(p); }

// HKDF-SHA-256 (RFC 5869) of the state key with the record's salt.
ethereum::SecretBytes DeriveKey(const ethereum::SecretBytes& state_key, const Hash& salt) {
  absl::StatusOr<ethereum::SecretBytes> key = ethereum::SecretBytes::Create(kKeyBytes);
  COFFER_CHECK(key.ok(), "no locked memory for a record key");
  EVP_KDF* kdf = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* context = EVP_KDF_CTX_new(kdf);
  COFFER_CHECK(context != nullptr, "OpenSSL gave no HKDF");
  std::string digest = "SHA256";
  // OSSL_PARAM takes mutable pointers and does not write through them.
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest.data(), 0),
      OSSL_PARAM_construct_octet_string(
          OSSL_KDF_PARAM_KEY, const_cast<uint8_t*>(state_key.data().data()), state_key.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT,
                                        const_cast<uint8_t*>(salt.bytes.data()), Hash::kSize),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<char*>(kKeyInfo.data()),
                                        kKeyInfo.size()),
      OSSL_PARAM_construct_end()};
  const int ok = EVP_KDF_derive(context, key->data().data(), kKeyBytes, params);
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(kdf);
  COFFER_CHECK(ok == 1, "HKDF failed");
  return *std::move(key);
}

}  // namespace

// AES-256-GCM under one derived key; the key schedule is set up once.
struct Vault::Cipher {
  uint32_t epoch;
  Hash salt;
  EVP_CIPHER_CTX* seal = EVP_CIPHER_CTX_new();
  EVP_CIPHER_CTX* open = EVP_CIPHER_CTX_new();

  Cipher(uint32_t the_epoch, const Hash& the_salt, const ethereum::SecretBytes& key)
      : epoch(the_epoch), salt(the_salt) {
    const bool ok =
        EVP_EncryptInit_ex(seal, EVP_aes_256_gcm(), nullptr, key.data().data(), nullptr) == 1 &&
        EVP_DecryptInit_ex(open, EVP_aes_256_gcm(), nullptr, key.data().data(), nullptr) == 1;
    COFFER_CHECK(ok, "AES-256-GCM could not be set up");
  }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;
  ~Cipher() {  // OpenSSL wipes the key schedule
    EVP_CIPHER_CTX_free(seal);
    EVP_CIPHER_CTX_free(open);
  }
};

Vault::Vault(StateKey key, const Hash& salt) : salt_(salt) {
  const uint32_t epoch = key.epoch;
  AddKey(std::move(key));
  Adopt(epoch);
}
Vault::~Vault() = default;

void Vault::AddKey(StateKey key) {
  COFFER_CHECK(key.secret.size() == kStateKeyBytes, "the state key has 32 bytes");
  const bool added = keys_.emplace(key.epoch, std::move(key.secret)).second;
  COFFER_CHECK(added, "a vault has one state key for an epoch");
}

void Vault::Adopt(uint32_t epoch) {
  COFFER_CHECK(keys_.contains(epoch), "a vault adopts a state key that it has");
  epoch_ = epoch;
  sealing_ = MakeCipher(epoch, salt_);
}

std::unique_ptr<Vault::Cipher> Vault::MakeCipher(uint32_t epoch, const Hash& salt) const {
  return std::make_unique<Cipher>(epoch, salt, DeriveKey(keys_.at(epoch), salt));
}

// "epoch 1", "epochs 1, 2".
std::string Vault::HeldEpochs() const {
  std::string out = keys_.size() == 1 ? "epoch " : "epochs ";
  for (const auto& [epoch, key] : keys_) {
    absl::StrAppend(&out, epoch == keys_.begin()->first ? "" : ", ", epoch);
  }
  return out;
}

std::string Vault::Seal(Header header, std::string_view plaintext) {
  COFFER_CHECK(plaintext.size() <= kMaxPlaintextBytes, "a record is longer than a frame");
  header.key_epoch = epoch_;
  header.salt = salt_;
  header.counter = ++counter_;
  const std::array<uint8_t, kNonceBytes> nonce = NonceOf(header.counter);
  std::string out = EncodeHeader(header);
  out.resize(kHeaderBytes + plaintext.size() + kTagBytes);
  EVP_CIPHER_CTX* c = sealing_->seal;
  int length = 0;
  uint8_t* body = Bytes(out.data()) + kHeaderBytes;
  const bool ok = EVP_EncryptInit_ex(c, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
                  EVP_EncryptUpdate(c, nullptr, &length, Bytes(out.data()),
                                    static_cast<int>(kHeaderBytes)) == 1 &&
                  EVP_EncryptUpdate(c, body, &length, Bytes(plaintext),
                                    static_cast<int>(plaintext.size())) == 1 &&
                  EVP_EncryptFinal_ex(c, body + plaintext.size(), &length) == 1 &&
                  EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, static_cast<int>(kTagBytes),
                                      body + plaintext.size()) == 1;
  COFFER_CHECK(ok, "AES-256-GCM failed to seal");
  return out;
}

absl::StatusOr<Vault::Opened> Vault::Open(std::string_view sealed) {
  absl::StatusOr<Header> header = ParseHeader(sealed);
  if (!header.ok()) return header.status();
  if (!keys_.contains(header->key_epoch)) {
    return absl::DataLossError(absl::StrCat("it is sealed under the state key of epoch ",
                                            header->key_epoch, ", and this enclave holds ",
                                            HeldEpochs()));
  }
  if (opening_ == nullptr || opening_->epoch != header->key_epoch ||
      opening_->salt != header->salt) {
    opening_ = MakeCipher(header->key_epoch, header->salt);
  }
  const std::array<uint8_t, kNonceBytes> nonce = NonceOf(header->counter);
  const size_t plain_bytes = sealed.size() - kHeaderBytes - kTagBytes;
  std::string tag(sealed.substr(sealed.size() - kTagBytes));
  Opened out{*header, std::string(plain_bytes, '\0')};
  EVP_CIPHER_CTX* c = opening_->open;
  int length = 0;
  const bool ok =
      EVP_DecryptInit_ex(c, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
      EVP_DecryptUpdate(c, nullptr, &length, Bytes(sealed), static_cast<int>(kHeaderBytes)) == 1 &&
      EVP_DecryptUpdate(c, Bytes(out.plaintext.data()), &length, Bytes(sealed) + kHeaderBytes,
                        static_cast<int>(plain_bytes)) == 1 &&
      EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, static_cast<int>(kTagBytes), tag.data()) == 1 &&
      EVP_DecryptFinal_ex(c, Bytes(out.plaintext.data()) + plain_bytes, &length) == 1;
  if (!ok) {
    return absl::DataLossError("it was altered, or was sealed under another key");
  }
  return out;
}

absl::Status ChainReader::CheckChunk(const Header& header) {
  if (sequence_ != 0 && chunks_read_ == chunk_count_) {
    return absl::DataLossError(absl::StrCat("a snapshot chunk (of record ", header.sequence,
                                            ") comes after record ", sequence_,
                                            "; snapshots come first"));
  }
  if (header.chunk_count == 0 || header.chunk_index >= header.chunk_count || header.sequence == 0) {
    return absl::DataLossError("a snapshot chunk with impossible numbers");
  }
  if (header.chunk_index != chunks_read_) {
    return absl::DataLossError(absl::StrCat("chunk ", chunks_read_, " of the snapshot on record ",
                                            chunks_read_ == 0 ? header.sequence : sequence_,
                                            " is missing: chunk ", header.chunk_index,
                                            " came instead"));
  }
  if (chunks_read_ > 0 && (header.sequence != sequence_ || header.previous != head_ ||
                           header.chunk_count != chunk_count_)) {
    return absl::DataLossError(absl::StrCat("chunk ", header.chunk_index,
                                            " belongs to another snapshot than the one on record ",
                                            sequence_));
  }
  return absl::OkStatus();
}

absl::Status ChainReader::CheckRecord(const Header& header) const {
  if (absl::Status whole = Finish(); !whole.ok()) return whole;
  if (header.sequence != sequence_ + 1) {
    return absl::DataLossError(absl::StrCat("record ", sequence_ + 1, " is missing: record ",
                                            header.sequence, " came in its place"));
  }
  if (header.previous != head_) {
    return absl::DataLossError(absl::StrCat("record ", header.sequence,
                                            " does not follow the record ", sequence_,
                                            " that was given: it belongs to another history"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ChainReader::Item> ChainReader::Next(std::string_view sealed) {
  absl::StatusOr<Vault::Opened> opened = vault_->Open(sealed);
  if (!opened.ok()) {
    return absl::DataLossError(absl::StrCat("what should be record ", sequence_ + 1,
                                            " is refused: ", opened.status().message()));
  }
  const Header& header = opened->header;
  if (header.kind == Kind::kBlobPart) {
    return absl::DataLossError("a part of an exported state is no record; it is imported instead");
  }
  if (header.kind == Kind::kSnapshotChunk) {
    if (absl::Status s = CheckChunk(header); !s.ok()) return s;
    sequence_ = snapshot_sequence_ = header.sequence;
    head_ = header.previous;
    chunk_count_ = header.chunk_count;
    ++chunks_read_;
    return Item{header.kind, header.sequence, header.key_epoch, chunks_read_ == chunk_count_,
                std::move(opened->plaintext)};
  }
  if (absl::Status s = CheckRecord(header); !s.ok()) return s;
  sequence_ = header.sequence;
  head_ = RecordHash(sealed);
  return Item{header.kind, header.sequence, header.key_epoch, false, std::move(opened->plaintext)};
}

absl::Status ChainReader::Finish() const {
  if (chunks_read_ == chunk_count_) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("the snapshot on record ", sequence_,
                                          " is not whole: ", chunks_read_, " of ", chunk_count_,
                                          " chunks were given"));
}

}  // namespace coffer::sealing
