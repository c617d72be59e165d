// RLP, Ethereum's encoding of nested byte strings (Yellow Paper, appendix B). Decoding is strict:
// every value has exactly one encoding, and any other is an error.
#ifndef COFFER_ENCLAVE_CORE_ETHEREUM_RLP_H_
#define COFFER_ENCLAVE_CORE_ETHEREUM_RLP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::ethereum::rlp {

// What a decoder accepts before it allocates. The defaults fit a transaction (128 KiB, and the most
// items that its access list can have in it).
struct Limits {
  size_t max_bytes = 128 * 1024;  // of the whole input
  size_t max_depth = 8;           // nested lists
  size_t max_items = 32 * 1024;   // strings and lists together
};

// One decoded value. `bytes` and `encoding` point into the input, which must outlive it.
struct Item {
  bool is_list = false;
  std::string_view bytes;     // a string's content; empty for a list
  std::string_view encoding;  // header included
  std::vector<Item> items;    // a list's values
};

// Exactly one item and nothing after it.
absl::StatusOr<Item> Decode(std::string_view raw, const Limits& limits = Limits());

// A string item read as an integer: big-endian, no leading zero byte, zero is the empty string.
absl::StatusOr<uint64_t> ToUint64(const Item& item);
absl::StatusOr<U256> ToU256(const Item& item);

// Appends the encoding of one string to `out`.
void AppendBytes(std::string_view bytes, std::string& out);
void AppendUint(uint64_t value, std::string& out);
void AppendUint(const U256& value, std::string& out);
// The list whose items' encodings, one after the other, are `payload`.
std::string EncodeList(std::string_view payload);
void AppendList(std::string_view payload, std::string& out);

}  // namespace coffer::ethereum::rlp

#endif  // COFFER_ENCLAVE_CORE_ETHEREUM_RLP_H_
