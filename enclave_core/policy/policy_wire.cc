// A policy as it is sealed and sent, and every rule of what a policy can be.
#include <google/protobuf/message.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "enclave_core/policy/policy.h"

namespace coffer::policy {
namespace {

using ethereum::Address;
using google::protobuf::RepeatedPtrField;
using ProtoPolicy = boundary::v1::Policy;

template <typename... Parts>
absl::Status Bad(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat("policy: ", parts...));
}

// All amounts, so that none is forgotten by the reader or the writer.
struct Amount {
  absl::string_view name;
  bool (ProtoPolicy::*has)() const;
  const boundary::v1::Wei& (ProtoPolicy::*get)() const;
  boundary::v1::Wei* (ProtoPolicy::*mutable_get)();
  Wei Policy::*field;
};

#define COFFER_AMOUNT(name)                                                            \
  Amount {                                                                             \
#name, &ProtoPolicy::has_##name, &ProtoPolicy::name, &ProtoPolicy::mutable_##name, \
        &Policy::name                                                                  \
  }
constexpr Amount kFirstAmounts[] = {
    COFFER_AMOUNT(max_face_value),   COFFER_AMOUNT(max_batch_total),
    COFFER_AMOUNT(max_fee_per_gas),  COFFER_AMOUNT(max_priority_fee_per_gas),
    COFFER_AMOUNT(max_fund_deposit), COFFER_AMOUNT(max_fund_reserve)};
// Not in a policy of format 0.
constexpr Amount kLaterAmounts[] = {
    COFFER_AMOUNT(max_transfer), COFFER_AMOUNT(max_transaction_cost), COFFER_AMOUNT(velocity_total),
    COFFER_AMOUNT(velocity_recipient)};
#undef COFFER_AMOUNT

absl::Status ReadAmount(const ProtoPolicy& proto, const Amount& amount, bool may_be_absent,
                        Policy* out) {
  if (!may_be_absent && !(proto.*amount.has)()) return Bad(amount.name, " is missing");
  const Wei value = ledger::FromProto((proto.*amount.get)());
  if (value > ledger::kMaxWei) return Bad(amount.name, " is an amount of 2^127 wei or more");
  out->*amount.field = value;
  return absl::OkStatus();
}

absl::StatusOr<Address> ReadAddress(absl::string_view name, const std::string& bytes) {
  absl::StatusOr<Address> address = Address::FromBytes(bytes);
  if (!address.ok()) return Bad(name, " is not 20 bytes but ", bytes.size());
  return address;
}

absl::Status ReadAddresses(absl::string_view name, const RepeatedPtrField<std::string>& list,
                           size_t most, std::vector<Address>* out) {
  const auto count = static_cast<size_t>(list.size());
  if (count > most) return Bad(name, " holds ", count, " addresses, at most ", most, " are taken");
  out->reserve(count);
  for (const std::string& bytes : list) {
    absl::StatusOr<Address> address = ReadAddress(absl::StrCat(name, "[", out->size(), "]"), bytes);
    if (!address.ok()) return address.status();
    if (address->IsZero()) return Bad(name, "[", out->size(), "] is the null address");
    if (!out->empty() && *address <= out->back()) {
      return Bad(name, "[", out->size(), "] is ", address->ToHex(), " after ", out->back().ToHex(),
                 ": addresses must be ascending and distinct");
    }
    out->push_back(*address);
  }
  return absl::OkStatus();
}

// What both formats have.
absl::Status ReadFirstFields(const ProtoPolicy& proto, bool may_be_absent, Policy* out) {
  out->chain_id = proto.chain_id();
  absl::StatusOr<Address> broker = ReadAddress("broker", proto.broker());
  if (!broker.ok()) return broker.status();
  out->broker = *broker;
  out->allow_tickets = proto.allow_tickets();
  out->allow_eth_transfer = proto.allow_eth_transfer();
  out->max_tickets = proto.max_tickets();
  out->max_gas_limit = proto.max_gas_limit();
  out->ticket_validity_rounds = proto.ticket_validity_rounds();
  out->void_on_host_word = proto.void_on_host_word();
  for (const Amount& amount : kFirstAmounts) {
    if (absl::Status s = ReadAmount(proto, amount, may_be_absent, out); !s.ok()) return s;
  }
  if (out->chain_id == 0) return Bad("chain_id is 0");
  if (out->max_tickets == 0 || out->max_tickets > kMaxTickets) {
    return Bad("max_tickets must be 1..", kMaxTickets, ", not ", out->max_tickets);
  }
  if (out->allow_tickets && out->broker.IsZero()) {
    return Bad("tickets are allowed, but broker is the null address");
  }
  return absl::OkStatus();
}

// Nothing that a format 0 could hold must be read as if it were not there.
absl::Status CheckFormat0(const ProtoPolicy& proto) {
  ProtoPolicy rest = proto;
  for (const int number : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14}) {
    ProtoPolicy::GetReflection()->ClearField(&rest,
                                             ProtoPolicy::descriptor()->FindFieldByNumber(number));
  }
  std::vector<const google::protobuf::FieldDescriptor*> later;
  ProtoPolicy::GetReflection()->ListFields(rest, &later);
  if (later.empty()) return absl::OkStatus();
  return Bad("format is 0, which has no field ", later.front()->name(),
             "; set format to 1 and give every field");
}

