// The device's side of a split virtqueue (virtio 1.2, 2.7).
#ifndef COFFER_TESTS_VM_VSOCK_VIRTQUEUE_H_
#define COFFER_TESTS_VM_VSOCK_VIRTQUEUE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "runtime/socket_address.h"
#include "tests/vm/vsock/guest_memory.h"

namespace coffer::vm {

class Virtqueue {
 public:
  // One buffer that the guest offered, in its pieces.
  struct Chain {
    uint16_t head = 0;
    std::vector<absl::Span<uint8_t>> readable;
    std::vector<absl::Span<uint8_t>> writable;

    // At most `limit` bytes of what the guest wrote.
    std::string Read(size_t limit) const;
    size_t room() const;
    // `bytes` is at most room().
    void Write(std::string_view bytes) const;
  };

  // Where QEMU has the three parts.
  struct Rings {
    uint64_t descriptors = 0;
    uint64_t used = 0;
    uint64_t available = 0;
  };

  // As vhost-user says them, one by one; a queue works once it has all of them.
  void set_size(uint32_t size) { size_ = size; }
  void set_rings(const Rings& rings) { rings_ = rings; }
  void set_next(uint16_t next) { next_ = next; }
  void set_enabled(bool enabled) { enabled_ = enabled; }
  void set_kick(runtime::Fd kick) { kick_ = std::move(kick); }
  void set_call(runtime::Fd call) { call_ = std::move(call); }

  // Finds the rings in the guest's memory; false when they are not there. To be called again when
  // the memory was mapped anew.
  bool Locate(const GuestMemory& memory);

  bool ready() const { return enabled_ && descriptors_ != nullptr && kick_.valid(); }
  bool HasChain() const;
  uint16_t next() const { return next_; }
  int kick() const { return kick_.get(); }
  // The guest's doorbell, which stays rung until this.
  void TakeKick() const;

  // The next buffer. A descriptor outside the guest's memory counts as empty.
  std::optional<Chain> Pop(const GuestMemory& memory);
  // Gives back what Pop took last, unused.
  void Unpop() { --next_; }
  // Returns a buffer with so many bytes in it, and tells the guest.
  void Push(const Chain& chain, size_t written);

 private:
  struct Descriptor {
    uint64_t address;
    uint32_t length;
    uint16_t flags;
    uint16_t next;
  };
  struct UsedElement {
    uint32_t id;
    uint32_t length;
  };

  uint32_t size_ = 0;
  std::optional<Rings> rings_;
  const Descriptor* descriptors_ = nullptr;
  const uint16_t* available_ = nullptr;  // flags, index, ring
  uint16_t* used_ = nullptr;             // flags, index, then UsedElements
  uint16_t next_ = 0;                    // in the available ring
  bool enabled_ = false;
  runtime::Fd kick_;
  runtime::Fd call_;
};

}  // namespace coffer::vm

#endif  // COFFER_TESTS_VM_VSOCK_VIRTQUEUE_H_
