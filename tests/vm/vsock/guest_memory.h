// A guest's memory, shared with us by QEMU (vhost-user: SET_MEM_TABLE).
#ifndef COFFER_TESTS_VM_VSOCK_GUEST_MEMORY_H_
#define COFFER_TESTS_VM_VSOCK_GUEST_MEMORY_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "runtime/socket_address.h"

namespace coffer::vm {

class GuestMemory {
 public:
  // A region as vhost-user describes it: where the guest sees it, where QEMU has it, and how far
  // into the file it begins. All in bytes.
  struct Region {
    uint64_t guest_address = 0;
    uint64_t size = 0;
    uint64_t user_address = 0;
    uint64_t offset = 0;
  };

  GuestMemory() = default;
  ~GuestMemory() { Clear(); }
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  absl::Status Map(const Region& region, const runtime::Fd& file);
  void Clear();

  // Where `size` bytes at that address are, or nullptr when they are not within one region: by the
  // guest's address (descriptors), or by QEMU's (rings).
  uint8_t* AtGuest(uint64_t address, uint64_t size) const;
  uint8_t* AtUser(uint64_t address, uint64_t size) const;

 private:
  struct Mapping {
    Region region;
    uint8_t* base = nullptr;  // of the whole mapping, `offset` bytes before the region
  };
  std::vector<Mapping> mappings_;
};

}  // namespace coffer::vm

#endif  // COFFER_TESTS_VM_VSOCK_GUEST_MEMORY_H_
