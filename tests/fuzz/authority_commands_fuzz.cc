// Any sequence of commands leaves a state that conserves every account (I2), and whose replay is
// the same state, byte for byte. A batch of credits that its reporter did not sign changes nothing.
//
// Input: commands one after the other, each a byte that names it, a length of two bytes, and the
// request's protobuf bytes.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enclave_core/authority/credit_signature.h"
#include "invariant/check.h"
#include "tests/fuzz/proto_mutator.h"
#include "tests/support/bank.h"

namespace {

using coffer::test::Bank;
namespace v1 = coffer::boundary::v1;

constexpr uint8_t kReporter = 0x22;

template <typename Message>
Message Parsed(std::string_view bytes) {
  Message message;
  if (!message.ParseFromString(std::string(bytes))) message.Clear();
  return message;
}

// The commands of the signer profile, on a state of their own.
void Sign(Bank& signer, uint8_t command, std::string_view bytes) {
  switch (command % 3) {
    case 0:
      return (void)signer.state.SignTransaction(Parsed<v1::SignTransaction>(bytes), signer.Next());
    case 1:
      return (void)signer.state.SignMessage(Parsed<v1::SignMessage>(bytes), signer.Next());
    default:
      return (void)signer.state.SignTicket(Parsed<v1::SignTicket>(bytes), signer.Next());
  }
}

// A batch signature of one byte becomes the reporter's, which fuzzing cannot guess. Every other one
// is refused: the batch changes nothing.
void Apply(Bank& bank, v1::ApplyEvents request) {
  const bool is_signed = request.batch_signature().size() == 1;
  if (is_signed) {
    const auto digest = coffer::authority::CreditBatchDigest(request);
    request.set_batch_signature(
        coffer::test::Key(kReporter).Sign(coffer::ethereum::Eip191Hash(digest.view())).ToBytes65());
  }
  const bool named = bank.state.policy().credit_reporter == coffer::test::Key(kReporter).address();
  v1::EventsApplied answer;
  bank.state.ApplyEvents(request, &answer, bank.Next());
  if (!named || request.batch_signature().empty()) return;
  COFFER_CHECK(is_signed || bank.batches.back().events_size() == 0, "a batch of nobody's");
  for (const v1::EventRefusal& refusal : answer.refusals()) {
    const v1::Event& event = request.events(static_cast<int>(refusal.index()));
    COFFER_CHECK(
        refusal.error().code() != v1::ERROR_SIGNATURE || !is_signed || !event.signature().empty(),
        "an event of the reporter's batch");
  }
}

void Run(Bank& bank, Bank& signer, uint8_t command, std::string_view bytes) {
  v1::ReceiptResult result;
  switch (command % 16) {
    case 9:
      return (void)bank.Redeem(Parsed<v1::PrepareRedeem>(bytes));
    case 10:
      return (void)bank.Confirm(Parsed<v1::ConfirmPayout>(bytes));
    case 11:
      return (void)bank.state.ChangePolicy(Parsed<v1::ChangePolicy>(bytes), bank.Next());
    case 12:
      for (Bank* each : {&bank, &signer}) each->state.SetTime(1000 + bytes.size());
      return;
    case 13:
    case 14:
    case 15:
      return Sign(signer, command, bytes);
    case 0:
      return Apply(bank, Parsed<v1::ApplyEvents>(bytes));
    case 1:
      return (void)bank.Prepare(Parsed<v1::PreparePayout>(bytes));
    case 2:
      return (void)bank.Signed(
          bank.state.PrepareFunding(Parsed<v1::PrepareFunding>(bytes), bank.Next()));
    case 3: {
      auto job = bank.state.BumpTransaction(Parsed<v1::BumpTransaction>(bytes), bank.Next());
      if (job.ok() && job->has_value()) (void)bank.Signed(**job);
      return;
    }
    case 4:
      return (void)bank.Signed(bank.state.RetryPayout(Parsed<v1::RetryPayout>(bytes), bank.Next()));
    case 5:
      return (void)bank.state.ReportReceipt(Parsed<v1::ReportReceipt>(bytes), &result, bank.Next());
    case 6:
      return (void)bank.state.ReportReorg(Parsed<v1::ReportReorg>(bytes), &result, bank.Next());
    case 7:
      return (void)bank.state.VoidTickets(Parsed<v1::VoidTickets>(bytes), bank.Next());
    case 8:
    default:
      // What fuzzing cannot guess: the receipt of the last payout, its first item paid.
      if (bank.state.payouts().size() == 0 || bytes.empty()) return;
      const uint64_t id = bank.state.payouts().size();
      const auto& payout = *bank.state.payouts().Find(id);
      if (!payout.IsTickets()) return;
      return (void)bank.Report(bank.ReceiptOf(id, 0, {{0, static_cast<uint8_t>(bytes[0])}}));
  }
}

// The request that a command's bytes are, for the mutator.
[[maybe_unused]] std::unique_ptr<google::protobuf::Message> RequestOf(std::string_view head) {
  switch (static_cast<uint8_t>(head[0]) % 16) {
    case 0:
      return std::make_unique<v1::ApplyEvents>();
    case 1:
      return std::make_unique<v1::PreparePayout>();
    case 2:
      return std::make_unique<v1::PrepareFunding>();
    case 3:
      return std::make_unique<v1::BumpTransaction>();
    case 4:
      return std::make_unique<v1::RetryPayout>();
    case 5:
      return std::make_unique<v1::ReportReceipt>();
    case 6:
      return std::make_unique<v1::ReportReorg>();
    case 7:
      return std::make_unique<v1::VoidTickets>();
    case 9:
      return std::make_unique<v1::PrepareRedeem>();
    case 10:
      return std::make_unique<v1::ConfirmPayout>();
    case 11:
      return std::make_unique<v1::ChangePolicy>();
    case 13:
      return std::make_unique<v1::SignMessage>();
    case 14:
      return std::make_unique<v1::SignTicket>();
    case 15:
      return std::make_unique<v1::SignTransaction>();
    default:
      return nullptr;
  }
}

}  // namespace

