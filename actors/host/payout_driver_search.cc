// The driver's turn, where an open ticket may have been redeemed by somebody else, or by nobody in
// time.
#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "actors/host/payout_driver.h"
#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ethereum/ticket_broker.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::PayoutItem;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

// The senderNonce of a WinningTicketRedeemed log: the third word of its data.
std::optional<uint64_t> SenderNonceOf(const ethereum::Log& log) {
  constexpr size_t kWord = ethereum::abi::kWord;
  if (log.data.size() < 3 * kWord) return std::nullopt;
  const absl::StatusOr<uint64_t> nonce =
      ethereum::abi::ReadUint64(std::string_view(log.data).substr(2 * kWord, kWord));
  if (!nonce.ok()) return std::nullopt;
  return *nonce;
}

}  // namespace

// One range of blocks a turn; the payout waits until the newest block was reached.
void PayoutDriver::Scan(PayoutRecord& record) {
  const uint64_t id = record.payout.id();
  const uint64_t latest = turn_->chain->number;
  uint64_t from = record.first_block;
  if (record.scan_next.has_value()) {
    from = *record.scan_next;
  } else {
    // What is not final when it is looked at is looked at again, however deep it is by then.
    const uint64_t again = std::max(options_.reorg_window, uint64_t{64});
    record.scan_settled = std::min(turn_->chain->confirmed, latest - std::min(latest, again));
    if (record.scanned_to.has_value()) from = std::max(from, *record.scanned_to + 1);
  }
  from = std::min(from, latest);
  const uint64_t to = std::min(latest, from + (logs_range_ - 1));
  const auto broker = ethereum::Address::FromBytes(turn_->enclave.broker());
  const auto sender = ethereum::Address::FromBytes(turn_->enclave.address());
  if (!broker.ok() || !sender.ok()) return;
  LogFilter filter;
  filter.from_block = from;
  filter.to_block = to;
  filter.address = *broker;
  filter.topic0 = {ethereum::WinningTicketRedeemedTopic()};
  Json::Value params = LogFilterParams(filter);
  std::string topic;
  ethereum::abi::AppendAddress(*sender, topic);
  params[0]["topics"][1] = ethereum::ToHex(topic);
  AskChain("eth_getLogs", std::move(params),
           [this, id, to](const absl::StatusOr<RpcAnswer>& answer) {
             if (!answer.ok()) return;
             if (answer->refused) {
               // Most refusals are about the width of the range or the size of the answer.
               logs_range_ = std::max<uint64_t>(logs_range_ / 2, 1);
               chain_log_.Log(Level::kWarn, "payouts", "a node refuses to search its logs",
                              {{"reason", answer->error.message}, {"next range", logs_range_}});
               return;
             }
             const absl::StatusOr<std::vector<FoundLog>> logs = ParseLogs(answer->result);
             if (!logs.ok()) {
               chain_log_.Log(Level::kWarn, "payouts", "logs cannot be read",
                              {{"reason", logs.status()}});
               return;
             }
             Scanned(id, to, *logs);
           });
}

void PayoutDriver::Scanned(uint64_t payout_id, uint64_t to_block,
                           const std::vector<FoundLog>& logs) {
  PayoutRecord* record = Find(payout_id);
  if (record == nullptr) return;
  absl::flat_hash_set<uint64_t> open;
  for (const PayoutItem& item : record->payout.items()) {
    if (item.state() == PayoutItem::STATE_OPEN) open.insert(item.sender_nonce());
  }
  std::set<ethereum::Hash> found;
  bool unconfirmed = false;
  for (const FoundLog& log : logs) {
    const std::optional<uint64_t> nonce = SenderNonceOf(log.log);
    if (!nonce.has_value() || !open.contains(*nonce)) continue;
    if (log.block_number <= turn_->chain->confirmed) {
      found.insert(log.tx_hash);
    } else {
      unconfirmed = true;
    }
  }
  for (const ethereum::Hash& tx_hash : found) {
    AskChain("eth_getTransactionReceipt", HashParams(tx_hash),
             [this, payout_id, tx_hash](const absl::StatusOr<RpcAnswer>& answer) {
               if (!answer.ok() || answer->refused) return;
               const absl::StatusOr<std::optional<Receipt>> receipt = ParseReceipt(answer->result);
               if (!receipt.ok() || !receipt->has_value() || (*receipt)->tx_hash != tx_hash) return;
               const auto broker = ethereum::Address::FromBytes(turn_->enclave.broker());
               if (!broker.ok() || !ReportDue(**receipt, *broker, *turn_->chain, options_)) return;
               Report(payout_id, **receipt, false);
             });
  }
  // Not looked through as long as something is left to report.
  if (!found.empty() || unconfirmed) return;
  if (to_block >= turn_->chain->number) {
    record->scan_next.reset();
    record->scanned_to = record->scan_settled;
    record->scan_complete = dispatcher_->Now();
  } else {
    record->scan_next = to_block + 1;
  }
  turn_->progress = true;
}

