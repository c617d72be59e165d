// The authority: the whole of the enclave's state, and every command that may change it.
//
// Accounts and payouts are one state machine, because the rules that matter span both: a
// reservation is a debit of `available` and a payout, a settlement is the end of a payout and a
// payment (I2, I3).
//
// A command is checked against the state and either refused (a status with an error code; nothing
// has changed) or turned into events, which are applied at once and appended to the caller's batch.
// State = fold of the events: recovery applies the same events through the same Apply. Pure: no
// clock, no randomness, no I/O; equal input gives equal state.
#ifndef COFFER_ENCLAVE_CORE_AUTHORITY_AUTHORITY_H_
#define COFFER_ENCLAVE_CORE_AUTHORITY_AUTHORITY_H_

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "enclave_core/authority/leaf_log.h"
#include "enclave_core/authority/snapshot_writer.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ledger/balance_tree.h"
#include "enclave_core/ledger/event_ids.h"
#include "enclave_core/ledger/ledger.h"
#include "enclave_core/payouts/payouts.h"
#include "enclave_core/payouts/signing.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/velocity.h"
#include "enclave_core/signing/request.h"
#include "proto/boundary.pb.h"
#include "proto/sealed.pb.h"

namespace coffer::authority {

inline constexpr int kMaxEventsPerRequest = 10'000;
inline constexpr size_t kMaxEventIdBytes = 128;
inline constexpr size_t kMaxAccountIdBytes = ledger::Ledger::kMaxIdBytes;
// A list in an answer stops growing here, whatever its entries weigh: a frame is four times that.
inline constexpr size_t kMaxPageBytes = 4u << 20;
// All transactions that were signed for a payout, together. A payout has to fit an answer and a
// snapshot's chunk, and the host's word alone is enough to ask for one attempt after the other.
inline constexpr size_t kMaxAttemptBytes = 6u << 20;
// Tickets that one transaction may have redeemed, over all reports of it: a receipt, and the reorg
// that takes it back, have to fit a record with their leaves. A redemption takes 100,000 gas at the
// least, and no block has 10^9.
inline constexpr size_t kMaxPaidByTransaction = 10'000;
// Accounts that a state from before the transparency log may have: the leaves that begin its log go
// into one record.
inline constexpr uint64_t kMaxCarriedOver = 20'000;

// The refusal of a name that no account has. It repeats only what can be an account's id, because
// an answer has to fit a frame.
absl::Status UnknownAccount(std::string_view id);

// Whether one of these events has to have a leaf in the transparency log.
bool ChangesWhatIsLogged(const sealed::v1::Batch& batch);

class Authority {
 public:
  using Batch = sealed::v1::Batch;

  // No state yet: everything but Found/Apply/Restore is a bug of the caller.
  Authority() = default;
  bool founded() const { return genesis_.format() != 0; }

  // Makes a new state for this key and policy. `fingerprint_key` is 32 random bytes.
  void Found(const ethereum::Address& address, const policy::Policy& policy,
             std::string_view fingerprint_key, Batch* out,
             boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY);

  // Whether the state that was loaded belongs to these keys, this profile and this policy: the one
  // that it was provisioned with, or the one in force. In force is what is sealed. Another policy
  // of the same chain and broker is refused with the list of what differs; with `accept_change`,
  // and only where no admins guard the policy, it is adopted and sealed instead.
  // `held` are the addresses of the signing keys that the enclave has, which must be all that this
  // state still signs with. One that it does not know yet may be among them.
  absl::Status Adopt(absl::Span<const ethereum::Address> held, const policy::Policy& policy,
                     bool accept_change, Batch* out,
                     boundary::v1::Profile profile = boundary::v1::PROFILE_AUTHORITY);

  // Whether this state's profile has the method; refused with ERROR_WRONG_PROFILE and why. Every
  // command below asks it by itself.
  absl::Status CheckMethod(boundary::v1::ClientFrame::BodyCase method) const;

