#include "tests/unit/host_actors/payout_world.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "invariant/check.h"

namespace coffer::host {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

FakeEnclave::FakeEnclave(runtime::TestScheduler* scheduler, runtime::TestDispatcher* dispatcher,
                         const policy::Policy& policy, char secret)
    : scheduler_(scheduler),
      dispatcher_(dispatcher),
      source_(scheduler->NewSource()),
      key_(*ethereum::PrivateKey::FromBytes(std::string(32, secret))),
      policy_(policy) {
  authority::Authority::Batch batch;
  authority_.Found(key_.address(), policy, std::string(32, 'f'), &batch);
}

void FakeEnclave::Call(ClientFrame request, Reply reply) {
  auto shared = std::make_shared<Reply>(std::move(reply));
  const uint64_t dice = scheduler_->random().Below(200);
  const bool before = dice < lost_percent;
  const bool after = dice < 2 * lost_percent;
  scheduler_->PostFrom(source_, dispatcher_, [this, request, shared, before, after] {
    if (!ready_ || before) {
      (*shared)(absl::UnavailableError("lost on the way there"));
      return;
    }
    ServerFrame answer = Answer(request);
    const bool report = request.body_case() == ClientFrame::kReportReceipt;
    if (report && lost_report_answers > 0) {
      --lost_report_answers;
      (*shared)(absl::UnavailableError("lost on the way back"));
      return;
    }
    if (after) {
      (*shared)(absl::UnavailableError("lost on the way back"));
    } else {
      (*shared)(std::move(answer));
    }
  });
}

void FakeEnclave::SetReady(bool ready) {
  ready_ = ready;
  for (auto& observer : observers_) observer(ready);
}

void FakeEnclave::Credit(const std::string& account, const ethereum::Address& recipient,
                         absl::uint128 wei) {
  boundary::v1::ApplyEvents events;
  boundary::v1::Event* event = events.add_events();
  event->set_id(absl::StrCat("event", ++events_));
  event->set_kind(boundary::v1::Event::KIND_CREDIT);
  event->set_account(account);
  event->set_recipient(std::string(recipient.view()));
  ledger::ToProto(wei, event->mutable_amount());
  boundary::v1::EventsApplied answer;
  authority::Authority::Batch batch;
  authority_.ApplyEvents(events, &answer, &batch);
  COFFER_CHECK(answer.applied() == 1, "a credit of the test was refused");
}

ServerFrame FakeEnclave::Answer(const ClientFrame& request) {
  ++calls_[request.body_case()];
  ServerFrame answer;
  const absl::Status status = Handle(request, &answer);
  if (!status.ok()) ToProto(status, answer.mutable_error());
  return answer;
}

absl::Status FakeEnclave::Sign(absl::StatusOr<payouts::SigningJob> job, ServerFrame* answer) {
  if (!job.ok()) return job.status();
  authority::Authority::Batch batch;
  authority_.CompleteSigning(payouts::Sign(key_, *job), &batch);
  return authority_.GetPayout(job->payout_id, true, answer->mutable_payout());
}

absl::Status FakeEnclave::Handle(const ClientFrame& request, ServerFrame* answer) {
  authority::Authority::Batch batch;
  switch (request.body_case()) {
    case ClientFrame::kStatus: {
      boundary::v1::Status* status = answer->mutable_status();
      status->set_phase(boundary::v1::PHASE_READY);
      status->set_address(std::string(key_.address().view()));
      status->set_chain_id(policy_.chain_id);
      status->set_broker(std::string(policy_.broker.view()));
      authority_.FillStatus(status);
      return absl::OkStatus();
    }
    case ClientFrame::kListAccounts:
      return authority_.ListAccounts(request.list_accounts(), answer->mutable_accounts());
    case ClientFrame::kListPayouts:
      return authority_.ListPayouts(request.list_payouts(), answer->mutable_payouts());
    case ClientFrame::kPreparePayout:
      return Sign(authority_.PreparePayout(request.prepare_payout(), &batch), answer);
    case ClientFrame::kPrepareFunding:
      return Sign(authority_.PrepareFunding(request.prepare_funding(), &batch), answer);
    case ClientFrame::kRetryPayout:
      return Sign(authority_.RetryPayout(request.retry_payout(), &batch), answer);
    case ClientFrame::kBumpTransaction: {
      auto job = authority_.BumpTransaction(request.bump_transaction(), &batch);
      if (!job.ok()) return job.status();
      if (job->has_value()) return Sign(**std::move(job), answer);
      return authority_.GetPayout(request.bump_transaction().payout_id(), true,
                                  answer->mutable_payout());
    }
    case ClientFrame::kReportReceipt:
      return authority_.ReportReceipt(request.report_receipt(), answer->mutable_receipt(), &batch);
    case ClientFrame::kReportReorg:
      return authority_.ReportReorg(request.report_reorg(), answer->mutable_receipt(), &batch);
    case ClientFrame::kVoidTickets: {
      absl::Status status = authority_.VoidTickets(request.void_tickets(), &batch);
      if (!status.ok()) return status;
      return authority_.GetPayout(request.void_tickets().payout_id(), false,
                                  answer->mutable_payout());
    }
    default:
      return Refuse(boundary::v1::ERROR_UNKNOWN_METHOD, "not in this test");
  }
}

policy::Policy TestPolicy() {
  policy::Policy policy;
  policy.chain_id = 31337;
  policy.broker = *ethereum::Address::FromHex("0xb000000000000000000000000000000000000001");
  policy.allow_tickets = true;
  policy.allow_eth_transfer = true;
  policy.max_face_value = 1'000'000'000;
  policy.max_transfer = 1'000'000'000;
  policy.max_batch_total = 3'000'000'000;
  policy.max_tickets = 10;
  policy.max_gas_limit = 5'000'000;
  policy.max_fee_per_gas = 2'000;
  policy.max_priority_fee_per_gas = 100;
  policy.max_fund_deposit = 5'000'000'000;
  policy.ticket_validity_rounds = 2;
  policy.void_on_host_word = false;
  return policy;
}

ethereum::Address TestRecipient(uint64_t index) {
  const ethereum::Hash hash = ethereum::Keccak256(absl::StrCat("recipient ", index));
  return *ethereum::Address::FromBytes(hash.view().substr(0, 20));
}

uint64_t TestSeed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : 1;
}

