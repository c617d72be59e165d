#include <map>
#include <string>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/json_protocol/audit_answers.h"
#include "enclave_core/json_protocol/json_protocol.h"
#include "enclave_core/json_protocol/json_writer.h"
#include "enclave_core/json_protocol/policy_json.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::Error;
using boundary::v1::ErrorCode;
using boundary::v1::Payout;
using boundary::v1::ServerFrame;

constexpr size_t kMaxAnswerBytes = 16u << 20;  // a frame's

std::string Fail(ErrorCode code, std::string_view sentence) {
  Error error;
  error.set_code(code);
  error.set_message(std::string(sentence));
  return WriteError(error);
}

std::string WrongBody() {
  return Fail(boundary::v1::ERROR_INTERNAL, "the enclave answered with something else");
}

// {"result":{ ... }}: Begin, the members, End.
JsonWriter Begin(size_t expected_bytes = 512) {
  JsonWriter out(expected_bytes + 16);
  out.BeginObject();
  out.Key("result");
  out.BeginObject();
  return out;
}

std::string End(JsonWriter* out) {
  out->EndObject();
  out->EndObject();
  std::string answer = out->Take();
  if (answer.size() <= kMaxAnswerBytes) return answer;
  return Fail(boundary::v1::ERROR_OUT_OF_RANGE,
              absl::StrCat("the answer has ", answer.size(), " bytes, more than the ",
                           kMaxAnswerBytes, " of a frame; ask by protobuf, in pages"));
}

std::string_view AttestationWord(boundary::v1::AttestationKind kind) {
  return kind == boundary::v1::ATTESTATION_KIND_NITRO         ? "nitro"
         : kind == boundary::v1::ATTESTATION_KIND_DEVELOPMENT ? "development"
                                                              : "none";
}

std::string WriteStatus(const boundary::v1::Status& status) {
  JsonWriter out = Begin(1024);
  out.Member("provisioned", !status.address().empty());
  out.Key("address");
  out.Checksummed(status.address());
  out.Member("attestation_available", status.attestation_available());
  out.TextMember("attestation_kind", AttestationWord(status.attestation_kind()));
  out.Member("balances", status.accounts());
  out.Member("pending", status.open_payouts());
  out.TextMember("profile",
                 status.profile() == boundary::v1::PROFILE_SIGNER ? "signer" : "authority");
  out.TextMember("version", status.version());
  out.HexMember("ledger_root", status.ledger_root());
  out.HexMember("policy_hash", status.policy_hash());
  out.Member("policy_sequence", status.policy_sequence());
  WriteAuditMembers(status, &out);
  return End(&out);
}

std::string WriteAuditStatus(const boundary::v1::Status& status) {
  if (!status.has_audit()) {
    return Fail(boundary::v1::ERROR_NOT_READY, "no state is loaded yet, so there is no log");
  }
  JsonWriter out = Begin();
  WriteAuditMembers(status, &out);
  WriteLogMembers(status.audit(), &out);
  return End(&out);
}

std::string WriteCheckpoint(const boundary::v1::AuditCheckpoint& checkpoint) {
  JsonWriter out = Begin(2048);
  WriteCheckpointMembers(checkpoint, &out);
  return End(&out);
}

// The leaf that the request made: null where it made none, an array where it made several.
template <typename Entries>
void WriteAuditEntries(const Entries& entries, JsonWriter* out) {
  out->Key("audit_entry");
  if (entries.empty()) return out->Null();
  if (entries.size() == 1) return WriteAuditEntry(entries.Get(0), out);
  out->BeginArray();
  for (const boundary::v1::AuditEntry& entry : entries) WriteAuditEntry(entry, out);
  out->EndArray();
}

std::string WriteAddress(const boundary::v1::Status& status) {
  if (status.address().empty()) {
    return Fail(boundary::v1::ERROR_NOT_PROVISIONED, "signer not provisioned");
  }
  JsonWriter out = Begin();
  out.Key("address");
  out.Checksummed(status.address());
  return End(&out);
}

