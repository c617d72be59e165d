// One direction of a connection in memory: bytes that come out in other pieces than they went in.
#ifndef COFFER_RUNTIME_MEMORY_PIPE_H_
#define COFFER_RUNTIME_MEMORY_PIPE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "runtime/random.h"

namespace coffer::runtime {

class MemoryPipe {
 public:
  // Per mille of the frames: how many are cut into pieces, and how many join the piece before them
  // that is still under way.
  struct Rates {
    uint64_t cut = 100;
    uint64_t join = 150;
  };

  // Puts a frame's bytes in. Returns how many pieces more are under way: 0 if all of it joined one.
  size_t Send(std::string_view payload, const Rates& rates, Random& random);
  // The next piece arrives: what of it is not lost, so perhaps nothing. To be called once for every
  // piece that Send counted.
  std::string Arrive();
  // Of what is under way, an arbitrary end is lost: all, none, whole pieces or a part of one.
  void LoseEnd(Random& random);

 private:
  struct Piece {
    uint64_t offset = 0;  // of its first byte in all that was ever sent
    std::string bytes;
  };
  void Push(std::string bytes);

  std::deque<Piece> pieces_;
  uint64_t sent_ = 0;           // bytes
  uint64_t arrived_ = 0;        // of them, lost ones included
  uint64_t lost_from_ = ~0ull;  // bytes from this offset on are lost
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_MEMORY_PIPE_H_
