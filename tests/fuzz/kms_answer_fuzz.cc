// KMS's answers, its errors, and the bodies that it is sent: what is accepted is JSON to jsoncpp
// and says the same to it; words of KMS's come out bounded and printable.
//
// Input: one byte to choose, then the text; for requests, a key id, an algorithm, and pairs of the
// encryption context, each with a length before it.
#include <json/reader.h>
#include <json/value.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "enclave_core/audit/text.h"
#include "enclave_core/kms/cms.h"
#include "enclave_core/kms/requests.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

namespace audit = coffer::audit;
namespace kms = coffer::kms;

Json::Value Tree(std::string_view text) {
  Json::CharReaderBuilder builder;
  Json::CharReaderBuilder::strictMode(&builder.settings_);
  const std::unique_ptr<Json::CharReader> reader(builder.newCharReader());
  Json::Value tree;
  std::string errors;
  COFFER_CHECK(reader->parse(text.data(), text.data() + text.size(), &tree, &errors),
               "what is accepted is JSON to a second reader");
  return tree;
}

// jsoncpp gives up on numbers that no double holds, which is its limit and not JSON's.
bool HasExponent(std::string_view text) {
  return text.find_first_of("eE") != std::string_view::npos &&
         text.find_first_of("0123456789") != std::string_view::npos;
}

void CheckAnswer(size_t kind, std::string_view text) {
  const auto answer = kind == 0   ? kms::ParseDecrypt(text, "")
                      : kind == 1 ? kms::ParseGenerateDataKey(text)
                                  : kms::ParseGenerateRandom(text);
  if (!answer.ok()) {
    COFFER_CHECK(answer.status().code() == absl::StatusCode::kDataLoss, "a refusal by its form");
    return;
  }
  COFFER_CHECK(!answer->envelope.empty() && answer->envelope.size() <= kms::kMaxEnvelopeBytes,
               "bounded");
  if (HasExponent(text)) return;
  const Json::Value tree = Tree(text);
  COFFER_CHECK(tree["CiphertextForRecipient"].asString() == audit::EncodeBase64(answer->envelope),
               "the envelope is what stands there");
  COFFER_CHECK(tree["Plaintext"].isNull() || tree["Plaintext"].asString().empty(),
               "no plaintext beside it");
  if (kind != 2) COFFER_CHECK(tree["KeyId"].asString() == answer->key_id, "the key that it names");
  if (kind == 1) {
    COFFER_CHECK(tree["CiphertextBlob"].asString() == audit::EncodeBase64(answer->ciphertext),
                 "the ciphertext is what stands there");
  }
}

void CheckError(std::string_view text) {
  const kms::ServiceError error = kms::ParseServiceError(400, text);
  COFFER_CHECK(!error.name.empty() && error.name.size() <= 64 && error.message.size() <= 303,
               "bounded");
  const auto printable = [](char c) { return c >= ' ' && c <= '~'; };
  COFFER_CHECK(std::all_of(error.name.begin(), error.name.end(), printable) &&
                   std::all_of(error.message.begin(), error.message.end(), printable),
               "printable");
}

void CheckRequest(coffer::fuzz::Input input) {
  const std::string key_id(input.Text());
  const std::string algorithm(input.Text());
  kms::EncryptionContext context;
  while (!input.empty()) {
    const std::string name(input.Text());
    context[name] = std::string(input.Text());
  }
  const auto body = kms::DecryptBody("blob", key_id, algorithm, context, "document");
  if (!body.ok()) return;
  const Json::Value tree = Tree(*body);
  COFFER_CHECK(tree["CiphertextBlob"].asString() == "YmxvYg==", "the ciphertext");
  COFFER_CHECK(tree["KeyId"].asString() == key_id, "the key");
  COFFER_CHECK(tree["EncryptionAlgorithm"].asString() == algorithm, "the algorithm");
  COFFER_CHECK(tree["EncryptionContext"].size() == context.size(), "every pair of the context");
  for (const auto& [name, value] : context) {
    const Json::Value* const found =
        tree["EncryptionContext"].find(name.data(), name.data() + name.size());
    COFFER_CHECK(found != nullptr && found->asString() == value, "the context, as it is");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  const size_t kind = input.Below(5);
  if (kind < 3) {
    CheckAnswer(kind, input.rest());
  } else if (kind == 3) {
    CheckError(input.rest());
  } else {
    CheckRequest(input);
  }
  return 0;
}
