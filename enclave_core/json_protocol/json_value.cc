#include "enclave_core/json_protocol/json_value.h"

#include <openssl/crypto.h>
#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/json_protocol/json_protocol.h"

namespace coffer::json_protocol {
namespace {

namespace od = simdjson::ondemand;

// What stays allocated between two texts serves any request but lists and blobs.
constexpr size_t kKeptBytes = 64 * 1024;
constexpr size_t kValuesAChunk = 256;
constexpr uint32_t kFewMembers = 16;  // comparing each with each is cheaper than a set

absl::Status JsonError(simdjson::error_code error) {
  if (error == simdjson::UTF8_ERROR) {
    return absl::InvalidArgumentError("the request is not valid UTF-8");
  }
  return absl::InvalidArgumentError(
      absl::StrCat("the request is not valid JSON: ", simdjson::error_message(error)));
}

std::string_view TrimJsonSpace(std::string_view text) {
  const size_t end = text.find_last_not_of(" \t\r\n");
  return end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
}

// A number by RFC 8259, section 6; nullopt-like kNull when it is none.
Value::Kind NumberKind(std::string_view text) {
  size_t at = 0;
  const auto digits = [&] {
    const size_t start = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    return at - start;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return Value::Kind::kNull;
  if (at == text.size()) return Value::Kind::kInteger;
  if (text[at] == '.') {
    ++at;
    if (digits() == 0) return Value::Kind::kNull;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return Value::Kind::kNull;
  }
  return at == text.size() ? Value::Kind::kOtherNumber : Value::Kind::kNull;
}

// As much of a key as a sentence should repeat.
std::string Named(std::string_view key) {
  return absl::StrCat("`", std::string(key.substr(0, 64)), "`");
}

absl::Status CheckKeys(const Value& object) {
  if (object.size <= kFewMembers) {
    for (const Value* member = object.first; member != nullptr; member = member->next) {
      for (const Value* other = member->next; other != nullptr; other = other->next) {
        if (member->key == other->key) {
          return absl::InvalidArgumentError(
              absl::StrCat("the key ", Named(member->key), " is there twice in one object"));
        }
      }
    }
    return absl::OkStatus();
  }
  absl::flat_hash_set<std::string_view> keys;
  for (const Value* member = object.first; member != nullptr; member = member->next) {
    if (!keys.insert(member->key).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("the key ", Named(member->key), " is there twice in one object"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

struct Document::State {
  od::parser json;
  std::string padded;  // simdjson reads up to SIMDJSON_PADDING bytes past a text's end
  size_t length = 0;   // of the text in it
  bool escapes = false;
  // Chunks, so that values stay where they are.
  std::vector<std::unique_ptr<std::array<Value, kValuesAChunk>>> chunks;
  size_t used = 0;  // values

  Value* New();
  absl::Status ReadString(simdjson::simdjson_result<std::string_view> read, std::string_view* out);
  absl::Status Read(od::value value, int depth, Value* out);
  absl::Status ReadScalar(od::value& value, od::json_type type, Value* out);
  absl::Status ReadArray(od::value& value, int depth, Value* out);
  absl::Status ReadObject(od::object& object, int depth, Value* out);
};

Value* Document::State::New() {
  if (used == kMaxValues) return nullptr;
  if (used == chunks.size() * kValuesAChunk) {
    chunks.push_back(std::make_unique<std::array<Value, kValuesAChunk>>());
  }
  Value* const value = &(*chunks[used / kValuesAChunk])[used % kValuesAChunk];
  ++used;
  *value = Value();
  return value;
}

absl::Status Document::State::ReadString(simdjson::simdjson_result<std::string_view> read,
                                         std::string_view* out) {
  if (const auto error = std::move(read).get(*out)) return JsonError(error);
  // The text is valid UTF-8, but \ud800 in it is half of a character.
  if (escapes && !simdjson::validate_utf8(out->data(), out->size())) {
    return absl::InvalidArgumentError("the request is not valid JSON: half of a \\u pair");
  }
  return absl::OkStatus();
}

absl::Status Document::State::ReadScalar(od::value& value, od::json_type type, Value* out) {
  if (type == od::json_type::string) {
    out->kind = Value::Kind::kString;
    return ReadString(value.get_string(), &out->text);
  }
  const std::string_view token = TrimJsonSpace(value.raw_json_token());
  if (type == od::json_type::number) {
    out->kind = NumberKind(token);
    out->text = token;
    if (out->kind == Value::Kind::kNull) return JsonError(simdjson::NUMBER_ERROR);
  } else if (type == od::json_type::boolean) {
    out->kind = Value::Kind::kBool;
    out->boolean = token == "true";
    if (!out->boolean && token != "false") return JsonError(simdjson::T_ATOM_ERROR);
  } else if (token != "null") {
    return JsonError(simdjson::N_ATOM_ERROR);
  }
  return absl::OkStatus();
}

absl::Status Document::State::ReadArray(od::value& value, int depth, Value* out) {
  out->kind = Value::Kind::kArray;
  od::array array;
  if (const auto error = value.get_array().get(array)) return JsonError(error);
  const Value** next = &out->first;
  for (auto element : array) {
    od::value inner;
    if (const auto error = element.get(inner)) return JsonError(error);
    Value* const read = New();
    if (read == nullptr) break;
    if (absl::Status status = Read(inner, depth, read); !status.ok()) return status;
    *next = read;
    next = &read->next;
    ++out->size;
  }
  if (used == kMaxValues) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request holds more than ", kMaxValues, " values"));
  }
  return absl::OkStatus();
}

absl::Status Document::State::ReadObject(od::object& object, int depth, Value* out) {
  out->kind = Value::Kind::kObject;
  const Value** next = &out->first;
  for (auto entry : object) {
    od::field field;
    if (const auto error = std::move(entry).get(field)) return JsonError(error);
    Value* const read = New();
    if (read == nullptr || out->size == kMaxMembers) {
      return absl::InvalidArgumentError(absl::StrCat("the request holds more than ", kMaxMembers,
                                                     " members in one object, or more than ",
                                                     kMaxValues, " values"));
    }
    std::string_view key;
    if (absl::Status status = ReadString(field.unescaped_key(), &key); !status.ok()) return status;
    if (absl::Status status = Read(field.value(), depth, read); !status.ok()) return status;
    read->key = key;
    *next = read;
    next = &read->next;
    ++out->size;
  }
  return CheckKeys(*out);
}

absl::Status Document::State::Read(od::value value, int depth, Value* out) {
  od::json_type type{};
  if (const auto error = value.type().get(type)) return JsonError(error);
  if (type != od::json_type::array && type != od::json_type::object) {
    return ReadScalar(value, type, out);
  }
  if (depth >= kMaxDepth) {
    return absl::InvalidArgumentError(
        absl::StrCat("arrays and objects are nested more than ", kMaxDepth, " deep"));
  }
  if (type == od::json_type::array) return ReadArray(value, depth + 1, out);
  od::object object;
  if (const auto error = value.get_object().get(object)) return JsonError(error);
  return ReadObject(object, depth + 1, out);
}

Document::Document() : state_(std::make_unique<State>()) {}
Document::~Document() { Clear(); }

absl::StatusOr<const Value*> Document::Parse(std::string_view text) {
  Clear();
  State& state = *state_;
  if (state.padded.size() < text.size() + simdjson::SIMDJSON_PADDING) {
    state.padded.resize(std::max<size_t>(4096, text.size() + simdjson::SIMDJSON_PADDING));
  }
  std::memcpy(state.padded.data(), text.data(), text.size());
  // What an earlier text left behind must not decide how this one ends.
  std::memset(state.padded.data() + text.size(), ' ', simdjson::SIMDJSON_PADDING);
  state.length = text.size();
  state.escapes = text.find('\\') != std::string_view::npos;
  od::document document;
  if (const auto error =
          state.json.iterate(state.padded.data(), text.size(), state.padded.size()).get(document)) {
    return JsonError(error);
  }
  od::object object;
  if (const auto error = document.get_object().get(object)) {
    if (error == simdjson::INCORRECT_TYPE) {
      return absl::InvalidArgumentError("the request is not a JSON object");
    }
    return JsonError(error);
  }
  Value* const root = state.New();
  if (absl::Status status = state.ReadObject(object, 1, root); !status.ok()) return status;
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return absl::InvalidArgumentError("the request is not valid JSON: text after the object");
  }
  return root;
}

void Document::Clear() {
  State& state = *state_;
  for (size_t i = 0; i < state.used; ++i) {
    const Value& value = (*state.chunks[i / kValuesAChunk])[i % kValuesAChunk];
    // A string's content lies in the parser's own buffer, which is as writable as ours.
    if (value.kind == Value::Kind::kString && !value.text.empty()) {
      OPENSSL_cleanse(const_cast<char*>(value.text.data()), value.text.size());
    }
  }
  if (state.length != 0) OPENSSL_cleanse(state.padded.data(), state.length);
  if (state.chunks.size() > 1) state.chunks.resize(1);
  if (state.padded.size() > kKeptBytes) {
    state.padded = std::string();
    state.json = od::parser();
  }
  state.used = 0;
  state.length = 0;
}

}  // namespace coffer::json_protocol
