// The host's door to the enclave, as its actors see it. EnclaveLink is the real one; tests hand in
// a fake.
#ifndef COFFER_ACTORS_HOST_ENCLAVE_CLIENT_H_
#define COFFER_ACTORS_HOST_ENCLAVE_CLIENT_H_

#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "invariant/check.h"
#include "proto/boundary.pb.h"

namespace coffer::host {

namespace boundary = ::coffer::boundary;

class EnclaveClient {
 public:
  virtual ~EnclaveClient() = default;

  // The enclave's answer, which may be an Error body. A non-OK status (Unavailable) means that no
  // answer came and none will: the connection was lost, and whether the request took effect is
  // unknown. Ask again; everything that changes state is safe to repeat or can be looked up.
  using Reply = absl::AnyInvocable<void(absl::StatusOr<boundary::v1::ServerFrame>)>;

  // Sends one request (request_id is set here) and calls `reply` exactly once, later, on this
  // dispatcher. Requests of one connection are handled in the order of these calls. Callers bound
  // their own requests in flight. When not ready the reply is Unavailable.
  virtual void Call(boundary::v1::ClientFrame request, Reply reply) = 0;

  // Call of apply_events. `events` is an ApplyEvents as protobuf writes it: whoever has thousands
  // of events writes each of them once, and EnclaveLink sends those bytes.
  virtual void CallApplyEvents(std::string events, Reply reply) {
    boundary::v1::ClientFrame request;
    COFFER_CHECK(request.mutable_apply_events()->ParseFromString(events), "events of our own");
    Call(std::move(request), std::move(reply));
  }

  // True when the enclave has its state loaded and this host is its storage.
  virtual bool ready() const = 0;

  // Called each time readiness changes, on this dispatcher. Observers live as long as the client.
  virtual void Watch(absl::AnyInvocable<void(bool ready)> observer) = 0;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_ENCLAVE_CLIENT_H_
