// An authority with its signer, as tests use it: commands in, answers out, every sealed batch kept.
#ifndef COFFER_TESTS_SUPPORT_BANK_H_
#define COFFER_TESTS_SUPPORT_BANK_H_

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/signature.h"
#include "invariant/check.h"
#include "tests/support/leaf_auditor.h"

namespace coffer::test {

namespace v1 = ::coffer::boundary::v1;
using ledger::Wei;

inline ethereum::PrivateKey Key(uint8_t fill = 0x11) {
  return ethereum::PrivateKey::FromBytes(std::string(32, static_cast<char>(fill))).value();
}

inline ethereum::Address AddressOf(uint8_t fill) {
  ethereum::Address address;
  address.bytes.fill(fill);
  return address;
}

inline std::string Bytes32(uint8_t fill) { return std::string(32, static_cast<char>(fill)); }

// The recipient that tests give to an account: a function of its name.
inline std::string RecipientOf(std::string_view account) {
  return std::string(ethereum::Keccak256(account).view().substr(0, 20));
}

// Wide limits, so that a test narrows the one it is about.
inline policy::Policy WidePolicy() {
  policy::Policy policy;
  policy.chain_id = 31337;
  policy.broker = AddressOf(0xb0);
  policy.allow_eth_transfer = true;
  policy.max_face_value = 1'000'000;
  policy.max_transfer = 1'000'000;
  policy.max_batch_total = 5'000'000;
  policy.max_tickets = 10;
  policy.max_gas_limit = 30'000'000;
  policy.max_fee_per_gas = 1'000'000;
  policy.max_priority_fee_per_gas = 1'000'000;
  policy.max_fund_deposit = 9'000;
  policy.max_fund_reserve = 8'000;
  policy.ticket_validity_rounds = 2;
  policy.void_on_host_word = true;
  return policy;
}

inline v1::Event MakeEvent(std::string_view id, std::string_view account, Wei amount,
                           v1::Event::Kind kind = v1::Event::KIND_CREDIT) {
  v1::Event event;
  event.set_id(std::string(id));
  event.set_kind(kind);
  event.set_account(std::string(account));
  event.set_recipient(RecipientOf(account));
  ledger::ToProto(amount, event.mutable_amount());
  return event;
}

inline v1::Fees MakeFees(uint64_t fee, uint64_t gas_limit = 500'000) {
  v1::Fees fees;
  fees.set_gas_limit(gas_limit);
  ledger::ToProto(fee, fees.mutable_max_fee_per_gas());
  ledger::ToProto(fee / 2, fees.mutable_max_priority_fee_per_gas());
  return fees;
}

inline v1::ChainReading Reading(uint64_t nonce = 0, Wei deposit = 1'000'000'000,
                                uint64_t round = 100) {
  v1::ChainReading reading;
  reading.set_account_nonce(nonce);
  ledger::ToProto(deposit, reading.mutable_deposit());
  reading.set_round(round);
  reading.set_round_block_hash(Bytes32(0xbb));
  return reading;
}

struct Ask {
  std::string account;
  Wei amount = 0;  // 0: everything
};

inline v1::PreparePayout MakePayout(const std::vector<Ask>& items,
                                    v1::Strategy strategy = v1::STRATEGY_LIVEPEER_TICKET) {
  v1::PreparePayout request;
  request.set_strategy(strategy);
  for (const Ask& ask : items) {
    v1::PayoutRequestItem* item = request.add_items();
    item->set_account(ask.account);
    if (ask.amount != 0) ledger::ToProto(ask.amount, item->mutable_amount());
  }
  *request.mutable_reading() = Reading();
  *request.mutable_fees() = MakeFees(100);
  return request;
}

inline v1::PrepareRedeem MakeRedeem(std::string_view account, uint64_t nonce, Wei max_amount = 0) {
  v1::PrepareRedeem request;
  request.set_account(std::string(account));
  if (max_amount != 0) ledger::ToProto(max_amount, request.mutable_max_amount());
  request.set_broker(std::string(WidePolicy().broker.view()));
  request.set_chain_id(WidePolicy().chain_id);
  *request.mutable_reading() = Reading(nonce);
  *request.mutable_fees() = MakeFees(100);
  return request;
}

// What a redemption looks like in a receipt.
struct Redeemed {
  ethereum::Address sender;
  std::string recipient;
  Wei face_value = 0;
  uint64_t sender_nonce = 0;
  ethereum::U256 recipient_rand;
  ethereum::TicketAuxData aux_data;
  Wei paid = 0;
  ethereum::U256 win_prob = ~ethereum::U256(0);
};

inline std::string Word(std::string_view bytes) {
  return std::string(32 - bytes.size(), '\0') + std::string(bytes);
}

inline void AddLogs(const Redeemed& r, v1::ReportReceipt* receipt) {
  const std::string broker(WidePolicy().broker.view());
  const auto start = [&](const ethereum::Hash& topic) {
    v1::Log* log = receipt->add_logs();
    log->set_address(broker);
    log->add_topics(std::string(topic.view()));
    log->add_topics(Word(r.sender.view()));
    log->add_topics(Word(r.recipient));
    return log;
  };
  if (r.paid != 0) {
    start(ethereum::WinningTicketTransferTopic())
        ->set_data(ethereum::ToBytes32(ledger::ToU256(r.paid)));
  }
  start(ethereum::WinningTicketRedeemedTopic())
      ->set_data(absl::StrCat(ethereum::ToBytes32(ledger::ToU256(r.face_value)),
                              ethereum::ToBytes32(r.win_prob), ethereum::ToBytes32(r.sender_nonce),
                              ethereum::ToBytes32(r.recipient_rand), ethereum::ToBytes32(160),
                              ethereum::ToBytes32(64),
                              ethereum::ToBytes32(r.aux_data.creation_round),
                              std::string(r.aux_data.creation_round_block_hash.view())));
}

inline v1::ReportReceipt MakeReceipt(std::string_view tx_hash, bool succeeded = true,
                                     uint8_t block = 0x77) {
  v1::ReportReceipt receipt;
  receipt.set_tx_hash(std::string(tx_hash));
  receipt.set_succeeded(succeeded);
  receipt.set_block_number(block);
  receipt.set_block_hash(Bytes32(block));
  return receipt;
}

class Bank {
 public:
  using Batch = authority::Authority::Batch;

