#include "tests/sim/chain_model.h"

#include <algorithm>

#include "invariant/check.h"

namespace coffer::sim {
namespace {

constexpr size_t kKeptBlocks = 8;

// Words of ABI-encoded data; a read beyond the end is a bug of the encoder under test.
class Words {
 public:
  explicit Words(std::string_view data) : data_(data) {}
  std::string_view Raw(size_t offset, size_t size) const {
    COFFER_CHECK(offset + size <= data_.size(), "sim: calldata is shorter than its offsets say");
    return data_.substr(offset, size);
  }
  U256 Uint(size_t offset) const { return *ethereum::U256FromBytes(Raw(offset, 32)); }
  size_t Offset(size_t offset) const {
    const U256 value = Uint(offset);
    COFFER_CHECK(value < 1'000'000, "sim: an offset points out of the calldata");
    return static_cast<size_t>(value);
  }
  Address AddressAt(size_t offset) const { return *Address::FromBytes(Raw(offset + 12, 20)); }
  Hash HashAt(size_t offset) const { return *Hash::FromBytes(Raw(offset, 32)); }

 private:
  std::string_view data_;
};

ethereum::Ticket ReadTicket(const Words& words, size_t at) {
  ethereum::Ticket ticket;
  ticket.recipient = words.AddressAt(at);
  ticket.sender = words.AddressAt(at + 32);
  ticket.face_value = words.Uint(at + 64);
  ticket.win_prob = words.Uint(at + 96);
  ticket.sender_nonce = words.Uint(at + 128);
  ticket.recipient_rand_hash = words.HashAt(at + 160);
  const size_t aux = at + words.Offset(at + 192);
  COFFER_CHECK(words.Uint(aux) == 64, "sim: auxData must be 64 bytes");
  ticket.aux_data.creation_round = static_cast<uint64_t>(words.Uint(aux + 32));
  ticket.aux_data.creation_round_block_hash = words.HashAt(aux + 64);
  return ticket;
}

void CheckSignature(const ethereum::Ticket& ticket, std::string_view signature) {
  const auto parsed = ethereum::Signature::FromBytes65(signature);
  COFFER_CHECK(parsed.ok(), "sim: a ticket's signature cannot be read");
  const auto signer = ethereum::RecoverAddress(ticket.SigningHash(), *parsed);
  COFFER_CHECK(signer.ok() && *signer == ticket.sender,
               "sim: a ticket is not signed by its sender");
}

Hash Topic(const Address& address) {
  return *Hash::FromBytes(std::string(12, '\0') + std::string(address.view()));
}

}  // namespace

std::vector<ChainModel::RedeemableTicket> ChainModel::Decode(const std::string& calldata) const {
  std::vector<RedeemableTicket> tickets;
  const std::string selector = ethereum::ToHex(calldata.substr(0, 4));
  const Words words(std::string_view(calldata).substr(4));
  const auto add = [&](size_t ticket_at, size_t signature_at, const U256& rand) {
    ethereum::Ticket ticket = ReadTicket(words, ticket_at);
    COFFER_CHECK(words.Uint(signature_at) == 65, "sim: a signature has 65 bytes");
    CheckSignature(ticket, words.Raw(signature_at + 32, 65));
    COFFER_CHECK(ethereum::Keccak256(ethereum::ToBytes32(rand)) == ticket.recipient_rand_hash,
                 "sim: recipientRand does not match its hash");
    tickets.push_back({ticket, rand});
  };
  if (selector == "0xec8b3cb6") {
    add(words.Offset(0), words.Offset(32), words.Uint(64));
  } else if (selector == "0xd01b808e") {
    const size_t all = words.Offset(0) + 32;
    const size_t signatures = words.Offset(32) + 32;
    const size_t rands = words.Offset(64) + 32;
    const size_t count = words.Offset(all - 32);
    for (size_t i = 0; i < count; ++i) {
      add(all + words.Offset(all + 32 * i), signatures + words.Offset(signatures + 32 * i),
          words.Uint(rands + 32 * i));
    }
  }
  return tickets;
}

bool ChainModel::Submit(const std::string& raw) {
  const auto tx = ethereum::ParseSignedTransaction(raw);
  COFFER_CHECK(tx.ok(), "sim: the enclave made a transaction that cannot be parsed");
  COFFER_CHECK(tx->transaction.chain_id == chain_id_, "I10: signed for another chain");
  COFFER_CHECK(*tx->Sender() == sender_, "sim: signed by another key");
  const uint64_t nonce = tx->transaction.nonce;
  if (nonce < state_.nonce) {
    last_error_ = "nonce too low";
    return false;
  }
  if (nonce > state_.nonce + pending_.size()) {
    last_error_ = "nonce too high";
    return false;
  }
  const auto waiting = pending_.find(nonce);
  if (waiting != pending_.end()) {
    if (waiting->second.Encode() == raw) return true;
    const U256& before = waiting->second.transaction.max_fee_per_gas;
    if (tx->transaction.max_fee_per_gas < before + before / 10) {
      last_error_ = "replacement transaction underpriced";
      return false;
    }
  }
  pending_.insert_or_assign(nonce, *tx);
  return true;
}

bool ChainModel::Redeem(const RedeemableTicket& redeemable, std::vector<ethereum::Log>* logs) {
  const ethereum::Ticket& ticket = redeemable.ticket;
  if (state_.used.contains(ticket.sender_nonce)) return false;
  state_.used.insert(ticket.sender_nonce);
  const U256 paid = std::min(ticket.face_value, state_.deposit);
  state_.deposit -= paid;
  state_.paid[ticket.recipient] += paid;
  if (paid > 0) {
    logs->push_back(
        {broker_,
         {ethereum::WinningTicketTransferTopic(), Topic(ticket.sender), Topic(ticket.recipient)},
         ethereum::ToBytes32(paid),
         logs->size()});
  }
  std::string data;
  for (const U256& word :
       {ticket.face_value, ticket.win_prob, ticket.sender_nonce, redeemable.recipient_rand,
        U256(160), U256(64), U256(ticket.aux_data.creation_round)}) {
    data += ethereum::ToBytes32(word);
  }
  data += std::string(ticket.aux_data.creation_round_block_hash.view());
  logs->push_back(
      {broker_,
       {ethereum::WinningTicketRedeemedTopic(), Topic(ticket.sender), Topic(ticket.recipient)},
       data,
       logs->size()});
  return true;
}

void ChainModel::Execute(const ethereum::SignedTransaction& tx, bool fails) {
  Receipt receipt;
  receipt.tx_hash = tx.TransactionHash();
  receipt.block_number = state_.height;
  receipt.block_hash = ethereum::Keccak256(ethereum::ToBytes32(U256(state_.height)) +
                                           ethereum::ToBytes32(U256(forks_)));
  ++state_.nonce;
  // A plain transfer to these recipients cannot fail.
  const bool to_broker = tx.transaction.to == broker_;
  fails = fails && to_broker;
  receipt.succeeded = !fails;
  if (!fails && to_broker) {
    const std::vector<RedeemableTicket> tickets = Decode(tx.transaction.data);
    const bool single = tickets.size() == 1;
    if (tickets.empty()) state_.deposit += tx.transaction.value;  // fundDeposit
    for (const RedeemableTicket& ticket : tickets) {
      const bool redeemed = Redeem(ticket, &receipt.logs);
      if (single && !redeemed) receipt.succeeded = false;  // "ticket is used" reverts a single one
    }
  } else if (!fails) {
    state_.paid[*tx.transaction.to] += tx.transaction.value;
  }
  state_.receipts[receipt.tx_hash] = receipt;
}

void ChainModel::Open() {
  history_.push_back(state_);
  mined_.emplace_back();
  if (history_.size() > kKeptBlocks) {
    history_.erase(history_.begin());
    mined_.erase(mined_.begin());
  }
  ++state_.height;
}

void ChainModel::Mine(uint64_t most, uint64_t fail_percent) {
  Open();
  for (uint64_t i = 0; i < most; ++i) {
    const auto next = pending_.find(state_.nonce);
    if (next == pending_.end()) break;
    const ethereum::SignedTransaction tx = next->second;
    pending_.erase(next);
    mined_.back().push_back(tx);
    Execute(tx, random_->Below(100) < fail_percent);
  }
}

bool ChainModel::StrangerRedeems() {
  for (const auto& [nonce, tx] : pending_) {
    if (tx.transaction.to != broker_) continue;
    const std::vector<RedeemableTicket> tickets = Decode(tx.transaction.data);
    if (tickets.empty()) continue;
    const RedeemableTicket& ticket = tickets[random_->Below(tickets.size())];
    Open();
    Receipt receipt;
    receipt.succeeded = Redeem(ticket, &receipt.logs);
    receipt.block_number = state_.height;
    receipt.block_hash = ethereum::Keccak256(ethereum::ToBytes32(U256(state_.height)) +
                                             ethereum::ToBytes32(U256(forks_)));
    receipt.tx_hash = ethereum::Keccak256(
        "stranger" + std::string(ticket.ticket.TicketHash().view()) + std::to_string(forks_));
    if (!receipt.succeeded) return false;
    state_.receipts[receipt.tx_hash] = receipt;
    strangers_.push_back(receipt.tx_hash);
    return true;
  }
  return false;
}

void ChainModel::Reorg() {
  if (history_.empty()) return;
  ++forks_;
  state_ = history_.back();
  for (const ethereum::SignedTransaction& tx : mined_.back())
    pending_.emplace(tx.transaction.nonce, tx);
  history_.pop_back();
  mined_.pop_back();
}

const Receipt* ChainModel::FindReceipt(const Hash& tx_hash) const {
  const auto found = state_.receipts.find(tx_hash);
  return found == state_.receipts.end() ? nullptr : &found->second;
}

boundary::v1::ChainReading ChainModel::Reading() const {
  boundary::v1::ChainReading reading;
  reading.set_account_nonce(state_.nonce);
  reading.mutable_deposit()->set_low(static_cast<uint64_t>(state_.deposit));
  reading.set_round(3);
  reading.set_round_block_hash(std::string(32, '\x11'));
  reading.set_block_number(state_.height);
  return reading;
}

U256 ChainModel::Paid(const Address& recipient) const {
  const auto found = state_.paid.find(recipient);
  return found == state_.paid.end() ? U256(0) : found->second;
}

}  // namespace coffer::sim
