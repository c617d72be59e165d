// The case `snapshot`: how long a snapshot takes, and how long whoever meets one has to wait.
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "bench/load/cases.h"
#include "bench/load/credits.h"
#include "bench/load/histogram.h"
#include "runtime/os_clock.h"

namespace coffer::load {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

constexpr absl::Duration kPatience = absl::Minutes(5);
constexpr absl::Duration kPause = absl::Milliseconds(1);

absl::Status NoSnapshot() {
  return absl::DeadlineExceededError(
      "no snapshot was taken; start an empty enclave with --snapshot-interval 1, and load records");
}

// Until another snapshot than `known` is stored whole: its sequence number.
absl::StatusOr<uint64_t> AwaitSnapshot(runtime::EventLoop* loop, Client* client, uint64_t known,
                                       absl::Time deadline) {
  while (runtime::OsMonotonicNow() < deadline) {
    const absl::StatusOr<boundary::v1::Status> now = client->AskStatus();
    if (!now.ok()) return now.status();
    if (now->snapshot_sequence() != known) return now->snapshot_sequence();
    const std::unique_ptr<runtime::Timer> pause = loop->After(kPause, [loop] { loop->Stop(); });
    loop->Run();
  }
  return NoSnapshot();
}

// Requests of credits, one after the other, until another snapshot than `known` is stored whole.
absl::Status CreditUntilSnapshot(Client* client, const LoadOptions& options, uint64_t known,
                                 absl::Time deadline, Histogram* latency) {
  Errors errors;
  for (uint64_t id = options.first_id; runtime::OsMonotonicNow() < deadline;) {
    ClientFrame frame;
    for (int i = 0; i < options.batch; ++i) {
      FillCredit(id++, options.accounts, frame.mutable_apply_events()->add_events());
    }
    const absl::Time sent = runtime::OsMonotonicNow();
    const absl::StatusOr<ServerFrame> answer = client->CallAndWait(std::move(frame));
    if (!answer.ok()) return answer.status();
    latency->Add(absl::ToInt64Nanoseconds(runtime::OsMonotonicNow() - sent));
    errors.Note(*answer);
    if (!errors.status().ok()) return errors.status();
    const absl::StatusOr<boundary::v1::Status> now = client->AskStatus();
    if (!now.ok()) return now.status();
    if (now->snapshot_sequence() != known) return absl::OkStatus();
  }
  return NoSnapshot();
}

}  // namespace

absl::StatusOr<std::string> Snapshot(runtime::EventLoop* loop,
                                     const std::vector<std::unique_ptr<Client>>& clients,
                                     const LoadOptions& options) {
  Client* const client = clients.front().get();
  const absl::Time start = runtime::OsMonotonicNow();
  const absl::Time deadline = start + kPatience;
  const absl::StatusOr<uint64_t> first = AwaitSnapshot(loop, client, 0, deadline);
  if (!first.ok()) return first.status();
  const double seconds = absl::ToDoubleSeconds(runtime::OsMonotonicNow() - start);
  Histogram latency;
  if (absl::Status s = CreditUntilSnapshot(client, options, *first, deadline, &latency); !s.ok()) {
    return s;
  }
  return absl::StrCat("{\"seconds\":", seconds, ",\"batch\":", options.batch,
                      ",\"request_latency\":", latency.ToJson(), "}");
}

}  // namespace coffer::load
