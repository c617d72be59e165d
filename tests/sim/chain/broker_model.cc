#include "tests/sim/chain/broker_model.h"

#include <algorithm>
#include <utility>

#include "tests/sim/chain/gas.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;
using Kind = BrokerCall::Kind;

std::string Uint(const U256& value) { return ethereum::ToBytes32(value); }

Hash Word(const Address& address) {
  return *Hash::FromBytes(std::string(12, '\0') + std::string(address.view()));
}

Hash Word(const U256& value) { return *Hash::FromBytes(Uint(value)); }

std::string Text(const Address& address) { return std::string(Word(address).view()); }

// EIP-2: a larger s has a twin.
const U256& HalfOrder() {
  static const U256 kHalf = *ethereum::U256FromString(
      "0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0");
  return kHalf;
}

bool Payable(Kind kind) {
  return kind == Kind::kFundDeposit || kind == Kind::kFundReserve ||
         kind == Kind::kFundDepositAndReserve;
}

}  // namespace

uint64_t IntrinsicGas(std::string_view calldata) {
  uint64_t gas = 21'000;
  for (const char c : calldata) gas += c == 0 ? 4 : 16;
  return gas;
}

// One transaction's call, from its first check to its last event.
class BrokerModel::Run {
 public:
  Run(BrokerModel* model, const Address& from, const U256& value, uint64_t gas,
      uint64_t* fail_inner)
      : model_(*model),
        store_(*model->store_),
        contracts_(model->options_.contracts),
        from_(from),
        value_(value),
        gas_(gas),
        fail_inner_(fail_inner),
        round_(model->round()) {}

  CallOutcome Do(const BrokerCall& call) {
    const size_t mark = store_.Mark();
    // A redemption charges for itself; the rest costs the same whatever comes of it.
    uint64_t cost = Payable(call.kind) ? kFundGas : kPlainCallGas;
    std::string revert = value_ > 0 && !Payable(call.kind) ? kSilent : Dispatch(call, &cost);
    CallOutcome outcome;
    if (out_of_gas_ || cost > gas_) {
      revert = kSilent;
      cost = gas_;
    }
    outcome.gas_used = cost;
    if (revert.empty()) {
      outcome.succeeded = true;
      outcome.tickets = std::move(tickets_);
      outcome.logs = std::move(logs_);
      for (size_t i = 0; i < outcome.logs.size(); ++i) outcome.logs[i].log_index = i;
      return outcome;
    }
    store_.RevertTo(mark);
    if (revert != kSilent) outcome.revert = revert;
    return outcome;
  }

 private:
  // Reverts without a word.
  inline static const std::string kSilent = "\x01";

  // Why it reverts; empty: it does not.
  std::string Dispatch(const BrokerCall& call, uint64_t* cost) {
    if (call.kind == Kind::kUnknown) return kSilent;
    if (model_.paused()) return "system is paused";
    switch (call.kind) {
      case Kind::kFundDeposit:
        return FundBoth(value_, std::nullopt);
      case Kind::kFundReserve:
        return FundBoth(std::nullopt, value_);
      case Kind::kFundDepositAndReserve:
        if (call.deposit_amount > ~U256(0) - call.reserve_amount) return "Panic 0x11";
        if (value_ != call.deposit_amount + call.reserve_amount) {
          return "msg.value does not equal sum of deposit amount and reserve amount";
        }
        return FundBoth(call.deposit_amount, call.reserve_amount);
      case Kind::kUnlock:
        return Unlock();
      case Kind::kWithdraw:
        return Withdraw();
      case Kind::kRedeem:
        return RedeemAlone(call.tickets[0], cost);
      case Kind::kBatchRedeem:
        return RedeemAll(call, cost);
      case Kind::kUnknown:
        break;
    }
    return kSilent;
  }

  void Emit(const Address& contract, std::string_view event, std::vector<Hash> indexed,
            std::string data) {
    indexed.insert(indexed.begin(), ethereum::Keccak256(event));
    logs_.push_back({contract, std::move(indexed), std::move(data), 0});
  }

