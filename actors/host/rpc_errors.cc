#include <algorithm>
#include <initializer_list>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/rpc_types.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"

namespace coffer::host {
namespace {

struct Wording {
  RpcErrorKind kind;
  std::string_view text;  // lower case
};

// In this order: where two match, the first one says more. The wordings are those of the nodes'
// own sources.
constexpr Wording kWordings[] = {
    {RpcErrorKind::kRateLimited, "rate limit"},
    {RpcErrorKind::kRateLimited, "too many requests"},
    {RpcErrorKind::kRateLimited, "request limit"},
    {RpcErrorKind::kAlreadyKnown, "already known"},      // geth, nitro, erigon, besu
    {RpcErrorKind::kAlreadyKnown, "alreadyknown"},       // nethermind
    {RpcErrorKind::kAlreadyKnown, "already imported"},   // anvil, parity
    {RpcErrorKind::kAlreadyKnown, "already_exists"},     // some gateways
    {RpcErrorKind::kAlreadyKnown, "known transaction"},  // hardhat, old geth
    {RpcErrorKind::kNonceTooLow, "nonce too low"},
    {RpcErrorKind::kNonceTooLow, "nonce is too low"},
    {RpcErrorKind::kNonceTooLow, "nonce_too_low"},
    {RpcErrorKind::kNonceTooLow, "oldnonce"},  // nethermind
    {RpcErrorKind::kNonceTooHigh, "nonce too high"},
    {RpcErrorKind::kNonceTooHigh, "nonce is too high"},
    {RpcErrorKind::kNonceTooHigh, "nonce too distant"},
    {RpcErrorKind::kNonceTooHigh, "nonce is too distant"},
    {RpcErrorKind::kNonceTooHigh, "nonce_too_far"},  // besu
    {RpcErrorKind::kNonceTooHigh, "nonce gap"},
    {RpcErrorKind::kNonceTooHigh, "noncegap"},  // nethermind
    {RpcErrorKind::kReplacementUnderpriced, "replacement transaction underpriced"},
    {RpcErrorKind::kReplacementUnderpriced, "replacement_underpriced"},  // besu
    {RpcErrorKind::kReplacementUnderpriced, "replacement not allowed"},
    {RpcErrorKind::kReplacementUnderpriced, "replacementnotallowed"},                // nethermind
    {RpcErrorKind::kReplacementUnderpriced, "could not replace existing"},           // erigon
    {RpcErrorKind::kReplacementUnderpriced, "another transaction with same nonce"},  // parity
    {RpcErrorKind::kInsufficientFunds, "insufficient funds"},
    {RpcErrorKind::kInsufficientFunds, "insufficientfunds"},     // nethermind
    {RpcErrorKind::kInsufficientFunds, "upfront cost exceeds"},  // besu
    {RpcErrorKind::kInsufficientFunds, "upfront_cost_exceeds"},
    {RpcErrorKind::kInsufficientFunds, "doesn't have enough funds"},  // hardhat
    {RpcErrorKind::kIntrinsicGasTooLow, "intrinsic gas"},
    {RpcErrorKind::kIntrinsicGasTooLow, "intrinsic_gas_exceeds"},  // besu
    {RpcErrorKind::kFeeBelowBaseFee, "less than block base fee"},  // geth, nitro, erigon, anvil
    {RpcErrorKind::kFeeBelowBaseFee, "less than the current basefee"},  // besu
    {RpcErrorKind::kFeeBelowBaseFee, "is too low for the next block"},  // hardhat
    {RpcErrorKind::kFeeBelowBaseFee, "feetoolow"},                      // nethermind
    // The pool's own floor, not the base fee; what helps is the same: more.
    {RpcErrorKind::kFeeBelowBaseFee, "transaction underpriced"},
};

// Whether `needle` is in `text` and is not the end of another word ("unknown transaction").
bool HasWord(std::string_view text, std::string_view needle) {
  for (size_t at = text.find(needle); at != std::string_view::npos;
       at = text.find(needle, at + 1)) {
    if (at == 0 || !absl::ascii_isalpha(static_cast<unsigned char>(text[at - 1]))) return true;
  }
  return false;
}

bool HasAny(std::string_view text, std::initializer_list<std::string_view> needles) {
  return std::any_of(needles.begin(), needles.end(),
                     [text](std::string_view needle) { return HasWord(text, needle); });
}

bool IsRevert(const RpcError& error, std::string_view lower) {
  return error.code == 3 || HasAny(lower, {"execution reverted", "vm execution error",
                                           "reverted with", "transaction reverted"});
}

// Text as a node wrote it, cut.
std::string Cut(const Json::Value& value) {
  return value.isString() ? value.asString().substr(0, kMaxErrorText) : std::string();
}

int64_t CodeOf(const Json::Value& value) {
  int64_t code = 0;
  if (value.isInt64()) return value.asInt64();
  if (value.isString() && absl::SimpleAtoi(value.asString(), &code)) return code;
  return 0;
}

// "0x..." as it is, "Reverted 0x..." (parity, nethermind), {"data": "0x..."} (hardhat).
std::string DataOf(const Json::Value& value) {
  if (value.isObject()) return value["data"].isString() ? DataOf(value["data"]) : std::string();
  if (!value.isString()) return "";
  std::string text = value.asString();
  constexpr std::string_view kReverted = "Reverted ";
  if (text.compare(0, kReverted.size(), kReverted) == 0) text.erase(0, kReverted.size());
  return ParseData(Json::Value(text)).ok() ? text : std::string();
}

}  // namespace

RpcErrorKind ClassifyRpcError(const RpcError& error) {
  const std::string lower = absl::AsciiStrToLower(error.message);
  // First, because what follows "reverted:" is the contract's text and may read like anything.
  if (IsRevert(error, lower)) return RpcErrorKind::kReverted;
  for (const Wording& wording : kWordings) {
    if (HasWord(lower, wording.text)) return wording.kind;
  }
  // Some gateways use the same code for a range of logs that is too wide, where waiting won't help.
  if (error.code == -32005 && HasAny(lower, {"query returned more than", "block range"})) {
    return RpcErrorKind::kOther;
  }
  if (error.code == -32005 || error.code == 429) return RpcErrorKind::kRateLimited;
  return RpcErrorKind::kOther;
}

std::string_view RpcErrorKindName(RpcErrorKind kind) {
  switch (kind) {
    case RpcErrorKind::kAlreadyKnown:
      return "already_known";
    case RpcErrorKind::kNonceTooLow:
      return "nonce_too_low";
    case RpcErrorKind::kNonceTooHigh:
      return "nonce_too_high";
    case RpcErrorKind::kReplacementUnderpriced:
      return "replacement_underpriced";
    case RpcErrorKind::kInsufficientFunds:
      return "insufficient_funds";
    case RpcErrorKind::kIntrinsicGasTooLow:
      return "intrinsic_gas_too_low";
    case RpcErrorKind::kFeeBelowBaseFee:
      return "fee_below_base_fee";
    case RpcErrorKind::kReverted:
      return "reverted";
    case RpcErrorKind::kRateLimited:
      return "rate_limited";
    case RpcErrorKind::kOther:
      break;
  }
  return "other";
}

std::string RevertReasonOf(const RpcError& error) {
  const absl::StatusOr<std::string> data = ParseData(Json::Value(error.data));
  if (data.ok() && !data->empty()) {
    std::string said = ethereum::DecodeRevertReason(*data);
    if (!said.empty()) return said;  // revert("") says nothing
  }
  return error.message.empty() ? "no reason given" : error.message;
}

RpcError ParseRpcError(const Json::Value& value) {
  RpcError error;
  if (!value.isObject()) {
    error.message = value.isString() ? Cut(value) : "an error that is no object";
    return error;
  }
  error.code = CodeOf(value["code"]);
  error.message = Cut(value["message"]);
  error.data = DataOf(value["data"]);
  return error;
}

}  // namespace coffer::host
