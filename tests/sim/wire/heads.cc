#include "tests/sim/wire/heads.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/note.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::sim::wire {
namespace {

std::string Origin(const Address& signer) { return absl::StrCat("coffer/", signer.ToHex()); }

// docs/transparency.md, "For chains": the audit address signs these fields, packed.
std::string CheckStatement(const boundary::v1::AuditCheckpoint& head, const std::string& audit) {
  std::string packed = absl::StrCat("coffer-audit:checkpoint:v1", head.audit_address());
  for (int shift = 56; shift >= 0; shift -= 8) {
    packed.push_back(static_cast<char>(head.size() >> shift));
  }
  absl::StrAppend(&packed, head.root(), ethereum::ToBytes32(head.chain_id()), head.registry());
  const Hash digest = ethereum::Keccak256(packed);
  if (head.digest() != digest.view()) return "I9: a statement for a chain has another digest";
  const auto signature = ethereum::Signature::FromBytes65(head.signature());
  if (!signature.ok()) return "I9: a statement for a chain is not signed";
  const auto who = ethereum::RecoverAddress(ethereum::Eip191Hash(digest.view()), *signature);
  if (!who.ok() || who->view() != head.audit_address()) {
    return "I9: a statement for a chain is signed by somebody else";
  }
  if (!audit.empty() && audit != head.audit_address()) return "I9: the audit address changed";
  return {};
}

}  // namespace

std::string LogNames::Check(const boundary::v1::AuditState& audit, const Address& signer) {
  if (log_key_.empty()) {
    log_key_ = audit.log_key();
    address_ = audit.audit_address();
    if (log_key_.rfind(Origin(signer) + "+", 0) != 0) return "I9: the log has another's name";
  }
  return audit.log_key() == log_key_ && audit.audit_address() == address_
             ? ""
             : "I9: the log's keys changed";
}

std::string HeadChecker::Check(const boundary::v1::AuditCheckpoint& head,
                               const std::vector<Hash>& leaves, const LogNames& names,
                               const Address& signer) {
  if (tree_.size() > head.size()) tree_ = audit::Tree();
  while (tree_.size() < head.size()) tree_.Append(leaves[tree_.size()]);
  if (tree_.Root().view() != head.root()) {
    return absl::StrCat("I9: the head over ", head.size(), " leaves is not made of them");
  }
  if (head.size() != 0 && head.head() != leaves[head.size() - 1].view()) {
    return "I9: a head names another last leaf";
  }
  std::string root;
  absl::Base64Escape(head.root(), &root);
  const absl::StatusOr<audit::Note> note = audit::ParseNote(head.note());
  if (!note.ok() ||
      note->text != absl::StrCat(Origin(signer), "\n", head.size(), "\n", root, "\n")) {
    return "I9: a head's note says something else";
  }
  if (!names.log_key().empty()) {
    const auto key = audit::VerifierKey::Parse(names.log_key());
    if (!key.ok() || note->signatures.size() != 1 || !key->Claims(note->signatures[0]) ||
        !key->Verify(note->text, note->signatures[0].bytes)) {
      return "I9: a head is not signed by the log's key";
    }
  }
  return head.signature().empty() ? "" : CheckStatement(head, names.audit_address());
}

}  // namespace coffer::sim::wire
