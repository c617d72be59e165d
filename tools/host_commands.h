// The commands of `coffer` that ask a running host.
#ifndef COFFER_TOOLS_HOST_COMMANDS_H_
#define COFFER_TOOLS_HOST_COMMANDS_H_

#include <cstdint>
#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "tools/host_client.h"

namespace coffer::tools {

// Each prints to `out`: a table for people, or the host's JSON, one document a line, with `json`.
absl::Status ShowStatus(const HostClient& host, bool json, std::ostream& out);
// One account, or all of them when `id` is empty.
absl::Status ShowAccounts(const HostClient& host, const std::string& id, bool json,
                          std::ostream& out);
// One payout, or all of them (or the open ones) when `id` is 0.
absl::Status ShowPayouts(const HostClient& host, uint64_t id, bool open_only, bool json,
                         std::ostream& out);
// `action`: "run", "pause" or "resume".
absl::Status ControlPayouts(const HostClient& host, const std::string& action, std::ostream& out);
// Has the host rotate the enclave's state key, tells each step to `out`, and returns when the state
// is stored under the new key. FailedPrecondition with the reason when it is not.
absl::Status RotateStateKey(const HostClient& host, const std::string& key_id, std::ostream& out);
// Has the host rotate the enclave's signing key, likewise, and returns when the new key is in use
// and the older one drains; with `wait_drained` when that one is retired, which takes as long as
// its payouts do.
absl::Status RotateSigningKey(const HostClient& host, bool wait_drained, std::ostream& out);
// Lets the host try its dead letters again.
absl::Status ReplayDeadLetters(const HostClient& host, std::ostream& out);
// Sends the events of a journal file; lines that were applied before count as duplicates and change
// nothing. Lines that cannot be applied are told to `out` by their number. FailedPrecondition at
// the end if there were any.
absl::Status ReplayFile(const HostClient& host, const std::string& path, std::ostream& out);

// Wei as ETH, all 18 decimals, trailing zeros cut: "1.5". For people; anything that is not digits
// comes back as it is.
std::string EthText(const std::string& wei);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_HOST_COMMANDS_H_
