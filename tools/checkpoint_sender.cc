#include "tools/checkpoint_sender.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/ledger/wei.h"
#include "runtime/log.h"
#include "tools/host_commands.h"
#include "tools/registry_client.h"

namespace coffer::tools {

using host::RpcErrorKind;

namespace {

absl::StatusOr<absl::uint128> Wei(const absl::StatusOr<ethereum::U256>& amount) {
  if (!amount.ok()) return amount.status();
  return ledger::WeiFromU256(*amount);
}

// Why a call would revert, in the registry's own terms where they are known.
absl::Status Reverts(const host::RpcError& error) {
  const absl::StatusOr<std::string> data = ethereum::FromHex(error.data);
  std::string why = data.ok() ? RegistryErrorText(*data) : "";
  if (why.empty()) why = host::RevertReasonOf(error);
  return absl::FailedPreconditionError(why);
}

absl::Status Stopped(const std::vector<ethereum::Hash>& sent) {
  return absl::CancelledError(
      absl::StrCat("stopped while transaction ", sent.back().ToHex(), " is under way"));
}

}  // namespace

host::FeeLimits CheckpointSender::Limits() const {
  return {.max_fee_ceiling = options_.max_fee, .max_priority_fee_ceiling = options_.max_fee};
}

absl::StatusOr<host::Fees> CheckpointSender::MarketFees(absl::uint128* base_fee,
                                                        absl::uint128* tip) {
  const absl::StatusOr<Json::Value> json = chain_->Call(
      "eth_getBlockByNumber", host::BlockParams(host::BlockParam(host::BlockTag::kLatest)));
  if (!json.ok()) return json.status();
  const absl::StatusOr<std::optional<host::Block>> block = host::ParseBlock(*json);
  if (!block.ok()) return block.status();
  if (!*block || !(*block)->base_fee_per_gas) {
    return absl::FailedPreconditionError("the chain has no base fee: it knows no EIP-1559");
  }
  const absl::StatusOr<absl::uint128> base = Wei(*(*block)->base_fee_per_gas);
  if (!base.ok()) return base.status();
  // Not every node gives advice on tips; without it none is paid.
  const absl::StatusOr<host::RpcAnswer> advice =
      chain_->Ask("eth_maxPriorityFeePerGas", Json::Value(Json::arrayValue));
  if (!advice.ok()) return advice.status();
  const absl::StatusOr<absl::uint128> advised =
      advice->refused ? absl::uint128(0) : Wei(host::ParseQuantityU256(advice->result));
  if (!advised.ok()) return advised.status();
  *base_fee = *base;
  *tip = *advised;
  return host::ChooseFees(*base, *advised, Limits());
}

absl::StatusOr<CallPlan> CheckpointSender::Plan(const ethereum::Address& to, std::string data) {
  CallPlan plan;
  plan.to = to;
  plan.data = std::move(data);
  absl::uint128 base_fee = 0;
  absl::uint128 tip = 0;
  const absl::StatusOr<host::Fees> fees = MarketFees(&base_fee, &tip);
  if (!fees.ok()) return fees.status();
  plan.fees = *fees;
  host::CallRequest call;
  call.to = plan.to;
  call.data = plan.data;
  if (key_ != nullptr) {
    // What is in the pool already does not count: a transaction stuck there is replaced.
    const absl::StatusOr<Json::Value> count = chain_->Call(
        "eth_getTransactionCount",
        host::AccountParams(key_->address(), host::BlockParam(host::BlockTag::kLatest)));
    if (!count.ok()) return count.status();
    const absl::StatusOr<uint64_t> nonce = host::ParseQuantity(*count);
    if (!nonce.ok()) return nonce.status();
    plan.nonce = *nonce;
    call.from = key_->address();
  }
  const absl::StatusOr<host::RpcAnswer> answer = chain_->Ask(
      "eth_estimateGas", host::CallParams(call, host::BlockParam(host::BlockTag::kLatest)));
  if (!answer.ok()) return answer.status();
  if (answer->refused) {
    if (host::ClassifyRpcError(answer->error) == RpcErrorKind::kReverted) {
      return Reverts(answer->error);
    }
    return absl::FailedPreconditionError(
        absl::StrCat("the node gives no estimate of the gas: ", answer->error.message));
  }
  const absl::StatusOr<uint64_t> gas = host::ParseQuantity(answer->result);
  if (!gas.ok()) return gas.status();
  // The head may be another one by then, and its first write costs more.
  plan.gas_limit = *gas + *gas / 5 + 10'000;
  if (key_ != nullptr) {
    if (absl::Status paid = CheckBalance(plan); !paid.ok()) return paid;
  }
  return plan;
}

absl::Status CheckpointSender::CheckBalance(const CallPlan& plan) {
  const absl::StatusOr<Json::Value> json =
      chain_->Call("eth_getBalance",
                   host::AccountParams(key_->address(), host::BlockParam(host::BlockTag::kLatest)));
  if (!json.ok()) return json.status();
  const absl::StatusOr<ethereum::U256> balance = host::ParseQuantityU256(*json);
  if (!balance.ok()) return balance.status();
  const ethereum::U256 most = ledger::ToU256(plan.fees.max_fee) * plan.gas_limit;
  if (*balance >= most) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the account ", ethereum::ToChecksum(key_->address()),
                   " cannot pay for the gas: it has ", EthText(ethereum::ToDecimal(*balance)),
                   " ETH, and up to ", EthText(ethereum::ToDecimal(most)), " ETH may be needed"));
}

