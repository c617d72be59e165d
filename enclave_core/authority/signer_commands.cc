// The commands of the signer profile, and which profile has which method.
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/error.h"
#include "enclave_core/policy/transaction_rules.h"

namespace coffer::authority {
namespace {

using boundary::v1::ClientFrame;
using policy::Spend;

bool NeedsLedger(ClientFrame::BodyCase method) {
  switch (method) {
    case ClientFrame::kApplyEvents:
    case ClientFrame::kGetAccount:
    case ClientFrame::kListAccounts:
    case ClientFrame::kPreparePayout:
    case ClientFrame::kPrepareFunding:
    case ClientFrame::kBumpTransaction:
    case ClientFrame::kRetryPayout:
    case ClientFrame::kReportReceipt:
    case ClientFrame::kReportReorg:
    case ClientFrame::kVoidTickets:
    case ClientFrame::kGetPayout:
    case ClientFrame::kListPayouts:
    case ClientFrame::kPrepareRedeem:
    case ClientFrame::kConfirmPayout:
      return true;
    default:
      return false;
  }
}

bool SignsWhatIsAsked(ClientFrame::BodyCase method) {
  return method == ClientFrame::kSignTransaction || method == ClientFrame::kSignMessage ||
         method == ClientFrame::kSignTicket;
}

}  // namespace

boundary::v1::Profile Authority::profile() const {
  return genesis_.profile() == boundary::v1::PROFILE_SIGNER ? boundary::v1::PROFILE_SIGNER
                                                            : boundary::v1::PROFILE_AUTHORITY;
}

absl::Status Authority::CheckMethod(ClientFrame::BodyCase method) const {
  const bool signer = profile() == boundary::v1::PROFILE_SIGNER;
  if (signer ? !NeedsLedger(method) : !SignsWhatIsAsked(method)) return absl::OkStatus();
  const std::string& name = ClientFrame::descriptor()->FindFieldByNumber(method)->name();
  return Refuse(
      boundary::v1::ERROR_WRONG_PROFILE,
      signer ? absl::StrCat(name, " does not exist in the signer profile: it keeps no ledger")
             : absl::StrCat(name,
                            " does not exist in the authority profile: it signs nothing that it "
                            "did not build itself"));
}

absl::StatusOr<signing::Request> Authority::SignTransaction(
    const boundary::v1::SignTransaction& request, Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kSignTransaction); !s.ok()) return s;
  absl::StatusOr<ethereum::Transaction> transaction = signing::ParseTransaction(request);
  if (!transaction.ok()) return transaction.status();
  const absl::StatusOr<std::vector<Spend>> spends =
      policy::CheckTransaction(policy_, address(), *transaction);
  if (!spends.ok()) return spends.status();
  if (absl::Status s = Count(*spends, out); !s.ok()) return s;
  signing::Request allowed(*std::move(transaction));
  LogSignature(allowed);
  return allowed;
}

absl::StatusOr<signing::Request> Authority::SignMessage(const boundary::v1::SignMessage& request,
                                                        Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kSignMessage); !s.ok()) return s;
  absl::StatusOr<signing::Message> message = signing::ParseMessage(request);
  if (!message.ok()) return message.status();
  if (absl::Status s = policy::CheckMessage(policy_); !s.ok()) return s;
  // What the message moves is not known; that it was signed counts.
  if (absl::Status s = Count({}, out); !s.ok()) return s;
  signing::Request allowed(*std::move(message));
  LogSignature(allowed);
  return allowed;
}

absl::StatusOr<signing::Request> Authority::SignTicket(const boundary::v1::SignTicket& request,
                                                       Batch* out) {
  if (absl::Status s = CheckMethod(ClientFrame::kSignTicket); !s.ok()) return s;
  // Without a policy there is no winProb in it: a payer's tickets always win.
  const ethereum::U256 win_prob =
      policy_.unrestricted ? ethereum::Ticket().win_prob : policy_.win_prob;
  const absl::StatusOr<ethereum::Ticket> ticket =
      signing::ParseTicket(request, address(), win_prob);
  if (!ticket.ok()) return ticket.status();
  const absl::StatusOr<std::vector<Spend>> spends =
      policy::CheckTicket(policy_, address(), *ticket);
  if (!spends.ok()) return spends.status();
  if (absl::Status s = Count(*spends, out); !s.ok()) return s;
  signing::Request allowed(*ticket);
  LogSignature(allowed);
  return allowed;
}

}  // namespace coffer::authority