COFFER_FUZZ_SEQUENCE_MUTATOR(1, RequestOf)

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view raw(reinterpret_cast<const char*>(data), size);
  coffer::policy::Policy policy = coffer::test::WidePolicy();
  policy.velocity_window = 50;
  policy.velocity_total = 2000;
  policy.allow_raw_messages = true;
  policy.credit_reporter = coffer::test::Key(kReporter).address();
  Bank bank(policy);
  Bank signer(policy, 0x11, v1::PROFILE_SIGNER);
  bank.Credit("a", 1000);
  bank.Credit("b", 500);
  COFFER_CHECK(bank.Pay({{"a", 100}}).ok(), "a payout to begin with");
  while (raw.size() > 3) {
    const uint8_t command = static_cast<uint8_t>(raw[0]);
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(raw[1])) << 8 | static_cast<uint8_t>(raw[2]);
    const std::string_view bytes = raw.substr(3, length);
    raw.remove_prefix(3 + bytes.size());
    Run(bank, signer, command, bytes);
  }
  for (Bank* each : {&bank, &signer}) {
    coffer::authority::Authority replayed = coffer::test::Replayed(each->Batches());
    const auto bytes = coffer::test::SnapshotBytes(each->state);
    COFFER_CHECK(coffer::test::SnapshotBytes(replayed) == bytes, "the same state");
    coffer::authority::Authority restored = coffer::test::Restored(each->state);
    COFFER_CHECK(coffer::test::SnapshotBytes(restored) == bytes, "the same state");
    COFFER_CHECK(restored.LedgerRoot() == each->state.LedgerRoot(), "the same root");
  }
  return 0;
}
