#include "actors/enclave/sealer.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "invariant/check.h"
#include "proto/sealed.pb.h"

namespace coffer::enclave {

using boundary::v1::Store;

void Sealer::UseVault(std::unique_ptr<sealing::Vault> vault) {
  COFFER_CHECK(sealed_sequence_ == 0 && waiting_.empty() && unstored_.empty(),
               "a sealer that has sealed keeps its keys");
  vault_ = std::move(vault);
}

void Sealer::Receive(SealerMessage message) {
  std::visit([this](auto& m) { Handle(std::move(m)); }, message);
}

void Sealer::Handle(Work work) {
  // Nothing to make durable, and nothing before it that waits: free to go.
  const bool nothing = work.events.empty() && work.leaves.empty();
  if (without_storage_ || (nothing && waiting_.empty() && unstored_.empty())) {
    for (Answer& answer : work.answers) free_.push_back(std::move(answer));
    return;
  }
  waiting_.push_back(std::move(work));
}

// In the order in which they became free: a head that was asked for and is overtaken by a newer one
// that was not looks like a second history of the log.
void Sealer::ReleaseFree() {
  Release release;
  const auto flush = [&] {
    if (!release.answers.empty()) gateway_->Send(std::exchange(release, {}));
  };
  for (Answer& answer : std::exchange(free_, {})) {
    Complete(&answer);
    if (answer.order != nullptr && PassToAttestor(answer)) continue;
    if (answer.to.session != 0) {
      release.answers.push_back(std::move(answer));
    } else if (storage_ != 0) {
      flush();
      gateway_->Send(StoreOut{storage_, std::move(answer.frame)});
    }
  }
  flush();
}

// False: the answer is a refusal now, and goes like any other. What is attested is what is stored.
bool Sealer::PassToAttestor(Answer& answer) {
  if (!without_storage_ && stored_sequence_ > 0)
    answer.order->user_data.sequence = stored_sequence_;
  if (attestor_->size() < attestor_->capacity()) {  // nobody else sends there
    attestor_->Send(std::move(answer));
    return true;
  }
  answer.order.reset();
  ToProto(Refuse(boundary::v1::ERROR_OVERLOADED,
                 "too many attestations wait for the device; ask again"),
          answer.frame->mutable_error());
  return false;
}

void Sealer::EndOfBatch() {
  // Answers first: a host that attached hears so before it gets records.
  ReleaseFree();
  if (std::exchange(resend_, false)) {
    for (const SealedRecord& record : unstored_) SendRecord(record);
  }
  // Before more records: after a state key was adopted, its snapshot is the first thing under it.
  SendChunks();
  AskForPart();
  while (!waiting_.empty() && unstored_.size() < kMaxRecordsInFlight) SealRecord();
  // Answers that waited behind the last record, when there was nothing more to seal.
  ReleaseFree();
}

// The work that waits, as much as fits a record: what is to be sealed. Concatenated batches are one
// batch (protobuf's encoding of repeated fields), so nothing is parsed or copied twice. The log's
// tree comes last: the one after all of them.
std::string Sealer::GatherWork(SealedRecord* record, std::string* leaves) {
  std::string plaintext;
  sealed::v1::Batch log;
  // The first is taken as it is: most records are of one.
  const auto add = [](std::string part, std::string* to) {
    if (to->empty()) {
      *to = std::move(part);
    } else {
      to->append(part);
    }
  };
  while (!waiting_.empty()) {
    Work& work = waiting_.front();
    const size_t bytes = plaintext.size() + leaves->size();
    if (bytes != 0 && bytes + work.events.size() + work.leaves.bundle.size() > kRecordBytes) break;
    add(std::move(work.events), &plaintext);
    if (!work.leaves.empty()) {
      add(std::move(work.leaves.bundle), leaves);
      log.set_audit_tree(std::move(work.leaves.tree));
      log.set_audit_head(std::move(work.leaves.head));
      tree_size_ = work.leaves.tree_size;
    }
    for (Answer& answer : work.answers) record->answers.push_back(std::move(answer));
    waiting_.pop_front();
  }
  log.AppendToString(&plaintext);
  return plaintext;
}

void Sealer::SealRecord() {
  SealedRecord record;
  std::string leaves;
  const std::string plaintext = GatherWork(&record, &leaves);
  COFFER_CHECK(plaintext.size() + leaves.size() <= kMaxRecordBytes,
               "a record and its leaves do not fit a frame");
  if (plaintext.empty()) {  // answers only: they go with the last record that is on its way
    std::vector<Answer>& last = unstored_.empty() ? free_ : unstored_.back().answers;
    std::move(record.answers.begin(), record.answers.end(), std::back_inserter(last));
    return;
  }
  sealing::Header header;
  header.kind = sealing::Kind::kRecord;
  header.sequence = ++sealed_sequence_;
  header.previous = head_;
  auto frame = std::make_shared<boundary::v1::ServerFrame>();
  Store* store = frame->mutable_store();
  store->set_kind(Store::KIND_RECORD);
  store->set_sequence(header.sequence);
  store->set_sealed(vault_->Seal(header, plaintext));
  store->set_leaves(std::move(leaves));
  store->set_tree_size(tree_size_);
  record.sequence = header.sequence;
  record.hash = head_ = sealing::RecordHash(store->sealed());
  record.frame = std::move(frame);
  if (!resend_) SendRecord(record);
  unstored_.push_back(std::move(record));
}

void Sealer::SendRecord(const SealedRecord& record) {
  // Without one, all of them go out when a storage attaches.
  if (storage_ != 0) gateway_->Send(StoreOut{storage_, record.frame});
}

void Sealer::Handle(SnapshotWork work) {
  // The cut is after everything that was sent before this message, so that has to be sealed first.
  while (!waiting_.empty()) SealRecord();
  if (work.adopt.has_value()) {
    const uint32_t epoch = work.adopt->epoch;
    vault_->AddKey(*std::move(work.adopt));
    vault_->Adopt(epoch);
  }
  EndSnapshot();
  snapshot_number_ = work.number;
  if (storage_ == 0) return EndSnapshot();  // the authority begins one when there is
  snapshot_base_ = sealed_sequence_;
  snapshot_base_hash_ = head_;
  chunks_ = work.parts;
  chunks_sent_ = chunks_stored_ = 0;
  parts_.push_back(std::move(work.first_part));
}

void Sealer::Handle(SnapshotPartWork work) {
  if (work.number != snapshot_number_) return;  // of one that was given up
  part_asked_ = false;
  parts_.push_back(std::move(work.part));
}

void Sealer::SendChunks() {
  for (const std::string& part : std::exchange(parts_, {})) {
    sealing::Header header;
    header.kind = sealing::Kind::kSnapshotChunk;
    header.sequence = snapshot_base_;
    header.previous = snapshot_base_hash_;
    header.chunk_index = chunks_sent_;
    header.chunk_count = chunks_;
    auto frame = std::make_unique<boundary::v1::ServerFrame>();
    Store* store = frame->mutable_store();
    store->set_kind(Store::KIND_SNAPSHOT_CHUNK);
    store->set_sequence(snapshot_base_);
    store->set_chunk_index(chunks_sent_++);
    store->set_chunk_count(chunks_);
    store->set_sealed(vault_->Seal(header, part));
    gateway_->Send(StoreOut{storage_, std::move(frame)});
  }
}

void Sealer::AskForPart() {
  if (snapshot_number_ == 0 || part_asked_ || chunks_sent_ == chunks_ ||
      chunks_sent_ - chunks_stored_ >= chunks_in_flight_) {
    return;
  }
  part_asked_ = true;
  authority_->Send(SnapshotWanted{snapshot_number_});
}

// Stored whole, or given up.
void Sealer::EndSnapshot() {
  if (snapshot_number_ == 0) return;
  authority_->Send(SnapshotOver{std::exchange(snapshot_number_, 0)});
  part_asked_ = false;
  parts_.clear();
}

void Sealer::Handle(const StoredReport& report) {
  if (report.session != storage_) return;  // a connection that is no longer the storage has no say
  const boundary::v1::Stored& stored = report.stored;
  // The host can claim what was never handed out; it only lets go what exists.
  while (!unstored_.empty() && unstored_.front().sequence <= stored.sequence()) {
    SealedRecord& record = unstored_.front();
    stored_sequence_ = record.sequence;
    stored_hash_ = record.hash;
    for (Answer& answer : record.answers) free_.push_back(std::move(answer));
    unstored_.pop_front();
  }
  if (snapshot_number_ != 0 && stored.snapshot_sequence() == snapshot_base_) {
    chunks_stored_ = std::max(chunks_stored_, std::min(stored.snapshot_chunks(), chunks_sent_));
    if (chunks_stored_ == chunks_) {
      snapshot_sequence_ = snapshot_base_;
      EndSnapshot();
    }
  }
}

void Sealer::Handle(const StateLoaded& loaded) {
  COFFER_CHECK(sealed_sequence_ == 0 && unstored_.empty(), "a state is loaded once");
  sealed_sequence_ = stored_sequence_ = loaded.sequence;
  head_ = stored_hash_ = loaded.head;
  snapshot_sequence_ = loaded.snapshot_sequence;
  tree_size_ = loaded.tree_size;
  SetStorage(loaded.storage);
}

absl::Status Sealer::CheckAttach(const AttachRequest& request) const {
  if (request.last_sequence < stored_sequence_) {
    return Refuse(boundary::v1::ERROR_STORAGE_BEHIND,
                  absl::StrCat("the host has stored up to record ", request.last_sequence,
                               ", but acknowledged up to record ", stored_sequence_,
                               ": put the missing segments back"));
  }
  if (request.last_sequence > sealed_sequence_) {
    return Refuse(boundary::v1::ERROR_STATE_REFUSED,
                  absl::StrCat("the host has record ", request.last_sequence,
                               ", this enclave has sealed up to ", sealed_sequence_,
                               ": another enclave wrote this storage"));
  }
  sealing::Hash expected = stored_hash_;
  for (const SealedRecord& record : unstored_) {
    if (record.sequence == request.last_sequence) expected = record.hash;
  }
  const std::string_view given = request.last_hash;
  if (request.last_sequence != 0 && given != expected.view()) {
    return Refuse(
        boundary::v1::ERROR_STATE_REFUSED,
        absl::StrCat("the host's record ", request.last_sequence,
                     " is not the one that this enclave sealed: it belongs to another history"));
  }
  return absl::OkStatus();
}

void Sealer::Handle(AttachRequest request) {
  if (const absl::Status checked = CheckAttach(request); !checked.ok()) {
    // The error takes the place of the answer's body; the request's id stays.
    ToProto(checked, request.answer.frame->mutable_error());
    free_.push_back(std::move(request.answer));
    return;
  }
  SetStorage(request.answer.to.session);
  Handle(StoredReport{storage_, [&] {
                        boundary::v1::Stored stored;
                        stored.set_sequence(request.last_sequence);
                        return stored;
                      }()});
  free_.push_back(std::move(request.answer));
  resend_ = true;
}

void Sealer::Handle(const SessionClosed& closed) {
  if (closed.session == storage_) SetStorage(0);
}

void Sealer::SetStorage(SessionId session) {
  storage_ = session;
  // One that was under way is begun again by the authority, at its next occasion.
  EndSnapshot();
  gateway_->Send(StorageIs{session});
}

// Fills in what only the sealer knows.
void Sealer::Complete(Answer* answer) const {
  boundary::v1::ServerFrame& frame = *answer->frame;
  boundary::v1::Status* status =
      frame.has_status()                ? frame.mutable_status()
      : frame.has_load_done()           ? frame.mutable_load_done()
      : frame.has_storage_attached()    ? frame.mutable_storage_attached()
      : frame.has_state_key_adopted()   ? frame.mutable_state_key_adopted()
      : frame.has_signing_key_adopted() ? frame.mutable_signing_key_adopted()
      : frame.has_signing_key_retired() ? frame.mutable_signing_key_retired()
                                        : nullptr;
  if (status == nullptr) return;
  status->set_sealed_sequence(sealed_sequence_);
  status->set_stored_sequence(stored_sequence_);
  status->set_stored_hash(std::string(stored_hash_.view()));
  status->set_snapshot_sequence(snapshot_sequence_);
  status->set_storage_attached(storage_ != 0);
}

}  // namespace coffer::enclave