  // ---- commands (each says its refusals in proto/boundary.proto)
  // ------------------------------------------------
  void ApplyEvents(const boundary::v1::ApplyEvents& request, boundary::v1::EventsApplied* answer,
                   Batch* out);
  absl::StatusOr<payouts::SigningJob> PreparePayout(const boundary::v1::PreparePayout& request,
                                                    Batch* out);
  absl::StatusOr<payouts::SigningJob> PrepareFunding(const boundary::v1::PrepareFunding& request,
                                                     Batch* out);
  // nullopt: an attempt with these fees exists; the payout as it is is the answer.
  absl::StatusOr<std::optional<payouts::SigningJob>> BumpTransaction(
      const boundary::v1::BumpTransaction& request, Batch* out);
  absl::StatusOr<payouts::SigningJob> RetryPayout(const boundary::v1::RetryPayout& request,
                                                  Batch* out);
  // The signer's answer to a job. Not refusable: the job was reserved and sealed.
  void CompleteSigning(payouts::SigningResult result, Batch* out);
  absl::Status ReportReceipt(const boundary::v1::ReportReceipt& request,
                             boundary::v1::ReceiptResult* answer, Batch* out);
  absl::Status ReportReorg(const boundary::v1::ReportReorg& request,
                           boundary::v1::ReceiptResult* answer, Batch* out);
  absl::Status VoidTickets(const boundary::v1::VoidTickets& request, Batch* out);
  // `job` is none when the payout as it is is the answer.
  struct Redemption {
    uint64_t payout_id = 0;
    std::optional<payouts::SigningJob> job;
  };
  absl::StatusOr<Redemption> PrepareRedeem(const boundary::v1::PrepareRedeem& request, Batch* out);
  // PrepareFunding for a client that may ask again with the nonce of its last question.
  absl::StatusOr<Redemption> PrepareFundingOnce(const boundary::v1::PrepareFunding& request,
                                                Batch* out);
  absl::Status ConfirmPayout(const boundary::v1::ConfirmPayout& request,
                             boundary::v1::PayoutConfirmed* answer, Batch* out);
  absl::Status ChangePolicy(const boundary::v1::ChangePolicy& request, Batch* out);

  // ---- signing_keys.cc: one signing key after another
  // Refused while one drains (ERROR_WRONG_STATE).
  absl::Status CheckNextSigningKey() const;
  // `address` signs what is new from here on, the key before it drains. `log_seed` and
  // `audit_secret` (32 bytes each) are the log's keys, which were derived from the first signing
  // key and stay. ERROR_OVERLOADED: no locked memory for them.
  absl::Status AddSigningKey(const ethereum::Address& address, std::string_view log_seed,
                             std::string_view audit_secret, Batch* out);
  // The draining key signs nothing any more, for ever.
  absl::Status RetireSigningKey(const ethereum::Address& address, Batch* out);
  // What AddSigningKey was given; null while there is only the first signing key.
  struct LogSecrets {
    ethereum::SecretBytes seed;
    ethereum::SecretBytes audit;
  };
  const LogSecrets* log_secrets() const { return log_secrets_ ? &*log_secrets_ : nullptr; }
  // Names the log.
  const ethereum::Address& first_address() const { return payouts_.keys().front().address; }

  // ---- commands of the signer profile
  // ------------------------------------------------------------------------------------
  // What is returned may be signed once the batch is durable: a signature counts in the velocity
  // limits before it exists.
  absl::StatusOr<signing::Request> SignTransaction(const boundary::v1::SignTransaction& request,
                                                   Batch* out);
  absl::StatusOr<signing::Request> SignMessage(const boundary::v1::SignMessage& request,
                                               Batch* out);
  absl::StatusOr<signing::Request> SignTicket(const boundary::v1::SignTicket& request, Batch* out);

  // The enclave's clock, since 1970, for the commands that follow. One that goes back is held where
  // it was.
  void SetTime(uint64_t unix_seconds, uint64_t milliseconds = 0);

  // ---- the transparency log
  // ----------------------------------------------------------------------------------------------
  // What the commands since the last call added to it; seal and store it with their batch.
  NewLeaves TakeLeaves() { return log_.Take(); }
  const LeafLog& log() const { return log_; }
  // The log as it was sealed with a batch, after the fold of its events.
  absl::Status RestoreLog(std::string_view tree, std::string_view head) {
    return log_.Restore(tree, head);
  }

  // ---- views
  // --------------------------------------------------------------------------------------------------------
  absl::Status GetAccount(const boundary::v1::GetAccount& request,
                          boundary::v1::Account* answer) const;
  absl::Status ListAccounts(const boundary::v1::ListAccounts& request,
                            boundary::v1::AccountList* answer) const;
  absl::Status GetPayout(uint64_t id, bool with_transactions, boundary::v1::Payout* answer) const;
  absl::Status ListPayouts(const boundary::v1::ListPayouts& request,
                           boundary::v1::PayoutList* answer) const;
  // The fields of Status that are about the state.
  void FillStatus(boundary::v1::Status* answer) const;
  void FillKeys(boundary::v1::Status* answer) const;
  const ethereum::Hash& policy_hash() const { return policy_hash_; }
  void FillPolicy(boundary::v1::PolicyState* answer) const;
  // The root of the tree of all balances.
  ethereum::Hash LedgerRoot();
  // Whether nothing but its founding has happened to this state.
  bool pristine() const;
  boundary::v1::Profile profile() const;
  // Jobs whose signature was reserved and is not here yet; to be signed (again) after a recovery.
  std::vector<payouts::SigningJob> PendingJobs() const;

