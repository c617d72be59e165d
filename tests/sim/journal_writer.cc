#include "tests/sim/journal_writer.h"

#include <openssl/sha.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace coffer::sim {
namespace {

// Of the specification, written down once more: "ledger:" and the hash of the line with its
// newline.
std::string IdOf(const std::string& line) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(line.data()), line.size(), digest);
  return absl::StrCat(
      "ledger:", absl::BytesToHexString({reinterpret_cast<const char*>(digest), sizeof digest}));
}

// Wei as the journal has them: a decimal fraction of an ether.
std::string Ether(uint64_t wei) {
  char text[24];
  std::snprintf(text, sizeof text, "0.%018llu", static_cast<unsigned long long>(wei));
  return text;
}

}  // namespace

std::string AccountName(uint64_t account) { return absl::StrCat("orch-", account); }

ethereum::Address RecipientOf(uint64_t account) {
  return *ethereum::Address::FromBytes(std::string(19, '\x77') + static_cast<char>(account + 1));
}

JournalWriter::JournalWriter(JournalFolder* folder, Truth* truth) : folder_(folder), truth_(truth) {
  WriteRegistry();
}

void JournalWriter::WriteRegistry() {
  std::string text = R"({"orchestrators":{)";
  for (uint64_t i = 0; i < registered_; ++i) {
    absl::StrAppend(&text, i == 0 ? "" : ",", "\"", AccountName(i), "\":\"",
                    RecipientOf(i == edited_ ? kAccounts + i : i).ToHex(), "\"");
  }
  folder_->Replace(kRegistry, absl::StrCat(text, "}}"));
}

void JournalWriter::RegisterAll() {
  if (all_registered()) return;
  registered_ = kAccounts;
  WriteRegistry();
}

std::string JournalWriter::CreditLine(uint64_t account, const std::string& amount) {
  return absl::StrCat(R"({"event":"credit","orchestrator_id":")", AccountName(account),
                      R"(","amount":")", amount, R"(","n":)", ++unique_, "}\n");
}

void JournalWriter::Take(const std::string& line) {
  FinishPartial();
  const uint64_t begin = folder_->Bytes(kJournal).size();
  lines_.push_back({begin, begin + line.size(), IdOf(line), line});
  folder_->Append(kJournal, line);
}

void JournalWriter::TakeCredit(const std::string& line, uint64_t account, EventTruth::Kind kind,
                               uint64_t wei) {
  Take(line);
  all_.push_back(line);
  Note(lines_.back().id, account, kind, wei);
}

void JournalWriter::Note(const std::string& id, uint64_t account, EventTruth::Kind kind,
                         uint64_t wei) {
  EventTruth event;
  event.account = account;
  event.kind = kind;
  event.amount = wei;
  event.sent = event.readable = true;
  // A correction below zero is refused: then it is in the dead letters.
  event.must = kind == EventTruth::Kind::kCredit;
  truth_->events[id] = event;
}

void JournalWriter::Credit(uint64_t account, uint64_t wei) {
  TakeCredit(CreditLine(account, Ether(wei)), account, EventTruth::Kind::kCredit, wei);
}

void JournalWriter::Correction(uint64_t account, uint64_t wei) {
  TakeCredit(CreditLine(account, "-" + Ether(wei)), account, EventTruth::Kind::kDown, wei);
}

void JournalWriter::Repeat(uint64_t choice) {
  if (all_.empty()) return;
  Take(std::string(all_[choice % all_.size()]));
  EventTruth& event = truth_->events[lines_.back().id];
  // Here it is once more, whatever became of it before.
  event.must = event.kind == EventTruth::Kind::kCredit;
  event.readable = true;
}

void JournalWriter::Skipped(uint64_t choice) {
  const std::string name = AccountName(choice % kKnownAccounts);
  Take(choice % 2 == 0 ? CreditLine(choice % kKnownAccounts, "0E-18")
                       : absl::StrCat(R"({"event":"set_balance","orchestrator_id":")", name,
                                      R"(","amount":"1.5","n":)", ++unique_, "}\n"));
}