  std::string FundBoth(const std::optional<U256>& deposit, const std::optional<U256>& reserve) {
    store_.Subtract({F::kBalance, from_}, value_);
    store_.Add({F::kBalance, contracts_.minter}, value_);
    if (deposit) {
      store_.Add({F::kDeposit, from_}, *deposit);
      if (store_.Get({F::kWithdrawRound, from_}) > 0) {
        store_.Set({F::kWithdrawRound, from_}, 0);
        Emit(contracts_.broker, "UnlockCancelled(address)", {Word(from_)}, "");
      }
      Emit(contracts_.broker, "DepositFunded(address,uint256)", {Word(from_)}, Uint(*deposit));
    }
    if (reserve) {
      store_.Add({F::kReserve, from_}, *reserve);
      Emit(contracts_.broker, "ReserveFunded(address,uint256)", {Word(from_)}, Uint(*reserve));
    }
    Emit(contracts_.minter, "Deposited(address,uint256)", {Word(contracts_.broker)}, Uint(value_));
    return "";
  }

  bool HasFunds(const Address& sender) const {
    return store_.Get({F::kDeposit, sender}) > 0 || store_.Get({F::kReserve, sender}) > 0;
  }

  std::string Unlock() {
    if (!HasFunds(from_)) return "sender deposit and reserve are zero";
    if (store_.Get({F::kWithdrawRound, from_}) > 0) return "unlock already initiated";
    const U256 end = store_.Get(F::kUnlockPeriod) + round_;
    store_.Set({F::kWithdrawRound, from_}, end);
    Emit(contracts_.broker, "Unlock(address,uint256,uint256)", {Word(from_)},
         Uint(round_) + Uint(end));
    return "";
  }

  std::string Withdraw() {
    if (!HasFunds(from_)) return "sender deposit and reserve are zero";
    const U256 withdraw_round = store_.Get({F::kWithdrawRound, from_});
    if (withdraw_round == 0) return "no unlock request in progress";
    if (round_ < withdraw_round) return "account is locked";
    const U256 deposit = store_.Get({F::kDeposit, from_});
    const U256 reserve = store_.Get({F::kReserve, from_});
    store_.Set({F::kDeposit, from_}, 0);
    store_.Set({F::kWithdrawRound, from_}, 0);
    store_.Set({F::kReserve, from_}, 0);
    store_.Subtract({F::kBalance, contracts_.minter}, deposit + reserve);
    store_.Add({F::kBalance, from_}, deposit + reserve);
    Emit(contracts_.broker, "Withdrawal(address,uint256,uint256)", {Word(from_)},
         Uint(deposit) + Uint(reserve));
    Emit(contracts_.minter, "Withdrawn(address,uint256)", {Word(from_)}, Uint(deposit + reserve));
    return "";
  }

  std::string RedeemAlone(const TicketCall& ticket, uint64_t* cost) {
    if (!model_.round_initialized()) return "current round is not initialized";
    TicketOutcome outcome = Redeem(ticket);
    *cost = outcome.revert.empty() ? kRedeemGas : kFailedRedeemGas;
    out_of_gas_ = outcome.revert.empty() && gas_ < kRedeemNeeds;
    tickets_.push_back(outcome);
    return outcome.revert;
  }