  // ---- fold and snapshot
  // -------------------------------------------------------------------------------------------
  // Error (DataLoss) when the event is not one this version knows; a violated rule stops the
  // process.
  absl::Status Apply(const sealed::v1::StateEvent& event);
  // Emits the parts of a snapshot of now, each well below a frame.
  void WriteSnapshot(absl::FunctionRef<void(const sealed::v1::SnapshotPart&)> emit) const;
  // The same a part at a time, so that nobody waits for a large state: begins a snapshot of now, in
  // place of one that was under way. Returns how many parts it has; as often NextSnapshotPart may
  // be called, whatever changes in between. What is kept for it goes with EndSnapshot.
  uint32_t BeginSnapshot();
  sealed::v1::SnapshotPart NextSnapshotPart();
  void EndSnapshot();
  // Parts in order, on a fresh Authority; then FinishRestore, which checks that nothing is missing.
  absl::Status RestorePart(const sealed::v1::SnapshotPart& part);
  absl::Status FinishRestore();

  const ledger::Ledger& ledger() const { return ledger_; }
  const payouts::Payouts& payouts() const { return payouts_; }
  const policy::Policy& policy() const { return policy_; }
  // Of the signing key that signs what is new.
  const ethereum::Address& address() const { return payouts_.current().address; }
  const ledger::EventIds& event_ids() const { return event_ids_; }

 private:
  using Spends = std::vector<policy::Spend>;

  // What goes into a leaf and is no part of the state.
  struct Annotation {
    std::string_view event_id;
    std::string_view content_hash;  // 32 bytes or empty
  };
  using Reverted = std::vector<std::pair<payouts::ItemRef, ledger::Wei>>;  // and what it had paid

  // `batch_signed` is what CheckBatchSignature said of the request that the event is of.
  absl::Status ApplyOne(const boundary::v1::Event& event, const ledger::IdFingerprint& id,
                        const absl::StatusOr<bool>& batch_signed, Batch* out, bool* duplicate);
  // Applies an event that is in the caller's batch, and logs it.
  void Emit(sealed::v1::StateEvent* event, const Annotation& about = {});

  // ---- leaves.cc: what an event that has just been applied is in the log
  void WriteLeaves(const sealed::v1::StateEvent& event, const Annotation& about,
                   const Reverted& reverted);
  void WriteLeaf(const sealed::v1::BalanceChanged& event, const Annotation& about);
  void WriteLeaves(const sealed::v1::PayoutReserved& event);
  void WriteLeaves(const sealed::v1::TransactionSigned& event);
  void WriteLeaves(const sealed::v1::ReceiptApplied& event);
  void WriteLeaves(const sealed::v1::ReceiptReverted& event, const Reverted& reverted);
  void WriteLeaves(const sealed::v1::TicketsVoided& event);
  // What the receipt that is about to be taken back has paid; empty for other events.
  Reverted RevertedBy(const sealed::v1::StateEvent& event) const;
  void LogSignature(const signing::Request& request);
  // The log of a state from before there was one.
  absl::Status BeginLog();

  absl::Status ApplyGenesis(const sealed::v1::Genesis& genesis);
  absl::Status SetPolicy(const boundary::v1::Policy& proto);
  void Fold(const sealed::v1::AccountOpened& event);
  void Fold(const sealed::v1::BalanceChanged& event);
  absl::Status Fold(const sealed::v1::PolicyChanged& event);
  void Fold(const sealed::v1::PayoutReserved& event);
  void Fold(const sealed::v1::RetryReserved& event);
  void Fold(const sealed::v1::BumpReserved& event);
  void Fold(const sealed::v1::SignatureGiven& event);
  void Fold(const sealed::v1::TransactionSigned& event);
  void Fold(const sealed::v1::ReceiptApplied& event);
  void Fold(const sealed::v1::ReceiptReverted& event);
  void Fold(const sealed::v1::TicketsVoided& event);
  absl::Status Fold(const sealed::v1::SigningKeyAdded& event);
  void Fold(const sealed::v1::SigningKeyRetired& event);
  // ---- snapshot.cc
  std::vector<sealed::v1::SnapshotPart> FirstParts() const;
  SnapshotSource source() const { return {ledger_, payouts_, event_ids_}; }
  void WriteKeys(sealed::v1::SnapshotHead* head) const;
  absl::Status RestoreKeys(const sealed::v1::SnapshotHead& head);
  absl::Status KeepLogSecrets(std::string_view seed, std::string_view audit);

