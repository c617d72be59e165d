#include "tests/sim/chain/scenario.h"

#include <utility>

#include "tests/sim/chain/ticket_maker.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;

// More than any call here needs.
constexpr uint64_t kPlentyOfGas = 20'000'000;
constexpr uint64_t kSomeEther = 1'000'000'000'000'000'000;

BrokerOptions Options() {
  BrokerOptions options;
  // Stand-ins for whatever the contracts' addresses are where this is played again.
  options.contracts.broker = *Address::FromHex("0x00000000000000000000000000000000000c0000");
  options.first_round = 50;
  options.ticket_validity_period = 2;
  options.unlock_period = 3;
  options.open_pool_size = 0;
  return options;
}

Address Made(const std::string& name) {
  const Hash hash = ethereum::Keccak256("scenario " + name);
  return *Address::FromBytes(hash.view().substr(12));
}

// The role of a contract, as the contracts of deploy/contracts are called there.
std::string RoleOf(const Address& address, const Contracts& contracts) {
  if (address == contracts.broker) return "broker";
  if (address == contracts.controller) return "controller";
  if (address == contracts.rounds_manager) return "rounds_manager";
  if (address == contracts.bonding_manager) return "bonding_manager";
  return "minter";
}

// A topic that is a contract's address becomes its role; nothing else of an event depends on where
// the contracts are.
Json::Value LogJson(const ethereum::Log& log, const Contracts& contracts) {
  Json::Value json(Json::objectValue);
  json["contract"] = RoleOf(log.address, contracts);
  json["topics"] = Json::Value(Json::arrayValue);
  for (const Hash& topic : log.topics) {
    const Address address = *Address::FromBytes(topic.view().substr(12));
    json["topics"].append(address == contracts.broker ? "broker" : topic.ToHex());
  }
  json["data"] = ethereum::ToHex(log.data);
  return json;
}

Json::Value RoundJson(const char* op, const BrokerModel& model) {
  Json::Value json(Json::objectValue);
  json["op"] = op;
  json["round"] = static_cast<Json::UInt64>(model.round());
  json["initialized"] = model.round_initialized();
  json["hash"] = model.BlockHashForRound(model.round()).ToHex();
  return json;
}

std::string Selector(const char* hex) { return *ethereum::FromHex(hex); }

}  // namespace

Scenario::Scenario(uint64_t seed) : random_(seed), model_(&store_, Options()) {
  for (const char* name : {"sender one", "sender two"}) {
    senders_.push_back(*ethereum::PrivateKey::FromBytes(ethereum::Keccak256(name).view()));
    store_.Set({F::kBalance, senders_.back().address()}, kSomeEther);
  }
  for (const char* name : {"a", "b", "c", "d", "e"}) recipients_.push_back(Made(name));
  for (size_t i = 0; i < 3; ++i) model_.Register(recipients_[i]);
}

Json::Value Scenario::Setup() const {
  const BrokerOptions& options = model_.options();
  Json::Value json = RoundJson("setup", model_);
  json["validity_period"] = static_cast<Json::UInt64>(options.ticket_validity_period);
  json["unlock_period"] = static_cast<Json::UInt64>(options.unlock_period);
  for (size_t i = 0; i < 3; ++i) json["registered"].append(recipients_[i].ToHex());
  for (const ethereum::PrivateKey& key : senders_) json["senders"].append(key.address().ToHex());
  return json;
}

Json::Value Scenario::Step() {
  store_.OpenBlock(++step_);
  // Times in which nothing can be redeemed are short.
  if (model_.paused() && Below(3) == 0) return Pause(false);
  if (!model_.round_initialized() && Below(3) == 0) return InitializeRound();
  switch (Below(24)) {
    case 0:
      model_.AdvanceRound(Below(4) != 0);
      return RoundJson("round", model_);
    case 1:
      return InitializeRound();
    case 2:
      return Pause(Below(3) == 0);
    case 3:
      return Register();
    case 4:
      return SetValidityPeriod();
    case 5:
      return Back();
    case 6:
      return Starved();
    default:
      return Call();
  }
}

