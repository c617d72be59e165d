#include "enclave_core/ethereum/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <array>
#include <string>
#include <utility>

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;

constexpr char kOrder[] = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141";
constexpr char kHalfOrder[] = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0";

PrivateKey KeyOf(std::string_view hex) {
  return PrivateKey::FromBytes(FromHex(hex).value()).value();
}

Hash Sha256(std::string_view text) {
  Hash out;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), out.bytes.data());
  return out;
}

// RFC 6979 with SHA-256 over secp256k1: the vectors that wallets share (the RFC itself has none for
// this curve).
TEST(PrivateKeyTest, SignsDeterministically) {
  const struct {
    const char* key;
    const char* message;
    const char* r_s;
  } cases[] = {
      {"0000000000000000000000000000000000000000000000000000000000000001", "Satoshi Nakamoto",
       "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
       "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"},
      {"0000000000000000000000000000000000000000000000000000000000000001",
       "All those moments will be lost in time, like tears in rain. Time to die...",
       "8600dbd41e348fe5c9465ab92d23e3db8b98b873beecd930736488696438cb6b"
       "547fe64427496db33bf66019dacbf0039c04199abb0122918601db38a72cfc21"},
      {"fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364140", "Satoshi Nakamoto",
       "fd567d121db66e382991534ada77a6bd3106f0a1098c231e47993447cd6af2d0"
       "6b39cd0eb1bc8603e159ef5c20a5c8ad685a45b06ce9bebed3f153d10d93bed5"},
      {"f8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181", "Alan Turing",
       "7063ae83e7f62bbb171798131b4a0564b956930092b33b07b395615d9ec7e15c"
       "58dfcc1e00a35e1572f366ffe34ba0fc47db1e7189759b9fb233c5b05ab388ea"},
      {"e91671c46231f833a6406ccbea0e3e392c76c167bac1cb013f6f1013980455c2",
       "There is a computer disease that anybody who works with computers knows about. It's a very "
       "serious disease and it interferes completely with the work. The trouble with computers is "
       "that you 'play' with them!",
       "b552edd27580141f3b2a5463048cb7cd3e047b97c9f98076c32dbdf85a68718b"
       "279fa72dd19bfae05577e06c7c0c1900c371fcd5893f7e1d56a37d30174671f6"},
  };
  for (const auto& c : cases) {
    const PrivateKey key = KeyOf(c.key);
    const Hash digest = Sha256(c.message);
    const Signature signature = key.Sign(digest);
    EXPECT_EQ(ToHex(signature.ToBytes65()).substr(2, 128), c.r_s) << c.message;
    EXPECT_EQ(key.Sign(digest), signature);
    EXPECT_EQ(RecoverAddress(digest, signature).value(), key.address());
  }
}

TEST(PrivateKeyTest, AddressesOfKnownKeys) {
  EXPECT_EQ(ToChecksum(KeyOf(std::string(63, '0') + "1").address()),
            "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf");
  // The key and the address of EIP-155's example.
  std::string key;
  for (int i = 0; i < 32; ++i) key += "46";
  EXPECT_EQ(ToChecksum(KeyOf(key).address()), "0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F");
}

TEST(PrivateKeyTest, RefusesWhatIsNoKeyWithoutShowingIt) {
  const std::string above = "fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364142";
  for (const std::string& hex : {std::string(64, '0'), std::string(kOrder), above,
                                 std::string(62, '1'), std::string(66, '1'), std::string()}) {
    const auto key = PrivateKey::FromBytes(FromHex(hex).value());
    ASSERT_FALSE(key.ok()) << hex;
    EXPECT_EQ(key.status().code(), absl::StatusCode::kInvalidArgument);
    if (!hex.empty()) {
      EXPECT_THAT(std::string(key.status().message()), testing::Not(HasSubstr(hex.substr(0, 8))));
    }
  }
}

TEST(PrivateKeyTest, MovesAndDerives) {
  PrivateKey first = KeyOf("46" + std::string(62, '4'));
  const Address address = first.address();
  PrivateKey second = std::move(first);
  EXPECT_EQ(second.address(), address);
  PrivateKey third = KeyOf(std::string(63, '0') + "1");
  third = std::move(second);
  EXPECT_EQ(third.address(), address);
}

