// coffer-enclave: the trusted program. Reads its configuration and the key, opens its one port, and
// serves until it is told to stop. It writes no file; what it must remember it hands to the host,
// sealed.
#include <google/protobuf/stubs/logging.h>
#include <openssl/crypto.h>
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/enclave/enclave.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "runtime/config.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"
#include "runtime/log.h"
#include "runtime/os_env.h"
#include "runtime/os_random.h"
#include "runtime/process.h"

namespace coffer {
namespace {

using ethereum::PrivateKey;
using runtime::Level;
using runtime::Log;
using runtime::OptionType;

runtime::ConfigSpec Spec() {
  runtime::ConfigSpec spec(
      "coffer-enclave",
      "The trusted half of Coffer: owns the balances, the payouts and the signing key. A host "
      "(coffer-host) connects to it, "
      "stores its sealed state and talks to the chain for it.",
      "SIGNER_PRIVATE_KEY=0x... coffer-enclave --insecure-dev-key --listen "
      "unix:///run/coffer/enclave.sock \\\n"
      "    --chain-id 42161 --ticket-broker 0xa8bb618b1520e284046f3dfc448851a1ff26e41b");
  spec.Add(
          {.name = "listen",
           .default_text = "tcp://127.0.0.1:5000",
           .help = "Where to listen: tcp://HOST:PORT, unix:///PATH or vsock://CID:PORT (any CID)."})
      .Add({.name = "insecure-dev-key",
            .type = OptionType::kBool,
            .help = "Take the signing key from SIGNER_PRIVATE_KEY or --key-file. Whoever can read "
                    "that can steal."})
      .Add({.name = "key-file",
            .help = "A file of mode 0600 with the key as 64 hex digits (with --insecure-dev-key)."})
      .Add({.name = "chain-id",
            .type = OptionType::kUint64,
            .help = "The only chain this key signs for.",
            .required = true,
            .min = 1})
      .Add({.name = "ticket-broker",
            .help = "The only TicketBroker this key pays through, 0x...",
            .required = true})
      .Add({.name = "allow-tickets",
            .type = OptionType::kBool,
            .default_text = "true",
            .help = "Allow the strategy livepeer_ticket."})
      .Add({.name = "allow-eth-transfer",
            .type = OptionType::kBool,
            .help = "Allow the strategy eth_transfer."})
      .Add({.name = "max-face-value-wei",
            .default_text = "1000000000000000000",
            .help = "Most wei in one ticket or transfer."})
      .Add({.name = "max-batch-total-wei",
            .default_text = "20000000000000000000",
            .help = "Most wei in one transaction's tickets."})
      .Add({.name = "max-tickets",
            .type = OptionType::kUint64,
            .default_text = "100",
            .help = "Most tickets in one transaction.",
            .min = 1,
            .max = policy::kMaxTickets})
      .Add({.name = "max-gas-limit",
            .type = OptionType::kUint64,
            .default_text = "30000000",
            .help = "Most gas of one transaction.",
            .min = 21000})
      .Add({.name = "max-fee-per-gas-wei",
            .default_text = "200000000000",
            .help = "Most wei a gas (EIP-1559)."})
      .Add({.name = "max-priority-fee-per-gas-wei",
            .default_text = "10000000000",
            .help = "Most wei a gas for the block's maker."})
      .Add({.name = "max-fund-deposit-wei",
            .default_text = "10000000000000000000",
            .help = "Most wei of one fundDeposit; 0 = never."})
      .Add({.name = "max-fund-reserve-wei",
            .default_text = "0",
            .help = "Most wei of one fundReserve; 0 = never."})
      .Add({.name = "ticket-validity-rounds",
            .type = OptionType::kUint64,
            .default_text = "2",
            .help = "TicketBroker.ticketValidityPeriod().",
            .min = 1})
      .Add({.name = "insecure-void-on-host-word",
            .type = OptionType::kBool,
            .help = "Believe the host that an expired ticket is unused, or that a transfer failed. "
                    "A host "
                    "that lies pays twice."})
      .Add({.name = "accept-policy-change",
            .type = OptionType::kBool,
            .help = "Load a state that was sealed with other limits, and seal the present ones "
                    "from now on."})
      .Add({.name = "snapshot-interval",
            .type = OptionType::kBytes,
            .default_text = "16MiB",
            .help = "Least weight of the records between two snapshots."})
      .Add({.name = "log.level", .default_text = "info", .help = "debug, info, warn or error."})
      .Add({.name = "log.format",
            .default_text = "text",
            .help = "text or json.",
            .choices = {"text", "json"}});
  return spec;
}

absl::StatusOr<policy::Policy> ReadPolicy(const runtime::Config& config) {
  policy::Policy policy;
  policy.chain_id = config.Uint64("chain-id");
  const absl::StatusOr<ethereum::Address> broker =
      ethereum::AddressFromText(config.String("ticket-broker"));
  if (!broker.ok())
    return absl::InvalidArgumentError(absl::StrCat("ticket-broker: ", broker.status().message()));
  policy.broker = *broker;
  policy.allow_tickets = config.Bool("allow-tickets");
  policy.allow_eth_transfer = config.Bool("allow-eth-transfer");
  policy.max_tickets = static_cast<uint32_t>(config.Uint64("max-tickets"));
  policy.max_gas_limit = config.Uint64("max-gas-limit");
  policy.ticket_validity_rounds = config.Uint64("ticket-validity-rounds");
  policy.void_on_host_word = config.Bool("insecure-void-on-host-word");
  const std::pair<const char*, ledger::Wei*> amounts[] = {
      {"max-face-value-wei", &policy.max_face_value},
      {"max-batch-total-wei", &policy.max_batch_total},
      {"max-fee-per-gas-wei", &policy.max_fee_per_gas},
      {"max-priority-fee-per-gas-wei", &policy.max_priority_fee_per_gas},
      {"max-fund-deposit-wei", &policy.max_fund_deposit},
      {"max-fund-reserve-wei", &policy.max_fund_reserve}};
  for (const auto& [name, field] : amounts) {
    const absl::StatusOr<ethereum::U256> value = ethereum::U256FromString(config.String(name));
    if (!value.ok())
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", value.status().message()));
    const absl::StatusOr<ledger::Wei> wei = ledger::WeiFromU256(*value);
    if (!wei.ok())
      return absl::InvalidArgumentError(absl::StrCat(name, ": ", wei.status().message()));
    *field = *wei;
  }
  policy.max_transfer = policy.max_face_value;
  boundary::v1::Policy proto;
  policy::ToProto(policy, &proto);
  return policy::FromProto(proto);  // one place judges a policy
}

void Wipe(std::string* secret) { OPENSSL_cleanse(secret->data(), secret->size()); }

absl::StatusOr<std::string> ReadKeyFile(const std::string& path) {
  struct stat info {};
  if (stat(path.c_str(), &info) != 0)
    return absl::NotFoundError(absl::StrCat("cannot find the key file ", path));
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("the key file ", path,
                     " can be read by others; chmod 600 it (and consider the key known)"));
  }
  if (info.st_size > 256)
    return absl::InvalidArgumentError(
        absl::StrCat("the key file ", path, " is too long for a key"));
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

// The development key source. The text never reaches a log or an error (I8).
absl::StatusOr<PrivateKey> ReadKey(const runtime::Config& config) {
  if (!config.Bool("insecure-dev-key")) {
    return absl::FailedPreconditionError(
        "no key source: this version takes its key only from --insecure-dev-key with "
        "SIGNER_PRIVATE_KEY or --key-file");
  }
  std::string text;
  if (!config.String("key-file").empty()) {
    absl::StatusOr<std::string> file = ReadKeyFile(config.String("key-file"));
    if (!file.ok()) return file.status();
    text = *std::move(file);
  } else if (std::optional<std::string> variable = runtime::OsEnv("SIGNER_PRIVATE_KEY")) {
    text = *std::move(variable);
    runtime::OsForgetEnv("SIGNER_PRIVATE_KEY");
  } else {
    return absl::NotFoundError("--insecure-dev-key needs SIGNER_PRIVATE_KEY or --key-file");
  }
  absl::StatusOr<std::string> secret = ethereum::FromHex(text);
  Wipe(&text);
  if (!secret.ok() || secret->size() != 32) {
    if (secret.ok()) Wipe(&*secret);
    return absl::InvalidArgumentError("the signing key must be 64 hex digits");
  }
  absl::StatusOr<PrivateKey> key = PrivateKey::FromBytes(*secret);
  Wipe(&*secret);
  return key;
}

void Banner(const runtime::Config& config, const enclave::Enclave& enclave) {
  Log(Level::kInfo, "enclave", "listening",
      {{"endpoint", enclave.endpoint().ToString()},
       {"address", ethereum::ToChecksum(enclave.address())},
       {"version", runtime::BuildVersion()}});
  Log(Level::kWarn, "enclave",
      "INSECURE: the signing key came from outside (--insecure-dev-key), so this machine's "
      "operator can have it. "
      "For development only");
  Log(Level::kWarn, "enclave",
      "settlement tier T0: receipts are believed on the host's word; no freshness counter: an old "
      "state is not recognised");
  if (config.Bool("insecure-void-on-host-word")) {
    Log(Level::kWarn, "enclave",
        "INSECURE: expired tickets are voided on the host's word (--insecure-void-on-host-word); a "
        "host that lies pays twice");
  }
  if (!enclave.endpoint().IsLocal()) {
    Log(Level::kWarn, "enclave",
        "INSECURE: the port can be reached from other machines, and its clients are not "
        "authenticated");
  }
}

int Fail(const absl::Status& why) {
  std::fprintf(stderr, "coffer-enclave: %s\n", std::string(why.message()).c_str());
  return 2;
}

int Run(const runtime::Config& config) {
  runtime::LogOptions log;
  if (absl::Status s = runtime::ParseLogLevel(config.String("log.level"), &log.level); !s.ok())
    return Fail(s);
  log.json = config.String("log.format") == "json";
  runtime::InitLog(log);
  if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return Fail(s);
  if (absl::Status s = runtime::LockMemory(); !s.ok()) {
    Log(Level::kWarn, "enclave", "memory may be swapped, the pages of keys excepted", {{"why", s}});
  }
  absl::StatusOr<policy::Policy> policy = ReadPolicy(config);
  if (!policy.ok()) return Fail(policy.status());
  absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(config.String("listen"));
  if (!endpoint.ok()) return Fail(endpoint.status());
  absl::StatusOr<PrivateKey> key = ReadKey(config);
  if (!key.ok()) return Fail(key.status());
  std::fputs(config.Effective().c_str(), stderr);

  enclave::EnclaveOptions options;
  options.version = runtime::BuildVersion();
  options.policy = *policy;
  options.accept_policy_change = config.Bool("accept-policy-change");
  options.min_snapshot_interval_bytes = config.Bytes("snapshot-interval");

  runtime::OsRandom random;
  runtime::EventLoop loop;
  runtime::EventLoopThread signing("signer");
  const std::unique_ptr<runtime::Network> network = runtime::NewEventNetwork(&loop);
  enclave::Enclave enclave(options, *std::move(key), &random, &loop, signing.loop());
  if (absl::Status s = enclave.Listen(network.get(), *endpoint); !s.ok()) return Fail(s);
  Banner(config, enclave);
  std::unique_ptr<runtime::Timer> grace;
  runtime::ShutdownSignals signals(&loop, [&](int signal) {
    Log(Level::kInfo, "enclave", "shutting down",
        {{"signal", signal}, {"in_flight", enclave.gateway().requests_in_flight()}});
    runtime::NotifyStopping();
    enclave.Shutdown();
    grace = loop.After(absl::Milliseconds(200), [&] { loop.Stop(); });
  });
  runtime::Watchdog watchdog(&loop);
  runtime::NotifyReady(absl::StrCat("listening on ", enclave.endpoint().ToString()));
  loop.Run();
  grace.reset();
  signing.StopAndJoin();
  Log(Level::kInfo, "enclave", "stopped");
  return 0;
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) {
  coffer::runtime::IgnoreSigpipe();
  // protobuf would write a line to stderr for every field of a hostile frame that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  return coffer::Run(coffer::Spec().LoadOrExit(argc, argv).config);
}
