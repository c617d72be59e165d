#include "enclave_core/kms/requests.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/strict_json.h"
#include "enclave_core/audit/text.h"
#include "enclave_core/kms/cms.h"
#include "enclave_core/kms/http.h"

namespace coffer::kms {
namespace {

using nlohmann::json;

constexpr size_t kMaxDocumentBytes = 64 * 1024;  // the largest seen have 5 KiB
constexpr size_t kMaxAlgorithmBytes = 64;
constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxMessageBytes = 300;

absl::Status Bad(absl::string_view what) { return absl::InvalidArgumentError(what); }

absl::Status Wrong(absl::string_view what) {
  return absl::DataLossError(absl::StrCat("KMS's answer ", what));
}

bool IsVisible(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
}

bool IsKeyId(std::string_view text) {
  return !text.empty() && text.size() <= kMaxKeyIdBytes && IsVisible(text);
}

bool IsAlgorithm(std::string_view text) {
  return text.size() <= kMaxAlgorithmBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_isupper(static_cast<unsigned char>(c)) ||
                  absl::ascii_isdigit(static_cast<unsigned char>(c)) || c == '_';
         });
}

absl::Status AddContext(const EncryptionContext& context, json* body) {
  if (context.empty()) return absl::OkStatus();
  json pairs = json::object();
  size_t size = 2;
  for (const auto& [name, value] : context) {
    if (name.empty() || !audit::IsUtf8(name) || !audit::IsUtf8(value)) {
      return Bad("the encryption context has a name or a value that is not text");
    }
    size += name.size() + value.size() + std::string_view(R"("":"",)").size();
    if (size > kMaxContextBytes) return Bad("the encryption context is too long");
    pairs[name] = value;
  }
  (*body)["EncryptionContext"] = std::move(pairs);
  return absl::OkStatus();
}

absl::Status AddRecipient(std::string_view document, json* body) {
  if (document.empty() || document.size() > kMaxDocumentBytes) {
    return Bad("the attestation document has a size that KMS would not take");
  }
  (*body)["Recipient"] = {{"KeyEncryptionAlgorithm", "RSAES_OAEP_SHA_256"},
                          {"AttestationDocument", audit::EncodeBase64(document)}};
  return absl::OkStatus();
}

// The value of a member that must be a string.
absl::StatusOr<std::string> Text(const json& answer, const char* name, size_t max) {
  const auto at = answer.find(name);
  if (at == answer.end() || !at->is_string()) return Wrong(absl::StrCat("has no ", name));
  const auto& text = at->get_ref<const std::string&>();
  if (text.empty() || text.size() > max) {
    return Wrong(absl::StrCat("has a ", name, " of ", text.size(), " bytes"));
  }
  return text;
}

absl::StatusOr<std::string> Bytes(const json& answer, const char* name, size_t max) {
  const absl::StatusOr<std::string> text = Text(answer, name, (max + 2) / 3 * 4);
  if (!text.ok()) return text.status();
  std::optional<std::string> bytes = audit::DecodeBase64(*text);
  if (!bytes || bytes->size() > max) {
    return Wrong(absl::StrCat("has a ", name, " that is not base64, or is too long"));
  }
  return *std::move(bytes);
}

// What all three have: an envelope, and no plaintext beside it. KMS leaves Plaintext out, or gives
// null or an empty one.
absl::StatusOr<Answer> ParseEnvelope(std::string_view body, json* parsed) {
  absl::StatusOr<json> read = attestation::ReadStrictJson(body, kMaxHttpBodyBytes);
  if (!read.ok()) return Wrong(read.status().message());
  *parsed = *std::move(read);
  const auto plaintext = parsed->find("Plaintext");
  if (plaintext != parsed->end() && !plaintext->is_null() &&
      !(plaintext->is_string() && plaintext->get_ref<const std::string&>().empty())) {
    return Wrong(
        "has a Plaintext, although it was to be encrypted to this enclave: whoever answered did "
        "not look at the attestation");
  }
  absl::StatusOr<std::string> envelope =
      Bytes(*parsed, "CiphertextForRecipient", kMaxEnvelopeBytes);
  if (!envelope.ok()) return envelope.status();
  return Answer{*std::move(envelope), "", ""};
}

absl::Status TakeKeyId(const json& parsed, Answer* answer) {
  absl::StatusOr<std::string> key_id = Text(parsed, "KeyId", kMaxKeyIdBytes);
  if (!key_id.ok()) return key_id.status();
  if (!IsKeyId(*key_id)) return Wrong("has a KeyId that is none");
  answer->key_id = *std::move(key_id);
  return absl::OkStatus();
}

