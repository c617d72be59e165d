#include "tests/sim/wire/state_keys.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace coffer::sim::wire {
namespace {

// The address of a signing key that `key` may follow: KMS was asked for it with this context
// (docs/kms.md).
std::string After(const boundary::v1::SigningKey& key) {
  const auto found = key.encryption_context().find("coffer:after");
  return found == key.encryption_context().end() ? "" : found->second;
}

// The next signing key that came with `own`.
std::string CheckNext(const boundary::v1::SigningKey& next, const Address& own, const Book& book) {
  const auto address = Address::FromBytes(next.address());
  const auto made = address.ok() ? book.made.find(*address) : book.made.end();
  if (made == book.made.end() || made->second.ciphertext() != next.ciphertext() ||
      made->second.tag() != next.tag() || made->second.epoch() != next.epoch()) {
    return "I8: an enclave takes a signing key that no enclave had made";
  }
  return After(made->second) == own.ToHex()
             ? ""
             : "I8: an enclave takes a signing key beside one that did not vouch for it";
}

}  // namespace

std::string StateKeys::OnAnswer(uint64_t enclave, const boundary::v1::ClientFrame& request,
                                const boundary::v1::ServerFrame& answer, Book* book, Asked* asked) {
  if (answer.has_state_key()) return OnStateKey(enclave, answer.state_key());
  if (answer.has_next_signing_key()) return OnRotated(answer.next_signing_key(), book);
  if (!answer.has_provisioned()) return {};
  for (const auto& key : answer.provisioned().new_state_keys()) made_.insert(Own(key));
  return OnProvisioned(request.provision(), answer.provisioned(), *book, asked);
}

// Two hosts, or one that forgot, would store different keys of one epoch, and one of them opens
// nothing.
std::string StateKeys::OnStateKey(uint64_t enclave, const boundary::v1::StateKey& key) {
  made_.insert(Own(key));
  const auto [known, fresh] = rotated_.try_emplace({enclave, key.epoch()}, Own(key));
  if (fresh || known->second == Own(key)) return {};
  return absl::StrCat("I8: an enclave makes a second state key of epoch ", key.epoch());
}

std::string StateKeys::OnRotated(const boundary::v1::NextSigningKey& made, Book* book) {
  made_.insert(Own(made.state_key()));
  const boundary::v1::SigningKey& key = made.signing_key();
  const auto address = Address::FromBytes(key.address());
  if (!address.ok() || made.state_key().address() != key.address()) {
    return "I8: a signing key is made without its address, or with another key's state key";
  }
  const auto [known, fresh] = book->made.emplace(*address, key);
  if (fresh || known->second.ciphertext() == key.ciphertext()) return {};
  return "I8: a signing key is made for a second time";
}

std::string StateKeys::OnProvisioned(const boundary::v1::Provision& request,
                                     const boundary::v1::Provisioned& answer, const Book& book,
                                     Asked* asked) const {
  const std::string& expected = request.expected_address();
  if (!expected.empty() && answer.address() != expected) {
    return "I8: an enclave has another signing key than the one that was expected";
  }
  const auto own = Address::FromBytes(answer.address());
  if (!own.ok()) return "I8: an enclave has a signing key without an address";
  asked->holds = {*own};
  if (request.has_next_signing_key()) {
    std::string wrong = CheckNext(request.next_signing_key(), *own, book);
    if (!wrong.empty()) return wrong;
    asked->holds.push_back(*Address::FromBytes(request.next_signing_key().address()));
  }
  for (const auto& key : request.state_keys()) {
    if (!made_.contains(Own(key))) {
      return absl::StrCat("I8: an enclave takes a state key of epoch ", key.epoch(),
                          " that no enclave had made");
    }
    const bool vouched =
        std::any_of(asked->holds.begin(), asked->holds.end(),
                    [&](const Address& address) { return key.address() == address.view(); });
    if (!vouched && !(key.address().empty() && request.signing_key_epoch() == 0)) {
      return absl::StrCat("I8: an enclave takes a state key of epoch ", key.epoch(),
                          " that another signing key vouches for");
    }
  }
  return {};
}

std::string StateKeys::OnStore(uint64_t enclave, uint64_t connection,
                               const boundary::v1::Store& store) {
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

}  // namespace coffer::sim::wire