void PayoutDriver::Void(PayoutRecord& record) {
  const uint64_t id = record.payout.id();
  struct Evidence {
    uint64_t round = 0;
    bool complete = true;
    std::vector<uint32_t> unused;
    size_t waiting = 0;
  };
  const auto evidence = std::make_shared<Evidence>();
  const auto broker = ethereum::Address::FromBytes(turn_->enclave.broker());
  if (!broker.ok()) return;
  const auto ask = [&](const ethereum::Address& to, std::string data,
                       absl::AnyInvocable<bool(std::string_view)> take) {
    ++evidence->waiting;
    CallRequest call;
    call.to = to;
    call.data = std::move(data);
    AskChain("eth_call", CallParams(call, BlockParam(turn_->chain->confirmed)),
             [this, id, evidence,
              take = std::move(take)](const absl::StatusOr<RpcAnswer>& answer) mutable {
               bool taken = false;
               if (answer.ok() && !answer->refused) {
                 const absl::StatusOr<std::string> bytes = ParseData(answer->result);
                 taken = bytes.ok() && take(*bytes);
               }
               if (!taken) evidence->complete = false;
               if (--evidence->waiting == 0 && evidence->complete) {
                 VoidUnused(id, evidence->round, evidence->unused);
               }
             });
  };
  ask(turn_->chain->rounds_manager, ethereum::EncodeCurrentRound(),
      [evidence](std::string_view data) {
        const absl::StatusOr<ethereum::U256> round = ethereum::DecodeUint(data);
        if (!round.ok() || *round > UINT64_MAX / 2) return false;
        evidence->round = static_cast<uint64_t>(*round);
        return true;
      });
  for (int i = 0; i < record.payout.items_size(); ++i) {
    const PayoutItem& item = record.payout.items(i);
    const auto ticket = ethereum::Hash::FromBytes(item.ticket_hash());
    if (item.state() != PayoutItem::STATE_OPEN || !ticket.ok()) continue;
    ask(*broker, ethereum::EncodeUsedTickets(*ticket), [evidence, i](std::string_view data) {
      const absl::StatusOr<bool> used = ethereum::DecodeBool(data);
      if (used.ok() && !*used) evidence->unused.push_back(static_cast<uint32_t>(i));
      return used.ok();
    });
  }
}

void PayoutDriver::VoidUnused(uint64_t payout_id, uint64_t round,
                              const std::vector<uint32_t>& unused) {
  PayoutRecord* record = Find(payout_id);
  if (record == nullptr) return;
  const uint64_t validity = turn_->enclave.policy().ticket_validity_rounds();
  // At the confirmed block it may not have expired yet.
  if (!Expired(record->payout, round, validity)) return;
  if (unused.empty()) {
    Note(absl::StrCat("payout ", payout_id,
                      ": its open tickets were used, and their redemption was not found; set the "
                      "block from which logs are searched"));
    record->not_before = dispatcher_->Now() + options_.retry_max;
    return;
  }
  ClientFrame request;
  boundary::v1::VoidTickets* voided = request.mutable_void_tickets();
  voided->set_payout_id(payout_id);
  voided->set_round(round);
  voided->set_block_number(turn_->chain->confirmed);
  for (const uint32_t item : unused) voided->add_items(item);
  AskEnclave(std::move(request), [this, payout_id, n = unused.size()](const ServerFrame& frame) {
    if (Refused(frame, "void_tickets")) {
      PayoutRecord* refused = Find(payout_id);
      if (refused != nullptr) refused->not_before = dispatcher_->Now() + options_.retry_max;
      return;
    }
    status_.counters.voided += n;
    need_list_ = true;
    turn_->progress = true;
    Log(Level::kInfo, "payouts", "expired tickets are void, their funds are free",
        {{"payout", payout_id}, {"tickets", n}});
  });
}

}  // namespace coffer::host
