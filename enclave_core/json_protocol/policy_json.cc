#include "enclave_core/json_protocol/policy_json.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_split.h"
#include "enclave_core/policy/policy.h"

namespace coffer::json_protocol {
namespace {

using ledger::ToProto;

constexpr uint32_t kPolicyFormat = 1;

// 20 zero bytes are written where the boundary's message has none.
std::string NullAsNone(std::string address) {
  return address.find_first_not_of('\0') == std::string::npos ? std::string() : address;
}

std::vector<std::string> AddressList(const Fields& fields, std::string_view name, Need need,
                                     uint32_t max) {
  std::vector<std::string> out;
  const Value* const list = fields.Array(name, need, max);
  if (list == nullptr) return out;
  const Path at{&fields.path(), name, -1};
  int index = 0;
  for (const Value* entry = list->first; entry != nullptr; entry = entry->next) {
    out.push_back(fields.AddressOf(*entry, {&at, {}, index++}));
  }
  return out;
}

// A list, or one string with commas between the addresses. In any order, repetitions taken once.
std::vector<std::string> AddressSet(const Fields& params, std::string_view name, uint32_t max) {
  std::vector<std::string> out;
  const Value* const given = params.Find(name);
  if (given != nullptr && given->kind == Value::Kind::kString) {
    const absl::string_view text(given->text.data(), given->text.size());
    const Path at{&params.path(), name, -1};
    for (const absl::string_view part : absl::StrSplit(text, ',', absl::SkipWhitespace())) {
      Value entry;
      entry.kind = Value::Kind::kString;
      entry.text = {part.data(), part.size()};
      if (out.size() == max) {
        params.Bad(name, "has too many entries");
        break;
      }
      out.push_back(params.AddressOf(entry, {&at, {}, static_cast<int>(out.size())}));
      if (!params.ok()) break;
    }
  } else {
    out = AddressList(params, name, kOptional, max);
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

void Add(const std::vector<std::string>& addresses,
         google::protobuf::RepeatedPtrField<std::string>* out) {
  for (const std::string& address : addresses) *out->Add() = address;
}

std::string Bytes32(const ethereum::U256& value) { return ethereum::ToBytes32(value); }

constexpr std::string_view kPolicyParams[] = {"chain_id",
                                              "ticket_broker",
                                              "allowed_recipients",
                                              "require_allowlist",
                                              "allow_fund_deposit",
                                              "max_fund_deposit_wei",
                                              "max_face_value_wei",
                                              "max_total_face_value_wei",
                                              "credit_reporter",
                                              "require_credit_signature",
                                              "allow_tickets",
                                              "allow_eth_transfer",
                                              "max_transfer",
                                              "max_fund_reserve",
                                              "max_tickets",
                                              "win_prob",
                                              "ticket_validity_rounds",
                                              "void_on_host_word",
                                              "max_gas_limit",
                                              "max_fee_per_gas",
                                              "max_priority_fee_per_gas",
                                              "max_transaction_cost",
                                              "allow_access_list",
                                              "allow_raw_messages",
                                              "velocity_window",
                                              "velocity_total",
                                              "velocity_recipient",
                                              "velocity_signatures",
                                              "admins",
                                              "admin_threshold"};

void ReadNewParams(const Fields& params, boundary::v1::Policy* out) {
  using policy::kNoLimit;
  out->set_allow_tickets(params.Flag("allow_tickets", true));
  out->set_allow_eth_transfer(params.Flag("allow_eth_transfer", false));
  ToProto(params.Limit("max_transfer", kNoLimit), out->mutable_max_transfer());
  ToProto(params.Limit("max_fund_reserve", 0), out->mutable_max_fund_reserve());
  out->set_max_tickets(params.Has("max_tickets") ? params.Uint32("max_tickets", kRequired)
                                                 : policy::kMaxTickets);
  out->set_win_prob(
      Bytes32(params.Has("win_prob") ? params.Integer("win_prob", kRequired) : ~ethereum::U256(0)));
  out->set_ticket_validity_rounds(params.Uint64("ticket_validity_rounds", kOptional));
  out->set_void_on_host_word(params.Flag("void_on_host_word", false));
  out->set_max_gas_limit(params.Has("max_gas_limit") ? params.Uint64("max_gas_limit", kRequired)
                                                     : UINT64_MAX);
  ToProto(params.Limit("max_fee_per_gas", kNoLimit), out->mutable_max_fee_per_gas());
  ToProto(params.Limit("max_priority_fee_per_gas", kNoLimit),
          out->mutable_max_priority_fee_per_gas());
  ToProto(params.Limit("max_transaction_cost", kNoLimit), out->mutable_max_transaction_cost());
  out->set_allow_access_list(params.Flag("allow_access_list", false));
  out->set_allow_raw_messages(params.Flag("allow_raw_messages", false));
  out->set_velocity_window(params.Uint64("velocity_window", kOptional));
  ToProto(params.Limit("velocity_total", kNoLimit), out->mutable_velocity_total());
  ToProto(params.Limit("velocity_recipient", kNoLimit), out->mutable_velocity_recipient());
  out->set_velocity_signatures(params.Has("velocity_signatures")
                                   ? params.Uint32("velocity_signatures", kRequired)
                                   : policy::kMaxVelocitySignatures);
  Add(AddressSet(params, "admins", policy::kMaxAdmins), out->mutable_admins());
  out->set_admin_threshold(params.Has("admin_threshold")
                               ? params.Uint32("admin_threshold", kRequired)
                               : static_cast<uint32_t>(out->admins_size()));
}

}  // namespace

bool ReadPolicyParams(const Fields& params, boundary::v1::Policy* out) {
  using policy::kNoLimit;
  const bool given = std::any_of(std::begin(kPolicyParams), std::end(kPolicyParams),
                                 [&](std::string_view name) { return params.Has(name); });
  if (!given) return false;
  out->set_format(kPolicyFormat);
  out->set_chain_id(params.Uint64("chain_id", kRequired));
  out->set_broker(params.Address("ticket_broker", kRequired));
  Add(AddressSet(params, "allowed_recipients", policy::kMaxRecipients),
      out->mutable_allowed_recipients());
  out->set_require_allowlist(params.Flag("require_allowlist", false));
  const ledger::Wei max_fund_deposit = params.Limit("max_fund_deposit_wei", kNoLimit);
  ToProto(params.Flag("allow_fund_deposit", true) ? max_fund_deposit : ledger::Wei(0),
          out->mutable_max_fund_deposit());
  ToProto(params.Limit("max_face_value_wei", kNoLimit), out->mutable_max_face_value());
  ToProto(params.Limit("max_total_face_value_wei", kNoLimit), out->mutable_max_batch_total());
  out->set_credit_reporter(NullAsNone(params.Address("credit_reporter", kOptional)));
  out->set_require_credit_signature(params.Flag("require_credit_signature", false));
  ReadNewParams(params, out);
  return true;
}

void ReadPolicy(const Fields& policy, boundary::v1::Policy* out) {
  policy.OnlyThese({"unrestricted",
                    "chainId",
                    "ticketBroker",
                    "allowTickets",
                    "maxFaceValue",
                    "maxBatchTotal",
                    "maxTickets",
                    "winProb",
                    "ticketValidityRounds",
                    "voidOnHostWord",
                    "allowEthTransfer",
                    "maxTransfer",
                    "maxFundDeposit",
                    "maxFundReserve",
                    "requireAllowlist",
                    "allowedRecipients",
                    "maxGasLimit",
                    "maxFeePerGas",
                    "maxPriorityFeePerGas",
                    "maxTransactionCost",
                    "allowAccessList",
                    "allowRawMessages",
                    "velocityWindow",
                    "velocityTotal",
                    "velocityRecipient",
                    "velocitySignatures",
                    "creditReporter",
                    "requireCreditSignature",
                    "admins",
                    "adminThreshold"});
  const auto flag = [&](std::string_view name) {
    return policy.Flag(name, kRequired).value_or(false);
  };
  const auto amount = [&](std::string_view name, boundary::v1::Wei* wei) {
    ToProto(policy.Amount(name, kRequired), wei);
  };
  out->set_format(kPolicyFormat);
  out->set_unrestricted(flag("unrestricted"));
  out->set_chain_id(policy.Uint64("chainId", kRequired));
  out->set_broker(policy.Address("ticketBroker", kRequired));
  out->set_allow_tickets(flag("allowTickets"));
  amount("maxFaceValue", out->mutable_max_face_value());
  amount("maxBatchTotal", out->mutable_max_batch_total());
  out->set_max_tickets(policy.Uint32("maxTickets", kRequired));
  out->set_win_prob(Bytes32(policy.Integer("winProb", kRequired)));
  out->set_ticket_validity_rounds(policy.Uint64("ticketValidityRounds", kRequired));
  out->set_void_on_host_word(flag("voidOnHostWord"));
  out->set_allow_eth_transfer(flag("allowEthTransfer"));
  amount("maxTransfer", out->mutable_max_transfer());
  amount("maxFundDeposit", out->mutable_max_fund_deposit());
  amount("maxFundReserve", out->mutable_max_fund_reserve());
  out->set_require_allowlist(flag("requireAllowlist"));
  Add(AddressList(policy, "allowedRecipients", kRequired, policy::kMaxRecipients),
      out->mutable_allowed_recipients());
  out->set_max_gas_limit(policy.Uint64("maxGasLimit", kRequired));
  amount("maxFeePerGas", out->mutable_max_fee_per_gas());
  amount("maxPriorityFeePerGas", out->mutable_max_priority_fee_per_gas());
  amount("maxTransactionCost", out->mutable_max_transaction_cost());
  out->set_allow_access_list(flag("allowAccessList"));
  out->set_allow_raw_messages(flag("allowRawMessages"));
  out->set_velocity_window(policy.Uint64("velocityWindow", kRequired));
  amount("velocityTotal", out->mutable_velocity_total());
  amount("velocityRecipient", out->mutable_velocity_recipient());
  out->set_velocity_signatures(policy.Uint32("velocitySignatures", kRequired));
  out->set_credit_reporter(NullAsNone(policy.Address("creditReporter", kRequired)));
  out->set_require_credit_signature(flag("requireCreditSignature"));
  Add(AddressList(policy, "admins", kRequired, policy::kMaxAdmins), out->mutable_admins());
  out->set_admin_threshold(policy.Uint32("adminThreshold", kRequired));
}

void WritePolicy(const boundary::v1::Policy& policy, JsonWriter* out) {
  const auto addresses = [&](std::string_view name,
                             const google::protobuf::RepeatedPtrField<std::string>& list) {
    out->Key(name);
    out->BeginArray();
    for (const std::string& address : list) out->Hex(address);
    out->EndArray();
  };
  out->BeginObject();
  out->Member("unrestricted", policy.unrestricted());
  out->Member("chainId", policy.chain_id());
  out->AddressMember("ticketBroker", policy.broker());
  out->Member("allowTickets", policy.allow_tickets());
  out->Member("maxFaceValue", policy.max_face_value());
  out->Member("maxBatchTotal", policy.max_batch_total());
  out->Member("maxTickets", policy.max_tickets());
  out->IntegerMember("winProb", policy.win_prob());
  out->Member("ticketValidityRounds", policy.ticket_validity_rounds());
  out->Member("voidOnHostWord", policy.void_on_host_word());
  out->Member("allowEthTransfer", policy.allow_eth_transfer());
  out->Member("maxTransfer", policy.max_transfer());
  out->Member("maxFundDeposit", policy.max_fund_deposit());
  out->Member("maxFundReserve", policy.max_fund_reserve());
  out->Member("requireAllowlist", policy.require_allowlist());
  addresses("allowedRecipients", policy.allowed_recipients());
  out->Member("maxGasLimit", policy.max_gas_limit());
  out->Member("maxFeePerGas", policy.max_fee_per_gas());
  out->Member("maxPriorityFeePerGas", policy.max_priority_fee_per_gas());
  out->Member("maxTransactionCost", policy.max_transaction_cost());
  out->Member("allowAccessList", policy.allow_access_list());
  out->Member("allowRawMessages", policy.allow_raw_messages());
  out->Member("velocityWindow", policy.velocity_window());
  out->Member("velocityTotal", policy.velocity_total());
  out->Member("velocityRecipient", policy.velocity_recipient());
  out->Member("velocitySignatures", policy.velocity_signatures());
  out->AddressMember("creditReporter", policy.credit_reporter());
  out->Member("requireCreditSignature", policy.require_credit_signature());
  addresses("admins", policy.admins());
  out->Member("adminThreshold", policy.admin_threshold());
  out->EndObject();
}

}  // namespace coffer::json_protocol
