#include "enclave_core/ethereum/ticket_broker_reads.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"

namespace coffer::ethereum {
namespace {

std::string Call(std::string_view signature) { return abi::Selector(signature); }

std::string CallWithHash(std::string_view signature, const Hash& argument) {
  std::string out = abi::Selector(signature);
  abi::AppendHash(argument, out);
  return out;
}

std::string CallWithAddress(std::string_view signature, const Address& argument) {
  std::string out = abi::Selector(signature);
  abi::AppendAddress(argument, out);
  return out;
}

absl::Status CheckAnswer(std::string_view answer, size_t words) {
  if (answer.empty()) {
    return absl::FailedPreconditionError(
        "the call answered nothing: there is no such contract at this address; check the address "
        "and the chain");
  }
  if (answer.size() != words * abi::kWord) {
    return absl::InvalidArgumentError(
        absl::StrCat("the call answered ", answer.size(), " bytes, expected ", words * abi::kWord));
  }
  return absl::OkStatus();
}

template <typename Reader>
auto DecodeWord(std::string_view answer, Reader reader) -> decltype(reader(answer)) {
  if (absl::Status status = CheckAnswer(answer, 1); !status.ok()) return status;
  return reader(answer);
}

// Solidity's documentation, "Panic via assert and Error via require".
const char* PanicMeaning(uint64_t code) {
  switch (code) {
    case 0x01:
      return "assertion failed";
    case 0x11:
      return "arithmetic overflow";
    case 0x12:
      return "division by zero";
    case 0x21:
      return "value out of an enum's range";
    case 0x22:
      return "broken storage byte array";
    case 0x31:
      return "pop of an empty array";
    case 0x32:
      return "array index out of bounds";
    case 0x41:
      return "out of memory";
    case 0x51:
      return "call of an unset function";
    default:
      return "unknown code";
  }
}

std::string PanicText(std::string_view word) {
  absl::StatusOr<uint64_t> code = abi::ReadUint64(word);
  if (!code.ok()) return "Panic with a code out of range";
  return absl::StrCat("Panic 0x", absl::Hex(*code, absl::kZeroPad2), " (", PanicMeaning(*code),
                      ")");
}

// Quotes stay as they are (the contracts' sentences have some); what could break a line of a log
// does not.
std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '\\') {
      out.push_back(c);
    } else {
      absl::StrAppend(&out, "\\x", absl::Hex(byte, absl::kZeroPad2));
    }
  }
  return out;
}

// The argument of Error(string): offset, length, text. False when it is not encoded like that.
bool ErrorText(std::string_view arguments, std::string& text) {
  if (arguments.size() < 2 * abi::kWord) return false;
  absl::StatusOr<uint64_t> offset = abi::ReadUint64(arguments.substr(0, abi::kWord));
  absl::StatusOr<uint64_t> length = abi::ReadUint64(arguments.substr(abi::kWord, abi::kWord));
  if (!offset.ok() || *offset != abi::kWord || !length.ok()) return false;
  arguments.remove_prefix(2 * abi::kWord);
  if (*length > arguments.size()) return false;
  const auto shown = std::min<size_t>(static_cast<size_t>(*length), kMaxRevertReason);
  text = Printable(arguments.substr(0, shown));
  if (shown < *length) text += "...";
  return true;
}

}  // namespace

std::string EncodeGetSenderInfo(const Address& sender) {
  return CallWithAddress("getSenderInfo(address)", sender);
}

std::string EncodeUsedTickets(const Hash& ticket_hash) {
  return CallWithHash("usedTickets(bytes32)", ticket_hash);
}

std::string EncodeTicketValidityPeriod() { return Call("ticketValidityPeriod()"); }

std::string EncodeController() { return Call("controller()"); }

std::string EncodeIsUnlockInProgress(const Address& sender) {
  return CallWithAddress("isUnlockInProgress(address)", sender);
}

std::string EncodeClaimableReserve(const Address& reserve_holder, const Address& claimant) {
  std::string out = CallWithAddress("claimableReserve(address,address)", reserve_holder);
  abi::AppendAddress(claimant, out);
  return out;
}

std::string EncodeGetContract(std::string_view name) {
  return CallWithHash("getContract(bytes32)", Keccak256(name));
}

std::string EncodePaused() { return Call("paused()"); }

std::string EncodeCurrentRound() { return Call("currentRound()"); }

std::string EncodeCurrentRoundInitialized() { return Call("currentRoundInitialized()"); }

std::string EncodeBlockHashForRound(uint64_t round) {
  std::string out = abi::Selector("blockHashForRound(uint256)");
  abi::AppendUint(round, out);
  return out;
}

absl::StatusOr<SenderInfo> DecodeSenderInfo(std::string_view answer) {
  if (absl::Status status = CheckAnswer(answer, 4); !status.ok()) return status;
  const auto word = [answer](size_t i) { return answer.substr(i * abi::kWord, abi::kWord); };
  absl::StatusOr<U256> deposit = abi::ReadUint(word(0));
  absl::StatusOr<uint64_t> withdraw_round = abi::ReadUint64(word(1));
  absl::StatusOr<U256> remaining = abi::ReadUint(word(2));
  absl::StatusOr<U256> claimed = abi::ReadUint(word(3));
  if (!deposit.ok()) return deposit.status();
  if (!withdraw_round.ok()) return withdraw_round.status();
  if (!remaining.ok()) return remaining.status();
  if (!claimed.ok()) return claimed.status();
  return SenderInfo{*deposit, *withdraw_round, *remaining, *claimed};
}

absl::StatusOr<U256> DecodeUint(std::string_view answer) {
  return DecodeWord(answer, abi::ReadUint);
}

absl::StatusOr<bool> DecodeBool(std::string_view answer) {
  return DecodeWord(answer, abi::ReadBool);
}

absl::StatusOr<Address> DecodeAddress(std::string_view answer) {
  return DecodeWord(answer, abi::ReadAddress);
}

absl::StatusOr<Hash> DecodeBytes32(std::string_view answer) {
  return DecodeWord(answer, abi::ReadHash);
}

std::string DecodeRevertReason(std::string_view data) {
  if (data.empty()) return "reverted without a reason";
  constexpr size_t kSelector = 4;
  const std::string_view selector = data.substr(0, kSelector);
  const std::string_view arguments = data.substr(std::min(kSelector, data.size()));
  if (selector == abi::Selector("Panic(uint256)") && arguments.size() == abi::kWord) {
    return PanicText(arguments);
  }
  std::string text;
  if (selector == abi::Selector("Error(string)") && ErrorText(arguments, text)) return text;
  constexpr size_t kShown = 36;  // a selector and one word
  return absl::StrCat("reverted with ", data.size(), " bytes: ", ToHex(data.substr(0, kShown)),
                      data.size() > kShown ? "..." : "");
}

}  // namespace coffer::ethereum
