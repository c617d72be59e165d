// Bytes that the vault did not seal are refused, whatever they are; a record that was tampered with
// at a place and by a value of the input's choice is refused as well.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/sealing/vault.h"
#include "invariant/check.h"

namespace {

namespace sealing = coffer::sealing;

sealing::Vault& TheVault() {
  static sealing::Vault vault(
      coffer::ethereum::SecretBytes::CopyOf(std::string(32, '\x42')).value(), 0, sealing::Hash());
  return vault;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  sealing::Vault& vault = TheVault();
  sealing::ChainReader reader(&vault);
  COFFER_CHECK(!reader.Next(raw).ok(), "nobody else seals");
  const auto header = sealing::ParseHeader(raw);
  if (header.ok()) {
    COFFER_CHECK(sealing::EncodeHeader(*header) == raw.substr(0, sealing::kHeaderBytes),
                 "parsing is the inverse of encoding");
  }
  if (size < 3) return 0;
  sealing::Header first;
  first.sequence = 1;
  std::string sealed = vault.Seal(first, raw);
  COFFER_CHECK(reader.Next(sealed).ok(), "what was sealed opens");
  const size_t at = (static_cast<size_t>(data[0]) << 8 | data[1]) % sealed.size();
  if (data[2] == 0) return 0;
  sealed[at] = static_cast<char>(sealed[at] ^ data[2]);
  COFFER_CHECK(!vault.Open(sealed).ok(), "what was altered is refused");
  return 0;
}
