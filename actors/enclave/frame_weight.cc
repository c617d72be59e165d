#include "actors/enclave/frame_weight.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/wire_format.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace coffer::enclave {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;

// Bytes on the heap or the arena, on 64 bits, with what growing arrays leave behind, rounded up.
// tests/unit/enclave_actors compares them with what the parser takes.
constexpr size_t kMessageWeight = 160;
constexpr size_t kStringWeight = 64;
constexpr size_t kNumberWeight = 16;
constexpr size_t kUnknownWeight = 64;
constexpr int kMaxDepth = 100;  // the parser's own

enum WireType : uint32_t { kVarint = 0, kFixed64 = 1, kDelimited = 2, kGroup = 3, kFixed32 = 5 };

// What the weight of a field depends on, by its number.
struct Table {
  struct Field {
    enum class Kind : uint8_t { kUnknown, kNumber, kString, kMessage };
    Kind kind = Kind::kUnknown;
    bool repeated = false;
    uint32_t wire = 0;  // of a number that is not packed
    const Table* message = nullptr;
  };
  std::vector<Field> fields;
};

class Tables {
 public:
  const Table* Of(const Descriptor* type) {
    std::unique_ptr<Table>& table = tables_[type];
    if (table != nullptr) return table.get();
    table = std::make_unique<Table>();
    Table* const made = table.get();  // the map's nodes stay where they are
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* const field = type->field(i);
      const auto number = static_cast<size_t>(field->number());
      if (made->fields.size() <= number) made->fields.resize(number + 1);
      Table::Field& entry = made->fields[number];
      entry.repeated = field->is_repeated();
      entry.wire = google::protobuf::internal::WireFormat::WireTypeForFieldType(field->type());
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_MESSAGE:
          entry.kind = Table::Field::Kind::kMessage;
          made->fields[number].message = Of(field->message_type());
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          entry.kind = Table::Field::Kind::kString;
          break;
        default:
          entry.kind = Table::Field::Kind::kNumber;
      }
    }
    return made;
  }

 private:
  std::map<const Descriptor*, std::unique_ptr<Table>> tables_;
};

class Scale {
 public:
  Scale(std::string_view payload, size_t limit)
      : end_(payload.data() + payload.size()), limit_(limit) {}

  size_t weight() const { return weight_; }

  // False where the parser stops, or where the limit is passed.
  bool Weigh(const Table& table, std::string_view bytes, int depth) {
    while (!bytes.empty()) {
      const std::optional<uint64_t> tag = Varint(bytes);
      if (!tag.has_value() || weight_ > limit_) return false;
      const auto number = static_cast<size_t>(static_cast<uint32_t>(*tag) >> 3);
      const Table::Field field =
          number < table.fields.size() ? table.fields[number] : Table::Field();
      if (number == 0 || !One(field, static_cast<uint32_t>(*tag & 7), bytes, depth)) return false;
    }
    return true;
  }

 private:
  using Kind = Table::Field::Kind;

  bool One(const Table::Field& field, uint32_t wire, std::string_view& bytes, int depth) {
    if (wire != kDelimited) {
      const bool known = field.kind == Kind::kNumber && field.wire == wire;
      weight_ += !known ? kUnknownWeight : field.repeated ? kNumberWeight : 0;
    }
    switch (wire) {
      case kVarint:
        return Varint(bytes).has_value();
      case kFixed64:
        return Skip(bytes, 8);
      case kFixed32:
        return Skip(bytes, 4);
      case kDelimited:
        return Delimited(field, bytes, depth);
      case kGroup:
        weight_ = std::numeric_limits<size_t>::max();
        return false;
      default:
        return false;
    }
  }

  bool Delimited(const Table::Field& field, std::string_view& bytes, int depth) {
    const std::optional<uint64_t> size = Varint(bytes);
    if (!size.has_value()) {
      // The parser may have made the object before it looks at the length.
      weight_ += kMessageWeight;
      return false;
    }
    if (*size <= bytes.size()) {
      const std::string_view inner = bytes.substr(0, *size);
      bytes.remove_prefix(*size);
      return Content(field, inner, depth);
    }
    // Longer than the message around it. The parser finds that out behind what it has read by then,
    // up to the end of the frame.
    const std::string_view rest(bytes.data(), static_cast<size_t>(end_ - bytes.data()));
    Content(field, rest.substr(0, *size), depth);
    return false;
  }

  bool Content(const Table::Field& field, std::string_view inner, int depth) {
    switch (field.kind) {
      case Kind::kString:
        weight_ += kStringWeight;
        return true;
      case Kind::kNumber:  // packed
        weight_ += field.repeated ? kNumberWeight * inner.size() : kUnknownWeight;
        return true;
      case Kind::kMessage:
        weight_ += kMessageWeight;
        return depth < kMaxDepth && Weigh(*field.message, inner, depth + 1);
      default:
        weight_ += kUnknownWeight;
        return true;
    }
  }

  static std::optional<uint64_t> Varint(std::string_view& bytes) {
    uint64_t value = 0;
    for (size_t i = 0; i < bytes.size() && i < 10; ++i) {
      const auto byte = static_cast<unsigned char>(bytes[i]);
      value |= static_cast<uint64_t>(byte & 0x7f) << (7 * i);
      if (byte < 0x80) {
        bytes.remove_prefix(i + 1);
        return value;
      }
    }
    return std::nullopt;
  }

  static bool Skip(std::string_view& bytes, size_t count) {
    if (bytes.size() < count) return false;
    bytes.remove_prefix(count);
    return true;
  }

  const char* const end_;  // of the frame
  const size_t limit_;
  size_t weight_ = 0;
};

}  // namespace

size_t FrameWeight(const Descriptor* type, std::string_view payload, size_t limit) {
  // Made once a type and thread: the gateway's thread is the one that asks.
  thread_local Tables tables;
  Scale scale(payload, limit);
  scale.Weigh(*tables.Of(type), payload, 0);
  return scale.weight();
}

}  // namespace coffer::enclave
