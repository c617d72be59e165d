// What servers answer to the host and its tools: JSON-RPC bodies, single and batched, a registry's
// returned words and reverts, a host's signed checkpoint, an operator's claims. Never more than one
// answer for each question, and no signature that nobody made.
//
// Input: a byte that chooses, and a body.
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "actors/host/chain_rpc_codec.h"
#include "enclave_core/ethereum/abi.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tools/balance_claims.h"
#include "tools/checkpoint_source.h"
#include "tools/registry_client.h"

namespace {

using coffer::fuzz::Input;
namespace host = coffer::host;
namespace tools = coffer::tools;
namespace ethereum = coffer::ethereum;

void CheckResponse(std::string_view body, bool batch) {
  const std::vector<uint64_t> ids =
      batch ? std::vector<uint64_t>{1, 2, 3} : std::vector<uint64_t>{7};
  const auto decoded = host::DecodeResponse(body, ids, batch);
  if (!decoded.ok()) {
    COFFER_CHECK(absl::IsDataLoss(decoded.status()), "a body that is none is DataLoss");
    return;
  }
  if (decoded->refused_whole.has_value()) {
    COFFER_CHECK(decoded->answers.empty(), "refused as a whole or answered");
    return;
  }
  std::set<uint64_t> answered;
  for (const auto& [id, answer] : decoded->answers) answered.insert(id);
  COFFER_CHECK(decoded->answers.size() == ids.size() &&
                   answered == std::set<uint64_t>(ids.begin(), ids.end()),
               "one answer for each id, and no other");
}

void CheckLatest(std::string_view bytes) {
  const auto head = tools::ParseLatest(bytes);
  if (!head.ok()) return;
  COFFER_CHECK(bytes.size() % ethereum::abi::kWord == 0, "whole words");
  COFFER_CHECK(bytes.substr(0, 32) == ethereum::ToBytes32(head->size), "the size is its word");
  if (head->size != 0) {
    COFFER_CHECK(bytes.substr(32, 32) == head->root.view(), "the root is its word");
  }
}

// Signed over with a key of ours the answer is taken; whatever else a stranger puts is not.
void CheckStatement(std::string_view body) {
  const ethereum::Address registry = ethereum::Address::FromBytes(std::string(20, '\xcc')).value();
  const auto statement = tools::ParseStatementAnswer(body, 31337, registry);
  if (!statement.ok()) return;
  COFFER_CHECK(statement->statement.chain_id == 31337 && statement->statement.registry == registry,
               "it is for this registry");
  const auto again = ethereum::Signature::FromBytes65(statement->signature.ToBytes65());
  COFFER_CHECK(again.ok(), "its signature is one");
}

void CheckClaims(std::string_view body) {
  const auto claims = tools::ParseClaims(body);
  if (!claims.ok()) return;
  COFFER_CHECK(claims->size() <= body.size(), "a claim takes bytes");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.Below(6)) {
    case 0:
      CheckResponse(input.rest(), false);
      break;
    case 1:
      CheckResponse(input.rest(), true);
      break;
    case 2:
      CheckLatest(input.rest());
      break;
    case 3:
      CheckStatement(input.rest());
      break;
    case 4:
      CheckClaims(input.rest());
      break;
    default:
      COFFER_CHECK(tools::RegistryErrorText(input.rest()).size() < 4096, "a reason is bounded");
  }
  return 0;
}
