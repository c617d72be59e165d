// A receipt of hostile logs never pays out more than the transfers in it say, and never crashes a
// decoder.
//
// Input: logs one after the other, each a byte of flags (bits 0-2: topics; bit 3: the broker's;
// bits 4-6: which event's topic 0), the topics after topic 0 (32 bytes each), a length of two
// bytes, data. A cut-off log is the last.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "enclave_core/ethereum/ticket_broker.h"
#include "enclave_core/ethereum/ticket_broker_reads.h"
#include "invariant/check.h"

namespace coffer::ethereum {
namespace {

class Input {
 public:
  explicit Input(std::string_view bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::string_view Take(size_t n) {
    const std::string_view out = bytes_.substr(0, n);
    bytes_.remove_prefix(out.size());
    return out;
  }
  uint8_t Byte() {
    const std::string_view out = Take(1);
    return out.empty() ? uint8_t{0} : static_cast<uint8_t>(out[0]);
  }

 private:
  std::string_view bytes_;
};

Hash EventTopic(unsigned which) {
  switch (which) {
    case 0:
    case 1:
      return WinningTicketTransferTopic();
    case 2:
    case 3:
      return WinningTicketRedeemedTopic();
    case 4:
      return Keccak256("DepositFunded(address,uint256)");
    case 5:
      return Keccak256("ReserveFunded(address,uint256)");
    default:
      return Keccak256("ReserveClaimed(address,address,uint256)");
  }
}

std::vector<Log> LogsOf(const Address& broker, Input input) {
  std::vector<Log> logs;
  while (!input.empty() && logs.size() < 64) {
    Log& log = logs.emplace_back();
    log.log_index = logs.size() - 1;
    const uint8_t flags = input.Byte();
    if ((flags & 8) != 0) log.address = broker;
    const size_t topics = flags & 7;
    for (size_t i = 0; i < topics; ++i) {
      Hash topic;
      if (i == 0) {
        topic = EventTopic((flags >> 4) & 7);
      } else {
        const std::string_view bytes = input.Take(Hash::kSize);
        std::copy(bytes.begin(), bytes.end(), topic.bytes.begin());
      }
      log.topics.push_back(topic);
    }
    const size_t high = input.Byte();
    log.data = std::string(input.Take(high << 8 | input.Byte()));
  }
  return logs;
}

// What the transfers of the broker add up to, read without the decoder.
U256 Transferred(const Address& broker, const std::vector<Log>& logs) {
  U256 sum = 0;
  for (const Log& log : logs) {
    if (log.address != broker || log.topics.empty()) continue;
    if (log.topics[0] == WinningTicketTransferTopic()) sum += *U256FromBytes(log.data);
  }
  return sum;
}

}  // namespace
}  // namespace coffer::ethereum

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  using namespace coffer::ethereum;  // NOLINT(google-build-using-namespace): one function, not a
                                     // header
  Address broker;
  broker.bytes.fill(0xb0);
  const std::vector<Log> logs = LogsOf(broker, Input(raw));
  const auto redemptions = DecodeRedemptions(broker, logs);
  if (redemptions.ok()) {
    U256 paid = 0;
    for (const Redemption& redemption : *redemptions) {
      COFFER_CHECK(redemption.paid <= redemption.face_value, "never more than the face value");
      paid += redemption.paid;
    }
    COFFER_CHECK(paid == Transferred(broker, logs), "every transfer is counted once");
  }
  (void)DecodeFundings(broker, logs);
  // The answers of eth_call are bytes of the same stranger.
  (void)DecodeSenderInfo(raw);
  (void)DecodeAddress(raw);
  COFFER_CHECK(DecodeRevertReason(raw).size() <= 4 * kMaxRevertReason + 64, "reasons are bounded");
  return 0;
}