  explicit Bank(const policy::Policy& policy = WidePolicy(), uint8_t key = 0x11,
                v1::Profile profile = v1::PROFILE_AUTHORITY)
      : key_(Key(key)) {
    state.Found(key_.address(), policy, Bytes32(0x55), Next(), profile);
  }

  // The answer is fresh for each call, and what was emitted is kept in `batches`.
  v1::EventsApplied Apply(const std::vector<v1::Event>& events) {
    v1::ApplyEvents request;
    for (const v1::Event& event : events) *request.add_events() = event;
    v1::EventsApplied answer;
    state.ApplyEvents(request, &answer, Next());
    return answer;
  }
  void Credit(std::string_view account, Wei amount) {
    const v1::EventsApplied answer =
        Apply({MakeEvent(absl::StrCat("credit ", ++credits_), account, amount)});
    COFFER_CHECK(answer.applied() == 1, "a credit of a test is applied");
  }

  absl::StatusOr<v1::Payout> Prepare(const v1::PreparePayout& request) {
    return Signed(state.PreparePayout(request, Next()));
  }
  absl::StatusOr<v1::Payout> Pay(const std::vector<Ask>& items) {
    return Prepare(MakePayout(items));
  }
  absl::StatusOr<v1::Payout> Fund(v1::Strategy strategy, Wei amount) {
    v1::PrepareFunding request;
    request.set_strategy(strategy);
    if (amount != 0) ledger::ToProto(amount, request.mutable_amount());
    *request.mutable_reading() = Reading();
    *request.mutable_fees() = MakeFees(100);
    return Signed(state.PrepareFunding(request, Next()));
  }
  absl::StatusOr<v1::Payout> Bump(uint64_t id, uint64_t fee) {
    v1::BumpTransaction request;
    request.set_payout_id(id);
    *request.mutable_fees() = MakeFees(fee);
    auto job = state.BumpTransaction(request, Next());
    if (!job.ok()) return job.status();
    if (!job->has_value()) return View(id);
    return Signed(**std::move(job));
  }
  absl::StatusOr<v1::Payout> Retry(uint64_t id, uint64_t nonce = 0) {
    v1::RetryPayout request;
    request.set_payout_id(id);
    *request.mutable_reading() = Reading(nonce);
    *request.mutable_fees() = MakeFees(100);
    return Signed(state.RetryPayout(request, Next()));
  }
  absl::StatusOr<v1::ReceiptResult> Report(const v1::ReportReceipt& receipt) {
    v1::ReceiptResult answer;
    const absl::Status status = state.ReportReceipt(receipt, &answer, Next());
    if (!status.ok()) return status;
    return answer;
  }
  absl::StatusOr<v1::ReceiptResult> Reorg(std::string_view tx_hash) {
    v1::ReportReorg request;
    request.set_tx_hash(std::string(tx_hash));
    v1::ReceiptResult answer;
    const absl::Status status = state.ReportReorg(request, &answer, Next());
    if (!status.ok()) return status;
    return answer;
  }
  // The payout that is the answer, signed where it had to be.
  absl::StatusOr<v1::Payout> Redeem(const v1::PrepareRedeem& request) {
    absl::StatusOr<authority::Authority::Redemption> redemption =
        state.PrepareRedeem(request, Next());
    if (!redemption.ok()) return redemption.status();
    if (!redemption->job.has_value()) return View(redemption->payout_id);
    return Signed(*std::move(redemption->job));
  }
  absl::StatusOr<v1::Payout> Redeem(std::string_view account, uint64_t nonce, Wei max_amount = 0) {
    return Redeem(MakeRedeem(account, nonce, max_amount));
  }
  absl::StatusOr<v1::PayoutConfirmed> Confirm(const v1::ConfirmPayout& request) {
    v1::PayoutConfirmed answer;
    const absl::Status status = state.ConfirmPayout(request, &answer, Next());
    if (!status.ok()) return status;
    return answer;
  }
  // By its status alone.
  absl::StatusOr<v1::PayoutConfirmed> Confirm(std::string_view tx_hash, bool succeeded) {
    v1::ConfirmPayout request;
    request.set_tx_hash(std::string(tx_hash));
    request.set_succeeded(succeeded);
    return Confirm(request);
  }
  absl::Status Void(uint64_t id, uint64_t round, const std::vector<uint32_t>& items = {}) {
    v1::VoidTickets request;
    request.set_payout_id(id);
    request.set_round(round);
    for (const uint32_t item : items) request.add_items(item);
    return state.VoidTickets(request, Next());
  }

