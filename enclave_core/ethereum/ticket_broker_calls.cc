#include "enclave_core/ethereum/ticket_broker_calls.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "enclave_core/ethereum/abi.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

using abi::kWord;
using Kind = BrokerCall::Kind;
using Arguments = RedemptionArguments;

constexpr size_t kSelectorBytes = 4;
constexpr size_t kAuxDataBytes = 64;
constexpr size_t kSignatureBytes = 65;
// The Ticket tuple: six static words, the offset of auxData, auxData.
constexpr size_t kTicketHeadWords = 7;
constexpr size_t kTicketBytes = kTicketHeadWords * kWord + abi::BytesSize(kAuxDataBytes);
constexpr size_t kSignatureTail = abi::BytesSize(kSignatureBytes);

// Both redemptions have three parameters: a ticket or tickets, a signature or signatures, a number
// or numbers.
constexpr size_t kHead = 3 * kWord;
constexpr size_t kRedeemBytes = kHead + kTicketBytes + kSignatureTail;  // without the selector

constexpr size_t TicketsBytes(size_t count) { return kWord + count * (kWord + kTicketBytes); }
constexpr size_t SignaturesBytes(size_t count) { return kWord + count * (kWord + kSignatureTail); }
constexpr size_t BatchBytes(size_t count) {
  return kHead + TicketsBytes(count) + SignaturesBytes(count) + kWord * (1 + count);
}

struct Selectors {
  std::string redeem = abi::Selector(
      "redeemWinningTicket((address,address,uint256,uint256,uint256,bytes32,bytes),bytes,uint256)");
  std::string batch = abi::Selector(
      "batchRedeemWinningTickets((address,address,uint256,uint256,uint256,bytes32,bytes)[],"
      "bytes[],uint256[])");
  std::string fund_deposit = abi::Selector("fundDeposit()");
  std::string fund_reserve = abi::Selector("fundReserve()");
};

const Selectors& Known() {
  static const auto* const selectors = new Selectors();
  return *selectors;
}

void AppendTicket(const Ticket& ticket, std::string& out) {
  abi::AppendAddress(ticket.recipient, out);
  abi::AppendAddress(ticket.sender, out);
  abi::AppendUint(ticket.face_value, out);
  abi::AppendUint(ticket.win_prob, out);
  abi::AppendUint(ticket.sender_nonce, out);
  abi::AppendHash(ticket.recipient_rand_hash, out);
  abi::AppendUint(kTicketHeadWords * kWord, out);
  abi::AppendBytes(ticket.aux_data.ToBytes64(), out);
}

void AppendSignature(const Arguments& arguments, std::string& out) {
  COFFER_CHECK(arguments.signature.size() == kSignatureBytes, "a signature is 65 bytes");
  abi::AppendBytes(arguments.signature, out);
}

// The length of an array of `count` dynamic elements and their offsets, which count from behind the
// length.
void AppendArrayHead(size_t count, size_t element_bytes, std::string& out) {
  abi::AppendUint(count, out);
  for (size_t i = 0; i < count; ++i) abi::AppendUint(count * kWord + i * element_bytes, out);
}

std::string EncodeRedeem(const Arguments& arguments) {
  std::string out = Known().redeem;
  out.reserve(out.size() + kRedeemBytes);
  abi::AppendUint(kHead, out);
  abi::AppendUint(kHead + kTicketBytes, out);
  abi::AppendUint(arguments.recipient_rand, out);
  AppendTicket(arguments.ticket, out);
  AppendSignature(arguments, out);
  return out;
}

