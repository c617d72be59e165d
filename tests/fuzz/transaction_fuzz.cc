// Any bytes either fail to parse or are exactly the encoding of what was parsed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "enclave_core/ethereum/transaction.h"
#include "invariant/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const auto parsed = coffer::ethereum::ParseSignedTransaction(raw);
  if (!parsed.ok()) return 0;
  COFFER_CHECK(parsed->Encode() == raw, "parsing is the inverse of encoding");
  COFFER_CHECK(parsed->TransactionHash() == coffer::ethereum::Keccak256(raw),
               "the hash is that of the bytes");
  const auto again = coffer::ethereum::Signature::FromBytes65(parsed->signature.ToBytes65());
  COFFER_CHECK(again.ok() && *again == parsed->signature, "only valid signatures are parsed");
  (void)parsed->Sender();
  return 0;
}
