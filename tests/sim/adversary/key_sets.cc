#include "tests/sim/adversary/key_sets.h"

#include <algorithm>

namespace coffer::sim {

using boundary::v1::SigningKey;
using boundary::v1::StateKey;

bool VouchesFor(std::string_view address, bool first, const StateKey& key) {
  return key.address() == address || (first && key.address().empty());
}

void KeySet::Add(const boundary::v1::NextSigningKey& next) {
  const bool known = std::any_of(signing.begin(), signing.end(), [&](const SigningKey& key) {
    return key.address() == next.signing_key().address();
  });
  if (known) return;
  if (signing.size() == 2) *this = Only(1);
  signing.push_back(next.signing_key());
  state.push_back(next.state_key());
}

KeySet KeySet::Only(size_t which) const {
  KeySet out;
  const SigningKey& key = signing[which];
  out.signing = {key};
  for (const StateKey& one : state) {
    if (VouchesFor(key.address(), key.epoch() == 0, one)) out.state.push_back(one);
  }
  return out;
}

bool KeySet::OpenedBy(const KeySet& given) const {
  const bool signs = std::all_of(signing.begin(), signing.end(), [&](const SigningKey& key) {
    return key.address() == retired ||
           std::any_of(given.signing.begin(), given.signing.end(),
                       [&](const SigningKey& one) { return one.address() == key.address(); });
  });
  if (!signs || state.empty()) return signs;
  return std::any_of(given.state.begin(), given.state.end(), [&](const StateKey& one) {
    return one.SerializeAsString() == state.back().SerializeAsString();
  });
}

void Fill(const KeySet& keys, boundary::v1::Provision* out) {
  const SigningKey& own = keys.signing.front();
  out->set_ciphertext(own.ciphertext());
  out->set_key_id(own.key_id());
  *out->mutable_encryption_context() = own.encryption_context();
  out->set_signing_key_epoch(own.epoch());
  out->set_expected_address(own.address());
  for (const StateKey& key : keys.state) *out->add_state_keys() = key;
  if (keys.signing.size() > 1) *out->mutable_next_signing_key() = keys.signing.back();
}

}  // namespace coffer::sim
