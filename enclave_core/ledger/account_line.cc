#include "enclave_core/ledger/account_line.h"

#include <algorithm>

#include "enclave_core/ledger/big_endian.h"

namespace coffer::ledger {
namespace {

constexpr size_t kAddressBytes = ethereum::Address::kSize;
constexpr size_t kSumsBytes = 6 * 16;

}  // namespace

void AppendAccountLine(const Account& account, const Balances& b, std::string* out) {
  char line[kMaxAccountLineBytes];
  char* p = line;
  *p++ = 0;  // ids are shorter than 256 bytes
  *p++ = static_cast<char>(account.id_size);
  p = std::copy_n(account.id_bytes, account.id_size, p);
  p = std::copy_n(account.recipient.view().data(), kAddressBytes, p);
  for (const Wei amount :
       {b.available, b.reserved, b.credited, b.adjusted_up, b.adjusted_down, b.paid}) {
    p = StoreBigEndian(amount, p);
  }
  out->append(line, static_cast<size_t>(p - line));
}

absl::Status RestoreAccountLines(std::string_view lines, Ledger* ledger) {
  while (!lines.empty()) {
    if (lines.size() < 2) return absl::DataLossError("an account of a snapshot is cut off");
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(lines[i]); };
    const size_t id_size = size_t{byte(0)} << 8 | byte(1);
    if (id_size == 0 || id_size > Ledger::kMaxIdBytes) {
      return absl::DataLossError("an account of a snapshot has an id of a wrong length");
    }
    const size_t whole = 2 + id_size + kAddressBytes + kSumsBytes;
    if (lines.size() < whole) return absl::DataLossError("an account of a snapshot is cut off");
    ethereum::Address recipient;
    std::copy_n(lines.begin() + static_cast<std::ptrdiff_t>(2 + id_size), kAddressBytes,
                recipient.bytes.begin());
    const char* const sums = lines.data() + 2 + id_size + kAddressBytes;
    const auto sum = [&](size_t i) { return LoadBigEndianWei(sums + 16 * i); };
    ledger->Restore(lines.substr(2, id_size), recipient,
                    {sum(0), sum(1), sum(2), sum(3), sum(4), sum(5)});
    lines.remove_prefix(whole);
  }
  return absl::OkStatus();
}

}  // namespace coffer::ledger
