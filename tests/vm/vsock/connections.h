// The stream connections of one guest's vsock (virtio 1.2, 5.10.6): each is a unix socket on this
// side.
#ifndef COFFER_TESTS_VM_VSOCK_CONNECTIONS_H_
#define COFFER_TESTS_VM_VSOCK_CONNECTIONS_H_

#include <poll.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "runtime/socket_address.h"

namespace coffer::vm {

// In front of every packet; little-endian, as this machine is.
#pragma pack(push, 1)
struct PacketHeader {
  uint64_t source_cid = 0;
  uint64_t target_cid = 0;
  uint32_t source_port = 0;
  uint32_t target_port = 0;
  uint32_t length = 0;  // of the payload, bytes
  uint16_t type = 0;    // 1: stream
  uint16_t operation = 0;
  uint32_t flags = 0;
  uint32_t buffer = 0;     // credit: bytes that the sender of this packet takes in all
  uint32_t forwarded = 0;  // credit: bytes that it has passed on so far, modulo 2^32
};
#pragma pack(pop)
static_assert(sizeof(PacketHeader) == 44, "virtio 1.2, 5.10.6");

class Connections {
 public:
  // `to_host`: the unix socket behind each port that the guest may connect to, at CID 2 or 3.
  Connections(uint64_t guest_cid, std::map<uint32_t, std::string> to_host)
      : guest_cid_(guest_cid), to_host_(std::move(to_host)) {}

  // Somebody outside wants to talk to this port of the guest. A refusal closes `client`.
  void Dial(uint32_t guest_port, runtime::Fd client);
  // A packet from the guest.
  void Receive(const PacketHeader& header, std::string_view payload);
  // The next packet for the guest, header and payload in at most `room` bytes; empty: none now.
  std::string Next(size_t room);
  // Passes on what waits, as far as the sockets take it.
  void Flush();

  // What poll(2) has to watch; `guest_listens`: the guest has room for a packet.
  void Watch(bool guest_listens, std::vector<pollfd>* watched) const;

  static constexpr size_t kMaxPayload = 64u << 10;

 private:
  struct Key {
    uint64_t host_cid = 0;
    uint32_t host_port = 0;
    uint32_t guest_port = 0;
    auto operator<=>(const Key&) const = default;
  };
  struct Connection {
    runtime::Fd socket;
    bool established = false;
    bool ended = false;        // the socket sends nothing more
    bool guest_ended = false;  // nor does the guest, once `waiting` is passed on
    bool guest_closed = false;
    bool broken = false;
    std::string waiting;        // from the guest, for the socket
    uint32_t passed_on = 0;     // bytes to the socket, modulo 2^32
    uint32_t announced = 0;     // the `passed_on` that the guest knows of
    uint32_t sent = 0;          // bytes to the guest, modulo 2^32
    uint32_t guest_buffer = 0;  // the guest's credit, as in PacketHeader
    uint32_t guest_passed = 0;

    uint32_t Credit() const { return guest_buffer - (sent - guest_passed); }
    bool Readable() const { return established && !ended && !broken && Credit() > 0; }
  };
  using Iterator = std::map<Key, Connection>::iterator;

  void Request(const Key& key, const PacketHeader& header);
  void Serve(Iterator found, const PacketHeader& header, std::string_view payload);
  PacketHeader Header(const Key& key, Connection* connection, uint16_t operation) const;
  void Say(const Key& key, Connection* connection, uint16_t operation, uint32_t flags = 0);
  // The end of a connection; the guest is told unless it said so itself.
  Iterator Remove(Iterator found, bool tell);
  // What the socket has for the guest, as a packet, or nothing.
  std::string ReadFor(const Key& key, Connection& connection, size_t room);

  const uint64_t guest_cid_;
  const std::map<uint32_t, std::string> to_host_;
  std::map<Key, Connection> open_;
  std::deque<PacketHeader> sayings_;  // packets without a payload, before all others
  Key last_read_;                     // whose turn it was
  uint32_t next_port_ = 1u << 30;     // beyond what anybody listens on
};

}  // namespace coffer::vm

#endif  // COFFER_TESTS_VM_VSOCK_CONNECTIONS_H_
