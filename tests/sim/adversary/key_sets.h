// Which keys a state needs, as a host has them: ciphertexts. It gives an enclave those of one set,
// or a part of them.
#ifndef COFFER_TESTS_SIM_ADVERSARY_KEY_SETS_H_
#define COFFER_TESTS_SIM_ADVERSARY_KEY_SETS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "proto/boundary.pb.h"

namespace coffer::sim {

struct KeySet {
  std::vector<boundary::v1::SigningKey> signing;  // oldest first, at most two
  std::vector<boundary::v1::StateKey> state;      // by epoch; empty: none was made yet
  std::string retired;                            // the address of one that signs no more

  // What rotate_signing_key gave, once it is adopted. The oldest one of three is retired by then.
  void Add(const boundary::v1::NextSigningKey& next);
  // Whether a state that needs these can be opened by an enclave that was given `given`.
  bool OpenedBy(const KeySet& given) const;
  // One of the signing keys, with the state keys that it vouches for.
  KeySet Only(size_t which) const;
};

// Whether the signing key with this address had this state key made. `first`: it is the first one.
bool VouchesFor(std::string_view address, bool first, const boundary::v1::StateKey& key);

// A request for keys, without credentials. `keys` has a signing key.
void Fill(const KeySet& keys, boundary::v1::Provision* out);

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_ADVERSARY_KEY_SETS_H_
