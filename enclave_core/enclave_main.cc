// coffer-enclave: the trusted program. Reads its configuration and the key, opens its one port, and
// serves until it is told to stop. It writes no file; what it must remember it hands to the host,
// sealed.
#include <google/protobuf/stubs/logging.h>
#include <openssl/crypto.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/enclave/attestor_options.h"
#include "actors/enclave/enclave.h"
#include "actors/enclave/kms_options.h"
#include "actors/policy_options.h"
#include "enclave_core/ethereum/secret_hex.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/typed_data.h"
#include "runtime/config.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"
#include "runtime/log.h"
#include "runtime/os_clock.h"
#include "runtime/os_env.h"
#include "runtime/os_file.h"
#include "runtime/os_random.h"
#include "runtime/process.h"

namespace coffer {
namespace {

using ethereum::PrivateKey;
using runtime::Level;
using runtime::Log;
using runtime::OptionType;

constexpr uint64_t kMaxSigners = 64;

runtime::ConfigSpec Spec() {
  runtime::ConfigSpec spec(
      "coffer-enclave",
      "The trusted half of Coffer: owns the balances, the payouts and the signing key. A host "
      "(coffer-host) connects to it, "
      "stores its sealed state and talks to the chain for it.",
      "coffer-enclave --listen vsock://16:5000 --profile authority    (its key comes from KMS)\n"
      "  SIGNER_PRIVATE_KEY=0x... coffer-enclave --insecure-dev-key --listen "
      "unix:///run/coffer/enclave.sock \\\n"
      "    --chain-id 42161 --ticket-broker 0xa8bb618b1520e284046f3dfc448851a1ff26e41b\n"
      "  SIGNER_PRIVATE_KEY=0x... coffer-enclave --profile signer --listen "
      "tcp://127.0.0.1:5000 --insecure-dev-key");
  spec.Add(
          {.name = "listen",
           .default_text = "tcp://127.0.0.1:5000",
           .help = "Where to listen: tcp://HOST:PORT, unix:///PATH or vsock://CID:PORT (any CID)."})
      .Add({.name = "insecure-dev-key",
            .type = OptionType::kBool,
            .help = "Take the signing key from SIGNER_PRIVATE_KEY or --key-file, instead of KMS "
                    "(provision, generate). Whoever can read that can steal."})
      .Add({.name = "key-file",
            .help = "A file of mode 0600 with the key as 64 hex digits (with --insecure-dev-key)."})
      .Add({.name = "profile",
            .default_text = "authority",
            .help = "authority: owns balances and signs only what it built itself; signer: signs "
                    "what the policy allows and keeps no ledger.",
            .choices = {"authority", "signer"}})
      .Add({.name = "storage",
            .default_text = "auto",
            .help = "host: a host stores the sealed state; none: the state lives in memory and in "
                    "export_state; auto: none for a signer without velocity limits and admins.",
            .choices = {"auto", "host", "none"}})
      .Add({.name = "allow-reprovision",
            .type = OptionType::kBool,
            .help = "Accept another key from KMS when there is one already and nothing has "
                    "changed since (with --storage none; otherwise until a state is loaded, "
                    "without this).",
            .env = {"SIGNER_ALLOW_REPROVISION"}})
      .Add({.name = "insecure-accept-policy-change",
            .type = OptionType::kBool,
            .help = "Load a state that was sealed with another policy without admins, and seal the "
                    "present one from now on."})
      .Add({.name = "snapshot-interval",
            .type = OptionType::kBytes,
            .default_text = "16MiB",
            .help = "Least weight of the records between two snapshots."})
      .Add({.name = "signers",
            .type = OptionType::kUint64,
            .default_text = "0",
            .help = "Threads that sign, at most 64; 0: one for each processor.",
            .max = kMaxSigners})
      .Add({.name = "log.level", .default_text = "info", .help = "debug, info, warn or error."})
      .Add({.name = "log.format",
            .default_text = "text",
            .help = "text or json.",
            .choices = {"text", "json"}});
  enclave::AddAttestorOptions(&spec);
  enclave::AddKmsOptions(&spec);
  enclave::AddPolicyOptions(&spec);
  return spec;
}

size_t SignerCount(const runtime::Config& config) {
  const uint64_t asked = config.Uint64("signers");
  if (asked > 0) return asked;
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxSigners);
}

class SignerThreads {
 public:
  explicit SignerThreads(size_t count) {
    for (; count > 0; --count)
      threads_.push_back(std::make_unique<runtime::EventLoopThread>("signer"));
  }
  std::vector<runtime::Dispatcher*> loops() const {
    std::vector<runtime::Dispatcher*> loops;
    for (const auto& thread : threads_) loops.push_back(thread->loop());
    return loops;
  }
  void StopAndJoin() {
    for (const auto& thread : threads_) thread->StopAndJoin();
  }

