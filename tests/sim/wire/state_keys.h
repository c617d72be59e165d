// Keys at the enclave's door: which state keys and signing keys enclaves had made, what they take
// as theirs, and what is sealed under which epoch. The clear header of what is sealed tells the
// epoch.
#ifndef COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_
#define COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "proto/boundary.pb.h"
#include "tests/sim/wire/asked.h"
#include "tests/sim/wire/leaf_world.h"

namespace coffer::sim::wire {

class StateKeys {
 public:
  // Each answer of an enclave to a request. Signing keys that it had made go into `book`, those
  // that it holds from now on into `asked`. Empty, or the broken rule.
  std::string OnAnswer(uint64_t enclave, const boundary::v1::ClientFrame& request,
                       const boundary::v1::ServerFrame& answer, Book* book, Asked* asked);
  // Each Store, by the enclave and its connection.
  std::string OnStore(uint64_t enclave, uint64_t connection, const boundary::v1::Store& store);
  // A connection is the storage now, perhaps once more.
  void OnStorage(uint64_t enclave, uint64_t connection) {
    last_.erase({enclave, connection});
    adopting_.erase({enclave, connection});
  }
  // adopt_state_key or adopt_signing_key, while this connection is the storage.
  void OnAdopt(uint64_t enclave, uint64_t storage) { adopting_.insert({enclave, storage}); }

 private:
  // What makes a state key that one: epoch, ciphertext and tag. The host may name another KMS key.
  using Made = std::tuple<uint32_t, std::string, std::string>;
  static Made Own(const boundary::v1::StateKey& key) {
    return {key.epoch(), key.ciphertext(), key.tag()};
  }
  // rotate_state_key, answered by an enclave.
  std::string OnStateKey(uint64_t enclave, const boundary::v1::StateKey& key);
  std::string OnRotated(const boundary::v1::NextSigningKey& made, Book* book);
  std::string OnProvisioned(const boundary::v1::Provision& request,
                            const boundary::v1::Provisioned& answer, const Book& book,
                            Asked* asked) const;

  std::set<Made> made_;
  std::map<std::pair<uint64_t, uint32_t>, Made> rotated_;   // by enclave and epoch
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> last_;  // epoch
  std::set<std::pair<uint64_t, uint64_t>> adopting_;
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_
