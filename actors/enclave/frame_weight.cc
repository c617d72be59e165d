#include "actors/enclave/frame_weight.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
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
constexpr size_t kMessageWeight = 160;  // at least
constexpr size_t kBesideMessage = 64;   // the pointer to it, and the set of its unknown fields
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
  // Fields whose length the parser believes beyond the end of the message: messages and packed
  // numbers.
  bool has_trusted_lengths = false;
  size_t weight = kMessageWeight;  // of an empty one

  // Unknown: the number in the tag is none of them.
  Field Of(uint64_t tag) const {
    const auto number = static_cast<size_t>(static_cast<uint32_t>(tag) >> 3);
    return number < fields.size() ? fields[number] : Field();
  }
};

class Tables {
 public:
  const Table* Of(const Descriptor* type) {
    std::unique_ptr<Table>& table = tables_[type];
    if (table != nullptr) return table.get();
    table = std::make_unique<Table>();
    Table* const made = table.get();  // the map's nodes stay where they are
    const auto* const empty =
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(type);
    made->weight = std::max(kMessageWeight, empty->SpaceUsedLong() + kBesideMessage);
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
          made->has_trusted_lengths = true;
          made->fields[number].message = Of(field->message_type());
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          entry.kind = Table::Field::Kind::kString;
          break;
        default:
          entry.kind = Table::Field::Kind::kNumber;
          if (entry.repeated) made->has_trusted_lengths = true;
      }
    }
    return made;
  }

 private:
  std::map<const Descriptor*, std::unique_ptr<Table>> tables_;
};

std::optional<uint64_t> Varint(std::string_view& bytes) {
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

bool Skip(std::string_view& bytes, uint64_t count) {
  if (bytes.size() < count) return false;
  bytes.remove_prefix(count);
  return true;
}

// Only messages in which the parser would trust a length are looked into.
bool Nests(const Table& table, std::string_view bytes, int depth) {
  while (!bytes.empty()) {
    const std::optional<uint64_t> tag = Varint(bytes);
    if (!tag.has_value() || *tag >> 3 == 0) return false;
    std::optional<uint64_t> size = 0;  // of what is behind the tag
    switch (*tag & 7) {
      case kVarint:
        if (!Varint(bytes).has_value()) return false;
        break;
      case kFixed64:
        size = 8;
        break;
      case kFixed32:
        size = 4;
        break;
      case kDelimited:
        size = Varint(bytes);
        break;
      default:
        return false;
    }
    if (!size.has_value() || *size > bytes.size()) return false;
    const Table* const inner = (*tag & 7) == kDelimited ? table.Of(*tag).message : nullptr;
    if (inner != nullptr && inner->has_trusted_lengths &&
        (depth == kMaxDepth || !Nests(*inner, bytes.substr(0, *size), depth + 1))) {
      return false;
    }
    bytes.remove_prefix(*size);
  }
  return true;
}

class Scale {
 public:
  explicit Scale(size_t limit) : limit_(limit) {}

  size_t weight() const { return weight_; }

  // False where the parser stops, or where the limit is passed.
  bool Weigh(const Table& table, std::string_view bytes, int depth) {
    while (!bytes.empty()) {
      const std::optional<uint64_t> tag = Varint(bytes);
      if (!tag.has_value() || weight_ > limit_) return false;
      const bool number = static_cast<uint32_t>(*tag) >> 3 != 0;
      if (!number || !One(table.Of(*tag), static_cast<uint32_t>(*tag & 7), bytes, depth)) {
        return false;
      }
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
      weight_ += field.message == nullptr ? kMessageWeight : field.message->weight;
      return false;
    }
    if (*size > bytes.size()) {
      weight_ += kStringWeight;
      return false;
    }
    const std::string_view inner = bytes.substr(0, *size);
    bytes.remove_prefix(*size);
    return Content(field, inner, depth);
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
        weight_ += field.message->weight;
        return depth < kMaxDepth && Weigh(*field.message, inner, depth + 1);
      default:
        weight_ += kUnknownWeight;
        return true;
    }
  }

  const size_t limit_;
  size_t weight_ = 0;
};

const Table& TableOf(const Descriptor* type) {
  // Made once a type and thread: the gateway's thread is the one that asks.
  thread_local Tables tables;
  return *tables.Of(type);
}

}  // namespace

bool WellNested(const Descriptor* type, std::string_view payload) {
  return Nests(TableOf(type), payload, 0);
}

size_t FrameWeight(const Descriptor* type, std::string_view payload, size_t limit) {
  Scale scale(limit);
  scale.Weigh(TableOf(type), payload, 0);
  return scale.weight();
}

}  // namespace coffer::enclave
