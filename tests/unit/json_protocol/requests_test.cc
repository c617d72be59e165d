// Every method's request, as the frame that it must become.
#include <google/protobuf/util/message_differencer.h>

#include <set>
#include <vector>

#include "tests/unit/json_protocol/support.h"

namespace coffer::json_protocol {
namespace {

using boundary::v1::ClientFrame;

struct Case {
  std::string name;
  std::string request;
  Method method;
  std::string frame;
};

constexpr char kMax[] =
    "115792089237316195423570985008687907853269984665640564039457584007913129639935";
constexpr char kOnes[] = "hex(ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff)";

std::vector<Case> Cases() {
  const std::string legacy = "sign_transaction {chain_id:42161 nonce:7 gas_limit:21000 ";
  const std::string key = std::string(62, '0') + "0b";
  return {
      {"status", R"({"method":"status"})", Method::kStatus, "status {want_ledger_root:true}"},
      {"params null", R"({"params":null,"method":"status"})", Method::kStatus,
       "status {want_ledger_root:true}"},
      {"address, with white space and unknown params",
       " \n{ \"method\" : \"address\" , \"params\" : { \"extra\" : [1.5, null] } }\t",
       Method::kAddress, "status {}"},
      {"attestation", R"({"method":"attestation","params":{"nonce":"0xAb01"}})",
       Method::kAttestation, "get_attestation {nonce:hex(ab01)}"},
      {"attestation with a key", R"({"method":"attestation","params":{"public_key":"rsa-2048"}})",
       Method::kAttestation, "get_attestation {public_key:ATTESTED_KEY_RSA_2048}"},
      {"attestation with the other kind of key",
       R"({"method":"attestation","params":{"public_key":"p-384"}})", Method::kAttestation,
       "get_attestation {public_key:ATTESTED_KEY_P384}"},
      {"attestation without nonce", R"({"method":"attestation","params":{"nonce":""}})",
       Method::kAttestation, "get_attestation {}"},
      {"sign_message_defunct",
       R"({"method":"sign_message_defunct","params":{"message_hash":"0x$HASH"}})",
       Method::kSignMessageDefunct, "sign_message {message:hex($HASH)}"},
      {"legacy", Tx(R"("gasPrice":1,"to":"0x$ADDRESS","value":5,"data":"0xAB")"),
       Method::kSignTransaction,
       legacy + "gas_price:hex(01) to:hex($ADDRESS) value:hex(05) data:hex(ab)}"},
      {"legacy: strings, checksum, input",
       R"({"method":"sign_transaction","params":{"tx":{"chainId":"0xa4b1","nonce":"7","gas":"0x5208",)"
       R"("gasPrice":"0x001","to":"0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1","value":"0x5",)"
       R"("input":"0xab","data":"0xAB"}}})",
       Method::kSignTransaction,
       legacy + "gas_price:hex(01) to:hex($ADDRESS) value:hex(05) data:hex(ab)}"},
      {"contract creation: to empty", Tx(R"("gasPrice":0,"to":"","input":"0x60")"),
       Method::kSignTransaction, legacy + "data:hex(60)}"},
      {"contract creation: to null, nulls are absent",
       Tx(R"("gasPrice":0,"to":null,"value":null,"maxFeePerGas":null,"accessList":null)"),
       Method::kSignTransaction, legacy + "}"},
      {"type 1 by its list",
       Tx(R"("gasPrice":"256","accessList":[{"address":"0x$ADDRESS","storageKeys":["0x$HASH"]}])"),
       Method::kSignTransaction,
       legacy + "type:1 gas_price:hex(0100) access_list {address:hex($ADDRESS) "
                "storage_keys:hex($HASH)}}"},
      {"type 2, list in tuples, beyond 64 bits",
       Tx(absl::StrCat(R"("type":"0x2","maxFeePerGas":)", kMax, R"(,"maxPriorityFeePerGas":")",
                       kMax, R"(","value":18446744073709551616,"accessList":[["0x$ADDRESS",["0x)",
                       key, R"("]],["0x$BROKER",[]]])")),
       Method::kSignTransaction,
       legacy + "type:2 max_fee_per_gas:" + kOnes + " max_priority_fee_per_gas:" + kOnes +
           " value:hex(010000000000000000) access_list {address:hex($ADDRESS) storage_keys:hex(" +
           key + ")} access_list {address:hex($BROKER)}}"},
      {"type 2 by its fees", Tx(R"("maxFeePerGas":2,"maxPriorityFeePerGas":0)"),
       Method::kSignTransaction, legacy + "type:2 max_fee_per_gas:hex(02)}"},
      {"sign_ticket",
       absl::StrCat(R"({"method":"sign_ticket","params":{"ticket":{"recipient":"0x$ADDRESS",)",
                    R"("face_value":)", kMax, R"(,"senderNonce":0,"recipientRandHash":"0x$HASH",)",
                    R"("auxData":"0x$HASH$HASH"}}})"),
       Method::kSignTicket,
       absl::StrCat("sign_ticket {recipient:hex($ADDRESS) face_value:", kOnes,
                    " recipient_rand_hash:hex($HASH) aux_data:hex($HASH$HASH)}")},
      {"sign_ticket, winProb 0 is not an absent one",
       R"({"method":"sign_ticket","params":{"ticket":{"recipient":"0x$ADDRESS","sender":"0x$BROKER",)"
       R"("faceValue":"9","win_prob":0,"sender_nonce":"0x1","recipient_rand_hash":"0x$HASH",)"
       R"("aux_data":"0x$HASH$HASH"}}})",
       Method::kSignTicket,
       "sign_ticket {recipient:hex($ADDRESS) sender:hex($BROKER) face_value:hex(09) "
       "win_prob:hex(00) "
       "sender_nonce:hex(01) recipient_rand_hash:hex($HASH) aux_data:hex($HASH$HASH)}"},
      {"credit",
       R"({"method":"credit","params":{"orchestrator_id":" orch-1 ","recipient":"0x$ADDRESS",)"
       R"("amount_wei":170141183460469231731687303715884105727,"event_id":"e1","reason":"r",)"
       R"("metadata":{"any":[1e400,-0.5,{"deep":{}}]}}})",
       Method::kCredit,
       "apply_events {events {id:'e1' kind:KIND_CREDIT account:'orch-1' recipient:hex($ADDRESS) "
       "amount {high:9223372036854775807 low:18446744073709551615} content_hash:"
       // of {"metadata":{"any":[1e400,-0.5,{"deep":{}}]},"reason":"r"}
       "hex(2be255ccc34320e299b82941bc0455eefedc4c23f6c2675baf2567c4dd4beaaa)} "
       "want_audit_entries:true}"},
      {"apply_delta down",
       R"({"method":"apply_delta","params":{"orchestrator_id":"\u00e9","recipient":"0x$ADDRESS",)"
       R"("delta_wei":"-18446744073709551616","event_id":"e2"}})",
       Method::kApplyDelta,
       "apply_events {events {id:'e2' kind:KIND_ADJUST_DOWN account:hex(c3a9) "
       "recipient:hex($ADDRESS) amount {high:1}} want_audit_entries:true}"},
      {"apply_delta up",
       R"({"method":"apply_delta","params":{"orchestrator_id":"o","recipient":"0x$ADDRESS",)"
       R"("delta_wei":3,"event_id":"e2","sign_audit_entry":true}})",
       Method::kApplyDelta,
       "apply_events {events {id:'e2' kind:KIND_ADJUST_UP account:'o' recipient:hex($ADDRESS) "
       "amount {low:3}} want_audit_entries:true sign_audit_entries:true}"},
      {"apply_event credit",
       absl::StrCat(R"({"method":"apply_event","params":{"kind":"credit","orchestrator_id":"o",)",
                    R"("recipient":"0x$ADDRESS","amount_wei":"0x3","event_id":"e","signature":"0x)",
                    std::string(130, 'a'), R"("}})"),
       Method::kApplyEvent,
       "apply_events {want_ledger_root:true events {id:'e' kind:KIND_CREDIT account:'o' "
       "recipient:hex($ADDRESS) amount {low:3} signature:hex(" +
           std::string(130, 'a') + ")}}"},
      {"apply_event delta",
       R"({"method":"apply_event","params":{"kind":"delta","orchestrator_id":"o",)"
       R"("recipient":"0x$ADDRESS","delta_wei":-1,"event_id":"e"}})",
       Method::kApplyEvent,
       "apply_events {want_ledger_root:true events {id:'e' kind:KIND_ADJUST_DOWN account:'o' "
       "recipient:hex($ADDRESS) amount {low:1}}}"},
      {"balance", R"({"method":"balance","params":{"orchestrator_id":"o"}})", Method::kBalance,
       "get_account {id:'o'}"},
      {"livepeer_prepare_redeem_tx",
       absl::StrCat(R"({"method":"livepeer_prepare_redeem_tx","params":{"orchestrator_id":"o",)",
                    R"("ticket_broker":"0x$BROKER","aux_data":"0x)", std::string(60, '0'),
                    R"(0102$HASH","tx":{"chainId":42161,"nonce":7,"gas":350000,"gasPrice":9},)",
                    R"("max_face_value_wei":)", kMax, "}}"),
       Method::kPrepareRedeem,
       "prepare_redeem {account:'o' broker:hex($BROKER) chain_id:42161 max_amount "
       "{high:9223372036854775807 low:18446744073709551615} reading {account_nonce:7 round:258 "
       "round_block_hash:hex($HASH) deposit_unknown:true} fees {gas_limit:350000 max_fee_per_gas "
       "{low:9} max_priority_fee_per_gas {low:9}}}"},
      {"livepeer_prepare_redeem_tx with a deposit",
       absl::StrCat(R"({"method":"livepeer_prepare_redeem_tx","params":{"orchestrator_id":"o",)",
                    R"("ticket_broker":"0x$BROKER","aux_data":"0x)", std::string(64, '0'),
                    R"($HASH","tx":{"nonce":0,"gas":1,"maxFeePerGas":9,"maxPriorityFeePerGas":1},)",
                    R"("deposit_wei":0}})"),
       Method::kPrepareRedeem,
       "prepare_redeem {account:'o' broker:hex($BROKER) reading {round_block_hash:hex($HASH) "
       "deposit {}} fees {gas_limit:1 max_fee_per_gas {low:9} max_priority_fee_per_gas {low:1}}}"},
      {"livepeer_prepare_fund_deposit_tx",
       R"({"method":"livepeer_prepare_fund_deposit_tx","params":{"ticket_broker":"0x$BROKER",)"
       R"("amount_wei":10,"tx":{"chainId":42161,"nonce":7,"gas":90000,"gasPrice":"1"}}})",
       Method::kPrepareFundDeposit,
       "prepare_funding {strategy:STRATEGY_FUND_DEPOSIT amount {low:10} broker:hex($BROKER) "
       "chain_id:42161 reading {account_nonce:7 deposit_unknown:true} fees {gas_limit:90000 "
       "max_fee_per_gas {low:1} max_priority_fee_per_gas {low:1}} once:true}"},
      {"prepare_payouts",
       R"({"method":"prepare_payouts","params":{"payouts":[{"orchestrator_id":"a"},)"
       R"({"orchestrator_id":"b","amount_wei":5}],"chain":{"chainId":42161,"nonce":7,"round":3,)"
       R"("round_block_hash":"0x$HASH","deposit_wei":"100","gas":900000,"maxFeePerGas":2,)"
       R"("maxPriorityFeePerGas":1}}})",
       Method::kPreparePayouts,
       "prepare_payout {strategy:STRATEGY_LIVEPEER_TICKET items {account:'a'} items {account:'b' "
       "amount {low:5}} chain_id:42161 reading {account_nonce:7 round:3 "
       "round_block_hash:hex($HASH) "
       "deposit {low:100}} fees {gas_limit:900000 max_fee_per_gas {low:2} max_priority_fee_per_gas "
       "{low:1}}}"},
      {"prepare_payouts, a transfer",
       R"({"method":"prepare_payouts","params":{"payouts":[{"orchestrator_id":"a"}],)"
       R"("strategy":"eth_transfer","chain":{"nonce":7,"gas":21000,"gasPrice":2}}})",
       Method::kPreparePayouts,
       "prepare_payout {strategy:STRATEGY_ETH_TRANSFER items {account:'a'} reading "
       "{account_nonce:7 "
       "deposit_unknown:true} fees {gas_limit:21000 max_fee_per_gas {low:2} "
       "max_priority_fee_per_gas "
       "{low:2}}}"},
      {"confirm_payout with a status",
       R"({"method":"confirm_payout","params":{"tx_hash":"0x$HASH","status":1}})",
       Method::kConfirmPayout,
       "confirm_payout {tx_hash:hex($HASH) succeeded:true want_audit_entries:true}"},
      {"confirm_payout with logs",
       R"({"method":"confirm_payout","params":{"tx_hash":"0x$HASH","status":0,"logs":[]}})",
       Method::kConfirmPayout,
       "confirm_payout {tx_hash:hex($HASH) has_logs:true want_audit_entries:true}"},
      {"confirm_payout with a receipt",
       R"({"method":"confirm_payout","params":{"tx_hash":"0x$HASH","receipt":{"status":"0x1",)"
       R"("blockNumber":"0x10","blockHash":"0x$HASH","transactionHash":"0x$HASH","gasUsed":1,)"
       R"("logs":[{"address":"0x$BROKER","topics":["0x$HASH"],"data":"0xabcd","removed":false,)"
       R"("logIndex":"0x0"},{"address":"0x$ADDRESS","topics":[],"data":"0x"}]}}})",
       Method::kConfirmPayout,
       "confirm_payout {tx_hash:hex($HASH) succeeded:true has_logs:true block_number:16 "
       "block_hash:hex($HASH) logs {address:hex($BROKER) topics:hex($HASH) data:hex(abcd)} logs "
       "{address:hex($ADDRESS)} want_audit_entries:true}"},
      {"audit_status", R"({"method":"audit_status"})", Method::kAuditStatus, "status {}"},
      {"audit_checkpoint",
       R"({"method":"audit_checkpoint","params":{"chain_id":5,"contract_address":"0x$ADDRESS"}})",
       Method::kAuditCheckpoint, "get_checkpoint {chain_id:5 registry:hex($ADDRESS)}"},
      {"export_state", R"({"method":"export_state","params":{}})", Method::kExportState,
       "export_state {}"},
      {"load_state", R"({"method":"load_state","params":{"blob_b64":"AAEC"}})", Method::kLoadState,
       "import_state {blob:hex(000102)}"},
      {"policy", R"({"method":"policy"})", Method::kPolicy, "get_policy {}"},
      {"provision without a policy",
       R"({"method":"provision","params":{"region":"eu-central-1","ciphertext_b64":"AAEC",)"
       R"("aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T",)"
       R"("expected_address":"0x$ADDRESS","key_id":"","proxy_port":"8001"}})",
       Method::kProvision,
       "provision {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8001} ciphertext:hex(000102) expected_address:hex($ADDRESS)}"},
      {"provision with state keys",
       R"({"method":"provision","params":{"region":"eu-central-1","ciphertext_b64":"AAEC",)"
       R"("aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T",)"
       R"("state_key_id":"s","encryption_context":{"deployment":"eu-1"},)"
       R"("state_keys":[{"epoch":4,"ciphertext_b64":"AA==","key_id":"k","tag":"0x$HASH"},)"
       R"({"tag":"0x$HASH","ciphertext_b64":"AQ==","epoch":"5"}]}})",
       Method::kProvision,
       "provision {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8000} ciphertext:hex(000102) state_key_id:'s' "
       "encryption_context {key:'deployment' value:'eu-1'} state_keys {epoch:4 "
       "ciphertext:hex(00) key_id:'k' tag:hex($HASH)} state_keys {epoch:5 ciphertext:hex(01) "
       "tag:hex($HASH)}}"},
      {"rotate_state_key",
       R"({"method":"rotate_state_key","params":{"region":"eu-central-1","key_id":"k",)"
       R"("aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T"}})",
       Method::kRotateStateKey,
       "rotate_state_key {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8000} key_id:'k'}"},
      {"adopt_state_key", R"({"method":"adopt_state_key","params":{"epoch":7}})",
       Method::kAdoptStateKey, "adopt_state_key {epoch:7}"},
      {"provision with the next signing key",
       R"({"method":"provision","params":{"region":"eu-central-1","ciphertext_b64":"AAEC",)"
       R"("aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T",)"
       R"("signing_key_epoch":3,"next_signing_key":{"epoch":4,"address":"0x$ADDRESS",)"
       R"("ciphertext_b64":"AQ==","key_id":"k","encryption_context":{"a":"b"},"tag":"0x$HASH"},)"
       R"("state_keys":[{"epoch":4,"ciphertext_b64":"AA==","tag":"0x$HASH",)"
       R"("address":"0x$ADDRESS"}]}})",
       Method::kProvision,
       "provision {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8000} ciphertext:hex(000102) state_keys {epoch:4 "
       "ciphertext:hex(00) tag:hex($HASH) address:hex($ADDRESS)} next_signing_key {epoch:4 "
       "address:hex($ADDRESS) ciphertext:hex(01) key_id:'k' encryption_context {key:'a' value:'b'} "
       "tag:hex($HASH)} signing_key_epoch:3}"},
      {"rotate_signing_key",
       R"({"method":"rotate_signing_key","params":{"region":"eu-central-1",)"
       R"("aws_access_key_id":"A","aws_secret_access_key":"S","aws_session_token":"T"}})",
       Method::kRotateSigningKey,
       "rotate_signing_key {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8000}}"},
      {"adopt_signing_key", R"({"method":"adopt_signing_key","params":{"address":"0x$ADDRESS"}})",
       Method::kAdoptSigningKey, "adopt_signing_key {address:hex($ADDRESS)}"},
      {"retire_signing_key", R"({"method":"retire_signing_key","params":{"address":"0x$ADDRESS"}})",
       Method::kRetireSigningKey, "retire_signing_key {address:hex($ADDRESS)}"},
      {"generate with a policy",
       R"({"method":"generate","params":{"region":"eu-central-1","key_id":"k","aws_access_key_id":"A",)"
       R"("aws_secret_access_key":"S","aws_session_token":"T","key_spec":"AES-256","chain_id":42161,)"
       R"("ticket_broker":"0x$BROKER","allowed_recipients":"0x$BROKER, 0x$ADDRESS,0x$BROKER",)"
       R"("require_allowlist":"Yes","allow_fund_deposit":0,"max_face_value_wei":"10",)"
       R"("max_total_face_value_wei":20,"allow_eth_transfer":"no","credit_reporter":"0x$ADDRESS",)"
       R"("require_credit_signature":true,"admins":["0x$ADDRESS"],"velocity_window":60,)"
       R"("win_prob":"0x1"}})",
       Method::kGenerate,
       "generate {aws {region:'eu-central-1' access_key_id:'A' secret_access_key:'S' "
       "session_token:'T' proxy_port:8000} key_id:'k' key_spec:'AES_256' policy {format:1 "
       "chain_id:42161 broker:hex($BROKER) allow_tickets:true max_face_value {low:10} "
       "max_batch_total {low:20} max_tickets:100 max_gas_limit:18446744073709551615 "
       "max_fee_per_gas {high:9223372036854775807 low:18446744073709551615} "
       "max_priority_fee_per_gas {high:9223372036854775807 low:18446744073709551615} "
       "max_fund_deposit {} max_fund_reserve {} max_transfer {high:9223372036854775807 "
       "low:18446744073709551615} allowed_recipients:hex($ADDRESS) "
       "allowed_recipients:hex($BROKER) require_allowlist:true max_transaction_cost "
       "{high:9223372036854775807 low:18446744073709551615} win_prob:hex(" +
           std::string(62, '0') +
           "01) velocity_window:60 velocity_total {high:9223372036854775807 "
           "low:18446744073709551615} velocity_recipient {high:9223372036854775807 "
           "low:18446744073709551615} velocity_signatures:100000 admins:hex($ADDRESS) "
           "admin_threshold:1 credit_reporter:hex($ADDRESS) require_credit_signature:true}}"},
  };
}

