// The records that enclaves handed out: a tree, because two enclaves may have been loaded from one
// state. What is sealed in them is not read; their clear header, their hash and the leaves beside
// them are.
#ifndef COFFER_TESTS_SIM_WIRE_RECORDS_H_
#define COFFER_TESTS_SIM_WIRE_RECORDS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"
#include "tests/sim/wire/seals.h"

namespace coffer::sim::wire {

using ethereum::Hash;

struct Record {
  Hash hash;
  uint64_t sequence = 0;
  const Record* parent = nullptr;
  uint64_t enclave = 0;  // that handed it out first
  std::string leaves;
  uint64_t tree_size = 0;
};

// Whether `older` is `newer` or one that it builds on. Null is before the first.
bool BuildsOn(const Record* newer, const Record* older);

// The 32 bytes that a sealed record or chunk names as what it stands on; empty when it is none.
std::string PreviousOf(const boundary::v1::Store& store);

class Records {
 public:
  // A record that `enclave`, whose last one was `tip`, hands out. One that was handed out before is
  // found again, if it is the same. Null and a broken rule otherwise.
  const Record* Add(uint64_t enclave, const Record* tip, const boundary::v1::Store& store,
                    std::string* wrong);
  std::string AddChunk(const boundary::v1::Store& store);
  // The record at which a state ends that was loaded from these sealed bytes, given by their
  // hashes, in this order. Wrong when no enclave handed them out just so.
  const Record* Loaded(const std::vector<Hash>& pieces, std::string* wrong) const;
  uint64_t count() const { return records_.size(); }

 private:
  struct Chunk {
    Hash base;
    uint32_t index = 0;
    uint32_t count = 0;
  };
  std::map<Hash, Record> records_;
  std::map<Hash, Chunk> chunks_;
  Seals seals_;
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_RECORDS_H_
