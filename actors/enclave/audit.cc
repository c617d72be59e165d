// What the authority's actor signs for the transparency log: heads, and single leaves.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "actors/enclave/authority_actor.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/error.h"

namespace coffer::enclave {

// A head goes the way of every answer: it leaves when all records before it are stored (I5), so
// that nobody outside has a head over leaves that a crash can take back.
void AuthorityActor::SignHeadWhenDue() {
  if (authority_ == nullptr || options_.without_storage || head_timer_ != nullptr ||
      authority_->log().size() == head_size_) {
    return;
  }
  const absl::Duration wait = head_time_ + options_.head_interval - dispatcher_->Now();
  if (wait > absl::ZeroDuration()) {
    head_timer_ = dispatcher_->After(wait, [this] {
      head_timer_.reset();
      SignHeadWhenDue();
    });
    return;
  }
  head_time_ = dispatcher_->Now();
  head_size_ = authority_->log().size();
  Work work;
  work.answers.push_back({ReplyTo{}, std::make_unique<ServerFrame>()});
  SignHead(work.answers.back().frame->mutable_audit_checkpoint());
  sealer_->Send(std::move(work));
}

void AuthorityActor::SignHead(boundary::v1::AuditCheckpoint* answer) const {
  const authority::LeafLog& log = authority_->log();
  const audit::Hash root = log.Root();
  answer->set_note(log_keys_.SignHead(log.size(), root));
  answer->set_size(log.size());
  answer->set_root(std::string(root.view()));
  answer->set_head(std::string(log.head().view()));
  answer->set_claimed_time(options_.clock());
}

// The same head as a statement for a contract on a chain.
void AuthorityActor::SignStatement(uint64_t chain_id, std::string_view registry,
                                   boundary::v1::AuditCheckpoint* answer) const {
  audit::ChainStatement statement;
  statement.audit_address = log_keys_.audit_address();
  statement.size = authority_->log().size();
  statement.root = authority_->log().Root();
  statement.chain_id = chain_id;
  std::copy(registry.begin(), registry.end(), statement.registry.bytes.begin());
  answer->set_audit_address(std::string(statement.audit_address.view()));
  answer->set_chain_id(chain_id);
  answer->set_registry(std::string(statement.registry.view()));
  answer->set_digest(std::string(audit::ChainStatementDigest(statement).view()));
  answer->set_signature(log_keys_.SignStatement(statement).ToBytes65());
}

absl::Status AuthorityActor::GetCheckpoint(const boundary::v1::GetCheckpoint& request,
                                           boundary::v1::AuditCheckpoint* answer) const {
  const std::string& registry = request.registry();
  if (!registry.empty() && registry.size() != ethereum::Address::kSize) {
    return Refuse(boundary::v1::ERROR_MALFORMED,
                  absl::StrCat("a registry must be 20 bytes or absent, not ", registry.size()));
  }
  // A true statement about the log, whichever chain it is for: no policy has to allow it.
  const uint64_t chain_id =
      request.chain_id() != 0 ? request.chain_id() : authority_->policy().chain_id;
  SignHead(answer);
  SignStatement(chain_id, registry, answer);
  return absl::OkStatus();
}

void AuthorityActor::SignEntries(
    google::protobuf::RepeatedPtrField<boundary::v1::AuditEntry>* entries) const {
  for (boundary::v1::AuditEntry& entry : *entries) {
    const audit::Hash leaf_hash = audit::LeafHash(entry.leaf());
    entry.set_signature(log_keys_.SignEntry(entry.leaf_index(), leaf_hash).ToBytes65());
  }
}

}  // namespace coffer::enclave
