// One line of the ledger journal: hostile bytes in, a typed value out. Pure.
//
// The format is the public backend's (its-DeFine/livepeer-ops, payments/ledger.py): one JSON object
// a line, of which `event`, `orchestrator_id` and `amount` are read; everything else must be valid
// JSON and is not believed.
#ifndef COFFER_ACTORS_HOST_JOURNAL_LINE_H_
#define COFFER_ACTORS_HOST_JOURNAL_LINE_H_

#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "absl/numeric/int128.h"

namespace coffer::host {

inline constexpr size_t kMaxLineBytes = 1u << 20;  // 1 MiB, newline included
inline constexpr size_t kMaxOrchestratorIdBytes = 128;

// "ledger:" + lower-case hex SHA-256 of the line's bytes, newline (and carriage return) included.
struct EventId {
  static constexpr std::string_view kPrefix = "ledger:";
  std::array<char, 7 + 64> text{};
  std::string_view view() const { return {text.data(), text.size()}; }
};

// To be sent to the enclave.
struct Credit {
  enum class Kind {
    kCredit,      // amount > 0
    kAdjustDown,  // amount < 0: a correction; `wei` is its magnitude
  };
  Kind kind = Kind::kCredit;
  std::string orchestrator_id;  // 1..128 bytes of UTF-8 without control characters
  absl::uint128 wei = 0;        // not 0, below 2^127
  EventId event_id;
};

// Valid, and by rule nothing to send.
struct Skipped {
  enum class Kind {
    kSetBalance,  // the backend's own bookkeeping; its amount is not looked at
    kZero,        // a credit of nothing
  };
  Kind kind = Kind::kSetBalance;
};

// For the dead letters. The names are stable: files and metrics carry them.
enum class RejectReason {
  kBlank,
  kTooLong,
  kNoNewline,
  kBadUtf8,
  kNotJson,
  kNotAnObject,
  kTooDeep,
  kDuplicateField,
  kMissingField,
  kWrongType,
  kUnknownEvent,
  kBadOrchestratorId,
  kBadAmount,
  kTooManyDecimals,
  kAmountOutOfRange,
  // Not of the line's form: nobody knows whom to pay, or the enclave said no.
  kUnknownOrchestrator,
  kRefused,
};
inline constexpr size_t kRejectReasons = static_cast<size_t>(RejectReason::kRefused) + 1;
std::string_view RejectReasonName(RejectReason reason);

struct Rejected {
  RejectReason reason = RejectReason::kNotJson;
  std::string detail;  // one sentence, without the line's content
};

using ParsedLine = std::variant<Credit, Skipped, Rejected>;

// Keeps the JSON parser's and the hash's buffers from line to line. Not thread-safe.
class LineParser {
 public:
  LineParser();
  LineParser(const LineParser&) = delete;
  LineParser& operator=(const LineParser&) = delete;
  ~LineParser();

  // `line` ends in its newline. The event id is computed for credits only.
  ParsedLine Parse(std::string_view line);
  // The id of any line, rejected ones included.
  EventId Id(std::string_view line);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_JOURNAL_LINE_H_
