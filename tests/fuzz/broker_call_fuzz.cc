// Any bytes either are no call that Coffer knows, or decode to one whose encoding is exactly those
// bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "invariant/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using coffer::ethereum::BrokerCall;
  constexpr size_t kMaxTickets = 8;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const auto call = coffer::ethereum::DecodeBrokerCall(raw, kMaxTickets);
  if (!call.ok()) return 0;
  COFFER_CHECK(coffer::ethereum::EncodeBrokerCall(*call) == raw,
               "decoding is the inverse of encoding");
  COFFER_CHECK(call->tickets.size() <= kMaxTickets, "the limit on tickets is kept");
  COFFER_CHECK((call->kind == BrokerCall::Kind::kRedeem) <= (call->tickets.size() == 1),
               "redeemWinningTicket has one ticket");
  return 0;
}
