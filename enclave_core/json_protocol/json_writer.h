// Compact JSON, written straight into a string: members in the order in which they are written,
// integers exact whatever their size, bytes as 0x and lower-case hex.
#ifndef COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_WRITER_H_
#define COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_WRITER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/ledger/wei.h"
#include "proto/boundary.pb.h"

namespace coffer::json_protocol {

class JsonWriter {
 public:
  explicit JsonWriter(size_t expected_bytes) { out_.reserve(expected_bytes); }

  void BeginObject() { Open('{'); }
  void EndObject() { Close('}'); }
  void BeginArray() { Open('['); }
  void EndArray() { Close(']'); }
  void Key(std::string_view key);        // of letters, digits and underscores
  void StringKey(std::string_view key);  // of anything

  void Null() { Raw("null"); }
  void Bool(bool value) { Raw(value ? "true" : "false"); }
  void Uint(uint64_t value);
  void Number(std::string_view token) { Raw(token); }  // as a request had it
  void Wei(ledger::Wei value);
  // Escaped as RFC 8259 wants it; bytes that are no UTF-8 become U+FFFD.
  void String(std::string_view text);
  void Hex(std::string_view bytes);
  // "0x" and the digits of an address in EIP-55.
  void Checksummed(std::string_view address);
  void Base64(std::string_view bytes);
  // The big-endian bytes of an integer, at most 32.
  void Integer(std::string_view big_endian);

  void Member(std::string_view key, bool value) { Key(key), Bool(value); }
  void Member(std::string_view key, uint64_t value) { Key(key), Uint(value); }
  void Member(std::string_view key, uint32_t value) { Key(key), Uint(value); }
  void Member(std::string_view key, const boundary::v1::Wei& value) {
    Key(key), Wei(ledger::FromProto(value));
  }
  void TextMember(std::string_view key, std::string_view text) { Key(key), String(text); }
  void NullMember(std::string_view key) { Key(key), Null(); }
  // null when there are no bytes.
  void HexMember(std::string_view key, std::string_view bytes);
  // The null address when there are no bytes.
  void AddressMember(std::string_view key, std::string_view bytes);
  void IntegerMember(std::string_view key, std::string_view big_endian) {
    Key(key), Integer(big_endian);
  }

  std::string Take() { return std::move(out_); }

 private:
  void Separate();
  void Open(char bracket);
  void Close(char bracket);
  void Raw(std::string_view token);

  std::string out_;
  bool comma_ = false;
};

}  // namespace coffer::json_protocol

#endif  // COFFER_ENCLAVE_CORE_JSON_PROTOCOL_JSON_WRITER_H_
