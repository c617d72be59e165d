// Batches of events on their way to the enclave: a bounded number in flight, sent in order, and
// sent again in order until each was answered. Repeating is safe: ids make an event count once
// (I7).
#ifndef COFFER_ACTORS_HOST_BATCH_WINDOW_H_
#define COFFER_ACTORS_HOST_BATCH_WINDOW_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/time/time.h"
#include "actors/host/enclave_client.h"
#include "actors/host/line_reader.h"
#include "proto/boundary.pb.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

// One line of a chunk that became an event.
struct LineRef {
  uint32_t begin = 0;
  uint32_t length = 0;
};

struct Batch {
  std::shared_ptr<const Chunk> chunk;
  std::vector<LineRef> lines;  // of the events, in order; may be none
  uint64_t end = 0;            // offset in the file up to which all is done once this is answered
  uint64_t letters = 0;  // position() of the dead letters when its last line had been looked at
  // The request, an ApplyEvents as protobuf writes it, until it is first sent; a repetition is
  // built anew from the lines, so that what is in flight is not held twice.
  std::string events;

  std::string_view line(size_t i) const {
    return std::string_view(chunk->bytes).substr(lines[i].begin, lines[i].length);
  }
};

class BatchWindow {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // The same events as when the batch was made.
    virtual std::string BuildEvents(const Batch& batch) = 0;
    // In order of the batches. `refusals[i]` belongs to line `refusals[i].index()`; all others were
    // applied, now or before.
    virtual void OnDone(const Batch& batch,
                        const std::vector<boundary::v1::EventRefusal>& refusals) = 0;
    // After a run of OnDone: there is room again.
    virtual void OnRoom() = 0;
  };
  struct Counters {
    uint64_t sent = 0;      // requests, repetitions included
    uint64_t repeated = 0;  // answers that never came, or asked to come again
    uint64_t applied = 0;
    uint64_t duplicates = 0;
    uint64_t refused = 0;
  };

  // All must outlive this object. At most `capacity` batches are held.
  BatchWindow(runtime::Dispatcher* dispatcher, EnclaveClient* client, Owner* owner,
              size_t capacity);
  ~BatchWindow();
  BatchWindow(const BatchWindow&) = delete;
  BatchWindow& operator=(const BatchWindow&) = delete;

  // Only when not full().
  void Push(Batch batch);
  bool full() const { return entries_.size() >= capacity_; }
  bool empty() const { return entries_.empty(); }
  const Counters& counters() const { return counters_; }

 private:
  enum class State { kWaiting, kInFlight, kDone };
  struct Entry {
    Batch batch;
    State state = State::kWaiting;
    std::vector<boundary::v1::EventRefusal> refusals;
  };
  using Answer = absl::StatusOr<boundary::v1::ServerFrame>;

  void Pump();
  void Send(Entry& entry);
  void OnAnswer(Entry& entry, Answer answer);
  void OnError(Entry& entry, const boundary::v1::Error& error);
  bool TakeApplied(Entry& entry, const boundary::v1::EventsApplied& applied);
  void Split(Entry& entry);
  void Retry(absl::Duration wait);
  void Deliver();

  runtime::Dispatcher* const dispatcher_;
  EnclaveClient* const client_;
  Owner* const owner_;
  const size_t capacity_;
  std::deque<std::unique_ptr<Entry>> entries_;
  size_t in_flight_ = 0;
  // While set, nothing is sent until all that is in flight was answered, so that repetitions keep
  // their order.
  bool retrying_ = false;
  absl::Duration wait_;  // before the next repetition
  std::unique_ptr<runtime::Timer> timer_;
  Counters counters_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_BATCH_WINDOW_H_
