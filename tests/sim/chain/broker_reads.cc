// What the contracts answer to eth_call.
#include <string>

#include "tests/sim/chain/broker_model.h"

namespace coffer::sim::chain {
namespace {

using F = Slot::Field;

std::string Uint(const U256& value) { return ethereum::ToBytes32(value); }

std::string Word(const Address& address) {
  return std::string(12, '\0') + std::string(address.view());
}

// Arguments of one word each.
class Arguments {
 public:
  explicit Arguments(std::string_view calldata)
      : selector_(ethereum::ToHex(calldata.substr(0, 4))),
        words_(calldata.size() < 4 ? std::string_view() : calldata.substr(4)) {}
  // A call of this function with at least so many arguments.
  bool Is(std::string_view selector, size_t count) const {
    return selector_ == selector && words_.size() >= 32 * count;
  }
  Hash Word(size_t index) const { return *Hash::FromBytes(words_.substr(32 * index, 32)); }
  Address AddressAt(size_t index) const {
    return *Address::FromBytes(words_.substr(32 * index + 12, 20));
  }

 private:
  std::string selector_;
  std::string_view words_;
};

BrokerModel::ReadAnswer Answer(std::string data) { return {false, std::move(data)}; }
BrokerModel::ReadAnswer Reverted() { return {true, ""}; }

}  // namespace

BrokerModel::ReadAnswer BrokerModel::Read(const Address& to, std::string_view calldata,
                                          uint64_t block) const {
  const Contracts& contracts = options_.contracts;
  const Arguments call(calldata);
  const auto at = [&](const Slot& slot) { return store_->GetAt(slot, block); };
  if (to == contracts.broker) {
    if (call.Is("0xe1a589da", 1)) {  // getSenderInfo
      const Address sender = call.AddressAt(0);
      const auto round = static_cast<uint64_t>(at(F::kRound));
      return Answer(Uint(at({F::kDeposit, sender})) + Uint(at({F::kWithdrawRound, sender})) +
                    Uint(at({F::kReserve, sender})) +
                    Uint(at({F::kClaimedInRound, sender, round})));
    }
    if (call.Is("0x59a515ba", 1)) return Answer(Uint(at({F::kUsedTicket, call.Word(0)})));
    if (call.Is("0x856a2cf8", 0)) return Answer(Uint(at(F::kValidityPeriod)));
    if (call.Is("0xf77c4791", 0)) return Answer(Word(contracts.controller));
    if (call.Is("0x81779f38", 2)) {  // claimableReserve
      return Answer(Uint(ClaimableReserveAt(call.AddressAt(0), call.AddressAt(1), block)));
    }
    if (call.Is("0x121cdcc2", 1)) {  // isUnlockInProgress
      return Answer(Uint(at({F::kWithdrawRound, call.AddressAt(0)}) > 0 ? 1 : 0));
    }
    return Reverted();
  }
  if (to == contracts.controller) {
    if (call.Is("0x5c975abb", 0)) return Answer(Uint(at(F::kPaused)));
    if (!call.Is("0xe16c7d98", 1)) return Reverted();
    const Hash id = call.Word(0);
    if (id == ethereum::Keccak256("TicketBroker")) return Answer(Word(contracts.broker));
    if (id == ethereum::Keccak256("RoundsManager")) return Answer(Word(contracts.rounds_manager));
    if (id == ethereum::Keccak256("BondingManager")) return Answer(Word(contracts.bonding_manager));
    if (id == ethereum::Keccak256("Minter")) return Answer(Word(contracts.minter));
    return Answer(Word(Address()));
  }
  if (to == contracts.rounds_manager) {
    if (call.Is("0x8a19c8bc", 0)) return Answer(Uint(at(F::kRound)));
    if (call.Is("0x219bc76c", 0)) {
      return Answer(Uint(at(F::kInitializedRound) == at(F::kRound) ? 1 : 0));
    }
    if (call.Is("0x3aa4add4", 1)) return Answer(Uint(at({F::kRoundBlockHash, call.Word(0)})));
    return Reverted();
  }
  if (to == contracts.bonding_manager || to == contracts.minter) return Reverted();
  return Answer("");
}

}  // namespace coffer::sim::chain