// What is owed: what is free and what is reserved for payouts that are under way.
ledger::Wei Owed(const boundary::v1::Account& account) {
  return ledger::FromProto(account.available()) + ledger::FromProto(account.reserved());
}

std::string WriteEvent(const Call& call, const boundary::v1::EventsApplied& applied) {
  if (applied.refusals_size() != 0) return WriteError(applied.refusals(0).error());
  JsonWriter out = Begin();
  if (call.method == Method::kApplyEvent) {
    out.Member("ok", true);
    out.HexMember("ledger_root", applied.ledger_root());
    return End(&out);
  }
  out.TextMember("orchestrator_id", call.account);
  out.HexMember("recipient",
                applied.has_account() ? applied.account().recipient() : call.recipient);
  out.Key("balance_wei");
  out.Wei(Owed(applied.account()));
  out.Member("idempotent", applied.duplicates_size() != 0);
  WriteAuditEntries(applied.audit_entries(), &out);
  return End(&out);
}

std::string WriteBalance(const Call& call, const ServerFrame& answer) {
  JsonWriter out = Begin();
  out.TextMember("orchestrator_id", call.account);
  out.HexMember("recipient", answer.account().recipient());  // of no account: null
  out.Key("balance_wei");
  out.Wei(Owed(answer.account()));
  return End(&out);
}

std::string WritePayout(const Call& call, const Payout& payout) {
  if (payout.attempts_size() == 0) {
    return Fail(boundary::v1::ERROR_WRONG_STATE,
                absl::StrCat("payout ", payout.id(), " is reserved and not signed; ask again"));
  }
  const boundary::v1::Attempt& newest = payout.attempts(payout.attempts_size() - 1);
  JsonWriter out = Begin(2 * newest.raw_tx().size() + 512);
  out.HexMember("tx_hash", newest.tx_hash());
  out.HexMember("raw_tx", newest.raw_tx());
  if (call.method == Method::kPrepareFundDeposit) {
    out.Member("amount_wei", payout.total());
  } else if (call.method == Method::kPrepareRedeem && payout.items_size() != 0) {
    out.HexMember("ticket_hash", payout.items(0).ticket_hash());
    out.HexMember("recipient", payout.items(0).recipient());
    out.Member("face_value_wei", payout.items(0).amount());
  } else if (call.method == Method::kPreparePayouts) {
    out.Key("tickets");
    out.BeginArray();
    for (const boundary::v1::PayoutItem& item : payout.items()) {
      out.BeginObject();
      out.TextMember("orchestrator_id", item.account());
      out.HexMember("recipient", item.recipient());
      out.Member("face_value_wei", item.amount());
      out.HexMember("ticket_hash", item.ticket_hash());
      out.EndObject();
    }
    out.EndArray();
  }
  out.Member("payout_id", payout.id());
  return End(&out);
}

bool Final(const Payout& payout) {
  return payout.state() == boundary::v1::PAYOUT_STATE_SETTLED ||
         payout.state() == boundary::v1::PAYOUT_STATE_PARTLY_SETTLED ||
         payout.state() == boundary::v1::PAYOUT_STATE_VOIDED;
}

// Whether this transaction paid something out of an account.
bool Debited(const Call& call, const Payout& payout) {
  for (const boundary::v1::PayoutItem& item : payout.items()) {
    if (item.paid_by() == call.tx_hash && ledger::FromProto(item.paid()) != 0) return true;
  }
  return false;
}

std::string WriteConfirmed(const Call& call, const boundary::v1::PayoutConfirmed& confirmed) {
  JsonWriter out = Begin();
  out.HexMember("tx_hash", call.tx_hash);
  out.Member("cleared", Final(confirmed.payout()));
  out.Member("debited", Debited(call, confirmed.payout()));
  if (confirmed.has_account()) {
    out.TextMember("orchestrator_id", confirmed.account().id());
    out.Key("balance_wei");
    out.Wei(Owed(confirmed.account()));
  } else {
    out.NullMember("orchestrator_id");
    out.NullMember("balance_wei");
  }
  out.Member("payout_id", confirmed.payout().id());
  out.HexMember("ledger_root", confirmed.ledger_root());
  WriteAuditEntries(confirmed.audit_entries(), &out);
  return End(&out);
}

