#include "enclave_core/ethereum/transaction.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/rlp.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

using Type = Transaction::Type;

constexpr size_t kSignatureFields = 3;  // v or parity, r, s
// What a transaction has besides its data and access list: 9 fields and a signature, 33 bytes each
// at the most. With room for them, data of tens of kilobytes is copied once.
constexpr size_t kRoomForTheRest = 12 * 33;

// Fields in front of the signature: EIP-155 (without its chain id), EIP-2930, EIP-1559.
size_t FieldCount(Type type) {
  switch (type) {
    case Type::kLegacy:
      return 6;
    case Type::kAccessList:
      return 8;
    case Type::kDynamicFee:
      return 9;
  }
  COFFER_CHECK(false, "a transaction has one of the three types");
}

std::string EncodeAccessList(const std::vector<AccessListEntry>& entries) {
  std::string list;
  for (const AccessListEntry& entry : entries) {
    std::string keys;
    for (const Hash& key : entry.storage_keys) rlp::AppendBytes(key.view(), keys);
    std::string pair;
    rlp::AppendBytes(entry.address.view(), pair);
    rlp::AppendList(keys, pair);
    rlp::AppendList(pair, list);
  }
  return rlp::EncodeList(list);
}

// The fields that the signed and the unsigned encoding share, in the order of the type's EIP.
std::string SharedFields(const Transaction& tx) {
  COFFER_CHECK(tx.type != Type::kLegacy || tx.chain_id != 0,
               "a legacy transaction is replay-protected (EIP-155)");
  std::string out;
  out.reserve(tx.data.size() + kRoomForTheRest);
  if (tx.type != Type::kLegacy) rlp::AppendUint(tx.chain_id, out);
  rlp::AppendUint(tx.nonce, out);
  if (tx.type == Type::kDynamicFee) {
    rlp::AppendUint(tx.max_priority_fee_per_gas, out);
    rlp::AppendUint(tx.max_fee_per_gas, out);
  } else {
    rlp::AppendUint(tx.gas_price, out);
  }
  rlp::AppendUint(tx.gas_limit, out);
  rlp::AppendBytes(tx.to.has_value() ? tx.to->view() : std::string_view(), out);
  rlp::AppendUint(tx.value, out);
  rlp::AppendBytes(tx.data, out);
  if (tx.type != Type::kLegacy) out.append(EncodeAccessList(tx.access_list));
  return out;
}

// The EIP-2718 envelope: the type's byte and the list; legacy transactions are the list alone.
std::string Envelope(Type type, std::string_view fields) {
  std::string out;
  if (type != Type::kLegacy) out.push_back(static_cast<char>(type));
  rlp::AppendList(fields, out);
  return out;
}

// Takes the fields of one transaction in their order and remembers the first error, so that the
// format reads as a list.
class FieldReader {
 public:
  explicit FieldReader(const std::vector<rlp::Item>& items) : items_(items) {}

  const absl::Status& status() const { return status_; }

  uint64_t Uint64(const char* name) { return Take(name, rlp::ToUint64(items_[next_++])); }
  U256 Uint256(const char* name) { return Take(name, rlp::ToU256(items_[next_++])); }

  std::string Bytes(const char* name) {
    const rlp::Item& item = items_[next_++];
    if (item.is_list) Fail(name, "is a list, expected bytes");
    return std::string(item.bytes);
  }

  std::optional<Address> To() {
    const rlp::Item& item = items_[next_++];
    if (!item.is_list && item.bytes.empty()) return std::nullopt;  // contract creation
    return FixedFrom<Address>("to", item);
  }

  std::vector<AccessListEntry> AccessList() {
    const rlp::Item& list = items_[next_++];
    std::vector<AccessListEntry> entries;
    if (!list.is_list) Fail("accessList", "is not a list");
    for (const rlp::Item& pair : list.items) {
      if (!pair.is_list || pair.items.size() != 2 || !pair.items[1].is_list) {
        Fail("accessList", "has an entry that is not [address, [keys]]");
        break;
      }
      AccessListEntry entry;
      entry.address = FixedFrom<Address>("accessList address", pair.items[0]);
      for (const rlp::Item& key : pair.items[1].items) {
        entry.storage_keys.push_back(FixedFrom<Hash>("accessList storage key", key));
      }
      entries.push_back(std::move(entry));
    }
    return entries;
  }

 private:
  void Fail(const char* name, absl::string_view what) {
    if (status_.ok()) {
      status_ = absl::InvalidArgumentError(absl::StrCat("transaction: ", name, " ", what));
    }
  }

  template <typename T>
  T Take(const char* name, absl::StatusOr<T> value) {
    if (value.ok()) return *std::move(value);
    Fail(name, absl::StrCat("is wrong: ", value.status().message()));
    return T();
  }

  template <typename T>
  T FixedFrom(const char* name, const rlp::Item& item) {
    if (!item.is_list) return Take<T>(name, T::FromBytes(item.bytes));
    Fail(name, "is a list, expected bytes");
    return T();
  }

  const std::vector<rlp::Item>& items_;
  size_t next_ = 0;
  absl::Status status_;
};

