#include "actors/host/secret_frames.h"

#include <openssl/crypto.h>

namespace coffer::host {

using boundary::v1::AwsCredentials;
using boundary::v1::ClientFrame;

AwsCredentials* CredentialsOf(ClientFrame* frame) {
  switch (frame->body_case()) {
    case ClientFrame::kProvision:
      return frame->mutable_provision()->mutable_aws();
    case ClientFrame::kGenerate:
      return frame->mutable_generate()->mutable_aws();
    case ClientFrame::kRotateStateKey:
      return frame->mutable_rotate_state_key()->mutable_aws();
    case ClientFrame::kRotateSigningKey:
      return frame->mutable_rotate_signing_key()->mutable_aws();
    default:
      return nullptr;
  }
}

void Wipe(std::string* secret) {
  OPENSSL_cleanse(secret->data(), secret->size());
  secret->clear();
}

void WipeCredentials(ClientFrame* frame) {
  AwsCredentials* const aws = CredentialsOf(frame);
  if (aws == nullptr) return;
  Wipe(aws->mutable_secret_access_key());
  Wipe(aws->mutable_session_token());
}

void PutCredentials(const aws::Credentials& credentials, uint32_t proxy_port, AwsCredentials* out) {
  out->set_region(credentials.region);
  out->set_access_key_id(credentials.access_key_id);
  // Not by the setters, which make a string of their own first and leave it unwiped.
  out->mutable_secret_access_key()->assign(credentials.secret_access_key.view());
  out->mutable_session_token()->assign(credentials.session_token.view());
  out->set_proxy_port(proxy_port);
}

}  // namespace coffer::host
