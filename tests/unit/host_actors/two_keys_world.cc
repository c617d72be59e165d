#include "tests/unit/host_actors/two_keys_world.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace coffer::host {

TwoKeysWorld::TwoKeysWorld(uint64_t seed)
    : scheduler(seed),
      dispatcher(scheduler.NewDispatcher("host")),
      enclave(&scheduler, dispatcher, TestPolicy()),
      chain(&scheduler, dispatcher, enclave.first.address(), TestPolicy().broker) {
  BalanceOfOld() = 1'000'000'000;
  Old().deposit = 10'000;
  chain.AddSender(enclave.second.address(), 1'000'000'000'000, 100'000'000);
  chain.Mine();
  chain.genesis = chain.height();
}

TwoKeysWorld::~TwoKeysWorld() {
  drivers.reset();
  CheckBooks();
}

void TwoKeysWorld::Start(PayoutDriverOptions wanted) {
  options = std::move(wanted);
  drivers.reset();
  drivers = std::make_unique<PayoutDrivers>(dispatcher, &enclave, &chain, options);
  drivers->OnRetired([this](const std::string& address) { told_retired.push_back(address); });
  drivers->Start();
}

void TwoKeysWorld::Credit(uint64_t index, absl::uint128 wei) {
  accounts.insert(index);
  enclave.Current().Credit(absl::StrCat("a", index), TestRecipient(index), wei);
}

void TwoKeysWorld::Run(absl::Duration duration, bool blocks) {
  for (absl::Duration done; done < duration; done += absl::Seconds(1)) {
    scheduler.Advance(absl::Seconds(1));
    if (blocks) chain.Mine();
  }
}

bool TwoKeysWorld::RunUntilRetired(absl::Duration limit) {
  for (absl::Duration done; done < limit && !enclave.retired(); done += absl::Seconds(1)) {
    Run(absl::Seconds(1));
  }
  return enclave.retired();
}

absl::uint128 TwoKeysWorld::Paid(uint64_t index) const {
  const auto found = chain.now().paid.find(TestRecipient(index));
  return found == chain.now().paid.end() ? absl::uint128(0) : found->second;
}

std::vector<boundary::v1::Strategy> TwoKeysWorld::DrainSteps() const {
  std::vector<boundary::v1::Strategy> steps;
  for (const boundary::v1::Payout& payout : enclave.Drained()) steps.push_back(payout.strategy());
  return steps;
}

// Paid on the chain is paid in the books, whichever key paid.
void TwoKeysWorld::CheckBooks() const {
  for (const uint64_t index : accounts) {
    absl::uint128 paid = 0;
    for (const FakeEnclave* part : {&enclave.first, &enclave.second}) {
      const ledger::Ledger& ledger = part->authority().ledger();
      const auto account = ledger.Find(absl::StrCat("a", index));
      if (account.has_value()) paid += ledger.at(*account).balances.paid;
    }
    EXPECT_EQ(Paid(index), paid) << "account a" << index;
  }
}

}  // namespace coffer::host
