#include "tests/sim/wire/records.h"

#include <string_view>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tree.h"

namespace coffer::sim::wire {
namespace {

// The clear header (enclave_core/sealing/record.h), read from its bytes.
struct Header {
  uint64_t kind = 0, sequence = 0, index = 0, count = 0;
  Hash previous;
};

bool Read(std::string_view sealed, Header* out) {
  if (sealed.size() < 113 || sealed.substr(0, 4) != "CFR1") return false;
  const auto number = [&](size_t at, size_t bytes) {
    uint64_t value = 0;
    for (size_t i = at; i < at + bytes; ++i) value = value << 8 | static_cast<uint8_t>(sealed[i]);
    return value;
  };
  out->kind = number(4, 1);
  out->sequence = number(9, 8);
  out->previous = *Hash::FromBytes(sealed.substr(17, 32));
  out->index = number(49, 4);
  out->count = number(53, 4);
  return true;
}

}  // namespace

std::string PreviousOf(const boundary::v1::Store& store) {
  Header header;
  return Read(store.sealed(), &header) ? std::string(header.previous.view()) : "";
}

bool BuildsOn(const Record* newer, const Record* older) {
  if (older == nullptr) return true;
  while (newer != nullptr && newer->sequence > older->sequence) newer = newer->parent;
  return newer == older;
}

const Record* Records::Add(uint64_t enclave, const Record* tip, const boundary::v1::Store& store,
                           std::string* wrong) {
  const Hash hash = audit::Sha256(store.sealed());
  if (const auto found = records_.find(hash); found != records_.end()) {
    const Record& known = found->second;
    if (known.leaves == store.leaves() && known.tree_size == store.tree_size() &&
        BuildsOn(tip, &known)) {
      return &known;
    }
    *wrong = absl::StrCat("I9: record ", store.sequence(), " comes again with other leaves");
    return nullptr;
  }
  Header header;
  if (!Read(store.sealed(), &header) || header.kind != 1 || header.sequence != store.sequence()) {
    *wrong = "I5: a record is handed out that does not look like one";
    return nullptr;
  }
  if (*wrong = seals_.Note(store.sealed()); !wrong->empty()) return nullptr;
  const uint64_t next = tip == nullptr ? 1 : tip->sequence + 1;
  if (store.sequence() != next || header.previous != (tip == nullptr ? Hash{} : tip->hash)) {
    *wrong = absl::StrCat("I5: record ", store.sequence(), " does not build on record ", next - 1,
                          ", the last that this enclave handed out or was loaded with");
    return nullptr;
  }
  Record& record = records_[hash];
  record = {hash, store.sequence(), tip, enclave, store.leaves(), store.tree_size()};
  return &record;
}

std::string Records::AddChunk(const boundary::v1::Store& store) {
  Header header;
  if (!Read(store.sealed(), &header) || header.kind != 2 || header.sequence != store.sequence() ||
      header.index != store.chunk_index() || header.count != store.chunk_count()) {
    return "I5: a snapshot's chunk is handed out that does not look like one";
  }
  chunks_[audit::Sha256(store.sealed())] = {header.previous, store.chunk_index(),
                                            store.chunk_count()};
  return seals_.Note(store.sealed());
}

const Record* Records::Loaded(const std::vector<Hash>& pieces, std::string* wrong) const {
  const auto refuse = [&](const char* why) {
    *wrong = absl::StrCat("I6: a state was accepted that ", why);
    return nullptr;
  };
  const Record* at = nullptr;
  uint32_t chunks = 0, count = 0;
  Hash base;
  for (const Hash& piece : pieces) {
    if (const auto chunk = chunks_.find(piece); chunk != chunks_.end()) {
      const bool first = chunks == 0 && at == nullptr;
      if (!first && (chunks == count || chunk->second.base != base)) {
        return refuse("has more than one snapshot in it");
      }
      if (chunk->second.index != chunks) return refuse("has a snapshot out of order");
      base = chunk->second.base;
      count = chunk->second.count;
      if (++chunks < count) continue;
      const auto record = records_.find(base);
      if (record == records_.end()) return refuse("stands on a record that was never handed out");
      at = &record->second;
      continue;
    }
    const auto record = records_.find(piece);
    if (record == records_.end()) return refuse("no enclave handed out");
    if (chunks != count) return refuse("has half a snapshot in it");
    if (record->second.parent != at) return refuse("has a record that is not the next one");
    at = &record->second;
  }
  return chunks == count ? at : refuse("ends in half a snapshot");
}

}  // namespace coffer::sim::wire
