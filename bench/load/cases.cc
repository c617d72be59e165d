#include "bench/load/cases.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/load/credits.h"
#include "bench/load/histogram.h"
#include "bench/load/pipeline.h"
#include "runtime/os_clock.h"

namespace coffer::load {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

int64_t NanosSince(absl::Time start) {
  return absl::ToInt64Nanoseconds(runtime::OsMonotonicNow() - start);
}

}  // namespace

absl::StatusOr<std::string> Throughput(runtime::EventLoop* loop,
                                       const std::vector<std::unique_ptr<Client>>& clients,
                                       const LoadOptions& options) {
  std::vector<std::string> requests;
  for (uint64_t at = 0; at < options.events;) {
    ClientFrame frame;
    frame.set_request_id(requests.size() + 1);
    const uint64_t end = std::min(options.events, at + static_cast<uint64_t>(options.batch));
    for (; at < end; ++at) {
      FillCredit(options.first_id + at, options.accounts,
                 frame.mutable_apply_events()->add_events());
    }
    requests.push_back(frame.SerializeAsString());
  }
  Errors errors;
  const absl::StatusOr<Pipelined> run =
      SendAll(loop, clients, requests, options.window, [&](size_t, const ServerFrame& answer) {
        errors.Note(answer);
        return errors.status();
      });
  if (!run.ok()) return run.status();
  return absl::StrCat("{\"events\":", options.events, ",\"seconds\":", run->seconds,
                      ",\"per_second\":", static_cast<double>(options.events) / run->seconds,
                      ",\"cpu_seconds\":", run->cpu_seconds,
                      ",\"duplicates\":", errors.duplicates(), ",\"batch\":", options.batch,
                      ",\"window\":", options.window, ",\"clients\":", clients.size(),
                      ",\"request_latency\":", run->latency.ToJson(), "}");
}

absl::StatusOr<std::string> ClosedLoop(runtime::EventLoop* loop,
                                       const std::vector<std::unique_ptr<Client>>& clients,
                                       const LoadOptions& options) {
  Histogram latency;
  Errors errors;
  uint64_t next = options.first_id;
  size_t running = clients.size();
  const absl::Time start = runtime::OsMonotonicNow();
  const absl::Time warm = start + absl::Seconds(options.seconds / 5);
  const absl::Time end = warm + absl::Seconds(options.seconds);
  std::vector<std::function<void()>> send(clients.size());
  for (size_t c = 0; c < clients.size(); ++c) {
    send[c] = [&, c] {
      const absl::Time sent = runtime::OsMonotonicNow();
      if (sent >= end || !errors.status().ok()) {
        if (--running == 0) loop->Stop();
        return;
      }
      ClientFrame frame;
      FillCredit(next++, options.accounts, frame.mutable_apply_events()->add_events());
      clients[c]->Call(std::move(frame), [&, c, sent](const ServerFrame& answer) {
        if (sent >= warm) latency.Add(NanosSince(sent));
        errors.Note(answer);
        send[c]();
      });
    };
  }
  for (const auto& one : send) one();
  while (running > 0) loop->Run();
  if (!errors.status().ok()) return errors.status();
  return absl::StrCat("{\"clients\":", clients.size(),
                      ",\"per_second\":", static_cast<double>(latency.count()) / options.seconds,
                      ",\"duplicates\":", errors.duplicates(), ",\"latency\":", latency.ToJson(),
                      "}");
}

absl::StatusOr<std::string> OpenLoop(runtime::EventLoop* loop,
                                     const std::vector<std::unique_ptr<Client>>& clients,
                                     const LoadOptions& options) {
  Histogram latency;
  Errors errors;
  const auto warm = static_cast<uint64_t>(options.rate * options.seconds / 5);
  const uint64_t total = warm + static_cast<uint64_t>(options.rate * options.seconds);
  uint64_t answered = 0;
  const absl::Time start = runtime::OsMonotonicNow() + absl::Milliseconds(20);
  const auto due = [&](uint64_t i) {
    return start + absl::Seconds(static_cast<double>(i) / options.rate);
  };
  uint64_t next = 0;
  const auto send_due = [&] {
    while (next < total && due(next) <= runtime::OsMonotonicNow()) {
      const uint64_t i = next++;
      ClientFrame frame;
      FillCredit(options.first_id + i, options.accounts,
                 frame.mutable_apply_events()->add_events());
      clients[i % clients.size()]->Call(std::move(frame), [&, i](const ServerFrame& answer) {
        if (i >= warm) latency.Add(NanosSince(due(i)));
        errors.Note(answer);
        if (++answered == total || !errors.status().ok()) loop->Stop();
      });
    }
  };
  // A thread that only sleeps keeps the pace: timers of the loop tick too coarsely.
  std::atomic<bool> stop = false;
  std::thread pacer([&] {
    for (uint64_t i = 0; i < total && !stop; ++i) {
      if (due(i) <= runtime::OsMonotonicNow()) continue;  // sent with the one before
      const timespec until = absl::ToTimespec(due(i));
      clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
      loop->Post(send_due);
    }
    loop->Post(send_due);
  });
  while (answered < total && errors.status().ok()) loop->Run();
  stop = true;
  pacer.join();
  if (!errors.status().ok()) return errors.status();
  const double seconds = static_cast<double>(NanosSince(start)) / 1e9;
  return absl::StrCat("{\"clients\":", clients.size(), ",\"rate\":", options.rate,
                      ",\"per_second\":", static_cast<double>(total) / seconds,
                      ",\"duplicates\":", errors.duplicates(), ",\"latency\":", latency.ToJson(),
                      "}");
}

absl::StatusOr<std::string> Disk(const std::string& directory, double seconds) {
  const std::string path = absl::StrCat(directory, "/disk.", getpid());
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return absl::PermissionDeniedError(absl::StrCat("cannot write ", path));
  const std::string block(512, 'd');
  Histogram latency;
  bool written = true;
  const absl::Time end = runtime::OsMonotonicNow() + absl::Seconds(seconds);
  for (absl::Time before = runtime::OsMonotonicNow(); written && before < end;
       before = runtime::OsMonotonicNow()) {
    written = write(file, block.data(), block.size()) == static_cast<ssize_t>(block.size()) &&
              fdatasync(file) == 0;
    latency.Add(NanosSince(before));
  }
  close(file);
  unlink(path.c_str());
  if (!written) return absl::ResourceExhaustedError(absl::StrCat("cannot write ", path));
  return absl::StrCat("{\"latency\":", latency.ToJson(), "}");
}

}  // namespace coffer::load
