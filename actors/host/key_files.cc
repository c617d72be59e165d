#include "actors/host/key_files.h"

#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "actors/host/json_text.h"
#include "actors/host/sha256.h"
#include "enclave_core/attestation/strict_json.h"

namespace coffer::host {
namespace {

using boundary::v1::SigningKey;
using boundary::v1::StateKey;
using ContextMap = std::map<std::string, std::string>;

constexpr uint64_t kVersion = 1;
constexpr char kSuffix[] = ".json";
constexpr size_t kTagBytes = 32;
constexpr size_t kAddressBytes = ethereum::Address::kSize;

const char* Prefix(KeyFile kind) { return kind == KeyFile::kState ? "state-" : "signing-"; }

bool IsText(std::string_view text, size_t most) { return text.size() <= most && IsUtf8(text); }

absl::Status CheckCiphertext(std::string_view ciphertext) {
  if (!ciphertext.empty() && ciphertext.size() <= kMaxCiphertextBytes) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("a ciphertext of KMS's has 1 to ",
                                                 kMaxCiphertextBytes, " bytes, and not ",
                                                 ciphertext.size()));
}

absl::Status CheckKeyId(std::string_view key_id) {
  if (IsText(key_id, kMaxKeyIdBytes)) return absl::OkStatus();
  return absl::InvalidArgumentError("a key id is a text of at most 2048 bytes");
}

absl::Status CheckContext(const ContextMap& context) {
  if (context.size() > kMaxContextPairs) {
    return absl::InvalidArgumentError("an encryption context has at most 8 pairs");
  }
  for (const auto& [name, value] : context) {
    if (name.empty() || !IsText(name, kMaxContextBytes) || !IsText(value, kMaxContextBytes)) {
      return absl::InvalidArgumentError(
          "an encryption context has names and values of at most 1024 bytes");
    }
  }
  return absl::OkStatus();
}

ContextMap ContextOf(const SigningKey& key) {
  return {key.encryption_context().begin(), key.encryption_context().end()};
}

void AppendMember(std::string_view name, std::string_view value, std::string& out) {
  out.append(out.size() > 1 ? "," : "");
  AppendJsonString(name, out);
  out.append(":");
  AppendJsonString(value, out);
}

void AppendContext(const ContextMap& context, std::string& out) {
  std::string object = "{";
  for (const auto& [name, value] : context) AppendMember(name, value, object);
  out.append(",\"encryption_context\":").append(object).append("}");
}

absl::StatusOr<nlohmann::json> ReadObject(std::string_view text,
                                          const std::set<std::string>& members) {
  absl::StatusOr<nlohmann::json> json = attestation::ReadStrictJson(text, kMaxKeyFileBytes);
  if (!json.ok()) return absl::DataLossError(json.status().message());
  for (const auto& [name, value] : json->items()) {
    if (!members.contains(name)) {
      return absl::DataLossError("has a member that this version does not know");
    }
  }
  const auto version = json->find("version");
  if (version == json->end() || !version->is_number_unsigned() || *version != kVersion) {
    return absl::DataLossError("is not of version 1");
  }
  return json;
}

// A string member; DataLoss when it is missing or something else.
absl::StatusOr<std::string> Text(const nlohmann::json& json, const char* name) {
  const auto member = json.find(name);
  if (member == json.end() || !member->is_string()) {
    return absl::DataLossError(absl::StrCat("has no text ", name));
  }
  return member->get<std::string>();
}

// Bytes in canonical base64: others would be written back differently.
absl::StatusOr<std::string> Base64(const nlohmann::json& json, const char* name) {
  const absl::StatusOr<std::string> text = Text(json, name);
  if (!text.ok()) return text.status();
  std::string bytes;
  if (!absl::Base64Unescape(*text, &bytes) || absl::Base64Escape(bytes) != *text) {
    return absl::DataLossError(absl::StrCat(name, " is not base64"));
  }
  return bytes;
}

// Bytes of a known number in hexadecimal, in the one form that is written.
template <typename Bytes>
absl::StatusOr<Bytes> Hex(const nlohmann::json& json, const char* name) {
  const absl::StatusOr<std::string> text = Text(json, name);
  if (!text.ok()) return text.status();
  const absl::StatusOr<Bytes> bytes = Bytes::FromHex(*text);
  if (!bytes.ok() || bytes->ToHex() != *text) {
    return absl::DataLossError(
        absl::StrCat("has no ", name, " of 0x and ", 2 * Bytes::kSize, " digits in lower case"));
  }
  return bytes;
}

absl::StatusOr<ContextMap> Context(const nlohmann::json& json) {
  ContextMap context;
  const auto member = json.find("encryption_context");
  if (member == json.end() || !member->is_object()) {
    return absl::DataLossError("has no encryption_context");
  }
  for (const auto& [name, value] : member->items()) {
    if (!value.is_string()) return absl::DataLossError("encryption_context has no text in it");
    context[name] = value.get<std::string>();
  }
  return context;
}

// What a later signing key's file and a state key's have both.
template <typename Key>
absl::Status ReadParts(const nlohmann::json& json, Key* out) {
  const auto epoch = json.find("epoch");
  if (epoch == json.end() || !epoch->is_number_unsigned() ||
      epoch->get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
    return absl::DataLossError("has no epoch");
  }
  out->set_epoch(epoch->get<uint32_t>());
  if (json.contains("address")) {
    const absl::StatusOr<ethereum::Address> address = Hex<ethereum::Address>(json, "address");
    if (!address.ok()) return address.status();
    out->set_address(std::string(address->view()));
  }
  absl::StatusOr<std::string> key_id = Text(json, "key_id");
  if (!key_id.ok()) return key_id.status();
  out->set_key_id(*std::move(key_id));
  absl::StatusOr<std::string> ciphertext = Base64(json, "ciphertext_b64");
  if (!ciphertext.ok()) return ciphertext.status();
  out->set_ciphertext(*std::move(ciphertext));
  const absl::StatusOr<ethereum::Hash> tag = Hex<ethereum::Hash>(json, "tag");
  if (!tag.ok()) return tag.status();
  out->set_tag(std::string(tag->view()));
  return absl::OkStatus();
}

// A file with a part that may not be is no file of ours.
template <typename T>
absl::StatusOr<T> Checked(T value, const absl::Status& checked) {
  if (!checked.ok()) return absl::DataLossError(checked.message());
  return value;
}

}  // namespace

