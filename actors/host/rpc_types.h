// JSON-RPC results as typed values, and values as JSON-RPC parameters. Pure.
//
// A node's answer is a stranger's bytes: each is read once, strictly, with every length bounded,
// and then only the typed value travels on. An error says which field was wrong. Source of the
// forms: ethereum/execution-apis.
#ifndef COFFER_ACTORS_HOST_RPC_TYPES_H_
#define COFFER_ACTORS_HOST_RPC_TYPES_H_

#include <json/value.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "actors/host/chain_client.h"
#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::host {

// More in one answer is refused, not cut.
inline constexpr size_t kMaxRpcDataBytes = 1u << 20;  // of one 0x data string
inline constexpr size_t kMaxLogsInAnswer = 16384;
inline constexpr size_t kMaxErrorText = 512;  // of RpcError.message; longer ones are cut

// "0x" and hex digits without leading zeros ("0x0" for zero).
absl::StatusOr<uint64_t> ParseQuantity(const Json::Value& value);
absl::StatusOr<ethereum::U256> ParseQuantityU256(const Json::Value& value);
// "0x" and an even number of digits, at most `max_bytes` bytes; "0x" is empty.
absl::StatusOr<std::string> ParseData(const Json::Value& value,
                                      size_t max_bytes = kMaxRpcDataBytes);
absl::StatusOr<ethereum::Hash> ParseHash(const Json::Value& value);        // 0x + 64 digits
absl::StatusOr<ethereum::Address> ParseAddress(const Json::Value& value);  // 0x + 40, any case

// eth_getTransactionReceipt.
struct Receipt {
  ethereum::Hash tx_hash;
  bool succeeded = false;  // status 1; a receipt without a status (before Byzantium) is an error
  uint64_t block_number = 0;
  ethereum::Hash block_hash;
  std::vector<ethereum::Log> logs;
  uint64_t gas_used = 0;
  ethereum::U256 effective_gas_price;  // wei per gas
  ethereum::Address from;
};
// Nothing when the node answered null: it does not know the transaction as mined. A receipt whose
// logs name another transaction or another block, or are marked removed, is an error.
absl::StatusOr<std::optional<Receipt>> ParseReceipt(const Json::Value& value);

// eth_getBlockByNumber, eth_getBlockByHash; the transactions are not looked at.
struct Block {
  uint64_t number = 0;
  ethereum::Hash hash;
  ethereum::Hash parent_hash;
  std::optional<ethereum::U256> base_fee_per_gas;  // wei per gas; none before London
  uint64_t gas_limit = 0;
  uint64_t timestamp = 0;  // seconds since 1970, as the node says
};
// Nothing when the node answered null. A pending block (no number or hash) is an error.
absl::StatusOr<std::optional<Block>> ParseBlock(const Json::Value& value);

// eth_getLogs.
struct FoundLog {
  ethereum::Log log;
  uint64_t block_number = 0;
  ethereum::Hash block_hash;
  ethereum::Hash tx_hash;
};
// Logs of pending blocks and removed ones are errors: neither was asked for.
absl::StatusOr<std::vector<FoundLog>> ParseLogs(const Json::Value& value);

// Why a node refused, by code and by the wordings of geth, nitro, erigon, nethermind, besu, reth
// and anvil.
enum class RpcErrorKind {
  kAlreadyKnown,            // these very bytes are in its pool already: as good as accepted
  kNonceTooLow,             // the nonce is spent on chain
  kNonceTooHigh,            // a nonce before it is missing
  kReplacementUnderpriced,  // the bump was too small
  kInsufficientFunds,
  kIntrinsicGasTooLow,
  kFeeBelowBaseFee,
  kReverted,     // see RevertReasonOf
  kRateLimited,  // -32005 and 429
  kOther,
};
RpcErrorKind ClassifyRpcError(const RpcError& error);
// "nonce_too_low": for metrics' labels and logs.
std::string_view RpcErrorKindName(RpcErrorKind kind);
// What the contract said, from the error's data, or else from its message; never empty.
std::string RevertReasonOf(const RpcError& error);
// The error object of a JSON-RPC answer. Lenient: whatever a node puts there is still its refusal.
// Texts are cut to kMaxErrorText, data that is not hex is dropped.
RpcError ParseRpcError(const Json::Value& value);

// Parameters.
std::string QuantityHex(uint64_t value);
std::string QuantityHex(const ethereum::U256& value);
// A block by number, or by tag.
Json::Value BlockParam(uint64_t number);
enum class BlockTag { kLatest, kPending, kSafe, kFinalized };
Json::Value BlockParam(BlockTag tag);

struct CallRequest {
  std::optional<ethereum::Address> from;
  ethereum::Address to;
  std::string data;
  ethereum::U256 value = 0;  // wei
  std::optional<uint64_t> gas;
  std::optional<ethereum::U256> max_fee_per_gas;           // wei per gas
  std::optional<ethereum::U256> max_priority_fee_per_gas;  // wei per gas
};
// The call object. The calldata is sent as "data", which every node reads.
Json::Value CallObject(const CallRequest& call);
// [call, block]: of eth_call and eth_estimateGas.
Json::Value CallParams(const CallRequest& call, const Json::Value& block);
// [address, block]: of eth_getBalance and eth_getTransactionCount.
Json::Value AccountParams(const ethereum::Address& address, const Json::Value& block);
// [hash]: of eth_getTransactionReceipt and eth_getTransactionByHash.
Json::Value HashParams(const ethereum::Hash& hash);
// [block, false]: of eth_getBlockByNumber, with the hashes of its transactions only.
Json::Value BlockParams(const Json::Value& block);
// [0x raw]: of eth_sendRawTransaction.
Json::Value RawTransactionParams(std::string_view raw);

struct LogFilter {
  uint64_t from_block = 0;
  uint64_t to_block = 0;
  ethereum::Address address;
  std::vector<ethereum::Hash> topic0;  // any of these; empty = any at all
};
// [filter]: of eth_getLogs.
Json::Value LogFilterParams(const LogFilter& filter);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_RPC_TYPES_H_
