// Who gives an enclave its key before its state is loaded, as EnclaveLink sees it. KeyProvisioner
// is the real one.
#ifndef COFFER_ACTORS_HOST_PROVISIONER_H_
#define COFFER_ACTORS_HOST_PROVISIONER_H_

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "actors/host/enclave_client.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

class Provisioner {
 public:
  virtual ~Provisioner() = default;

  // Sends one request on the connection that Prepare was called for. The reply is Unavailable when
  // that is gone, or no answer came within the time.
  using Send = absl::AnyInvocable<void(boundary::v1::ClientFrame, absl::Duration timeout,
                                       EnclaveClient::Reply)>;
  // OK: an enclave that was EMPTY or READY may be loaded, or attached to; one that was
  // UNPROVISIONED has its key now. Otherwise the sentence says why not, and it is worth another
  // try, on a new connection, after `wait`.
  using Done = absl::AnyInvocable<void(absl::Status, absl::Duration wait)>;

  // For every connection, with the status that the enclave began it with. `done` is called at most
  // once, possibly before this returns; never when Prepare was called again meanwhile.
  virtual void Prepare(const boundary::v1::Status& status, Send send, Done done) = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PROVISIONER_H_
