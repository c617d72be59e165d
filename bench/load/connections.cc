// A connection a request, which is how the simplest of clients come.
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bench/load/cases.h"
#include "bench/load/credits.h"
#include "bench/load/histogram.h"
#include "runtime/os_clock.h"

namespace coffer::load {

absl::StatusOr<std::string> Connections(runtime::EventLoop* loop, runtime::Network* network,
                                        const runtime::Endpoint& endpoint, size_t clients,
                                        const LoadOptions& options) {
  Histogram latency;
  Errors errors;
  absl::Status failed;
  uint64_t next = options.first_id;
  size_t running = clients;
  const absl::Time warm = runtime::OsMonotonicNow() + absl::Seconds(options.seconds / 5);
  const absl::Time end = warm + absl::Seconds(options.seconds);
  std::vector<std::unique_ptr<Client>> connections(clients);
  std::vector<std::function<void()>> send(clients);
  for (size_t c = 0; c < clients; ++c) {
    send[c] = [&, c] {
      connections[c].reset();
      const absl::Time began = runtime::OsMonotonicNow();
      if (began >= end || !errors.status().ok() || !failed.ok()) {
        if (--running == 0) loop->Stop();
        return;
      }
      Client::ConnectThen(
          loop, network, endpoint,
          [&, c, began](absl::StatusOr<std::unique_ptr<Client>> connected) {
            if (!connected.ok()) {
              failed = connected.status();
              return loop->Post(send[c]);
            }
            connections[c] = *std::move(connected);
            boundary::v1::ClientFrame frame;
            FillCredit(next++, options.accounts, frame.mutable_apply_events()->add_events());
            connections[c]->Call(
                std::move(frame), [&, c, began](const boundary::v1::ServerFrame& answer) {
                  if (began >= warm) {
                    latency.Add(absl::ToInt64Nanoseconds(runtime::OsMonotonicNow() - began));
                  }
                  errors.Note(answer);
                  loop->Post(send[c]);  // not here: the connection calls this
                });
          });
    };
  }
  for (const auto& one : send) one();
  while (running > 0) loop->Run();
  if (!failed.ok()) return failed;
  if (!errors.status().ok()) return errors.status();
  return absl::StrCat("{\"clients\":", clients,
                      ",\"per_second\":", static_cast<double>(latency.count()) / options.seconds,
                      ",\"duplicates\":", errors.duplicates(), ",\"latency\":", latency.ToJson(),
                      "}");
}

}  // namespace coffer::load