  // Each ticket in a call of its own that gets 63/64 of the gas there is; what becomes of it
  // changes nothing for the others.
  std::string RedeemAll(const BrokerCall& call, uint64_t* cost) {
    if (!model_.round_initialized()) return "current round is not initialized";
    if (call.lengths_differ) return "Panic 0x32";
    uint64_t left = gas_;
    const auto pay = [&](uint64_t gas) {
      out_of_gas_ = out_of_gas_ || gas > left;
      left -= std::min(gas, left);
    };
    pay(kBatchGas);
    for (const TicketCall& ticket : call.tickets) {
      pay(kBatchTicketGas);
      if (out_of_gas_) break;
      const uint64_t given = left - left / 64;
      const size_t mark = store_.Mark();
      const size_t events = logs_.size();
      TicketOutcome outcome = Redeem(ticket);
      const bool redeemed = outcome.revert.empty();
      const bool dry = given < (redeemed ? kRedeemNeeds : kFailedRedeemGas);
      if (dry || (*fail_inner_ > 0 && redeemed)) {
        if (!dry) --*fail_inner_;
        outcome = {outcome.ticket_hash, "out of gas", true, 0};
      }
      pay(dry ? given : redeemed ? kRedeemGas : kFailedRedeemGas);
      if (!outcome.revert.empty()) {
        store_.RevertTo(mark);
        logs_.resize(events);
      }
      tickets_.push_back(std::move(outcome));
    }
    *cost = gas_ - left;
    return "";
  }

  // Leaves traces behind even when it reverts: the caller undoes them.
  TicketOutcome Redeem(const TicketCall& ticket) {
    TicketOutcome outcome;
    outcome.ticket_hash = ticket.TicketHash();
    outcome.revert = WhyInvalid(ticket, outcome.ticket_hash);
    if (!outcome.revert.empty()) return outcome;
    const U256 withdraw_round = store_.Get({F::kWithdrawRound, ticket.sender});
    if (withdraw_round > 0 && round_ >= withdraw_round) {
      outcome.revert = "sender is unlocked";
    } else if (!HasFunds(ticket.sender)) {
      outcome.revert = "sender deposit and reserve are zero";
    }
    if (!outcome.revert.empty()) return outcome;
    store_.Set({F::kUsedTicket, outcome.ticket_hash}, 1);
    store_.Add(F::kTicketsUsed, 1);
    outcome.paid = TakeFunds(ticket);
    if (outcome.paid > 0) {
      if (!model_.RegisteredAt(ticket.recipient, UINT64_MAX)) {
        outcome.revert = "transcoder must be registered";
        return outcome;
      }
      Credit(ticket, outcome.paid);
    }
    Emit(contracts_.broker,
         "WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)",
         {Word(ticket.sender), Word(ticket.recipient)},
         Uint(ticket.face_value) + Uint(ticket.win_prob) + Uint(ticket.sender_nonce) +
             Uint(ticket.recipient_rand) + Uint(160) + Uint(64) + ticket.aux_data);
    return outcome;
  }

  std::string WhyInvalid(const TicketCall& ticket, const Hash& hash) {
    if (ticket.recipient.IsZero()) return "ticket recipient is null address";
    if (ticket.sender.IsZero()) return "ticket sender is null address";
    if (ticket.aux_data.size() != 64) return "invalid length for ticket auxData: must be 64 bytes";
    const Hash round = *Hash::FromBytes(std::string_view(ticket.aux_data).substr(0, 32));
    const U256 block_hash = store_.Get({F::kRoundBlockHash, round});
    if (block_hash == 0) return "ticket creationRound does not have a block hash";
    if (ticket.aux_data.substr(32) != Uint(block_hash)) {
      return "ticket creationRoundBlockHash invalid for creationRound";
    }
    if (*ethereum::U256FromBytes(round.view()) + store_.Get(F::kValidityPeriod) <= round_) {
      return "ticket is expired";
    }
    if (ethereum::Keccak256(Uint(ticket.recipient_rand)) != ticket.recipient_rand_hash) {
      return "recipientRand does not match recipientRandHash";
    }
    if (store_.Get({F::kUsedTicket, hash}) != 0) return "ticket is used";
    std::string why;
    if (!model_.SignedBySender(ticket, hash, &why)) return why;
    const Hash draw = ethereum::Keccak256(ticket.signature + Uint(ticket.recipient_rand));
    if (*ethereum::U256FromBytes(draw.view()) >= ticket.win_prob) return "ticket did not win";
    return "";
  }