// "com.amazonaws.kms#AccessDeniedException:http://..." is AccessDeniedException (AWS JSON 1.1).
std::string ErrorName(std::string_view type) {
  type = type.substr(0, type.find(':'));
  if (const size_t hash = type.rfind('#'); hash != std::string_view::npos) {
    type.remove_prefix(hash + 1);
  }
  const bool name = std::all_of(type.begin(), type.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c));
  });
  return name && type.size() <= kMaxNameBytes ? std::string(type) : std::string();
}

std::string Printable(std::string_view text) {
  std::string out(text.substr(0, kMaxMessageBytes));
  for (char& c : out) c = c >= ' ' && c <= '~' ? c : '?';
  if (text.size() > kMaxMessageBytes) out += "...";
  return out;
}

}  // namespace

absl::StatusOr<std::string> DecryptBody(std::string_view ciphertext, std::string_view key_id,
                                        std::string_view algorithm,
                                        const EncryptionContext& context,
                                        std::string_view document) {
  if (ciphertext.empty() || ciphertext.size() > kMaxCiphertextBytes) {
    return Bad(absl::StrCat("the ciphertext has ", ciphertext.size(), " bytes; 1 to ",
                            kMaxCiphertextBytes, " are KMS's"));
  }
  if (!key_id.empty() && !IsKeyId(key_id)) return Bad("the KMS key id is none");
  if (!IsAlgorithm(algorithm)) return Bad("the KMS encryption algorithm is none");
  json body = {{"CiphertextBlob", audit::EncodeBase64(ciphertext)}};
  if (!key_id.empty()) body["KeyId"] = key_id;
  if (!algorithm.empty()) body["EncryptionAlgorithm"] = algorithm;
  if (absl::Status status = AddContext(context, &body); !status.ok()) return status;
  if (absl::Status status = AddRecipient(document, &body); !status.ok()) return status;
  return body.dump();
}

absl::StatusOr<std::string> GenerateDataKeyBody(std::string_view key_id,
                                                const EncryptionContext& context,
                                                std::string_view document) {
  if (!IsKeyId(key_id)) return Bad("the KMS key id is none");
  json body = {{"KeyId", key_id}, {"KeySpec", "AES_256"}};
  if (absl::Status status = AddContext(context, &body); !status.ok()) return status;
  if (absl::Status status = AddRecipient(document, &body); !status.ok()) return status;
  return body.dump();
}

absl::StatusOr<std::string> GenerateRandomBody(size_t bytes, std::string_view document) {
  if (bytes == 0 || bytes > kMaxRandomBytes) {
    return Bad(absl::StrCat(bytes, " bytes of randomness; KMS gives 1 to ", kMaxRandomBytes));
  }
  json body = {{"NumberOfBytes", bytes}};
  if (absl::Status status = AddRecipient(document, &body); !status.ok()) return status;
  return body.dump();
}

absl::StatusOr<Answer> ParseDecrypt(std::string_view body, std::string_view algorithm) {
  json parsed;
  absl::StatusOr<Answer> answer = ParseEnvelope(body, &parsed);
  if (!answer.ok()) return answer;
  if (absl::Status status = TakeKeyId(parsed, &*answer); !status.ok()) return status;
  const absl::StatusOr<std::string> used = Text(parsed, "EncryptionAlgorithm", kMaxAlgorithmBytes);
  if (!used.ok()) return used.status();
  if (*used != (algorithm.empty() ? std::string(kDefaultAlgorithm) : algorithm)) {
    return Wrong("is by another encryption algorithm than was asked for");
  }
  return answer;
}

absl::StatusOr<Answer> ParseGenerateDataKey(std::string_view body) {
  json parsed;
  absl::StatusOr<Answer> answer = ParseEnvelope(body, &parsed);
  if (!answer.ok()) return answer;
  if (absl::Status status = TakeKeyId(parsed, &*answer); !status.ok()) return status;
  absl::StatusOr<std::string> blob = Bytes(parsed, "CiphertextBlob", kMaxCiphertextBytes);
  if (!blob.ok()) return blob.status();
  answer->ciphertext = *std::move(blob);
  return answer;
}

absl::StatusOr<Answer> ParseGenerateRandom(std::string_view body) {
  json parsed;
  return ParseEnvelope(body, &parsed);
}

ServiceError ParseServiceError(int http_status, std::string_view body) {
  ServiceError error{absl::StrCat("HTTP ", http_status), ""};
  const absl::StatusOr<json> parsed = attestation::ReadStrictJson(body, kMaxHttpBodyBytes);
  if (!parsed.ok()) return error;
  if (const auto type = parsed->find("__type"); type != parsed->end() && type->is_string()) {
    std::string name = ErrorName(type->get_ref<const std::string&>());
    if (!name.empty()) error.name = std::move(name);
  }
  for (const char* const member : {"message", "Message"}) {
    const auto at = parsed->find(member);
    if (at == parsed->end() || !at->is_string()) continue;
    error.message = Printable(at->get_ref<const std::string&>());
    break;
  }
  return error;
}

}  // namespace coffer::kms
