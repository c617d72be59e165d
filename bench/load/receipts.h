// Receipts as a chain would give them for the redemptions that an enclave signed: at settlement
// tier T0 they are the host's word, so a harness can be the chain.
#ifndef COFFER_BENCH_LOAD_RECEIPTS_H_
#define COFFER_BENCH_LOAD_RECEIPTS_H_

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"
#include "proto/boundary.pb.h"

namespace coffer::load {

// The receipt of the newest transaction of `payout`, mined in `block`: each of its tickets redeemed
// and paid in full, by events of `broker`. `round_block_hash` is what the payout was prepared with.
// An error when the transaction is not what the payout says it is.
absl::StatusOr<boundary::v1::ReportReceipt> MakeReceipt(const boundary::v1::Payout& payout,
                                                        std::string_view broker,
                                                        std::string_view round_block_hash,
                                                        uint64_t block);

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_RECEIPTS_H_
