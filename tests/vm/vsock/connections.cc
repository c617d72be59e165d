#include "tests/vm/vsock/connections.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/status/statusor.h"
#include "runtime/endpoint.h"

namespace coffer::vm {

namespace {

enum Operation : uint16_t {
  kRequest = 1,
  kResponse = 2,
  kReset = 3,
  kShutdown = 4,
  kData = 5,
  kCreditUpdate = 6,
  kCreditRequest = 7,
};

constexpr uint16_t kStream = 1;
// Flags of kShutdown: the sender receives nothing more, sends nothing more.
constexpr uint32_t kNoReceive = 1;
constexpr uint32_t kNoSend = 2;
constexpr uint32_t kBuffer = 256u << 10;  // bytes of a connection that we hold for its socket
constexpr uint64_t kHostCid = 2;
constexpr uint64_t kParentCid = 3;  // a parent on EC2 is CID 3, and QEMU's machine does as EC2 does

absl::StatusOr<runtime::Fd> ConnectTo(const std::string& path) {
  runtime::Endpoint endpoint;
  endpoint.kind = runtime::Endpoint::Kind::kUnix;
  endpoint.path = path;
  absl::StatusOr<runtime::SocketAddress> address = runtime::LiteralAddress(endpoint, false);
  if (!address.ok()) return address.status();
  absl::StatusOr<runtime::Fd> socket = runtime::NewStreamSocket(AF_UNIX);
  if (!socket.ok()) return socket.status();
  // A unix socket connects at once or not at all.
  if (connect(socket->get(), address->get(), address->length) != 0)
    return absl::UnavailableError(runtime::ErrnoText(errno));
  return socket;
}

}  // namespace

void Connections::Dial(uint32_t guest_port, runtime::Fd client) {
  const Key key{kParentCid, next_port_++, guest_port};
  Connection& connection = open_[key];
  connection.socket = std::move(client);
  Say(key, &connection, kRequest);
}

void Connections::Receive(const PacketHeader& header, std::string_view payload) {
  const Key key{header.target_cid, header.target_port, header.source_port};
  const bool for_us = header.type == kStream && header.source_cid == guest_cid_ &&
                      (header.target_cid == kHostCid || header.target_cid == kParentCid);
  const auto found = open_.find(key);
  if (!for_us || (found == open_.end() && header.operation != kRequest)) {
    if (header.operation != kReset) Say(key, nullptr, kReset);
    return;
  }
  if (header.operation == kRequest) return Request(key, header);
  Serve(found, header, payload);
}

void Connections::Request(const Key& key, const PacketHeader& header) {
  const auto path = to_host_.find(key.host_port);
  absl::StatusOr<runtime::Fd> socket = absl::NotFoundError("no such port");
  if (path != to_host_.end() && !open_.contains(key)) socket = ConnectTo(path->second);
  if (!socket.ok()) return Say(key, nullptr, kReset);
  Connection& connection = open_[key];
  connection.socket = *std::move(socket);
  connection.established = true;
  connection.guest_buffer = header.buffer;
  connection.guest_passed = header.forwarded;
  Say(key, &connection, kResponse);
}

void Connections::Serve(Iterator found, const PacketHeader& header, std::string_view payload) {
  Connection& connection = found->second;
  connection.guest_buffer = header.buffer;
  connection.guest_passed = header.forwarded;
  switch (header.operation) {
    case kResponse:
      connection.established = true;
      break;
    case kData:
      if (connection.waiting.size() + payload.size() > kBuffer) {  // beyond its credit
        Remove(found, true);
        return;
      }
      connection.waiting.append(payload);
      break;
    case kCreditRequest:
      Say(found->first, &connection, kCreditUpdate);
      break;
    case kShutdown:
      if ((header.flags & kNoSend) != 0) connection.guest_ended = true;
      if ((header.flags & (kNoSend | kNoReceive)) == (kNoSend | kNoReceive))
        connection.guest_closed = true;
      break;
    case kReset:
      Remove(found, false);
      break;
    default:
      break;
  }
}

std::string Connections::Next(size_t room) {
  if (room < sizeof(PacketHeader)) return "";
  if (!sayings_.empty()) {
    const PacketHeader header = sayings_.front();
    sayings_.pop_front();
    return std::string(reinterpret_cast<const char*>(&header), sizeof(header));
  }
  // One packet of each in turn, so that nobody starves.
  auto turn = open_.upper_bound(last_read_);
  for (size_t i = 0; i < open_.size(); ++i, ++turn) {
    if (turn == open_.end()) turn = open_.begin();
    if (!turn->second.Readable()) continue;
    std::string packet = ReadFor(turn->first, turn->second, room - sizeof(PacketHeader));
    if (packet.empty()) continue;
    last_read_ = turn->first;
    return packet;
  }
  return "";
}

std::string Connections::ReadFor(const Key& key, Connection& connection, size_t room) {
  const size_t most = std::min<size_t>({room, connection.Credit(), kMaxPayload});
  std::string packet(sizeof(PacketHeader) + most, '\0');
  const ssize_t got =
      recv(connection.socket.get(), packet.data() + sizeof(PacketHeader), most, MSG_DONTWAIT);
  if (got < 0) {
    connection.broken = errno != EAGAIN && errno != EINTR;
    return "";
  }
  PacketHeader header = Header(key, &connection, kData);
  if (got == 0) {
    connection.ended = true;
    header.operation = kShutdown;
    header.flags = kNoSend;
  }
  header.length = static_cast<uint32_t>(got);
  connection.sent += header.length;
  packet.resize(sizeof(PacketHeader) + header.length);
  std::memcpy(packet.data(), &header, sizeof(header));
  return packet;
}

void Connections::Flush() {
  for (auto it = open_.begin(); it != open_.end();) {
    Connection& connection = it->second;
    while (!connection.waiting.empty() && !connection.broken) {
      const ssize_t taken = send(connection.socket.get(), connection.waiting.data(),
                                 connection.waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (taken < 0) {
        connection.broken = errno != EAGAIN && errno != EINTR;
        break;
      }
      connection.waiting.erase(0, static_cast<size_t>(taken));
      connection.passed_on += static_cast<uint32_t>(taken);
    }
    if (connection.passed_on - connection.announced >= kBuffer / 4)
      Say(it->first, &connection, kCreditUpdate);
    const bool done = connection.guest_closed && connection.waiting.empty();
    if (connection.guest_ended && connection.waiting.empty())
      shutdown(connection.socket.get(), SHUT_WR);
    it = connection.broken || done ? Remove(it, true) : std::next(it);
  }
}

void Connections::Watch(bool guest_listens, std::vector<pollfd>* watched) const {
  for (const auto& [key, connection] : open_) {
    short events = 0;
    if (guest_listens && connection.Readable()) events |= POLLIN;
    if (!connection.waiting.empty()) events |= POLLOUT;
    if (events != 0) watched->push_back({connection.socket.get(), events, 0});
  }
}

PacketHeader Connections::Header(const Key& key, Connection* connection, uint16_t operation) const {
  PacketHeader header;
  header.source_cid = key.host_cid;
  header.target_cid = guest_cid_;
  header.source_port = key.host_port;
  header.target_port = key.guest_port;
  header.type = kStream;
  header.operation = operation;
  header.buffer = kBuffer;
  if (connection != nullptr) {
    header.forwarded = connection->passed_on;
    connection->announced = connection->passed_on;
  }
  return header;
}

void Connections::Say(const Key& key, Connection* connection, uint16_t operation, uint32_t flags) {
  PacketHeader header = Header(key, connection, operation);
  header.flags = flags;
  sayings_.push_back(header);
}

Connections::Iterator Connections::Remove(Iterator found, bool tell) {
  if (tell) Say(found->first, nullptr, kReset);
  return open_.erase(found);
}

}  // namespace coffer::vm