void JournalWriter::Bad(uint64_t choice) {
  const std::string n = absl::StrCat(++unique_);
  std::string line;
  switch (choice % 8) {
    case 0:
      line = "not JSON " + n + "\n";
      break;
    case 1:
      line = CreditLine(0, "0.0000000000000000001");  // 19 decimals
      break;
    case 2:
      line = R"({"event":"credit","orchestrator_id":"orch-1","amount":"1","amount":"2","n":)" + n +
             "}\n";
      break;
    case 3:
      line = R"({"event":"debit","orchestrator_id":"orch-1","amount":"0.1","n":)" + n + "}\n";
      break;
    case 4:
      line = CreditLine(1, "1e400");
      break;
    case 5:
      line = R"({"event":"credit","orchestrator_id":"","amount":"0.1","n":)" + n + "}\n";
      break;
    case 6:
      line = "\xff\xfe" + n + "\n";
      break;
    default:
      line = R"({"event":"credit","amount":"0.1","n":)" + n + "}\n";
      break;
  }
  Take(line);
  truth_->rejected[lines_.back().id] = true;
}

void JournalWriter::BeginPartial(uint64_t account, uint64_t wei) {
  FinishPartial();
  const std::string line = CreditLine(account, Ether(wei));
  TakeCredit(line, account, EventTruth::Kind::kCredit, wei);
  const size_t half = line.size() / 2;
  rest_ = line.substr(half);
  folder_->Truncate(kJournal, folder_->Bytes(kJournal).size() - rest_.size());
}

void JournalWriter::FinishPartial() {
  if (rest_.empty()) return;
  folder_->Append(kJournal, rest_);
  rest_.clear();
}

bool JournalWriter::Rotate() {
  FinishPartial();
  if (lines_.empty()) return false;
  rotated_ = absl::StrCat(kJournal, ".", ++rotations_);
  folder_->Rename(kJournal, rotated_);
  lines_.clear();
  return true;
}

void JournalWriter::Late(uint64_t account, uint64_t wei) {
  if (rotated_.empty()) return;
  const std::string line = CreditLine(account, Ether(wei));
  all_.push_back(line);
  folder_->Append(rotated_, line);
  Note(IdOf(line), account, EventTruth::Kind::kCredit, wei);
}

void JournalWriter::EditRegistry(uint64_t account) {
  edited_ = account % kKnownAccounts;
  WriteRegistry();
}

void JournalWriter::RestoreRegistry() {
  edited_ = kAccounts;
  WriteRegistry();
}

void JournalWriter::Lose(uint64_t from) {
  for (const Line& line : lines_) {
    if (line.end <= from) continue;
    const auto event = truth_->events.find(line.id);
    if (event != truth_->events.end()) event->second.must = event->second.readable = false;
    const auto rejected = truth_->rejected.find(line.id);
    if (rejected != truth_->rejected.end()) rejected->second = false;
  }
}

void JournalWriter::Truncate(uint64_t choice) {
  FinishPartial();
  const uint64_t size = folder_->Bytes(kJournal).size();
  const uint64_t to = size - std::min(size, choice % 1000);
  Lose(to);
  folder_->Truncate(kJournal, to);
  std::erase_if(lines_, [to](const Line& line) { return line.end > to; });
  // Its writer starts a new line after what is left of an old one.
  const std::string_view left = folder_->Bytes(kJournal);
  if (!left.empty() && left.back() != '\n') folder_->Append(kJournal, "\n");
}

void JournalWriter::Damage(uint64_t choice) {
  FinishPartial();
  const uint64_t size = folder_->Bytes(kJournal).size();
  const uint64_t length = std::min(size, 1 + choice % 300);
  const uint64_t from = size - length;
  Lose(from);
  folder_->Overwrite(kJournal, from, std::string(length - (length > 0), '#') + "\n");
  std::erase_if(lines_, [from](const Line& line) { return line.end > from; });
}

void JournalWriter::CopyTruncate() {
  FinishPartial();
  if (lines_.empty()) return;
  // What was not read by now is in a file that nobody follows from here.
  Lose(0);
  folder_->Replace(absl::StrCat(kJournal, ".", ++rotations_),
                   std::string(folder_->Bytes(kJournal)));
  folder_->Truncate(kJournal, 0);
  lines_.clear();
}

}  // namespace coffer::sim
