// The sealer: makes work durable, then lets its answers go (I5).
//
// It gathers the work of one batch into one record (group commit), seals it, hands it to the
// storage and holds the answers until the storage says that the record is durable. Records that
// were not acknowledged are kept, so that a host that comes back gets them again.
#ifndef COFFER_ACTORS_ENCLAVE_SEALER_H_
#define COFFER_ACTORS_ENCLAVE_SEALER_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "actors/enclave/messages.h"
#include "enclave_core/sealing/vault.h"

namespace coffer::enclave {

// Accepts: Work, Answer, SnapshotWork, SnapshotPartWork, StateLoaded, AttachRequest from the
// authority; StoredReport, SessionClosed from the gateway. Sends to the gateway: Release, StoreOut,
// StorageIs; to the attestor: answers that are still to be attested, once they may go; to the
// authority: SnapshotWanted, SnapshotOver.
class Sealer : public runtime::Actor<SealerMessage> {
 public:
  // More work than this, events and leaves, makes a record of its own. A Work is at most one
  // request's: 8 MB for 10,000 events with the longest ids, 9 MB for a state that begins its log,
  // less for everything else. So a record with its leaves always fits a frame.
  static constexpr size_t kRecordBytes = 4u << 20;
  static constexpr size_t kMaxRecordBytes = (16u << 20) - 4096;
  // Records handed out and not acknowledged. More wait, and so grow into bigger records: commits
  // group under load.
  static constexpr size_t kMaxRecordsInFlight = 4;

  struct Options {
    bool without_storage;       // nothing is sealed, and every answer may go at once
    uint32_t chunks_in_flight;  // of a snapshot, not acknowledged
  };
  // The mailboxes outlive it.
  Sealer(GatewayMailbox* gateway, AttestorMailbox* attestor, AuthorityMailbox* authority,
         const Options& options)
      : gateway_(gateway),
        attestor_(attestor),
        authority_(authority),
        without_storage_(options.without_storage),
        chunks_in_flight_(options.chunks_in_flight) {}
  // Before anything is to be sealed; answers go without. Again only while nothing was.
  void UseVault(std::unique_ptr<sealing::Vault> vault);

  void Receive(SealerMessage message) override;
  void EndOfBatch() override;

 private:
  struct SealedRecord {
    uint64_t sequence = 0;
    sealing::Hash hash;
    std::shared_ptr<const boundary::v1::ServerFrame> frame;  // what the storage is sent
    std::vector<Answer> answers;
  };

  void Handle(Work work);
  void Handle(Answer answer) { free_.push_back(std::move(answer)); }
  void Handle(SnapshotWork work);
  void Handle(SnapshotPartWork work);
  void Handle(const StateLoaded& loaded);
  void Handle(AttachRequest request);
  void Handle(const StoredReport& report);
  void Handle(const SessionClosed& closed);

  void ReleaseFree();
  bool PassToAttestor(Answer& answer);
  void SealRecord();
  std::string GatherWork(SealedRecord* record, std::string* leaves);
  void SendRecord(const SealedRecord& record);
  void SendChunks();
  void AskForPart();
  void EndSnapshot();
  void SetStorage(SessionId session);
  void Complete(Answer* answer) const;
  absl::Status CheckAttach(const AttachRequest& request) const;

  std::unique_ptr<sealing::Vault> vault_;  // null: there is no key yet
  GatewayMailbox* const gateway_;
  AttestorMailbox* const attestor_;
  AuthorityMailbox* const authority_;
  const bool without_storage_;
  const uint32_t chunks_in_flight_;

  std::deque<Work> waiting_;           // not sealed yet
  std::deque<SealedRecord> unstored_;  // sealed, not acknowledged
  std::vector<Answer> free_;           // may go at the end of this batch

  uint64_t sealed_sequence_ = 0;
  uint64_t tree_size_ = 0;  // of the transparency log after what is sealed
  sealing::Hash head_;
  uint64_t stored_sequence_ = 0;
  sealing::Hash stored_hash_;
  SessionId storage_ = 0;
  bool resend_ = false;  // a storage attached in this batch: it gets all of unstored_

  // The snapshot under way; no number: none is.
  uint64_t snapshot_number_ = 0;
  uint64_t snapshot_base_ = 0;
  sealing::Hash snapshot_base_hash_;
  std::vector<std::string> parts_;  // not sealed yet
  uint32_t chunks_ = 0;             // all of them
  uint32_t chunks_sent_ = 0;
  uint32_t chunks_stored_ = 0;
  bool part_asked_ = false;         // one at a time: between two of them others have their turn
  uint64_t snapshot_sequence_ = 0;  // the last whole one
};

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_SEALER_H_