World::World(policy::Policy policy, uint64_t seed)
    : scheduler(seed),
      dispatcher(scheduler.NewDispatcher("host")),
      enclave(&scheduler, dispatcher, policy),
      chain(&scheduler, dispatcher, enclave.address(), policy.broker) {
  chain.now().balances[enclave.address()] = 1'000'000'000'000;
  chain.now().deposit = 100'000'000'000;
  chain.Mine();
  chain.genesis = chain.height();
}

World::~World() {
  driver.reset();
  CheckBooks();
}

PayoutDriver& World::Start(PayoutDriverOptions options) {
  driver.reset();
  driver = std::make_unique<PayoutDriver>(dispatcher, &enclave, &chain, std::move(options));
  driver->Start();
  return *driver;
}

void World::Credit(uint64_t index, absl::uint128 wei) {
  accounts.insert(index);
  enclave.Credit(absl::StrCat("a", index), TestRecipient(index), wei);
}

void World::Run(absl::Duration duration, bool blocks) {
  for (absl::Duration done; done < duration; done += absl::Seconds(1)) {
    scheduler.Advance(absl::Seconds(1));
    if (blocks) chain.Mine();
  }
}

bool World::Settle(absl::Duration limit) {
  for (absl::Duration done; done < limit; done += absl::Seconds(1)) {
    Run(absl::Seconds(1));
    if (enclave.authority().payouts().open().empty()) return true;
  }
  return false;
}

bool World::Halted(const std::string& code) const {
  for (const PayoutHalt& halt : driver->Status().halts) {
    if (halt.code == code) return true;
  }
  return false;
}

bool World::Noted(const std::string& text) const {
  for (const std::string& note : driver->Status().notes) {
    if (note.find(text) != std::string::npos) return true;
  }
  return false;
}

absl::uint128 World::Paid(uint64_t index) const {
  const auto& paid = chain.now().paid;
  const auto found = paid.find(TestRecipient(index));
  return found == paid.end() ? absl::uint128(0) : found->second;
}

std::string World::Calldata(uint64_t id) const {
  const std::string& raw = Payout(id).attempts.back().raw_tx;
  return ethereum::ParseSignedTransaction(raw)->transaction.data;
}

void World::CheckBooks() const {
  const ledger::Ledger& ledger = enclave.authority().ledger();
  for (const uint64_t index : accounts) {
    const ledger::Account& account = ledger.at(*ledger.Find(absl::StrCat("a", index)));
    EXPECT_EQ(Paid(index), account.balances.paid) << "account a" << index;
  }
  const ledger::Balances& t = ledger.totals();
  EXPECT_EQ(t.credited + t.adjusted_up - t.adjusted_down, t.available + t.reserved + t.paid);
}

}  // namespace coffer::host
