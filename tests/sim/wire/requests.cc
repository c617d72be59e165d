#include "tests/sim/wire/requests.h"

#include <algorithm>

#include "enclave_core/audit/leaf.h"

namespace coffer::sim::wire {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

bool WaitsForStorage(const ClientFrame& request, const ServerFrame& answer) {
  switch (request.body_case()) {
    case ClientFrame::kStatus:
    case ClientFrame::kLoadBegin:
    case ClientFrame::kLoadRecord:
    case ClientFrame::kLoadEnd:
    case ClientFrame::kAttachStorage:
    case ClientFrame::kGetAttestation:
    case ClientFrame::kProvision:
    case ClientFrame::kGenerate:
    case ClientFrame::kRotateStateKey:  // what it gives is in use only once it is adopted
    case ClientFrame::kRotateSigningKey:
    case ClientFrame::BODY_NOT_SET:
      return false;
    default:
      break;
  }
  if (!answer.has_error()) return true;
  switch (answer.error().code()) {
    case boundary::v1::ERROR_MALFORMED:
    case boundary::v1::ERROR_NOT_READY:
    case boundary::v1::ERROR_NOT_PROVISIONED:
    case boundary::v1::ERROR_OVERLOADED:
    case boundary::v1::ERROR_UNKNOWN_METHOD:
      return false;
    default:
      return true;
  }
}

bool SaysChanged(const ClientFrame& request, const ServerFrame& answer) {
  switch (answer.body_case()) {
    case ServerFrame::kEventsApplied:
      return answer.events_applied().applied() != 0;
    case ServerFrame::kPayout:
      return request.has_prepare_payout() || request.has_retry_payout() ||
             request.has_void_tickets() ||
             (request.has_prepare_funding() && !request.prepare_funding().once());
    case ServerFrame::kReceipt:
      return answer.receipt().known();
    case ServerFrame::kPayoutConfirmed:
      return answer.payout_confirmed().known();
    case ServerFrame::kPolicy:
      return request.has_change_policy();
    default:
      return false;
  }
}

bool Prepares(const ClientFrame& frame) {
  return frame.has_prepare_payout() || frame.has_prepare_redeem() || frame.has_prepare_funding();
}

uint64_t PayoutsIn(std::string_view bundle) {
  uint64_t count = 0;
  while (bundle.size() > 2) {
    const size_t length =
        size_t{static_cast<uint8_t>(bundle[0])} << 8 | static_cast<uint8_t>(bundle[1]);
    const absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(bundle.substr(2, length));
    if (leaf.ok() && leaf->kind == audit::LeafKind::kPayoutReserved && *leaf->item == 0) ++count;
    if (leaf.ok() && leaf->kind == audit::LeafKind::kFunding && !leaf->tx_hash) ++count;
    bundle.remove_prefix(std::min(bundle.size(), 2 + length));
  }
  return count;
}

}  // namespace coffer::sim::wire