absl::Status CheckSigning(const SigningCiphertext& signing) {
  if (absl::Status s = CheckCiphertext(signing.ciphertext); !s.ok()) return s;
  if (absl::Status s = CheckKeyId(signing.key_id); !s.ok()) return s;
  if (!IsText(signing.encryption_algorithm, kMaxAlgorithmBytes)) {
    return absl::InvalidArgumentError("an algorithm's name is a text of at most 64 bytes");
  }
  if (absl::Status s = CheckContext(signing.encryption_context); !s.ok()) return s;
  if (signing.policy.size() > kMaxStoredPolicyBytes ||
      !boundary::v1::Policy().ParseFromString(signing.policy)) {
    return absl::InvalidArgumentError("the policy that goes with it is none");
  }
  return absl::OkStatus();
}

absl::Status CheckSigningKey(const SigningKey& key) {
  if (key.epoch() == 0) return absl::InvalidArgumentError("a later signing key's epoch is not 0");
  if (key.address().size() != kAddressBytes) {
    return absl::InvalidArgumentError("a signing key's address has 20 bytes");
  }
  if (absl::Status s = CheckCiphertext(key.ciphertext()); !s.ok()) return s;
  if (absl::Status s = CheckKeyId(key.key_id()); !s.ok()) return s;
  if (absl::Status s = CheckContext(ContextOf(key)); !s.ok()) return s;
  if (key.tag().size() != kTagBytes) {
    return absl::InvalidArgumentError("a signing key's tag has 32 bytes");
  }
  return absl::OkStatus();
}

absl::Status CheckStateKey(const StateKey& key) {
  if (key.epoch() == 0) return absl::InvalidArgumentError("a state key's epoch is not 0");
  if (absl::Status s = CheckCiphertext(key.ciphertext()); !s.ok()) return s;
  if (absl::Status s = CheckKeyId(key.key_id()); !s.ok()) return s;
  if (key.tag().size() != kTagBytes) {
    return absl::InvalidArgumentError("a state key's tag has 32 bytes");
  }
  if (!key.address().empty() && key.address().size() != kAddressBytes) {
    return absl::InvalidArgumentError(
        "the address of a state key's signing key has 20 bytes, or there is none");
  }
  return absl::OkStatus();
}

std::string SigningText(const SigningCiphertext& signing) {
  std::string text = absl::StrCat("{\"version\":", kVersion);
  AppendMember("ciphertext_sha256", ToHex(Sha256().Hash(signing.ciphertext)), text);
  AppendMember("key_id", signing.key_id, text);
  AppendMember("encryption_algorithm", signing.encryption_algorithm, text);
  AppendContext(signing.encryption_context, text);
  if (!signing.policy.empty()) {
    AppendMember("policy_b64", absl::Base64Escape(signing.policy), text);
  }
  if (signing.address.has_value()) {
    AppendMember("address", ethereum::ToHex(signing.address->view()), text);
  }
  return text + "}\n";
}