  // ---- velocity.cc: limits over time
  // The clock, never behind what is sealed and never 0, so that a time that is set can be told from
  // none.
  uint64_t Now() const;
  // The time that an event is counted at; 0 while the policy counts nothing.
  uint64_t TimeToSeal() const { return policy_.velocity_window == 0 ? 0 : Now(); }
  absl::Status CheckVelocity(const Spends& spends) const;
  void CountVelocity(uint64_t time, const Spends& spends);
  Spends SpendsOf(const sealed::v1::PayoutReserved& reserved) const;
  // Of the items that are still open.
  Spends SpendsOf(const payouts::Payout& payout) const;
  absl::Status Count(const Spends& spends, Batch* out);

  // Of the signing key of this epoch.
  absl::StatusOr<uint64_t> NextNonce(uint32_t key, const boundary::v1::ChainReading& reading) const;
  uint32_t CurrentKey() const { return static_cast<uint32_t>(payouts_.keys().size() - 1); }
  // A payout of a retired key gets no other transaction.
  absl::Status CheckKeySigns(const payouts::Payout& payout) const;
  // Whose the move is, or why it is not its time.
  absl::StatusOr<uint32_t> CheckMove(const boundary::v1::PrepareFunding& request) const;
  absl::StatusOr<uint32_t> CheckFunding(const boundary::v1::PrepareFunding& request) const;
  absl::Status CheckItems(const boundary::v1::PreparePayout& request,
                          sealed::v1::PayoutReserved* reserved) const;
  absl::Status MatchRedemptions(const boundary::v1::ReportReceipt& request,
                                const ethereum::Hash& tx_hash, boundary::v1::ReceiptResult* answer,
                                sealed::v1::ReceiptApplied* applied) const;
  // What a transaction's status alone says was paid.
  absl::Status MatchStatus(const payouts::Payout& payout, const payouts::Attempt& attempt,
                           sealed::v1::ReceiptApplied* applied) const;
  absl::Status ApplyReceipt(const boundary::v1::ReportReceipt& request, bool status_only,
                            boundary::v1::ReceiptResult* answer, Batch* out);
  // The payout that PrepareRedeem answers with, if there is one.
  const payouts::Payout* FindRedemption(uint64_t account, uint64_t nonce) const;
  absl::StatusOr<Redemption> RedeemAnew(const boundary::v1::PrepareRedeem& request,
                                        uint64_t account, Batch* out);
  absl::Status CheckRedeemNonce(uint64_t nonce) const;
  // As many of them as leave the answer well below a frame, in order.
  absl::Status AddTouched(const std::set<uint64_t>& touched,
                          boundary::v1::ReceiptResult* answer) const;
  absl::Status MatchTransfer(const payouts::Payout& payout, bool succeeded,
                             sealed::v1::ReceiptApplied* applied) const;
  payouts::SigningJob MakeJob(const payouts::Payout& payout,
                              const payouts::PendingSignature& pending) const;

  sealed::v1::Genesis genesis_;
  std::optional<LogSecrets> log_secrets_;
  policy::Policy policy_;
  ethereum::Hash policy_hash_;
  uint64_t policy_sequence_ = 0;
  policy::Velocity velocity_;
  uint64_t clock_ = 0;      // as the enclave says; no part of the state
  uint64_t last_time_ = 0;  // of the last event that had one
  ledger::Ledger ledger_;
  ledger::BalanceTree tree_;
  LeafLog log_;
  ledger::EventIds event_ids_;
  std::optional<ledger::Fingerprinter> fingerprints_;
  // Scratch of ApplyEvents and ApplyOne, kept for their capacity.
  std::vector<ledger::IdFingerprint> ids_;
  std::string content_;
  payouts::Payouts payouts_;
  std::optional<sealed::v1::SnapshotHead> restoring_;
  std::optional<SnapshotWriter> snapshot_;  // under way
};

}  // namespace coffer::authority

#endif  // COFFER_ENCLAVE_CORE_AUTHORITY_AUTHORITY_H_
