// What the hostile host does with keys. It knows no key of an enclave's; it can have any key of its
// own encrypted, with any context.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/leaf.h"
#include "enclave_core/sealing/state_key.h"
#include "enclave_core/sealing/vault.h"
#include "invariant/check.h"
#include "tests/sim/adversary/hostile_host.h"

namespace coffer::sim {
namespace {

using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using boundary::v1::SigningKey;

// Of a state key that the host made for itself, and of a signing key.
const std::string kHostsSecret(32, 'h');
const std::string kHostsSigningSecret(32, '\x43');

// The leaves of a record are public: the host reads them as everybody does.
std::vector<audit::Leaf> LeavesOf(std::string_view bundle) {
  std::vector<audit::Leaf> leaves;
  while (bundle.size() > 2) {
    const size_t length =
        size_t{static_cast<uint8_t>(bundle[0])} << 8 | static_cast<uint8_t>(bundle[1]);
    absl::StatusOr<audit::Leaf> leaf = audit::ParseLeaf(bundle.substr(2, length));
    if (leaf.ok()) leaves.push_back(*std::move(leaf));
    bundle.remove_prefix(std::min(bundle.size(), 2 + length));
  }
  return leaves;
}

std::string Text(const ethereum::Address& address) { return std::string(address.view()); }

}  // namespace

KeySet HostileHost::FirstKeys() const {
  KeySet keys;
  keys.signing.emplace_back();
  keys.signing[0].set_address(Text(world_->address()));
  keys.signing[0].set_ciphertext(signing_ciphertext_);
  return keys;
}

// Those that some state needs.
KeySet HostileHost::AnyKeys(Draw& draw) const {
  if (keys_of_.empty()) return FirstKeys();
  auto it = keys_of_.begin();
  std::advance(it, draw.Below(keys_of_.size()));
  return it->second;
}

// Whether what there is to load can be opened with the keys that this enclave has.
bool HostileHost::HasKeys(const Place& place) const {
  if (place.keys.state.empty()) return false;
  if (keys_of_.empty()) return true;
  if (mode_ == AdversaryOptions::Mode::kRollback) {
    return std::any_of(keys_of_.begin(), keys_of_.end(),
                       [&](const auto& one) { return one.second.OpenedBy(place.keys); });
  }
  return keys_of_.rbegin()->second.OpenedBy(place.keys);
}

void HostileHost::Provision(Session* session, Draw& draw) {
  KeySet keys = keys_of_.empty() ? FirstKeys() : keys_of_.rbegin()->second;
  if (mode_ == AdversaryOptions::Mode::kRollback && draw.OneIn(3)) keys = AnyKeys(draw);
  // All that it needs, or a part, or one signing key more than the state knows.
  if (keys.signing.size() == 2) {
    const bool retired = keys.retired == keys.signing[0].address();
    if (retired ? draw.OneIn(2) : draw.OneIn(8)) {
      keys = keys.Only(1);
    } else if (draw.OneIn(12)) {
      keys = keys.Only(0);
    }
  } else if (!made_.empty() && !keys.state.empty() && draw.OneIn(6)) {
    keys.Add(made_[draw.Below(made_.size())]);
  }
  ClientFrame frame;
  test::FillCredentials(frame.mutable_provision()->mutable_aws());
  Fill(keys, frame.mutable_provision());
  const uint64_t id = Send(session, frame);
  given_[id] = std::move(keys);
}

// As KMS encrypts it for whoever may ask, with the context of an enclave's own.
HostileHost::StateKey HostileHost::HostsKey(const SigningKey& of, uint32_t epoch, Draw& draw) {
  const absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(of.address());
  COFFER_CHECK(address.ok(), "sim: a signing key without an address");
  StateKey key;
  key.set_epoch(epoch);
  key.set_ciphertext(world_->kms().Encrypt(kHostsSecret, {{"coffer:purpose", "state-key"},
                                                          {"coffer:address", address->ToHex()},
                                                          {"coffer:epoch", absl::StrCat(epoch)}}));
  key.set_key_id(test::kKmsKey);
  key.set_tag(std::string(32, static_cast<char>(draw.Below(256))));
  if (of.epoch() != 0) key.set_address(of.address());
  return key;
}

// The same for a signing key that the host knows, with a state key that this one vouches for: all
// that is missing is the tag of the key before it.
HostileHost::NextSigningKey HostileHost::HostsSigningKey(const SigningKey& after,
                                                         uint32_t state_epoch, Draw& draw) {
  const absl::StatusOr<ethereum::PrivateKey> own =
      ethereum::PrivateKey::FromBytes(kHostsSigningSecret);
  const absl::StatusOr<ethereum::Address> before = ethereum::Address::FromBytes(after.address());
  COFFER_CHECK(own.ok() && before.ok(), "sim: no key");
  const kms::EncryptionContext context = {{"coffer:purpose", "signing-key"},
                                          {"coffer:after", before->ToHex()},
                                          {"coffer:epoch", absl::StrCat(after.epoch() + 1)}};
  NextSigningKey out;
  SigningKey& key = *out.mutable_signing_key();
  key.set_epoch(after.epoch() + 1);
  key.set_address(Text(own->address()));
  key.set_ciphertext(world_->kms().Encrypt(kHostsSigningSecret, context));
  key.set_key_id(test::kKmsKey);
  key.mutable_encryption_context()->insert(context.begin(), context.end());
  key.set_tag(std::string(32, static_cast<char>(draw.Below(256))));
  if (!made_.empty() && draw.OneIn(2)) key.set_tag(made_.back().signing_key().tag());
  StateKey& state = *out.mutable_state_key();
  state = HostsKey(key, state_epoch, draw);
  const absl::StatusOr<ethereum::SecretBytes> tag_key = sealing::StateKeyTagKey(*own);
  absl::StatusOr<ethereum::SecretBytes> secret = ethereum::SecretBytes::CopyOf(kHostsSecret);
  COFFER_CHECK(tag_key.ok() && secret.ok(), "sim: no locked memory");
  const absl::StatusOr<ethereum::Hash> tag =
      sealing::StateKeyTag(*tag_key, {state_epoch, *std::move(secret)}, state.ciphertext());
  COFFER_CHECK(tag.ok(), "sim: no locked memory");
  state.set_tag(std::string(tag->view()));
  return out;
}

void HostileHost::BadProvision(uint64_t how, Draw& draw, ClientFrame* out) {
  auto* const request = out->mutable_provision();
  test::FillCredentials(request->mutable_aws());
  Fill(AnyKeys(draw), request);
  return how < 4 ? BadStateKeys(how, draw, request) : BadSigningKeys(how - 4, draw, request);
}

void HostileHost::BadStateKeys(uint64_t how, Draw& draw, boundary::v1::Provision* request) {
  const auto keys = static_cast<uint64_t>(request->state_keys_size());
  SigningKey own;
  own.set_address(request->expected_address());
  own.set_epoch(request->signing_key_epoch());
  switch (how) {
    case 0:  // a key of its own, in the place of one of the enclave's or behind them
      if (keys > 0 && draw.OneIn(2)) {
        StateKey* const one = request->mutable_state_keys(static_cast<int>(draw.Below(keys)));
        const std::string tag = one->tag();
        *one = HostsKey(own, one->epoch(), draw);
        if (draw.OneIn(2)) one->set_tag(tag);
      } else {
        const uint32_t epoch = keys == 0 ? 1 : request->state_keys().rbegin()->epoch() + 1;
        *request->add_state_keys() = HostsKey(own, epoch, draw);
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

void HostileHost::BadSigningKeys(uint64_t how, Draw& draw, boundary::v1::Provision* request) {
  const auto keys = static_cast<uint64_t>(request->state_keys_size());
  if (keys == 0) return request->set_ciphertext("no ciphertext");
  SigningKey own;
  own.set_address(request->expected_address());
  own.set_epoch(request->signing_key_epoch());
  switch (how) {
    case 0: {  // one that the host knows, with a state key behind the enclave's, or without
      const NextSigningKey next =
          HostsSigningKey(own, request->state_keys().rbegin()->epoch() + 1, draw);
      *request->mutable_next_signing_key() = next.signing_key();
      if (draw.OneIn(2)) *request->add_state_keys() = next.state_key();
      return;
    }
    case 1: {  // a genuine one with something changed
      if (made_.empty()) return request->set_signing_key_epoch(1);
      SigningKey& next = *request->mutable_next_signing_key();
      next = made_[draw.Below(made_.size())].signing_key();
      if (draw.OneIn(2)) {
        next.mutable_tag()->at(draw.Below(32)) ^= static_cast<char>(1 + draw.Below(255));
      } else if (draw.OneIn(2)) {
        next.set_address(own.address());
      } else {
        next.set_epoch(next.epoch() + 1);
        request->set_signing_key_epoch(request->signing_key_epoch() + 1);
      }
      return;
    }
    case 2:  // a genuine one, of this line or of another
      if (made_.empty()) return request->clear_state_keys();
      *request->mutable_next_signing_key() = made_[draw.Below(made_.size())].signing_key();
      return;
    default: {  // keys in each other's places
      StateKey* const one = request->mutable_state_keys(static_cast<int>(draw.Below(keys)));
      if (draw.OneIn(2)) {
        one->set_address(one->address().empty() && !made_.empty()
                             ? made_.back().signing_key().address()
                             : std::string());
      } else if (request->has_next_signing_key()) {
        request->set_ciphertext(request->next_signing_key().ciphertext());
        *request->mutable_encryption_context() = request->next_signing_key().encryption_context();
        request->set_expected_address(request->next_signing_key().address());
      } else {
        request->set_signing_key_epoch(request->signing_key_epoch() + 1);
      }
    }
  }
}

void HostileHost::Keys(uint64_t how, Draw& draw, ClientFrame* out) {
  // Mostly the right one of these, once in a while another or none at all.
  const auto address = [&](const std::string& right) {
    if (!draw.OneIn(4)) return right;
    const std::string others[] = {asked_place_->current,
                                  asked_place_->draining,
                                  Text(world_->address()),
                                  std::string(20, '\x66'),
                                  "short",
                                  ""};
    return others[draw.Below(std::size(others))];
  };
  switch (how % 24) {
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
    case 11:
    case 12:
      test::FillCredentials(out->mutable_rotate_signing_key()->mutable_aws());
      if (draw.OneIn(6)) out->mutable_rotate_signing_key()->mutable_aws()->set_region("a.b");
      return;
    case 13:
    case 14:
    case 15:
      out->mutable_adopt_signing_key()->set_address(address(asked_place_->waiting));
      return;
    case 16:
    case 17:
      out->mutable_retire_signing_key()->set_address(address(asked_place_->draining));
      return;
    default:
      BadProvision(draw.Below(8), draw, out);
  }
}

void HostileHost::Rotate(size_t slot, uint64_t how, Draw& draw) {
  Session* session = Any(slot, draw);
  if (session == nullptr) return;
  const Place& place = places_[slot];
  ClientFrame frame;
  if (!place.draining.empty()) {
    if (!draw.OneIn(4)) SettleAllOf(session, place.draining);
    switch (how % 6) {
      case 0:
        Move(boundary::v1::STRATEGY_UNLOCK, draw, frame.mutable_prepare_funding());
        break;
      case 1:
        Move(boundary::v1::STRATEGY_WITHDRAW, draw, frame.mutable_prepare_funding());
        break;
      case 2:
        Move(boundary::v1::STRATEGY_SWEEP, draw, frame.mutable_prepare_funding());
        break;
      default:
        frame.mutable_retire_signing_key()->set_address(place.draining);
    }
  } else if (!place.waiting.empty()) {
    frame.mutable_adopt_signing_key()->set_address(place.waiting);
  } else {
    test::FillCredentials(frame.mutable_rotate_signing_key()->mutable_aws());
  }
  Send(session, frame);
}

// The truth about all that this key signed, so that nothing of it is open any more.
void HostileHost::SettleAllOf(Session* session, const std::string& address) {
  for (const KeptTransaction& kept : memory_.transactions()) {
    if (kept.transaction.signer.view() != address) continue;
    ClientFrame frame;
    boundary::v1::ReportReceipt* receipt = frame.mutable_report_receipt();
    receipt->set_tx_hash(std::string(kept.transaction.hash.view()));
    receipt->set_succeeded(true);
    receipt->set_block_hash(std::string(32, '\x0b'));
    for (const wire::Ticket& ticket : kept.transaction.tickets) {
      AppendLogs(world_->policy().broker, ticket, ticket.face_value, receipt->mutable_logs());
    }
    Send(session, frame);
  }
}

std::vector<ethereum::Address> HostileHost::Signers() const {
  std::vector<ethereum::Address> out = {world_->address()};
  for (const NextSigningKey& one : made_) {
    out.push_back(*ethereum::Address::FromBytes(one.signing_key().address()));
  }
  return out;
}

void HostileHost::LearnKeys(Place& place, const ServerFrame& answer) {
  if (answer.has_provisioned()) {
    place.keys = given_[answer.request_id()];
    for (const StateKey& key : answer.provisioned().new_state_keys()) {
      place.keys.state.push_back(key);
    }
    place.current = answer.provisioned().address();
    place.lost = place.keys.state.empty() || place.keys.signing.empty();
  }
  if (answer.has_error() && answer.error().code() == boundary::v1::ERROR_ALREADY_PROVISIONED &&
      place.keys.state.empty()) {
    place.lost = true;
  }
  if (answer.has_state_key()) place.pending = answer.state_key();
  if (answer.has_next_signing_key()) {
    const NextSigningKey& next = answer.next_signing_key();
    place.waiting = next.signing_key().address();
    const bool known = std::any_of(made_.begin(), made_.end(), [&](const NextSigningKey& one) {
      return one.signing_key().address() == place.waiting;
    });
    if (!known) made_.push_back(next);
  }
  if (answer.has_status()) LearnStatus(place, answer.status());
  if (answer.has_load_done()) LearnStatus(place, answer.load_done());
  if (answer.has_storage_attached()) LearnStatus(place, answer.storage_attached());
  if (answer.has_signing_key_adopted()) LearnStatus(place, answer.signing_key_adopted());
  if (answer.has_signing_key_retired()) LearnStatus(place, answer.signing_key_retired());
}

void HostileHost::LearnStatus(Place& place, const boundary::v1::Status& status) {
  using State = boundary::v1::SigningKeyState;
  place.current = status.address();
  place.draining.clear();
  if (place.waiting == place.current) place.waiting.clear();
  for (const State& key : status.signing_keys()) {
    if (key.use() == State::USE_DRAINING) place.draining = key.address();
    if (key.use() == State::USE_WAITING) place.waiting = key.address();
  }
}

// What is sealed tells which keys it needs.
void HostileHost::NoteSealed(Place& place, int record, const boundary::v1::Store& store) {
  const absl::StatusOr<sealing::Header> header = sealing::ParseHeader(store.sealed());
  if (!header.ok() || place.keys.state.empty() || place.keys.signing.empty()) return;
  if (place.pending.has_value() && header->key_epoch == place.pending->epoch()) {
    place.keys.state.push_back(*std::exchange(place.pending, std::nullopt));
  }
  for (const audit::Leaf& leaf : LeavesOf(store.leaves())) {
    if (leaf.kind == audit::LeafKind::kSigningKeyRetired) {
      place.keys.retired = Text(*leaf.recipient);
    }
    if (leaf.kind != audit::LeafKind::kSigningKeyAdded) continue;
    for (const NextSigningKey& one : made_) {
      if (one.signing_key().address() == leaf.recipient->view()) place.keys.Add(one);
    }
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