  // The next signing key: the one of 32 bytes of `fill`.
  absl::Status Rotate(uint8_t fill) {
    ethereum::PrivateKey next = Key(fill);
    absl::Status status = state.AddSigningKey(next.address(), Bytes32(0x66), Bytes32(0x67), Next());
    if (status.ok()) later_keys_.push_back(std::move(next));
    return status;
  }
  // A key that signs after this is a bug of the state's.
  absl::Status Retire(const ethereum::Address& address) {
    absl::Status status = state.RetireSigningKey(address, Next());
    if (status.ok()) retired_.insert(address);
    return status;
  }

  v1::Payout View(uint64_t id) const {
    v1::Payout payout;
    const absl::Status status = state.GetPayout(id, true, &payout);
    COFFER_CHECK(status.ok(), "a payout of a test exists");
    return payout;
  }
  ledger::Balances Of(std::string_view account) const {
    return state.ledger().at(state.ledger().Find(account).value()).balances;
  }
  // What the contract would log for this item, paying `paid`.
  Redeemed RedemptionOf(uint64_t payout_id, size_t item, Wei paid) const {
    const payouts::Payout& payout = *state.payouts().Find(payout_id);
    const payouts::Item& of = payout.items[item];
    Redeemed out;
    out.sender = state.payouts().keys()[payout.key].address;
    out.recipient = std::string(state.ledger().at(of.account).recipient.view());
    out.face_value = of.amount;
    out.sender_nonce = of.sender_nonce;
    out.recipient_rand = of.ticket.has_value() ? of.ticket->recipient_rand : ethereum::U256(0);
    out.aux_data = payout.aux_data;
    out.paid = paid;
    return out;
  }
  // The receipt of the payout's attempt, in which its items paid this (item -> wei).
  v1::ReportReceipt ReceiptOf(uint64_t payout_id, int attempt,
                              const std::vector<std::pair<size_t, Wei>>& paid) const {
    v1::ReportReceipt receipt = MakeReceipt(View(payout_id).attempts(attempt).tx_hash());
    for (const auto& [item, wei] : paid) AddLogs(RedemptionOf(payout_id, item, wei), &receipt);
    return receipt;
  }

  Batch* Next() {
    Settle();
    return &batches.emplace_back();
  }
  // With the log's tree in them, as the sealer puts it.
  const std::vector<Batch>& Batches() {
    Settle();
    return batches;
  }
  const ethereum::PrivateKey& key() const { return key_; }

