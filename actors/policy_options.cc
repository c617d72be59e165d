#include "actors/policy_options.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::enclave {
namespace {

using ethereum::Address;
using ledger::Wei;
using policy::Policy;
using runtime::OptionSpec;
using runtime::OptionType;

// One option that is an amount: where it goes, and what it says.
struct WeiOption {
  const char* name;
  Wei Policy::*field;
  const char* default_text;  // empty = what the field says by itself
  const char* help;
};
constexpr WeiOption kWeiOptions[] = {
    {"max-face-value-wei", &Policy::max_face_value, "1000000000000000000",
     "Most wei in one ticket."},
    {"max-batch-total-wei", &Policy::max_batch_total, "20000000000000000000",
     "Most wei in one transaction's tickets."},
    {"max-transfer-wei", &Policy::max_transfer, "",
     "Most wei in one plain transfer; as max-face-value-wei when not given."},
    {"max-fee-per-gas-wei", &Policy::max_fee_per_gas, "200000000000", "Most wei a gas."},
    {"max-priority-fee-per-gas-wei", &Policy::max_priority_fee_per_gas, "10000000000",
     "Most wei a gas for the block's maker; a gasPrice may be all of it."},
    {"max-transaction-cost-wei", &Policy::max_transaction_cost, "",
     "Most wei that a transaction may cost, gas limit x fee; no limit when not given."},
    {"max-fund-deposit-wei", &Policy::max_fund_deposit, "10000000000000000000",
     "Most wei of one fundDeposit; 0 = never."},
    {"max-fund-reserve-wei", &Policy::max_fund_reserve, "0",
     "Most wei of one fundReserve; 0 = never."},
    {"velocity-total-wei", &Policy::velocity_total, "",
     "Most wei of tickets and transfers in any velocity window; no limit when not given."},
    {"velocity-recipient-wei", &Policy::velocity_recipient, "",
     "The same to one recipient; no limit when not given."},
};

struct BoolOption {
  const char* name;
  bool Policy::*field;
  const char* default_text;
  const char* help;
};
constexpr BoolOption kBoolOptions[] = {
    {"allow-tickets", &Policy::allow_tickets, "true", "Allow tickets and their redemption."},
    {"allow-eth-transfer", &Policy::allow_eth_transfer, "", "Allow plain transfers of ether."},
    {"require-allowlist", &Policy::require_allowlist, "",
     "Pay nobody who is not in --allowed-recipients, even when that is empty."},
    {"allow-access-list", &Policy::allow_access_list, "", "Sign access lists that are not empty."},
    {"allow-raw-messages", &Policy::allow_raw_messages, "",
     "Signer: sign bare messages. 32 bytes of one can be a ticket's hash, outside all limits."},
    {"require-credit-signature", &Policy::require_credit_signature, "",
     "Apply no event that --credit-reporter has not signed."},
    {"insecure-void-on-host-word", &Policy::void_on_host_word, "",
     "Believe the host that an expired ticket is unused, or that a transfer failed. A host that "
     "lies pays twice."},
};

OptionSpec Number(const char* name, const char* default_text, const char* help, uint64_t min,
                  uint64_t max) {
  return {.name = name,
          .type = OptionType::kUint64,
          .default_text = default_text,
          .help = help,
          .min = min,
          .max = max};
}

absl::Status Wrong(absl::string_view option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(option, ": ", why));
}

absl::StatusOr<Address> ReadAddress(absl::string_view option, const std::string& text) {
  absl::StatusOr<Address> address = ethereum::AddressFromText(text);
  if (!address.ok()) return Wrong(option, address.status().message());
  return address;
}

absl::StatusOr<std::vector<Address>> ReadAddresses(const runtime::Config& config,
                                                   const std::string& option) {
  std::vector<Address> addresses;
  for (const std::string& text : config.StringList(option)) {
    absl::StatusOr<Address> address = ReadAddress(option, text);
    if (!address.ok()) return address.status();
    addresses.push_back(*address);
  }
  std::sort(addresses.begin(), addresses.end());
  const auto twice = std::adjacent_find(addresses.begin(), addresses.end());
  if (twice != addresses.end())
    return Wrong(option, absl::StrCat(ethereum::ToChecksum(*twice), " comes twice"));
  return addresses;
}

absl::Status ReadAmounts(const runtime::Config& config, Policy* policy) {
  for (const WeiOption& option : kWeiOptions) {
    const std::string& text = config.String(option.name);
    if (text.empty()) continue;
    const absl::StatusOr<ethereum::U256> value = ethereum::U256FromString(text);
    if (!value.ok()) return Wrong(option.name, value.status().message());
    const absl::StatusOr<Wei> wei = ledger::WeiFromU256(*value);
    if (!wei.ok()) return Wrong(option.name, wei.status().message());
    policy->*option.field = *wei;
  }
  if (config.String("max-transfer-wei").empty()) policy->max_transfer = policy->max_face_value;
  return absl::OkStatus();
}