// Without a member where there is no document, as the old servers have it.
std::string WriteAttestation(const boundary::v1::Attestation& attestation) {
  JsonWriter out = Begin(attestation.document().size() / 3 * 4 + 64);
  if (attestation.document().empty()) return End(&out);
  out.Key("document_b64");
  out.Base64(attestation.document());
  out.TextMember("attestation_kind", AttestationWord(attestation.kind()));
  return End(&out);
}

std::string WriteExported(const boundary::v1::StateBlob& blob) {
  JsonWriter out = Begin(blob.blob().size() / 3 * 4 + 512);
  out.Key("blob_b64");
  out.Base64(blob.blob());
  out.HexMember("ledger_root", blob.ledger_root());
  return End(&out);
}

std::string WriteImported(const boundary::v1::Status& status) {
  JsonWriter out = Begin();
  out.Member("ok", true);
  out.Member("balances", status.accounts());
  out.Member("pending", status.open_payouts());
  out.HexMember("ledger_root", status.ledger_root());
  return End(&out);
}

void WriteStateKeyMembers(const boundary::v1::StateKey& key, JsonWriter* out) {
  out->Member("epoch", key.epoch());
  out->Key("ciphertext_b64");
  out->Base64(key.ciphertext());
  out->TextMember("key_id", key.key_id());
  out->HexMember("tag", key.tag());
  if (key.address().empty()) return;
  out->Key("address");
  out->Checksummed(key.address());
}

std::string WriteStateKey(const boundary::v1::StateKey& key) {
  JsonWriter out = Begin(key.ciphertext().size() / 3 * 4 + 512);
  WriteStateKeyMembers(key, &out);
  return End(&out);
}

std::string WriteStateKeyAdopted(const boundary::v1::Status& status) {
  JsonWriter out = Begin();
  out.Member("ok", true);
  out.Member("state_key_epoch", status.state_key_epoch());
  return End(&out);
}

std::string WriteNextSigningKey(const boundary::v1::NextSigningKey& next) {
  const boundary::v1::SigningKey& key = next.signing_key();
  JsonWriter out = Begin(key.ciphertext().size() + next.state_key().ciphertext().size() * 2 + 2048);
  out.Key("signing_key");
  out.BeginObject();
  out.Member("epoch", key.epoch());
  out.Key("address");
  out.Checksummed(key.address());
  out.Key("ciphertext_b64");
  out.Base64(key.ciphertext());
  out.TextMember("key_id", key.key_id());
  out.Key("encryption_context");
  out.BeginObject();
  // A protobuf map has no order; this has one form.
  const std::map<std::string, std::string> context(key.encryption_context().begin(),
                                                   key.encryption_context().end());
  for (const auto& [name, value] : context) out.TextMember(name, value);
  out.EndObject();
  out.HexMember("tag", key.tag());
  out.EndObject();
  out.Key("state_key");
  out.BeginObject();
  WriteStateKeyMembers(next.state_key(), &out);
  out.EndObject();
  return End(&out);
}

std::string WriteSigningKeyTaken(const boundary::v1::Status& status) {
  JsonWriter out = Begin();
  out.Member("ok", true);
  out.Key("address");
  out.Checksummed(status.address());
  return End(&out);
}

std::string WriteProvisioned(const Call& call, const boundary::v1::Provisioned& provisioned) {
  JsonWriter out = Begin();
  out.Key("address");
  out.Checksummed(provisioned.address());
  if (call.method == Method::kGenerate) {
    out.Key("ciphertext_b64");
    out.Base64(provisioned.ciphertext());
    out.TextMember("key_id", provisioned.key_id());
    out.TextMember("key_spec", "AES-256");
  }
  if (provisioned.new_state_keys_size() != 0) {
    out.Key("new_state_keys");
    out.BeginArray();
    for (const boundary::v1::StateKey& key : provisioned.new_state_keys()) {
      out.BeginObject();
      WriteStateKeyMembers(key, &out);
      out.EndObject();
    }
    out.EndArray();
  }
  return End(&out);
}

