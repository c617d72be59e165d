// JSON text as a tree of values, read strictly: the whole text is looked at, numbers keep their
// digits, and every count is bounded before memory is taken.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_VALUE_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::json_protocol {

inline constexpr uint32_t kMaxMembers = 1000;    // of one object
inline constexpr uint32_t kMaxValues = 1 << 17;  // of one text: 7 MiB of them

struct Value {
  enum class Kind : uint8_t {
    kNull,
    kBool,
    kInteger,      // text: its digits as written, with a minus where there is one
    kOtherNumber,  // a fraction or an exponent: valid JSON, and never an amount
    kString,       // text: its content, valid UTF-8
    kArray,
    kObject,
  };
  Kind kind = Kind::kNull;
  bool boolean = false;
  uint32_t size = 0;             // elements or members
  std::string_view key;          // within an object
  std::string_view text;         // kInteger, kString
  const Value* first = nullptr;  // of an array's elements or an object's members,
  const Value* next = nullptr;   // in their order
};

// Keeps its memory from one text to the next, so one a thread is enough. Not thread-safe.
class Document {
 public:
  Document();
  ~Document();
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  // The text's one value, which must be an object. It lives until Clear or the next Parse.
  // InvalidArgument says what is wrong: invalid UTF-8, no JSON, text after the object, a key that
  // is there twice, nesting beyond kMaxDepth, too many members or values.
  absl::StatusOr<const Value*> Parse(std::string_view text);

  // Wipes the text and what was read of it (requests carry credentials, I8) and gives back what a
  // large one took.
  void Clear();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_VALUE_H_
