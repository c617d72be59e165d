// The members of one JSON object, read as what they must be. The first thing that is wrong is kept
// and everything after it reads as its default, so that a request is read in one go and judged at
// the end.
//
// A member that is null is absent. White space around a string's content is ignored.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_FIELDS_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "enclave_core/ethereum/types.h"
#include "enclave_core/json_protocol/json_value.h"
#include "enclave_core/ledger/wei.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

enum class Need { kOptional, kRequired };
inline constexpr Need kOptional = Need::kOptional;
inline constexpr Need kRequired = Need::kRequired;

// An integer of any sign whose magnitude is below 2^256.
struct SignedInteger {
  bool negative = false;
  ethereum::U256 magnitude;
};

// What was wrong with a request.
class Problems {
 public:
  void Missing(std::string path) { missing_.push_back(std::move(path)); }
  // Kept unless something else was wrong before.
  void Add(boundary::v1::ErrorCode code, const std::string& sentence);
  bool ok() const { return missing_.empty() && first_.ok(); }
  // ERROR_MALFORMED "missing params: a,b" when something is missing, else the first problem.
  absl::Status status() const;

 private:
  std::vector<std::string> missing_;
  absl::Status first_;
};

// Where a value stands in its request, for a sentence about it. Points to its parent.
struct Path {
  const Path* parent = nullptr;
  std::string_view name;  // empty: the params themselves
  int index = -1;         // of an array's element
  std::string ToString() const;
};

class Fields {
 public:
  // `object` of another kind is a problem, and reads as empty. `object`, `path`'s parents and
  // `problems` must outlive this.
  Fields(const Value& object, Path path, Problems* problems);

  const Path& path() const { return path_; }
  bool ok() const { return problems_->ok(); }

  // Null when it is absent.
  const Value* Find(std::string_view name) const;
  bool Has(std::string_view name) const { return Find(name) != nullptr; }
  // Any other member is refused.
  void OnlyThese(std::initializer_list<std::string_view> names) const;
  // The one of two names that is there, `name` when none is; both are a problem.
  std::string_view Either(std::string_view name, std::string_view other) const;

  // A string; an empty one is absent. At most `max_bytes`.
  std::string_view Text(std::string_view name, Need need, size_t max_bytes = 1024) const;
  // Integers: JSON's, or strings of decimal digits or of 0x and hex digits.
  ethereum::U256 Integer(std::string_view name, Need need) const;
  SignedInteger Delta(std::string_view name) const;
  uint64_t Uint64(std::string_view name, Need need, uint64_t max = UINT64_MAX) const;
  uint32_t Uint32(std::string_view name, Need need) const {
    return static_cast<uint32_t>(Uint64(name, need, UINT32_MAX));
  }
  // Below 2^127, else ERROR_OUT_OF_RANGE.
  ledger::Wei Amount(std::string_view name, Need need) const;
  // A limit: what is 2^127 or more is no limit.
  ledger::Wei Limit(std::string_view name, ledger::Wei absent) const;
  // true, false, 0, 1, or "true", "false", "yes", "no", "y", "n", "1", "0" in any case.
  std::optional<bool> Flag(std::string_view name, Need need = kOptional) const;
  bool Flag(std::string_view name, bool absent) const { return Flag(name).value_or(absent); }

  // 0x and an even number of digits of any case. An empty string is absent.
  std::string Hex(std::string_view name, Need need, size_t max_bytes) const;
  // The same, exactly so many bytes; empty when it is absent.
  std::string HexExactly(std::string_view name, Need need, size_t bytes) const;
  // 20 bytes; empty when it is absent. An empty string is absent.
  std::string Address(std::string_view name, Need need) const;
  // Canonical base64 (RFC 4648, padded).
  std::string Base64(std::string_view name, Need need, size_t max_bytes) const;

  // Null when absent or not an array (which is a problem), or of more than `max` elements.
  const Value* Array(std::string_view name, Need need, uint32_t max) const;
  const Value* Object(std::string_view name, Need need) const;
  // A member's own fields. `value` is what Object gave.
  Fields Inside(std::string_view name, const Value& value) const {
    return Fields(value, {&path_, name, -1}, problems_);
  }
  Problems* problems() const { return problems_; }

  // One value, wherever it stands.
  std::string HexOf(const Value& value, const Path& at, size_t max_bytes) const;
  std::string HexExactlyOf(const Value& value, const Path& at, size_t bytes) const;
  std::string AddressOf(const Value& value, const Path& at) const;

  // A problem with the member `name`: "`path.name` <what>".
  void Bad(std::string_view name, std::string_view what,
           boundary::v1::ErrorCode code = boundary::v1::ERROR_MALFORMED) const;
  void BadAt(const Path& at, std::string_view what,
             boundary::v1::ErrorCode code = boundary::v1::ERROR_MALFORMED) const;

 private:
  const Value* Needed(std::string_view name, Need need) const;
  std::optional<SignedInteger> IntegerOf(const Value& value, const Path& at) const;

  const Value* object_;
  Path path_;
  Problems* problems_;
};

// Big-endian bytes without leading zeros: how the boundary's messages hold 256-bit integers.
std::string MinimalBytes(const ethereum::U256& value);

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_FIELDS_H_
