#include "tests/vm/vsock/virtqueue.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace coffer::vm {

namespace {

// Flags of descriptors and of the available ring (virtio 1.2, 2.7.5 and 2.7.6).
constexpr uint16_t kNext = 1;
constexpr uint16_t kWrite = 2;
constexpr uint16_t kNoInterrupt = 1;

}  // namespace

std::string Virtqueue::Chain::Read(size_t limit) const {
  std::string bytes;
  for (const absl::Span<uint8_t> piece : readable) {
    const size_t count = std::min(piece.size(), limit - bytes.size());
    bytes.append(reinterpret_cast<const char*>(piece.data()), count);
  }
  return bytes;
}

size_t Virtqueue::Chain::room() const {
  size_t bytes = 0;
  for (const absl::Span<uint8_t> piece : writable) bytes += piece.size();
  return bytes;
}

void Virtqueue::Chain::Write(std::string_view bytes) const {
  for (const absl::Span<uint8_t> piece : writable) {
    const size_t count = std::min(piece.size(), bytes.size());
    if (count == 0) continue;
    std::memcpy(piece.data(), bytes.data(), count);
    bytes.remove_prefix(count);
  }
}

bool Virtqueue::Locate(const GuestMemory& memory) {
  if (!rings_) return true;
  const uint64_t size = size_;
  descriptors_ = reinterpret_cast<const Descriptor*>(
      memory.AtUser(rings_->descriptors, size * sizeof(Descriptor)));
  used_ = reinterpret_cast<uint16_t*>(memory.AtUser(rings_->used, 4 + size * sizeof(UsedElement)));
  available_ = reinterpret_cast<const uint16_t*>(
      memory.AtUser(rings_->available, 4 + size * sizeof(uint16_t)));
  const bool found =
      size > 0 && descriptors_ != nullptr && used_ != nullptr && available_ != nullptr;
  if (!found) descriptors_ = nullptr;
  return found;
}

bool Virtqueue::HasChain() const {
  return ready() && __atomic_load_n(&available_[1], __ATOMIC_ACQUIRE) != next_;
}

void Virtqueue::TakeKick() const {
  uint64_t rings = 0;
  if (kick_.valid() && read(kick_.get(), &rings, sizeof(rings)) < 0) return;  // it was not rung
}

std::optional<Virtqueue::Chain> Virtqueue::Pop(const GuestMemory& memory) {
  if (!HasChain()) return std::nullopt;
  Chain chain;
  chain.head = available_[2 + next_ % size_];
  ++next_;
  uint16_t index = chain.head;
  for (uint32_t seen = 0; seen < size_ && index < size_; ++seen) {
    const Descriptor descriptor = descriptors_[index];
    if (uint8_t* const bytes = memory.AtGuest(descriptor.address, descriptor.length)) {
      auto& pieces = (descriptor.flags & kWrite) != 0 ? chain.writable : chain.readable;
      pieces.emplace_back(bytes, descriptor.length);
    }
    if ((descriptor.flags & kNext) == 0) break;
    index = descriptor.next;
  }
  return chain;
}

void Virtqueue::Push(const Chain& chain, size_t written) {
  const uint16_t index = used_[1];
  auto* const elements = reinterpret_cast<UsedElement*>(used_ + 2);
  elements[index % size_] = {chain.head, static_cast<uint32_t>(written)};
  __atomic_store_n(&used_[1], static_cast<uint16_t>(index + 1), __ATOMIC_RELEASE);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);  // the guest's flag is read after it can see the element
  if ((available_[0] & kNoInterrupt) != 0 || !call_.valid()) return;
  const uint64_t ring = 1;
  // It fails only when the counter is full, and then the guest has been called already.
  if (write(call_.get(), &ring, sizeof(ring)) < 0) return;
}

}  // namespace coffer::vm
