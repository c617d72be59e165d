#include "bench/load/receipts.h"

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/rlp.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::load {
namespace {

using boundary::v1::Payout;
using boundary::v1::PayoutItem;
using boundary::v1::ReportReceipt;
using ethereum::ToBytes32;
using ethereum::U256;

constexpr size_t kWord = 32;
constexpr size_t kSelector = 4;
constexpr size_t kFields = 12;       // of a signed transaction of type 2
constexpr size_t kCalldata = 7;      // its place among them
constexpr size_t kRandArgument = 2;  // of redeemWinningTicket and of batchRedeemWinningTickets

std::string Padded(std::string_view address) {
  return absl::StrCat(std::string(kWord - address.size(), '\0'), std::string(address));
}

// The recipientRand of each ticket, as the transaction reveals them. One ticket: the third argument
// itself; several: an array, whose offset that argument is.
absl::StatusOr<std::vector<std::string>> RecipientRands(std::string_view raw, size_t tickets) {
  const absl::Status wrong = absl::InternalError("a signed transaction that is no redemption");
  if (raw.empty()) return wrong;
  const absl::StatusOr<ethereum::rlp::Item> fields = ethereum::rlp::Decode(raw.substr(1));
  if (!fields.ok() || fields->items.size() != kFields) return wrong;
  std::string_view arguments = fields->items[kCalldata].bytes;
  if (arguments.size() < kSelector + (kRandArgument + 1) * kWord) return wrong;
  arguments.remove_prefix(kSelector);
  size_t at = kRandArgument * kWord;
  if (tickets > 1) {
    const absl::StatusOr<U256> offset = ethereum::U256FromBytes(arguments.substr(at, kWord));
    if (!offset.ok() || *offset + kWord > arguments.size()) return wrong;
    at = static_cast<size_t>(*offset) + kWord;  // behind the array's length
  }
  if (arguments.size() - at < tickets * kWord) return wrong;
  std::vector<std::string> rands;
  for (size_t i = 0; i < tickets; ++i) rands.emplace_back(arguments.substr(at + i * kWord, kWord));
  return rands;
}

boundary::v1::Log* AddLog(std::string_view broker, const ethereum::Hash& event,
                          const std::string& sender, const PayoutItem& item,
                          ReportReceipt* receipt) {
  boundary::v1::Log* log = receipt->add_logs();
  log->set_address(std::string(broker));
  log->add_topics(std::string(event.view()));
  log->add_topics(Padded(sender));
  log->add_topics(Padded(item.recipient()));
  return log;
}

}  // namespace

absl::StatusOr<ReportReceipt> MakeReceipt(const Payout& payout, std::string_view broker,
                                          std::string_view round_block_hash, uint64_t block) {
  if (payout.attempts().empty()) return absl::InternalError("a payout without a transaction");
  const boundary::v1::Attempt& attempt = *payout.attempts().rbegin();
  if (ethereum::Keccak256(attempt.raw_tx()).view() != attempt.tx_hash()) {
    return absl::InternalError("a signed transaction with another hash than its payout says");
  }
  const auto rands = RecipientRands(attempt.raw_tx(), static_cast<size_t>(payout.items_size()));
  if (!rands.ok()) return rands.status();
  ReportReceipt receipt;
  receipt.set_tx_hash(attempt.tx_hash());
  receipt.set_succeeded(true);
  receipt.set_block_number(block);
  receipt.set_block_hash(ToBytes32(block));
  for (int i = 0; i < payout.items_size(); ++i) {
    const PayoutItem& item = payout.items(i);
    const std::string amount = ToBytes32(ledger::ToU256(ledger::FromProto(item.amount())));
    AddLog(broker, ethereum::WinningTicketTransferTopic(), payout.sender(), item, &receipt)
        ->set_data(amount);
    // faceValue, winProb, senderNonce, recipientRand, and auxData, which begins behind five words.
    AddLog(broker, ethereum::WinningTicketRedeemedTopic(), payout.sender(), item, &receipt)
        ->set_data(absl::StrCat(amount, ToBytes32(ethereum::Ticket().win_prob),
                                ToBytes32(item.sender_nonce()), (*rands)[static_cast<size_t>(i)],
                                ToBytes32(5 * kWord), ToBytes32(2 * kWord),
                                ToBytes32(item.creation_round()), std::string(round_block_hash)));
  }
  return receipt;
}

}  // namespace coffer::load