Json::Value Scenario::InitializeRound() {
  model_.InitializeRound();
  return RoundJson("round", model_);
}

Json::Value Scenario::Pause(bool paused) {
  model_.SetPaused(paused);
  Json::Value json(Json::objectValue);
  json["op"] = "pause";
  json["paused"] = paused;
  return json;
}

Json::Value Scenario::Register() {
  const Address who = AnyRecipient();
  model_.Register(who);
  Json::Value json(Json::objectValue);
  json["op"] = "register";
  json["who"] = who.ToHex();
  return json;
}

Json::Value Scenario::SetValidityPeriod() {
  const uint64_t rounds = Below(2) == 0 ? 2 : 1 + Below(3);
  model_.SetTicketValidityPeriod(rounds);
  Json::Value json(Json::objectValue);
  json["op"] = "validity";
  json["rounds"] = static_cast<Json::UInt64>(rounds);
  return json;
}

// Half of the times that "back" comes up only remember where to go back to.
Json::Value Scenario::Back() {
  Json::Value json(Json::objectValue);
  if (mark_ == 0 || Below(2) == 0) {
    mark_ = step_;
    json["op"] = "mark";
    return json;
  }
  store_.RollBack(mark_);
  step_ = std::exchange(mark_, 0);
  json["op"] = "back";
  json["reads"] = Reads({});
  json["fees"] = Fees();
  return json;
}

Json::Value Scenario::Call() {
  Address from = Below(4) == 0 ? Made("stranger") : senders_[Below(senders_.size())].address();
  store_.Set({F::kBalance, from}, kSomeEther);
  U256 value = 0;
  std::string data;
  std::vector<TicketCall> tickets;
  if (Below(3) == 0) {
    FundingCall(&from, &value, &data);
  } else {
    data = RedemptionCall(&tickets);
  }
  if (Below(40) == 0) value += 1;  // too much, or ether for what takes none
  if (Below(40) == 0) data.resize(Below(data.size() + 1));
  return Tell(from, value, data, kPlentyOfGas, tickets);
}

Json::Value Scenario::Tell(const Address& from, const U256& value, const std::string& data,
                           uint64_t gas, const std::vector<TicketCall>& tickets) {
  uint64_t none = 0;
  const CallOutcome outcome = model_.Execute(from, value, DecodeBrokerCall(data), gas, &none);
  Json::Value json(Json::objectValue);
  json["op"] = "call";
  json["from"] = from.ToHex();
  json["value"] = ethereum::ToDecimal(value);
  json["data"] = ethereum::ToHex(data);
  json["status"] = outcome.succeeded ? 1 : 0;
  json["revert"] = outcome.revert;
  json["logs"] = Json::Value(Json::arrayValue);
  for (const ethereum::Log& log : outcome.logs) {
    json["logs"].append(LogJson(log, model_.options().contracts));
  }
  for (const TicketOutcome& ticket : outcome.tickets) {
    Json::Value one(Json::objectValue);
    one["hash"] = ticket.ticket_hash.ToHex();
    one["revert"] = ticket.revert;
    one["paid"] = ethereum::ToDecimal(ticket.paid);
    json["tickets"].append(one);
  }
  json["reads"] = Reads(tickets);
  json["fees"] = Fees();
  json["minter"] =
      ethereum::ToDecimal(store_.Get({F::kBalance, model_.options().contracts.minter}));
  return json;
}

