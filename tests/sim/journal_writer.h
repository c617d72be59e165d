// The backend that writes the journal: appends lines, in pieces, again, garbage among them;
// rotates, truncates and damages the file; and keeps the truth about it.
#ifndef COFFER_TESTS_SIM_JOURNAL_WRITER_H_
#define COFFER_TESTS_SIM_JOURNAL_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/sim/journal_folder.h"
#include "tests/sim/truth.h"

namespace coffer::sim {

inline constexpr char kJournal[] = "/journal/credits.jsonl";
inline constexpr char kRegistry[] = "/journal/registry.json";

class JournalWriter {
 public:
  JournalWriter(JournalFolder* folder, Truth* truth);

  void Credit(uint64_t account, uint64_t wei);
  void Correction(uint64_t account, uint64_t wei);
  void Repeat(uint64_t choice);
  void Skipped(uint64_t choice);
  void Bad(uint64_t choice);
  // Half of a credit's line; the rest comes with FinishPartial, which any other call implies.
  void BeginPartial(uint64_t account, uint64_t wei);
  void FinishPartial();
  // The registry has everybody from now on.
  void RegisterAll();
  bool all_registered() const { return registered_ == kAccounts; }

  bool Rotate();  // false when there is nothing to rotate
  // A credit that its writer still puts into the file that was rotated last.
  void Late(uint64_t account, uint64_t wei);
  // The registry's file names somebody else for this account, until Restore.
  void EditRegistry(uint64_t account);
  void RestoreRegistry();
  void Truncate(uint64_t choice);
  void Damage(uint64_t choice);
  void CopyTruncate();

 private:
  struct Line {
    uint64_t begin = 0, end = 0;  // in the present file
    std::string id;
    std::string bytes;
  };
  std::string CreditLine(uint64_t account, const std::string& amount);
  void Take(const std::string& line);
  void Note(const std::string& id, uint64_t account, EventTruth::Kind kind, uint64_t wei);
  void TakeCredit(const std::string& line, uint64_t account, EventTruth::Kind kind, uint64_t wei);
  void WriteRegistry();
  // Whether the bytes from `from` on were taken in is not known any more: they are lost, or not.
  void Lose(uint64_t from);

  JournalFolder* const folder_;
  Truth* const truth_;
  std::vector<Line> lines_;       // of the present file
  std::vector<std::string> all_;  // credits ever written, to be repeated
  std::string rest_;              // of a partial line
  uint64_t unique_ = 0;
  uint64_t rotations_ = 0;
  std::string rotated_;          // the name that Rotate gave last
  uint64_t edited_ = kAccounts;  // the account that is given away, or none
  uint64_t registered_ = kKnownAccounts;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_JOURNAL_WRITER_H_
