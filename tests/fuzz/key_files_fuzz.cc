// Keystores, and policies as protobuf and as JSON parameters: what is no key or policy is refused
// with a sentence that shows none of it, and a policy that is accepted has one hash and one form.
//
// Input: a byte that chooses, and a file. Keystores that ask for much work are left out.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "enclave_core/policy/policy.h"
#include "enclave_core/policy/typed_data.h"
#include "host_proxy/json_text.h"
#include "host_proxy/keystore.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace {

using coffer::fuzz::Input;

constexpr char kPassword[] = "correct horse battery staple";

uint64_t NumberOf(const Json::Value& json, const char* name) {
  if (!json.isObject() || !json[name].isUInt64()) return 1;
  return std::max<uint64_t>(1, json[name].asUInt64());
}

bool IsCheap(const Json::Value& json) {
  for (const char* name : {"crypto", "Crypto"}) {
    if (!json.isObject() || !json[name].isObject()) continue;
    const Json::Value& kdf = json[name]["kdfparams"];
    if (!kdf.isObject()) continue;
    const uint64_t n = NumberOf(kdf, "n"), r = NumberOf(kdf, "r"), p = NumberOf(kdf, "p");
    if (n > 1024 || r > 8 || p > 8 || NumberOf(kdf, "c") > 1000) return false;
  }
  return true;
}

void CheckKeystore(std::string_view text) {
  const auto json = coffer::host_proxy::FromText(text);
  if (json.ok() && !IsCheap(*json)) return;
  const auto key = coffer::host_proxy::OpenKeystore(text, kPassword);
  if (key.ok()) {
    COFFER_CHECK(key->view().size() == 32, "a key is 32 bytes");
    return;
  }
  COFFER_CHECK(!absl::StrContains(key.status().message(), kPassword), "no password in an error");
  if (json.ok() && json->isObject() && (*json)["crypto"].isObject() &&
      (*json)["crypto"]["ciphertext"].isString()) {
    const std::string secret = (*json)["crypto"]["ciphertext"].asString();
    COFFER_CHECK(secret.size() < 16 || !absl::StrContains(key.status().message(), secret),
                 "no field's value in an error");
  }
}

void CheckPolicy(std::string_view bytes) {
  coffer::boundary::v1::Policy proto;
  if (!proto.ParseFromString(std::string(bytes))) return;
  const auto policy = coffer::policy::FromProto(proto);
  if (!policy.ok()) {
    COFFER_CHECK(!policy.status().message().empty(), "a refusal says why");
    return;
  }
  coffer::boundary::v1::Policy written;
  coffer::policy::ToProto(*policy, &written);
  const auto again = coffer::policy::FromProto(written);
  COFFER_CHECK(again.ok(), "what was accepted is written as what is accepted");
  COFFER_CHECK(coffer::policy::PolicyHash(*again) == coffer::policy::PolicyHash(*policy),
               "and is the same policy");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  if (input.Below(2) == 0) {
    CheckKeystore(input.rest());
  } else {
    CheckPolicy(input.rest());
  }
  return 0;
}
