// Transactions of type 0 (legacy, EIP-155), 1 (EIP-2930) and 2 (EIP-1559): build, hash, sign,
// parse.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_TRANSACTION_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_TRANSACTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum {

inline constexpr size_t kMaxTransactionBytes = 128 * 1024;  // what geth's transaction pool takes

struct AccessListEntry {
  Address address;
  std::vector<Hash> storage_keys;
  bool operator==(const AccessListEntry&) const = default;
};

struct Transaction {
  enum class Type : uint8_t { kLegacy = 0, kAccessList = 1, kDynamicFee = 2 };
  Type type = Type::kDynamicFee;
  uint64_t chain_id = 0;  // legacy: always replay-protected (EIP-155), so never 0
  uint64_t nonce = 0;
  uint64_t gas_limit = 0;
  U256 gas_price;                 // types 0 and 1: wei per gas
  U256 max_fee_per_gas;           // type 2: wei per gas
  U256 max_priority_fee_per_gas;  // type 2: wei per gas
  std::optional<Address> to;      // none = contract creation
  U256 value;                     // wei
  std::string data;
  std::vector<AccessListEntry> access_list;  // types 1 and 2
  bool operator==(const Transaction&) const = default;

  // What is signed: keccak-256 of the unsigned encoding of the type's EIP. Fields of other types
  // are left out. A legacy transaction with chain_id 0 would be valid on every chain and is a
  // broken invariant.
  Hash SigningHash() const;
};

struct SignedTransaction {
  Transaction transaction;
  Signature signature;
  // The bytes for eth_sendRawTransaction.
  std::string Encode() const;
  // keccak-256 of Encode(): the transaction hash.
  Hash TransactionHash() const;
  absl::StatusOr<Address> Sender() const;
};

SignedTransaction SignTransaction(Transaction transaction, const PrivateKey& key);

// Strict: canonical RLP, exact field counts, no trailing bytes, at most kMaxTransactionBytes; the
// inverse of Encode(). Legacy transactions without replay protection (v of 27 or 28) are refused.
// Whether the fees make sense is not asked.
absl::StatusOr<SignedTransaction> ParseSignedTransaction(std::string_view raw);

}  // namespace coffer::ethereum

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_TRANSACTION_H_
