// Every method's answer, and the policy there and back.
#include <google/protobuf/util/message_differencer.h>
#include <json/json.h>

#include <memory>
#include <vector>

#include "tests/unit/json_protocol/support.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ServerFrame;

bool IsJson(const std::string& text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value value;
  return reader->parse(text.data(), text.data() + text.size(), &value, nullptr);
}

struct Case {
  Method method;
  std::string frame;
  std::string answer;
};

// The call that all cases answer.
Call TheCall(Method method) {
  Call call;
  call.method = method;
  call.account = "or\"ch";
  call.recipient = FromText<boundary::v1::Account>("recipient:hex($ADDRESS)").recipient();
  call.tx_hash = FromText<boundary::v1::Attempt>("tx_hash:hex($HASH)").tx_hash();
  return call;
}

constexpr char kPayout[] =
    "payout {id:4 state:PAYOUT_STATE_SIGNED items {account:'a' recipient:hex($ADDRESS) amount "
    "{high:1 low:5} ticket_hash:hex($HASH)} items {account:'b' recipient:hex($BROKER) amount "
    "{low:6} "
    "ticket_hash:hex($HASH)} attempts {tx_hash:hex(00) raw_tx:hex(01)} attempts "
    "{tx_hash:hex($HASH) "
    "raw_tx:hex(02f8ff)} total {low:10}}";

