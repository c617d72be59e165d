// All that a hostile host has ever seen and said: sealed records and snapshots, events,
// transactions and tickets, receipts that it made up. It forgets nothing and believes nothing.
#ifndef COFFER_TESTS_SIM_ADVERSARY_MEMORY_H_
#define COFFER_TESTS_SIM_ADVERSARY_MEMORY_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "enclave_core/ethereum/types.h"
#include "proto/boundary.pb.h"
#include "tests/sim/wire/signed_things.h"

namespace coffer::sim {

struct KeptRecord {
  uint64_t sequence = 0;
  int parent = -1;  // index; -1 = before the first
  std::string sealed;
  ethereum::Hash hash;
};

struct KeptTransaction {
  wire::SignedTransaction transaction;
  uint64_t payout = 0;
};

class Memory {
 public:
  // Keeps what a Store frame brought. The index of a record, -1 for a chunk.
  int Keep(const boundary::v1::Store& store);
  // Keeps transactions that an answer shows, by one of `signers`.
  void Learn(const boundary::v1::Payout& payout, absl::Span<const ethereum::Address> signers,
             const ethereum::Address& broker);

  const std::vector<KeptRecord>& records() const { return records_; }
  const std::vector<KeptTransaction>& transactions() const { return transactions_; }
  bool BuildsOn(int newer, int older) const;
  // The frames that load the state at this record: with the newest snapshot on the way when there
  // is one and `snapshot` says so. In order.
  std::vector<std::string> Pieces(int record, bool snapshot) const;
  // Chunks of other snapshots that stand on a record of the same number, with the place of this
  // one.
  std::vector<std::string> ChunksLike(const std::string& chunk) const;

  std::vector<boundary::v1::Event> events;            // that were sent
  std::vector<boundary::v1::ReportReceipt> receipts;  // likewise
  uint64_t highest_payout = 0;
  std::map<std::string, uint64_t> highest_nonce;  // that was signed for, by the key's address

 private:
  std::vector<KeptRecord> records_;
  std::map<ethereum::Hash, int> by_hash_;
  // Chunks by the hash of the record they stand on, the newest snapshot of each.
  struct Snapshot {
    uint32_t count = 0;
    std::map<uint32_t, std::string> chunks;
  };
  std::map<ethereum::Hash, Snapshot> snapshots_;
  std::vector<KeptTransaction> transactions_;
  std::map<ethereum::Hash, size_t> by_transaction_;
};

// The broker's logs of a redemption: a transfer of `paid` (none for 0), then what was redeemed.
void AppendLogs(const ethereum::Address& broker, const wire::Ticket& ticket,
                const ethereum::U256& paid,
                google::protobuf::RepeatedPtrField<boundary::v1::Log>* logs);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_MEMORY_H_