// EIP-155: v = chain id * 2 + 35 + parity. Writes the chain id, returns the parity.
absl::StatusOr<uint8_t> SplitLegacyV(const U256& v, uint64_t& chain_id) {
  if (v < 37) {
    return absl::InvalidArgumentError(
        "transaction: v names no chain (EIP-155); transactions that any chain accepts are refused");
  }
  const U256 rest = v - 35;
  const U256 id = rest >> 1;
  if (id > ~uint64_t{0}) {
    return absl::InvalidArgumentError("transaction: v names a chain id of more than 64 bits");
  }
  chain_id = static_cast<uint64_t>(id);
  return static_cast<uint8_t>((rest & 1) != 0 ? 1 : 0);
}

Hash HashFromU256(const U256& value) { return *Hash::FromBytes(ToBytes32(value)); }

absl::StatusOr<SignedTransaction> ReadFields(Type type, const std::vector<rlp::Item>& items) {
  SignedTransaction out;
  Transaction& tx = out.transaction;
  tx.type = type;
  FieldReader reader(items);
  if (type != Type::kLegacy) tx.chain_id = reader.Uint64("chainId");
  tx.nonce = reader.Uint64("nonce");
  if (type == Type::kDynamicFee) {
    tx.max_priority_fee_per_gas = reader.Uint256("maxPriorityFeePerGas");
    tx.max_fee_per_gas = reader.Uint256("maxFeePerGas");
  } else {
    tx.gas_price = reader.Uint256("gasPrice");
  }
  tx.gas_limit = reader.Uint64("gasLimit");
  tx.to = reader.To();
  tx.value = reader.Uint256("value");
  tx.data = reader.Bytes("data");
  if (type != Type::kLegacy) tx.access_list = reader.AccessList();
  const U256 v = reader.Uint256("v");
  const U256 r = reader.Uint256("r");
  const U256 s = reader.Uint256("s");
  if (!reader.status().ok()) return reader.status();

  uint8_t parity = 0;
  if (type == Type::kLegacy) {
    absl::StatusOr<uint8_t> split = SplitLegacyV(v, tx.chain_id);
    if (!split.ok()) return split.status();
    parity = *split;
  } else {
    if (v > 1) return absl::InvalidArgumentError("transaction: the parity is neither 0 nor 1");
    parity = static_cast<uint8_t>(v);
  }
  absl::StatusOr<Signature> signature =
      Signature::FromParts(HashFromU256(r), HashFromU256(s), parity);
  if (!signature.ok()) return signature.status();
  out.signature = *signature;
  return out;
}

}  // namespace

Hash Transaction::SigningHash() const {
  std::string fields = SharedFields(*this);
  if (type == Type::kLegacy) {  // EIP-155 signs (chain id, 0, 0) where the signature will stand
    rlp::AppendUint(chain_id, fields);
    rlp::AppendUint(uint64_t{0}, fields);
    rlp::AppendUint(uint64_t{0}, fields);
  }
  return Keccak256(Envelope(type, fields));
}

std::string SignedTransaction::Encode() const {
  std::string fields = SharedFields(transaction);
  U256 v = signature.parity;
  if (transaction.type == Type::kLegacy) v += U256(transaction.chain_id) * 2 + 35;
  rlp::AppendUint(v, fields);
  rlp::AppendUint(*U256FromBytes(signature.r.view()), fields);
  rlp::AppendUint(*U256FromBytes(signature.s.view()), fields);
  return Envelope(transaction.type, fields);
}

Hash SignedTransaction::TransactionHash() const { return Keccak256(Encode()); }

absl::StatusOr<Address> SignedTransaction::Sender() const {
  return RecoverAddress(transaction.SigningHash(), signature);
}

SignedTransaction SignTransaction(Transaction transaction, const PrivateKey& key) {
  const Signature signature = key.Sign(transaction.SigningHash());
  return SignedTransaction{std::move(transaction), signature};
}

absl::StatusOr<SignedTransaction> ParseSignedTransaction(std::string_view raw) {
  if (raw.empty()) return absl::InvalidArgumentError("transaction: no bytes");
  if (raw.size() > kMaxTransactionBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("transaction: ", raw.size(), " bytes, allowed are ", kMaxTransactionBytes));
  }
  Type type = Type::kLegacy;
  const auto first = static_cast<uint8_t>(raw[0]);
  if (first == 1 || first == 2) {
    type = static_cast<Type>(first);
    raw.remove_prefix(1);
  } else if (first < 0xc0) {
    return absl::InvalidArgumentError(
        absl::StrCat("transaction: type ", first, " is not known; known are legacy, 1 and 2"));
  }
  absl::StatusOr<rlp::Item> list = rlp::Decode(raw);
  if (!list.ok()) return list.status();
  const size_t expected = FieldCount(type) + kSignatureFields;
  if (!list->is_list || list->items.size() != expected) {
    return absl::InvalidArgumentError(absl::StrCat("transaction: expected a list of ", expected,
                                                   " fields, got ", list->items.size()));
  }
  return ReadFields(type, list->items);
}

}  // namespace coffer::ethereum
