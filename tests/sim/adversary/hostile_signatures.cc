// The reporter's signatures on the adversary's credits: on one event, on a batch as a whole, and
// what a host can make of a batch that was signed.
#include "enclave_core/ethereum/signature.h"
#include "tests/sim/adversary/hostile_host.h"
#include "tests/sim/wire/reporter.h"

namespace coffer::sim {
namespace {

using boundary::v1::ApplyEvents;
using boundary::v1::Event;

std::string SignedBy(const ethereum::PrivateKey& key, const ethereum::Hash& digest) {
  return key.Sign(ethereum::Eip191Hash(digest.view())).ToBytes65();
}

// Something else than what was signed, in one of its events or in the row of them.
void Change(uint64_t how, Event& event, ApplyEvents* out) {
  switch (how) {
    case 0:
      return event.set_recipient(std::string(19, '\x77') + '\x01');
    case 1:
      return event.mutable_amount()->set_low(event.amount().low() + 1);
    case 2:
      return event.set_account("acct-0");
    case 3:
      return event.set_id(event.id() + "'");
    case 4:
      return event.set_kind(Event::KIND_ADJUST_UP);
    case 5:
      return event.set_content_hash(std::string(32, '\x88'));
    case 6:
      return out->mutable_events()->SwapElements(0, out->events_size() - 1);
    case 7:
      if (out->events_size() > 1) out->mutable_events()->RemoveLast();
      return;
    default: {  // a boundary moves from one text into the next
      if (event.account().empty()) return;
      event.set_id(event.account().back() + event.id());
      return event.mutable_account()->pop_back();
    }
  }
}

}  // namespace

void HostileHost::SignEvents(Draw& draw, ApplyEvents* out) const {
  const bool required = world_->policy().require_credit_signature;
  if (out->events().empty() || !draw.OneIn(required ? 1 : 5) || draw.OneIn(10)) return;
  Event& event =
      *out->mutable_events(static_cast<int>(draw.Below(static_cast<uint64_t>(out->events_size()))));
  if (draw.OneIn(4)) {  // one of them bears its own
    event.set_signature(SignedBy(ReporterKey(), wire::EventDigest(event)));
    if (draw.OneIn(4)) Change(draw.Below(5), event, out);
    if (draw.OneIn(2)) return;
  }
  const ethereum::Hash digest = wire::BatchDigest(*out);
  out->set_batch_signature(SignedBy(draw.OneIn(12) ? AdminKey(0) : ReporterKey(), digest));
  if (draw.OneIn(4)) Change(draw.Below(9), event, out);
  if (draw.OneIn(20)) out->mutable_batch_signature()->resize(draw.Below(70));
}

}  // namespace coffer::sim
