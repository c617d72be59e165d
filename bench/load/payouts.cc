// The case `payouts`: tickets prepared and signed, then settled by receipts, checked to the wei.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bench/load/cases.h"
#include "bench/load/pipeline.h"
#include "bench/load/receipts.h"
#include "enclave_core/ledger/wei.h"

namespace coffer::load {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::Payout;
using boundary::v1::ServerFrame;
using Clients = std::vector<std::unique_ptr<Client>>;

constexpr uint64_t kFace = 10'000'000'000'000;  // wei of a ticket, and a little more by its number
constexpr uint64_t kLeftOver = 7;               // wei that nobody is paid
constexpr uint64_t kCreditsOfRequest = 1000;

// Who is paid what: ticket k goes to account k % accounts, and no two amounts in a row are alike,
// so that a ticket settled for another shows in a sum.
class Plan {
 public:
  explicit Plan(const LoadOptions& options)
      : options_(options),
        tickets_(static_cast<uint64_t>(options.tickets)),
        accounts_(std::max(options.accounts, tickets_)),
        owed_(accounts_) {
    for (uint64_t k = 0; k < total_tickets(); ++k) owed_[k % accounts_] += Amount(k);
  }
  uint64_t total_tickets() const { return options_.payouts * tickets_; }
  uint64_t accounts() const { return accounts_; }
  uint64_t Owed(uint64_t account) const { return owed_[account]; }
  uint64_t Total() const {
    uint64_t sum = 0;
    for (const uint64_t one : owed_) sum += one;
    return sum;
  }
  std::string Name(uint64_t account) const {
    return absl::StrFormat("payee-%x-%06d", options_.first_id, account);
  }

  std::vector<std::string> Credits() const {
    std::vector<std::string> requests;
    ClientFrame frame;
    for (uint64_t a = 0; a < accounts_; ++a) {
      boundary::v1::Event* event = frame.mutable_apply_events()->add_events();
      event->set_id(absl::StrCat("payee:", Name(a)));
      event->set_kind(boundary::v1::Event::KIND_CREDIT);
      event->set_account(Name(a));
      event->set_recipient(absl::StrFormat("payout recipt%07d", a));
      event->mutable_amount()->set_low(owed_[a] + kLeftOver);
      if ((a + 1) % kCreditsOfRequest == 0 || a + 1 == accounts_) Take(&frame, &requests);
    }
    return requests;
  }

  std::vector<std::string> Prepares(uint64_t round, const std::string& round_block_hash) const {
    std::vector<std::string> requests;
    for (uint64_t p = 0; p < options_.payouts; ++p) {
      ClientFrame frame;
      boundary::v1::PreparePayout& prepare = *frame.mutable_prepare_payout();
      prepare.set_strategy(boundary::v1::STRATEGY_LIVEPEER_TICKET);
      for (uint64_t k = p * tickets_; k < (p + 1) * tickets_; ++k) {
        boundary::v1::PayoutRequestItem* item = prepare.add_items();
        item->set_account(Name(k % accounts_));
        item->mutable_amount()->set_low(Amount(k));
      }
      prepare.mutable_reading()->set_round(round);
      prepare.mutable_reading()->set_round_block_hash(round_block_hash);
      prepare.mutable_reading()->set_deposit_unknown(true);
      prepare.mutable_fees()->set_gas_limit(24'000'000);
      prepare.mutable_fees()->mutable_max_fee_per_gas()->set_low(100'000'000);
      prepare.mutable_fees()->mutable_max_priority_fee_per_gas()->set_low(1'000'000);
      Take(&frame, &requests);
    }
    return requests;
  }

  // Numbers the frame as SendAll wants it, and empties it.
  static void Take(ClientFrame* frame, std::vector<std::string>* requests) {
    frame->set_request_id(requests->size() + 1);
    requests->push_back(frame->SerializeAsString());
    frame->Clear();
  }

 private:
  static uint64_t Amount(uint64_t k) { return kFace + k % 1'000'003; }

  const LoadOptions& options_;
  const uint64_t tickets_;
  const uint64_t accounts_;
  std::vector<uint64_t> owed_;
};

absl::Status Refused(const ServerFrame& answer) {
  if (answer.has_error()) return absl::InternalError(answer.error().message());
  if (answer.events_applied().refusals_size() > 0) {
    return absl::InternalError(answer.events_applied().refusals(0).error().message());
  }
  return absl::OkStatus();
}

absl::Status Credit(runtime::EventLoop* loop, const Clients& clients, const Plan& plan,
                    int window) {
  uint64_t applied = 0;
  const auto run =
      SendAll(loop, clients, plan.Credits(), window, [&](size_t, const ServerFrame& answer) {
        applied += answer.events_applied().applied();
        return Refused(answer);
      });
  if (run.ok() && applied != plan.accounts()) {
    return absl::InternalError(
        "the accounts had been credited before; give another --first-id or an empty enclave");
  }
  return run.status();
}

absl::Status Same(const std::string& what, ledger::Wei is, ledger::Wei should_be) {
  if (is == should_be) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("WRONG SUM: ", what, " is ", ledger::ToDecimal(is),
                                          " wei and should be ", ledger::ToDecimal(should_be)));
}