std::string WritePolicyState(const boundary::v1::PolicyState& state) {
  JsonWriter out = Begin(2048);
  out.Key("policy");
  WritePolicy(state.policy(), &out);
  out.HexMember("policy_hash", state.hash());
  out.Member("policy_sequence", state.sequence());
  return End(&out);
}

std::string WriteHexOnly(std::string_view key, std::string_view bytes) {
  JsonWriter out = Begin(2 * bytes.size() + 64);
  out.HexMember(key, bytes);
  return End(&out);
}

std::string WriteTicket(const boundary::v1::SignedTicket& ticket) {
  JsonWriter out = Begin();
  out.HexMember("ticket_hash", ticket.ticket_hash());
  out.HexMember("signature", ticket.signature());
  return End(&out);
}

}  // namespace

std::string WriteAnswer(const Call& call, const ServerFrame& answer) {
  switch (answer.body_case()) {
    case ServerFrame::kError:
      if (call.method == Method::kBalance &&
          answer.error().code() == boundary::v1::ERROR_UNKNOWN_ACCOUNT) {
        return WriteBalance(call, answer);
      }
      return WriteError(answer.error());
    case ServerFrame::kSignedTransaction:
      return WriteHexOnly("raw_tx", answer.signed_transaction().raw_tx());
    case ServerFrame::kMessageSignature:
      return WriteHexOnly("signature", answer.message_signature().signature());
    case ServerFrame::kSignedTicket:
      return WriteTicket(answer.signed_ticket());
    case ServerFrame::kStatus:
      return call.method == Method::kAddress       ? WriteAddress(answer.status())
             : call.method == Method::kAuditStatus ? WriteAuditStatus(answer.status())
                                                   : WriteStatus(answer.status());
    case ServerFrame::kAuditCheckpoint:
      return WriteCheckpoint(answer.audit_checkpoint());
    case ServerFrame::kEventsApplied:
      return WriteEvent(call, answer.events_applied());
    case ServerFrame::kAccount:
      return WriteBalance(call, answer);
    case ServerFrame::kPayout:
      return WritePayout(call, answer.payout());
    case ServerFrame::kPayoutConfirmed:
      return WriteConfirmed(call, answer.payout_confirmed());
    case ServerFrame::kPolicy:
      return WritePolicyState(answer.policy());
    case ServerFrame::kAttestation:
      return WriteAttestation(answer.attestation());
    case ServerFrame::kProvisioned:
      return WriteProvisioned(call, answer.provisioned());
    case ServerFrame::kStateKey:
      return WriteStateKey(answer.state_key());
    case ServerFrame::kStateKeyAdopted:
      return WriteStateKeyAdopted(answer.state_key_adopted());
    case ServerFrame::kNextSigningKey:
      return WriteNextSigningKey(answer.next_signing_key());
    case ServerFrame::kSigningKeyAdopted:
      return WriteSigningKeyTaken(answer.signing_key_adopted());
    case ServerFrame::kSigningKeyRetired:
      return WriteSigningKeyTaken(answer.signing_key_retired());
    case ServerFrame::kStateBlob:
      return WriteExported(answer.state_blob());
    case ServerFrame::kStateImported:
      return WriteImported(answer.state_imported());
    default:
      return WrongBody();
  }
}

std::string WriteError(const Error& error) {
  constexpr std::string_view kPrefix = "ERROR_";
  std::string code = boundary::v1::ErrorCode_Name(error.code());
  if (code.rfind(kPrefix, 0) == 0) code.erase(0, kPrefix.size());
  absl::AsciiStrToLower(&code);
  JsonWriter out(error.message().size() + 128);
  out.BeginObject();
  out.Key("error");
  out.BeginObject();
  out.TextMember("message", error.message());
  out.TextMember("code", code);
  if (!error.rule().empty()) out.TextMember("rule", error.rule());
  out.EndObject();
  out.EndObject();
  return out.Take();
}

}  // namespace coffer::json_protocol
