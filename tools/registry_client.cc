#include "tools/registry_client.h"

#include <array>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/abi.h"
#include "runtime/event_loop.h"
#include "tools/blocking_chain.h"

namespace coffer::tools {

namespace abi = ethereum::abi;
using ethereum::Address;

namespace {

constexpr size_t kSignatureBytes = 65;

// What eth_call gives back, as of this block.
absl::StatusOr<std::string> CallRegistry(BlockingChain& chain, const Address& registry,
                                         std::string data, uint64_t block) {
  host::CallRequest call;
  call.to = registry;
  call.data = std::move(data);
  const absl::StatusOr<Json::Value> result =
      chain.Call("eth_call", host::CallParams(call, host::BlockParam(block)));
  if (!result.ok()) return result.status();
  return host::ParseData(*result, /*max_bytes=*/1024);
}

absl::StatusOr<uint64_t> Number(BlockingChain& chain, const std::string& method) {
  const absl::StatusOr<Json::Value> result = chain.Call(method, Json::Value(Json::arrayValue));
  if (!result.ok()) return result.status();
  return host::ParseQuantity(*result);
}

absl::Status NoRegistry(const Address& registry, const std::string& where) {
  return absl::FailedPreconditionError(
      absl::StrCat("there is no CheckpointRegistry at ", ethereum::ToChecksum(registry),
                   " on the chain of ", where, ": is it another address, or another chain?"));
}

// With a loop of its own, for callers that have none.
template <typename T>
absl::StatusOr<T> WithChain(const std::string& rpc_url,
                            absl::FunctionRef<absl::StatusOr<T>(BlockingChain&)> body) {
  runtime::EventLoop loop;
  absl::StatusOr<std::unique_ptr<BlockingChain>> chain =
      BlockingChain::Make(&loop, {.url = rpc_url, .ca_file = ""});
  if (!chain.ok()) return chain.status();
  return body(**chain);
}

}  // namespace

std::string LatestCall(const Address& audit_address) {
  std::string data = abi::Selector("latest(address)");
  abi::AppendAddress(audit_address, data);
  return data;
}

std::string RootAtCall(const Address& audit_address, uint64_t size) {
  std::string data = abi::Selector("rootAt(address,uint64)");
  abi::AppendAddress(audit_address, data);
  abi::AppendUint(size, data);
  return data;
}

std::string SubmitCall(const audit::ChainStatement& statement, const ethereum::Signature& signature,
                       const audit::Proof& proof) {
  std::string data = abi::Selector("submit(address,uint64,bytes32,bytes,bytes32[])");
  const size_t head = 5 * abi::kWord;
  abi::AppendAddress(statement.audit_address, data);
  abi::AppendUint(statement.size, data);
  abi::AppendHash(statement.root, data);
  abi::AppendUint(head, data);
  abi::AppendUint(head + abi::BytesSize(kSignatureBytes), data);
  abi::AppendBytes(signature.ToBytes65(), data);
  abi::AppendUint(proof.size(), data);
  for (const audit::Hash& hash : proof) abi::AppendHash(hash, data);
  return data;
}

absl::StatusOr<RegistryHead> ParseLatest(std::string_view returned) {
  const absl::Status other =
      absl::FailedPreconditionError("what is at that address does not answer as a registry does");
  if (returned.size() != 5 * abi::kWord) return other;
  const auto word = [&](size_t i) { return returned.substr(i * abi::kWord, abi::kWord); };
  const absl::StatusOr<uint64_t> size = abi::ReadUint64(word(0));
  const absl::StatusOr<ethereum::Hash> root = abi::ReadHash(word(1));
  const absl::StatusOr<uint64_t> block = abi::ReadUint64(word(2));
  const absl::StatusOr<uint64_t> time = abi::ReadUint64(word(3));
  const absl::StatusOr<bool> equivocated = abi::ReadBool(word(4));
  if (!size.ok() || !root.ok() || !block.ok() || !time.ok() || !equivocated.ok()) return other;
  RegistryHead head;
  head.size = *size;
  head.root = *root;
  head.accepted_block = *block;
  head.accepted_time = *time;
  head.equivocated = *equivocated;
  return head;
}

std::string RegistryErrorText(std::string_view revert_data) {
  const auto is = [&](std::string_view error) {
    return revert_data.starts_with(abi::Selector(error));
  };
  const auto number = [&](size_t i) {
    const absl::StatusOr<uint64_t> value =
        revert_data.size() < 4 + (i + 1) * abi::kWord
            ? absl::StatusOr<uint64_t>(absl::InvalidArgumentError(""))
            : abi::ReadUint64(revert_data.substr(4 + i * abi::kWord, abi::kWord));
    return value.ok() ? absl::StrCat(*value) : std::string("?");
  };
  if (is("InvalidSignature()")) {
    return "the registry takes the signature for invalid: was it made for another registry or "
           "chain?";
  }
  if (is("NotLarger(uint64,uint64)")) {
    return absl::StrCat("the registry has size ", number(1), " already, and ", number(0),
                        " is not larger");
  }
  if (is("NotConsistent(uint64,uint64)")) {
    return absl::StrCat("the registry finds no proof that size ", number(1),
                        " grew out of its size ", number(0));
  }
  return "";
}

absl::StatusOr<RegistryHead> ReadRegistryOn(BlockingChain& chain, const Address& registry,
                                            const Address& audit_address) {
  const absl::StatusOr<uint64_t> chain_id = Number(chain, "eth_chainId");
  if (!chain_id.ok()) return chain_id.status();
  const absl::StatusOr<uint64_t> block = Number(chain, "eth_blockNumber");
  if (!block.ok()) return block.status();
  const absl::StatusOr<std::string> returned =
      CallRegistry(chain, registry, LatestCall(audit_address), *block);
  if (absl::IsFailedPrecondition(returned.status())) return NoRegistry(registry, chain.name());
  if (!returned.ok()) return returned.status();
  absl::StatusOr<RegistryHead> head = ParseLatest(*returned);
  if (!head.ok()) return NoRegistry(registry, chain.name());
  head->block_number = *block;
  head->chain_id = *chain_id;
  return head;
}

absl::StatusOr<audit::Hash> ReadRegistryRootOn(BlockingChain& chain, const Address& registry,
                                               const Address& audit_address, uint64_t size) {
  const absl::StatusOr<uint64_t> block = Number(chain, "eth_blockNumber");
  if (!block.ok()) return block.status();
  const absl::StatusOr<std::string> returned =
      CallRegistry(chain, registry, RootAtCall(audit_address, size), *block);
  if (!returned.ok()) return returned.status();
  const absl::StatusOr<ethereum::Hash> root = abi::ReadHash(*returned);
  if (!root.ok()) return NoRegistry(registry, chain.name());
  return *root;
}

absl::StatusOr<RegistryHead> ReadRegistry(const std::string& rpc_url, const Address& registry,
                                          const Address& audit_address) {
  return WithChain<RegistryHead>(rpc_url, [&](BlockingChain& chain) {
    return ReadRegistryOn(chain, registry, audit_address);
  });
}

absl::StatusOr<audit::Hash> ReadRegistryRoot(const std::string& rpc_url, const Address& registry,
                                             const Address& audit_address, uint64_t size) {
  return WithChain<audit::Hash>(rpc_url, [&](BlockingChain& chain) {
    return ReadRegistryRootOn(chain, registry, audit_address, size);
  });
}

}  // namespace coffer::tools
