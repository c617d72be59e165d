// What the hostile host does with keys. It knows no key of an enclave's; it can have any key of its
// own encrypted, with any context.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/sealing/vault.h"
#include "invariant/check.h"
#include "tests/sim/adversary/hostile_host.h"

namespace coffer::sim {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;

// Of a state key that the host made for itself.
const std::string kHostsSecret(32, 'h');

bool Same(const boundary::v1::StateKey& a, const boundary::v1::StateKey& b) {
  return a.SerializeAsString() == b.SerializeAsString();
}

}  // namespace

// Those that the newest record needs, where no one is named.
const std::vector<HostileHost::StateKey>& HostileHost::KeysOf(int record) const {
  static const std::vector<StateKey> none;
  const auto found = record < 0 ? keys_of_.end() : keys_of_.find(record);
  return found == keys_of_.end() ? none : found->second;
}

// Whether what there is to load can be opened with the keys that this enclave has.
bool HostileHost::HasKeys(const Place& place) const {
  if (place.keys.empty()) return false;
  if (keys_of_.empty()) return true;
  if (mode_ == AdversaryOptions::Mode::kRollback) {
    return std::any_of(keys_of_.begin(), keys_of_.end(), [&](const auto& one) {
      return Same(one.second.front(), place.keys.front());
    });
  }
  const std::vector<StateKey>& wanted = keys_of_.rbegin()->second;
  return wanted.size() <= place.keys.size() &&
         std::equal(wanted.begin(), wanted.end(), place.keys.begin(), Same);
}

void HostileHost::Provision(Session* session) {
  ClientFrame frame;
  auto* const request = frame.mutable_provision();
  test::FillCredentials(request->mutable_aws());
  request->set_ciphertext(signing_ciphertext_);
  request->set_expected_address(std::string(world_->address().view()));
  std::vector<StateKey> keys;
  if (!keys_of_.empty()) {
    const bool any = mode_ == AdversaryOptions::Mode::kRollback && last_id_ % 3 == 0;
    auto it = keys_of_.begin();
    std::advance(it, any ? last_id_ % keys_of_.size() : keys_of_.size() - 1);
    keys = it->second;
  }
  for (const StateKey& key : keys) *request->add_state_keys() = key;
  const uint64_t id = Send(session, frame);
  given_[id] = std::move(keys);
}

// As KMS encrypts it for whoever may ask, with the context of an enclave's own.
HostileHost::StateKey HostileHost::HostsKey(uint32_t epoch, Draw& draw) {
  StateKey key;
  key.set_epoch(epoch);
  key.set_ciphertext(
      world_->kms().Encrypt(kHostsSecret, {{"coffer:purpose", "state-key"},
                                           {"coffer:address", world_->address().ToHex()},
                                           {"coffer:epoch", absl::StrCat(epoch)}}));
  key.set_key_id(test::kKmsKey);
  key.set_tag(std::string(32, static_cast<char>(draw.Below(256))));
  return key;
}

