// The cases `snapshot` and `stall`: how long a snapshot takes, and how long whoever meets one
// waits.
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

// Until a first snapshot is stored whole.
absl::Status AwaitSnapshot(runtime::EventLoop* loop, Client* client, absl::Time deadline) {
  while (runtime::OsMonotonicNow() < deadline) {
    const absl::StatusOr<boundary::v1::Status> now = client->AskStatus();
    if (!now.ok()) return now.status();
    if (now->snapshot_sequence() != 0) return absl::OkStatus();
    const std::unique_ptr<runtime::Timer> pause = loop->After(kPause, [loop] { loop->Stop(); });
    loop->Run();
  }
  return NoSnapshot();
}

// Requests of credits, one after the other, until another snapshot is stored whole.
absl::Status CreditUntilSnapshot(Client* client, const LoadOptions& options, Histogram* latency) {
  const absl::StatusOr<boundary::v1::Status> before = client->AskStatus();
  if (!before.ok()) return before.status();
  const absl::Time deadline = runtime::OsMonotonicNow() + kPatience;
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
    if (now->snapshot_sequence() != before->snapshot_sequence()) return absl::OkStatus();
  }
  return NoSnapshot();
}

}  // namespace

absl::StatusOr<std::string> Snapshot(runtime::EventLoop* loop,
                                     const std::vector<std::unique_ptr<Client>>& clients,
                                     const LoadOptions&) {
  const absl::Time start = runtime::OsMonotonicNow();
  const absl::Status stored = AwaitSnapshot(loop, clients.front().get(), start + kPatience);
  if (!stored.ok()) return stored;
  const double seconds = absl::ToDoubleSeconds(runtime::OsMonotonicNow() - start);
  return absl::StrCat("{\"seconds\":", seconds, "}");
}

absl::StatusOr<std::string> Stall(runtime::EventLoop*,
                                  const std::vector<std::unique_ptr<Client>>& clients,
                                  const LoadOptions& options) {
  Histogram latency;
  const absl::Status stored = CreditUntilSnapshot(clients.front().get(), options, &latency);
  if (!stored.ok()) return stored;
  return absl::StrCat("{\"batch\":", options.batch, ",\"request_latency\":", latency.ToJson(), "}");
}

}  // namespace coffer::load
