// What a request carries to let the enclave into KMS (rule I8).
#ifndef COFFER_ENCLAVE_CORE_CREDENTIALS_H_
#define COFFER_ENCLAVE_CORE_CREDENTIALS_H_

#include "proto/boundary.pb.h"

namespace coffer {

// Null for a request that carries none.
boundary::v1::AwsCredentials* CredentialsOf(boundary::v1::ClientFrame* frame);

// Overwrites them where they are; their lengths stay. Whoever ends a frame's life calls this first,
// because protobuf only frees.
void WipeCredentials(boundary::v1::ClientFrame* frame);

}  // namespace coffer

#endif  // COFFER_ENCLAVE_CORE_CREDENTIALS_H_
