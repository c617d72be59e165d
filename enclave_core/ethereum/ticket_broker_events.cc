// The events of the TicketBroker: what a receipt's logs say was redeemed, paid and funded.
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ethereum/ticket_broker.h"

namespace coffer::ethereum {
namespace {

constexpr size_t kMaxTopics = 4;
constexpr size_t kLoggedAuxDataBytes = 64;
// faceValue, winProb, senderNonce, recipientRand, the offset of auxData; then auxData.
constexpr size_t kRedeemedHeadWords = 5;
constexpr size_t kRedeemedBytes =
    kRedeemedHeadWords * abi::kWord + abi::BytesSize(kLoggedAuxDataBytes);

absl::Status Malformed(const Log& log, const char* event, absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("log ", log.log_index, ": ", event, ": ", what));
}

const Hash& DepositFundedTopic() {
  static const Hash topic = Keccak256("DepositFunded(address,uint256)");
  return topic;
}

const Hash& ReserveFundedTopic() {
  static const Hash topic = Keccak256("ReserveFunded(address,uint256)");
  return topic;
}

std::string_view WordAt(std::string_view data, size_t index) {
  return data.substr(index * abi::kWord, abi::kWord);
}

absl::Status CheckShape(const Log& log, const char* event, size_t topics, size_t bytes) {
  if (log.topics.size() != topics) {
    return Malformed(log, event, absl::StrCat(log.topics.size(), " topics, expected ", topics));
  }
  if (log.data.size() != bytes) {
    return Malformed(log, event, absl::StrCat(log.data.size(), " bytes of data, expected ", bytes));
  }
  return absl::OkStatus();
}

struct Parties {
  Address sender;
  Address recipient;
  bool operator==(const Parties&) const = default;
};

// Topics 1 and 2 of the two redemption events.
absl::StatusOr<Parties> ReadParties(const Log& log, const char* event) {
  absl::StatusOr<Address> sender = abi::ReadAddress(log.topics[1].view());
  if (!sender.ok()) return Malformed(log, event, sender.status().message());
  absl::StatusOr<Address> recipient = abi::ReadAddress(log.topics[2].view());
  if (!recipient.ok()) return Malformed(log, event, recipient.status().message());
  return Parties{*sender, *recipient};
}

struct Transfer {
  Parties parties;
  U256 amount;  // wei
  uint64_t log_index = 0;
};

absl::StatusOr<Transfer> ReadTransfer(const Log& log) {
  constexpr char kEvent[] = "WinningTicketTransfer";
  if (absl::Status status = CheckShape(log, kEvent, 3, abi::kWord); !status.ok()) return status;
  absl::StatusOr<Parties> parties = ReadParties(log, kEvent);
  if (!parties.ok()) return parties.status();
  absl::StatusOr<U256> amount = abi::ReadUint(log.data);
  if (!amount.ok()) return Malformed(log, kEvent, amount.status().message());
  return Transfer{*parties, *amount, log.log_index};
}

constexpr char kRedeemed[] = "WinningTicketRedeemed";

absl::StatusOr<TicketAuxData> ReadAuxData(const Log& log) {
  absl::StatusOr<uint64_t> offset = abi::ReadUint64(WordAt(log.data, 4));
  absl::StatusOr<uint64_t> length = abi::ReadUint64(WordAt(log.data, kRedeemedHeadWords));
  if (!offset.ok() || *offset != kRedeemedHeadWords * abi::kWord || !length.ok() ||
      *length != kLoggedAuxDataBytes) {
    return Malformed(log, kRedeemed, "auxData is not 64 bytes behind the static words");
  }
  absl::StatusOr<uint64_t> round = abi::ReadUint64(WordAt(log.data, kRedeemedHeadWords + 1));
  if (!round.ok()) return Malformed(log, kRedeemed, "the creation round is above 2^64-1");
  absl::StatusOr<Hash> block_hash = abi::ReadHash(WordAt(log.data, kRedeemedHeadWords + 2));
  if (!block_hash.ok()) return Malformed(log, kRedeemed, block_hash.status().message());
  return TicketAuxData{*round, *block_hash};
}

absl::StatusOr<Redemption> ReadRedeemed(const Log& log) {
  if (absl::Status status = CheckShape(log, kRedeemed, 3, kRedeemedBytes); !status.ok()) {
    return status;
  }
  absl::StatusOr<Parties> parties = ReadParties(log, kRedeemed);
  if (!parties.ok()) return parties.status();
  Redemption out;
  out.sender = parties->sender;
  out.recipient = parties->recipient;
  U256* const words[] = {&out.face_value, &out.win_prob, &out.sender_nonce, &out.recipient_rand};
  for (size_t i = 0; i < std::size(words); ++i) {
    absl::StatusOr<U256> word = abi::ReadUint(WordAt(log.data, i));
    if (!word.ok()) return Malformed(log, kRedeemed, word.status().message());
    *words[i] = *word;
  }
  absl::StatusOr<TicketAuxData> aux = ReadAuxData(log);
  if (!aux.ok()) return aux.status();
  out.aux_data = *aux;
  return out;
}

// Adds what `transfer`, the one since the last redemption if any, says was paid.
absl::Status Settle(const Log& log, const std::optional<Transfer>& transfer, Redemption& out) {
  if (!transfer.has_value()) return absl::OkStatus();  // nothing was paid, the ticket is burnt
  if (transfer->parties != Parties{out.sender, out.recipient}) {
    return Malformed(log, kRedeemed,
                     absl::StrCat("the transfer before it (log ", transfer->log_index,
                                  ") names another sender or recipient"));
  }
  if (transfer->amount > out.face_value) {
    return Malformed(log, kRedeemed, "more was transferred than the face value");
  }
  out.paid = transfer->amount;
  return absl::OkStatus();
}

absl::Status Orphan(const Transfer& transfer) {
  return absl::InvalidArgumentError(
      absl::StrCat("log ", transfer.log_index, ": WinningTicketTransfer without its redemption"));
}

// Logs of others and anonymous ones are nobody's business here. Empty when the log is to be
// skipped.
absl::StatusOr<std::optional<Hash>> EventOf(const Address& broker, const Log& log) {
  if (log.address != broker || log.topics.empty()) return std::nullopt;
  if (log.topics.size() > kMaxTopics) {
    return Malformed(log, "event", absl::StrCat(log.topics.size(), " topics, at most 4 exist"));
  }
  return log.topics[0];
}

absl::StatusOr<Funding> ReadFunding(const Log& log, Funding::Kind kind) {
  const char* event = kind == Funding::Kind::kDeposit ? "DepositFunded" : "ReserveFunded";
  if (absl::Status status = CheckShape(log, event, 2, abi::kWord); !status.ok()) return status;
  absl::StatusOr<Address> sender = abi::ReadAddress(log.topics[1].view());
  if (!sender.ok()) return Malformed(log, event, sender.status().message());
  absl::StatusOr<U256> amount = abi::ReadUint(log.data);
  if (!amount.ok()) return Malformed(log, event, amount.status().message());
  return Funding{kind, *sender, *amount};
}

}  // namespace