// A batch of good tickets with the least gas with which it succeeds, which is too little for the
// last of them.
Json::Value Scenario::Starved() {
  const ethereum::PrivateKey& key = senders_[0];
  const uint64_t round = model_.round();
  const U256 withdraw_round = store_.Get({F::kWithdrawRound, key.address()});
  if (model_.paused() || !model_.round_initialized() || model_.Deposit(key.address()) < 50 ||
      withdraw_round > 0) {
    return Call();
  }
  std::vector<TicketCall> tickets;
  for (uint64_t count = 1 + Below(5); count > 0; --count) {
    tickets.push_back(MakeTicket(key, recipients_[Below(3)], 1 + Below(9), ++sender_nonce_, round,
                                 model_.BlockHashForRound(round)));
  }
  made_.insert(made_.end(), tickets.begin(), tickets.end());
  const std::string data = EncodeBatchRedeem(tickets);
  const Address from = Made("stranger");
  const auto succeeds = [&](uint64_t gas) {
    const size_t mark = store_.Mark();
    uint64_t none = 0;
    const bool done = model_.Execute(from, 0, DecodeBrokerCall(data), gas, &none).succeeded;
    store_.RevertTo(mark);
    return done;
  };
  uint64_t least = 0;
  for (uint64_t bit = uint64_t{1} << 24; bit > 0; bit /= 2) {
    if (!succeeds(least + bit)) least += bit;
  }
  Json::Value json = Tell(from, 0, data, least + 1, tickets);
  json["starved"] = true;
  return json;
}

void Scenario::FundingCall(Address* from, U256* value, std::string* data) {
  const U256 first = Below(3) == 0 ? 0 : Below(2000);
  const U256 second = Below(1000);
  switch (Below(8)) {
    case 0:
    case 1:
      *value = first;
      *data = Selector("6caa736b");
      return;
    case 2:
    case 3:
      *value = second;
      *data = Selector("6f9c3c8f");
      return;
    case 4:
    case 5: {
      const bool overflows = Below(4) == 0;
      *value = overflows ? U256(5) : first + second;
      *data = Selector("511f4073") + ethereum::ToBytes32(overflows ? ~U256(0) : first) +
              ethereum::ToBytes32(overflows ? U256(6) : second + Below(8) / 7);
      return;
    }
    case 6:
      // An unlock stops every redemption in the end: not often.
      *data = Selector(Below(3) == 0 ? "a69df4b5" : "3ccfd60b");
      return;
    default:
      *from = Made("stranger");
      *data = Below(2) == 0 ? "" : Selector("deadbeef");
      *value = Below(2);
  }
}

std::string Scenario::RedemptionCall(std::vector<TicketCall>* tickets) {
  for (uint64_t count = Below(2) == 0 ? 1 : Below(5); count > 0; --count) {
    if (!made_.empty() && Below(4) == 0) {
      tickets->push_back(made_[Below(made_.size())]);
    } else {
      tickets->push_back(RandomTicket());
    }
    made_.push_back(tickets->back());
  }
  if (tickets->size() == 1 && Below(4) != 0) return EncodeRedeem((*tickets)[0]);
  if (tickets->empty() || Below(12) != 0) return EncodeBatchRedeem(*tickets);
  const size_t less = Below(2);
  return EncodeBatchRedeem(*tickets, less, 1 - less);
}

TicketCall Scenario::RandomTicket() {
  const ethereum::PrivateKey& key = senders_[Below(senders_.size())];
  const Address recipient = AnyRecipient();
  // Mostly of this round or the last, sometimes one that is expired or yet to come.
  const uint64_t round =
      Below(8) == 0 ? model_.round() + 1 - Below(6) : model_.round() - (Below(4) == 0 ? 1 : 0);
  TicketCall ticket = MakeTicket(key, recipient, RandomFaceValue(key.address(), recipient),
                                 ++sender_nonce_, round, model_.BlockHashForRound(round));
  if (Below(5) == 0) {
    ticket.win_prob = Below(2) == 0 ? U256(1) << 255 : U256(0);
    SignTicket(key, &ticket);
  }
  // One fault, or two at once, so that the order of the contract's checks shows.
  if (Below(4) == 0) {
    SpoilTicket(&ticket);
    if (Below(3) == 0) SpoilTicket(&ticket);
    if (Below(2) == 0) SignTicket(key, &ticket);
  }
  return ticket;
}

