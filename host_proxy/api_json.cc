#include "host_proxy/api_json.h"

#include <cmath>
#include <sstream>

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "actors/host/decimal_wei.h"
#include "enclave_core/ethereum/types.h"
#include "host_proxy/json_text.h"

namespace coffer::host_proxy {

using boundary::v1::ErrorCode;
using boundary::v1::PayoutItem;

Json::Value Number(uint64_t value) { return Json::Value(static_cast<Json::UInt64>(value)); }

Json::Value Hex(const std::string& bytes) {
  return bytes.empty() ? Json::Value() : Json::Value(ethereum::ToHex(bytes));
}

Json::Value AddressText(const std::string& bytes) {
  const absl::StatusOr<ethereum::Address> address = ethereum::Address::FromBytes(bytes);
  return address.ok() ? Json::Value(ethereum::ToChecksum(*address)) : Json::Value();
}

namespace {

boundary::v1::Wei WeiOf(absl::uint128 value) {
  boundary::v1::Wei wei;
  wei.set_high(absl::Uint128High64(value));
  wei.set_low(absl::Uint128Low64(value));
  return wei;
}

// "settled" for PAYOUT_STATE_SETTLED.
std::string Word(const std::string& name, const std::string& prefix) {
  return absl::AsciiStrToLower(absl::StripPrefix(name, prefix));
}

// An enclave that is older than profiles keeps balances.
std::string ProfileWord(boundary::v1::Profile profile) {
  return profile == boundary::v1::PROFILE_SIGNER ? "signer" : "authority";
}

Json::Value ToJson(const boundary::v1::Totals& totals) {
  Json::Value json;
  json["credited"] = WeiText(totals.credited());
  json["adjusted_up"] = WeiText(totals.adjusted_up());
  json["adjusted_down"] = WeiText(totals.adjusted_down());
  json["available"] = WeiText(totals.available());
  json["reserved"] = WeiText(totals.reserved());
  json["paid"] = WeiText(totals.paid());
  return json;
}

Json::Value ToJson(const boundary::v1::Policy& policy) {
  Json::Value json;
  json["chain_id"] = Number(policy.chain_id());
  json["broker"] = AddressText(policy.broker());
  json["allow_tickets"] = policy.allow_tickets();
  json["allow_eth_transfer"] = policy.allow_eth_transfer();
  json["max_face_value"] = WeiText(policy.max_face_value());
  json["max_batch_total"] = WeiText(policy.max_batch_total());
  json["max_tickets"] = policy.max_tickets();
  json["max_gas_limit"] = Number(policy.max_gas_limit());
  json["max_fee_per_gas"] = WeiText(policy.max_fee_per_gas());
  json["max_priority_fee_per_gas"] = WeiText(policy.max_priority_fee_per_gas());
  json["max_fund_deposit"] = WeiText(policy.max_fund_deposit());
  json["max_fund_reserve"] = WeiText(policy.max_fund_reserve());
  json["ticket_validity_rounds"] = Number(policy.ticket_validity_rounds());
  json["void_on_host_word"] = policy.void_on_host_word();
  return json;
}

Json::Value ToJson(const PayoutItem& item) {
  Json::Value json;
  json["account"] = item.account();
  json["recipient"] = AddressText(item.recipient());
  json["amount"] = WeiText(item.amount());
  json["state"] = Word(PayoutItem::State_Name(item.state()), "STATE_");
  json["paid"] = WeiText(item.paid());
  json["paid_by"] = Hex(item.paid_by());
  if (!item.ticket_hash().empty()) {
    json["ticket_hash"] = Hex(item.ticket_hash());
    json["sender_nonce"] = Number(item.sender_nonce());
    json["creation_round"] = Number(item.creation_round());
  }
  return json;
}

// Without the raw transaction: it is the driver's to broadcast, and a reader has the hash.
Json::Value ToJson(const boundary::v1::Attempt& attempt) {
  Json::Value json;
  json["nonce"] = Number(attempt.nonce());
  json["tx_hash"] = Hex(attempt.tx_hash());
  json["gas_limit"] = Number(attempt.fees().gas_limit());
  json["max_fee_per_gas"] = WeiText(attempt.fees().max_fee_per_gas());
  json["max_priority_fee_per_gas"] = WeiText(attempt.fees().max_priority_fee_per_gas());
  json["mined"] = attempt.mined();
  if (attempt.mined()) {
    json["succeeded"] = attempt.succeeded();
    json["block_number"] = Number(attempt.block_number());
    json["block_hash"] = Hex(attempt.block_hash());
  }
  return json;
}

}  // namespace

std::string WeiText(const boundary::v1::Wei& wei) {
  std::ostringstream out;
  out << absl::MakeUint128(wei.high(), wei.low());
  return out.str();
}

absl::StatusOr<boundary::v1::Wei> WeiFromText(std::string_view text) {
  constexpr absl::uint128 kLimit = absl::MakeUint128(uint64_t{1} << 63, 0);
  absl::uint128 value = 0;
  const bool digits = !text.empty() && text.size() <= 39 &&
                      text.find_first_not_of("0123456789") == std::string_view::npos;
  if (!digits) {
    return absl::InvalidArgumentError("an amount in wei is a string of at most 39 decimal digits");
  }
  for (const char c : text) {
    // 39 digits stay below 2^130, so one step beyond the limit is seen before it can wrap.
    if (value >= kLimit / 10 + 1) return absl::OutOfRangeError("an amount must be below 2^127 wei");
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  if (value >= kLimit) return absl::OutOfRangeError("an amount must be below 2^127 wei");
  if (value == 0) return absl::OutOfRangeError("an amount must not be 0");
  return WeiOf(value);
}

absl::StatusOr<boundary::v1::Wei> WeiFromEth(std::string_view text) {
  const absl::StatusOr<host::SignedWei> wei = host::ParseEthToWei(text);
  if (!wei.ok()) return wei.status();
  if (wei->negative) {
    return absl::OutOfRangeError(
        "an amount must be above 0; a correction downwards is the kind adjust_down");
  }
  if (wei->magnitude == 0) return absl::OutOfRangeError("an amount must not be 0");
  return WeiOf(wei->magnitude);
}

Json::Value ToJson(const boundary::v1::SigningKeyState& key) {
  Json::Value json;
  json["epoch"] = Number(key.epoch());
  json["address"] = AddressText(key.address());
  json["use"] = Word(boundary::v1::SigningKeyState::Use_Name(key.use()), "USE_");
  json["next_nonce"] = key.nonce_known() ? Number(key.next_nonce()) : Json::Value();
  json["open_payouts"] = Number(key.open_payouts());
  json["outstanding"] = WeiText(key.outstanding());
  return json;
}

Json::Value ToJson(const boundary::v1::Status& status) {
  Json::Value json;
  json["version"] = status.version();
  json["phase"] = Word(boundary::v1::Phase_Name(status.phase()), "PHASE_");
  json["address"] = AddressText(status.address());
  json["chain_id"] = Number(status.chain_id());
  json["broker"] = AddressText(status.broker());
  json["sealed_sequence"] = Number(status.sealed_sequence());
  json["stored_sequence"] = Number(status.stored_sequence());
  json["stored_hash"] = Hex(status.stored_hash());
  json["snapshot_sequence"] = Number(status.snapshot_sequence());
  json["accounts"] = Number(status.accounts());
  json["events"] = Number(status.events());
  json["payouts"] = Number(status.payouts());
  json["open_payouts"] = Number(status.open_payouts());
  json["next_nonce"] = status.nonce_known() ? Number(status.next_nonce()) : Json::Value();
  json["totals"] = ToJson(status.totals());
  json["policy"] = ToJson(status.policy());
  json["profile"] = ProfileWord(status.profile());
  json["policy_hash"] = Hex(status.policy_hash());
  json["policy_sequence"] = Number(status.policy_sequence());
  json["attestation_available"] = status.attestation_available();
  json["attestation_kind"] = AttestationKindWord(status.attestation_kind());
  json["state_key_epoch"] = Number(status.state_key_epoch());
  json["signing_keys"] = Json::Value(Json::arrayValue);
  for (const auto& key : status.signing_keys()) json["signing_keys"].append(ToJson(key));
  json["audit_address"] = AddressText(status.audit().audit_address());
  json["audit_seq"] = status.has_audit() ? Number(status.audit().size()) : Json::Value();
  json["audit_merkle_root"] = Hex(status.audit().root());
  json["without_storage"] = status.without_storage();
  json["refusals_by_rule"] = Json::Value(Json::objectValue);
  for (const auto& [rule, count] : status.refusals_by_rule()) {
    json["refusals_by_rule"][rule] = Number(count);
  }
  json["signatures"] = Number(status.signatures());
  json["storage_attached"] = status.storage_attached();
  json["errors"] = Json::Value(Json::objectValue);
  for (const auto& [code, count] : status.errors()) {
    json["errors"][ErrorWord(static_cast<ErrorCode>(code))] = Number(count);
  }
  return json;
}

Json::Value ToJson(const boundary::v1::Account& account) {
  Json::Value json;
  json["id"] = account.id();
  json["recipient"] = AddressText(account.recipient());
  json["available"] = WeiText(account.available());
  json["reserved"] = WeiText(account.reserved());
  json["credited"] = WeiText(account.credited());
  json["adjusted_up"] = WeiText(account.adjusted_up());
  json["adjusted_down"] = WeiText(account.adjusted_down());
  json["paid"] = WeiText(account.paid());
  json["index"] = Number(account.index());
  return json;
}

Json::Value ToJson(const boundary::v1::Payout& payout) {
  Json::Value json;
  json["id"] = Number(payout.id());
  json["strategy"] = Word(boundary::v1::Strategy_Name(payout.strategy()), "STRATEGY_");
  json["state"] = Word(boundary::v1::PayoutState_Name(payout.state()), "PAYOUT_STATE_");
  json["total"] = WeiText(payout.total());
  json["paid"] = WeiText(payout.paid());
  json["under_way"] = payout.under_way();
  json["sender"] = AddressText(payout.sender());
  json["items"] = Json::Value(Json::arrayValue);
  for (const auto& item : payout.items()) json["items"].append(ToJson(item));
  json["attempts"] = Json::Value(Json::arrayValue);
  for (const auto& attempt : payout.attempts()) json["attempts"].append(ToJson(attempt));
  return json;
}

HttpResponse JsonAnswer(const Json::Value& value, int status) {
  HttpResponse response;
  response.status = status;
  response.body = ToText(value);
  return response;
}

HttpResponse FromStatus(const absl::Status& status) {
  const std::string message(status.message());
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return HttpError(400, "malformed", message);
    case absl::StatusCode::kOutOfRange:
      return HttpError(422, "out_of_range", message);
    case absl::StatusCode::kNotFound:
      return HttpError(404, "not_found", message);
    case absl::StatusCode::kFailedPrecondition:
      return HttpError(409, "not_possible_now", message);
    case absl::StatusCode::kUnavailable:
    case absl::StatusCode::kResourceExhausted:
      return HttpError(503, "unavailable", message);
    default:
      return HttpError(500, "internal", message);
  }
}

HttpResponse RateLimited(absl::Duration wait, const std::string& instead) {
  const auto seconds = static_cast<int64_t>(std::ceil(absl::ToDoubleSeconds(wait)));
  HttpResponse refusal = HttpError(
      429, "rate_limited",
      absl::StrCat("your address asks too much of the public part: wait ", seconds, " s", instead));
  refusal.headers.emplace_back("Retry-After", absl::StrCat(seconds));
  return refusal;
}

std::string AttestationKindWord(boundary::v1::AttestationKind kind) {
  return AttestationKind_IsValid(kind) ? Word(AttestationKind_Name(kind), "ATTESTATION_KIND_")
                                       : absl::StrCat(static_cast<int>(kind));
}

std::string ErrorWord(ErrorCode code) {
  return ErrorCode_IsValid(code) ? Word(ErrorCode_Name(code), "ERROR_") : absl::StrCat(code);
}

HttpResponse FromEnclaveError(const boundary::v1::Error& error) {
  int status = 422;
  switch (error.code()) {
    case boundary::v1::ERROR_NOT_READY:
    case boundary::v1::ERROR_OVERLOADED:
    case boundary::v1::ERROR_UNAVAILABLE:
      status = 503;
      break;
    case boundary::v1::ERROR_UNKNOWN_ACCOUNT:
    case boundary::v1::ERROR_UNKNOWN_PAYOUT:
    case boundary::v1::ERROR_UNKNOWN_TRANSACTION:
      status = 404;
      break;
    case boundary::v1::ERROR_EVENT_CONFLICT:
    case boundary::v1::ERROR_RECIPIENT_MISMATCH:
    case boundary::v1::ERROR_WRONG_STATE:
    case boundary::v1::ERROR_WRONG_PROFILE:
    case boundary::v1::ERROR_ALREADY_PROVISIONED:
      status = 409;
      break;
    case boundary::v1::ERROR_MALFORMED:
      status = 400;
      break;
    case boundary::v1::ERROR_INTERNAL:
    case boundary::v1::ERROR_UNKNOWN_METHOD:
      status = 500;
      break;
    default:
      break;
  }
  return HttpError(status, ErrorWord(error.code()), error.message());
}

}  // namespace coffer::host_proxy