std::vector<Case> Cases() {
  return {
      {Method::kSignTransaction, "signed_transaction {raw_tx:hex(02f8ff) tx_hash:hex($HASH)}",
       R"({"result":{"raw_tx":"0x02f8ff"}})"},
      {Method::kSignMessageDefunct, "message_signature {signature:hex(00ff1b)}",
       R"({"result":{"signature":"0x00ff1b"}})"},
      {Method::kSignTicket, "signed_ticket {ticket_hash:hex($HASH) signature:hex(1c)}",
       R"({"result":{"ticket_hash":"0x$HASH","signature":"0x1c"}})"},
      {Method::kAddress, "status {address:hex($ADDRESS)}",
       R"({"result":{"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"}})"},
      {Method::kAddress, "status {}",
       R"({"error":{"message":"signer not provisioned","code":"not_provisioned"}})"},
      {Method::kStatus,
       "status {address:hex($ADDRESS) accounts:3 open_payouts:2 version:'1.2' "
       "profile:PROFILE_AUTHORITY ledger_root:hex($HASH) policy_hash:hex($HASH) policy_sequence:9}",
       R"({"result":{"provisioned":true,"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1",)"
       R"("attestation_available":false,"attestation_kind":"none","balances":3,"pending":2,"profile":"authority",)"
       R"("version":"1.2","ledger_root":"0x$HASH","policy_hash":"0x$HASH","policy_sequence":9,)"
       R"("audit_address":null,"audit_seq":null,"audit_head_hash":null,"audit_merkle_root":null}})"},
      {Method::kStatus,
       "status {profile:PROFILE_SIGNER attestation_available:true "
       "attestation_kind:ATTESTATION_KIND_NITRO}",
       R"({"result":{"provisioned":false,"address":null,"attestation_available":true,)"
       R"("attestation_kind":"nitro",)"
       R"("balances":0,"pending":0,"profile":"signer","version":"","ledger_root":null,)"
       R"("policy_hash":null,"policy_sequence":0,"audit_address":null,"audit_seq":null,)"
       R"("audit_head_hash":null,"audit_merkle_root":null}})"},
      {Method::kCredit,
       "events_applied {applied:1 account {id:'or\"ch' recipient:hex($ADDRESS) available {high:1} "
       "reserved {low:5}}}",
       R"({"result":{"orchestrator_id":"or\"ch","recipient":"0x$ADDRESS",)"
       R"("balance_wei":18446744073709551621,"idempotent":false,"audit_entry":null}})"},
      {Method::kApplyDelta,
       "events_applied {duplicates:0 account {id:'x' recipient:hex($ADDRESS)}}",
       R"({"result":{"orchestrator_id":"or\"ch","recipient":"0x$ADDRESS","balance_wei":0,)"
       R"("idempotent":true,"audit_entry":null}})"},
      {Method::kCredit,
       "events_applied {refusals {error {code:ERROR_RECIPIENT_MISMATCH message:'no'}}}",
       R"({"error":{"message":"no","code":"recipient_mismatch"}})"},
      {Method::kApplyEvent, "events_applied {applied:1 ledger_root:hex($HASH)}",
       R"({"result":{"ok":true,"ledger_root":"0x$HASH"}})"},
      {Method::kBalance, "account {id:'or\"ch' recipient:hex($ADDRESS) available {low:7}}",
       R"({"result":{"orchestrator_id":"or\"ch","recipient":"0x$ADDRESS","balance_wei":7}})"},
      {Method::kBalance, "error {code:ERROR_UNKNOWN_ACCOUNT message:'none'}",
       R"({"result":{"orchestrator_id":"or\"ch","recipient":null,"balance_wei":0}})"},
      {Method::kBalance, "error {code:ERROR_NOT_READY message:'later'}",
       R"({"error":{"message":"later","code":"not_ready"}})"},
      {Method::kPrepareRedeem, kPayout,
       R"({"result":{"tx_hash":"0x$HASH","raw_tx":"0x02f8ff","ticket_hash":"0x$HASH",)"
       R"("recipient":"0x$ADDRESS","face_value_wei":18446744073709551621,"payout_id":4}})"},
      {Method::kPrepareFundDeposit, kPayout,
       R"({"result":{"tx_hash":"0x$HASH","raw_tx":"0x02f8ff","amount_wei":10,"payout_id":4}})"},
      {Method::kPreparePayouts, kPayout,
       R"({"result":{"tx_hash":"0x$HASH","raw_tx":"0x02f8ff","tickets":[{"orchestrator_id":"a",)"
       R"("recipient":"0x$ADDRESS","face_value_wei":18446744073709551621,"ticket_hash":"0x$HASH"},)"
       R"({"orchestrator_id":"b","recipient":"0x$BROKER","face_value_wei":6,)"
       R"("ticket_hash":"0x$HASH"}],"payout_id":4}})"},
      {Method::kPreparePayouts, "payout {id:4}",
       R"({"error":{"message":"payout 4 is reserved and not signed; ask again",)"
       R"("code":"wrong_state"}})"},
      {Method::kConfirmPayout,
       "payout_confirmed {payout {id:4 state:PAYOUT_STATE_SETTLED items {state:STATE_PAID paid "
       "{low:1} paid_by:hex($HASH)}} account {id:'a' available {low:3}} ledger_root:hex($HASH)}",
       R"({"result":{"tx_hash":"0x$HASH","cleared":true,"debited":true,"orchestrator_id":"a",)"
       R"("balance_wei":3,"payout_id":4,"ledger_root":"0x$HASH","audit_entry":null}})"},
      {Method::kConfirmPayout,
       "payout_confirmed {payout {id:4 state:PAYOUT_STATE_RESERVED items {state:STATE_OPEN}} "
       "ledger_root:hex($HASH)}",
       R"({"result":{"tx_hash":"0x$HASH","cleared":false,"debited":false,"orchestrator_id":null,)"
       R"("balance_wei":null,"payout_id":4,"ledger_root":"0x$HASH","audit_entry":null}})"},
      {Method::kAttestation, "attestation {document:hex(000102) kind:ATTESTATION_KIND_DEVELOPMENT}",
       R"({"result":{"document_b64":"AAEC","attestation_kind":"development"}})"},
      {Method::kAttestation, "attestation {document:hex(000102) kind:ATTESTATION_KIND_NITRO}",
       R"({"result":{"document_b64":"AAEC","attestation_kind":"nitro"}})"},
      {Method::kAttestation, "attestation {}", R"({"result":{}})"},
      {Method::kExportState, "state_blob {blob:hex(000102ff) ledger_root:hex($HASH)}",
       R"({"result":{"blob_b64":"AAEC/w==","ledger_root":"0x$HASH"}})"},
      {Method::kLoadState, "state_imported {accounts:2 open_payouts:1 ledger_root:hex($HASH)}",
       R"({"result":{"ok":true,"balances":2,"pending":1,"ledger_root":"0x$HASH"}})"},
      {Method::kProvision, "provisioned {address:hex($ADDRESS)}",
       R"({"result":{"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"}})"},
      {Method::kGenerate, "provisioned {address:hex($ADDRESS) ciphertext:hex(00) key_id:'k'}",
       R"({"result":{"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1",)"
       R"("ciphertext_b64":"AA==","key_id":"k","key_spec":"AES-256"}})"},
      {Method::kProvision,
       "provisioned {address:hex($ADDRESS) new_state_keys {epoch:1 ciphertext:hex(00) key_id:'k' "
       "tag:hex($HASH)}}",
       R"({"result":{"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1",)"
       R"("new_state_keys":[{"epoch":1,"ciphertext_b64":"AA==","key_id":"k","tag":"0x$HASH"}]}})"},
      {Method::kRotateStateKey, "state_key {epoch:2 ciphertext:hex(00) key_id:'k' tag:hex($HASH)}",
       R"({"result":{"epoch":2,"ciphertext_b64":"AA==","key_id":"k","tag":"0x$HASH"}})"},
      {Method::kRotateSigningKey,
       "next_signing_key {signing_key {epoch:1 address:hex($ADDRESS) ciphertext:hex(01) key_id:'k' "
       "encryption_context {key:'b' value:'2'} encryption_context {key:'a' value:'1'} "
       "tag:hex($HASH)} state_key {epoch:2 ciphertext:hex(00) key_id:'k' tag:hex($HASH) "
       "address:hex($ADDRESS)}}",
       R"({"result":{"signing_key":{"epoch":1,)"
       R"("address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1","ciphertext_b64":"AQ==",)"
       R"("key_id":"k","encryption_context":{"a":"1","b":"2"},"tag":"0x$HASH"},)"
       R"("state_key":{"epoch":2,"ciphertext_b64":"AA==","key_id":"k","tag":"0x$HASH",)"
       R"("address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"}}})"},
      {Method::kAdoptSigningKey, "signing_key_adopted {address:hex($ADDRESS)}",
       R"({"result":{"ok":true,"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"}})"},
      {Method::kRetireSigningKey, "signing_key_retired {address:hex($ADDRESS)}",
       R"({"result":{"ok":true,"address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"}})"},
      {Method::kAdoptStateKey, "state_key_adopted {state_key_epoch:2}",
       R"({"result":{"ok":true,"state_key_epoch":2}})"},
      {Method::kSignTransaction,
       "error {code:ERROR_POLICY rule:'max_face_value' message:'2 above 1'}",
       R"({"error":{"message":"2 above 1","code":"policy","rule":"max_face_value"}})"},
      {Method::kAuditStatus, "status {}",
       R"({"error":{"message":"no state is loaded yet, so there is no log","code":"not_ready"}})"},
      {Method::kAuditStatus,
       "status {audit {log_key:'k' audit_address:hex($ADDRESS) size:3 root:hex($HASH) "
       "head:hex($HASH)}}",
       R"({"result":{"audit_address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1","audit_seq":3,)"
       R"("audit_head_hash":"0x$HASH","audit_merkle_root":"0x$HASH",)"
       R"("audit_checkpoint_head_hash":"0x$HASH","log_key":"k"}})"},
      {Method::kAuditCheckpoint,
       "audit_checkpoint {note:'n\\n' size:3 root:hex($HASH) head:hex($HASH) claimed_time:1500 "
       "audit_address:hex($ADDRESS) chain_id:5 registry:hex($ADDRESS) digest:hex($HASH) "
       "signature:hex(00)}",
       R"({"result":{"schema":"coffer-audit:checkpoint:v1",)"
       R"("audit_address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1","chain_id":5,)"
       R"("contract_address":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1","seq":3,)"
       R"("head_hash":"0x$HASH","chain_head_hash":"0x$HASH","merkle_root":"0x$HASH",)"
       R"("message_hash":"0x$HASH","signature":"0x00","timestamp":"1970-01-01T00:00:01.500Z",)"
       R"("checkpoint":"n\n"}})"},
      // The worked example of docs/transparency.md: leaf 2.
      {Method::kCredit,
       "events_applied {applied:1 account {id:'alice'} audit_entries {leaf_index:2 signature:"
       "hex(ff) leaf:hex(0103003900000000000000020000018bcfe568020465762d3105616c696365"
       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
       "0000000000000000000000000000000500000000000000000000000000000005000000000000000000000000000"
       "0"
       "000000000000000000000000000000000000)}}",
       R"({"result":{"orchestrator_id":"or\"ch","recipient":null,"balance_wei":0,)"
       R"("idempotent":false,"audit_entry":{"schema":"coffer-audit:leaf:v1","seq":3,"leaf_index":2,)"
       R"("timestamp":"2023-11-14T22:13:20.002Z","kind":"credit","event_id":"ev-1",)"
       R"("orchestrator_id":"alice","recipient":"0xaAaAaAaaAaAaAaaAaAAAAAAAAaaaAaAaAaaAaaAa",)"
       R"("delta_wei":"5","balance_wei":"5","reserved_wei":"0","paid_wei":"0",)"
       R"("entry_hash":"0xfbb90fe59828d49b3d029d81095844e52d791e9b347e807ac804a9a1f3fe17fd",)"
       R"("leaf":"0x0103003900000000000000020000018bcfe568020465762d3105616c696365)"
       R"(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)"
       R"(0000000000000000000000000000000500000000000000000000000000000005000000000000000000000000)"
       R"(0000000000000000000000000000000000000000","signature":"0xff"}}})"},
      {Method::kStatus, "record_loaded {}",
       R"({"error":{"message":"the enclave answered with something else","code":"internal"}})"},
  };
}

