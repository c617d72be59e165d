#include "tests/mutants/switch.h"

#include <atomic>
#include <cstring>

namespace coffer {
namespace {

const char* planted = nullptr;
std::atomic<uint64_t> reached = 0;

}  // namespace

bool Mutant(const char* name) {
  if (planted == nullptr || std::strcmp(planted, name) != 0) return false;
  reached.fetch_add(1, std::memory_order_relaxed);
  return true;
}

bool PlantMutant(std::string_view name) {
  for (const char* const* known = kMutants; *known != nullptr; ++known) {
    if (name != *known) continue;
    planted = *known;
    return true;
  }
  return false;
}

uint64_t MutantReached() { return reached; }

}  // namespace coffer