// Each account was paid what it was owed, to the wei, and nothing of it is held or lost.
absl::Status CheckAccounts(Client* client, const Plan& plan) {
  for (uint64_t a = 0; a < plan.accounts(); ++a) {
    ClientFrame ask;
    ask.mutable_get_account()->set_id(plan.Name(a));
    const absl::StatusOr<ServerFrame> answer = client->CallAndWait(std::move(ask));
    if (!answer.ok()) return answer.status();
    const boundary::v1::Account& account = answer->account();
    const uint64_t owed = plan.Owed(a);
    for (const auto& [what, is, should_be] :
         {std::tuple("paid", &account.paid(), owed),
          {"reserved", &account.reserved(), uint64_t{0}},
          {"available", &account.available(), kLeftOver},
          {"credited", &account.credited(), owed + kLeftOver}}) {
      const std::string name = absl::StrCat(what, " of ", plan.Name(a));
      if (absl::Status s = Same(name, ledger::FromProto(*is), should_be); !s.ok()) return s;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckTotals(const boundary::v1::Status& before, const boundary::v1::Status& after,
                         ledger::Wei reserved, ledger::Wei paid) {
  const auto grew = [](const boundary::v1::Wei& from, const boundary::v1::Wei& to) {
    return ledger::FromProto(to) - ledger::FromProto(from);
  };
  if (absl::Status s = Same("what is reserved in all",
                            grew(before.totals().reserved(), after.totals().reserved()), reserved);
      !s.ok()) {
    return s;
  }
  return Same("what is paid in all", grew(before.totals().paid(), after.totals().paid()), paid);
}

std::string StageJson(const Pipelined& run, uint64_t tickets) {
  return absl::StrCat(
      "{\"seconds\":", run.seconds, ",\"per_second\":", static_cast<double>(tickets) / run.seconds,
      ",\"cpu_seconds\":", run.cpu_seconds, ",\"latency\":", run.latency.ToJson(), "}");
}

absl::StatusOr<Pipelined> Prepare(runtime::EventLoop* loop, const Clients& clients,
                                  const LoadOptions& options,
                                  const std::vector<std::string>& requests,
                                  std::vector<Payout>* payouts) {
  return SendAll(loop, clients, requests, options.window,
                 [&](size_t index, const ServerFrame& answer) {
                   (*payouts)[index] = answer.payout();
                   return Refused(answer);
                 });
}

absl::StatusOr<Pipelined> Settle(runtime::EventLoop* loop, const Clients& clients,
                                 const LoadOptions& options,
                                 const std::vector<std::string>& receipts) {
  return SendAll(loop, clients, receipts, options.window, [](size_t, const ServerFrame& answer) {
    const boundary::v1::ReceiptResult& result = answer.receipt();
    if (answer.has_error()) return Refused(answer);
    if (result.payouts_size() != 1 ||
        result.payouts(0).state() != boundary::v1::PAYOUT_STATE_SETTLED) {
      return absl::InternalError("a receipt that paid every ticket did not settle its payout");
    }
    return absl::OkStatus();
  });
}

}  // namespace

absl::StatusOr<std::string> Payouts(runtime::EventLoop* loop, const Clients& clients,
                                    const LoadOptions& options) {
  const Plan plan(options);
  Client* const asker = clients.front().get();
  if (absl::Status s = Credit(loop, clients, plan, options.window); !s.ok()) return s;
  const absl::StatusOr<boundary::v1::Status> before = asker->AskStatus();
  if (!before.ok()) return before.status();

  const std::string round_block_hash(32, 'r');
  std::vector<Payout> payouts(options.payouts);
  const absl::StatusOr<Pipelined> prepared =
      Prepare(loop, clients, options, plan.Prepares(4000, round_block_hash), &payouts);
  if (!prepared.ok()) return prepared.status();
  const absl::StatusOr<boundary::v1::Status> between = asker->AskStatus();
  if (!between.ok()) return between.status();
  if (absl::Status s = CheckTotals(*before, *between, plan.Total(), 0); !s.ok()) return s;

  std::vector<std::string> receipts;
  for (const Payout& payout : payouts) {
    auto receipt = MakeReceipt(payout, before->broker(), round_block_hash, receipts.size() + 1);
    if (!receipt.ok()) return receipt.status();
    ClientFrame frame;
    *frame.mutable_report_receipt() = *std::move(receipt);
    Plan::Take(&frame, &receipts);
  }
  const absl::StatusOr<Pipelined> settled = Settle(loop, clients, options, receipts);
  if (!settled.ok()) return settled.status();
  const absl::StatusOr<boundary::v1::Status> after = asker->AskStatus();
  if (!after.ok()) return after.status();
  if (absl::Status s = CheckTotals(*before, *after, 0, plan.Total()); !s.ok()) return s;
  if (absl::Status s = CheckAccounts(asker, plan); !s.ok()) return s;
  return absl::StrCat("{\"tickets\":", options.tickets, ",\"payouts\":", options.payouts,
                      ",\"window\":", options.window, ",\"clients\":", clients.size(),
                      ",\"prepared\":", StageJson(*prepared, plan.total_tickets()),
                      ",\"settled\":", StageJson(*settled, plan.total_tickets()), "}");
}

}  // namespace coffer::load
