// CBOR (RFC 8949), as much of it as attestation needs: a strict reader of hostile bytes and a
// writer.
//
// The reader is pulled: its caller says which item must come next, so nothing is nested deeper than
// the caller's code, no tree is built and nothing is allocated (strings point into the input). It
// is our own because libcbor has no static library for the verifier, and builds trees; tests and a
// fuzzer compare it with libcbor (docs/dependencies.md).
//
// Accepted: integers, byte and text strings of definite length, arrays and maps of definite or
// indefinite length, tags, false, true, null. Refused: floating point, undefined, other simple
// values, strings in chunks, reserved bits. Lengths in more bytes than they need are well-formed
// CBOR, COSE does not forbid them, and emulated Nitro modules write them: accepted.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_CBOR_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_CBOR_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace coffer::attestation::cbor {

enum class Type : uint8_t { kUnsigned, kNegative, kBytes, kText, kArray, kMap, kTag, kBool, kNull };
absl::string_view TypeName(Type type);

// How deep Skip goes before it refuses.
inline constexpr int kMaxDepth = 8;

// The items of an array or the pairs of a map that is being read.
struct Count {
  std::optional<uint64_t> left;  // absent: of indefinite length
  uint64_t max = 0;
  uint64_t taken = 0;  // counted where the length is indefinite
};

// All errors are InvalidArgument and name the offset. After an error the reader is not to be used.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  // What comes next, without taking it.
  absl::StatusOr<Type> Peek() const;

  absl::StatusOr<uint64_t> Unsigned();
  // Unsigned or negative, when it fits.
  absl::StatusOr<int64_t> Integer();
  absl::StatusOr<std::string_view> Bytes(size_t max_bytes);
  // Well-formed UTF-8.
  absl::StatusOr<std::string_view> Text(size_t max_bytes);
  absl::StatusOr<bool> Bool();
  absl::StatusOr<uint64_t> Tag();
  // True when null was next, which is then taken.
  absl::StatusOr<bool> TakeNull();

  // Begin an array or a map of at most `max` items or pairs. Then ask More before each of them;
  // when it answers false, the array or map is over and its end was taken. Map keys are the
  // caller's to compare: a repetition must be refused.
  absl::StatusOr<Count> Array(uint64_t max);
  absl::StatusOr<Count> Map(uint64_t max);
  absl::StatusOr<bool> More(Count& count);

  // Takes one whole item, whatever it is. Keys within it are not compared.
  absl::Status Skip();

  // OK when nothing is left.
  absl::Status End() const;
  size_t offset() const { return at_; }

 private:
  struct Head {
    Type type = Type::kNull;
    uint64_t value = 0;       // length, number, tag; 0 or 1 of a bool
    bool indefinite = false;  // kArray, kMap
    size_t size = 1;          // of the head itself
  };
  absl::StatusOr<Head> Next() const;
  absl::StatusOr<Head> Take(Type type);
  absl::StatusOr<std::string_view> String(Type type, size_t max_bytes);
  absl::StatusOr<Count> Open(Type type, uint64_t max);
  absl::Status SkipNested(int depth);
  absl::Status Wrong(absl::string_view what) const;

  std::string_view bytes_;
  size_t at_ = 0;
};

// Appends items in their shortest form. What is opened must be filled by the caller.
class Writer {
 public:
  Writer& Unsigned(uint64_t value);
  Writer& Integer(int64_t value);
  Writer& Bytes(std::string_view bytes);
  Writer& Text(std::string_view text);
  Writer& Bool(bool value);
  Writer& Null();
  Writer& Tag(uint64_t tag);
  Writer& Array(uint64_t items);
  Writer& Map(uint64_t pairs);
  Writer& IndefiniteMap();
  Writer& Break();  // ends what is of indefinite length

  const std::string& bytes() const { return out_; }
  std::string Take() { return std::move(out_); }

 private:
  void Head(uint8_t major, uint64_t value);
  std::string out_;
};

}  // namespace coffer::attestation::cbor

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_CBOR_H_