  absl::StatusOr<v1::Payout> Signed(const absl::StatusOr<payouts::SigningJob>& job) {
    if (!job.ok()) return job.status();
    const uint64_t id = job->payout_id;
    state.CompleteSigning(payouts::Sign(KeyOf(job->sender), *job), Next());
    return View(id);
  }

  authority::Authority state;
  std::vector<Batch> batches;
  LeafAuditor log;  // everything that was logged, read as an outsider does

 private:
  const ethereum::PrivateKey& KeyOf(const ethereum::Address& sender) const {
    COFFER_CHECK(!retired_.contains(sender), "a retired key of a test signs nothing");
    if (key_.address() == sender) return key_;
    const auto found = std::find_if(later_keys_.begin(), later_keys_.end(),
                                    [&](const auto& key) { return key.address() == sender; });
    COFFER_CHECK(found != later_keys_.end(), "a job of a key that the test has not");
    return *found;
  }
  // What the last command logged.
  void Settle() {
    if (batches.empty()) return;
    const authority::NewLeaves leaves = state.TakeLeaves();
    if (leaves.empty()) return;
    batches.back().set_audit_tree(leaves.tree);
    batches.back().set_audit_head(leaves.head);
    const std::string wrong = log.AddBundle(leaves.bundle);
    COFFER_CHECK(wrong.empty(), wrong.c_str());
  }

  ethereum::PrivateKey key_;
  std::vector<ethereum::PrivateKey> later_keys_;
  std::set<ethereum::Address> retired_;
  int credits_ = 0;
};

// A snapshot as bytes that do not depend on the order of a hash table.
inline std::vector<std::string> SnapshotBytes(const authority::Authority& state) {
  std::vector<std::string> parts;
  std::vector<std::string> ids;
  state.WriteSnapshot([&](const sealed::v1::SnapshotPart& part) {
    sealed::v1::SnapshotPart rest = part;
    for (size_t i = 0; i < part.event_ids().size(); i += ledger::EventIds::kBytesPerId) {
      ids.push_back(part.event_ids().substr(i, ledger::EventIds::kBytesPerId));
    }
    rest.clear_event_ids();
    parts.push_back(rest.SerializeAsString());
  });
  std::sort(ids.begin(), ids.end());
  parts.insert(parts.end(), ids.begin(), ids.end());
  return parts;
}

// The state that these batches fold to.
inline authority::Authority Replayed(const std::vector<Bank::Batch>& batches) {
  authority::Authority state;
  for (const Bank::Batch& batch : batches) {
    Bank::Batch copy;
    COFFER_CHECK(copy.ParseFromString(batch.SerializeAsString()), "a batch is its bytes");
    for (const auto& event : copy.events()) {
      COFFER_CHECK(state.Apply(event).ok(), "what was emitted replays");
    }
    if (copy.audit_tree().empty()) continue;
    COFFER_CHECK(state.RestoreLog(copy.audit_tree(), copy.audit_head()).ok(), "a tree is a tree");
  }
  return state;
}

// The state that its snapshot brings back.
inline authority::Authority Restored(const authority::Authority& from) {
  authority::Authority state;
  from.WriteSnapshot([&](const sealed::v1::SnapshotPart& part) {
    sealed::v1::SnapshotPart copy;
    COFFER_CHECK(copy.ParseFromString(part.SerializeAsString()), "a part is its bytes");
    COFFER_CHECK(state.RestorePart(copy).ok(), "a part that was written can be read");
  });
  COFFER_CHECK(state.FinishRestore().ok(), "all of its parts are a snapshot");
  return state;
}

// A line of a table: available, reserved, paid.
inline std::string Line(const ledger::Balances& b) {
  return absl::StrCat(ledger::ToDecimal(b.available), " ", ledger::ToDecimal(b.reserved), " ",
                      ledger::ToDecimal(b.paid));
}

template <typename T>
v1::ErrorCode CodeOf(const absl::StatusOr<T>& result) {
  return result.ok() ? v1::ERROR_UNSPECIFIED : coffer::CodeOf(result.status());
}
inline v1::ErrorCode CodeOf(const absl::Status& status) {
  return status.ok() ? v1::ERROR_UNSPECIFIED : coffer::CodeOf(status);
}

}  // namespace coffer::test

#endif  // COFFER_TESTS_SUPPORT_BANK_H_