void HostileHost::BadProvision(uint64_t how, Draw& draw, ClientFrame* out) {
  auto* const request = out->mutable_provision();
  test::FillCredentials(request->mutable_aws());
  request->set_ciphertext(signing_ciphertext_);
  request->set_expected_address(std::string(world_->address().view()));
  if (!keys_of_.empty()) {
    auto it = keys_of_.begin();
    std::advance(it, draw.Below(keys_of_.size()));
    for (const StateKey& key : it->second) *request->add_state_keys() = key;
  }
  const auto keys = static_cast<uint64_t>(request->state_keys_size());
  switch (how) {
    case 0:  // a key of its own, in the place of one of the enclave's or behind them
      if (keys > 0 && draw.OneIn(2)) {
        StateKey* const one = request->mutable_state_keys(static_cast<int>(draw.Below(keys)));
        const std::string tag = one->tag();
        *one = HostsKey(one->epoch(), draw);
        if (draw.OneIn(2)) one->set_tag(tag);
      } else {
        const uint32_t epoch = keys == 0 ? 1 : request->state_keys().rbegin()->epoch() + 1;
        *request->add_state_keys() = HostsKey(epoch, draw);
      }
      return;
    case 1:  // a tag or a ciphertext that was changed
      if (keys == 0) return request->mutable_aws()->set_region("evil.example/");
      if (StateKey* const one = request->mutable_state_keys(static_cast<int>(draw.Below(keys)));
          draw.OneIn(2)) {
        one->mutable_tag()->at(draw.Below(32)) ^= static_cast<char>(1 + draw.Below(255));
      } else {
        one->mutable_ciphertext()->push_back('x');
      }
      return;
    case 2:  // another signing key
      request->set_ciphertext(foreign_ciphertext_);
      if (draw.OneIn(2)) request->clear_state_keys();
      return;
    default:  // an epoch twice, out of order, or under another number
      if (keys == 0) return request->set_ciphertext("no ciphertext");
      *request->add_state_keys() = request->state_keys(static_cast<int>(draw.Below(keys)));
      if (draw.OneIn(2)) {
        request->mutable_state_keys()->rbegin()->set_epoch(
            request->state_keys(static_cast<int>(keys) - 1).epoch() + 1);
      }
  }
}

void HostileHost::Keys(uint64_t how, Draw& draw, ClientFrame* out) {
  switch (how % 14) {
    case 0:
      out->mutable_get_attestation()->set_nonce(std::string(draw.Below(64), '\x11'));
      return;
    case 1:
      out->mutable_generate()->set_key_spec("AES_256");
      return;
    case 2:
    case 3:
      out->mutable_export_state();
      return;
    case 4:
      out->mutable_import_state()->set_blob(blob_);
      return;
    case 5:
    case 6:
    case 7:
      test::FillCredentials(out->mutable_rotate_state_key()->mutable_aws());
      if (draw.OneIn(8)) out->mutable_rotate_state_key()->set_key_id("alias/another");
      return;
    case 8:
    case 9:
    case 10: {  // mostly one that was given to somebody here
      uint32_t epoch = 0;
      for (const Place& place : places_) {
        if (place.pending.has_value()) epoch = place.pending->epoch();
      }
      out->mutable_adopt_state_key()->set_epoch(
          draw.OneIn(6) ? static_cast<uint32_t>(5 + draw.Below(9)) : epoch);
      return;
    }
    default:
      BadProvision(draw.Below(4), draw, out);
  }
}

void HostileHost::LearnKeys(Place& place, const ServerFrame& answer) {
  if (answer.has_provisioned()) {
    place.keys = given_[answer.request_id()];
    for (const StateKey& key : answer.provisioned().new_state_keys()) place.keys.push_back(key);
    place.lost = place.keys.empty();
  }
  if (answer.has_error() && answer.error().code() == boundary::v1::ERROR_ALREADY_PROVISIONED &&
      place.keys.empty()) {
    place.lost = true;
  }
  if (answer.has_state_key()) place.pending = answer.state_key();
}

// What is sealed tells which keys it needs.
void HostileHost::NoteSealed(Place& place, int record, const std::string& sealed) {
  const absl::StatusOr<sealing::Header> header = sealing::ParseHeader(sealed);
  if (!header.ok() || place.keys.empty()) return;
  if (place.pending.has_value() && header->key_epoch == place.pending->epoch()) {
    place.keys.push_back(*std::exchange(place.pending, std::nullopt));
  }
  if (record >= 0) keys_of_.try_emplace(record, place.keys);
}

// A record as somebody with another key would seal it, on top of whatever is there.
std::string HostileHost::ForeignRecord(const KeptRecord& last, Draw& draw) const {
  absl::StatusOr<ethereum::SecretBytes> key = ethereum::SecretBytes::CopyOf(kHostsSecret);
  COFFER_CHECK(key.ok(), "sim: no locked memory");
  sealing::Vault vault(*std::move(key), static_cast<uint32_t>(draw.Below(4)), ethereum::Hash{});
  sealing::Header header;
  header.sequence = last.sequence + 1;
  header.previous = last.hash;
  return vault.Seal(header, "nothing");
}

}  // namespace coffer::sim
