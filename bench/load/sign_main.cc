// coffer-sign-bench: asks a signer for transactions over the JSON protocol, as fast as it gives
// them, and prints the rate as JSON. What it does itself is next to nothing: the requests are made
// before the clock starts, and of an answer it reads the length and the first bytes.
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "runtime/config.h"
#include "runtime/os_clock.h"
#include "runtime/process.h"
#include "runtime/socket_address.h"

namespace coffer::load {
namespace {

using runtime::Fd;
using runtime::OptionType;

constexpr std::string_view kGood = R"({"result":{"raw_tx":"0x)";
constexpr size_t kHeaderBytes = 4;
constexpr size_t kReadBytes = 256u << 10;

runtime::ConfigSpec Spec() {
  runtime::ConfigSpec spec("coffer-sign-bench",
                           "Asks a running coffer-enclave --profile signer (without a policy) for "
                           "signed transactions, over the JSON protocol.",
                           "coffer-sign-bench --enclave unix:///tmp/enclave.sock --mode pipelined");
  spec.Add({.name = "enclave", .help = "The enclave's endpoint.", .required = true})
      .Add({.name = "mode",
            .default_text = "pipelined",
            .help = "pipelined: one connection with --window requests in flight; connections: a "
                    "connection a request, from --clients threads.",
            .choices = {"pipelined", "connections"}})
      .Add({.name = "window",
            .type = OptionType::kUint64,
            .default_text = "400",
            .help = "Requests in flight.",
            .min = 1,
            .max = 1000})
      .Add({.name = "clients",
            .type = OptionType::kUint64,
            .default_text = "1",
            .help = "Threads of the mode connections.",
            .min = 1,
            .max = 64})
      .Add({.name = "seconds",
            .type = OptionType::kUint64,
            .default_text = "5",
            .help = "How long, after a warm-up of a fifth of it.",
            .min = 1,
            .max = 3600});
  return spec;
}

std::string Frame(std::string_view payload) {
  const size_t n = payload.size();
  std::string out = {static_cast<char>(n >> 24), static_cast<char>(n >> 16),
                     static_cast<char>(n >> 8), static_cast<char>(n)};
  return out.append(payload);
}

// A transaction as eth-account has it: a redemption's worth of fields, and a little calldata.
std::string Request(uint64_t nonce) {
  return Frame(absl::StrCat(
      R"({"method":"sign_transaction","params":{"tx":{"chainId":42161,"data":"0x6caa736b",)",
      R"("gas":350000,"maxFeePerGas":200000000,"maxPriorityFeePerGas":0,"nonce":)", nonce,
      R"(,"to":"0xa8bb618b1520e284046f3dfc448851a1ff26e41b","value":1000000000000000}}})"));
}

absl::StatusOr<Fd> Connect(const runtime::SocketAddress& address) {
  Fd fd(socket(address.family(), SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (fd.get() < 0 || connect(fd.get(), address.get(), address.length) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot connect: ", runtime::ErrnoText(errno)));
  }
  return fd;
}

absl::Status SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return absl::UnavailableError("the enclave closed the connection");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

// Takes answers from a connection and counts them.
class Answers {
 public:
  explicit Answers(int fd) : fd_(fd) { buffer_.resize(2 * kReadBytes); }

  // Reads once; how many answers became whole. An answer that is no signature is an error.
  absl::StatusOr<size_t> Read() {
    if (buffer_.size() - end_ < kReadBytes) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    const ssize_t read = recv(fd_, buffer_.data() + end_, kReadBytes, 0);
    if (read <= 0) return absl::UnavailableError("the enclave closed the connection");
    end_ += static_cast<size_t>(read);
    size_t count = 0;
    while (end_ - begin_ >= kHeaderBytes) {
      const auto* header = reinterpret_cast<const unsigned char*>(buffer_.data() + begin_);
      const size_t length = size_t{header[0]} << 24 | size_t{header[1]} << 16 |
                            size_t{header[2]} << 8 | size_t{header[3]};
      if (length > kReadBytes) return absl::InternalError("an answer that is no transaction");
      if (end_ - begin_ < kHeaderBytes + length) break;
      const std::string_view payload(buffer_.data() + begin_ + kHeaderBytes, length);
      if (payload.substr(0, kGood.size()) != kGood) {
        return absl::InternalError(absl::StrCat("not signed: ", std::string(payload)));
      }
      begin_ += kHeaderBytes + length;
      ++count;
    }
    return count;
  }

 private:
  const int fd_;
  std::string buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// Requests one after the other, back to back in memory.
struct Requests {
  explicit Requests(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      starts.push_back(bytes.size());
      bytes += Request(i);
    }
    starts.push_back(bytes.size());
  }
  size_t count() const { return starts.size() - 1; }
  std::string_view Range(size_t from, size_t to) const {
    return std::string_view(bytes).substr(starts[from], starts[to] - starts[from]);
  }
  std::string bytes;
  std::vector<size_t> starts;
};

// Counts from the end of the warm-up on.
struct Pace {
  explicit Pace(double seconds)
      : warm(runtime::OsMonotonicNow() + absl::Seconds(seconds / 5)),
        end(warm + absl::Seconds(seconds)) {}
  const absl::Time warm;
  const absl::Time end;
};

absl::StatusOr<double> Pipelined(const runtime::SocketAddress& address, size_t window,
                                 double seconds) {
  const Requests requests(20'000);
  absl::StatusOr<Fd> fd = Connect(address);
  if (!fd.ok()) return fd.status();
  Answers answers(fd->get());
  const Pace pace(seconds);
  size_t next = 0;
  size_t in_flight = 0;
  uint64_t counted = 0;
  absl::Time began = pace.warm;
  absl::Time now = runtime::OsMonotonicNow();
  bool warm = false;
  while (now < pace.end) {
    // Many at a time, so that a system call carries many.
    if (in_flight <= window / 2) {
      const size_t to = std::min(next + window - in_flight, requests.count());
      if (absl::Status s = SendAll(fd->get(), requests.Range(next, to)); !s.ok()) return s;
      in_flight += to - next;
      next = to == requests.count() ? 0 : to;
    }
    const absl::StatusOr<size_t> read = answers.Read();
    if (!read.ok()) return read.status();
    in_flight -= *read;
    now = runtime::OsMonotonicNow();
    if (warm) {
      counted += *read;
    } else if (now >= pace.warm) {
      warm = true;
      began = now;
    }
  }
  return static_cast<double>(counted) / absl::ToDoubleSeconds(now - began);
}

absl::Status OneEach(const runtime::SocketAddress& address, const Pace& pace,
                     std::atomic<uint64_t>* counted) {
  const std::string request = Request(0);
  for (absl::Time now = runtime::OsMonotonicNow(); now < pace.end;
       now = runtime::OsMonotonicNow()) {
    const absl::StatusOr<Fd> fd = Connect(address);
    if (!fd.ok()) return fd.status();
    if (absl::Status s = SendAll(fd->get(), request); !s.ok()) return s;
    Answers answers(fd->get());
    for (size_t got = 0; got == 0;) {
      const absl::StatusOr<size_t> read = answers.Read();
      if (!read.ok()) return read.status();
      got = *read;
    }
    if (now >= pace.warm) ++*counted;
  }
  return absl::OkStatus();
}

absl::StatusOr<double> Connections(const runtime::SocketAddress& address, size_t clients,
                                   double seconds) {
  const Pace pace(seconds);
  std::atomic<uint64_t> counted = 0;
  std::vector<absl::Status> results(clients);
  std::vector<std::thread> threads;
  for (size_t i = 0; i < clients; ++i) {
    threads.emplace_back([&, i] { results[i] = OneEach(address, pace, &counted); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& result : results) {
    if (!result.ok()) return result;
  }
  return static_cast<double>(counted) / seconds;
}

int Fail(const absl::Status& why) {
  std::fprintf(stderr, "coffer-sign-bench: %s\n", std::string(why.message()).c_str());
  return 1;
}

int Run(const runtime::Config& config) {
  const absl::StatusOr<runtime::Endpoint> endpoint =
      runtime::Endpoint::Parse(config.String("enclave"));
  if (!endpoint.ok()) return Fail(endpoint.status());
  const absl::StatusOr<runtime::SocketAddress> address = runtime::LiteralAddress(*endpoint, false);
  if (!address.ok()) return Fail(address.status());
  const auto seconds = static_cast<double>(config.Uint64("seconds"));
  const std::string& mode = config.String("mode");
  const absl::StatusOr<double> rate =
      mode == "pipelined" ? Pipelined(*address, config.Uint64("window"), seconds)
                          : Connections(*address, config.Uint64("clients"), seconds);
  if (!rate.ok()) return Fail(rate.status());
  std::printf("{\"case\":\"%s\",\"figures\":{\"per_second\":%.1f}}\n", mode.c_str(), *rate);
  return 0;
}

}  // namespace
}  // namespace coffer::load

int main(int argc, char** argv) {
  coffer::runtime::IgnoreSigpipe();
  return coffer::load::Run(coffer::load::Spec().LoadOrExit(argc, argv).config);
}
