#include "tests/sim/host_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::sim {

void HostWatch::OnToEnclave(uint64_t enclave, uint64_t connection, std::string_view payload) {
  boundary::v1::ClientFrame frame;
  if (frame.ParseFromArray(payload.data(), static_cast<int>(payload.size()))) {
    if (frame.has_report_receipt()) CheckReceipt(frame.report_receipt().block_number());
    if (frame.has_apply_events()) {
      CheckEvents(frame.apply_events(), &recipients_[{enclave, connection}]);
    }
  }
  next_->OnToEnclave(enclave, connection, payload);
}

// A young block is reported by nobody, so that a small reorganisation is no news to the ledger.
void HostWatch::CheckReceipt(uint64_t block) {
  if (block + confirmations_ - 1 <= chain_->highest()) return;
  Broken(absl::StrCat("I3: a receipt of block ", block, " is reported at height ",
                      chain_->highest(), ", before it has ", confirmations_, " confirmations"));
}

// The journal names accounts, the registry recipients: what a running host once knew of an account
// is not changed by an edited file (I1 begins at the host).
void HostWatch::CheckEvents(const boundary::v1::ApplyEvents& request,
                            std::map<std::string, std::string>* recipients) {
  for (const boundary::v1::Event& event : request.events()) {
    if (event.id().rfind("ledger:", 0) != 0) continue;
    const auto known = recipients->emplace(event.account(), event.recipient()).first;
    if (known->second == event.recipient()) continue;
    Broken(absl::StrCat("I1: the host gives ", event.account(), " another recipient"));
  }
}

void HostWatch::LookAtNodes() {
  if (nodes_->counters().astray != 0) {
    Broken("I10: a transaction is handed to a node that is on another chain");
  }
  if (nodes_->counters().out_of_order != 0) {
    Broken(
        "liveness: a transaction is handed to a node before the one of the nonce below is taken");
  }
}

}  // namespace coffer::sim
