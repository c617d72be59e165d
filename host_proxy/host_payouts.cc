#include "host_proxy/host_payouts.h"

#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "host_proxy/api_json.h"
#include "runtime/log.h"

namespace coffer::host_proxy {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using runtime::Level;
using runtime::Log;

namespace {

std::string Decimal(absl::uint128 value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

Json::Value TimeText(const std::optional<absl::Time>& time) {
  if (!time.has_value()) return Json::Value();
  return Json::Value(absl::FormatTime(absl::RFC3339_sec, *time, absl::UTCTimeZone()));
}

Json::Value CountersJson(const host::PayoutDriverStatus::Counters& counters) {
  Json::Value json;
  json["prepared"] = Number(counters.prepared);
  json["sent"] = Number(counters.sent);
  json["resent"] = Number(counters.resent);
  json["bumped"] = Number(counters.bumped);
  json["mined"] = Number(counters.mined);
  json["reverted"] = Number(counters.reverted);
  json["foreign"] = Number(counters.foreign);
  json["reorged"] = Number(counters.reorged);
  json["retried"] = Number(counters.retried);
  json["voided"] = Number(counters.voided);
  json["funded"] = Number(counters.funded);
  return json;
}

Json::Value HaltsJson(const std::vector<host::PayoutHalt>& halts) {
  Json::Value json(Json::arrayValue);
  for (const host::PayoutHalt& halt : halts) {
    Json::Value entry;
    entry["code"] = halt.code;
    entry["message"] = halt.sentence;
    json.append(std::move(entry));
  }
  return json;
}

Json::Value NotesJson(const std::vector<std::string>& notes) {
  Json::Value json(Json::arrayValue);
  for (const std::string& note : notes) json.append(note);
  return json;
}

Json::Value AddressJson(const std::string& address) {
  return address.empty() ? Json::Value() : Json::Value(ethereum::ToHex(address));
}

// What the driver of any key says, be it the current one or one on its way to its end.
Json::Value KeyJson(const host::PayoutDriverStatus& status) {
  Json::Value json;
  json["address"] = AddressJson(status.address);
  json["open_payouts"] = Number(status.open_payouts);
  json["under_way"] = Number(status.under_way);
  json["watched_receipts"] = Number(status.watched_receipts);
  json["next_nonce"] = status.nonce_known ? Number(status.next_nonce) : Json::Value();
  json["chain_nonce"] = Number(status.chain_nonce);
  json["deposit"] = Decimal(status.deposit);
  json["reserve"] = Decimal(status.reserve);
  json["balance"] = Decimal(status.balance);
  json["outstanding"] = Decimal(status.outstanding);
  json["last_reading"] = TimeText(status.last_reading);
  json["halts"] = HaltsJson(status.halts);
  json["notes"] = NotesJson(status.notes);
  return json;
}

}  // namespace

absl::StatusOr<std::unique_ptr<HostPayouts>> HostPayouts::Create(runtime::EventLoop* loop,
                                                                 host::EnclaveClient* enclave,
                                                                 runtime::Random* random,
                                                                 PayoutFlags flags) {
  absl::StatusOr<std::unique_ptr<host::HttpClient>> http =
      host::HttpClient::Create(loop, flags.http);
  if (!http.ok()) return http.status();
  return std::unique_ptr<HostPayouts>(
      new HostPayouts(loop, enclave, random, std::move(flags), *std::move(http)));
}

HostPayouts::HostPayouts(runtime::EventLoop* loop, host::EnclaveClient* enclave,
                         runtime::Random* random, PayoutFlags flags,
                         std::unique_ptr<host::HttpClient> http)
    : flags_(std::move(flags)),
      enclave_(enclave),
      http_(std::move(http)),
      rpc_(loop, http_.get(), random, flags_.rpc),
      drivers_(std::make_unique<host::PayoutDrivers>(loop, enclave, &rpc_, flags_.driver)) {
  if (flags_.start_paused) drivers_->Pause();
}

void HostPayouts::Start() {
  rpc_.CheckChainId(flags_.chain_id, [this](absl::Status status) {
    // Without an answer yet, the client goes on asking, and uses a node only once it gave the right
    // one.
    chain_checked_ = status.ok() || absl::IsUnavailable(status);
    chain_reason_ = chain_checked_ ? "" : std::string(status.message());
    if (!status.ok())
      Log(Level::kError, "chain", "the nodes were asked for their chain", {{"why", status}});
    MaybeRun();
  });
  enclave_->Watch([this](bool ready) {
    if (ready) CheckEnclave();
  });
  if (enclave_->ready()) CheckEnclave();
}

void HostPayouts::CheckEnclave() {
  ClientFrame request;
  request.mutable_status();
  enclave_->Call(std::move(request), [this](absl::StatusOr<ServerFrame> frame) {
    if (!frame.ok() || !frame->has_status()) return;  // asked again when it is ready again
    const boundary::v1::Status& status = frame->status();
    enclave_reason_.clear();
    if (status.chain_id() != flags_.chain_id) {
      enclave_reason_ = absl::StrCat("the enclave signs for chain ", status.chain_id(),
                                     ", this host is for chain ", flags_.chain_id);
    } else if (flags_.broker.has_value() && status.broker() != flags_.broker->view()) {
      enclave_reason_ = absl::StrCat("the enclave pays through the TicketBroker ",
                                     ethereum::ToHex(status.broker()), ", this host is for ",
                                     flags_.broker->ToHex());
    }
    enclave_checked_ = enclave_reason_.empty();
    if (!enclave_checked_) Log(Level::kError, "chain", enclave_reason_);
    MaybeRun();
  });
}

void HostPayouts::MaybeRun() {
  if (running_ || !chain_checked_ || !enclave_checked_) return;
  running_ = true;
  Log(Level::kInfo, "payouts", "started", {{"chain", flags_.chain_id}, {"nodes", Nodes()}});
  drivers_->Start();
}

absl::Status HostPayouts::RunNow() {
  if (!running_) {
    const std::vector<std::string> reasons = NotReady();
    return absl::FailedPreconditionError(
        absl::StrCat("nobody can be paid yet: ",
                     reasons.empty() ? "the enclave is not ready" : absl::StrJoin(reasons, "; ")));
  }
  if (driver_status().paused) {
    return absl::FailedPreconditionError("payouts are paused: POST /api/payouts/resume first");
  }
  drivers_->RunNow();
  return absl::OkStatus();
}

void HostPayouts::Pause() { drivers_->Pause(); }

void HostPayouts::Resume() { drivers_->Resume(); }

std::vector<std::string> HostPayouts::NotReady() const {
  std::vector<std::string> reasons;
  for (const std::string& reason : {chain_reason_, enclave_reason_}) {
    if (!reason.empty()) reasons.push_back(reason);
  }
  return reasons;
}

std::string HostPayouts::Nodes() const {
  std::vector<std::string> names;
  for (const host::HttpUrl& url : flags_.rpc.urls) names.push_back(url.Masked());
  return absl::StrJoin(names, ", ");
}

Json::Value HostPayouts::StatusJson() const {
  const host::PayoutDriverStatus& status = driver_status();
  Json::Value json = KeyJson(status);
  json["running"] = running_;
  json["paused"] = status.paused;
  json["dry_run"] = status.dry_run;
  json["last_run"] = TimeText(status.last_run);
  json["last_plan"] = status.last_plan;
  json["retry_waiting"] = Number(status.retry_waiting);
  json["expired"] = Number(status.expired);
  json["at_fee_ceiling"] = Number(status.at_fee_ceiling);
  json["block_number"] = Number(status.block_number);
  json["round"] = Number(status.round);
  json["owed"] = Decimal(status.owed);
  json["counters"] = CountersJson(counters());
  json["draining"] = Json::Value();
  if (const host::PayoutDriverStatus* draining = draining_status(); draining != nullptr) {
    json["draining"] = KeyJson(*draining);
    json["draining"]["step"] = draining->drain;
  }
  // Of retired keys: payouts that a deep reorganisation opened again.
  json["reopened"] = Json::Value(Json::arrayValue);
  for (const host::PayoutDriverStatus* retired : drivers_->Reopened()) {
    json["reopened"].append(KeyJson(*retired));
  }
  return json;
}

}  // namespace coffer::host_proxy
