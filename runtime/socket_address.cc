#include "runtime/socket_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
// After sys/socket.h, whose types it uses without including it.
#include <linux/vm_sockets.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <system_error>

#include "absl/strings/str_cat.h"

namespace coffer::runtime {
namespace {

constexpr int kListenBacklog = 512;

template <typename T>
SocketAddress Wrap(const T& address) {
  SocketAddress out;
  std::memcpy(&out.storage, &address, sizeof(address));
  out.length = sizeof(address);
  return out;
}

template <typename T>
T As(const SocketAddress& address) {
  T out{};
  std::memcpy(&out, &address.storage, sizeof(out));
  return out;
}

absl::Status Failed(const Endpoint& endpoint, const char* what, int error) {
  const std::string text =
      absl::StrCat(endpoint.ToString(), ": ", what, " failed: ", ErrnoText(error));
  if (error == EADDRINUSE) return absl::FailedPreconditionError(text);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(text);
  return absl::UnavailableError(text);
}

// True when a process accepts connections on the socket file.
bool SomebodyAnswers(const SocketAddress& address) {
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return true;  // unknown: do not take it away from anybody
  if (connect(probe.get(), address.get(), address.length) == 0) return true;
  return errno != ECONNREFUSED && errno != ENOENT;
}

absl::Status RemoveStaleSocket(const Endpoint& endpoint, const SocketAddress& address) {
  struct stat info {};
  if (lstat(endpoint.path.c_str(), &info) != 0) return absl::OkStatus();
  if (!S_ISSOCK(info.st_mode)) {
    return absl::FailedPreconditionError(
        absl::StrCat(endpoint.path, " exists and is not a socket; move it away"));
  }
  if (SomebodyAnswers(address)) {
    return absl::FailedPreconditionError(
        absl::StrCat(endpoint.path, " is in use: another process listens on it"));
  }
  if (unlink(endpoint.path.c_str()) != 0 && errno != ENOENT) {
    return Failed(endpoint, "removing the stale socket", errno);
  }
  return absl::OkStatus();
}

// Containers may usually not open AF_VSOCK, and some kernels do not have it: the way round is said
// where the refusal is met.
absl::Status VsockRefused(int error, const std::string& why) {
  if (error != EPERM && error != EACCES && error != EAFNOSUPPORT) {
    return absl::UnavailableError(why);
  }
  return absl::PermissionDeniedError(
      absl::StrCat(why,
                   error == EAFNOSUPPORT ? " (this kernel or container has no vsock)"
                                         : " (a container may usually not open vsock)",
                   "; run `coffer bridge --listen tcp://127.0.0.1:5001 --to vsock://16:5000` where "
                   "vsock may be opened, with the enclave's CID and port, and use its tcp endpoint "
                   "here"));
}

absl::StatusOr<SocketAddress> ListenAddress(const Endpoint& endpoint) {
  absl::StatusOr<SocketAddress> literal = LiteralAddress(endpoint, /*listening=*/true);
  if (literal.ok() || !absl::IsNotFound(literal.status())) return literal;
  absl::StatusOr<std::vector<SocketAddress>> all = ResolveBlocking(endpoint);
  if (!all.ok()) return all.status();
  return all->front();
}

}  // namespace

Fd::~Fd() {
  if (fd_ >= 0) close(fd_);
}

std::string ErrnoText(int error) { return std::generic_category().message(error); }

std::string SocketAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  switch (storage.ss_family) {
    case AF_INET: {
      const auto in = As<sockaddr_in>(*this);
      inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
      return absl::StrCat(text, ":", ntohs(in.sin_port));
    }
    case AF_INET6: {
      const auto in6 = As<sockaddr_in6>(*this);
      inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
      return absl::StrCat("[", text, "]:", ntohs(in6.sin6_port));
    }
    case AF_VSOCK: {
      const auto vm = As<sockaddr_vm>(*this);
      return absl::StrCat("vsock ", vm.svm_cid, ":", vm.svm_port);
    }
    default:
      return "unix";
  }
}

