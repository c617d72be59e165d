// Credits as the cases send them, and what is made of the answers.
#ifndef COFFER_BENCH_LOAD_CREDITS_H_
#define COFFER_BENCH_LOAD_CREDITS_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "proto/boundary.pb.h"

namespace coffer::load {

// A credit as the journal makes them: an id of 71 bytes, a short account name, 10^13 wei.
inline void FillCredit(uint64_t id, uint64_t accounts, boundary::v1::Event* event) {
  event->set_id(absl::StrFormat("ledger:%048x%016x", 0xc0ffe4, id));
  event->set_kind(boundary::v1::Event::KIND_CREDIT);
  event->set_account(absl::StrFormat("bench-%07d", id % accounts));
  event->set_recipient(absl::StrFormat("bench recipient%05d", id % accounts % 100'000));
  event->mutable_amount()->set_low(10'000'000'000'000);
}

// Remembers the first refusal of anything; a figure that hides refusals is worthless.
class Errors {
 public:
  void Note(const boundary::v1::ServerFrame& answer) {
    if (!status_.ok()) return;
    if (answer.has_error()) {
      status_ = absl::InternalError(answer.error().message());
    } else if (answer.events_applied().refusals_size() > 0) {
      status_ = absl::InternalError(answer.events_applied().refusals(0).error().message());
    } else {
      duplicates_ += static_cast<uint64_t>(answer.events_applied().duplicates_size());
    }
  }
  const absl::Status& status() const { return status_; }
  uint64_t duplicates() const { return duplicates_; }

 private:
  absl::Status status_;
  uint64_t duplicates_ = 0;
};

}  // namespace coffer::load

#endif  // COFFER_BENCH_LOAD_CREDITS_H_