std::string EncodeBatch(absl::Span<const Arguments> tickets) {
  const size_t count = tickets.size();
  std::string out = Known().batch;
  out.reserve(out.size() + BatchBytes(count));
  abi::AppendUint(kHead, out);
  abi::AppendUint(kHead + TicketsBytes(count), out);
  abi::AppendUint(kHead + TicketsBytes(count) + SignaturesBytes(count), out);
  AppendArrayHead(count, kTicketBytes, out);
  for (const Arguments& arguments : tickets) AppendTicket(arguments.ticket, out);
  AppendArrayHead(count, kSignatureTail, out);
  for (const Arguments& arguments : tickets) AppendSignature(arguments, out);
  abi::AppendUint(count, out);
  for (const Arguments& arguments : tickets) abi::AppendUint(arguments.recipient_rand, out);
  return out;
}

// Arguments behind the selector, read word by word at the places where the encoder puts them. Every
// caller has compared the size before, so a word is never cut off.
class Words {
 public:
  explicit Words(std::string_view arguments) : arguments_(arguments) {}
  std::string_view At(size_t byte) const {
    COFFER_CHECK(byte + kWord <= arguments_.size(), "the size of calldata was compared");
    return arguments_.substr(byte, kWord);
  }
  std::string_view Bytes(size_t byte, size_t count) const {
    COFFER_CHECK(byte + count <= arguments_.size(), "the size of calldata was compared");
    return arguments_.substr(byte, count);
  }

 private:
  std::string_view arguments_;
};

absl::Status In(const std::string& field, const absl::Status& why) {
  return absl::InvalidArgumentError(
      absl::StrCat("calldata: ", field, ": ", std::string(why.message())));
}

// `where` is the ticket's first byte, `name` what errors call it.
absl::StatusOr<Ticket> ReadTicket(const Words& words, size_t where, const std::string& name) {
  Ticket out;
  absl::StatusOr<Address> recipient = abi::ReadAddress(words.At(where));
  if (!recipient.ok()) return In(name + ".recipient", recipient.status());
  out.recipient = *recipient;
  absl::StatusOr<Address> sender = abi::ReadAddress(words.At(where + kWord));
  if (!sender.ok()) return In(name + ".sender", sender.status());
  out.sender = *sender;
  out.face_value = *abi::ReadUint(words.At(where + 2 * kWord));
  out.win_prob = *abi::ReadUint(words.At(where + 3 * kWord));
  out.sender_nonce = *abi::ReadUint(words.At(where + 4 * kWord));
  out.recipient_rand_hash = *abi::ReadHash(words.At(where + 5 * kWord));
  const size_t aux = where + kTicketHeadWords * kWord;
  if (*abi::ReadUint(words.At(aux)) != kAuxDataBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("calldata: ", name, ".auxData must be 64 bytes behind the ticket's words"));
  }
  absl::StatusOr<uint64_t> round = abi::ReadUint64(words.At(aux + kWord));
  if (!round.ok()) return In(name + ".auxData creationRound", round.status());
  out.aux_data = {*round, *abi::ReadHash(words.At(aux + 2 * kWord))};
  return out;
}

absl::StatusOr<BrokerCall> ReadRedeem(std::string_view bytes) {
  if (bytes.size() != kRedeemBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "calldata: redeemWinningTicket has ", kRedeemBytes,
        " bytes of arguments (auxData of 64, a signature of 65), these are ", bytes.size()));
  }
  const Words words(bytes);
  absl::StatusOr<Ticket> ticket = ReadTicket(words, kHead, "ticket");
  if (!ticket.ok()) return ticket.status();
  std::string signature(words.Bytes(kHead + kTicketBytes + kWord, kSignatureBytes));
  return BrokerCall{Kind::kRedeem,
                    {{*ticket, std::move(signature), *abi::ReadUint(words.At(2 * kWord))}}};
}

