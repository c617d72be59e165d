// Keystores of version 3: the published vectors, and what is refused.
#include "host_proxy/keystore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::host_proxy {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kPassword[] = "testpassword";
constexpr char kSecret[] = "0x7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d";

// ethereum.org, "Web3 secret storage definition", test vectors (and its first edition's scrypt
// one).
constexpr char kPbkdf2[] = R"({"crypto":{"cipher":"aes-128-ctr",
  "cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
  "ciphertext":"5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46","kdf":"pbkdf2",
  "kdfparams":{"c":262144,"dklen":32,"prf":"hmac-sha256",
    "salt":"ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd"},
  "mac":"517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2"},
  "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3})";
constexpr char kScryptWide[] = R"({"crypto":{"cipher":"aes-128-ctr",
  "cipherparams":{"iv":"83dbcc02d8ccb40e466191a123791e0e"},
  "ciphertext":"d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c","kdf":"scrypt",
  "kdfparams":{"dklen":32,"n":262144,"p":8,"r":1,
    "salt":"ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19"},
  "mac":"2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097"},
  "id":"3198bc9c-6672-5ab3-d995-4942343ae5b6","version":3})";
// Made by ethers 6 (encryptKeystoreJsonSync, n = 8192, r = 8).
constexpr char kScrypt[] = R"({"address":"008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
  "id":"80d9ec05-9c87-41e3-b492-29e50e94376f",
  "version":3,
  "Crypto":{"cipher":"aes-128-ctr",
  "cipherparams":{"iv":"2d7574729ee4aba5c3effcdf382cde6d"},
  "ciphertext":"29f6b8fe14a0e0829b65c3315b365c85546e12fad06dbf07d7d0bdb17148188a",
  "kdf":"scrypt",
  "kdfparams":{"salt":"25710c2ccd7c610b24d068af83b959b7a0e5f40641f0c82daeb1345766191034",
  "n":8192,
  "dklen":32,
  "p":1,
  "r":8},
  "mac":"0e6f0adf5798d1bd49f9bcb24c92ac9473ac0b5635ebc28c67cc3d73852e6396"}})";

std::string With(const std::string& from, const std::string& to, const char* text = kPbkdf2) {
  const std::string changed = absl::StrReplaceAll(text, {{from, to}});
  EXPECT_NE(changed, text) << "the vector has no " << from;
  return changed;
}

std::string Opened(const std::string& json, const std::string& password = kPassword) {
  const absl::StatusOr<ethereum::SecretBytes> key = OpenKeystore(json, password);
  if (!key.ok()) return std::string(key.status().message());
  return ethereum::ToHex(key->view());
}

TEST(KeystoreTest, PublishedVectors) {
  for (const char* text : {kPbkdf2, kScryptWide, kScrypt}) EXPECT_EQ(Opened(text), kSecret) << text;
}

TEST(KeystoreTest, OtherSpellingsOfTheSameFile) {
  EXPECT_EQ(Opened(With("\"crypto\"", "\"Crypto\"")), kSecret);
  EXPECT_EQ(Opened(With("\"version\"",
                        "\"address\":\"008aeeda4d805471df9b2a5b0f38a0c3bcba786b\",\"version\"")),
            kSecret);
  EXPECT_EQ(Opened(With("\"version\"", "\"x-ethers\":{\"client\":\"x\"},\"version\"")), kSecret);
}

TEST(KeystoreTest, AWrongPasswordSaysSoAndShowsNothing) {
  for (const char* password : {"", "testpassworD", "testpassword\n"}) {
    const auto key = OpenKeystore(kPbkdf2, password);
    EXPECT_EQ(key.status().code(), absl::StatusCode::kPermissionDenied) << key.status();
    EXPECT_THAT(key.status().message(), HasSubstr("password"));
    EXPECT_THAT(key.status().message(), Not(HasSubstr("testpass")));
  }
}