absl::Status ReadVelocity(const ProtoPolicy& proto, Policy* out) {
  out->velocity_window = proto.velocity_window();
  out->velocity_signatures = proto.velocity_signatures();
  if (out->velocity_window > kMaxVelocityWindow) {
    return Bad("velocity_window must be 0..", kMaxVelocityWindow, " seconds, not ",
               out->velocity_window);
  }
  if (out->velocity_signatures == 0 || out->velocity_signatures > kMaxVelocitySignatures) {
    return Bad("velocity_signatures must be 1..", kMaxVelocitySignatures, ", not ",
               out->velocity_signatures);
  }
  return absl::OkStatus();
}

absl::Status ReadAuthorities(const ProtoPolicy& proto, Policy* out) {
  if (absl::Status s = ReadAddresses("admins", proto.admins(), kMaxAdmins, &out->admins); !s.ok()) {
    return s;
  }
  out->admin_threshold = proto.admin_threshold();
  const size_t least = out->admins.empty() ? 0 : 1;
  if (out->admin_threshold < least || out->admin_threshold > out->admins.size()) {
    return Bad("admin_threshold must be ", least, "..", out->admins.size(), " with ",
               out->admins.size(), " admins, not ", out->admin_threshold);
  }
  out->require_credit_signature = proto.require_credit_signature();
  if (!proto.credit_reporter().empty()) {
    absl::StatusOr<Address> reporter = ReadAddress("credit_reporter", proto.credit_reporter());
    if (!reporter.ok()) return reporter.status();
    if (reporter->IsZero()) return Bad("credit_reporter is the null address; leave it out");
    out->credit_reporter = *reporter;
  } else if (out->require_credit_signature) {
    return Bad("require_credit_signature is set, but credit_reporter is missing");
  }
  return absl::OkStatus();
}

absl::Status ReadLaterFields(const ProtoPolicy& proto, Policy* out) {
  for (const Amount& amount : kLaterAmounts) {
    if (absl::Status s = ReadAmount(proto, amount, false, out); !s.ok()) return s;
  }
  out->require_allowlist = proto.require_allowlist();
  out->allow_access_list = proto.allow_access_list();
  out->allow_raw_messages = proto.allow_raw_messages();
  if (proto.win_prob().size() != 32) {
    return Bad("win_prob is not 32 bytes but ", proto.win_prob().size());
  }
  out->win_prob = *ethereum::U256FromBytes(proto.win_prob());
  if (out->allow_tickets && out->win_prob == 0) {
    return Bad("tickets are allowed, but win_prob is 0: none would ever pay");
  }
  if (out->broker.IsZero() && (out->max_fund_deposit != 0 || out->max_fund_reserve != 0)) {
    return Bad("max_fund_deposit or max_fund_reserve is not 0, but broker is the null address");
  }
  if (absl::Status s = ReadAddresses("allowed_recipients", proto.allowed_recipients(),
                                     kMaxRecipients, &out->allowed_recipients);
      !s.ok()) {
    return s;
  }
  if (absl::Status s = ReadVelocity(proto, out); !s.ok()) return s;
  return ReadAuthorities(proto, out);
}

absl::StatusOr<Policy> ReadUnrestricted(const ProtoPolicy& proto) {
  ProtoPolicy rest = proto;
  rest.clear_unrestricted();
  rest.clear_format();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  ProtoPolicy::GetReflection()->ListFields(rest, &fields);
  if (fields.empty()) return Unrestricted();
  return Bad("unrestricted is set, so that ", fields.front()->name(),
             " and every other limit must be left out");
}

