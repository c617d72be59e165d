#include "enclave_core/ledger/account_line.h"

#include <algorithm>
#include <iterator>

#include "enclave_core/ledger/big_endian.h"

namespace coffer::ledger {
namespace {

constexpr size_t kAddressBytes = ethereum::Address::kSize;
constexpr size_t kSums = 6;
constexpr size_t kWeiBytes = 16;

char* StoreSum(Wei sum, char* p) {
  char bytes[kWeiBytes];
  StoreBigEndian(sum, bytes);
  const char* first = std::find_if(bytes, bytes + kWeiBytes, [](char c) { return c != 0; });
  *p++ = static_cast<char>(bytes + kWeiBytes - first);
  return std::copy<const char*>(first, bytes + kWeiBytes, p);
}

// Takes the first `bytes` of `from` away; nullptr when there are fewer.
const char* Take(size_t bytes, std::string_view* from) {
  if (from->size() < bytes) return nullptr;
  const char* const p = from->data();
  from->remove_prefix(bytes);
  return p;
}

bool TakeLength(size_t most, std::string_view* from, size_t* length) {
  const char* const p = Take(1, from);
  if (p == nullptr) return false;
  *length = static_cast<uint8_t>(*p);
  return *length <= most;
}

bool TakeSum(std::string_view* from, Wei* sum) {
  size_t length = 0;
  if (!TakeLength(kWeiBytes, from, &length)) return false;
  const char* const p = Take(length, from);
  if (p == nullptr) return false;
  char bytes[kWeiBytes] = {};
  std::copy_n(p, length, bytes + kWeiBytes - length);
  *sum = LoadBigEndianWei(bytes);
  return true;
}

}  // namespace

void AppendAccountLine(const Account& account, const Balances& b, std::string* out) {
  char line[kMaxAccountLineBytes];
  char* p = line;
  *p++ = static_cast<char>(account.id_size);
  p = std::copy_n(account.id_bytes, account.id_size, p);
  p = std::copy_n(account.recipient.view().data(), kAddressBytes, p);
  for (const Wei sum :
       {b.available, b.reserved, b.credited, b.adjusted_up, b.adjusted_down, b.paid}) {
    p = StoreSum(sum, p);
  }
  out->append(line, static_cast<size_t>(p - line));
}

absl::Status RestoreAccountLines(std::string_view lines, Ledger* ledger) {
  while (!lines.empty()) {
    size_t id_size = 0;
    if (!TakeLength(Ledger::kMaxIdBytes, &lines, &id_size) || id_size == 0) {
      return absl::DataLossError("an account of a snapshot has an id of a wrong length");
    }
    const char* const id = Take(id_size, &lines);
    const char* const recipient = Take(kAddressBytes, &lines);
    Wei sums[kSums];
    const bool whole = id != nullptr && recipient != nullptr &&
                       std::all_of(std::begin(sums), std::end(sums),
                                   [&](Wei& sum) { return TakeSum(&lines, &sum); });
    if (!whole) return absl::DataLossError("an account of a snapshot is cut off");
    ethereum::Address address;
    std::copy_n(recipient, kAddressBytes, address.bytes.begin());
    ledger->Restore({id, id_size}, address, {sums[0], sums[1], sums[2], sums[3], sums[4], sums[5]});
  }
  return absl::OkStatus();
}

}  // namespace coffer::ledger