absl::Status ReadIdentities(const runtime::Config& config, Policy* policy) {
  const absl::StatusOr<Address> broker =
      ReadAddress("ticket-broker", config.String("ticket-broker"));
  if (!broker.ok()) return broker.status();
  policy->broker = *broker;
  absl::StatusOr<std::vector<Address>> recipients = ReadAddresses(config, "allowed-recipients");
  if (!recipients.ok()) return recipients.status();
  policy->allowed_recipients = *std::move(recipients);
  absl::StatusOr<std::vector<Address>> admins = ReadAddresses(config, "admins");
  if (!admins.ok()) return admins.status();
  policy->admins = *std::move(admins);
  if (config.String("credit-reporter").empty()) return absl::OkStatus();
  const absl::StatusOr<Address> reporter =
      ReadAddress("credit-reporter", config.String("credit-reporter"));
  if (reporter.ok()) policy->credit_reporter = *reporter;
  return reporter.status();
}

// The options that make a policy when any of them is given.
bool AnyIsSet(const runtime::Config& config) {
  for (const char* name : {"chain-id", "ticket-broker", "max-tickets", "win-prob", "max-gas-limit",
                           "ticket-validity-rounds", "allowed-recipients", "velocity-window",
                           "velocity-signatures", "admins", "admin-threshold", "credit-reporter"}) {
    if (config.IsSet(name)) return true;
  }
  const auto set = [&](const auto& option) { return config.IsSet(option.name); };
  return std::any_of(std::begin(kWeiOptions), std::end(kWeiOptions), set) ||
         std::any_of(std::begin(kBoolOptions), std::end(kBoolOptions), set);
}

}  // namespace

void AddPolicyOptions(runtime::ConfigSpec* spec) {
  spec->Add(Number("chain-id", "", "The only chain this key signs for.", 0, UINT64_MAX))
      .Add({.name = "ticket-broker", .help = "The only TicketBroker this key pays through, 0x..."})
      .Add(Number("max-tickets", "100", "Most tickets in one transaction.", 1, policy::kMaxTickets))
      .Add({.name = "win-prob",
            .help = "The winProb of every ticket, decimal or 0x; 2^256-1 (always) when not given."})
      .Add(Number("max-gas-limit", "30000000", "Most gas of one transaction.", 21000, UINT64_MAX))
      .Add(Number("ticket-validity-rounds", "2", "TicketBroker.ticketValidityPeriod().", 1,
                  UINT64_MAX))
      .Add({.name = "allowed-recipients",
            .type = OptionType::kStringList,
            .help = "Who may be paid, 0x...,0x...; anybody when not given (a signer's transfers: "
                    "nobody)."})
      .Add({.name = "velocity-window",
            .type = OptionType::kDuration,
            .default_text = "0s",
            .help = "The sliding window of the velocity limits, up to 31 days; 0s = no such "
                    "limits."})
      .Add(Number("velocity-signatures", "100000", "Most signatures in any velocity window.", 1,
                  policy::kMaxVelocitySignatures))
      .Add({.name = "admins",
            .type = OptionType::kStringList,
            .help = "Who may change this policy by their signatures, 0x...,0x...; nobody when not "
                    "given."})
      .Add(Number("admin-threshold", "", "How many of the admins must sign a change.", 0,
                  policy::kMaxAdmins))
      .Add({.name = "credit-reporter", .help = "Whose signature an event bears, 0x..."});
  for (const WeiOption& option : kWeiOptions) {
    spec->Add({.name = option.name, .default_text = option.default_text, .help = option.help});
  }
  for (const BoolOption& option : kBoolOptions) {
    spec->Add({.name = option.name,
               .type = OptionType::kBool,
               .default_text = option.default_text,
               .help = option.help});
  }
}

absl::StatusOr<Policy> PolicyFromOptions(const runtime::Config& config,
                                         boundary::v1::Profile profile, bool comes_with_key) {
  const bool signer = profile == boundary::v1::PROFILE_SIGNER;
  if ((signer || comes_with_key) && !AnyIsSet(config)) return policy::Unrestricted();
  if (config.Uint64("chain-id") == 0 || config.String("ticket-broker").empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--chain-id and --ticket-broker are needed: one key serves one chain and one "
                     "broker",
                     signer ? " (a signer without a policy is given no option of one)" : ""));
  }
  Policy policy;
  policy.chain_id = config.Uint64("chain-id");
  policy.max_tickets = static_cast<uint32_t>(config.Uint64("max-tickets"));
  policy.max_gas_limit = config.Uint64("max-gas-limit");
  policy.ticket_validity_rounds = config.Uint64("ticket-validity-rounds");
  policy.velocity_window =
      static_cast<uint64_t>(absl::ToInt64Seconds(config.Duration("velocity-window")));
  policy.velocity_signatures = static_cast<uint32_t>(config.Uint64("velocity-signatures"));
  policy.admin_threshold = static_cast<uint32_t>(config.Uint64("admin-threshold"));
  for (const BoolOption& option : kBoolOptions) policy.*option.field = config.Bool(option.name);
  if (const std::string& text = config.String("win-prob"); !text.empty()) {
    const absl::StatusOr<ethereum::U256> value = ethereum::U256FromString(text);
    if (!value.ok()) return Wrong("win-prob", value.status().message());
    policy.win_prob = *value;
  }
  if (!signer && policy.win_prob != ~ethereum::U256(0)) {
    return Wrong("win-prob", "an authority's tickets always win (2^256-1): what is owed is paid");
  }
  if (absl::Status s = ReadAmounts(config, &policy); !s.ok()) return s;
  if (absl::Status s = ReadIdentities(config, &policy); !s.ok()) return s;
  boundary::v1::Policy proto;
  policy::ToProto(policy, &proto);
  return policy::FromProto(proto);  // one place judges a policy
}

}  // namespace coffer::enclave
