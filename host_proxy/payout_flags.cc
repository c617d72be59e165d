#include "host_proxy/payout_flags.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace coffer::host_proxy {

using host::PayoutDriverOptions;
using runtime::OptionType;

namespace {

absl::Status Wrong(const std::string& option, absl::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat("--", option, ": ", why));
}

absl::StatusOr<absl::uint128> WeiOf(const runtime::Config& config, const std::string& option) {
  constexpr absl::uint128 kLimit = absl::MakeUint128(uint64_t{1} << 63, 0);
  const std::string& text = config.String(option);
  absl::uint128 wei = 0;
  if (text.find_first_not_of("0123456789") != std::string::npos || !absl::SimpleAtoi(text, &wei) ||
      wei >= kLimit) {
    return Wrong(option, "must be a number of wei below 2^127");
  }
  return wei;
}

void AddChain(runtime::ConfigSpec& spec) {
  spec.Add({.name = "chain.urls",
            .type = OptionType::kStringList,
            .help = "JSON-RPC nodes, http:// or https://, the preferred one first; none: nobody is "
                    "paid.",
            .secret = true})
      .Add({.name = "chain.id",
            .type = OptionType::kUint64,
            .help = "The chain's id; nodes of another chain, and an enclave for another one, are "
                    "refused."})
      .Add({.name = "chain.ticket-broker",
            .help = "The TicketBroker the enclave must be bound to; empty: whichever it is."})
      .Add({.name = "chain.finality",
            .default_text = "confirmations",
            .help = "When a receipt is believed.",
            .choices = {"confirmations", "safe", "finalized"}})
      .Add({.name = "chain.confirmations",
            .type = OptionType::kUint64,
            .default_text = "1",
            .help = "Blocks that a receipt must have, its own included.",
            .min = 1,
            .max = 10'000})
      .Add({.name = "chain.timeout",
            .type = OptionType::kDuration,
            .default_text = "10s",
            .help = "How long one node's answer is waited for."})
      .Add({.name = "chain.ca-file",
            .help = "A PEM file of the authorities to trust for https; empty: the system's."});
}

void AddPaying(runtime::ConfigSpec& spec) {
  spec.Add({.name = "payouts.strategy",
            .default_text = "livepeer_ticket",
            .help = "How people are paid.",
            .choices = {"livepeer_ticket", "eth_transfer"}})
      .Add({.name = "payouts.threshold-wei",
            .default_text = "1",
            .help = "Accounts with less available are not paid yet."})
      .Add({.name = "payouts.interval",
            .type = OptionType::kDuration,
            .default_text = "1h",
            .help = "How often accounts to pay are looked for; 0s: only when asked."})
      .Add({.name = "payouts.tick",
            .type = OptionType::kDuration,
            .default_text = "1s",
            .help = "How often payouts under way are looked at."})
      .Add({.name = "payouts.max-tickets",
            .type = OptionType::kUint64,
            .default_text = "100",
            .help = "Tickets in one transaction.",
            .min = 1,
            .max = 100})
      .Add({.name = "payouts.max-under-way",
            .type = OptionType::kUint64,
            .default_text = "8",
            .help = "Transactions under way at a time.",
            .min = 1,
            .max = 64})
      .Add({.name = "payouts.dry-run",
            .type = OptionType::kBool,
            .help = "Say what would be done, sign and send nothing."})
      .Add({.name = "payouts.paused",
            .type = OptionType::kBool,
            .help = "Start paused: until POST /api/payouts/resume nothing new is signed."})
      .Add({.name = "payouts.stuck-after",
            .type = OptionType::kDuration,
            .default_text = "2m",
            .help = "After how long a transaction is sent again, and as long after that, with "
                    "higher fees."})
      .Add({.name = "payouts.retry-after",
            .type = OptionType::kDuration,
            .default_text = "15s",
            .help = "How long to wait after a refusal or a revert, at first; it doubles."})
      .Add({.name = "payouts.logs-from-block",
            .type = OptionType::kUint64,
            .help = "The first block in which others' redemptions of our tickets are looked for."})
      .Add({.name = "payouts.insecure-void-expired",
            .type = OptionType::kBool,
            .help = "Have expired tickets voided on this host's word; the enclave must allow it."});
}

void AddFees(runtime::ConfigSpec& spec) {
  spec.Add({.name = "fees.max-fee-per-gas-wei",
            .default_text = "0",
            .help = "Most wei a gas; 0: what the enclave's policy allows."})
      .Add({.name = "fees.max-priority-fee-per-gas-wei",
            .default_text = "0",
            .help = "Most wei a gas for the block's maker; 0: what the enclave's policy allows."})
      .Add({.name = "fees.priority-fee-per-gas-wei",
            .default_text = "0",
            .help = "Wei a gas offered to the block's maker; 0 on Arbitrum."})
      .Add({.name = "fees.gas-margin-percent",
            .type = OptionType::kUint64,
            .default_text = "120",
            .help = "Gas limits of ticket payouts in percent of what they use at most; what is not "
                    "used is not paid.",
            .min = 100,
            .max = 1000})
      .Add({.name = "fees.gas-extra",
            .type = OptionType::kUint64,
            .default_text = "0",
            .help = "Gas added to every limit, for Arbitrum's L1 part.",
            .max = 1'000'000'000})
      .Add({.name = "deposit.below-wei",
            .default_text = "0",
            .help = "Fill the deposit up when it is below this; 0: never."})
      .Add({.name = "deposit.target-wei",
            .default_text = "0",
            .help = "To how much the deposit is filled up."})
      .Add({.name = "deposit.drain",
            .type = OptionType::kBool,
            .default_text = "true",
            .help = "Bring the deposit, reserve and balance of a draining signing key over to the "
                    "key that follows it, then retire it; false: a key that has any stays."});
}

absl::Status ParseAmounts(const runtime::Config& config, PayoutDriverOptions& driver) {
  const std::pair<const char*, absl::uint128*> amounts[] = {
      {"payouts.threshold-wei", &driver.threshold},
      {"fees.max-fee-per-gas-wei", &driver.fees.max_fee_ceiling},
      {"fees.max-priority-fee-per-gas-wei", &driver.fees.max_priority_fee_ceiling},
      {"fees.priority-fee-per-gas-wei", &driver.priority_fee},
      {"deposit.below-wei", &driver.fund_below},
      {"deposit.target-wei", &driver.fund_target},
  };
  for (const auto& [option, target] : amounts) {
    absl::StatusOr<absl::uint128> wei = WeiOf(config, option);
    if (!wei.ok()) return wei.status();
    *target = *wei;
  }
  if (driver.threshold == 0) return Wrong("payouts.threshold-wei", "must be at least 1");
  if (driver.fund_below > driver.fund_target) {
    return Wrong("deposit.target-wei", "must not be below --deposit.below-wei");
  }
  return absl::OkStatus();
}

absl::Status ParseDriver(const runtime::Config& config, PayoutDriverOptions& driver) {
  driver.strategy = config.String("payouts.strategy") == "eth_transfer"
                        ? boundary::v1::STRATEGY_ETH_TRANSFER
                        : boundary::v1::STRATEGY_LIVEPEER_TICKET;
  const absl::Duration interval = config.Duration("payouts.interval");
  driver.run_interval = interval == absl::ZeroDuration() ? absl::InfiniteDuration() : interval;
  driver.tick = config.Duration("payouts.tick");
  driver.stuck_after = config.Duration("payouts.stuck-after");
  driver.retry_after = config.Duration("payouts.retry-after");
  if (driver.tick < absl::Milliseconds(10)) return Wrong("payouts.tick", "must be at least 10ms");
  if (driver.retry_after < absl::Milliseconds(10)) {
    return Wrong("payouts.retry-after", "must be at least 10ms");
  }
  driver.max_tickets = static_cast<uint32_t>(config.Uint64("payouts.max-tickets"));
  driver.max_under_way = static_cast<uint32_t>(config.Uint64("payouts.max-under-way"));
  driver.dry_run = config.Bool("payouts.dry-run");
  driver.drain_funds = config.Bool("deposit.drain");
  driver.void_expired = config.Bool("payouts.insecure-void-expired");
  if (config.IsSet("payouts.logs-from-block")) {
    driver.logs_from_block = config.Uint64("payouts.logs-from-block");
  }
  driver.gas_margin_percent = static_cast<uint32_t>(config.Uint64("fees.gas-margin-percent"));
  driver.gas_extra = config.Uint64("fees.gas-extra");
  driver.confirmations = config.Uint64("chain.confirmations");
  const std::string& finality = config.String("chain.finality");
  if (finality == "safe") driver.finality = PayoutDriverOptions::Finality::kSafe;
  if (finality == "finalized") driver.finality = PayoutDriverOptions::Finality::kFinalized;
  return ParseAmounts(config, driver);
}

}  // namespace

void AddPayoutOptions(runtime::ConfigSpec& spec) {
  AddChain(spec);
  AddPaying(spec);
  AddFees(spec);
}

absl::StatusOr<std::optional<PayoutFlags>> ParsePayoutFlags(const runtime::Config& config) {
  const std::vector<std::string>& urls = config.StringList("chain.urls");
  if (urls.empty()) return std::optional<PayoutFlags>();
  PayoutFlags flags;
  for (size_t i = 0; i < urls.size(); ++i) {
    absl::StatusOr<host::HttpUrl> url = host::HttpUrl::Parse(urls[i]);
    if (!url.ok()) {
      return Wrong("chain.urls", absl::StrCat("number ", i + 1, ": ", url.status().message()));
    }
    flags.rpc.urls.push_back(*std::move(url));
  }
  flags.chain_id = config.Uint64("chain.id");
  if (flags.chain_id == 0) return Wrong("chain.id", "must be given together with --chain.urls");
  if (const std::string& broker = config.String("chain.ticket-broker"); !broker.empty()) {
    absl::StatusOr<ethereum::Address> address = ethereum::AddressFromText(broker);
    if (!address.ok()) return Wrong("chain.ticket-broker", address.status().message());
    flags.broker = *address;
  }
  flags.rpc.try_timeout = config.Duration("chain.timeout");
  if (flags.rpc.try_timeout <= absl::ZeroDuration()) return Wrong("chain.timeout", "must not be 0");
  flags.http.ca_file = config.String("chain.ca-file");
  flags.start_paused = config.Bool("payouts.paused");
  if (absl::Status s = ParseDriver(config, flags.driver); !s.ok()) return s;
  return std::optional<PayoutFlags>(std::move(flags));
}

}  // namespace coffer::host_proxy
