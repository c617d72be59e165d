// Any bytes either are refused or are the one form of a receipt; no receipt that we did not sign is
// valid.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/audit/receipt.h"
#include "invariant/check.h"

namespace {

namespace audit = coffer::audit;

// Trusts a key that nobody has (a hash as the public key).
const audit::QuorumPolicy& Policy() {
  static const audit::QuorumPolicy policy = [] {
    const auto key = audit::VerifierKey::Create("log.example", audit::KeyType::kEd25519,
                                                audit::Sha256("nobody's"));
    return audit::QuorumPolicy::Parse("log " + key->ToString() + "\nquorum none\n").value();
  }();
  return policy;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  const auto receipt = audit::ParseReceipt(raw);
  if (!receipt.ok()) return 0;
  const auto again = audit::FormatReceipt(*receipt);
  COFFER_CHECK(again.ok() && *again == raw, "a receipt has one form");
  const audit::ReceiptReport report = audit::VerifyReceipt(*receipt, Policy());
  COFFER_CHECK(report.checks.size() == 5 && !report.valid, "nobody signed this");
  return 0;
}