TEST(KeystoreTest, RefusalsNameTheField) {
  const std::string iv = "6087dab2f9fdbbfaddc31a909735c1e6";
  const std::string salt = "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd";
  const std::pair<std::string, const char*> cases[] = {
      {"", "JSON"},
      {"[]", "JSON object"},
      {std::string(kMaxKeystoreBytes + 1, ' '), "64 KiB"},
      {With("\"version\":3", "\"version\":3,\"version\":3"), "twice"},
      {With("\"c\":262144", "\"c\":262144,\"c\":1"), "twice"},
      {With("\"version\":3", "\"version\":3}{"), "JSON"},
      {With("\"version\":3", "\"version\":4"), "version"},
      {With("\"version\":3", "\"version\":\"3\""), "version"},
      {With("\"version\":3", "\"version\":3.0"), "version"},
      {With("\"crypto\"", "\"cripto\""), "crypto"},
      {With("\"id\"", "\"Crypto\":{},\"id\""), "crypto"},
      {With("aes-128-ctr", "aes-128-cbc"), "cipher"},
      {With("\"cipherparams\":{", "\"cipherparams\":[],\"x\":{"), "cipherparams"},
      {With(iv, iv.substr(2)), "cipherparams.iv"},
      {With(iv, "zz" + iv.substr(2)), "cipherparams.iv"},
      {With("\"ciphertext\":\"53", "\"ciphertext\":\""), "ciphertext"},
      {With("\"mac\":\"51", "\"mac\":\"5100"), "mac"},
      {With("\"mac\"", "\"mock\""), "mac"},
      {With("\"kdf\":\"pbkdf2\"", "\"kdf\":\"argon2\""), "kdf"},
      {With("\"kdf\":\"pbkdf2\"", "\"kdf\":2"), "kdf"},
      {With("hmac-sha256", "hmac-sha512"), "kdfparams.prf"},
      {With("\"dklen\":32", "\"dklen\":64"), "kdfparams.dklen"},
      {With("262144", "0"), "kdfparams.c"},
      {With("262144", "-1"), "kdfparams.c"},
      {With("262144", "10000001"), "kdfparams.c"},
      {With("262144", "1e400"), "JSON"},
      {With("262144", "99999999999999999999"), "kdfparams.c"},
      {With(salt, ""), "kdfparams.salt"},
      {With(salt, std::string(514, 'a')), "kdfparams.salt"},
      {With("\"n\":8192", "\"n\":8191", kScrypt), "power of two"},
      {With("\"n\":8192", "\"n\":1", kScrypt), "kdfparams.n"},
      {With("\"n\":8192", "\"n\":524288", kScrypt), "512 MiB"},
      {With("\"n\":8192", "\"n\":1099511627776", kScrypt), "kdfparams.n"},
      {With("\"r\":8", "\"r\":0", kScrypt), "kdfparams.r"},
      {With("\"p\":1", "\"p\":1000", kScrypt), "kdfparams.p"},
      {With("\"id\"", "\"address\":\"12\",\"id\""), "address"},
      {With("\"id\"", absl::StrCat("\"address\":\"", std::string(40, '1'), "\",\"id\"")),
       "another address"},
  };
  for (const auto& [json, sentence] : cases) {
    const std::string answer = Opened(json);
    EXPECT_THAT(answer, HasSubstr(sentence)) << json.substr(0, 700);
    EXPECT_THAT(answer, HasSubstr("keystore: "));
    EXPECT_THAT(answer, Not(HasSubstr(salt)));
  }
}

TEST(KeystoreTest, AFlippedBitAnywhereInTheCiphertextIsNoticed) {
  const std::string good = "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46";
  for (const size_t at : {size_t{0}, size_t{31}, good.size() - 1}) {
    std::string bad = good;
    bad[at] = bad[at] == '0' ? '1' : '0';
    EXPECT_THAT(Opened(With(good, bad)), HasSubstr("mac"));
  }
}

}  // namespace
}  // namespace coffer::host_proxy