absl::StatusOr<SigningCiphertext> ParseSigning(std::string_view text, std::string_view ciphertext) {
  const absl::StatusOr<nlohmann::json> json =
      ReadObject(text, {"version", "ciphertext_sha256", "key_id", "encryption_algorithm",
                        "encryption_context", "policy_b64", "address"});
  if (!json.ok()) return json.status();
  SigningCiphertext out;
  out.ciphertext = std::string(ciphertext);
  const absl::StatusOr<std::string> digest = Text(*json, "ciphertext_sha256");
  if (!digest.ok()) return digest.status();
  if (*digest != ToHex(Sha256().Hash(ciphertext))) {
    return absl::DataLossError(
        "is of another ciphertext than the one in signing.ciphertext: which of the two is meant?");
  }
  absl::StatusOr<std::string> key_id = Text(*json, "key_id");
  if (!key_id.ok()) return key_id.status();
  out.key_id = *std::move(key_id);
  absl::StatusOr<std::string> algorithm = Text(*json, "encryption_algorithm");
  if (!algorithm.ok()) return algorithm.status();
  out.encryption_algorithm = *std::move(algorithm);
  absl::StatusOr<ContextMap> context = Context(*json);
  if (!context.ok()) return context.status();
  out.encryption_context = *std::move(context);
  if (json->contains("policy_b64")) {
    absl::StatusOr<std::string> policy = Base64(*json, "policy_b64");
    if (!policy.ok()) return policy.status();
    if (policy->empty()) return absl::DataLossError("policy_b64 is empty");
    out.policy = *std::move(policy);
  }
  if (json->contains("address")) {
    const absl::StatusOr<ethereum::Address> address = Hex<ethereum::Address>(*json, "address");
    if (!address.ok()) return address.status();
    out.address = *address;
  }
  const absl::Status checked = CheckSigning(out);
  return Checked(std::move(out), checked);
}

std::string KeyFileName(KeyFile kind, uint32_t epoch) {
  return absl::StrCat(Prefix(kind), epoch, kSuffix);
}

absl::StatusOr<std::optional<uint32_t>> EpochOfName(KeyFile kind, std::string_view name) {
  const std::string_view prefix = Prefix(kind);
  const std::string_view suffix = kSuffix;
  if (!name.starts_with(prefix) || !name.ends_with(suffix)) return std::optional<uint32_t>();
  std::string digits(name.substr(prefix.size()));
  digits.resize(digits.size() - suffix.size());
  uint32_t epoch = 0;
  if (!absl::SimpleAtoi(digits, &epoch) || epoch == 0 || KeyFileName(kind, epoch) != name) {
    return absl::DataLossError(absl::StrCat(
        "has not the name of a ", kind == KeyFile::kState ? "state" : "signing", " key, ",
        Prefix(kind), "<epoch>.json: rename it if it is one, and move it away if not"));
  }
  return std::optional<uint32_t>(epoch);
}

std::string SigningKeyText(const LaterSigningKey& signing) {
  const SigningKey& key = signing.key;
  std::string text = absl::StrCat("{\"version\":", kVersion, ",\"epoch\":", key.epoch());
  AppendMember("address", ethereum::ToHex(key.address()), text);
  AppendMember("key_id", key.key_id(), text);
  AppendMember("ciphertext_b64", absl::Base64Escape(key.ciphertext()), text);
  AppendContext(ContextOf(key), text);
  AppendMember("tag", ethereum::ToHex(key.tag()), text);
  if (signing.root) text.append(",\"root\":true");
  return text + "}\n";
}

absl::StatusOr<LaterSigningKey> ParseSigningKey(std::string_view text) {
  const absl::StatusOr<nlohmann::json> json =
      ReadObject(text, {"version", "epoch", "address", "key_id", "ciphertext_b64",
                        "encryption_context", "tag", "root"});
  if (!json.ok()) return json.status();
  LaterSigningKey out;
  if (absl::Status s = ReadParts(*json, &out.key); !s.ok()) return s;
  const absl::StatusOr<ContextMap> context = Context(*json);
  if (!context.ok()) return context.status();
  out.key.mutable_encryption_context()->insert(context->begin(), context->end());
  if (json->contains("root")) {
    // One that is not the root has no such member: one form each.
    if (json->at("root") != nlohmann::json(true))
      return absl::DataLossError("has a root that is not true");
    out.root = true;
  }
  const absl::Status checked = CheckSigningKey(out.key);
  return Checked(std::move(out), checked);
}

std::string StateKeyText(const StateKey& key) {
  std::string text = absl::StrCat("{\"version\":", kVersion, ",\"epoch\":", key.epoch());
  if (!key.address().empty()) AppendMember("address", ethereum::ToHex(key.address()), text);
  AppendMember("key_id", key.key_id(), text);
  AppendMember("ciphertext_b64", absl::Base64Escape(key.ciphertext()), text);
  AppendMember("tag", ethereum::ToHex(key.tag()), text);
  return text + "}\n";
}

absl::StatusOr<StateKey> ParseStateKey(std::string_view text) {
  const absl::StatusOr<nlohmann::json> json =
      ReadObject(text, {"version", "epoch", "address", "key_id", "ciphertext_b64", "tag"});
  if (!json.ok()) return json.status();
  StateKey key;
  if (absl::Status s = ReadParts(*json, &key); !s.ok()) return s;
  const absl::Status checked = CheckStateKey(key);
  return Checked(std::move(key), checked);
}

}  // namespace coffer::host