  // The face value, or the whole deposit and what the reserve adds.
  U256 TakeFunds(const TicketCall& ticket) {
    const U256 deposit = store_.Get({F::kDeposit, ticket.sender});
    if (ticket.face_value <= deposit) {
      store_.Set({F::kDeposit, ticket.sender}, deposit - ticket.face_value);
      return ticket.face_value;
    }
    store_.Set({F::kDeposit, ticket.sender}, 0);
    const U256 missing = ticket.face_value - deposit;
    const U256 funds = store_.Get({F::kReserve, ticket.sender});
    const U256 claimed = std::min(
        {missing, funds, model_.ClaimableReserveAt(ticket.sender, ticket.recipient, UINT64_MAX)});
    if (claimed > 0) {
      store_.Set({F::kReserve, ticket.sender}, funds - claimed);
      store_.Add({F::kClaimedInRound, ticket.sender, round_}, claimed);
      store_.Add({F::kClaimedByAddress, ticket.sender, round_, ticket.recipient}, claimed);
      Emit(contracts_.broker, "ReserveClaimed(address,address,uint256)", {Word(ticket.sender)},
           Text(ticket.recipient) + Uint(claimed));
    }
    return deposit + claimed;
  }

  void Credit(const TicketCall& ticket, const U256& paid) {
    store_.Add({F::kFeesCredited, ticket.recipient}, paid);
    const Hash creation_round = *Hash::FromBytes(std::string_view(ticket.aux_data).substr(0, 32));
    Emit(contracts_.bonding_manager, "TranscoderFeesCredited(address,uint256,uint256)",
         {Word(ticket.recipient), creation_round}, Uint(paid));
    Emit(contracts_.broker, "WinningTicketTransfer(address,address,uint256)",
         {Word(ticket.sender), Word(ticket.recipient)}, Uint(paid));
  }

  BrokerModel& model_;
  VersionedStore& store_;
  const Contracts& contracts_;
  const Address& from_;
  const U256& value_;
  const uint64_t gas_;
  uint64_t* const fail_inner_;
  const uint64_t round_;
  bool out_of_gas_ = false;
  std::vector<TicketOutcome> tickets_;
  std::vector<ethereum::Log> logs_;
};

BrokerModel::BrokerModel(VersionedStore* store, const BrokerOptions& options)
    : store_(store), options_(options) {
  store_->Set(F::kValidityPeriod, options_.ticket_validity_period);
  store_->Set(F::kUnlockPeriod, options_.unlock_period);
  store_->Set(F::kRound, options_.first_round);
  store_->Set(F::kPoolSize, options_.open_pool_size);
  InitializeRound();
}

CallOutcome BrokerModel::Execute(const Address& from, const U256& value, const BrokerCall& call,
                                 uint64_t gas, uint64_t* fail_inner) {
  return Run(this, from, value, gas, fail_inner).Do(call);
}

// In the contract's order: length, s, v, what ecrecover makes of it, and whose it is.
bool BrokerModel::SignedBySender(const TicketCall& ticket, const Hash& hash, std::string* why) {
  const std::string& signature = ticket.signature;
  if (signature.size() != 65) {
    *why = "INVALID_SIGNATURE_LENGTH";
    return false;
  }
  const Hash r = *Hash::FromBytes(std::string_view(signature).substr(0, 32));
  const Hash s = *Hash::FromBytes(std::string_view(signature).substr(32, 32));
  const auto v = static_cast<uint8_t>(signature[64]);
  if (*ethereum::U256FromBytes(s.view()) > HalfOrder()) {
    *why = "ECDSA: invalid signature 's' value";
    return false;
  }
  if (v != 27 && v != 28) {
    *why = "ECDSA: invalid signature 'v' value";
    return false;
  }
  const auto [known, first] = signers_.try_emplace(std::string(hash.view()) + signature);
  if (first) {
    const auto parts = ethereum::Signature::FromParts(r, s, static_cast<uint8_t>(v - 27));
    const Hash signed_hash = ethereum::Keccak256(
        "\x19"
        "Ethereum Signed Message:\n32" +
        std::string(hash.view()));
    if (parts.ok()) {
      const auto signer = ethereum::RecoverAddress(signed_hash, *parts);
      if (signer.ok()) known->second = *signer;
    }
  }
  if (!known->second) {
    *why = "ECDSA: invalid signature";
  } else if (*known->second != ticket.sender) {
    *why = "invalid signature over ticket hash";
  }
  return why->empty();
}

