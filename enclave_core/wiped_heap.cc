// The heap of coffer-enclave: what is given back is wiped (I8). Keys lie in SecretBytes and nowhere
// else; credentials pass through frames, parsers, headers and canonical requests, whose strings
// grow and leave their old memory behind. Wiping each of them by hand holds until the next one is
// written, so the allocator does it, for all of the program.
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <cstddef>
#include <new>

namespace {

void* Allocate(std::size_t size) {
  void* const memory = malloc(size == 0 ? 1 : size);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

void* AllocateAligned(std::size_t size, std::align_val_t alignment) {
  void* memory = nullptr;
  if (posix_memalign(&memory, static_cast<std::size_t>(alignment), size) != 0) {
    throw std::bad_alloc();
  }
  return memory;
}

void WipeAndFree(void* memory) {
  if (memory != nullptr) explicit_bzero(memory, malloc_usable_size(memory));
  free(memory);
}

}  // namespace

// The forms for arrays, for sizes and without exceptions come down to these, but for the aligned.
void* operator new(std::size_t size) { return Allocate(size); }
void operator delete(void* memory) noexcept { WipeAndFree(memory); }
void operator delete(void* memory, std::size_t) noexcept { WipeAndFree(memory); }
void* operator new(std::size_t size, std::align_val_t alignment) {
  return AllocateAligned(size, alignment);
}
void operator delete(void* memory, std::align_val_t) noexcept { WipeAndFree(memory); }
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept { WipeAndFree(memory); }
