// vsock_backend: gives a virtual machine of QEMU's an AF_VSOCK that leads to unix sockets (a back
// end of vhost-user-vsock). It serves one machine at a time; when QEMU goes, it waits for the next.
//
//   vsock_backend --qemu SOCKET --cid N [--to-guest PORT=SOCKET].. [--to-host PORT=SOCKET]..
//
// What connects to the socket of --to-guest talks to that port of the guest; what the guest
// connects to, at CID 2 or 3, leads to the socket of --to-host.
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "runtime/endpoint.h"
#include "runtime/socket_address.h"
#include "tests/vm/vsock/connections.h"
#include "tests/vm/vsock/vhost_user.h"

namespace coffer::vm {
namespace {

using runtime::Fd;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "vsock_backend: %s\n", std::string(why).c_str());
  std::exit(1);
}

Fd ListenAt(const std::string& path) {
  runtime::Endpoint endpoint;
  endpoint.kind = runtime::Endpoint::Kind::kUnix;
  endpoint.path = path;
  absl::StatusOr<Fd> listener = runtime::ListenOn(endpoint);
  if (!listener.ok()) Die(std::string(listener.status().message()));
  return *std::move(listener);
}

Fd Accept(const Fd& listener, int flags) {
  return Fd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC | flags));
}

std::map<uint32_t, std::string> ParsePorts(const std::vector<std::string>& texts) {
  std::map<uint32_t, std::string> ports;
  for (const std::string& text : texts) {
    const std::pair<std::string, std::string> parts = absl::StrSplit(text, absl::MaxSplits('=', 1));
    uint32_t port = 0;
    if (!absl::SimpleAtoi(parts.first, &port) || parts.second.empty())
      Die(absl::StrCat("want PORT=SOCKET, got ", text));
    ports[port] = parts.second;
  }
  return ports;
}

class Backend {
 public:
  Backend(const std::string& qemu, uint64_t cid, const std::map<uint32_t, std::string>& to_guest,
          std::map<uint32_t, std::string> to_host)
      : cid_(cid), to_host_(std::move(to_host)), qemu_listener_(ListenAt(qemu)) {
    for (const auto& [port, path] : to_guest) listeners_.emplace_back(port, ListenAt(path));
  }

  [[noreturn]] void Run() {
    for (;;) {
      WaitForWork();
      if (Fd qemu = Accept(qemu_listener_, 0); qemu.valid()) Begin(std::move(qemu));
      if (qemu_ && HasInput(qemu_->fd())) {
        if (const absl::Status served = qemu_->Serve(); !served.ok()) End(served);
      }
      AcceptClients();
      if (qemu_) Exchange();
    }
  }

 private:
  void Begin(Fd qemu) {
    qemu_.emplace(std::move(qemu), cid_);
    connections_.emplace(cid_, to_host_);
  }

  void End(const absl::Status& why) {
    std::fprintf(stderr, "vsock_backend: %s\n", std::string(why.message()).c_str());
    connections_.reset();
    qemu_.reset();
  }

  void WaitForWork() {
    std::vector<pollfd> watched = {{qemu_listener_.get(), POLLIN, 0}};
    for (const auto& [port, listener] : listeners_) watched.push_back({listener.get(), POLLIN, 0});
    if (qemu_) {
      watched.push_back({qemu_->fd(), POLLIN, 0});
      const Virtqueue& to_guest = qemu_->queue(VhostUser::kToGuest);
      for (const int kick : {to_guest.kick(), qemu_->queue(VhostUser::kFromGuest).kick()})
        watched.push_back({kick, POLLIN, 0});  // poll(2) passes over -1
      connections_->Watch(to_guest.HasChain(), &watched);
    }
    if (poll(watched.data(), watched.size(), -1) < 0 && errno != EINTR)
      Die(absl::StrCat("poll: ", runtime::ErrnoText(errno)));
  }

  static bool HasInput(int fd) {
    pollfd watched{fd, POLLIN, 0};
    return poll(&watched, 1, 0) == 1;
  }

  // Nobody is let wait for a machine that is not there: the host tries again by itself.
  void AcceptClients() {
    for (const auto& [port, listener] : listeners_) {
      Fd client = Accept(listener, SOCK_NONBLOCK);
      if (client.valid() && qemu_ && qemu_->queue(VhostUser::kToGuest).ready())
        connections_->Dial(port, std::move(client));
    }
  }

  void Exchange() {
    Virtqueue& from_guest = qemu_->queue(VhostUser::kFromGuest);
    Virtqueue& to_guest = qemu_->queue(VhostUser::kToGuest);
    from_guest.TakeKick();
    to_guest.TakeKick();
    while (std::optional<Virtqueue::Chain> chain = from_guest.Pop(qemu_->memory())) {
      const std::string packet = chain->Read(sizeof(PacketHeader) + Connections::kMaxPayload);
      from_guest.Push(*chain, 0);
      PacketHeader header;
      if (packet.size() < sizeof(header)) continue;
      std::memcpy(&header, packet.data(), sizeof(header));
      if (header.length > packet.size() - sizeof(header)) continue;
      connections_->Receive(header, std::string_view(packet).substr(sizeof(header), header.length));
    }
    connections_->Flush();
    while (std::optional<Virtqueue::Chain> chain = to_guest.Pop(qemu_->memory())) {
      const std::string packet = connections_->Next(chain->room());
      if (packet.empty()) return to_guest.Unpop();
      chain->Write(packet);
      to_guest.Push(*chain, packet.size());
    }
  }

  const uint64_t cid_;
  const std::map<uint32_t, std::string> to_host_;
  const Fd qemu_listener_;
  std::vector<std::pair<uint32_t, Fd>> listeners_;
  std::optional<VhostUser> qemu_;
  std::optional<Connections> connections_;
};

int Main(int argc, char** argv) {
  CLI::App app("An AF_VSOCK for a virtual machine, as a vhost-user back end; a tool of the tests.");
  std::string qemu;
  uint64_t cid = 0;
  std::vector<std::string> to_guest;
  std::vector<std::string> to_host;
  app.add_option("--qemu", qemu, "The unix socket that QEMU connects to")->required();
  app.add_option("--cid", cid, "The guest's CID")->required()->check(CLI::Range(4u, 0xFFFFFFFEu));
  app.add_option("--to-guest", to_guest, "PORT=SOCKET: where a port of the guest is reached");
  app.add_option("--to-host", to_host, "PORT=SOCKET: where the guest's connections go");
  app.footer(
      "Example: vsock_backend --qemu /run/vm/qemu.sock --cid 4 --to-guest "
      "5000=/run/vm/enclave.sock");
  CLI11_PARSE(app, argc, argv);
  Backend(qemu, cid, ParsePorts(to_guest), ParsePorts(to_host)).Run();
}

}  // namespace
}  // namespace coffer::vm

int main(int argc, char** argv) { return coffer::vm::Main(argc, argv); }
