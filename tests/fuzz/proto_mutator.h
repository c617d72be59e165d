// Mutations of protobuf bytes by their fields: libFuzzer's own ones break a length somewhere and
// seldom get past the parser. Half of the time they are left to libFuzzer all the same.
#ifndef COFFER_TESTS_FUZZ_PROTO_MUTATOR_H_
#define COFFER_TESTS_FUZZ_PROTO_MUTATOR_H_

#include <google/protobuf/message.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

// Of libFuzzer; there in the fuzz preset alone.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace coffer::fuzz {

class ProtoMutator {
 public:
  explicit ProtoMutator(unsigned seed) : random_(seed) {}

  // One change somewhere in the tree of `message`.
  void Mutate(google::protobuf::Message* message) { Change(message, 0); }

 private:
  using Message = google::protobuf::Message;
  using Field = google::protobuf::FieldDescriptor;

  size_t Below(size_t bound) {
    return std::uniform_int_distribution<size_t>(0, bound - 1)(random_);
  }

  void Change(Message* message, int depth) {
    const auto* const type = message->GetDescriptor();
    if (type->field_count() == 0) return;
    const auto* const reflection = message->GetReflection();
    std::vector<const Field*> set;
    reflection->ListFields(*message, &set);
    // Mostly within what is there; sometimes a field that is not.
    const Field* const field =
        !set.empty() && Below(4) != 0
            ? set[Below(set.size())]
            : type->field(static_cast<int>(Below(static_cast<size_t>(type->field_count()))));
    if (Below(12) == 0) return reflection->ClearField(message, field);
    if (field->is_repeated()) return ChangeRepeated(message, field, depth);
    if (field->cpp_type() == Field::CPPTYPE_MESSAGE) {
      if (depth < 8) Change(reflection->MutableMessage(message, field), depth + 1);
      return;
    }
    SetScalar(message, field);
  }

  void ChangeRepeated(Message* message, const Field* field, int depth) {
    const auto* const reflection = message->GetReflection();
    const int size = reflection->FieldSize(*message, field);
    const auto any = [&] { return static_cast<int>(Below(static_cast<size_t>(size))); };
    if (size > 1 && Below(6) == 0) return reflection->SwapElements(message, field, any(), any());
    if (size > 0 && Below(8) == 0) return reflection->RemoveLast(message, field);
    const bool add = size == 0 || (size < 40 && Below(4) == 0);
    switch (field->cpp_type()) {
      case Field::CPPTYPE_MESSAGE: {
        Message* element = add ? reflection->AddMessage(message, field)
                               : reflection->MutableRepeatedMessage(message, field, any());
        // A new one often as a copy: ids that are there twice are worth a try.
        if (add && size > 0 && Below(2) == 0) {
          element->CopyFrom(reflection->GetRepeatedMessage(*message, field, any()));
        }
        if (depth < 8) Change(element, depth + 1);
        return;
      }
      case Field::CPPTYPE_STRING:
        if (add) return reflection->AddString(message, field, Bytes(""));
        {
          const int at = any();
          reflection->SetRepeatedString(message, field, at,
                                        Bytes(reflection->GetRepeatedString(*message, field, at)));
        }
        return;
      case Field::CPPTYPE_UINT32:
        if (add) return reflection->AddUInt32(message, field, static_cast<uint32_t>(Number(0)));
        return reflection->SetRepeatedUInt32(message, field, any(),
                                             static_cast<uint32_t>(Number(0)));
      default:
        return;  // no message of the boundary repeats anything else
    }
  }

  void SetScalar(Message* message, const Field* field) {
    const auto* const r = message->GetReflection();
    switch (field->cpp_type()) {
      case Field::CPPTYPE_STRING:
        return r->SetString(message, field, Bytes(r->GetString(*message, field)));
      case Field::CPPTYPE_BOOL:
        return r->SetBool(message, field, !r->GetBool(*message, field));
      case Field::CPPTYPE_ENUM:
        return r->SetEnumValue(message, field, static_cast<int>(Below(8)));
      case Field::CPPTYPE_UINT64:
        return r->SetUInt64(message, field, Number(r->GetUInt64(*message, field)));
      case Field::CPPTYPE_UINT32:
        return r->SetUInt32(message, field,
                            static_cast<uint32_t>(Number(r->GetUInt32(*message, field))));
      case Field::CPPTYPE_INT64:
        return r->SetInt64(message, field, static_cast<int64_t>(Number(0)));
      case Field::CPPTYPE_INT32:
        return r->SetInt32(message, field, static_cast<int32_t>(Number(0)));
      default:
        return;
    }
  }

