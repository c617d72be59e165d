// A network in memory for tests and the simulator: the same streams, between dispatchers of one
// TestScheduler.
#ifndef COFFER_RUNTIME_MEMORY_NETWORK_H_
#define COFFER_RUNTIME_MEMORY_NETWORK_H_

#include <memory>

#include "absl/time/time.h"
#include "runtime/stream.h"
#include "runtime/test_dispatcher.h"

namespace coffer::runtime {

// The wire between simulated processes. It carries bytes: what is sent is cut and joined at any
// byte, the pieces of one direction of one connection arrive in order, and everything else is
// interleaved by the scheduler's seed. When a dispatcher crashes, its peers are told that the
// connection is closed, and an arbitrary end of the bytes it had sent is lost, in the middle of a
// frame too, as with a real socket. One thing is simpler than there: the end of a peer's input
// closes the stream at once, and OnInputEnded is not asked.
class MemoryNetwork {
 public:
  // FramedStream::OutputLimit() of every stream, and what a "kernel" takes before output counts as
  // pending; bytes.
  static constexpr size_t kOutputLimit = 1u << 20;
  static constexpr size_t kKernelBytes = 64u << 10;

  // `scheduler` must outlive this object and everything made by it.
  explicit MemoryNetwork(TestScheduler* scheduler);
  ~MemoryNetwork();

  // The network as one process sees it. May outlive the MemoryNetwork and be destroyed before or
  // after a crash.
  std::unique_ptr<Network> NewNode(TestDispatcher* dispatcher);

  // Every connection and every piece sent from now on takes a time drawn from [min, max].
  void SetDelay(absl::Duration min, absl::Duration max);
  // How often, in a thousand frames sent from now on, one is cut into pieces, and how often it
  // joins what is still under way before it.
  void SetPieces(uint64_t cut_per_mille, uint64_t join_per_mille);
  // Connections made to this endpoint die on both sides, an arbitrary end of what is under way is
  // lost, and new ones are refused, until Heal.
  void Cut(const Endpoint& endpoint);
  void Heal(const Endpoint& endpoint);
  // As Cut followed by Heal at once: every connection dies, new ones work.
  void Reset(const Endpoint& endpoint);
  // Connections of which both ends think that they are open.
  size_t open_connections() const;

  class Wire;  // the implementation

 private:
  std::shared_ptr<Wire> wire_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_MEMORY_NETWORK_H_
