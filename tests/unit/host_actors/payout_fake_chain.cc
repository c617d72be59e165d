#include "tests/unit/host_actors/payout_fake_chain.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"
#include "invariant/check.h"

namespace coffer::host {
namespace {

using ethereum::Address;
using ethereum::Hash;
using ethereum::SignedTicket;
using ethereum::SignedTransaction;
using ethereum::U256;
using ledger::ToU256;

const Address kController = *Address::FromHex("0xc000000000000000000000000000000000000001");
const Address kRounds = *Address::FromHex("0xc000000000000000000000000000000000000002");

uint64_t WordAt(const std::string& data, size_t at) {
  return *ethereum::abi::ReadUint64(std::string_view(data).substr(at, 32));
}

SignedTicket TicketAt(const std::string& data, size_t at, const U256& rand) {
  const auto word = [&](size_t i) { return std::string_view(data).substr(at + 32 * i, 32); };
  SignedTicket out;
  out.ticket.recipient = *ethereum::abi::ReadAddress(word(0));
  out.ticket.sender = *ethereum::abi::ReadAddress(word(1));
  out.ticket.face_value = *ethereum::abi::ReadUint(word(2));
  out.ticket.win_prob = *ethereum::abi::ReadUint(word(3));
  out.ticket.sender_nonce = *ethereum::abi::ReadUint(word(4));
  out.ticket.recipient_rand_hash = *ethereum::abi::ReadHash(word(5));
  out.ticket.aux_data.creation_round = *ethereum::abi::ReadUint64(word(8));
  out.ticket.aux_data.creation_round_block_hash = *ethereum::abi::ReadHash(word(9));
  out.recipient_rand = rand;
  return out;
}

Hash RoundHash(uint64_t round) { return ethereum::Keccak256(absl::StrCat("round ", round)); }

Hash AddressTopic(const Address& address) {
  std::string word;
  ethereum::abi::AppendAddress(address, word);
  return *Hash::FromBytes(word);
}

RpcAnswer No(int64_t code, std::string message) {
  RpcAnswer answer;
  answer.refused = true;
  answer.error.code = code;
  answer.error.message = std::move(message);
  return answer;
}

RpcAnswer Yes(Json::Value value) {
  RpcAnswer answer;
  answer.result = std::move(value);
  return answer;
}

FakeChain::Sender SenderOf(const FakeChain::State& state, const Address& first,
                           const Address& asked) {
  if (asked == first) return state;
  const auto found = state.others.find(asked);
  return found == state.others.end() ? FakeChain::Sender() : found->second;
}

RpcAnswer Word(const U256& value) { return Yes(ethereum::ToHex(ethereum::ToBytes32(value))); }

}  // namespace

std::vector<SignedTicket> DecodeTickets(const std::string& calldata) {
  const std::string data = calldata.substr(4);
  const auto rand = [&](size_t at) {
    return *ethereum::abi::ReadUint(std::string_view(data).substr(at, 32));
  };
  const std::string batch = ethereum::EncodeBatchRedeemWinningTickets({}).substr(0, 4);
  if (calldata.substr(0, 4) != batch) return {TicketAt(data, WordAt(data, 0), rand(64))};
  std::vector<SignedTicket> tickets;
  const size_t array = WordAt(data, 0);
  const size_t rands = WordAt(data, 64);
  for (size_t i = 0; i < WordAt(data, array); ++i) {
    const size_t at = array + 32 + WordAt(data, array + 32 + 32 * i);
    tickets.push_back(TicketAt(data, at, rand(rands + 32 + 32 * i)));
  }
  return tickets;
}

FakeChain::FakeChain(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
                     const Address& key, const Address& broker)
    : scheduler_(scheduler),
      dispatcher_(dispatcher),
      source_(scheduler->NewSource()),
      key_(key),
      broker_(broker) {
  for (int i = 0; i < 5; ++i) Mine();
}

void FakeChain::AddSender(const Address& key, absl::uint128 balance, absl::uint128 deposit) {
  const auto add = [&](State& state) {
    state.balances[key] = balance;
    state.others[key].deposit = deposit;
  };
  add(now_);
  for (Block& block : blocks_) add(block.after);
}

void FakeChain::Call(std::string method, Json::Value params, Reply reply) {
  ++calls_[method];
  auto shared = std::make_shared<Reply>(std::move(reply));
  const absl::Duration delay = absl::Microseconds(scheduler_->random().Below(2000));
  scheduler_->PostAt(scheduler_->Now() + delay, source_, dispatcher_,
                     [this, method = std::move(method), params = std::move(params), shared] {
                       if (!reachable) {
                         (*shared)(absl::UnavailableError("no node answers"));
                         return;
                       }
                       const uint64_t dice = scheduler_->random().Below(200);
                       if (dice < lost_percent) {
                         (*shared)(absl::UnavailableError("lost on the way there"));
                         return;
                       }
                       RpcAnswer answer = Answer(method, params);
                       if (dice < 2 * lost_percent) {
                         (*shared)(absl::UnavailableError("lost on the way back"));
                       } else {
                         (*shared)(std::move(answer));
                       }
                     });
}

const FakeChain::State& FakeChain::At(const Json::Value& block) const {
  return blocks_.at(*ParseQuantity(block)).after;
}

RpcAnswer FakeChain::Answer(const std::string& method, const Json::Value& params) {
  if (method == "eth_chainId") return Yes(QuantityHex(chain_id));
  if (method == "eth_getBlockByNumber") {
    uint64_t number = height();
    if (params[0] == "safe") number -= std::min<uint64_t>(number, 4);
    if (params[0] == "finalized") number -= std::min<uint64_t>(number, 8);
    if (const auto wanted = ParseQuantity(params[0]); wanted.ok()) {
      if (*wanted > height()) return Yes(Json::Value());
      number = *wanted;
    }
    Json::Value block(Json::objectValue);
    block["number"] = QuantityHex(number);
    block["hash"] = blocks_[number].hash.ToHex();
    block["parentHash"] = (number == 0 ? Hash{} : blocks_[number - 1].hash).ToHex();
    block["baseFeePerGas"] = QuantityHex(base_fee);
    block["gasLimit"] = QuantityHex(block_gas_limit);
    block["timestamp"] = QuantityHex(uint64_t{1});
    return Yes(block);
  }
  if (method == "eth_getTransactionCount") {
    return Yes(QuantityHex(SenderOf(At(params[1]), key_, *ParseAddress(params[0])).nonce));
  }
  if (method == "eth_getBalance") {
    const State& state = At(params[1]);
    const auto found = state.balances.find(*ParseAddress(params[0]));
    return Yes(QuantityHex(ToU256(found == state.balances.end() ? 0 : found->second)));
  }
  if (method == "eth_call") return EthCall(params);
  if (method == "eth_estimateGas") {
    return Yes(QuantityHex(uint64_t{params[0]["data"] == "0x" ? 21'000u : 65'832u}));
  }
  if (method == "eth_getTransactionReceipt") return Yes(ReceiptJson(params[0].asString()));
  if (method == "eth_getLogs") return Yes(LogsJson(params[0]));
  if (method == "eth_sendRawTransaction") return Send(*ParseData(params[0]));
  return No(-32601, "method not found");
}

RpcAnswer FakeChain::EthCall(const Json::Value& params) {
  const State& state = At(params[1]);
  const Address to = *ParseAddress(params[0]["to"]);
  const std::string data = *ParseData(params[0]["data"]);
  const auto is = [&](const std::string& call) { return data == call; };
  if (to == kRounds) {
    if (is(ethereum::EncodeCurrentRound())) return Word(state.round);
    if (is(ethereum::EncodeCurrentRoundInitialized())) return Word(state.initialized ? 1 : 0);
    if (is(ethereum::EncodeBlockHashForRound(state.round))) {
      return Yes(state.initialized ? RoundHash(state.round).ToHex() : Hash().ToHex());
    }
  }
  if (to == kController) {
    if (is(ethereum::EncodePaused())) return Word(state.paused ? 1 : 0);
    return Yes(AddressTopic(kRounds).ToHex());
  }
  if (to == broker_) {
    if (is(ethereum::EncodeController())) return Yes(AddressTopic(kController).ToHex());
    if (data.substr(0, 4) == ethereum::EncodeGetSenderInfo(key_).substr(0, 4)) {
      const Address asked = *ethereum::abi::ReadAddress(std::string_view(data).substr(4, 32));
      const Sender sender = SenderOf(state, key_, asked);
      std::string words;
      ethereum::abi::AppendUint(ToU256(sender.deposit), words);
      ethereum::abi::AppendUint(sender.withdraw_round, words);
      ethereum::abi::AppendUint(ToU256(sender.reserve), words);
      ethereum::abi::AppendUint(0, words);
      return Yes(ethereum::ToHex(words));
    }
    for (const Hash& used : state.used) {
      if (is(ethereum::EncodeUsedTickets(used))) return Word(1);
    }
    return Word(0);
  }
  return Yes("0x");
}

RpcAnswer FakeChain::Send(const std::string& raw) {
  const auto refuse = [this](const char* text) {
    refusals.emplace_back(text);
    return No(-32000, text);
  };
  const absl::StatusOr<SignedTransaction> tx = ethereum::ParseSignedTransaction(raw);
  if (!tx.ok()) return refuse("invalid transaction");
  const Address from = *tx->Sender();
  if (from != key_ && !now_.others.contains(from)) return refuse("invalid sender");
  const uint64_t nonce = tx->transaction.nonce;
  if (nonce < Of(from).nonce) return refuse("nonce too low");
  const auto known = pool_.find({from, nonce});
  if (known != pool_.end()) {
    if (known->second.TransactionHash() == tx->TransactionHash()) return refuse("already known");
    const U256 least = known->second.transaction.max_fee_per_gas * 110 / 100;
    if (tx->transaction.max_fee_per_gas < least) {
      return refuse("replacement transaction underpriced");
    }
  } else if (nonce != Of(from).nonce && !pool_.contains({from, nonce - 1}) &&
             early_gap_is_refused) {
    return refuse("nonce too high");
  }
  const U256 cost =
      tx->transaction.max_fee_per_gas * tx->transaction.gas_limit + tx->transaction.value;
  if (cost > ToU256(now_.balances[from]))
    return refuse("insufficient funds for gas * price + value");
  pool_.insert_or_assign({from, nonce}, *tx);
  sent.push_back(raw);
  return Yes(tx->TransactionHash().ToHex());
}

bool FakeChain::Redeem(const SignedTicket& signed_ticket, std::vector<ethereum::Log>* logs) {
  const ethereum::Ticket& ticket = signed_ticket.ticket;
  const Hash hash = ticket.TicketHash();
  if (now_.used.contains(hash)) return false;
  if (ticket.sender != key_ && !now_.others.contains(ticket.sender)) return false;
  Sender& sender_state = Of(ticket.sender);
  if (sender_state.withdraw_round != 0 && now_.round >= sender_state.withdraw_round) return false;
  if (ticket.aux_data.creation_round + validity <= now_.round) return false;
  if (ticket.aux_data.creation_round_block_hash != RoundHash(ticket.aux_data.creation_round)) {
    return false;
  }
  if (now_.unregistered.contains(ticket.recipient)) return false;
  if (ethereum::RecipientRandHash(signed_ticket.recipient_rand) != ticket.recipient_rand_hash) {
    return false;
  }
  now_.used.insert(hash);
  const absl::uint128 face = *ledger::WeiFromU256(ticket.face_value);
  const absl::uint128 of_deposit = std::min(face, sender_state.deposit);
  const absl::uint128 of_reserve = std::min(face - of_deposit, sender_state.reserve);
  sender_state.deposit -= of_deposit;
  sender_state.reserve -= of_reserve;
  const absl::uint128 paid = of_deposit + of_reserve;
  now_.paid[ticket.recipient] += paid;
  const Hash sender = AddressTopic(ticket.sender);
  const Hash recipient = AddressTopic(ticket.recipient);
  if (paid != 0) {
    ethereum::Log transfer{
        broker_, {ethereum::WinningTicketTransferTopic(), sender, recipient}, {}, 0};
    ethereum::abi::AppendUint(ToU256(paid), transfer.data);
    logs->push_back(transfer);
  }
  ethereum::Log redeemed{
      broker_, {ethereum::WinningTicketRedeemedTopic(), sender, recipient}, {}, 0};
  ethereum::abi::AppendUint(ticket.face_value, redeemed.data);
  ethereum::abi::AppendUint(ticket.win_prob, redeemed.data);
  ethereum::abi::AppendUint(ticket.sender_nonce, redeemed.data);
  ethereum::abi::AppendUint(signed_ticket.recipient_rand, redeemed.data);
  ethereum::abi::AppendUint(6 * 32 - 32, redeemed.data);
  std::string aux;
  ethereum::abi::AppendUint(ticket.aux_data.creation_round, aux);
  ethereum::abi::AppendHash(ticket.aux_data.creation_round_block_hash, aux);
  ethereum::abi::AppendBytes(aux, redeemed.data);
  logs->push_back(redeemed);
  return true;
}

bool FakeChain::Withdraw(const Address& from) {
  Sender& sender = Of(from);
  if (sender.withdraw_round == 0 || now_.round < sender.withdraw_round) return false;
  if (failing_withdrawals > 0) {
    --failing_withdrawals;
    return false;
  }
  now_.balances[from] += sender.deposit + sender.reserve;
  sender.deposit = sender.reserve = 0;
  sender.withdraw_round = 0;
  return true;
}

bool FakeChain::RunCall(const Address& from, const std::string& data, absl::uint128 value,
                        uint64_t gas, std::vector<ethereum::Log>* logs) {
  if (now_.paused) return false;
  if (data == ethereum::EncodeFundDeposit()) {
    Of(from).deposit += value;
    Of(from).withdraw_round = 0;
    return true;
  }
  if (!now_.initialized) return false;
  if (data == ethereum::abi::Selector("withdraw()")) return Withdraw(from);
  if (data == ethereum::abi::Selector("unlock()")) {
    Sender& sender = Of(from);
    if (sender.withdraw_round != 0 || sender.deposit + sender.reserve == 0) return false;
    sender.withdraw_round = now_.round + unlock_period;
    return true;
  }
  const std::vector<SignedTicket> tickets = DecodeTickets(data);
  const bool batch =
      data.substr(0, 4) == ethereum::EncodeBatchRedeemWinningTickets({}).substr(0, 4);
  uint64_t used = 60'000;
  for (const SignedTicket& ticket : tickets) {
    used += 250'000;
    const bool fits = used <= gas / 64 * 63;
    const bool redeemed = fits && Redeem(ticket, logs);
    if (!redeemed && !batch) return false;  // a batch swallows it
  }
  return true;
}

FakeChain::Mined FakeChain::Execute(const SignedTransaction& tx) {
  const Address from = *tx.Sender();
  Mined mined{tx.TransactionHash(), false, {}, from};
  const ethereum::Transaction& t = tx.transaction;
  Of(from).nonce = t.nonce + 1;
  const uint64_t gas = t.data.empty() ? 21'000 : 50'000;
  now_.balances[from] -= std::min(now_.balances[from], absl::uint128(base_fee) * gas);
  const absl::uint128 value = *ledger::WeiFromU256(t.value);
  if (value > now_.balances[from]) return mined;
  const State before = now_;
  now_.balances[from] -= value;
  if (*t.to == broker_) {
    mined.succeeded = RunCall(from, t.data, value, t.gas_limit, &mined.logs);
  } else {
    mined.succeeded = !now_.unregistered.contains(*t.to);
    now_.paid[*t.to] += value;
    now_.balances[*t.to] += value;
  }
  if (!mined.succeeded) {
    now_ = before;
    mined.logs.clear();
  }
  return mined;
}

void FakeChain::MinePool(const Address& key, Block* block) {
  for (auto next = pool_.find({key, Of(key).nonce});
       next != pool_.end() && next->second.transaction.max_fee_per_gas >= base_fee;
       next = pool_.find({key, Of(key).nonce})) {
    const SignedTransaction tx = next->second;
    pool_.erase(next);
    block->txs.push_back(Execute(tx));
  }
}

void FakeChain::Mine(bool with_pool) {
  Block block;
  block.hash = ethereum::Keccak256(absl::StrCat("block ", blocks_.size(), " ", salt_));
  for (const SignedTicket& ticket : std::exchange(strangers_, {})) {
    Mined mined{ethereum::Keccak256(absl::StrCat("stranger ", blocks_.size(), " ", ++salt_)),
                false,
                {},
                {}};
    mined.succeeded = Redeem(ticket, &mined.logs);
    block.txs.push_back(std::move(mined));
  }
  if (with_pool) {
    MinePool(key_, &block);
    const std::map<Address, Sender> others = now_.others;  // a failure restores now_ as a whole
    for (const auto& [key, sender] : others) MinePool(key, &block);
  }
  block.after = now_;
  blocks_.push_back(std::move(block));
}

void FakeChain::Reorg(uint64_t depth) {
  const State current = now_;
  depth = std::min(depth, height() - genesis);
  blocks_.resize(blocks_.size() - depth);
  now_ = blocks_.back().after;
  now_.round = current.round;
  now_.paused = current.paused;
  now_.initialized = current.initialized;
  now_.unregistered = current.unregistered;
  pool_.clear();
  ++salt_;
  for (uint64_t i = 0; i < depth; ++i) Mine(false);
}

void FakeChain::StrangerRedeems(const std::string& calldata, size_t ticket) {
  strangers_.push_back(DecodeTickets(calldata).at(ticket));
}

Json::Value FakeChain::LogJson(const ethereum::Log& log, uint64_t block, const Hash& tx) const {
  Json::Value json(Json::objectValue);
  json["address"] = log.address.ToHex();
  json["topics"] = Json::Value(Json::arrayValue);
  for (const Hash& topic : log.topics) json["topics"].append(topic.ToHex());
  json["data"] = ethereum::ToHex(log.data);
  json["logIndex"] = QuantityHex(log.log_index);
  json["blockNumber"] = QuantityHex(block);
  json["blockHash"] = blocks_[block].hash.ToHex();
  json["transactionHash"] = tx.ToHex();
  json["removed"] = false;
  return json;
}

Json::Value FakeChain::ReceiptJson(const std::string& hash) const {
  for (uint64_t number = 0; number < blocks_.size(); ++number) {
    for (const Mined& tx : blocks_[number].txs) {
      if (tx.hash.ToHex() != hash) continue;
      Json::Value json(Json::objectValue);
      json["transactionHash"] = hash;
      json["status"] = tx.succeeded ? "0x1" : "0x0";
      json["blockNumber"] = QuantityHex(number);
      json["blockHash"] = blocks_[number].hash.ToHex();
      json["gasUsed"] = "0x5208";
      json["effectiveGasPrice"] = "0x1";
      json["from"] = tx.from.ToHex();
      json["logs"] = Json::Value(Json::arrayValue);
      for (const ethereum::Log& log : tx.logs) json["logs"].append(LogJson(log, number, tx.hash));
      return json;
    }
  }
  return Json::Value();
}

Json::Value FakeChain::LogsJson(const Json::Value& filter) const {
  Json::Value out(Json::arrayValue);
  const uint64_t to = std::min<uint64_t>(*ParseQuantity(filter["toBlock"]), height());
  COFFER_CHECK(filter["topics"][1].isString(), "the sender is asked for");
  for (uint64_t number = *ParseQuantity(filter["fromBlock"]); number <= to; ++number) {
    for (const Mined& tx : blocks_[number].txs) {
      for (const ethereum::Log& log : tx.logs) {
        if (log.topics[0] != ethereum::WinningTicketRedeemedTopic()) continue;
        if (filter["topics"][1] != log.topics[1].ToHex()) continue;
        out.append(LogJson(log, number, tx.hash));
      }
    }
  }
  return out;
}

}  // namespace coffer::host
