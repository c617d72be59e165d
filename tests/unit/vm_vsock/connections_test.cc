// The vsock of the tests' machines, packet by packet, with this file as the guest.
#include "tests/vm/vsock/connections.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "runtime/endpoint.h"
#include "runtime/socket_address.h"

namespace coffer::vm {
namespace {

using runtime::Fd;

constexpr uint64_t kGuest = 4;
constexpr uint64_t kParent = 3;
constexpr uint32_t kPort = 9000;
constexpr size_t kRoom = 4096;
enum Operation : uint16_t { kRequest = 1, kResponse, kReset, kShutdown, kData, kCreditUpdate };

struct Packet {
  PacketHeader header;
  std::string payload;
};

std::string NewFolder() {
  char folder[] = "/tmp/coffer-vsock-XXXXXX";
  return mkdtemp(folder);
}

Fd ListenAt(const std::string& path) {
  runtime::Endpoint endpoint;
  endpoint.kind = runtime::Endpoint::Kind::kUnix;
  endpoint.path = path;
  return runtime::ListenOn(endpoint).value();
}

class ConnectionsTest : public testing::Test {
 protected:
  ~ConnectionsTest() override {
    unlink(path_.c_str());
    rmdir(folder_.c_str());
  }

  PacketHeader FromGuest(uint16_t operation) const {
    PacketHeader header;
    header.source_cid = kGuest;
    header.target_cid = kParent;
    header.source_port = 77;
    header.target_port = kPort;
    header.type = 1;
    header.operation = operation;
    header.buffer = 1000;
    return header;
  }
  void Send(PacketHeader header, const std::string& payload = "") {
    header.length = static_cast<uint32_t>(payload.size());
    connections_.Receive(header, payload);
  }
  // The next packet for the guest; its operation is 0 when there is none.
  Packet Next() {
    const std::string bytes = connections_.Next(kRoom);
    Packet packet;
    if (bytes.empty()) return packet;
    std::memcpy(&packet.header, bytes.data(), sizeof(packet.header));
    packet.payload = bytes.substr(sizeof(packet.header));
    EXPECT_EQ(packet.header.length, packet.payload.size());
    EXPECT_EQ(packet.header.target_cid, kGuest);
    return packet;
  }
  Fd Accept() { return Fd(accept(listener_.get(), nullptr, nullptr)); }
  static std::string Read(const Fd& socket) {
    char bytes[4096];
    const ssize_t got = recv(socket.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
    return got <= 0 ? std::string() : std::string(bytes, static_cast<size_t>(got));
  }
  static void Write(const Fd& socket, const std::string& bytes) {
    ASSERT_EQ(send(socket.get(), bytes.data(), bytes.size(), 0),
              static_cast<ssize_t>(bytes.size()));
  }
  // A connection that the guest opened; gives the host's end.
  Fd Open() {
    Send(FromGuest(kRequest));
    EXPECT_EQ(Next().header.operation, kResponse);
    return Accept();
  }

  const std::string folder_ = NewFolder();
  const std::string path_ = folder_ + "/host.sock";
  const Fd listener_ = ListenAt(path_);
  Connections connections_{kGuest, {{kPort, path_}}};
};

TEST_F(ConnectionsTest, TheGuestDialsAndBothSpeak) {
  const Fd host = Open();
  Send(FromGuest(kData), "hello");
  connections_.Flush();
  EXPECT_EQ(Read(host), "hello");
  Write(host, "good day");
  const Packet packet = Next();
  EXPECT_EQ(packet.header.operation, kData);
  EXPECT_EQ(packet.payload, "good day");
  EXPECT_EQ(packet.header.source_port, kPort);
  EXPECT_EQ(packet.header.target_port, 77u);
  EXPECT_EQ(packet.header.forwarded, 5u);
  EXPECT_EQ(Next().header.operation, 0);
}

TEST_F(ConnectionsTest, TheHostDialsAndIsHeardOnceTheGuestAnswered) {
  int pair[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
  const Fd host(pair[0]);
  connections_.Dial(5000, Fd(pair[1]));
  const Packet request = Next();
  EXPECT_EQ(request.header.operation, kRequest);
  EXPECT_EQ(request.header.target_port, 5000u);
  Write(host, "early");
  EXPECT_EQ(Next().header.operation, 0) << "the guest has not answered yet";
  PacketHeader answer = FromGuest(kResponse);
  answer.source_port = 5000;
  answer.target_port = request.header.source_port;
  Send(answer);
  EXPECT_EQ(Next().payload, "early");
}

TEST_F(ConnectionsTest, TheGuestIsGivenNoMoreThanItTakes) {
  const Fd host = Open();
  Write(host, std::string(1500, 'x'));
  EXPECT_EQ(Next().payload.size(), 1000u);
  EXPECT_EQ(Next().header.operation, 0);
  PacketHeader more = FromGuest(kCreditUpdate);
  more.forwarded = 400;
  Send(more);
  EXPECT_EQ(Next().payload.size(), 400u);
  more.forwarded = 1400;
  Send(more);
  EXPECT_EQ(Next().payload.size(), 100u);
}

TEST_F(ConnectionsTest, TheGuestMaySendNoMoreThanWeTake) {
  const Fd host = Open();
  const std::string piece(64u << 10, 'x');
  for (int i = 0; i < 4; ++i) Send(FromGuest(kData), piece);
  EXPECT_EQ(Next().header.operation, 0);
  Send(FromGuest(kData), "one too many");
  EXPECT_EQ(Next().header.operation, kReset);
}

TEST_F(ConnectionsTest, EachSideEndsOnItsOwn) {
  const Fd host = Open();
  shutdown(host.get(), SHUT_WR);
  const Packet end = Next();
  EXPECT_EQ(end.header.operation, kShutdown);
  EXPECT_EQ(end.header.flags, 2u);
  Send(FromGuest(kData), "the last word");
  connections_.Flush();
  EXPECT_EQ(Read(host), "the last word");
  PacketHeader close = FromGuest(kShutdown);
  close.flags = 3;
  Send(close);
  connections_.Flush();
  EXPECT_EQ(Next().header.operation, kReset);
  char byte = 0;
  EXPECT_EQ(recv(host.get(), &byte, 1, MSG_DONTWAIT), 0) << "the host sees the end";
}

TEST_F(ConnectionsTest, WhatIsNotForUsIsReset) {
  PacketHeader elsewhere = FromGuest(kRequest);
  elsewhere.target_port = 1;
  Send(elsewhere);
  EXPECT_EQ(Next().header.operation, kReset) << "no such port";
  elsewhere = FromGuest(kRequest);
  elsewhere.target_cid = 17;
  Send(elsewhere);
  EXPECT_EQ(Next().header.operation, kReset) << "no such CID";
  Send(FromGuest(kData), "no connection");
  EXPECT_EQ(Next().header.operation, kReset);
  Send(FromGuest(kReset));
  EXPECT_EQ(Next().header.operation, 0) << "a reset is not answered";
}

}  // namespace
}  // namespace coffer::vm
