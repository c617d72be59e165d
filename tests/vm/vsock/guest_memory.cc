#include "tests/vm/vsock/guest_memory.h"

#include <sys/mman.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace coffer::vm {

absl::Status GuestMemory::Map(const Region& region, const runtime::Fd& file) {
  void* const base =
      mmap(nullptr, region.size + region.offset, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (base == MAP_FAILED) {
    return absl::InternalError(
        absl::StrCat("cannot map the guest's memory: ", runtime::ErrnoText(errno)));
  }
  mappings_.push_back({region, static_cast<uint8_t*>(base)});
  return absl::OkStatus();
}

void GuestMemory::Clear() {
  for (const Mapping& mapping : mappings_)
    munmap(mapping.base, mapping.region.size + mapping.region.offset);
  mappings_.clear();
}

uint8_t* GuestMemory::AtGuest(uint64_t address, uint64_t size) const {
  for (const auto& [region, base] : mappings_) {
    if (address < region.guest_address || size > region.size) continue;
    const uint64_t into = address - region.guest_address;
    if (into <= region.size - size) return base + region.offset + into;
  }
  return nullptr;
}

uint8_t* GuestMemory::AtUser(uint64_t address, uint64_t size) const {
  for (const auto& [region, base] : mappings_) {
    if (address < region.user_address || size > region.size) continue;
    const uint64_t into = address - region.user_address;
    if (into <= region.size - size) return base + region.offset + into;
  }
  return nullptr;
}

}  // namespace coffer::vm
