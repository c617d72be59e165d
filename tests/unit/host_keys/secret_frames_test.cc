#include "actors/host/secret_frames.h"

#include <gtest/gtest.h>
#include <string.h>

#include <string>
#include <utility>

#include "tests/support/own_memory.h"

namespace coffer::host {
namespace {

using boundary::v1::ClientFrame;
using ethereum::SecretBytes;

absl::StatusOr<SecretBytes> MakeSecret(const test_support::Planted& planted) {
  std::string text = planted.Make();
  absl::StatusOr<SecretBytes> secret = SecretBytes::CopyOf(text);
  explicit_bzero(text.data(), text.size());
  return secret;
}

TEST(SecretFramesTest, CredentialsLeaveNothingBehindInAnyRequest) {
  const test_support::Planted secret, token;
  aws::Credentials credentials;
  credentials.region = "us-east-2";
  credentials.access_key_id = "AKIA";
  credentials.secret_access_key = *MakeSecret(secret);
  credentials.session_token = *MakeSecret(token);
  // One each, and what the dynamic linker may have saved of a register.
  const size_t secrets = secret.Count();
  const size_t tokens = token.Count();
  ClientFrame provision, generate, rotate, rotate_signing;
  provision.mutable_provision();
  generate.mutable_generate();
  rotate.mutable_rotate_state_key();
  rotate_signing.mutable_rotate_signing_key();
  for (ClientFrame* frame : {&provision, &generate, &rotate, &rotate_signing}) {
    PutCredentials(credentials, 8000, CredentialsOf(frame));
    EXPECT_EQ(CredentialsOf(frame)->secret_access_key(), credentials.secret_access_key.view());
    ClientFrame moved = std::move(*frame);
    EXPECT_EQ(secret.Count(), secrets + 1);
    EXPECT_EQ(token.Count(), tokens + 1);
    WipeCredentials(&moved);
    EXPECT_EQ(secret.Count(), secrets);
    EXPECT_EQ(token.Count(), tokens);
  }
}

}  // namespace
}  // namespace coffer::host