TEST(Answers, EveryMethodsAnswer) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.frame);
    const std::string answer = WriteAnswer(TheCall(c.method), FromText<ServerFrame>(c.frame));
    EXPECT_EQ(answer, Filled(c.answer));
    EXPECT_TRUE(IsJson(answer)) << answer;
  }
}

TEST(Answers, WhateverAnErrorSaysIsJson) {
  boundary::v1::Error error;
  error.set_code(boundary::v1::ERROR_INTERNAL);
  for (int byte = 0; byte < 256; ++byte) {
    const std::string text = std::string("a\xc3\xa9") + static_cast<char>(byte) + "\"\\b";
    error.set_message(text);
    const std::string answer = WriteError(error);
    EXPECT_TRUE(IsJson(answer)) << answer;
    boundary::v1::ClientFrame frame;
    // Our own reader, which refuses invalid UTF-8, gets as far as the envelope.
    EXPECT_NE(Refusal(answer).message().find("no `error`"), std::string::npos) << byte;
  }
  error.set_message("\x01\x7f\n\xff\xed\xa0\x80");
  EXPECT_EQ(WriteError(error),
            "{\"error\":{\"message\":\"\\u0001\x7f\\n\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"
            "\xef\xbf\xbd\",\"code\":\"internal\"}}");
}