TEST(Requests, EveryMethodBecomesItsFrame) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.name);
    ClientFrame frame;
    frame.mutable_load_begin();  // must not survive
    const absl::StatusOr<Call> call = ParseRequest(Filled(c.request), &frame);
    ASSERT_TRUE(call.ok()) << call.status() << "\n" << c.request;
    EXPECT_EQ(call->method, c.method);
    const ClientFrame expected = FromText<ClientFrame>(c.frame);
    google::protobuf::util::MessageDifferencer differencer;
    std::string report;
    differencer.ReportDifferencesToString(&report);
    EXPECT_TRUE(differencer.Compare(expected, frame)) << report;
  }
}

TEST(Requests, ACallRemembersWhatItsAnswerNeeds) {
  ClientFrame frame;
  absl::StatusOr<Call> call = ParseRequest(
      Filled(R"({"method":"credit","params":{"orchestrator_id":"o","recipient":"0x$ADDRESS",)"
             R"("amount_wei":1,"event_id":"e"}})"),
      &frame);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->account, "o");
  EXPECT_EQ(call->recipient, frame.apply_events().events(0).recipient());
  call = ParseRequest(
      Filled(R"({"method":"confirm_payout","params":{"tx_hash":"0x$HASH","status":1}})"), &frame);
  ASSERT_TRUE(call.ok()) << call.status();
  EXPECT_EQ(call->tx_hash, frame.confirm_payout().tx_hash());
}

}  // namespace
}  // namespace coffer::json_protocol
