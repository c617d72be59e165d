#include "runtime/os_channel.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "runtime/os_clock.h"

namespace coffer::runtime {
namespace {

constexpr absl::Duration kLongestPoll = absl::Minutes(1);  // poll(2) counts in int milliseconds

absl::StatusOr<std::vector<SocketAddress>> AddressesOf(const Endpoint& endpoint) {
  const absl::StatusOr<SocketAddress> literal = LiteralAddress(endpoint, /*listening=*/false);
  if (literal.ok()) return std::vector<SocketAddress>{*literal};
  if (!absl::IsNotFound(literal.status())) return literal.status();
  return ResolveBlocking(endpoint);
}

bool WouldBlock(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

}  // namespace

absl::Status OsChannel::Failed(std::string_view what, int error) const {
  return absl::UnavailableError(
      absl::StrCat(endpoint_.ToString(), ": ", std::string(what), ": ", ErrnoText(error)));
}

absl::StatusOr<std::unique_ptr<OsChannel>> OsChannel::Connect(const Endpoint& endpoint,
                                                              absl::Duration budget) {
  const absl::Time deadline = OsMonotonicNow() + budget;
  const absl::StatusOr<std::vector<SocketAddress>> addresses = AddressesOf(endpoint);
  if (!addresses.ok()) return addresses.status();
  absl::Status last =
      absl::UnavailableError(absl::StrCat(endpoint.ToString(), ": the name has no address"));
  for (const SocketAddress& address : *addresses) {
    std::unique_ptr<OsChannel> channel(new OsChannel(endpoint, deadline));
    last = channel->ConnectTo(address);
    if (last.ok()) return channel;
  }
  return last;
}

absl::Status OsChannel::ConnectTo(const SocketAddress& address) {
  absl::StatusOr<Fd> fd = NewStreamSocket(address.family());
  if (!fd.ok()) {
    return absl::Status(fd.status().code(),
                        absl::StrCat(endpoint_.ToString(), ": ", fd.status().message()));
  }
  fd_ = *std::move(fd);
  if (connect(fd_.get(), address.get(), address.length) == 0) return absl::OkStatus();
  // A unix socket whose backlog is full says EAGAIN and is not connecting.
  if (errno != EINPROGRESS && errno != EINTR) return Failed("connecting failed", errno);
  if (absl::Status status = Wait(POLLOUT); !status.ok()) return status;
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0) error = errno;
  return error == 0 ? absl::OkStatus() : Failed("connecting failed", error);
}

absl::Status OsChannel::Wait(short events) const {
  while (true) {
    const absl::Duration left = deadline_ - OsMonotonicNow();
    if (left <= absl::ZeroDuration()) {
      return absl::UnavailableError(absl::StrCat(endpoint_.ToString(), ": no answer came in time"));
    }
    // Rounded up, so that what is left is not spent by asking again and again.
    const auto milliseconds = absl::ToInt64Milliseconds(std::min(left, kLongestPoll)) + 1;
    pollfd poller{fd_.get(), events, 0};
    const int ready = poll(&poller, 1, static_cast<int>(milliseconds));
    if (ready > 0) return absl::OkStatus();
    if (ready < 0 && errno != EINTR) return Failed("poll", errno);
  }
}

absl::Status OsChannel::Write(std::string_view bytes) {
  while (!bytes.empty()) {
    if (absl::Status status = Wait(POLLOUT); !status.ok()) return status;
    const ssize_t sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0) {
      bytes.remove_prefix(static_cast<size_t>(sent));
    } else if (sent < 0 && errno != EINTR && !WouldBlock(errno)) {
      return Failed("sending failed", errno);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> OsChannel::Read(size_t max) {
  std::string bytes(max, '\0');
  while (true) {
    if (absl::Status status = Wait(POLLIN); !status.ok()) return status;
    const ssize_t received = recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (received >= 0) {
      bytes.resize(static_cast<size_t>(received));
      return bytes;
    }
    if (errno != EINTR && !WouldBlock(errno)) return Failed("receiving failed", errno);
  }
}

}  // namespace coffer::runtime
