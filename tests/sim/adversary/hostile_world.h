// A few production enclaves on the deterministic scheduler, each behind a tap, and one host
// dispatcher with as many sessions to them as somebody wants. No part of the real host.
#ifndef COFFER_TESTS_SIM_ADVERSARY_HOSTILE_WORLD_H_
#define COFFER_TESTS_SIM_ADVERSARY_HOSTILE_WORLD_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "actors/enclave/enclave.h"
#include "runtime/memory_network.h"
#include "runtime/test_dispatcher.h"
#include "tests/sim/wire/wire_auditor.h"
#include "tests/support/any_attester.h"
#include "tests/support/fake_kms.h"

namespace coffer::sim {

inline constexpr size_t kSlots = 3;  // places where an enclave can run
inline constexpr size_t kAdmins = 3;

// Keys for simulations only.
ethereum::PrivateKey HostileWorldKey();
ethereum::PrivateKey AdminKey(size_t i);
ethereum::PrivateKey ReporterKey();

class HostileWorld {
 public:
  // The policy varies with the seed: what the host's word may do, limits over time.
  // Enclaves have the development key, or wait for the same key from `kms`.
  enum class KeysFrom : uint8_t { kStart, kKms };
  HostileWorld(uint64_t seed, const policy::Policy& policy, KeysFrom keys_from = KeysFrom::kStart);
  ~HostileWorld();

  // One session to an enclave. Frames that come are given to OnFrame; after that it may be gone.
  class Session : public runtime::StreamHandler {
   public:
    Session(HostileWorld* world, size_t slot, uint64_t id) : world_(world), slot_(slot), id_(id) {}
    size_t slot() const { return slot_; }
    uint64_t id() const { return id_; }
    bool open() const { return stream_ != nullptr; }
    void Send(std::string_view payload) {
      if (stream_ != nullptr) stream_->Send(payload);
    }
    void Close() { stream_.reset(); }
    void Take(std::unique_ptr<runtime::FramedStream> stream) {
      stream_ = std::move(stream);
      stream_->SetHandler(this);
    }
    void OnFrame(runtime::FramedStream&, std::string payload) override {
      world_->on_frame_(this, std::move(payload));
    }
    void OnWritable(runtime::FramedStream&) override {}
    void OnClosed(runtime::FramedStream&, const absl::Status&) override { stream_.reset(); }

   private:
    HostileWorld* const world_;
    const size_t slot_;
    const uint64_t id_;
    std::unique_ptr<runtime::FramedStream> stream_;
  };

  void OnFrame(std::function<void(Session*, std::string)> on_frame) {
    on_frame_ = std::move(on_frame);
  }
  void Start(size_t slot);
  void Kill(size_t slot);
  bool runs(size_t slot) const { return slots_[slot].process != nullptr; }
  uint64_t starts() const { return starts_; }
  // The session opens later; null when no enclave runs there.
  Session* Connect(size_t slot);
  void Cut(size_t slot) { network_.Reset(endpoint(slot)); }
  void SetClock(size_t slot, absl::Duration offset);
  // The signer's thread gets no processor for so long.
  void StopSigner(size_t slot, absl::Duration duration);
  void Advance(absl::Duration duration) { scheduler_.Advance(duration); }

  runtime::TestScheduler& scheduler() { return scheduler_; }
  test::FakeKms& kms() { return kms_; }
  KeysFrom keys_from() const { return keys_from_; }
  WireAuditor& auditor() { return auditor_; }
  const ethereum::Address& address() const { return address_; }
  const policy::Policy& policy() const { return policy_; }
  // For scenarios, which look at an enclave's own state to say what is lost.
  const authority::Authority* state(size_t slot) const {
    return slots_[slot].process == nullptr ? nullptr : slots_[slot].process->enclave->state();
  }

 private:
  struct Process {
    Process(HostileWorld* world, uint64_t number, size_t slot);
    runtime::TestDispatcher* main;
    const std::vector<runtime::TestDispatcher*> signing;
    runtime::TestDispatcher* attesting;
    std::unique_ptr<runtime::Network> network;
    std::unique_ptr<enclave::Enclave> enclave;
  };
  struct Slot {
    uint64_t number = 0;
    std::unique_ptr<Process> process;
  };
  static runtime::Endpoint endpoint(size_t slot);

  runtime::TestScheduler scheduler_;
  const policy::Policy policy_;
  const KeysFrom keys_from_;
  const ethereum::Address address_;
  test::FakeKms kms_;
  test::AnyAttester attester_;
  WireAuditor auditor_;
  runtime::MemoryNetwork network_;
  runtime::TestDispatcher* const host_;
  std::unique_ptr<runtime::Network> host_network_;
  std::function<void(Session*, std::string)> on_frame_;
  std::vector<std::unique_ptr<Session>> sessions_;
  Slot slots_[kSlots];
  uint64_t starts_ = 0;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_HOSTILE_WORLD_H_
