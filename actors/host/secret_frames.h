// Frames with credentials in them (rule I8): none of their bytes stay behind where they passed.
#ifndef COFFER_ACTORS_HOST_SECRET_FRAMES_H_
#define COFFER_ACTORS_HOST_SECRET_FRAMES_H_

#include <string>

#include "actors/host/aws/credentials.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

// The credentials that a frame carries; null when it carries none.
boundary::v1::AwsCredentials* CredentialsOf(boundary::v1::ClientFrame* frame);
// Overwrites them.
void WipeCredentials(boundary::v1::ClientFrame* frame);
void Wipe(std::string* secret);
// `proxy_port` is that of the parent's vsock proxy.
void PutCredentials(const aws::Credentials& credentials, uint32_t proxy_port,
                    boundary::v1::AwsCredentials* out);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_SECRET_FRAMES_H_
