#include "enclave_core/policy/transaction_rules.h"

#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "invariant/check.h"

namespace coffer::policy {
namespace {

using ethereum::Address;
using ethereum::BrokerCall;
using ethereum::Ticket;
using ethereum::ToChecksum;
using ethereum::ToDecimal;
using ethereum::Transaction;
using ethereum::U256;
using Spends = std::vector<Spend>;

// More than a transaction of 128 KiB can hold, so that max_tickets refuses and not the decoder.
constexpr size_t kMaxDecodedTickets = 1000;

// Only after AtMost has compared it with a limit.
Wei Compared(const U256& amount) {
  const absl::StatusOr<Wei> wei = ledger::WeiFromU256(amount);
  COFFER_CHECK(wei.ok(), "I10: an amount that was compared with a limit is below 2^127");
  return *wei;
}

absl::Status CheckTransactionFees(const Policy& policy, const Transaction& tx) {
  const bool dynamic = tx.type == Transaction::Type::kDynamicFee;
  // All of a gas price may go to the block's maker.
  const U256& fee = dynamic ? tx.max_fee_per_gas : tx.gas_price;
  const U256& priority = dynamic ? tx.max_priority_fee_per_gas : tx.gas_price;
  if (absl::Status s = AtMost("max_fee_per_gas", fee, policy.max_fee_per_gas, "wei a gas");
      !s.ok()) {
    return s;
  }
  if (absl::Status s = AtMost("max_priority_fee_per_gas", priority, policy.max_priority_fee_per_gas,
                              "wei a gas");
      !s.ok()) {
    return s;
  }
  return policy.CheckFees({tx.gas_limit, Compared(fee), Compared(priority)});
}

// Everything but the recipient's allowlist is about the key itself.
absl::StatusOr<Spend> CheckOneTicket(const Policy& policy, const Address& signer,
                                     const Ticket& ticket, const std::string& name) {
  if (ticket.sender != signer) {
    return RefuseByRule(
        "allow_tickets",
        absl::StrCat(name, ".sender is ", ToChecksum(ticket.sender), ", the key's address is ",
                     ToChecksum(signer), ": it signs tickets of its own only"));
  }
  if (ticket.win_prob != policy.win_prob) {
    return RefuseByRule("win_prob",
                        absl::StrCat("the policy's win_prob is ", ToDecimal(policy.win_prob), ", ",
                                     name, ".winProb is ", ToDecimal(ticket.win_prob)));
  }
  if (absl::Status s = policy.CheckRecipient(ticket.recipient); !s.ok()) return s;
  if (absl::Status s = AtMost("max_face_value", ticket.face_value, policy.max_face_value, "wei");
      !s.ok()) {
    return s;
  }
  return Spend{ticket.recipient, Compared(ticket.face_value), ticket.TicketHash()};
}

absl::Status CheckTicketsAllowed(const Policy& policy) {
  if (policy.allow_tickets) return absl::OkStatus();
  return RefuseByRule("allow_tickets",
                      "the policy's allow_tickets is false, asked for was a ticket or its "
                      "redemption");
}

absl::StatusOr<Spends> CheckRedemption(const Policy& policy, const Address& signer,
                                       const BrokerCall& call, const U256& value) {
  if (absl::Status s = CheckTicketsAllowed(policy); !s.ok()) return s;
  if (value != 0) {
    return RefuseByRule("max_transfer", absl::StrCat("tx.value of a redemption must be 0, it is ",
                                                     ToDecimal(value), " wei"));
  }
  if (call.tickets.empty()) {
    return RefuseByRule("max_tickets", absl::StrCat("a batch holds 1..", policy.max_tickets,
                                                    " tickets, this one 0"));
  }
  if (absl::Status s = policy.CheckBatch(call.tickets.size(), 0); !s.ok()) return s;
  Spends spends;
  absl::flat_hash_set<ethereum::Hash> seen;
  U256 total = 0;  // of at most kMaxTickets values below 2^127
  for (size_t i = 0; i < call.tickets.size(); ++i) {
    const std::string name = absl::StrCat("tickets[", i, "]");
    absl::StatusOr<Spend> spend = CheckOneTicket(policy, signer, call.tickets[i].ticket, name);
    if (!spend.ok()) return spend.status();
    if (!seen.insert(spend->key).second) {
      return RefuseByRule("max_tickets", absl::StrCat(name, " is in the batch twice (ticket hash ",
                                                      spend->key.ToHex(), "): a ticket pays once"));
    }
    total += ledger::ToU256(spend->amount);
    spends.push_back(*spend);
  }
  if (absl::Status s = AtMost("max_batch_total", total, policy.max_batch_total, "wei"); !s.ok()) {
    return s;
  }
  return spends;
}

absl::Status CheckFundingValue(absl::string_view rule, Wei limit, const U256& value) {
  if (value == 0) {
    return RefuseByRule(rule, absl::StrCat("tx.value of a funding is 0 wei; the policy's ", rule,
                                           " allows 1..", ledger::ToDecimal(limit)));
  }
  return AtMost(rule, value, limit, "wei");
}

absl::StatusOr<Spends> CheckBrokerCall(const Policy& policy, const Address& signer,
                                       const Transaction& tx) {
  const absl::StatusOr<BrokerCall> call = ethereum::DecodeBrokerCall(tx.data, kMaxDecodedTickets);
  if (!call.ok()) {
    return RefuseByRule("broker", absl::StrCat("what tx.data asks of the policy's broker ",
                                               ToChecksum(policy.broker), " is not allowed: ",
                                               std::string(call.status().message())));
  }
  switch (call->kind) {
    case BrokerCall::Kind::kRedeem:
    case BrokerCall::Kind::kBatchRedeem:
      return CheckRedemption(policy, signer, *call, tx.value);
    case BrokerCall::Kind::kFundDeposit:
      if (absl::Status s = CheckFundingValue("max_fund_deposit", policy.max_fund_deposit, tx.value);
          !s.ok()) {
        return s;
      }
      return Spends{};
    case BrokerCall::Kind::kFundReserve:
      if (absl::Status s = CheckFundingValue("max_fund_reserve", policy.max_fund_reserve, tx.value);
          !s.ok()) {
        return s;
      }
      return Spends{};
  }
  COFFER_CHECK(false, "a broker call of no kind");
}

absl::StatusOr<Spends> CheckTransfer(const Policy& policy, const Address& to,
                                     const Transaction& tx) {
  const std::string not_allowed =
      absl::StrCat("tx.to not allowed: ", ToChecksum(to), " is not the policy's broker ",
                   ToChecksum(policy.broker));
  if (!policy.allow_eth_transfer) {
    return RefuseByRule("allow_eth_transfer",
                        absl::StrCat(not_allowed, ", and allow_eth_transfer is false"));
  }
  if (!tx.data.empty()) {
    return RefuseByRule("broker", absl::StrCat(not_allowed,
                                               ", and no other contract is called: "
                                               "tx.data of a transfer has 0 bytes, these are ",
                                               tx.data.size()));
  }
  // The destination is the requester's, so there is no transfer without an allowlist.
  if (policy.allowed_recipients.empty()) {
    return RefuseByRule("allowed_recipients",
                        absl::StrCat(not_allowed,
                                     ", and the allowlist (allowed_recipients) is "
                                     "empty: transfers need one"));
  }
  if (absl::Status s = policy.CheckRecipient(to); !s.ok()) {
    return RefuseByRule(RuleOf(s), absl::StrCat(not_allowed, ", and ", std::string(s.message())));
  }
  if (absl::Status s = AtMost("max_transfer", tx.value, policy.max_transfer, "wei"); !s.ok()) {
    return s;
  }
  const Wei amount = Compared(tx.value);
  return Spends{{to, amount, TransferKey(tx.nonce, to, amount)}};
}

}  // namespace

absl::StatusOr<Spends> CheckTransaction(const Policy& policy, const Address& signer,
                                        const Transaction& transaction) {
  if (policy.unrestricted) return Spends{};
  if (transaction.chain_id != policy.chain_id) {
    return RefuseByRule("chain_id", absl::StrCat("the policy's chain_id is ", policy.chain_id,
                                                 ", the transaction's is ", transaction.chain_id));
  }
  if (!transaction.to.has_value()) {
    return RefuseByRule("broker", absl::StrCat("tx.to not allowed: it is empty, and a contract is "
                                               "never created; the policy's broker is ",
                                               ToChecksum(policy.broker)));
  }
  if (!transaction.access_list.empty() && !policy.allow_access_list) {
    return RefuseByRule("allow_access_list",
                        absl::StrCat("the policy's allow_access_list is false, so that the list "
                                     "must have 0 entries; it has ",
                                     transaction.access_list.size()));
  }
  if (absl::Status s = CheckTransactionFees(policy, transaction); !s.ok()) return s;
  if (*transaction.to == policy.broker && !policy.broker.IsZero()) {
    return CheckBrokerCall(policy, signer, transaction);
  }
  return CheckTransfer(policy, *transaction.to, transaction);
}

absl::StatusOr<Spends> CheckTicket(const Policy& policy, const Address& signer,
                                   const Ticket& ticket) {
  if (policy.unrestricted) return Spends{};
  if (absl::Status s = CheckTicketsAllowed(policy); !s.ok()) return s;
  absl::StatusOr<Spend> spend = CheckOneTicket(policy, signer, ticket, "ticket");
  if (!spend.ok()) return spend.status();
  if (absl::Status s = policy.CheckBatch(1, spend->amount); !s.ok()) return s;
  return Spends{*spend};
}

absl::Status CheckMessage(const Policy& policy) {
  if (policy.unrestricted || policy.allow_raw_messages) return absl::OkStatus();
  return RefuseByRule("allow_raw_messages",
                      "the policy's allow_raw_messages is false, asked for was the signature of a "
                      "bare message, which could be a ticket's hash; use sign_ticket, which shows "
                      "the ticket");
}

}  // namespace coffer::policy
