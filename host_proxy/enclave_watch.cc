#include "host_proxy/enclave_watch.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "runtime/log.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

EnclaveWatch::EnclaveWatch(runtime::Dispatcher* dispatcher, host::EnclaveClient* enclave,
                           Wanted wanted, absl::AnyInvocable<void(const std::string&)> unfit)
    : dispatcher_(dispatcher),
      enclave_(enclave),
      wanted_(std::move(wanted)),
      unfit_(std::move(unfit)) {}

void EnclaveWatch::Start() {
  period_ = dispatcher_->After(kPeriod, [this] { Ask(); });
}

void EnclaveWatch::Ask() {
  Start();
  if (!enclave_->ready()) return;
  ClientFrame request;
  request.mutable_status();
  enclave_->Call(std::move(request), [this](absl::StatusOr<ServerFrame> frame) {
    // What it answers has been acted on; a status that is not one is the link's to complain of.
    if (frame.ok() && frame->has_status()) Judge(frame->status()).IgnoreError();
  });
}

bool EnclaveWatch::Expected(const ethereum::Address& address) const {
  if (address == *wanted_.address) return true;
  return wanted_.in_use && wanted_.in_use(address) && wanted_.in_use(*wanted_.address);
}

absl::Status EnclaveWatch::Fit(const boundary::v1::Status& status) const {
  // It is provisioned first, and says then whose key it has.
  const bool unprovisioned = status.phase() == boundary::v1::PHASE_UNPROVISIONED;
  if (wanted_.address.has_value() && !unprovisioned) {
    if (status.address().empty()) {
      return absl::UnavailableError(absl::StrCat("the enclave at ", wanted_.endpoint,
                                                 " holds no key yet; expected is that of ",
                                                 ethereum::ToChecksum(*wanted_.address)));
    }
    const auto address = ethereum::Address::FromBytes(status.address());
    if (!address.ok() || !Expected(*address)) {
      return absl::FailedPreconditionError(absl::StrCat(
          "the enclave at ", wanted_.endpoint, " has the address ",
          address.ok() ? ethereum::ToChecksum(*address) : "(malformed)", ", and not the expected ",
          ethereum::ToChecksum(*wanted_.address),
          " (--expected-address, PAYMENTS_SIGNER_EXPECTED_ADDRESS): it is another enclave, or it "
          "has another key; after a rotation of the signing key name the new one"));
    }
  }
  if (wanted_.ledger_option.empty()) return absl::OkStatus();
  if (status.profile() == boundary::v1::PROFILE_SIGNER) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the enclave at ", wanted_.endpoint,
        " runs with --profile signer and keeps no balances, so ", wanted_.ledger_option,
        " cannot work: leave it out, or start the enclave with --profile authority"));
  }
  if (status.without_storage()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the enclave at ", wanted_.endpoint, " keeps its state nowhere (--storage none), so ",
        wanted_.ledger_option,
        " would be forgotten at its end: leave it out, or start the enclave with --storage host"));
  }
  return absl::OkStatus();
}

absl::Status EnclaveWatch::Judge(const boundary::v1::Status& status) {
  Count(status);
  absl::Status fit = Fit(status);
  if (absl::IsFailedPrecondition(fit) && unfit_) {
    // Later: the link that asks is in the middle of something.
    dispatcher_->Post([unfit = std::exchange(unfit_, nullptr),
                       why = std::string(fit.message())]() mutable { unfit(why); });
  }
  if (!fit.ok() || status.phase() == boundary::v1::PHASE_UNPROVISIONED) return fit;
  if (status.without_storage() && !std::exchange(said_, true)) {
    runtime::Log(runtime::Level::kInfo, "enclave",
                 "it keeps its state nowhere (--storage none): nothing is stored here for it");
  }
  if (status.attestation_kind() == boundary::v1::ATTESTATION_KIND_DEVELOPMENT &&
      !std::exchange(said_development_, true)) {
    runtime::Log(
        runtime::Level::kWarn, "enclave",
        "INSECURE: its attestation documents are development documents: they prove nothing "
        "about a TEE");
  }
  fit_ = true;
  First();
  return fit;
}

void EnclaveWatch::Count(const boundary::v1::Status& status) {
  std::map<std::string, uint64_t> now;
  for (const auto& [rule, count] : status.refusals_by_rule()) {
    if (now.size() < kMaxRules || last_.contains(rule)) now[rule] = count;
  }
  for (const auto& [rule, count] : now) {
    if (refusals_.size() >= kMaxRules && !refusals_.contains(rule)) continue;
    // Fewer than before: it has been started again, and all of these are new.
    const uint64_t before = last_.contains(rule) && last_[rule] <= count ? last_[rule] : 0;
    refusals_[rule] += count - before;
  }
  last_ = std::move(now);
}

void EnclaveWatch::AfterFirst(absl::Duration patience, runtime::Task task) {
  first_ = std::move(task);
  if (fit_) return First();
  patience_ = dispatcher_->After(patience, [this] { First(); });
}

void EnclaveWatch::First() {
  if (!first_) return;
  std::exchange(first_, nullptr)();
}

}  // namespace coffer::host_proxy
