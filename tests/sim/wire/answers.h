// Whether an answer says what the stored leaves say. Each check is of one kind of answer; `from` is
// the number of leaves that had been handed out when the request came in: an answer may show any
// state from there up to what is stored now, and nothing older or newer.
#ifndef COFFER_TESTS_SIM_WIRE_ANSWERS_H_
#define COFFER_TESTS_SIM_WIRE_ANSWERS_H_

#include <cstdint>
#include <string>

#include "proto/boundary.pb.h"
#include "tests/sim/wire/asked.h"
#include "tests/sim/wire/leaf_world.h"

namespace coffer::sim::wire {

struct View {
  LeafWorld* world = nullptr;
  Book* book = nullptr;
  const Told* told = nullptr;
  Address broker;
  uint64_t from = 0;
};

// Empty, or the rule that is broken.
std::string CheckAccount(const View& view, const boundary::v1::Account& account);
std::string CheckPayout(const View& view, const boundary::v1::Payout& payout);
std::string CheckPayouts(const View& view, const boundary::v1::ListPayouts& request,
                         const boundary::v1::PayoutList& answer);
// `asked` is updated with what was refused.
std::string CheckEvents(const View& view, const boundary::v1::ApplyEvents& request,
                        const boundary::v1::EventsApplied& answer, Asked* asked);
// Of a request that leads to a signature: the answer is for what was asked.
std::string CheckSigned(const View& view, const boundary::v1::ClientFrame& request,
                        const boundary::v1::Payout& payout);
// Of a payout that was refused because the deposit is too small.
std::string CheckDepositRefusal(const View& view, const boundary::v1::PreparePayout& request);
std::string CheckReceipt(const View& view, const boundary::v1::ReportReceipt& request,
                         const boundary::v1::ReceiptResult& answer);
std::string CheckConfirmed(const View& view, const boundary::v1::PayoutConfirmed& answer);
std::string CheckPolicy(const View& view, const boundary::v1::PolicyState& answer);
std::string CheckEntry(const View& view, const boundary::v1::AuditEntry& entry);
// What a status says of the state with as many leaves as the world has now.
std::string CheckStatus(const View& view, const boundary::v1::Status& status);
// The part of it about signing keys.
std::string CheckKeys(const View& view, const boundary::v1::Status& status);
// By whom a payout is signed, as an answer says it.
std::string CheckSender(const View& view, const boundary::v1::Payout& payout);
// A key that is called adopted or retired is that by a stored leaf. (The status in these answers
// has waited for the storage, as a status otherwise does not.)
std::string CheckAdopted(const View& view, const boundary::v1::AdoptSigningKey& request,
                         const boundary::v1::Status& answer);
std::string CheckRetired(const View& view, const boundary::v1::RetireSigningKey& request,
                         const boundary::v1::Status& answer);

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_ANSWERS_H_