// f(name, member) for every field, as boundary.proto calls them.
template <typename F>
void ForEachField(const F& f) {
  f("chain_id", &Policy::chain_id);
  f("broker", &Policy::broker);
  f("allow_tickets", &Policy::allow_tickets);
  f("allow_eth_transfer", &Policy::allow_eth_transfer);
  f("max_tickets", &Policy::max_tickets);
  f("win_prob", &Policy::win_prob);
  f("ticket_validity_rounds", &Policy::ticket_validity_rounds);
  f("void_on_host_word", &Policy::void_on_host_word);
  f("require_allowlist", &Policy::require_allowlist);
  f("allowed_recipients", &Policy::allowed_recipients);
  f("max_gas_limit", &Policy::max_gas_limit);
  f("allow_access_list", &Policy::allow_access_list);
  f("allow_raw_messages", &Policy::allow_raw_messages);
  f("velocity_window", &Policy::velocity_window);
  f("velocity_signatures", &Policy::velocity_signatures);
  f("credit_reporter", &Policy::credit_reporter);
  f("require_credit_signature", &Policy::require_credit_signature);
  f("admins", &Policy::admins);
  f("admin_threshold", &Policy::admin_threshold);
  f("unrestricted", &Policy::unrestricted);
  for (const Amount& amount : kFirstAmounts) f(amount.name, amount.field);
  for (const Amount& amount : kLaterAmounts) f(amount.name, amount.field);
}

}  // namespace

Fees FromProto(const boundary::v1::Fees& fees) {
  return {fees.gas_limit(), ledger::FromProto(fees.max_fee_per_gas()),
          ledger::FromProto(fees.max_priority_fee_per_gas())};
}

void ToProto(const Fees& fees, boundary::v1::Fees* out) {
  out->set_gas_limit(fees.gas_limit);
  ledger::ToProto(fees.max_fee_per_gas, out->mutable_max_fee_per_gas());
  ledger::ToProto(fees.max_priority_fee_per_gas, out->mutable_max_priority_fee_per_gas());
}

std::string DifferingFields(const Policy& a, const Policy& b) {
  std::vector<absl::string_view> names;
  ForEachField([&](absl::string_view name, const auto field) {
    if (a.*field != b.*field) names.push_back(name);
  });
  return absl::StrJoin(names, ", ");
}

void ToProto(const Policy& policy, ProtoPolicy* out) {
  out->Clear();
  out->set_format(1);
  if (policy.unrestricted) {
    out->set_unrestricted(true);
    return;
  }
  out->set_chain_id(policy.chain_id);
  out->set_broker(std::string(policy.broker.view()));
  out->set_allow_tickets(policy.allow_tickets);
  out->set_allow_eth_transfer(policy.allow_eth_transfer);
  out->set_max_tickets(policy.max_tickets);
  out->set_max_gas_limit(policy.max_gas_limit);
  out->set_ticket_validity_rounds(policy.ticket_validity_rounds);
  out->set_void_on_host_word(policy.void_on_host_word);
  for (const Amount& amount : kFirstAmounts) {
    ledger::ToProto(policy.*amount.field, (out->*amount.mutable_get)());
  }
  for (const Amount& amount : kLaterAmounts) {
    ledger::ToProto(policy.*amount.field, (out->*amount.mutable_get)());
  }
  for (const Address& address : policy.allowed_recipients) {
    out->add_allowed_recipients(std::string(address.view()));
  }
  out->set_require_allowlist(policy.require_allowlist);
  out->set_allow_access_list(policy.allow_access_list);
  out->set_allow_raw_messages(policy.allow_raw_messages);
  out->set_win_prob(ethereum::ToBytes32(policy.win_prob));
  out->set_velocity_window(policy.velocity_window);
  out->set_velocity_signatures(policy.velocity_signatures);
  for (const Address& address : policy.admins) out->add_admins(std::string(address.view()));
  out->set_admin_threshold(policy.admin_threshold);
  if (!policy.credit_reporter.IsZero()) {
    out->set_credit_reporter(std::string(policy.credit_reporter.view()));
  }
  out->set_require_credit_signature(policy.require_credit_signature);
}

absl::StatusOr<Policy> FromProto(const ProtoPolicy& proto) {
  if (!ProtoPolicy::GetReflection()->GetUnknownFields(proto).empty()) {
    return Bad("it has a field that this version does not know, and so would not keep to");
  }
  if (proto.format() > 1) {
    return Bad("format ", proto.format(), " is not known to this version, which reads 0 and 1");
  }
  Policy policy;
  if (proto.format() == 0) {
    if (absl::Status s = CheckFormat0(proto); !s.ok()) return s;
    if (absl::Status s = ReadFirstFields(proto, true, &policy); !s.ok()) return s;
    policy.max_transfer = policy.max_face_value;
    return policy;
  }
  if (proto.unrestricted()) return ReadUnrestricted(proto);
  if (absl::Status s = ReadFirstFields(proto, false, &policy); !s.ok()) return s;
  if (absl::Status s = ReadLaterFields(proto, &policy); !s.ok()) return s;
  return policy;
}

}  // namespace coffer::policy
