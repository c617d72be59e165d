// coffer replay --file: reads a journal file here and sends its events through the host's API.
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/str_cat.h"
#include "actors/host/journal_line.h"
#include "host_proxy/json_text.h"
#include "tools/host_commands.h"

namespace coffer::tools {
namespace {

constexpr Json::ArrayIndex kBatch = 500;

std::string Decimal(absl::uint128 value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

struct Replay {
  const HostClient& host;
  std::ostream& out;
  Json::Value events = Json::Value(Json::arrayValue);
  std::vector<uint64_t> lines = {};  // of the events, by their number in the file
  uint64_t applied = 0;
  uint64_t duplicates = 0;
  uint64_t skipped = 0;
  uint64_t refused = 0;

  void Refuse(uint64_t line, const std::string& why) {
    ++refused;
    out << "line " << line << ": " << why << "\n";
  }
  void Take(uint64_t line, const host::Credit& credit) {
    Json::Value event;
    event["id"] = std::string(credit.event_id.view());
    event["account"] = credit.orchestrator_id;
    event["amount_wei"] = Decimal(credit.wei);
    event["kind"] = credit.kind == host::Credit::Kind::kCredit ? "credit" : "adjust_down";
    events.append(std::move(event));
    lines.push_back(line);
  }
  absl::Status Send() {
    if (events.empty()) return absl::OkStatus();
    absl::StatusOr<HostClient::Answer> answer =
        host.Request("POST", "/api/ledger/events", host_proxy::ToText(events));
    if (!answer.ok()) return answer.status();
    const Json::Value& results = answer->body["results"];
    if (results.size() != events.size()) {
      const Json::Value& why = answer->body["error"]["message"];
      return absl::FailedPreconditionError(
          absl::StrCat("coffer-host answered ", answer->status, " at line ", lines.front(), ": ",
                       why.isString() ? why.asString() : "no reason given"));
    }
    for (Json::ArrayIndex i = 0; i < results.size(); ++i) {
      const std::string status = results[i]["status"].asString();
      if (status == "applied") ++applied;
      if (status == "duplicate") ++duplicates;
      if (status == "refused") Refuse(lines[i], results[i]["error"]["message"].asString());
    }
    events = Json::Value(Json::arrayValue);
    lines.clear();
    return absl::OkStatus();
  }
};

}  // namespace

absl::Status ReplayFile(const HostClient& host, const std::string& path, std::ostream& out) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat("the file ", path, " cannot be read"));
  host::LineParser parser;
  Replay replay{host, out};
  std::string line;
  for (uint64_t number = 1; std::getline(file, line); ++number) {
    // The newline belongs to the line's id; a last line without one is not finished yet.
    if (file.eof()) {
      replay.Refuse(number, "the line is not finished: it has no newline");
      break;
    }
    line.push_back('\n');
    const host::ParsedLine parsed = parser.Parse(line);
    if (const auto* credit = std::get_if<host::Credit>(&parsed)) {
      replay.Take(number, *credit);
    } else if (const auto* rejected = std::get_if<host::Rejected>(&parsed)) {
      replay.Refuse(number, rejected->detail);
    } else {
      ++replay.skipped;
    }
    if (replay.events.size() < kBatch) continue;
    if (absl::Status s = replay.Send(); !s.ok()) return s;
  }
  if (absl::Status s = replay.Send(); !s.ok()) return s;
  out << "applied " << replay.applied << ", applied before " << replay.duplicates
      << ", skipped by rule " << replay.skipped << ", refused " << replay.refused << "\n";
  if (replay.refused == 0) return absl::OkStatus();
  return absl::FailedPreconditionError("some lines were refused");
}

}  // namespace coffer::tools
