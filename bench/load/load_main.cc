// coffer-bench: plays the host of a running coffer-enclave, stores what it seals, loads it with
// credits and payouts, and prints what it measured as JSON, one object a line.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/load/cases.h"
#include "runtime/config.h"
#include "runtime/event_network.h"
#include "runtime/process.h"

namespace coffer::load {
namespace {

using runtime::OptionType;

runtime::ConfigSpec Spec() {
  runtime::ConfigSpec spec(
      "coffer-bench",
      "Loads a running coffer-enclave with credits and payouts, as its host, and prints "
      "figures as JSON. The enclave's state "
      "and the folder given with --store belong together; an empty enclave is "
      "loaded from it first.",
      "coffer-bench --enclave unix:///tmp/enclave.sock --store /tmp/store "
      "--cases batched,closed --events 1000000");
  spec.Add({.name = "enclave", .help = "The enclave's endpoint.", .required = true})
      .Add({.name = "store", .help = "A folder for what the enclave seals.", .required = true})
      .Add({.name = "cases",
            .type = OptionType::kStringList,
            .default_text = "batched",
            .help = "In this order: batched, closed, connections (closed, with a connection a "
                    "request), open, payouts, snapshot and stall (what a "
                    "snapshot takes, "
                    "and makes others wait; of an enclave with --snapshot-interval 1), disk (what "
                    "fdatasync takes); load does nothing more."})
      .Add({.name = "durability",
            .default_text = "thread",
            .help = "thread: a thread writes and syncs; inline: at once, without a hop; none: "
                    "nothing is kept.",
            .choices = {"thread", "inline", "none"}})
      .Add({.name = "snapshot",
            .type = OptionType::kBool,
            .default_text = "true",
            .help = "Load from the newest snapshot; --no-snapshot replays every record."})
      .Add({.name = "clients",
            .type = OptionType::kUint64,
            .default_text = "1",
            .help = "Connections that send credits, besides the storage's.",
            .min = 1,
            .max = 200})
      .Add({.name = "first-id",
            .type = OptionType::kUint64,
            .default_text = "0",
            .help = "Number of the first event; numbers used before are duplicates."})
      .Add({.name = "events",
            .type = OptionType::kUint64,
            .default_text = "1000000",
            .help = "Credits of the batched case.",
            .min = 1,
            .max = 20'000'000})
      .Add({.name = "batch",
            .type = OptionType::kUint64,
            .default_text = "2000",
            .help = "Credits a request.",
            .min = 1,
            .max = 10'000})
      .Add({.name = "window",
            .type = OptionType::kUint64,
            .default_text = "8",
            .help = "Requests in flight a connection.",
            .min = 1,
            .max = 500})
      .Add({.name = "accounts",
            .type = OptionType::kUint64,
            .default_text = "300",
            .help = "Accounts that are credited in turn.",
            .min = 1})
      .Add({.name = "seconds",
            .type = OptionType::kUint64,
            .default_text = "5",
            .help = "Length of the cases closed and open, after a warm-up of a fifth of it.",
            .min = 1,
            .max = 3600})
      .Add({.name = "rate",
            .type = OptionType::kUint64,
            .default_text = "1000",
            .help = "Credits a second of the case open.",
            .min = 1,
            .max = 1'000'000})
      .Add({.name = "tickets",
            .type = OptionType::kUint64,
            .default_text = "20",
            .help = "Tickets of one payout of the case payouts.",
            .min = 1,
            .max = 100})
      .Add({.name = "payouts",
            .type = OptionType::kUint64,
            .default_text = "500",
            .help = "Payouts of the case payouts.",
            .min = 1,
            .max = 1'000'000});
  return spec;
}

int Fail(const absl::Status& why) {
  std::fprintf(stderr, "coffer-bench: %s\n", std::string(why.message()).c_str());
  return 1;
}

struct Place {
  runtime::Network* network;
  const runtime::Endpoint& endpoint;
  const std::string& store;
};

absl::StatusOr<std::string> RunCase(const std::string& name, runtime::EventLoop* loop,
                                    const std::vector<std::unique_ptr<Client>>& clients,
                                    const LoadOptions& options, const Place& place) {
  if (name == "batched") return Throughput(loop, clients, options);
  if (name == "closed") return ClosedLoop(loop, clients, options);
  if (name == "connections") {
    return Connections(loop, place.network, place.endpoint, clients.size(), options);
  }
  if (name == "open") return OpenLoop(loop, clients, options);
  if (name == "snapshot") return Snapshot(loop, clients, options);
  if (name == "stall") return Stall(loop, clients, options);
  if (name == "payouts") return Payouts(loop, clients, options);
  if (name == "disk") return Disk(place.store, options.seconds);
  return absl::InvalidArgumentError(absl::StrCat(
      "no case '", name,
      "'; there are batched, closed, connections, open, payouts, snapshot, stall, disk, load"));
}

int Run(const runtime::Config& config) {
  const absl::StatusOr<runtime::Endpoint> endpoint =
      runtime::Endpoint::Parse(config.String("enclave"));
  if (!endpoint.ok()) return Fail(endpoint.status());
  LoadOptions options;
  options.first_id = config.Uint64("first-id");
  options.events = config.Uint64("events");
  options.batch = static_cast<int>(config.Uint64("batch"));
  options.window = static_cast<int>(config.Uint64("window"));
  options.accounts = config.Uint64("accounts");
  options.seconds = static_cast<double>(config.Uint64("seconds"));
  options.rate = static_cast<double>(config.Uint64("rate"));
  options.tickets = static_cast<int>(config.Uint64("tickets"));
  options.payouts = config.Uint64("payouts");
  const std::string& kept = config.String("durability");
  const Durability durability = kept == "thread"   ? Durability::kThread
                                : kept == "inline" ? Durability::kInline
                                                   : Durability::kNone;
  runtime::EventLoop loop;
  const std::unique_ptr<runtime::Network> network = runtime::NewEventNetwork(&loop);
  std::vector<std::unique_ptr<Client>> clients;
  absl::StatusOr<std::unique_ptr<Client>> host = Client::Connect(&loop, network.get(), *endpoint);
  if (!host.ok()) return Fail(host.status());
  absl::StatusOr<std::unique_ptr<Storage>> storage =
      Storage::Open(config.String("store"), durability, &loop,
                    [&](const boundary::v1::Stored& stored) { (*host)->SendStored(stored); });
  if (!storage.ok()) return Fail(storage.status());
  double seconds = 0;
  if (absl::Status s = (*host)->BecomeStorage(storage->get(), config.Bool("snapshot"), &seconds);
      !s.ok()) {
    return Fail(s);
  }
  const absl::StatusOr<boundary::v1::Status> loaded = (*host)->AskStatus();
  if (!loaded.ok()) return Fail(loaded.status());
  std::printf(
      "{\"case\":\"load\",\"figures\":{\"seconds\":%.6f,\"events\":%llu,\"accounts\":%llu}}\n",
      seconds, static_cast<unsigned long long>(loaded->events()),
      static_cast<unsigned long long>(loaded->accounts()));
  std::fflush(stdout);
  for (uint64_t i = 0; i < config.Uint64("clients"); ++i) {
    absl::StatusOr<std::unique_ptr<Client>> client =
        Client::Connect(&loop, network.get(), *endpoint);
    if (!client.ok()) return Fail(client.status());
    clients.push_back(*std::move(client));
  }
  for (const std::string& name : config.StringList("cases")) {
    if (name == "load") continue;
    const absl::StatusOr<std::string> figures =
        RunCase(name, &loop, clients, options, {network.get(), *endpoint, config.String("store")});
    if (!figures.ok()) return Fail(figures.status());
    options.first_id += 1ull << 32;  // the next case's credits are new ones
    std::printf("{\"case\":\"%s\",\"figures\":%s,\"stored_bytes\":%llu,\"syncs\":%llu}\n",
                name.c_str(), figures->c_str(),
                static_cast<unsigned long long>((*storage)->bytes()),
                static_cast<unsigned long long>((*storage)->syncs()));
    std::fflush(stdout);
  }
  storage->reset();
  return 0;
}

}  // namespace
}  // namespace coffer::load

int main(int argc, char** argv) {
  coffer::runtime::IgnoreSigpipe();
  return coffer::load::Run(coffer::load::Spec().LoadOrExit(argc, argv).config);
}
