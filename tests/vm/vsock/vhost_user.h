// The back end's side of vhost-user for one QEMU: as much of the protocol as a vsock device needs
// (QEMU's docs/interop/vhost-user.rst). QEMU is no adversary here; what is malformed ends it.
#ifndef COFFER_TESTS_VM_VSOCK_VHOST_USER_H_
#define COFFER_TESTS_VM_VSOCK_VHOST_USER_H_

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "runtime/socket_address.h"
#include "tests/vm/vsock/guest_memory.h"
#include "tests/vm/vsock/virtqueue.h"

namespace coffer::vm {

class VhostUser {
 public:
  // The queues of a vsock device (virtio 1.2, 5.10.2).
  enum Queue { kToGuest = 0, kFromGuest = 1, kEvents = 2 };

  // `qemu`: a connected unix socket, non-blocking or not.
  VhostUser(runtime::Fd qemu, uint64_t guest_cid) : qemu_(std::move(qemu)), guest_cid_(guest_cid) {}

  int fd() const { return qemu_.get(); }
  const GuestMemory& memory() const { return memory_; }
  Virtqueue& queue(Queue queue) { return queues_[queue]; }

  // Reads and answers one message. Unavailable when QEMU has gone.
  absl::Status Serve();

 private:
  struct Message {
    uint32_t request = 0;
    uint32_t flags = 0;
    std::string payload;
    std::vector<runtime::Fd> files;

    uint64_t Number() const;                     // the payload as one 64-bit number
    std::pair<uint32_t, uint32_t> Ring() const;  // the payload as index and number
  };

  absl::StatusOr<Message> Receive();
  // The answer's payload; empty: there is none.
  absl::StatusOr<std::string> Handle(Message& message);
  absl::Status MapMemory(Message& message);
  absl::Status SetRings(const Message& message);
  void SetDoorbell(Message& message);
  std::string Config(const Message& message) const;
  absl::Status Send(uint32_t request, std::string_view payload);
  absl::StatusOr<Virtqueue*> QueueAt(uint32_t index);

  const runtime::Fd qemu_;
  const uint64_t guest_cid_;
  GuestMemory memory_;
  std::array<Virtqueue, 3> queues_;
};

}  // namespace coffer::vm

#endif  // COFFER_TESTS_VM_VSOCK_VHOST_USER_H_