absl::StatusOr<SocketAddress> LiteralAddress(const Endpoint& endpoint, bool listening) {
  if (endpoint.kind == Endpoint::Kind::kUnix) {
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (endpoint.path.size() >= sizeof(un.sun_path)) {
      return absl::InvalidArgumentError(
          absl::StrCat(endpoint.ToString(), ": the path is too long"));
    }
    std::memcpy(un.sun_path, endpoint.path.data(), endpoint.path.size());
    return Wrap(un);
  }
  if (endpoint.kind == Endpoint::Kind::kVsock) {
    sockaddr_vm vm{};
    vm.svm_family = AF_VSOCK;
    vm.svm_cid = listening ? VMADDR_CID_ANY : endpoint.cid;
    vm.svm_port = listening && endpoint.port == 0 ? VMADDR_PORT_ANY : endpoint.port;
    return Wrap(vm);
  }
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(static_cast<uint16_t>(endpoint.port));
  if (inet_pton(AF_INET, endpoint.host.c_str(), &in.sin_addr) == 1) return Wrap(in);
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  in6.sin6_port = htons(static_cast<uint16_t>(endpoint.port));
  if (inet_pton(AF_INET6, endpoint.host.c_str(), &in6.sin6_addr) == 1) return Wrap(in6);
  return absl::NotFoundError(absl::StrCat(endpoint.host, " is a name, not an address"));
}

absl::StatusOr<std::vector<SocketAddress>> ResolveBlocking(const Endpoint& endpoint) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int error =
      getaddrinfo(endpoint.host.c_str(), absl::StrCat(endpoint.port).c_str(), &hints, &found);
  if (error != 0) {
    return absl::UnavailableError(
        absl::StrCat(endpoint.ToString(), ": the name was not found: ", gai_strerror(error)));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, at->ai_addr, at->ai_addrlen);
    address.length = at->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  return addresses;
}

absl::StatusOr<Fd> NewStreamSocket(int family) {
  Fd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.valid()) return fd;
  const int error = errno;
  const std::string why = absl::StrCat("no socket could be made: ", ErrnoText(error));
  if (family != AF_VSOCK) return absl::UnavailableError(why);
  return VsockRefused(error, why);
}

absl::StatusOr<Fd> ListenOn(const Endpoint& endpoint) {
  absl::StatusOr<SocketAddress> address = ListenAddress(endpoint);
  if (!address.ok()) return address.status();
  absl::StatusOr<Fd> fd = NewStreamSocket(address->family());
  if (!fd.ok()) {
    return absl::Status(fd.status().code(),
                        absl::StrCat(endpoint.ToString(), ": ", fd.status().message()));
  }
  const bool is_unix = endpoint.kind == Endpoint::Kind::kUnix;
  if (is_unix) {
    absl::Status stale = RemoveStaleSocket(endpoint, *address);
    if (!stale.ok()) return stale;
    // On Linux the file takes the socket's own mode, so there is no moment in which others may
    // connect.
    if (fchmod(fd->get(), 0600) != 0) return Failed(endpoint, "fchmod", errno);
  } else {
    const int on = 1;
    setsockopt(fd->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  }
  if (bind(fd->get(), address->get(), address->length) != 0) return Failed(endpoint, "bind", errno);
  if (is_unix && chmod(endpoint.path.c_str(), 0600) != 0) return Failed(endpoint, "chmod", errno);
  if (listen(fd->get(), kListenBacklog) != 0) return Failed(endpoint, "listen", errno);
  return fd;
}

SocketAddress LocalAddress(int fd) {
  SocketAddress address;
  address.length = sizeof(address.storage);
  if (getsockname(fd, address.get(), &address.length) != 0) return SocketAddress{};
  return address;
}

}  // namespace coffer::runtime
