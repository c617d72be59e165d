// The payout driver: everything between "owed" and "paid" that is not the enclave's to decide.
//
// Level-triggered. A turn, once a tick or when something happened, looks at the enclave's open
// payouts and at the chain, decides one next step for each payout (payout_tracker.h) and takes it.
// Nothing depends on having seen an event: a lost answer, a restart, a reorg or a fork between two
// turns only means that the next turn decides something else. No state on disk: what was signed is
// in the enclave, what happened is on the chain.
//
// A driver serves one signing key: nonces, deposit and balance are an address's own, so it decides
// about the payouts of its key alone, by readings of that key's address. payout_drivers.h has one
// for each key that has something to do.
//
// Messages in: RunNow, Pause, Resume, the clients' answers, its timer. It speaks to the enclave and
// to the chain only by the two clients, and is believed by neither.
#ifndef COFFER_ACTORS_HOST_PAYOUT_DRIVER_H_
#define COFFER_ACTORS_HOST_PAYOUT_DRIVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "actors/host/chain_client.h"
#include "actors/host/chain_reader.h"
#include "actors/host/enclave_client.h"
#include "actors/host/key_drain.h"
#include "actors/host/payout_options.h"
#include "actors/host/payout_planner.h"
#include "actors/host/payout_tracker.h"
#include "runtime/dispatcher.h"
#include "runtime/log.h"

namespace coffer::host {

class PayoutDriver {
 public:
  // All pointers outlive this object, and the enclave client's observers the driver's use of it:
  // destroy the driver and both clients together, on the dispatcher's thread.
  PayoutDriver(runtime::Dispatcher* dispatcher, EnclaveClient* enclave, ChainClient* chain,
               PayoutDriverOptions options);
  PayoutDriver(const PayoutDriver&) = delete;
  PayoutDriver& operator=(const PayoutDriver&) = delete;
  ~PayoutDriver();

  // Begins to look; the first run comes at once. Once.
  void Start();
  // Plans payouts now instead of at the next interval.
  void RunNow();
  // No new nonces: no payouts, retries, fundings or voids. What is under way is still brought to
  // its end, with fee bumps if need be. Not remembered over a restart.
  void Pause();
  void Resume();
  const PayoutDriverStatus& Status() const { return status_; }

  // ---- several keys; payout_drivers.h calls these
  // Each turn, with what the enclave says of its keys.
  void OnKeys(absl::AnyInvocable<void(const boundary::v1::Status&)> take) {
    on_keys_ = std::move(take);
  }
  // Once, after the enclave said that it has retired this driver's key because this driver asked.
  void OnRetired(absl::AnyInvocable<void(const std::string& address)> take) {
    on_retired_ = std::move(take);
  }
  // A driver of a key that has gone sleeps once nothing of it is left to do.
  void Wake();

 private:
  // One pass over everything. Questions in flight hold it weakly, so that it dies with the driver.
  struct Turn {
    boundary::v1::Status enclave;  // address and nonces: of this driver's key (TakeKey)
    std::string successor;         // the current key's address
    std::optional<ChainState> chain;
    std::vector<boundary::v1::Payout> listed;
    bool list_complete = false;
    Receipts receipts;
    std::set<std::string> in_place;  // of those watched: their block is the one that was reported
    std::set<std::string> moved;     // it is not
    std::vector<PayoutHalt> halts;
    std::vector<std::string> notes;
    std::vector<boundary::v1::Account> accounts;
    bool accounts_cut = false;  // there are more than were asked for
    Plan plan;
    absl::uint128 gas_room = 0;  // wei of the balance that is not spoken for
    std::optional<Fees> fees;    // of new transactions
    FeeLimits fee_limits;
    std::vector<std::pair<uint64_t, std::string>> to_send;  // payout id, transaction hash
    size_t next_send = 0;
    bool progress = false;  // something changed: look again soon
    size_t waiting = 0;
    void (PayoutDriver::*next)() = nullptr;
  };
  // A receipt that was reported, looked at until it is deep enough.
  struct Watched {
    uint64_t block_number = 0;
    std::string block_hash;  // empty: not known yet
    uint32_t missing = 0;    // readings in a row
  };
  using TakeFrame = absl::AnyInvocable<void(const boundary::v1::ServerFrame&)>;
  using TakeAnswer = absl::AnyInvocable<void(const absl::StatusOr<RpcAnswer>&)>;

  // ---- the turn's machinery (payout_driver.cc)
  void Kick();
  void ArmTimer();
  void RunStage(void (PayoutDriver::*stage)());
  void Leave();
  // `take` gets an answer or an Error body; when no answer came, it is not called, and everything
  // is asked for again at the next turn.
  void AskEnclave(boundary::v1::ClientFrame request, TakeFrame take);
  void AskChain(std::string method, Json::Value params, TakeAnswer take);
  void Note(std::string note);
  void Halt(std::string code, std::string sentence);
  bool Halted() const;
  // The enclave said no: counted, logged, and true.
  bool Refused(const boundary::v1::ServerFrame& frame, std::string_view what);

