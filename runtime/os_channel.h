// A byte stream to an endpoint whose calls block: for a thread of its own that has one conversation
// to hold, question and answer. Everything that serves many at once uses streams (stream.h).
#ifndef COFFER_RUNTIME_OS_CHANNEL_H_
#define COFFER_RUNTIME_OS_CHANNEL_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "runtime/endpoint.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {

class OsChannel {
 public:
  // Connected. `budget` is for all that this channel will ever do, connecting included; only a name
  // service, for tcp endpoints with a name, may take longer. Addresses of a name are tried in turn.
  // Unavailable, or PermissionDenied where vsock may not be opened (socket_address.h); every error
  // of a channel names the endpoint.
  static absl::StatusOr<std::unique_ptr<OsChannel>> Connect(const Endpoint& endpoint,
                                                            absl::Duration budget);

  // All of `bytes`. Unavailable: the peer is gone, or the budget is used up.
  absl::Status Write(std::string_view bytes);
  // 1..max bytes, as soon as there are any; empty when the peer has ended its side. Errors as
  // Write.
  absl::StatusOr<std::string> Read(size_t max);

 private:
  OsChannel(Endpoint endpoint, absl::Time deadline)
      : endpoint_(std::move(endpoint)), deadline_(deadline) {}

  absl::Status ConnectTo(const SocketAddress& address);
  // Until poll(2) sees one of `events`, or an error that the next call will name.
  absl::Status Wait(short events) const;
  absl::Status Failed(std::string_view what, int error) const;

  const Endpoint endpoint_;
  const absl::Time deadline_;  // monotonic
  Fd fd_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_CHANNEL_H_
