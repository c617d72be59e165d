// Socket addresses of endpoints, and sockets made ready for an event loop.
#ifndef COFFER_RUNTIME_SOCKET_ADDRESS_H_
#define COFFER_RUNTIME_SOCKET_ADDRESS_H_

#include <sys/socket.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "runtime/endpoint.h"

namespace coffer::runtime {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t length = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  int family() const { return storage.ss_family; }
  // "127.0.0.1:51234", "[::1]:80", "unix", "vsock 3:1024".
  std::string ToString() const;
};

// Owns a file descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(other.Release()) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// The address of an endpoint that needs no name service: unix, vsock, and tcp with an IP address.
// NotFound for tcp with a name. `listening` binds vsock to VMADDR_CID_ANY.
absl::StatusOr<SocketAddress> LiteralAddress(const Endpoint& endpoint, bool listening);

// Every address of a tcp name, by getaddrinfo: blocks, so only at start-up.
absl::StatusOr<std::vector<SocketAddress>> ResolveBlocking(const Endpoint& endpoint);

// A non-blocking, close-on-exec stream socket. The one place that opens AF_VSOCK: where that is not
// permitted or not known, PermissionDenied names the command that helps (`coffer bridge`).
absl::StatusOr<Fd> NewStreamSocket(int family);

// Bound and listening. A stale unix socket file (nobody answers on it) is replaced, a live one is
// an error; the new file has mode 0600. FailedPrecondition when the address is in use.
absl::StatusOr<Fd> ListenOn(const Endpoint& endpoint);

// Where `fd` is bound, for a listener that asked for port 0.
SocketAddress LocalAddress(int fd);

// "Connection refused", thread-safe.
std::string ErrnoText(int error);

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_SOCKET_ADDRESS_H_
