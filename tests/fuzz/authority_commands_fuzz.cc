// Any sequence of commands leaves a state that conserves every account (I2), and whose replay is
// the same state.
//
// Input: commands one after the other, each a byte that names it, a length of two bytes, and the
// request's protobuf bytes.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "invariant/check.h"
#include "tests/support/bank.h"

namespace {

using coffer::test::Bank;
namespace v1 = coffer::boundary::v1;

template <typename Message>
Message Parsed(std::string_view bytes) {
  Message message;
  if (!message.ParseFromString(std::string(bytes))) message.Clear();
  return message;
}

void Run(Bank& bank, uint8_t command, std::string_view bytes) {
  v1::ReceiptResult result;
  switch (command % 9) {
    case 0: {
      v1::EventsApplied answer;
      return bank.state.ApplyEvents(Parsed<v1::ApplyEvents>(bytes), &answer, bank.Next());
    }
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
    default:
      // What fuzzing cannot guess: the receipt of the last payout, its first item paid.
      if (bank.state.payouts().size() == 0 || bytes.empty()) return;
      const uint64_t id = bank.state.payouts().size();
      const auto& payout = *bank.state.payouts().Find(id);
      if (!payout.IsTickets()) return;
      return (void)bank.Report(bank.ReceiptOf(id, 0, {{0, static_cast<uint8_t>(bytes[0])}}));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view raw(reinterpret_cast<const char*>(data), size);
  Bank bank;
  bank.Credit("a", 1000);
  bank.Credit("b", 500);
  COFFER_CHECK(bank.Pay({{"a", 100}}).ok(), "a payout to begin with");
  while (raw.size() > 3) {
    const uint8_t command = static_cast<uint8_t>(raw[0]);
    const size_t length =
        static_cast<size_t>(static_cast<uint8_t>(raw[1])) << 8 | static_cast<uint8_t>(raw[2]);
    const std::string_view bytes = raw.substr(3, length);
    raw.remove_prefix(3 + bytes.size());
    Run(bank, command, bytes);
  }
  coffer::authority::Authority replayed;
  for (const Bank::Batch& batch : bank.batches) {
    for (const auto& event : batch.events()) {
      COFFER_CHECK(replayed.Apply(event).ok(), "what was emitted replays");
    }
  }
  COFFER_CHECK(replayed.ledger().totals() == bank.state.ledger().totals(), "the same state");
  COFFER_CHECK(replayed.payouts().open() == bank.state.payouts().open(), "the same state");
  return 0;
}
