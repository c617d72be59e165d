#include "enclave_core/attestation/user_data.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace coffer::attestation {
namespace {

constexpr const char* kAddress = "0x00112233445566778899aabbccddeeff00112233";
constexpr const char* kAudit = "0xffeeddccbbaa99887766554433221100ffeeddcc";
constexpr const char* kHash = "0x1111111111111111111111111111111111111111111111111111111111111111";

std::string Text(const std::string& before, const std::string& after) { return before + after; }

TEST(UserData, TheOldServersTexts) {
  UserData data;
  EXPECT_EQ(MakeUserData(data).value(), "payments-signer:unprovisioned");
  data.address = *ethereum::Address::FromHex(kAddress);
  EXPECT_EQ(MakeUserData(data).value(), Text("payments-signer:", kAddress));
  data.profile = Profile::kCore;
  EXPECT_FALSE(MakeUserData(data).ok()) << "an address and no audit address";
  data.audit_address = *ethereum::Address::FromHex(kAudit);
  EXPECT_EQ(MakeUserData(data).value().rfind(
                Text("payments-tee-core:", kAddress) + Text(":audit:", kAudit), 0),
            0u);
  EXPECT_EQ(MakeUserData(UserData{.profile = Profile::kCore}).value(),
            "payments-tee-core:unprovisioned");
  EXPECT_EQ(ParseUserData(Text("payments-signer:", kAddress)).value().address, data.address);
}

TEST(UserData, IsReadAsItWasWritten) {
  UserData data;
  data.profile = Profile::kCore;
  data.address = *ethereum::Address::FromHex(kAddress);
  data.audit_address = *ethereum::Address::FromHex(kAudit);
  data.policy_hash = *ethereum::Hash::FromHex(kHash);
  data.log_key = *audit::VerifierKey::Create(Text("coffer/", kAddress), audit::KeyType::kEd25519,
                                             *data.policy_hash);
  data.draining = *ethereum::Address::FromHex(kAudit);
  data.sequence = INT64_MAX;
  const std::string text = MakeUserData(data).value();
  EXPECT_LE(text.size(), kMaxUserDataBytes);
  EXPECT_EQ(ParseUserData(text).value(), data);
  EXPECT_EQ(text, Text("payments-tee-core:", kAddress) + Text(":audit:", kAudit) +
                      Text(";draining=", kAudit) + Text(";policy=", kHash) +
                      ";log=" + data.log_key->ToString() + Text(";audit=", kAudit) +
                      ";sequence=9223372036854775807");
  EXPECT_TRUE(ParseUserData(text + ";newer=field").ok());
  data.sequence = uint64_t{INT64_MAX} + 1;
  EXPECT_FALSE(MakeUserData(data).ok());
  data.sequence.reset();
  data.log_key = *audit::VerifierKey::Create("a;b", audit::KeyType::kEd25519, *data.policy_hash);
  EXPECT_FALSE(MakeUserData(data).ok());
}

TEST(UserData, NothingElseIsRead) {
  const std::string signer = Text("payments-signer:", kAddress);
  const std::string core = Text("payments-tee-core:", kAddress) + Text(":audit:", kAudit);
  ASSERT_TRUE(ParseUserData(core).ok());
  for (const std::string& text :
       {std::string(),
        std::string("hello"),
        std::string("payments-signer:"),
        std::string("payments-signer:0x00"),
        std::string("payments-signer:UNPROVISIONED"),
        std::string("payments-signer:0x00112233445566778899AABBCCDDEEFF00112233"),
        std::string("payments-signer:00112233445566778899aabbccddeeff00112233ab"),
        signer + "00",
        signer + ":audit:",
        Text("payments-tee-core:", kAddress),
        core + ":",
        signer + ";",
        signer + ";policy",
        signer + ";=x",
        signer + ";policy=0x11",
        signer + ";sequence=01",
        signer + ";sequence=-1",
        signer + ";sequence=",
        signer + ";sequence=1;sequence=1",
        signer + ";draining=0x00",
        signer + Text(";draining=", kAudit) + Text(";draining=", kAudit),
        signer + ";new=1;new=2",
        signer + ";log=nothing",
        core + Text(";audit=", kAddress),
        signer + " ",
        signer + "\n",
        signer + "\xc3\xbc",
        signer + ";x=" + std::string(kMaxUserDataBytes, 'x')}) {
    EXPECT_FALSE(ParseUserData(text).ok()) << text;
  }
}

}  // namespace
}  // namespace coffer::attestation