absl::StatusOr<BrokerCall> ReadBatch(std::string_view bytes, size_t max_tickets) {
  if (bytes.size() < BatchBytes(0)) {
    return absl::InvalidArgumentError(absl::StrCat("calldata: ", bytes.size(),
                                                   " bytes are too few for the arguments of "
                                                   "batchRedeemWinningTickets, which take ",
                                                   BatchBytes(0), " at least"));
  }
  const Words words(bytes);
  const U256 declared = *abi::ReadUint(words.At(kHead));
  if (declared > max_tickets) {
    return absl::InvalidArgumentError(absl::StrCat("calldata: a batch of ", ToDecimal(declared),
                                                   " tickets, at most ", max_tickets,
                                                   " are taken"));
  }
  const auto count = static_cast<size_t>(declared);
  if (bytes.size() != BatchBytes(count)) {
    return absl::InvalidArgumentError(
        absl::StrCat("calldata: batchRedeemWinningTickets of ", count, " has ", BatchBytes(count),
                     " bytes of arguments, these are ", bytes.size()));
  }
  const size_t tickets = kHead + kWord + count * kWord;
  const size_t signatures = kHead + TicketsBytes(count) + kWord + count * kWord;
  const size_t rands = kHead + TicketsBytes(count) + SignaturesBytes(count) + kWord;
  BrokerCall call{Kind::kBatchRedeem, {}};
  call.tickets.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    absl::StatusOr<Ticket> ticket =
        ReadTicket(words, tickets + i * kTicketBytes, absl::StrCat("tickets[", i, "]"));
    if (!ticket.ok()) return ticket.status();
    call.tickets.push_back(
        {*ticket,
         std::string(words.Bytes(signatures + i * kSignatureTail + kWord, kSignatureBytes)),
         *abi::ReadUint(words.At(rands + i * kWord))});
  }
  return call;
}

absl::StatusOr<BrokerCall> Read(std::string_view calldata, size_t max_tickets) {
  if (calldata.size() < kSelectorBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "calldata: ", calldata.size(), " bytes hold no function selector, which has four"));
  }
  const std::string_view selector = calldata.substr(0, kSelectorBytes);
  const std::string_view arguments = calldata.substr(kSelectorBytes);
  if (selector == Known().redeem) return ReadRedeem(arguments);
  if (selector == Known().batch) return ReadBatch(arguments, max_tickets);
  if (selector == Known().fund_deposit) return BrokerCall{Kind::kFundDeposit, {}};
  if (selector == Known().fund_reserve) return BrokerCall{Kind::kFundReserve, {}};
  return absl::InvalidArgumentError(
      absl::StrCat("calldata: the function ", ToHex(selector),
                   " is none of redeemWinningTicket, batchRedeemWinningTickets, fundDeposit and "
                   "fundReserve"));
}

}  // namespace

absl::StatusOr<BrokerCall> DecodeBrokerCall(std::string_view calldata, size_t max_tickets) {
  absl::StatusOr<BrokerCall> call = Read(calldata, max_tickets);
  if (!call.ok()) return call;
  // What was not read (offsets, lengths, padding) is what the encoder writes, or the call is not
  // what it seems to be.
  const std::string canonical = EncodeBrokerCall(*call);
  if (canonical == calldata) return call;
  size_t at = 0;
  while (at < canonical.size() && at < calldata.size() && canonical[at] == calldata[at]) ++at;
  return absl::InvalidArgumentError(
      absl::StrCat("calldata: not the canonical encoding of its arguments (offsets, lengths, zero "
                   "padding, nothing behind): byte ",
                   at, " is another than the encoder's"));
}

std::string EncodeBrokerCall(const BrokerCall& call) {
  switch (call.kind) {
    case Kind::kRedeem:
      COFFER_CHECK(call.tickets.size() == 1, "redeemWinningTicket takes one ticket");
      return EncodeRedeem(call.tickets.front());
    case Kind::kBatchRedeem:
      return EncodeBatch(call.tickets);
    case Kind::kFundDeposit:
      return Known().fund_deposit;
    case Kind::kFundReserve:
      return Known().fund_reserve;
  }
  COFFER_CHECK(false, "a broker call of no kind");
}

}  // namespace coffer::ethereum
