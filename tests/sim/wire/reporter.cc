#include "tests/sim/wire/reporter.h"

#include <openssl/sha.h>

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::sim::wire {
namespace {

using boundary::v1::Event;

// The low `bytes` bytes of a number, the most significant one first.
std::string Packed(U256 number, size_t bytes) {
  std::string out(bytes, '\0');
  for (size_t i = bytes; i-- > 0; number >>= 8) {
    out[i] = static_cast<char>(static_cast<uint8_t>(number & 0xff));
  }
  return out;
}

std::string Sized(const std::string& field) { return Packed(U256(field.size()), 4) + field; }

Address SignerOf(const std::string& signature, const Hash& digest) {
  if (signature.empty()) return {};
  const auto parsed = ethereum::Signature::FromBytes65(signature);
  if (!parsed.ok()) return {};
  const auto signer = ethereum::RecoverAddress(ethereum::Eip191Hash(digest.view()), *parsed);
  return signer.ok() ? *signer : Address{};
}

}  // namespace

Hash EventDigest(const Event& event) {
  const U256 amount = ToU256(ToWei(event.amount()));
  const bool credit = event.kind() == Event::KIND_CREDIT;
  const bool down = event.kind() == Event::KIND_ADJUST_DOWN;
  std::string packed = credit ? "payments-tee-core:credit:v1" : "payments-tee-core:delta:v1";
  packed += ethereum::Keccak256(event.account()).view();
  packed += event.recipient();
  packed += Packed(down ? ~amount + 1 : amount, 32);
  packed += ethereum::Keccak256(event.id()).view();
  return ethereum::Keccak256(packed);
}

Hash BatchDigest(const boundary::v1::ApplyEvents& request) {
  std::string encoding;
  for (const Event& event : request.events()) {
    absl::StrAppend(&encoding, Packed(U256(static_cast<uint32_t>(event.kind())), 4),
                    Packed(ToU256(ToWei(event.amount())), 16), Sized(event.recipient()),
                    Sized(event.account()), Sized(event.id()), Sized(event.content_hash()));
  }
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(encoding.data()), encoding.size(),
         reinterpret_cast<uint8_t*>(hash.data()));
  const U256 count(request.events_size());
  return ethereum::Keccak256("coffer:credit-batch:v1" + Packed(count, 8) + hash);
}

Reporters::Reporters(const boundary::v1::ApplyEvents& request) : request_(request) {
  if (request.batch_signature().empty()) return;
  of_batch_ = SignerOf(request.batch_signature(), BatchDigest(request));
}

bool Reporters::Takes(const policy::Policy& policy, int event) const {
  if (policy.credit_reporter.IsZero()) return true;
  const bool whole = !request_.batch_signature().empty();
  if (whole && of_batch_ != policy.credit_reporter) return false;
  const std::string& own = request_.events(event).signature();
  if (own.empty()) return whole || !policy.require_credit_signature;
  return SignerOf(own, EventDigest(request_.events(event))) == policy.credit_reporter;
}

std::string Reporters::CheckApplied(const View& view, int event) const {
  const auto takes = [&](const policy::Policy& policy) { return Takes(policy, event); };
  if (view.world->policies().Since(view.from, takes)) return {};
  return absl::StrCat("I10: event ", request_.events(event).id(),
                      " is applied without its reporter's signature");
}

std::string Reporters::CheckRefused(const View& view, int event) const {
  const auto refuses = [&](const policy::Policy& policy) { return !Takes(policy, event); };
  if (view.world->policies().Since(view.from, refuses)) return {};
  return absl::StrCat("I10: event ", request_.events(event).id(),
                      " is refused for a signature, and nothing is wrong with it");
}

}  // namespace coffer::sim::wire