U256 Scenario::RandomFaceValue(const Address& sender, const Address& recipient) {
  const U256 deposit = model_.Deposit(sender);
  switch (Below(8)) {
    case 0:
      return 0;
    case 1:
      return deposit;
    case 2:
      return deposit + 1;
    case 3:
      return deposit + model_.ClaimableReserve(sender, recipient) + Below(3);
    case 4:
      return Below(2) == 0 ? ~U256(0) : U256(1) << 100;
    default:
      return Below(500);
  }
}

void Scenario::SpoilTicket(TicketCall* ticket) {
  const std::string zeros(32, '\0');
  switch (Below(13)) {
    case 0:
      ticket->recipient = Address();
      return;
    case 1:
      ticket->sender = Address();
      return;
    case 2:
      ticket->aux_data.resize(Below(130));
      return;
    case 3:
      if (!ticket->aux_data.empty()) ticket->aux_data[Below(ticket->aux_data.size())] ^= 1;
      return;
    case 4:
      ticket->recipient_rand += 1;
      return;
    case 5:
      ticket->recipient_rand_hash.bytes[5] ^= 1;
      return;
    case 6:
      ticket->face_value += 1;
      return;
    case 7:
      ticket->signature.resize(Below(2) == 0 ? 64 : Below(100));
      return;
    case 8:
      if (ticket->signature.size() > 64) ticket->signature[64] = static_cast<char>(Below(32));
      return;
    case 9:
      if (ticket->signature.size() > 32) ticket->signature[32] = static_cast<char>(Below(256));
      return;
    case 10:
      if (ticket->signature.size() > 64) ticket->signature.replace(0, 32, zeros);
      return;
    case 11:
      if (ticket->signature.size() > 64) ticket->signature.replace(Below(2) * 32, 32, zeros);
      return;
    default:
      ticket->sender = senders_[Below(senders_.size())].address();
  }
}

Json::Value Scenario::Reads(const std::vector<TicketCall>& tickets) const {
  const Contracts& contracts = model_.options().contracts;
  Json::Value reads(Json::arrayValue);
  const auto ask = [&](const Address& to, const std::string& data) {
    const BrokerModel::ReadAnswer answer = model_.Read(to, data, step_);
    Json::Value read(Json::objectValue);
    read["contract"] = RoleOf(to, contracts);
    read["data"] = ethereum::ToHex(data);
    read["result"] = answer.reverted ? "reverted" : ethereum::ToHex(answer.data);
    reads.append(read);
  };
  const auto word = [](const Address& address) {
    return std::string(12, '\0') + std::string(address.view());
  };
  for (const ethereum::PrivateKey& key : senders_) {
    ask(contracts.broker, Selector("e1a589da") + word(key.address()));
    ask(contracts.broker, Selector("121cdcc2") + word(key.address()));
    for (const Address& recipient : recipients_) {
      ask(contracts.broker, Selector("81779f38") + word(key.address()) + word(recipient));
    }
  }
  for (const TicketCall& ticket : tickets) {
    ask(contracts.broker, Selector("59a515ba") + std::string(ticket.TicketHash().view()));
  }
  ask(contracts.broker, Selector("856a2cf8"));
  ask(contracts.broker, Selector("deadbeef"));
  ask(contracts.controller, Selector("5c975abb"));
  ask(contracts.rounds_manager, Selector("8a19c8bc"));
  ask(contracts.rounds_manager, Selector("219bc76c"));
  ask(contracts.rounds_manager, Selector("3aa4add4") + ethereum::ToBytes32(model_.round()));
  ask(contracts.rounds_manager, Selector("3aa4add4") + ethereum::ToBytes32(model_.round() + 1));
  return reads;
}

Json::Value Scenario::Fees() const {
  Json::Value fees(Json::objectValue);
  for (const Address& recipient : recipients_) {
    fees[recipient.ToHex()] = ethereum::ToDecimal(model_.FeesCredited(recipient));
  }
  return fees;
}

}  // namespace coffer::sim::chain