 private:
  std::vector<std::unique_ptr<runtime::EventLoopThread>> threads_;
};

boundary::v1::Profile ReadProfile(const runtime::Config& config) {
  return config.String("profile") == "signer" ? boundary::v1::PROFILE_SIGNER
                                              : boundary::v1::PROFILE_AUTHORITY;
}

// Whether the enclave runs without a storage. A signer that has nothing to remember needs none.
absl::StatusOr<bool> ReadWithoutStorage(const runtime::Config& config,
                                        boundary::v1::Profile profile,
                                        const policy::Policy& policy) {
  const std::string& storage = config.String("storage");
  const bool remembers = policy.velocity_window > 0 || !policy.admins.empty();
  if (storage == "auto") return profile == boundary::v1::PROFILE_SIGNER && !remembers;
  if (storage == "none" && remembers) {
    return absl::InvalidArgumentError(
        "--storage none forgets at each restart what velocity limits and changes by admins have to "
        "remember; leave it out, or leave those out");
  }
  return storage == "none";
}

void Wipe(std::string* secret) { OPENSSL_cleanse(secret->data(), secret->size()); }

absl::StatusOr<std::string> ReadKeyFile(const std::string& path) {
  constexpr size_t kMaxKeyFileBytes = 256;
  absl::StatusOr<std::string> text = runtime::OsReadSecretFile(path, kMaxKeyFileBytes);
  if (!text.ok()) return text;
  while (!text->empty() && (text->back() == '\n' || text->back() == '\r' || text->back() == ' ')) {
    text->pop_back();
  }
  return text;
}

// The development key source. The text never reaches a log or an error (I8).
absl::StatusOr<PrivateKey> ReadKey(const runtime::Config& config) {
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
  const absl::StatusOr<ethereum::SecretBytes> secret = ethereum::SecretFromHex(text, 32);
  Wipe(&text);
  if (absl::IsInvalidArgument(secret.status())) {
    return absl::InvalidArgumentError("the signing key must be 64 hex digits");
  }
  if (!secret.ok()) return secret.status();
  return PrivateKey::FromBytes(secret->view());
}

// Where the key comes from when it is not there from the start.
absl::StatusOr<enclave::KeySource> ReadKeySource(const runtime::Config& config,
                                                 attestation::Attester* attester) {
  if (config.Bool("insecure-dev-key")) return enclave::KeySource();
  if (attester != nullptr) return enclave::KeySourceFromOptions(config, attester);
  return absl::FailedPreconditionError(
      "no key can be had here: KMS gives one only to an enclave that attests what it is, and there "
      "is no attestation device (/dev/nsm, or --attestor dev). For development: --insecure-dev-key "
      "with SIGNER_PRIVATE_KEY or --key-file");
}

// What is insecure about how it was started.
void Warn(const runtime::Config& config, const enclave::EnclaveOptions& options, bool local) {
  const bool dev_key = config.Bool("insecure-dev-key");
  const std::pair<bool, const char*> parts[] = {
      {dev_key,
       "INSECURE: the signing key came from outside (--insecure-dev-key), so this machine's "
       "operator can have it. For development only"},
      {options.policy.unrestricted && dev_key,
       "INSECURE: there is no policy: whatever a client asks for is signed. Give --chain-id, "
       "--ticket-broker and limits"},
      {options.policy.allow_raw_messages,
       "INSECURE: bare messages are signed (--allow-raw-messages); one can be the hash of a ticket "
       "that no limit allows"},
      {options.profile == boundary::v1::PROFILE_AUTHORITY,
       "settlement tier T0: receipts are believed on the host's word; no freshness counter: an old "
       "state is not recognised"},
      {options.profile == boundary::v1::PROFILE_AUTHORITY && options.without_storage,
       "INSECURE: nothing is stored (--storage none): what was acknowledged since the last "
       "export_state is lost with this process, and could be paid again"},
      {options.policy.void_on_host_word,
       "INSECURE: expired tickets are voided on the host's word (--insecure-void-on-host-word); a "
       "host that lies pays twice"},
      {options.accept_policy_change,
       "INSECURE: a sealed policy gives way to the present flags "
       "(--insecure-accept-policy-change)"},
      {config.Bool("allow-reprovision"),
       "INSECURE: whoever reaches this port may provision another key as long as nothing has "
       "changed (--allow-reprovision)"},
      {!local,
       "INSECURE: the port can be reached from other machines, and its clients are not "
       "authenticated"}};
  for (const auto& [holds, sentence] : parts) {
    if (holds) Log(Level::kWarn, "enclave", sentence);
  }
}

void Banner(const runtime::Config& config, const enclave::EnclaveOptions& options,
            const enclave::Enclave& enclave) {
  Log(Level::kInfo, "enclave", "listening",
      {{"endpoint", enclave.endpoint().ToString()},
       {"address", enclave.address().has_value() ? ethereum::ToChecksum(*enclave.address())
                                                 : "none: waits for provision or generate"},
       {"profile", config.String("profile")},
       {"storage", options.without_storage ? "none" : "host"},
       {"policy",
        options.policy.unrestricted ? "none" : policy::PolicyHash(options.policy).ToHex()},
       {"version", runtime::BuildVersion()}});
  Warn(config, options, enclave.endpoint().IsLocal());
}

int Fail(const absl::Status& why) {
  std::fprintf(stderr, "coffer-enclave: %s\n", std::string(why.message()).c_str());
  return 2;
}

int Run(const runtime::Config& config, const absl::Status& bound) {
  runtime::LogOptions log;
  if (absl::Status s = runtime::ParseLogLevel(config.String("log.level"), &log.level); !s.ok())
    return Fail(s);
  log.json = config.String("log.format") == "json";
  runtime::InitLog(log);
  if (absl::Status s = runtime::ForbidCoreDumps(); !s.ok()) return Fail(s);
  if (!bound.ok()) {
    Log(Level::kWarn, "enclave",
        "pieces of credentials may stay on the stack; start it with LD_BIND_NOW=1",
        {{"why", bound}});
  }
  const uint64_t files = runtime::RaiseFileLimit();
  if (absl::Status s = runtime::LockMemory(); !s.ok()) {
    Log(Level::kWarn, "enclave", "memory may be swapped, the pages of keys excepted", {{"why", s}});
  }
  const boundary::v1::Profile profile = ReadProfile(config);
  const bool dev_key = config.Bool("insecure-dev-key");
  absl::StatusOr<policy::Policy> policy = enclave::PolicyFromOptions(config, profile, !dev_key);
  if (!policy.ok()) return Fail(policy.status());
  const absl::StatusOr<bool> without_storage = ReadWithoutStorage(config, profile, *policy);
  if (!without_storage.ok()) return Fail(without_storage.status());
  absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(config.String("listen"));
  if (!endpoint.ok()) return Fail(endpoint.status());
  // Before anything draws randomness: the device's is mixed in.
  absl::StatusOr<std::unique_ptr<attestation::Attester>> attester =
      enclave::AttesterFromOptions(config, runtime::OsWallNow);
  if (!attester.ok()) return Fail(attester.status());
  const absl::StatusOr<enclave::KeySource> source = ReadKeySource(config, attester->get());
  if (!source.ok()) return Fail(source.status());
  std::optional<PrivateKey> key;
  if (dev_key) {
    absl::StatusOr<PrivateKey> read = ReadKey(config);
    if (!read.ok()) return Fail(read.status());
    key = *std::move(read);
  }
  std::fputs(config.Effective().c_str(), stderr);

  enclave::EnclaveOptions options;
  options.version = runtime::BuildVersion();
  options.profile = profile;
  options.policy = *policy;
  options.without_storage = *without_storage;
  options.accept_policy_change = config.Bool("insecure-accept-policy-change");
  options.allow_reprovision = config.Bool("allow-reprovision");
  options.min_snapshot_interval_bytes = config.Bytes("snapshot-interval");

  // Some descriptors are for other things. The gateway decides whose connection makes room, so that
  // the network has to let one more in.
  constexpr uint64_t kOtherFiles = 64;
  if (files > 2 * kOtherFiles && files - kOtherFiles < options.max_sessions) {
    options.max_sessions = files - kOtherFiles;
  }
  runtime::NetworkOptions network_options;
  network_options.max_connections = options.max_sessions + 1;

  runtime::OsRandom random;
  runtime::EventLoop loop;
  SignerThreads signing(SignerCount(config));
  runtime::EventLoopThread attesting("attestor");
  const std::unique_ptr<runtime::Network> network =
      runtime::NewEventNetwork(&loop, network_options);
  const enclave::AttestationPorts ports{attester->get(), attesting.loop()};
  const auto made = key.has_value()
                        ? std::make_unique<enclave::Enclave>(options, *std::move(key), &random,
                                                             &loop, signing.loops(), ports)
                        : std::make_unique<enclave::Enclave>(options, &random, &loop,
                                                             signing.loops(), ports, *source);
  enclave::Enclave& enclave = *made;
  if (absl::Status s = enclave.Listen(network.get(), *endpoint); !s.ok()) return Fail(s);
  Banner(config, options, enclave);
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
  attesting.StopAndJoin();
  Log(Level::kInfo, "enclave", "stopped");
  return 0;
}

}  // namespace
}  // namespace coffer

int main(int argc, char** argv) {
  const absl::Status bound = coffer::runtime::BindSymbolsNow(argv);
  coffer::runtime::IgnoreSigpipe();
  // protobuf would write a line to stderr for every field of a hostile frame that is not UTF-8.
  google::protobuf::SetLogHandler(nullptr);
  return coffer::Run(coffer::Spec().LoadOrExit(argc, argv).config, bound);
}
