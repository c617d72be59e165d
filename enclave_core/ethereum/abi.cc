#include "enclave_core/ethereum/abi.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::ethereum::abi {
namespace {

absl::Status CheckWord(std::string_view word) {
  if (word.size() == kWord) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ABI: expected one word of 32 bytes, got ", word.size(), " bytes"));
}

// The word's last `size` bytes; an error unless all bytes before are zero.
absl::StatusOr<std::string_view> Tail(std::string_view word, size_t size, const char* type) {
  if (absl::Status status = CheckWord(word); !status.ok()) return status;
  if (word.substr(0, kWord - size).find_first_not_of('\0') != std::string_view::npos) {
    return absl::InvalidArgumentError(absl::StrCat("ABI: a word is out of range for ", type));
  }
  return word.substr(kWord - size);
}

}  // namespace

std::string Selector(std::string_view signature) {
  return std::string(Keccak256(signature).view().substr(0, 4));
}

void AppendUint(const U256& value, std::string& out) { out.append(ToBytes32(value)); }

void AppendHash(const Hash& value, std::string& out) { out.append(value.view()); }

void AppendAddress(const Address& value, std::string& out) {
  out.append(kWord - Address::kSize, '\0');
  out.append(value.view());
}

void AppendBytes(std::string_view bytes, std::string& out) {
  const size_t end = out.size() + BytesSize(bytes.size());
  AppendUint(bytes.size(), out);
  out.append(bytes);
  out.resize(end, '\0');
}

absl::StatusOr<U256> ReadUint(std::string_view word) {
  if (absl::Status status = CheckWord(word); !status.ok()) return status;
  return U256FromBytes(word);
}

absl::StatusOr<uint64_t> ReadUint64(std::string_view word) {
  absl::StatusOr<std::string_view> tail = Tail(word, sizeof(uint64_t), "a 64-bit number");
  if (!tail.ok()) return tail.status();
  uint64_t value = 0;
  for (const char c : *tail) value = value << 8 | static_cast<uint8_t>(c);
  return value;
}

absl::StatusOr<bool> ReadBool(std::string_view word) {
  absl::StatusOr<std::string_view> tail = Tail(word, 1, "a bool");
  if (!tail.ok()) return tail.status();
  const auto value = static_cast<uint8_t>((*tail)[0]);
  if (value > 1) return absl::InvalidArgumentError("ABI: a bool is neither 0 nor 1");
  return value == 1;
}

absl::StatusOr<Address> ReadAddress(std::string_view word) {
  absl::StatusOr<std::string_view> tail = Tail(word, Address::kSize, "an address");
  if (!tail.ok()) return tail.status();
  return Address::FromBytes(*tail);
}

absl::StatusOr<Hash> ReadHash(std::string_view word) {
  if (absl::Status status = CheckWord(word); !status.ok()) return status;
  return Hash::FromBytes(word);
}

}  // namespace coffer::ethereum::abi