const Hash& WinningTicketTransferTopic() {
  static const Hash topic = Keccak256("WinningTicketTransfer(address,address,uint256)");
  return topic;
}

const Hash& WinningTicketRedeemedTopic() {
  static const Hash topic =
      Keccak256("WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)");
  return topic;
}

absl::StatusOr<std::vector<Redemption>> DecodeRedemptions(const Address& broker,
                                                          absl::Span<const Log> logs) {
  std::vector<Redemption> out;
  std::optional<Transfer> pending;
  for (const Log& log : logs) {
    absl::StatusOr<std::optional<Hash>> event = EventOf(broker, log);
    if (!event.ok()) return event.status();
    if (*event == WinningTicketTransferTopic()) {
      if (pending.has_value()) return Orphan(*pending);
      absl::StatusOr<Transfer> transfer = ReadTransfer(log);
      if (!transfer.ok()) return transfer.status();
      pending = *std::move(transfer);
    } else if (*event == WinningTicketRedeemedTopic()) {
      absl::StatusOr<Redemption> redemption = ReadRedeemed(log);
      if (!redemption.ok()) return redemption.status();
      if (absl::Status status = Settle(log, pending, *redemption); !status.ok()) return status;
      pending.reset();
      out.push_back(*std::move(redemption));
    }
  }
  if (pending.has_value()) return Orphan(*pending);
  return out;
}

absl::StatusOr<std::vector<Funding>> DecodeFundings(const Address& broker,
                                                    absl::Span<const Log> logs) {
  std::vector<Funding> out;
  for (const Log& log : logs) {
    absl::StatusOr<std::optional<Hash>> event = EventOf(broker, log);
    if (!event.ok()) return event.status();
    const bool deposit = *event == DepositFundedTopic();
    if (!deposit && *event != ReserveFundedTopic()) continue;
    absl::StatusOr<Funding> funding =
        ReadFunding(log, deposit ? Funding::Kind::kDeposit : Funding::Kind::kReserve);
    if (!funding.ok()) return funding.status();
    out.push_back(*funding);
  }
  return out;
}

}  // namespace coffer::ethereum
