// I8: what a request carries to let the enclave into KMS does not stay in memory.
#include "enclave_core/credentials.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/boundary.pb.h"

namespace coffer {
namespace {

using boundary::v1::AwsCredentials;
using boundary::v1::ClientFrame;

void Fill(AwsCredentials* aws) {
  aws->set_region("eu-west-1");
  aws->set_access_key_id("AKIAEXAMPLE");
  aws->set_secret_access_key("a secret that is longer than a string holds by itself");
  aws->set_session_token("short");
}

void ExpectWiped(ClientFrame* frame) {
  const AwsCredentials& aws = *CredentialsOf(frame);
  for (const std::string* secret :
       {&aws.access_key_id(), &aws.secret_access_key(), &aws.session_token()}) {
    EXPECT_FALSE(secret->empty());
    EXPECT_EQ(secret->find_first_not_of('\0'), std::string::npos);
  }
  EXPECT_EQ(aws.region(), "eu-west-1") << "which is no secret";
}

TEST(CredentialsTest, AreWipedInEveryRequestThatHasThem) {
  ClientFrame frame;
  Fill(frame.mutable_provision()->mutable_aws());
  WipeCredentials(&frame);
  ExpectWiped(&frame);
  Fill(frame.mutable_generate()->mutable_aws());
  WipeCredentials(&frame);
  ExpectWiped(&frame);
  Fill(frame.mutable_rotate_state_key()->mutable_aws());
  WipeCredentials(&frame);
  ExpectWiped(&frame);
  Fill(frame.mutable_rotate_signing_key()->mutable_aws());
  WipeCredentials(&frame);
  ExpectWiped(&frame);
}

// A request that gets credentials is to be wiped, too: this finds them by their type.
TEST(CredentialsTest, NoOtherRequestHasAny) {
  const auto* const bodies = ClientFrame::descriptor()->FindOneofByName("body");
  for (int i = 0; i < bodies->field_count(); ++i) {
    ClientFrame frame;
    frame.GetReflection()->MutableMessage(&frame, bodies->field(i));
    const auto* const aws = bodies->field(i)->message_type()->FindFieldByName("aws");
    EXPECT_EQ(CredentialsOf(&frame) != nullptr, aws != nullptr) << bodies->field(i)->name();
    WipeCredentials(&frame);
  }
}

}  // namespace
}  // namespace coffer
