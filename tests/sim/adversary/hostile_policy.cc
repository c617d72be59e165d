// How the adversary asks for another policy: with its admins' signatures, and with something wrong.
#include "enclave_core/policy/typed_data.h"
#include "tests/sim/adversary/hostile_host.h"

namespace coffer::sim {
namespace {

ethereum::Address PayeeOf(uint64_t account) {
  return *ethereum::Address::FromBytes(std::string(19, '\x77') + static_cast<char>(1 + account));
}

}  // namespace

void HostileHost::ChangePolicy(uint64_t how, Draw& draw, boundary::v1::ChangePolicy* out) {
  policy::Policy next = world_->policy();
  next.max_face_value = 100'000 + draw.Below(5'000'000);
  next.void_on_host_word = draw.OneIn(2);
  if (draw.OneIn(3)) {
    next.velocity_window = 60;
    next.velocity_signatures = 3 + static_cast<uint32_t>(draw.Below(20));
    next.velocity_total = 2'000'000;
  }
  if (draw.OneIn(5)) next.allow_eth_transfer = false;
  if (draw.OneIn(5)) {
    next.allowed_recipients = {PayeeOf(0), PayeeOf(1)};
  }
  if (how % 9 == 1) next.chain_id = 1;
  if (how % 9 == 2) next.broker = *ethereum::Address::FromBytes(std::string(20, '\x66'));
  if (how % 9 == 3) next.win_prob = 1;
  const uint64_t sequence = policy_sequence_ + (how % 9 == 4 ? 2 : 1);
  policy::ToProto(next, out->mutable_policy());
  if (how % 9 == 5) out->mutable_policy()->set_max_gas_limit(1u << 31);  // after it was signed
  out->set_sequence(sequence);
  // Its admins sign for the key that signs now; or, once in a while, for the first one.
  const absl::StatusOr<ethereum::Address> current =
      ethereum::Address::FromBytes(asked_place_->current);
  const ethereum::Hash digest = policy::PolicyChangeDigest(
      current.ok() && !draw.OneIn(4) ? *current : world_->address(), sequence, next);
  const size_t first = draw.Below(kAdmins);
  const auto sign = [&](size_t admin) {
    out->add_signatures(AdminKey(admin).Sign(digest).ToBytes65());
  };
  sign(first);
  if (how % 9 == 6) return;                            // one is not enough
  sign(how % 9 == 7 ? first : (first + 1) % kAdmins);  // nor is the same one twice
  if (how % 9 == 8) *out->mutable_signatures(1) = std::string(65, '\x1b');
}

}  // namespace coffer::sim
