// The policy as options: of coffer-enclave, which starts with it, and of coffer provision, which
// sends it along with the key.
#ifndef COFFER_ACTORS_POLICY_OPTIONS_H_
#define COFFER_ACTORS_POLICY_OPTIONS_H_

#include "absl/status/statusor.h"
#include "enclave_core/policy/policy.h"
#include "proto/boundary.pb.h"
#include "runtime/config.h"

namespace coffer::enclave {

void AddPolicyOptions(runtime::ConfigSpec* spec);

// InvalidArgument names the option. The authority needs a chain and a broker; a signer that is
// given no option of a policy at all is unrestricted. So is, at first, an enclave that waits for a
// key (`comes_with_key`): its policy may come with it.
absl::StatusOr<policy::Policy> PolicyFromOptions(const runtime::Config& config,
                                                 boundary::v1::Profile profile,
                                                 bool comes_with_key = false);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_POLICY_OPTIONS_H_
