#include "enclave_core/policy/typed_data.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "enclave_core/error.h"
#include "enclave_core/ethereum/eip712.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::policy {
namespace {

using ethereum::Address;
using ethereum::Hash;
using ethereum::eip712::StructHasher;

constexpr char kDomainName[] = "Coffer policy";
constexpr char kDomainVersion[] = "1";
constexpr std::string_view kDomainType = "EIP712Domain(string name,string version,uint256 chainId)";
constexpr std::string_view kChangeType =
    "PolicyChange(address signer,uint64 sequence,Policy policy)";

Hash DomainSeparator(uint64_t chain_id) {
  return StructHasher(kDomainType).Text(kDomainName).Text(kDomainVersion).Uint(chain_id).Finish();
}

// The fields of a policy, in kPolicyType's order: as words to hash, or as JSON to show.
template <typename Visitor>
void VisitFields(const Policy& p, Visitor& v) {
  v.Bool(p.unrestricted);
  v.Uint(p.chain_id);
  v.Address(p.broker);
  v.Bool(p.allow_tickets);
  v.Uint(ledger::ToU256(p.max_face_value));
  v.Uint(ledger::ToU256(p.max_batch_total));
  v.Uint(p.max_tickets);
  v.Uint(p.win_prob);
  v.Uint(p.ticket_validity_rounds);
  v.Bool(p.void_on_host_word);
  v.Bool(p.allow_eth_transfer);
  v.Uint(ledger::ToU256(p.max_transfer));
  v.Uint(ledger::ToU256(p.max_fund_deposit));
  v.Uint(ledger::ToU256(p.max_fund_reserve));
  v.Bool(p.require_allowlist);
  v.Addresses(p.allowed_recipients);
  v.Uint(p.max_gas_limit);
  v.Uint(ledger::ToU256(p.max_fee_per_gas));
  v.Uint(ledger::ToU256(p.max_priority_fee_per_gas));
  v.Uint(ledger::ToU256(p.max_transaction_cost));
  v.Bool(p.allow_access_list);
  v.Bool(p.allow_raw_messages);
  v.Uint(p.velocity_window);
  v.Uint(ledger::ToU256(p.velocity_total));
  v.Uint(ledger::ToU256(p.velocity_recipient));
  v.Uint(p.velocity_signatures);
  v.Address(p.credit_reporter);
  v.Bool(p.require_credit_signature);
  v.Addresses(p.admins);
  v.Uint(p.admin_threshold);
}

class HashVisitor {
 public:
  void Bool(bool value) { hasher_.Uint(value ? 1 : 0); }
  void Uint(const ethereum::U256& value) { hasher_.Uint(value); }
  void Address(const ethereum::Address& value) { hasher_.Address(value); }
  void Addresses(const std::vector<ethereum::Address>& values) { hasher_.Addresses(values); }
  Hash Finish() const { return hasher_.Finish(); }

 private:
  StructHasher hasher_{kPolicyType};
};

struct Member {
  std::string type;
  std::string name;
};

// The members of "Type(type name,type name)".
std::vector<Member> MembersOf(std::string_view type) {
  const size_t open = type.find('(');
  const std::string list(type.substr(open + 1, type.size() - open - 2));
  std::vector<Member> out;
  for (const absl::string_view member : absl::StrSplit(list, ',')) {
    const std::pair<std::string, std::string> parts =
        absl::StrSplit(member, absl::MaxSplits(' ', 1));
    out.push_back({parts.first, parts.second});
  }
  return out;
}

// Values are ours (digits, hex, names), so nothing is ever escaped.
class JsonVisitor {
 public:
  void Bool(bool value) { Add(value ? "true" : "false"); }
  // As text: JSON readers keep numbers only up to 2^53.
  void Uint(const ethereum::U256& value) { Add(Quoted(ethereum::ToDecimal(value))); }
  void Address(const ethereum::Address& value) { Add(Quoted(ethereum::ToChecksum(value))); }
  void Addresses(const std::vector<ethereum::Address>& values) {
    std::vector<std::string> texts;
    texts.reserve(values.size());
    for (const auto& value : values) texts.push_back(Quoted(ethereum::ToChecksum(value)));
    Add(absl::StrCat("[", absl::StrJoin(texts, ","), "]"));
  }
  std::string Finish() const { return absl::StrCat("{", absl::StrJoin(fields_, ","), "}"); }
  static std::string Quoted(const std::string& text) { return absl::StrCat("\"", text, "\""); }

