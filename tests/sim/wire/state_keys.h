// Keys at the enclave's door: which state keys enclaves had made, what they take as theirs, and
// what is sealed under which epoch. The clear header of what is sealed tells the epoch.
#ifndef COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_
#define COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proto/boundary.pb.h"

namespace coffer::sim::wire {

class StateKeys {
 public:
  // Each answer of an enclave to a request. Empty, or the broken rule.
  std::string OnAnswer(const boundary::v1::ClientFrame& request,
                       const boundary::v1::ServerFrame& answer) {
    if (answer.has_state_key()) made_.insert(answer.state_key().SerializeAsString());
    if (!answer.has_provisioned()) return {};
    for (const auto& key : answer.provisioned().new_state_keys()) {
      made_.insert(key.SerializeAsString());
    }
    const std::string& expected = request.provision().expected_address();
    if (!expected.empty() && answer.provisioned().address() != expected) {
      return "I8: an enclave has another signing key than the one that was expected";
    }
    for (const auto& key : request.provision().state_keys()) {
      if (!made_.contains(key.SerializeAsString())) {
        return absl::StrCat("I8: an enclave takes a state key of epoch ", key.epoch(),
                            " that no enclave had made");
      }
    }
    return {};
  }

  // Each Store, by the enclave and its connection.
  std::string OnStore(uint64_t enclave, uint64_t connection, const boundary::v1::Store& store) {
    uint32_t epoch = 0;
    // Where enclave_core/sealing/record.h says that it stands.
    for (size_t i = 5; i < 9 && i < store.sealed().size(); ++i) {
      epoch = epoch << 8 | static_cast<uint8_t>(store.sealed()[i]);
    }
    const auto [last, first] = last_.try_emplace({enclave, connection}, epoch);
    const uint32_t before = std::exchange(last->second, epoch);
    if (first || before == epoch) return {};
    if (epoch < before) return "I8: something is sealed under a state key that was given up";
    const bool snapshot =
        store.kind() == boundary::v1::Store::KIND_SNAPSHOT_CHUNK && store.chunk_index() == 0;
    // A storage that attaches gets what the last one was not given, under whichever key it is.
    if (snapshot || !adopting_.contains({enclave, connection})) return {};
    return absl::StrCat("I8: the first thing under the state key of epoch ", epoch,
                        " is no snapshot, so that the older key stays needed");
  }
  // A connection is the storage now, perhaps once more.
  void OnStorage(uint64_t enclave, uint64_t connection) {
    last_.erase({enclave, connection});
    adopting_.erase({enclave, connection});
  }
  // adopt_state_key, while this connection is the storage.
  void OnAdopt(uint64_t enclave, uint64_t storage) { adopting_.insert({enclave, storage}); }

 private:
  std::set<std::string> made_;
  std::map<std::pair<uint64_t, uint64_t>, uint32_t> last_;  // epoch
  std::set<std::pair<uint64_t, uint64_t>> adopting_;
};

}  // namespace coffer::sim::wire

#endif  // COFFER_TESTS_SIM_WIRE_STATE_KEYS_H_
