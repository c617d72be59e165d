// A snapshot of one moment, a part at a time: of now, for whoever takes all parts at once, or of
// the moment that ledger, payouts and ids keep, while the state goes on changing.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_SNAPSHOT_WRITER_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_SNAPSHOT_WRITER_H_

#include <cstdint>
#include <vector>

#include "enclave_core/ledger/event_ids.h"
#include "enclave_core/ledger/ledger.h"
#include "enclave_core/payouts/payouts.h"
#include "proto/sealed.pb.h"

namespace coffer::authority {

// What is written, but for what is small.
struct SnapshotSource {
  const ledger::Ledger& ledger;
  const payouts::Payouts& payouts;
  const ledger::EventIds& ids;
};

class SnapshotWriter {
 public:
  // What a part is meant to have; a frame takes sixteen times as much.
  static constexpr uint64_t kPartBytes = 1u << 20;
  static constexpr uint64_t kPartAccounts = 4096;
  static constexpr uint64_t kPartIds = 32768;

  enum class Of { kNow, kMoment };

  // `first` are the parts of all that is small, as it is at the moment.
  SnapshotWriter(std::vector<sealed::v1::SnapshotPart> first, const SnapshotSource& source, Of of);

  // Known from the start: each part is sealed with it.
  uint32_t count() const;
  uint32_t written() const { return written_; }
  // Called count() times, with the source as it is by then. A part may be empty.
  sealed::v1::SnapshotPart Next(const SnapshotSource& source);

  // What comes next is at or behind these.
  uint64_t next_account() const { return next_account_; }
  uint64_t next_payout() const { return next_payout_; }  // id - 1
  uint32_t next_id_chunk() const { return next_id_chunk_; }
  uint32_t id_chunks() const { return id_chunks_; }

 private:
  void WriteAccounts(const ledger::Ledger& accounts, sealed::v1::SnapshotPart* part);
  void WritePayouts(const payouts::Payouts& all, bool rest, sealed::v1::SnapshotPart* part);

  std::vector<sealed::v1::SnapshotPart> first_;
  Of of_;
  // At the moment.
  uint64_t accounts_;
  uint64_t payout_count_;
  uint32_t account_parts_;
  uint32_t payout_parts_;
  uint32_t id_chunks_;

  uint32_t written_ = 0;
  uint64_t next_account_ = 0;
  uint64_t next_payout_ = 0;
  uint32_t next_id_chunk_ = 0;
};

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_SNAPSHOT_WRITER_H_