  // ---- the stages, in order
  void AskStatus();
  void AskPayouts();
  // ---- which key (payout_driver_key.cc)
  bool TakeKey();
  void TakeCurrentKey();
  bool Mine(const boundary::v1::Payout& payout) const;
  bool Watches(const boundary::v1::Payout& payout) const;
  bool Asleep() const;
  bool AtItsEnd() const;
  void DrainKey();
  void Drain(uint64_t transfer_gas);
  void CallBroker(KeyDrain::Step step);
  void RetireKey();

  void AskPayoutPage(uint64_t from_id, bool open_only);
  void Seed(const boundary::v1::Payout& payout);
  void ReadChain();
  // ---- of transactions (payout_driver_receipts.cc)
  void AskReceipts();
  void AskReceipt(const std::string& tx_hash);
  void AskBlock(uint64_t number, std::vector<std::string> tx_hashes);
  void AskMoved();
  void Act();
  void SendNext();
  void AskAccounts();
  void AskAccountPage(uint64_t from_index);
  void PreparePayouts();
  void Finish();

  // ---- pieces of Act (payout_driver_act.cc)
  void MergePayouts();
  void CheckNonces();
  void CheckWatched();
  void DecideAll();
  void Take(PayoutRecord& record, const PayoutDecision& decision);
  void Report(uint64_t payout_id, const Receipt& receipt, bool ours);
  void ReportReorg(const std::string& tx_hash, const std::string& block_hash);
  void Contradicted(uint64_t payout_id, const Receipt& receipt);
  void Sent(uint64_t payout_id, const std::string& tx_hash, const RpcAnswer& answer);
  void Bump(PayoutRecord& record, const Fees& fees);
  void Retry(PayoutRecord& record);
  void ForgetSends();

  // ---- looking for strangers, voiding (payout_driver_search.cc)
  void Scan(PayoutRecord& record);
  void Scanned(uint64_t payout_id, uint64_t to_block, const std::vector<FoundLog>& logs);
  void Void(PayoutRecord& record);
  void VoidUnused(uint64_t payout_id, uint64_t round, const std::vector<uint32_t>& unused);

  // ---- new transactions (payout_driver_prepare.cc)
  void ChooseNewFees();
  void Fund();
  // `what`, a literal, names it in notes and in the log: "funding the deposit". False when the
  // balance does not pay for it, which is noted.
  bool PrepareFunding(boundary::v1::Strategy strategy, absl::uint128 amount, uint64_t gas_limit,
                      const char* what);
  void SayThePlan();
  void MakeThePlan();
  void Prepare(const PlannedBatch& batch, uint64_t gas_limit);
  // eth_estimateGas with the margin; not called back when the node refuses (that is noted).
  void Estimate(const CallRequest& call, std::string_view what,
                absl::AnyInvocable<void(uint64_t gas_limit)> take);
  // Payouts are planned without being asked.
  bool ByClock() const { return options_.run_interval != absl::InfiniteDuration(); }
  bool RunDue() const;
  // Wei that can still be promised: of the deposit, or for transfers of the balance.
  absl::uint128 Room() const;
  uint64_t GasCap() const;
  void FillReading(boundary::v1::ChainReading* out) const;
  void FillFees(uint64_t gas_limit, const Fees& fees, boundary::v1::Fees* out) const;
  absl::uint128 Committed() const;
  uint64_t UnderWay() const;
  absl::uint128 Outstanding() const;

  PayoutRecord* Find(uint64_t payout_id);
  bool Accepted(uint64_t nonce) const;

  runtime::Dispatcher* const dispatcher_;
  EnclaveClient* const enclave_;
  ChainClient* const chain_;
  const PayoutDriverOptions options_;
  ChainReader reader_;
  const std::shared_ptr<bool> alive_;  // what outlives the driver holds it weakly
  std::unique_ptr<runtime::Timer> timer_;
  std::shared_ptr<Turn> turn_;
  bool started_ = false;
  bool again_ = false;  // another turn right after this one

  std::map<uint64_t, PayoutRecord> records_;  // open payouts, by id
  std::map<std::string, Watched> watched_;    // by transaction hash; ordered, so that runs repeat
  bool need_list_ = true;                     // ask for all open payouts
  bool seeded_ = false;  // watched_ was filled from the enclave's recent payouts
  absl::Time last_list_ = absl::InfinitePast();
  absl::Time last_chain_ = absl::InfinitePast();
  uint64_t known_block_ = 0;  // the highest one of which something was reported
  uint64_t last_nonce_ = 0;
  uint64_t logs_range_;

  bool run_wanted_ = true;  // asked for, or the last plan could not take all
  bool plan_now_ = true;    // something changed since the last plan
  absl::Time next_run_ = absl::InfinitePast();
  std::vector<PayoutHalt> run_halts_;          // what the last plan met
  std::optional<absl::uint128> blocked_room_;  // the room that the last plan found too small
  std::string gas_refusal_;                    // a node said that the balance is too small
  KeyDrain drain_;
  bool retire_asked_ = false;
  absl::AnyInvocable<void(const boundary::v1::Status&)> on_keys_;
  absl::AnyInvocable<void(const std::string&)> on_retired_;
  PayoutDriverStatus status_;
  runtime::LogEvery refusal_log_{absl::Seconds(30)};
  runtime::LogEvery chain_log_{absl::Seconds(30)};
  std::vector<std::string> logged_notes_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_PAYOUT_DRIVER_H_
