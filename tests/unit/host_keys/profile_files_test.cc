// The shared files of AWS's tools, as they are written by hand and by aws configure.
#include "actors/host/aws/profile_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace coffer::host::aws {
namespace {

using ::testing::HasSubstr;

constexpr char kCredentials[] =
    "# made by hand\n"
    "[default]\n"
    "aws_access_key_id = AKIDDEFAULT\n"
    "aws_secret_access_key=secret/default+1\r\n"
    "\n"
    "[ pay ]\n"
    "AWS_ACCESS_KEY_ID   =   AKIDPAY   # the paying one\n"
    "aws_secret_access_key = secret#pay ; not this\n"
    "aws_session_token = token==\n"
    "s3 =\n"
    "  aws_access_key_id = NESTED\n"
    "region = eu-west-1\n";

TEST(ProfileFilesTest, ReadsTheProfileThatIsMeantAndNoOther) {
  const auto first = ReadProfile(kCredentials, ProfileFile::kCredentials, "default");
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(first->found);
  EXPECT_EQ(first->access_key_id, "AKIDDEFAULT");
  EXPECT_EQ(first->secret_access_key.view(), "secret/default+1");
  EXPECT_EQ(first->session_token.size(), 0u);
  EXPECT_EQ(first->region, "");
  const auto pay = ReadProfile(kCredentials, ProfileFile::kCredentials, "pay");
  ASSERT_TRUE(pay.ok()) << pay.status();
  EXPECT_EQ(pay->access_key_id, "AKIDPAY");
  EXPECT_EQ(pay->secret_access_key.view(), "secret#pay") << "a # within a value belongs to it";
  EXPECT_EQ(pay->session_token.view(), "token==");
  EXPECT_EQ(pay->region, "eu-west-1");
  const auto none = ReadProfile(kCredentials, ProfileFile::kCredentials, "paying");
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->found);
}

TEST(ProfileFilesTest, TheConfigFileNamesItsProfilesOtherwise) {
  constexpr char kConfig[] =
      "[default]\nregion=us-east-1\n[profile pay]\nregion=us-east-2\n[pay]\nregion=wrong-1\n"
      "[sso-session pay]\nregion=wrong-2\n[profilepay]\nregion=wrong-3\n";
  EXPECT_EQ(ReadProfile(kConfig, ProfileFile::kConfig, "default")->region, "us-east-1");
  EXPECT_EQ(ReadProfile(kConfig, ProfileFile::kConfig, "pay")->region, "us-east-2");
  EXPECT_FALSE(ReadProfile(kConfig, ProfileFile::kConfig, "sso-session pay")->found);
}

TEST(ProfileFilesTest, SaysWhereTheCredentialsWouldComeFrom) {
  const auto role = ReadProfile("[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = a\n",
                                ProfileFile::kConfig, "default");
  ASSERT_TRUE(role.ok());
  EXPECT_EQ(role->elsewhere, "role_arn");
}

TEST(ProfileFilesTest, AWrongLineIsNamedAndNeverShown) {
  for (const auto& [text, line] : {std::pair("[default\naws_secret_access_key = hunter2\n", 1),
                                   {"[default]\nhunter2\n", 2},
                                   {"[default]\n\n= hunter2\n", 3},
                                   {"hunter2 = 1\n", 1}}) {
    const auto read = ReadProfile(text, ProfileFile::kCredentials, "default");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_THAT(read.status().message(), HasSubstr(absl::StrCat("line ", line, " ")));
    EXPECT_FALSE(absl::StrContains(read.status().message(), "hunter2"));
  }
  const std::string secret(257, 'x');
  const auto read = ReadProfile(absl::StrCat("[default]\naws_secret_access_key=", secret, "\n"),
                                ProfileFile::kCredentials, "default");
  EXPECT_THAT(read.status().message(), HasSubstr("line 2 has a value that is too long"));
  EXPECT_FALSE(
      ReadProfile(std::string(kMaxProfileFileBytes + 1, '\n'), ProfileFile::kConfig, "a").ok());
}

TEST(ProfileFilesTest, TheLaterOfTwoSettingsHolds) {
  const auto read = ReadProfile(
      "[default]\naws_access_key_id=A\naws_secret_access_key=one\n[b]\naws_access_key_id=B\n"
      "[default]\naws_secret_access_key=two\n",
      ProfileFile::kCredentials, "default");
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->access_key_id, "A");
  EXPECT_EQ(read->secret_access_key.view(), "two");
}

}  // namespace
}  // namespace coffer::host::aws
