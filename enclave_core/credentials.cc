#include "enclave_core/credentials.h"

#include <openssl/crypto.h>

#include <string>

namespace coffer {

boundary::v1::AwsCredentials* CredentialsOf(boundary::v1::ClientFrame* frame) {
  if (frame->has_provision()) return frame->mutable_provision()->mutable_aws();
  if (frame->has_generate()) return frame->mutable_generate()->mutable_aws();
  if (frame->has_rotate_state_key()) return frame->mutable_rotate_state_key()->mutable_aws();
  if (frame->has_rotate_signing_key()) return frame->mutable_rotate_signing_key()->mutable_aws();
  return nullptr;
}

void WipeCredentials(boundary::v1::ClientFrame* frame) {
  boundary::v1::AwsCredentials* const aws = CredentialsOf(frame);
  if (aws == nullptr) return;
  for (std::string* secret : {aws->mutable_access_key_id(), aws->mutable_secret_access_key(),
                              aws->mutable_session_token()}) {
    OPENSSL_cleanse(secret->data(), secret->size());
  }
}

}  // namespace coffer