void BrokerModel::AddDeposit(const Address& sender, const U256& wei) {
  store_->Add({F::kDeposit, sender}, wei);
  store_->Set({F::kWithdrawRound, sender}, 0);
  store_->Add({F::kBalance, options_.contracts.minter}, wei);
}

void BrokerModel::AddReserve(const Address& sender, const U256& wei) {
  store_->Add({F::kReserve, sender}, wei);
  store_->Add({F::kBalance, options_.contracts.minter}, wei);
}

void BrokerModel::Register(const Address& transcoder) {
  if (store_->Get({F::kRegistered, transcoder}) > 0) return;
  store_->Set({F::kRegistered, transcoder}, 1);
  if (options_.open_pool_size == 0) store_->Add(F::kPoolSize, 1);
}

void BrokerModel::SetPaused(bool paused) { store_->Set(F::kPaused, paused ? 1 : 0); }

void BrokerModel::AdvanceRound(bool initialize) {
  store_->Add(F::kRound, 1);
  if (initialize) InitializeRound();
}

// The hash is one of the chain below, so a reorganisation here does not change it.
void BrokerModel::InitializeRound() {
  const uint64_t now = round();
  const Hash hash = ethereum::Keccak256("round " + std::to_string(now));
  store_->Set(F::kInitializedRound, now);
  store_->Set({F::kRoundBlockHash, now}, *ethereum::U256FromBytes(hash.view()));
}

void BrokerModel::SetTicketValidityPeriod(uint64_t rounds) {
  store_->Set(F::kValidityPeriod, rounds);
}

uint64_t BrokerModel::round() const { return static_cast<uint64_t>(store_->Get(F::kRound)); }

bool BrokerModel::round_initialized() const {
  return store_->Get(F::kInitializedRound) == store_->Get(F::kRound);
}

bool BrokerModel::paused() const { return store_->Get(F::kPaused) > 0; }

Hash BrokerModel::BlockHashForRound(uint64_t round) const {
  return Word(store_->Get({F::kRoundBlockHash, round}));
}

U256 BrokerModel::Deposit(const Address& sender) const {
  return store_->Get({F::kDeposit, sender});
}

U256 BrokerModel::ReserveFunds(const Address& sender) const {
  return store_->Get({F::kReserve, sender});
}

U256 BrokerModel::ClaimableReserve(const Address& holder, const Address& claimant) const {
  return ClaimableReserveAt(holder, claimant, UINT64_MAX);
}

U256 BrokerModel::FeesCredited(const Address& recipient) const {
  return store_->Get({F::kFeesCredited, recipient});
}

bool BrokerModel::Used(const Hash& ticket_hash) const {
  return store_->Get({F::kUsedTicket, ticket_hash}) > 0;
}

bool BrokerModel::RegisteredAt(const Address& transcoder, uint64_t block) const {
  return options_.open_pool_size > 0 || store_->GetAt({F::kRegistered, transcoder}, block) > 0;
}

// An equal share, among the registered, of what the reserve held when the round's claims began,
// less what the claimant took already.
U256 BrokerModel::ClaimableReserveAt(const Address& holder, const Address& claimant,
                                     uint64_t block) const {
  const U256 pool = store_->GetAt(F::kPoolSize, block);
  if (!RegisteredAt(claimant, block) || pool == 0) return 0;
  const auto round = static_cast<uint64_t>(store_->GetAt(F::kRound, block));
  const U256 share = (store_->GetAt({F::kReserve, holder}, block) +
                      store_->GetAt({F::kClaimedInRound, holder, round}, block)) /
                     pool;
  const U256 taken = store_->GetAt({F::kClaimedByAddress, holder, round, claimant}, block);
  return share > taken ? share - taken : U256(0);
}

}  // namespace coffer::sim::chain