TEST(Answers, ABlobBeyondAFrameIsAnError) {
  ServerFrame frame;
  frame.mutable_state_blob()->set_blob(std::string(13u << 20, 'x'));
  const std::string answer = WriteAnswer(TheCall(Method::kExportState), frame);
  EXPECT_NE(answer.find("out_of_range"), std::string::npos) << answer.substr(0, 300);
}

TEST(Answers, APolicyIsWrittenAsItIsRead) {
  const std::string ones(64, 'f');
  const auto state = FromText<ServerFrame>(
      "policy {policy {format:1 chain_id:42161 broker:hex($BROKER) allow_tickets:true "
      "allow_eth_transfer:true max_face_value {low:1} max_batch_total {high:1} max_tickets:3 "
      "max_gas_limit:18446744073709551615 max_fee_per_gas {low:4} max_priority_fee_per_gas {low:5} "
      "max_fund_deposit {low:6} max_fund_reserve {low:7} ticket_validity_rounds:8 "
      "void_on_host_word:true max_transfer {low:9} allowed_recipients:hex($ADDRESS) "
      "allowed_recipients:hex($BROKER) require_allowlist:true max_transaction_cost {low:10} "
      "allow_access_list:true allow_raw_messages:true win_prob:hex(" +
      ones +
      ") velocity_window:11 velocity_total {low:12} velocity_recipient {low:13} "
      "velocity_signatures:14 admins:hex($ADDRESS) admin_threshold:1 credit_reporter:hex($BROKER) "
      "require_credit_signature:true} hash:hex($HASH) sequence:2}");
  const std::string answer = WriteAnswer(TheCall(Method::kPolicy), state);
  const std::string open = "{\"result\":{\"policy\":";
  const std::string close = ",\"policy_hash\":\"0x$HASH\",\"policy_sequence\":2}}";
  ASSERT_EQ(answer.substr(0, open.size()), open);
  ASSERT_EQ(answer.substr(answer.size() - Filled(close).size()), Filled(close));
  const std::string policy =
      answer.substr(open.size(), answer.size() - open.size() - Filled(close).size());
  EXPECT_NE(policy.find("\"winProb\":1157920892373161954235709850086879078532699846656405640394575"
                        "84007913129639935,"),
            std::string::npos);
  const auto request = [](const std::string& object) {
    return absl::StrCat(R"({"method":"change_policy","params":{"sequence":3,"signatures":["0x)",
                        std::string(130, '1'), R"("],"policy":)", object, "}}");
  };
  boundary::v1::ClientFrame frame;
  const absl::StatusOr<Call> call = ParseRequest(request(policy), &frame);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(frame.change_policy().sequence(), 3u);
  EXPECT_EQ(frame.change_policy().signatures(0), std::string(65, '\x11'));
  google::protobuf::util::MessageDifferencer differencer;
  std::string report;
  differencer.ReportDifferencesToString(&report);
  EXPECT_TRUE(differencer.Compare(state.policy().policy(), frame.change_policy().policy()))
      << report;

  // Not one field may be left out, and none added.
  Json::Value members;
  ASSERT_TRUE(Json::Reader().parse(policy, members));
  EXPECT_EQ(members.size(), 30u);
  for (const std::string& name : members.getMemberNames()) {
    const std::string renamed =
        absl::StrReplaceAll(policy, {{absl::StrCat("\"", name, "\""), "\"other\""}});
    EXPECT_EQ(Refusal(request(renamed)).message(), "missing params: policy." + name);
  }
  const std::string more = "{\"other\":1," + policy.substr(1);
  EXPECT_EQ(Refusal(request(more)).message(), "`policy.other` is not known here; leave it out");
  // A limit is what the admins have signed: it is not rounded to "no limit".
  const std::string large = absl::StrReplaceAll(
      policy, {{"\"maxTransfer\":9", "\"maxTransfer\":170141183460469231731687303715884105728"}});
  EXPECT_EQ(Refusal(request(large)).code(), boundary::v1::ERROR_OUT_OF_RANGE);
}

}  // namespace
}  // namespace coffer::json_protocol
