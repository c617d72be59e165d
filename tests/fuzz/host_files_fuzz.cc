// What a host finds on its disk: any bytes as each of its files. Nothing crashes or takes more
// than the file, what is accepted is written back the same, and what a writer wrote is read back
// whole, or, torn and damaged as the input says, never as something else.
//
// Input: a byte that chooses the file, and its content.
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actors/host/cursor.h"
#include "actors/host/dead_letter_replay.h"
#include "actors/host/dead_letters.h"
#include "actors/host/log/log_folder.h"
#include "actors/host/log/log_store.h"
#include "actors/host/record_entry.h"
#include "actors/host/registry.h"
#include "actors/host/segment_file.h"
#include "actors/host/snapshot_file.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/quiet.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {
namespace {

using fuzz::Input;

void Put(FaultyDisk& disk, const std::string& name, std::string_view content) {
  auto file = disk.Create(name);
  COFFER_CHECK(file.ok() && (*file)->Write(0, content).ok() && (*file)->Sync().ok(), "a file");
}

void ReadCursor(std::string_view content) {
  FaultyDisk disk;
  Put(disk, "cursor", content);
  const auto cursor = LoadCursor(disk, "cursor");
  if (!cursor.ok()) {
    COFFER_CHECK(absl::IsDataLoss(cursor.status()), "a file that is no cursor is DataLoss");
    return;
  }
  COFFER_CHECK(SaveCursor(disk, "again", *cursor).ok(), "what was read can be saved");
  const auto again = LoadCursor(disk, "again");
  COFFER_CHECK(again.ok() && again->offset == cursor->offset && again->head == cursor->head &&
                   again->tail == cursor->tail && again->path == cursor->path &&
                   again->generation == cursor->generation &&
                   again->dead_letters == cursor->dead_letters,
               "and read again");
}

void ReadDeadLetters(std::string_view content) {
  FaultyDisk disk;
  Put(disk, "letters", content);
  const auto letters = DeadLetters::Open(&disk, "letters", 0);
  if (!letters.ok()) return;
  COFFER_CHECK((*letters)->size() <= content.size(), "nothing is invented");
  auto file = disk.Open("letters");
  DeadLetterReader reader(file->get(), 0, (*letters)->size());
  size_t entries = 0;
  for (auto entry = reader.Next(); entry.ok() && entry->has_value(); entry = reader.Next()) {
    COFFER_CHECK((*entry)->line.size() <= content.size(), "a line is no longer than the file");
    ++entries;
  }
  COFFER_CHECK(entries + reader.damaged() <= 1 + content.size(), "an entry is a line");
  const auto replay = DeadLetterReplay::Open(&disk, "letters", (*letters)->size());
  COFFER_CHECK(replay.ok(), "a file that is there is replayed");
  for (size_t i = 0; i < 2 + content.size(); ++i) {
    const auto chunk = (*replay)->Next();
    if (!chunk.ok() || *chunk == nullptr) return;
  }
  COFFER_CHECK(false, "a replay ends");
}

// All records of a segment, or nothing when it is damaged.
std::optional<std::vector<std::string>> Records(Disk& disk, bool last) {
  std::vector<std::string> records;
  auto reader = SegmentReader::Open(disk, 7, last);
  if (!reader.ok()) return std::nullopt;
  for (;;) {
    auto group = reader->Next();
    if (!group.ok()) return std::nullopt;
    if (!group->has_value()) return records;
    COFFER_CHECK((*group)->first_sequence == 7 + records.size(), "sequences have no gap");
    for (std::string& record : (*group)->records) {
      COFFER_CHECK(!record.empty(), "no record is empty");
      records.push_back(std::move(record));
    }
  }
}

void ReadSegment(std::string_view content) {
  FaultyDisk disk;
  Put(disk, SegmentName(7), content);
  const auto last = Records(disk, true);
  const auto middle = Records(disk, false);
  COFFER_CHECK(!middle.has_value() || last == middle, "a torn end is the last one's alone");
}

// Groups as a host writes them; then a part of the file is zeros or cut off, as a crash leaves the
// last group, or one bit is another.
void DamageSegment(Input input) {
  FaultyDisk disk;
  std::string file = EncodeSegmentHeader(7);
  std::vector<std::string> written;
  std::vector<size_t> durable;  // records that are whole before this group
  std::vector<size_t> starts;
  const size_t groups = 1 + input.Below(4);
  for (size_t g = 0; g < groups; ++g) {
    std::vector<std::string> records;
    for (size_t i = 1 + input.Below(3); i > 0; --i) {
      records.emplace_back(1 + input.Number(2) % 1500,
                           static_cast<char>('a' + input.Below(26)));  // no sector of zeros
    }
    durable.push_back(written.size());
    starts.push_back(file.size());
    file += EncodeGroup(7 + written.size(), records);
    written.insert(written.end(), records.begin(), records.end());
    file.resize(AlignToSector(file.size()));
  }
  file.resize(file.size() + kSectorBytes * input.Below(4));  // allocated beforehand
  const std::string whole = file;
  const size_t how = input.Below(3);
  const size_t at = input.Number(3) % file.size();
  if (how == 0) {
    // A crash while the last group was written: some of its sectors are still zeros.
    const uint8_t lost = input.Byte();
    for (size_t s = 0; starts.back() + s * kSectorBytes < file.size(); ++s) {
      if ((lost >> (s % 8) & 1) == 0) continue;
      file.replace(starts.back() + s * kSectorBytes, kSectorBytes, kSectorBytes, '\0');
    }
  } else if (how == 1) {
    file[at] = static_cast<char>(file[at] ^ 1 << input.Below(8));
  }
  Put(disk, SegmentName(7), file);
  const auto records = Records(disk, true);
  if (file == whole) {
    COFFER_CHECK(records == written, "what was written is read");
  } else if (how == 0) {
    std::vector<std::string> before(written.begin(),
                                    written.begin() + static_cast<std::ptrdiff_t>(durable.back()));
    COFFER_CHECK(records == before || records == written, "a torn end is dropped as a whole");
  } else if (records.has_value()) {
    COFFER_CHECK(*records == written, "a changed bit is an error, or was of no record");
  }
}

void ReadSnapshot(std::string_view content) {
  FaultyDisk disk;
  Put(disk, SnapshotName(5), content);
  auto reader = SnapshotReader::Open(disk, 5);
  if (!reader.ok()) return;
  std::vector<std::string> chunks;
  for (;;) {
    auto chunk = reader->Next();
    if (!chunk.ok()) return;
    if (!chunk->has_value()) break;
    chunks.push_back(**std::move(chunk));
  }
  COFFER_CHECK(chunks.size() == reader->chunk_count(), "all chunks are there");
  FaultyDisk fresh;
  auto writer = SnapshotWriter::Create(fresh, 5, reader->chunk_count());
  COFFER_CHECK(writer.ok() && writer->Append(chunks).ok(), "what was read can be written");
  COFFER_CHECK(fresh.Contents(SnapshotName(5)) == content, "a snapshot has one form");
}

void ReadEntry(std::string_view content) {
  const auto entry = ParseEntry(content);
  if (!entry.ok()) return;
  COFFER_CHECK(entry->sealed.size() + entry->leaves.size() <= content.size(), "views into it");
  const std::string again =
      EncodeEntry(std::string(entry->sealed), entry->leaves, entry->tree_size);
  const auto parsed = ParseEntry(again);
  COFFER_CHECK(parsed.ok() && parsed->sealed == entry->sealed && parsed->leaves == entry->leaves &&
                   parsed->tree_size == entry->tree_size,
               "what is written is read back");
  (void)CountLeaves(entry->leaves);
}

void ReadRegistry(std::string_view content) {
  const int fd = memfd_create("registry", 0);
  COFFER_CHECK(
      fd >= 0 && write(fd, content.data(), content.size()) == static_cast<ssize_t>(content.size()),
      "a file in memory");
  Registry registry(absl::StrCat("/proc/self/fd/", fd));
  const absl::Status first = registry.Reload();
  const size_t size = registry.size();
  COFFER_CHECK(first.ok() || size == 0, "a file is taken in whole or not at all");
  COFFER_CHECK(registry.Reload().ok() == first.ok() && registry.size() == size &&
                   registry.conflicts().empty(),
               "the same file again changes nothing");
  close(fd);
}

void ReadLogFiles(std::string_view content) {
  if (const auto mark = ParseDurableMark(content); mark.ok()) {
    COFFER_CHECK(FormatDurableMark(*mark) == content, "a mark has one form");
  }
  if (const auto head = ParsePublishedHead(std::string(content)); head.ok()) {
    COFFER_CHECK(head->note == content && !head->log_key_id.empty(), "a head is its note");
  }
}

void ReadNames(std::string_view name) {
  if (const auto sequence = ParseSegmentName(name); sequence.has_value()) {
    COFFER_CHECK(SegmentName(*sequence) == name, "a segment has one name");
  }
  if (const auto sequence = ParseSnapshotName(name); sequence.has_value()) {
    COFFER_CHECK(SnapshotName(*sequence) == name, "a snapshot has one name");
  }
}

}  // namespace
}  // namespace coffer::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coffer::host;  // NOLINT(google-build-using-namespace): one function, not a header
  coffer::fuzz::QuietLog();
  coffer::fuzz::Input input(data, size);
  switch (input.Below(9)) {
    case 0:
      ReadCursor(input.rest());
      break;
    case 1:
      ReadDeadLetters(input.rest());
      break;
    case 2:
      ReadSegment(input.rest());
      break;
    case 3:
      DamageSegment(input);
      break;
    case 4:
      ReadSnapshot(input.rest());
      break;
    case 5:
      ReadEntry(input.rest());
      break;
    case 6:
      ReadRegistry(input.rest());
      break;
    case 7:
      ReadLogFiles(input.rest());
      break;
    default:
      ReadNames(input.rest());
  }
  return 0;
}
