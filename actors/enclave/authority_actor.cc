#include "actors/enclave/authority_actor.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/sealing/blob.h"
#include "runtime/log.h"

namespace coffer::enclave {

using boundary::v1::ClientFrame;
using boundary::v1::ERROR_NOT_READY;
using runtime::Level;
using runtime::Log;

AuthorityActor::AuthorityActor(AuthorityOptions options, HeldKeys held, audit::LogKeys log_keys,
                               StateKeyring keyring, sealing::Vault* opener,
                               const AuthorityPorts& ports)
    : options_(std::move(options)),
      held_(std::move(held)),
      log_keys_(std::move(log_keys)),
      keyring_(std::move(keyring)),
      opener_(opener),
      dispatcher_(ports.dispatcher),
      signers_(ports.signers),
      sealer_(ports.sealer),
      kms_(ports.kms),
      provisioner_(ports.provisioner) {
  if (!options_.without_storage) return;
  Batch not_sealed;
  authority_ = NewState(&not_sealed);
}

std::unique_ptr<authority::Authority> AuthorityActor::NewState(Batch* batch) const {
  auto state = std::make_unique<authority::Authority>();
  SetTime(state.get());
  state->Found(held_.addresses.front(), options_.policy, options_.fingerprint_key, batch,
               options_.profile);
  return state;
}

void AuthorityActor::SetTime(authority::Authority* state) const {
  const uint64_t now = options_.clock();
  state->SetTime(now / 1000, now % 1000);
}

void AuthorityActor::Receive(AuthorityMessage message) {
  std::visit([this](auto& m) { Handle(std::move(m)); }, message);
}

void AuthorityActor::Handle(Request request) {
  auto answer = std::make_unique<ServerFrame>();
  auto* batch = google::protobuf::Arena::CreateMessage<Batch>(request.arena.get());
  bool answered_later = false;
  absl::Status status = absl::OkStatus();
  switch (request.frame->body_case()) {
    case ClientFrame::kStatus:
      FillStatus(answer->mutable_status());
      if (request.frame->status().want_ledger_root() && authority_ != nullptr) {
        answer->mutable_status()->set_ledger_root(std::string(authority_->LedgerRoot().view()));
      }
      return AnswerNow(request.reply, std::move(answer));
    case ClientFrame::kGetAttestation:
      return HandleAttestation(request);
    case ClientFrame::kProvision:
    case ClientFrame::kGenerate:
      return HandleProvision(std::move(request));
    case ClientFrame::kRotateStateKey:
      return RotateStateKey(std::move(request));
    case ClientFrame::kRotateSigningKey:
      return RotateSigningKey(std::move(request));
    case ClientFrame::kLoadBegin:
    case ClientFrame::kLoadRecord:
    case ClientFrame::kLoadEnd:
    case ClientFrame::kAttachStorage:
      status = HandleState(request, answer.get());
      if (!status.ok()) ToProto(status, answer->mutable_error());
      if (answer->body_case() == ServerFrame::BODY_NOT_SET) return;  // passed on
      return AnswerNow(request.reply, std::move(answer));
    default:
      status = authority_ == nullptr
                   ? Refuse(ERROR_NOT_READY,
                            "no state is loaded yet; the host loads it first (load_begin)")
                   : HandleReady(request, answer.get(), batch, &answered_later);
  }
  if (!status.ok()) ToProto(status, answer->mutable_error());
  Pass(*batch, request.reply, answered_later ? nullptr : std::move(answer));
}

void AuthorityActor::Pass(const Batch& batch, ReplyTo reply, std::unique_ptr<ServerFrame> answer) {
  Work work;
  batch.SerializeToString(&work.events);
  if (authority_ != nullptr) work.leaves = authority_->TakeLeaves();
  bytes_since_snapshot_ += work.events.size();
  if (!work.leaves.empty()) tree_bytes_ = work.leaves.tree.size() + work.leaves.head.size();
  if (answer != nullptr && reply.request_id != 0) {
    answer->set_request_id(reply.request_id);
    work.answers.push_back({reply, std::move(answer)});
  }
  if (!work.events.empty() || !work.leaves.empty() || !work.answers.empty())
    sealer_->Send(std::move(work));
}

void AuthorityActor::AnswerNow(ReplyTo reply, std::unique_ptr<ServerFrame> answer) {
  answer->set_request_id(reply.request_id);
  sealer_->Send(Answer{reply, std::move(answer)});
}

absl::Status AuthorityActor::HandleSigning(const Request& request, Batch* batch,
                                           bool* answered_later) {
  const ClientFrame& frame = *request.frame;
  absl::StatusOr<signing::Request> allowed =
      frame.has_sign_transaction() ? authority_->SignTransaction(frame.sign_transaction(), batch)
      : frame.has_sign_ticket()    ? authority_->SignTicket(frame.sign_ticket(), batch)
                                   : authority_->SignMessage(frame.sign_message(), batch);
  if (!allowed.ok()) return allowed.status();
  *answered_later = true;
  signers_->Sign(SignRequest{request.reply, ClientSigning{address(), *std::move(allowed)}});
  return absl::OkStatus();
}

absl::Status AuthorityActor::ExportState(boundary::v1::StateBlob* answer) {
  std::vector<std::string> parts;
  authority_->WriteSnapshot(
      [&](const sealed::v1::SnapshotPart& part) { parts.push_back(part.SerializeAsString()); });
  absl::StatusOr<std::string> blob = sealing::SealBlob(opener_, parts);
  if (!blob.ok()) return Refuse(boundary::v1::ERROR_OUT_OF_RANGE, blob.status().message());
  answer->set_blob(*std::move(blob));
  answer->set_ledger_root(std::string(authority_->LedgerRoot().view()));
  return absl::OkStatus();
}

absl::Status AuthorityActor::ImportState(const boundary::v1::ImportState& request,
                                         boundary::v1::Status* answer) {
  if (!options_.without_storage) {
    return Refuse(boundary::v1::ERROR_ALREADY_LOADED,
                  "the storage (coffer-host) loads the state of this enclave; a blob is imported "
                  "only with --storage none");
  }
  if (!authority_->pristine()) {
    return Refuse(boundary::v1::ERROR_ALREADY_LOADED,
                  "this state has changed since the start; a blob is imported before anything "
                  "else");
  }
  absl::StatusOr<std::unique_ptr<authority::Authority>> state =
      StateFromBlob(opener_, request.blob());
  if (!state.ok()) return state.status();
  SetTime(state->get());
  Batch not_sealed;
  if (absl::Status adopted =
          (*state)->Adopt(held_.addresses, options_.policy, options_.accept_policy_change,
                          &not_sealed, options_.profile);
      !adopted.ok()) {
    return adopted;
  }
  authority_ = *std::move(state);
  Log(Level::kInfo, "authority", "a state was imported",
      {{"accounts", authority_->ledger().size()}, {"payouts", authority_->payouts().size()}});
  for (payouts::SigningJob& job : authority_->PendingJobs())
    signers_->Sign(SignRequest{{}, std::move(job)});
  FillStatus(answer);
  answer->set_ledger_root(std::string(authority_->LedgerRoot().view()));
  return absl::OkStatus();
}

absl::Status AuthorityActor::HandleSealing(const ClientFrame& frame, ServerFrame* answer) {
  if (frame.has_export_state()) return ExportState(answer->mutable_state_blob());
  if (frame.has_import_state()) {
    return ImportState(frame.import_state(), answer->mutable_state_imported());
  }
  absl::Status adopted = Adopt(frame.adopt_state_key().epoch());
  if (adopted.ok()) FillStatus(answer->mutable_state_key_adopted());
  return adopted;
}

absl::Status AuthorityActor::ConfirmPayout(const boundary::v1::ConfirmPayout& request,
                                           boundary::v1::PayoutConfirmed* answer, Batch* batch) {
  absl::Status done = authority_->ConfirmPayout(request, answer, batch);
  if (done.ok() && request.sign_audit_entries()) SignEntries(answer->mutable_audit_entries());
  return done;
}

absl::Status AuthorityActor::ChangePolicy(const boundary::v1::ChangePolicy& request,
                                          boundary::v1::PolicyState* answer, Batch* batch) {
  if (absl::Status s = authority_->ChangePolicy(request, batch); !s.ok()) return s;
  Log(Level::kWarn, "authority", "the policy was changed by its admins",
      {{"sequence", request.sequence()}});
  authority_->FillPolicy(answer);
  return absl::OkStatus();
}

absl::Status AuthorityActor::HandleReady(const Request& request, ServerFrame* answer, Batch* batch,
                                         bool* answered_later) {
  const ClientFrame& frame = *request.frame;
  SetTime(authority_.get());
  // A job that was reserved goes to a signer; its answer comes with SignDone.
  const auto sign = [&](absl::StatusOr<payouts::SigningJob> job) {
    if (!job.ok()) return job.status();
    *answered_later = true;
    signers_->Sign(SignRequest{request.reply, *std::move(job)});
    return absl::OkStatus();
  };
  // The same, unless it was signed before: then the payout as it is is the answer.
  const auto sign_once = [&](absl::StatusOr<authority::Authority::Redemption> redemption) {
    if (!redemption.ok()) return redemption.status();
    if (redemption->job.has_value()) return sign(*std::move(redemption->job));
    return authority_->GetPayout(redemption->payout_id, true, answer->mutable_payout());
  };
  switch (frame.body_case()) {
    case ClientFrame::kApplyEvents:
      authority_->ApplyEvents(frame.apply_events(), answer->mutable_events_applied(), batch);
      if (frame.apply_events().sign_audit_entries()) {
        SignEntries(answer->mutable_events_applied()->mutable_audit_entries());
      }
      return absl::OkStatus();
    case ClientFrame::kGetAccount:
      return authority_->GetAccount(frame.get_account(), answer->mutable_account());
    case ClientFrame::kListAccounts:
      return authority_->ListAccounts(frame.list_accounts(), answer->mutable_accounts());
    case ClientFrame::kPreparePayout:
      return sign(authority_->PreparePayout(frame.prepare_payout(), batch));
    case ClientFrame::kPrepareFunding:
      return frame.prepare_funding().once()
                 ? sign_once(authority_->PrepareFundingOnce(frame.prepare_funding(), batch))
                 : sign(authority_->PrepareFunding(frame.prepare_funding(), batch));
    case ClientFrame::kRetryPayout:
      return sign(authority_->RetryPayout(frame.retry_payout(), batch));
    case ClientFrame::kBumpTransaction: {
      absl::StatusOr<std::optional<payouts::SigningJob>> job =
          authority_->BumpTransaction(frame.bump_transaction(), batch);
      if (!job.ok()) return job.status();
      if (job->has_value()) return sign(**std::move(job));
      return authority_->GetPayout(frame.bump_transaction().payout_id(), true,
                                   answer->mutable_payout());
    }
    case ClientFrame::kPrepareRedeem:
      return sign_once(authority_->PrepareRedeem(frame.prepare_redeem(), batch));
    case ClientFrame::kConfirmPayout:
      return ConfirmPayout(frame.confirm_payout(), answer->mutable_payout_confirmed(), batch);
    case ClientFrame::kGetCheckpoint:
      return GetCheckpoint(frame.get_checkpoint(), answer->mutable_audit_checkpoint());
    case ClientFrame::kSignTransaction:
    case ClientFrame::kSignMessage:
    case ClientFrame::kSignTicket:
      return HandleSigning(request, batch, answered_later);
    case ClientFrame::kGetPolicy:
      authority_->FillPolicy(answer->mutable_policy());
      return absl::OkStatus();
    case ClientFrame::kChangePolicy:
      return ChangePolicy(frame.change_policy(), answer->mutable_policy(), batch);
    case ClientFrame::kExportState:
    case ClientFrame::kImportState:
    case ClientFrame::kAdoptStateKey:
      return HandleSealing(frame, answer);
    case ClientFrame::kAdoptSigningKey:
    case ClientFrame::kRetireSigningKey:
      return HandleSigningKey(frame, answer, batch);
    case ClientFrame::kReportReceipt:
      return authority_->ReportReceipt(frame.report_receipt(), answer->mutable_receipt(), batch);
    case ClientFrame::kReportReorg:
      return authority_->ReportReorg(frame.report_reorg(), answer->mutable_receipt(), batch);
    case ClientFrame::kVoidTickets:
      if (absl::Status s = authority_->VoidTickets(frame.void_tickets(), batch); !s.ok()) return s;
      return authority_->GetPayout(frame.void_tickets().payout_id(), false,
                                   answer->mutable_payout());
    case ClientFrame::kGetPayout:
      return authority_->GetPayout(frame.get_payout().id(), true, answer->mutable_payout());
    case ClientFrame::kListPayouts:
      return authority_->ListPayouts(frame.list_payouts(), answer->mutable_payouts());
    default:
      return Refuse(boundary::v1::ERROR_UNKNOWN_METHOD,
                    "this version does not know the body of this frame");
  }
}

void AuthorityActor::Handle(SignDone done) {
  if (auto* ready = std::get_if<std::unique_ptr<ServerFrame>>(&done.result)) {
    ++signatures_;
    return Pass({}, done.reply, std::move(*ready));
  }
  auto& result = std::get<payouts::SigningResult>(done.result);
  google::protobuf::Arena arena;
  auto* batch = google::protobuf::Arena::CreateMessage<Batch>(&arena);
  const uint64_t id = result.payout_id;
  signatures_ += 1 + result.tickets.size();
  authority_->CompleteSigning(std::move(result), batch);
  auto answer = std::make_unique<ServerFrame>();
  const absl::Status status = authority_->GetPayout(id, true, answer->mutable_payout());
  if (!status.ok()) ToProto(status, answer->mutable_error());
  Pass(*batch, done.reply, std::move(answer));
}

void AuthorityActor::Handle(const SessionClosed& closed) {
  if (loader_ == nullptr || closed.session != loading_session_) return;
  loader_.reset();
  Log(Level::kWarn, "authority",
      "the connection that was loading the state has closed; waiting for the next");
}

absl::Status AuthorityActor::HandleState(const Request& request, ServerFrame* answer) {
  if (options_.without_storage) {
    return Refuse(boundary::v1::ERROR_ALREADY_LOADED,
                  "this enclave was started with --storage none: it takes no storage");
  }
  const bool loading = loader_ != nullptr && request.reply.session == loading_session_;
  switch (request.frame->body_case()) {
    case ClientFrame::kLoadBegin:
      return LoadBegin(request, answer);
    case ClientFrame::kLoadRecord:
      if (!loading)
        return Refuse(ERROR_NOT_READY, "load_record comes after load_begin, on its connection");
      return LoadRecord(request, answer);
    case ClientFrame::kLoadEnd:
      if (!loading)
        return Refuse(ERROR_NOT_READY, "load_end comes after load_begin, on its connection");
      return LoadEnd(request);
    default:
      break;
  }
  if (authority_ == nullptr)
    return Refuse(ERROR_NOT_READY, "no state is loaded yet; load it instead of attaching");
  AttachRequest attach;
  attach.answer.to = request.reply;
  attach.answer.frame = std::make_unique<ServerFrame>();
  attach.answer.frame->set_request_id(request.reply.request_id);
  FillStatus(attach.answer.frame->mutable_storage_attached());
  attach.last_sequence = request.frame->attach_storage().last_sequence();
  attach.last_hash = request.frame->attach_storage().last_hash();
  sealer_->Send(std::move(attach));
  // The one that was under way for a new state key has ended with the other storage.
  snapshot_due_ = newer_key_;
  return absl::OkStatus();
}

absl::Status AuthorityActor::LoadBegin(const Request& request, ServerFrame* answer) {
  if (authority_ != nullptr) {
    return Refuse(boundary::v1::ERROR_ALREADY_LOADED, "a state is loaded; use attach_storage");
  }
  if (loader_ != nullptr)
    Log(Level::kWarn, "authority", "a new load_begin replaces a load under way");
  loader_ = std::make_unique<StateLoader>(opener_);
  bytes_since_snapshot_ = 0;
  loading_session_ = request.reply.session;
  answer->mutable_load_begun();
  return absl::OkStatus();
}

absl::Status AuthorityActor::LoadRecord(const Request& request, ServerFrame* answer) {
  const std::string& sealed_bytes = request.frame->load_record().sealed();
  if (absl::Status added = loader_->Add(sealed_bytes); !added.ok()) {
    loader_.reset();
    Log(Level::kError, "authority", "the stored state is refused", {{"reason", added}});
    return added;
  }
  bytes_since_snapshot_ += sealed_bytes.size();
  answer->mutable_record_loaded();
  return absl::OkStatus();
}

absl::Status AuthorityActor::LoadEnd(const Request& request) {
  const std::unique_ptr<StateLoader> loader = std::move(loader_);
  absl::StatusOr<std::unique_ptr<authority::Authority>> state = loader->Finish();
  if (!state.ok()) return state.status();
  Batch batch;
  const bool fresh = !(*state)->founded();
  SetTime(state->get());
  if (fresh) {
    *state = NewState(&batch);
  } else if (absl::Status adopted =
                 (*state)->Adopt(held_.addresses, options_.policy, options_.accept_policy_change,
                                 &batch, options_.profile);
             !adopted.ok()) {
    Log(Level::kError, "authority", "the stored state is refused", {{"reason", adopted}});
    return adopted;
  }
  if (absl::Status s = SortKeys(**state); !s.ok()) return s;
  authority_ = *std::move(state);
  snapshot_due_ = newer_key_ = loader->oldest_epoch() < opener_->epoch();
  Log(Level::kInfo, "authority", fresh ? "a new state was founded" : "the state was loaded",
      {{"sequence", loader->chain().sequence()},
       {"snapshot", loader->chain().snapshot_sequence()},
       {"accounts", authority_->ledger().size()},
       {"events", authority_->event_ids().size()},
       {"payouts", authority_->payouts().size()},
       {"leaves", authority_->log().size()}});
  if (!fresh && !batch.events().empty()) {
    Log(Level::kWarn, "authority",
        "the policy in force was changed, as --insecure-accept-policy-change allows");
  }
  sealer_->Send(StateLoaded{request.reply.session, loader->chain().sequence(),
                            loader->chain().head(), loader->chain().snapshot_sequence(),
                            authority_->log().size()});
  // The answer goes first: it says that the state is read, and waits for no storage.
  auto done = std::make_unique<ServerFrame>();
  FillStatus(done->mutable_load_done());
  AnswerNow(request.reply, std::move(done));
  Pass(batch, {}, nullptr);
  // Signatures that were reserved before a crash and not sealed: made again, byte for byte the
  // same.
  for (payouts::SigningJob& job : authority_->PendingJobs())
    signers_->Sign(SignRequest{{}, std::move(job)});
  return absl::OkStatus();
}

void AuthorityActor::FillStatus(boundary::v1::Status* status) const {
  status->set_version(options_.version);
  status->set_phase(authority_ != nullptr ? boundary::v1::PHASE_READY
                    : loader_ != nullptr  ? boundary::v1::PHASE_LOADING
                                          : boundary::v1::PHASE_EMPTY);
  status->set_address(std::string(address().view()));
  status->set_profile(options_.profile);
  status->set_without_storage(options_.without_storage);
  status->set_chain_id(options_.policy.chain_id);
  status->set_broker(std::string(options_.policy.broker.view()));
  status->set_signatures(signatures_);
  status->set_attestation_kind(options_.attestation);
  status->set_attestation_available(options_.attestation != boundary::v1::ATTESTATION_KIND_NONE);
  status->set_state_key_epoch(opener_->epoch());
  if (authority_ == nullptr) return;
  authority_->FillStatus(status);
  FillWaitingKey(status);
  status->mutable_audit()->set_log_key(log_keys_.log_key().ToString());
  status->mutable_audit()->set_audit_address(std::string(log_keys_.audit_address().view()));
}

void AuthorityActor::EndOfBatch() {
  // What is passed on in one run of the mailbox becomes one record, with one tree in it.
  bytes_since_snapshot_ += std::exchange(tree_bytes_, 0);
  SignHeadWhenDue();
  if (authority_ == nullptr || options_.without_storage) return;
  const size_t due_at = std::max(options_.min_snapshot_interval_bytes, last_snapshot_bytes_);
  // One that is under way goes on, unless nothing of it has been stored for long.
  const bool heavy = bytes_since_snapshot_ >= (snapshot_under_way_ ? 4 * due_at : due_at);
  if (heavy || snapshot_due_) sealer_->Send(BeginSnapshot());
}

// In place of one that is under way.
SnapshotWork AuthorityActor::BeginSnapshot() {
  SnapshotWork snapshot;
  snapshot.number = ++snapshot_number_;
  snapshot.parts = authority_->BeginSnapshot();
  snapshot.first_part = authority_->NextSnapshotPart().SerializeAsString();
  snapshot.adopt = std::exchange(adopt_with_snapshot_, std::nullopt);
  snapshot_bytes_ = snapshot.first_part.size();
  bytes_since_snapshot_ = 0;
  snapshot_due_ = false;
  snapshot_under_way_ = true;
  return snapshot;
}

void AuthorityActor::Handle(const SnapshotWanted& wanted) {
  if (wanted.number != snapshot_number_ || !snapshot_under_way_) return;  // of one before
  SnapshotPartWork work{wanted.number, authority_->NextSnapshotPart().SerializeAsString()};
  snapshot_bytes_ += work.part.size();
  last_snapshot_bytes_ = std::max(last_snapshot_bytes_, snapshot_bytes_);
  sealer_->Send(std::move(work));
}

void AuthorityActor::Handle(const SnapshotOver& over) {
  if (over.number != snapshot_number_) return;
  snapshot_under_way_ = false;
  authority_->EndSnapshot();
}

}  // namespace coffer::enclave