 private:
  void Add(const std::string& value) {
    fields_.push_back(absl::StrCat(Quoted(members_.at(fields_.size()).name), ":", value));
  }

  std::vector<Member> members_ = MembersOf(kPolicyType);
  std::vector<std::string> fields_;
};

std::string TypeJson(const char* name, std::string_view type) {
  std::vector<std::string> members;
  for (const Member& member : MembersOf(type)) {
    members.push_back(
        absl::StrCat("{\"name\":\"", member.name, "\",\"type\":\"", member.type, "\"}"));
  }
  return absl::StrCat("\"", name, "\":[", absl::StrJoin(members, ","), "]");
}

}  // namespace

Hash PolicyHash(const Policy& policy) {
  HashVisitor visitor;
  VisitFields(policy, visitor);
  return visitor.Finish();
}

Hash PolicyChangeDigest(const Address& signer, uint64_t sequence, const Policy& policy) {
  const Hash change = StructHasher(std::string(kChangeType).append(kPolicyType))
                          .Address(signer)
                          .Uint(sequence)
                          .Struct(PolicyHash(policy))
                          .Finish();
  return ethereum::eip712::SigningDigest(DomainSeparator(policy.chain_id), change);
}

std::string PolicyChangeTypedData(const Address& signer, uint64_t sequence, const Policy& policy) {
  JsonVisitor fields;
  VisitFields(policy, fields);
  return absl::StrCat("{\"types\":{", TypeJson("EIP712Domain", kDomainType), ",",
                      TypeJson("PolicyChange", kChangeType), ",", TypeJson("Policy", kPolicyType),
                      "},\"primaryType\":\"PolicyChange\",\"domain\":{\"name\":\"", kDomainName,
                      "\",\"version\":\"", kDomainVersion, "\",\"chainId\":\"", policy.chain_id,
                      "\"},\"message\":{\"signer\":\"", ethereum::ToChecksum(signer),
                      "\",\"sequence\":\"", sequence, "\",\"policy\":", fields.Finish(), "}}");
}

absl::Status CheckPolicyChange(const Policy& current, const Address& signer, uint64_t sequence,
                               const Policy& next, absl::Span<const std::string> signatures) {
  if (current.admins.empty() || current.admin_threshold == 0) {
    return RefuseByRule("admins",
                        "the policy in force has 0 admins, and a change needs the signature of 1 "
                        "at least: it cannot be changed");
  }
  const Hash digest = PolicyChangeDigest(signer, sequence, next);
  absl::flat_hash_set<Address> signed_by;
  size_t others = 0;
  for (const std::string& bytes : signatures.subspan(0, kMaxAdmins)) {
    const absl::StatusOr<ethereum::Signature> signature = ethereum::Signature::FromBytes65(bytes);
    const absl::StatusOr<Address> address = signature.ok()
                                                ? ethereum::RecoverAddress(digest, *signature)
                                                : absl::StatusOr<Address>(signature.status());
    if (address.ok() &&
        std::binary_search(current.admins.begin(), current.admins.end(), *address)) {
      signed_by.insert(*address);
    } else {
      ++others;
    }
  }
  if (signed_by.size() >= current.admin_threshold) return absl::OkStatus();
  return Refuse(boundary::v1::ERROR_SIGNATURE,
                absl::StrCat("the change needs the signatures of ", current.admin_threshold, " of ",
                             current.admins.size(), " admins over ", digest.ToHex(), " (sequence ",
                             sequence, "); ", signed_by.size(), " different ones were valid, ",
                             others, " were malformed or of nobody who is an admin"));
}

}  // namespace coffer::policy
