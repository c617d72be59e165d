// Counts work in flight, so that its owner is not destroyed under it.
#ifndef COFFER_RUNTIME_GATE_H_
#define COFFER_RUNTIME_GATE_H_

#include <cstddef>
#include <optional>
#include <utility>

#include "invariant/check.h"
#include "runtime/dispatcher.h"

namespace coffer::runtime {

// Everything on one dispatcher. Whoever starts an operation holds a Pass until it has ended. The
// owner calls Close() and waits for its callback; a gate destroyed with passes outstanding stops
// the process.
class Gate {
 public:
  class Pass {
   public:
    Pass(Pass&& other) noexcept : gate_(std::exchange(other.gate_, nullptr)) {}
    Pass& operator=(Pass&& other) noexcept {
      std::swap(gate_, other.gate_);
      return *this;
    }
    ~Pass() {
      if (gate_ != nullptr) gate_->Leave();
    }

   private:
    friend class Gate;
    explicit Pass(Gate* gate) : gate_(gate) {}
    Gate* gate_;
  };

  Gate() = default;
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
  ~Gate() { COFFER_CHECK(inside_ == 0, "a gate was destroyed with work in flight"); }

  // Nothing once the gate is closed.
  [[nodiscard]] std::optional<Pass> Enter() {
    if (closed_) return std::nullopt;
    ++inside_;
    return Pass(this);
  }

  // Refuses newcomers and calls `drained` once, when the last pass is gone (at once if there is
  // none). The gate may be destroyed in there.
  void Close(Task drained) {
    COFFER_CHECK(!closed_, "a gate was closed twice");
    closed_ = true;
    drained_ = std::move(drained);
    if (inside_ == 0) Drained();
  }

  size_t inside() const { return inside_; }
  bool closed() const { return closed_; }

 private:
  void Leave() {
    if (--inside_ == 0 && closed_) Drained();
  }
  void Drained() {
    Task drained = std::move(drained_);
    drained();
  }

  size_t inside_ = 0;
  bool closed_ = false;
  Task drained_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_GATE_H_