  uint64_t Number(uint64_t from) {
    switch (Below(6)) {
      case 0:
        return from + 1;
      case 1:
        return from - 1;
      case 2:
        return Below(8);
      case 3:
        return ~uint64_t{0} >> Below(64);
      case 4:
        return uint64_t{1} << Below(64);
      default:
        return random_();
    }
  }

  // Of the lengths that mean something here: addresses, hashes, signatures; texts as they were.
  std::string Bytes(std::string from) {
    static constexpr size_t kLengths[] = {0, 1, 16, 20, 31, 32, 33, 64, 65, 128, 129};
    if (Below(3) == 0) from.resize(kLengths[Below(std::size(kLengths))], 'a');
    if (!from.empty() && Below(2) == 0)
      from[Below(from.size())] = static_cast<char>('a' + Below(3));
    if (!from.empty() && Below(8) == 0) from[Below(from.size())] = static_cast<char>(random_());
    return from;
  }

  std::mt19937_64 random_;
};

// LLVMFuzzerCustomMutator for an input that is one message of this type.
template <typename T>
size_t MutateMessage(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  T message;
  if (seed % 2 == 0 || !message.ParsePartialFromArray(data, static_cast<int>(size))) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  ProtoMutator(seed).Mutate(&message);
  const std::string bytes = message.SerializeAsString();
  if (bytes.size() > max_size) return size;
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}

// A sequence of messages, each behind `head` bytes of its own and a length of two bytes: what a
// step does with its message is `type(head)`'s, which names an empty message of its type or null.
template <typename TypeOf>
size_t MutateSequence(uint8_t* data, size_t size, size_t max_size, unsigned seed, size_t head,
                      TypeOf type_of) {
  struct Step {
    std::string head;
    std::string body;
  };
  if (seed % 3 == 0) return LLVMFuzzerMutate(data, size, max_size);
  std::mt19937_64 random(seed);
  std::vector<Step> steps;
  for (size_t at = 0; at + head + 2 < size;) {
    Step step;
    step.head.assign(reinterpret_cast<const char*>(data) + at, head);
    const size_t length = static_cast<size_t>(data[at + head]) << 8 | data[at + head + 1];
    at += head + 2;
    step.body.assign(reinterpret_cast<const char*>(data) + at, std::min(length, size - at));
    at += step.body.size();
    steps.push_back(std::move(step));
  }
  if (steps.empty()) return LLVMFuzzerMutate(data, size, max_size);
  const size_t at = random() % steps.size();
  const size_t other = random() % steps.size();
  switch (random() % 8) {
    case 0:
      std::swap(steps[at], steps[other]);
      break;
    case 1:
      steps.insert(steps.begin() + static_cast<std::ptrdiff_t>(other), Step(steps[at]));
      break;
    case 2:
      if (steps.size() > 1) steps.erase(steps.begin() + static_cast<std::ptrdiff_t>(at));
      break;
    default: {
      std::unique_ptr<google::protobuf::Message> message = type_of(steps[at].head);
      if (message == nullptr || !message->ParsePartialFromString(steps[at].body)) break;
      ProtoMutator(static_cast<unsigned>(random())).Mutate(message.get());
      steps[at].body = message->SerializeAsString();
    }
  }
  std::string out;
  for (const Step& step : steps) {
    if (step.body.size() > 0xffff) return size;
    out += step.head;
    out.push_back(static_cast<char>(step.body.size() >> 8));
    out.push_back(static_cast<char>(step.body.size()));
    out += step.body;
  }
  if (out.size() > max_size) return size;
  std::copy(out.begin(), out.end(), data);
  return out.size();
}

}  // namespace coffer::fuzz

#ifdef COFFER_LIBFUZZER
#define COFFER_FUZZ_PROTO_MUTATOR(Type)                                                  \
  extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, \
                                            unsigned seed) {                             \
    return ::coffer::fuzz::MutateMessage<Type>(data, size, max_size, seed);              \
  }
#define COFFER_FUZZ_SEQUENCE_MUTATOR(head, type_of)                                      \
  extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, \
                                            unsigned seed) {                             \
    return ::coffer::fuzz::MutateSequence(data, size, max_size, seed, head, type_of);    \
  }
#else
#define COFFER_FUZZ_PROTO_MUTATOR(Type)
#define COFFER_FUZZ_SEQUENCE_MUTATOR(head, type_of)
#endif

#endif  // COFFER_TESTS_FUZZ_PROTO_MUTATOR_H_
