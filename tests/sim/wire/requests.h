// What kind of request a frame is, and what its answer says about the storage: read off the
// boundary's own rules (proto/boundary.proto), with nothing of the state.
#ifndef COFFER_TESTS_SIM_WIRE_REQUESTS_H_
#define COFFER_TESTS_SIM_WIRE_REQUESTS_H_

#include <cstdint>
#include <string_view>

#include "proto/boundary.pb.h"

namespace coffer::sim::wire {

// False of answers that acknowledge nothing and wait for no storage (sealer.h).
bool WaitsForStorage(const boundary::v1::ClientFrame& request,
                     const boundary::v1::ServerFrame& answer);

// Whether the answer says that this very request changed something: then a record that was sealed
// after it came in has to be stored.
bool SaysChanged(const boundary::v1::ClientFrame& request, const boundary::v1::ServerFrame& answer);

// Whether it may make a payout.
bool Prepares(const boundary::v1::ClientFrame& request);

// Payouts that begin in these leaves: first items, and fundings that name no transaction.
uint64_t PayoutsIn(std::string_view bundle);

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_REQUESTS_H_