absl::StatusOr<CheckpointSender::Outcome> CheckpointSender::Broadcast(
    const CallPlan& plan, std::vector<ethereum::Hash>& sent) {
  ethereum::Transaction transaction;
  transaction.chain_id = options_.chain_id;
  transaction.nonce = plan.nonce;
  transaction.gas_limit = plan.gas_limit;
  transaction.max_fee_per_gas = ledger::ToU256(plan.fees.max_fee);
  transaction.max_priority_fee_per_gas = ledger::ToU256(plan.fees.max_priority_fee);
  transaction.to = plan.to;
  transaction.data = plan.data;
  const ethereum::SignedTransaction signed_one =
      ethereum::SignTransaction(std::move(transaction), *key_);
  // Before it goes: without an answer it may be in the pool all the same.
  sent.push_back(signed_one.TransactionHash());
  const absl::StatusOr<host::RpcAnswer> answer =
      chain_->Ask("eth_sendRawTransaction", host::RawTransactionParams(signed_one.Encode()));
  if (!answer.ok()) return answer.status();
  if (!answer->refused) return Outcome::kTaken;
  switch (host::ClassifyRpcError(answer->error)) {
    case RpcErrorKind::kAlreadyKnown:
      return Outcome::kTaken;
    case RpcErrorKind::kNonceTooLow:
      return Outcome::kNonceSpent;
    case RpcErrorKind::kReplacementUnderpriced:
    case RpcErrorKind::kFeeBelowBaseFee:
      return Outcome::kUnderpriced;
    default:
      return absl::FailedPreconditionError(
          absl::StrCat("the node does not take the transaction: ", answer->error.message));
  }
}

absl::StatusOr<std::optional<host::Receipt>> CheckpointSender::AwaitAny(
    const std::vector<ethereum::Hash>& sent, absl::Duration patience) {
  for (absl::Duration left = patience; left > absl::ZeroDuration(); left -= options_.poll) {
    for (const ethereum::Hash& hash : sent) {
      const absl::StatusOr<Json::Value> json =
          chain_->Call("eth_getTransactionReceipt", host::HashParams(hash));
      if (absl::IsCancelled(json.status())) return Stopped(sent);
      if (!json.ok()) continue;  // asked again at the next turn
      absl::StatusOr<std::optional<host::Receipt>> receipt = host::ParseReceipt(*json);
      if (!receipt.ok()) return receipt.status();
      if (*receipt) return receipt;
    }
    if (!chain_->Sleep(options_.poll)) return Stopped(sent);
  }
  return std::optional<host::Receipt>();
}

absl::StatusOr<host::Receipt> CheckpointSender::Send(CallPlan plan) {
  std::vector<ethereum::Hash> sent;
  for (int bump = 0;; ++bump) {
    const absl::StatusOr<Outcome> outcome = Broadcast(plan, sent);
    if (!outcome.ok()) return outcome.status();
    if (*outcome != Outcome::kUnderpriced) {
      // A spent nonce is one of ours that was mined, or another's transaction with this key.
      const bool spent = *outcome == Outcome::kNonceSpent;
      absl::StatusOr<std::optional<host::Receipt>> receipt =
          AwaitAny(sent, spent ? 5 * options_.poll : options_.stuck_after);
      if (!receipt.ok()) return receipt.status();
      if (*receipt) return **std::move(receipt);
      if (spent) {
        return absl::AbortedError(absl::StrCat("nonce ", plan.nonce,
                                               " was used by another transaction of ",
                                               ethereum::ToChecksum(key_->address())));
      }
    }
    absl::uint128 base_fee = 0;
    absl::uint128 tip = 0;
    const absl::StatusOr<host::Fees> market = MarketFees(&base_fee, &tip);
    if (absl::IsCancelled(market.status())) return market.status();
    const std::optional<host::Fees> next =
        market.ok() ? host::BumpToMarket(plan.fees, base_fee, tip, Limits()) : std::nullopt;
    if (!next || bump == options_.max_bumps) {
      return absl::DeadlineExceededError(
          absl::StrCat("transaction ", sent.back().ToHex(), " with nonce ", plan.nonce,
                       " is not mined yet, and its fees are raised no further"));
    }
    plan.fees = *next;
    runtime::Log(runtime::Level::kWarn, "publish", "stuck; sent again with higher fees",
                 {{"nonce", plan.nonce}, {"bump", bump + 1}});
  }
}

}  // namespace coffer::tools