TEST(PrivateKeyTest, DeriveIsHmacWithItsDomain) {
  std::string hex;
  for (int i = 0; i < 32; ++i) hex += "46";
  const PrivateKey key = KeyOf(hex);
  // HMAC-SHA-256(key, "coffer:derive:state"), computed with another implementation.
  constexpr char kExpected[] = "0xa552da345b54260aecdd226383579194f21e702bae84567d04bd67549238408a";
  EXPECT_EQ(ToHex(key.Derive("state")), kExpected);
  EXPECT_EQ(ToHex(key.DeriveSecret("state").value().view()), kExpected);
  EXPECT_NE(key.Derive("state"), key.Derive("state2"));
}

TEST(SignatureTest, Bytes65RoundTripsEveryV) {
  const Signature signature = KeyOf(std::string(63, '0') + "1").Sign(Keccak256("x"));
  std::string bytes = signature.ToBytes65();
  ASSERT_EQ(bytes.size(), 65u);
  EXPECT_EQ(bytes[64], 27 + signature.parity);
  EXPECT_EQ(Signature::FromBytes65(bytes).value(), signature);
  bytes[64] = static_cast<char>(signature.parity);
  EXPECT_EQ(Signature::FromBytes65(bytes).value(), signature);
}

TEST(SignatureTest, Refuses) {
  const std::string one = std::string(63, '0') + "1";
  const std::string high = "7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a1";
  const struct {
    std::string hex;
    const char* error;
  } cases[] = {
      {one + one, "65 bytes"},
      {one + one + "1b00", "65 bytes"},
      {one + one + "02", "v is 2"},
      {one + one + "1a", "v is 26"},
      {one + one + "1d", "v is 29"},
      {one + one + "ff", "v is 255"},
      {std::string(64, '0') + one + "1b", "zero"},
      {one + std::string(64, '0') + "1b", "zero"},
      {kOrder + one + "1b", "group order"},
      {one + kOrder + "1b", "group order"},
      {std::string(64, 'f') + one + "1b", "group order"},
      {one + high + "1b", "EIP-2"},
  };
  for (const auto& c : cases) {
    const auto signature = Signature::FromBytes65(FromHex(c.hex).value());
    ASSERT_FALSE(signature.ok()) << c.hex;
    EXPECT_THAT(std::string(signature.status().message()), HasSubstr(c.error)) << c.hex;
  }
  EXPECT_TRUE(Signature::FromBytes65(FromHex(one + kHalfOrder + "1b").value()).ok());
}

TEST(RecoverAddressTest, RefusesAPointOffTheCurveAndHandMadeStructs) {
  // x = 5 is on no point of secp256k1.
  Signature signature;
  signature.r = Hash::FromHex(std::string(63, '0') + "5").value();
  signature.s = Hash::FromHex(std::string(63, '0') + "1").value();
  EXPECT_THAT(std::string(RecoverAddress(Keccak256("x"), signature).status().message()),
              HasSubstr("not on the curve"));
  signature.parity = 2;
  EXPECT_FALSE(RecoverAddress(Keccak256("x"), signature).ok());
  EXPECT_FALSE(RecoverAddress(Keccak256("x"), Signature{}).ok());
}

TEST(RecoverAddressTest, AnotherDigestGivesAnotherAddress) {
  const PrivateKey key = KeyOf(std::string(63, '0') + "7");
  const Signature signature = key.Sign(Keccak256("x"));
  const auto other = RecoverAddress(Keccak256("y"), signature);
  EXPECT_TRUE(!other.ok() || *other != key.address());
}

TEST(Eip191Test, KnownHashes) {
  EXPECT_EQ(Eip191Hash("hello world").ToHex(),
            "0xd9eba16ed0ecae432b71fe008c98cc872bb4cc214d3220a36f365326cf807d68");
  EXPECT_EQ(Eip191Hash("").ToHex(),
            "0x5f35dce98ba4fba25530a026ed80b2cecdaa31091ba4958b99b52ea1d068adad");
}

}  // namespace
}  // namespace coffer::ethereum
