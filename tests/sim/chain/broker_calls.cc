#include "tests/sim/chain/broker_calls.h"

#include <cstddef>
#include <optional>
#include <utility>

namespace coffer::sim::chain {
namespace {

constexpr size_t kWord = 32;

// Reads ABI-encoded data. A read that is not there or makes no sense leaves failed() behind it and
// gives zeros: whoever asked looks once, at the end.
class Words {
 public:
  explicit Words(std::string_view data) : data_(data) {}

  std::string_view Raw(size_t at, size_t size) {
    if (at > data_.size() || size > data_.size() - at) {
      failed_ = true;
      return {};
    }
    return data_.substr(at, size);
  }
  U256 Uint(size_t at) {
    const std::string_view raw = Raw(at, kWord);
    return failed_ ? U256(0) : *ethereum::U256FromBytes(raw);
  }
  Hash HashAt(size_t at) {
    const std::string_view raw = Raw(at, kWord);
    return failed_ ? Hash() : *Hash::FromBytes(raw);
  }
  Address AddressAt(size_t at) {
    const std::string_view raw = Raw(at, kWord);
    if (failed_) return {};
    for (const char c : raw.substr(0, 12)) failed_ = failed_ || c != 0;
    return *Address::FromBytes(raw.substr(12));
  }
  // A length or an offset: never larger than the data.
  size_t Size(size_t at) {
    const U256 value = Uint(at);
    if (value > data_.size()) failed_ = true;
    return failed_ ? 0 : static_cast<size_t>(value);
  }
  std::string Bytes(size_t at) {
    const size_t size = Size(at);
    return std::string(Raw(at + kWord, size));
  }
  bool failed() const { return failed_; }

 private:
  std::string_view data_;
  bool failed_ = false;
};

TicketCall ReadTicket(Words& words, size_t at) {
  TicketCall ticket;
  ticket.recipient = words.AddressAt(at);
  ticket.sender = words.AddressAt(at + kWord);
  ticket.face_value = words.Uint(at + 2 * kWord);
  ticket.win_prob = words.Uint(at + 3 * kWord);
  ticket.sender_nonce = words.Uint(at + 4 * kWord);
  ticket.recipient_rand_hash = words.HashAt(at + 5 * kWord);
  ticket.aux_data = words.Bytes(at + words.Size(at + 6 * kWord));
  return ticket;
}

void ReadBatch(Words& words, BrokerCall& call) {
  const size_t tickets = words.Size(0);
  const size_t signatures = words.Size(kWord);
  const size_t rands = words.Size(2 * kWord);
  const size_t count = words.Size(tickets);
  if (words.Size(signatures) != count || words.Size(rands) != count) {
    call.lengths_differ = true;
    return;
  }
  // Offsets within an array count from behind its length.
  const size_t first_ticket = tickets + kWord;
  const size_t first_signature = signatures + kWord;
  for (size_t i = 0; i < count && !words.failed(); ++i) {
    TicketCall ticket = ReadTicket(words, first_ticket + words.Size(first_ticket + i * kWord));
    ticket.signature = words.Bytes(first_signature + words.Size(first_signature + i * kWord));
    ticket.recipient_rand = words.Uint(rands + kWord + i * kWord);
    call.tickets.push_back(std::move(ticket));
  }
}

std::string Uint(const U256& value) { return ethereum::ToBytes32(value); }

std::string Word(const Address& address) {
  return std::string(12, '\0') + std::string(address.view());
}

std::string Bytes(std::string_view bytes) {
  std::string out = Uint(bytes.size()) + std::string(bytes);
  out.resize((out.size() + kWord - 1) / kWord * kWord, '\0');
  return out;
}

std::string TicketTuple(const TicketCall& ticket) {
  return Word(ticket.recipient) + Word(ticket.sender) + Uint(ticket.face_value) +
         Uint(ticket.win_prob) + Uint(ticket.sender_nonce) +
         std::string(ticket.recipient_rand_hash.view()) + Uint(7 * kWord) + Bytes(ticket.aux_data);
}

// An array of dynamic things: length, offsets, the things.
std::string Array(const std::vector<std::string>& things) {
  std::string heads = Uint(things.size());
  std::string tails;
  for (const std::string& thing : things) {
    heads += Uint(things.size() * kWord + tails.size());
    tails += thing;
  }
  return heads + tails;
}

std::string Selector(std::string_view hex) { return *ethereum::FromHex(hex); }

}  // namespace

Hash TicketCall::TicketHash() const {
  std::string packed(recipient.view());
  packed += sender.view();
  packed += Uint(face_value) + Uint(win_prob) + Uint(sender_nonce);
  packed += recipient_rand_hash.view();
  packed += aux_data;
  return ethereum::Keccak256(packed);
}

BrokerCall DecodeBrokerCall(std::string_view calldata) {
  using Kind = BrokerCall::Kind;
  BrokerCall call;
  if (calldata.size() < 4) return call;
  const std::string selector = ethereum::ToHex(calldata.substr(0, 4));
  Words words(calldata.substr(4));
  if (selector == "0x6caa736b") {
    call.kind = Kind::kFundDeposit;
  } else if (selector == "0x6f9c3c8f") {
    call.kind = Kind::kFundReserve;
  } else if (selector == "0x511f4073") {
    call.kind = Kind::kFundDepositAndReserve;
    call.deposit_amount = words.Uint(0);
    call.reserve_amount = words.Uint(kWord);
  } else if (selector == "0xec8b3cb6") {
    call.kind = Kind::kRedeem;
    call.tickets.push_back(ReadTicket(words, words.Size(0)));
    call.tickets[0].signature = words.Bytes(words.Size(kWord));
    call.tickets[0].recipient_rand = words.Uint(2 * kWord);
  } else if (selector == "0xd01b808e") {
    call.kind = Kind::kBatchRedeem;
    ReadBatch(words, call);
  } else if (selector == "0xa69df4b5") {
    call.kind = Kind::kUnlock;
  } else if (selector == "0x3ccfd60b") {
    call.kind = Kind::kWithdraw;
  }
  return words.failed() ? BrokerCall() : call;
}

std::string EncodeRedeem(const TicketCall& ticket) {
  const std::string tuple = TicketTuple(ticket);
  return Selector("ec8b3cb6") + Uint(3 * kWord) + Uint(3 * kWord + tuple.size()) +
         Uint(ticket.recipient_rand) + tuple + Bytes(ticket.signature);
}

std::string EncodeBatchRedeem(const std::vector<TicketCall>& tickets, size_t signatures_less,
                              size_t rands_less) {
  std::vector<std::string> tuples;
  std::vector<std::string> signatures;
  std::string rands;
  for (const TicketCall& ticket : tickets) {
    tuples.push_back(TicketTuple(ticket));
    signatures.push_back(Bytes(ticket.signature));
    rands += Uint(ticket.recipient_rand);
  }
  signatures.resize(tickets.size() - signatures_less);
  rands.resize((tickets.size() - rands_less) * kWord);
  const std::string first = Array(tuples);
  const std::string second = Array(signatures);
  return Selector("d01b808e") + Uint(3 * kWord) + Uint(3 * kWord + first.size()) +
         Uint(3 * kWord + first.size() + second.size()) + first + second +
         Uint(rands.size() / kWord) + rands;
}

}  // namespace coffer::sim::chain
