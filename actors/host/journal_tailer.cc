#include "actors/host/journal_tailer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {
namespace {

namespace v1 = boundary::v1;
using runtime::Level;

constexpr char kComponent[] = "journal";
constexpr size_t kMaxBufferedLetters =
    1u << 20;  // bytes; then they are written, and reading waits for that
constexpr size_t kUsualEventBytes = 160;  // of a request

TailFile::Options TailOptions(const JournalOptions& options) {
  return {.path = options.path,
          .cursor = options.cursor,
          .follow = true,
          .chunk_bytes = options.chunk_bytes,
          .rotation_grace = options.rotation_grace};
}

}  // namespace

JournalTailer::JournalTailer(runtime::Dispatcher* dispatcher, JournalFiles* files, Disk* disk,
                             EnclaveClient* client, Registry* registry, JournalOptions options)
    : dispatcher_(dispatcher),
      files_(files),
      disk_(disk),
      registry_(registry),
      options_(std::move(options)),
      window_(dispatcher, client, this, options_.window),
      tail_(files, disk, TailOptions(options_)) {}

JournalTailer::~JournalTailer() = default;

absl::Status JournalTailer::Start() {
  if (absl::Status status = tail_.Start(dispatcher_->Now()); !status.ok()) return status;
  auto letters = DeadLetters::Open(disk_, options_.dead_letters, tail_.dead_letters_at_start());
  if (!letters.ok()) return letters.status();
  letters_ = *std::move(letters);
  letters_done_ = std::min(tail_.dead_letters_at_start(), letters_->size());
  place_ = tail_.place();
  done_ = saved_ = place_.offset;
  saved_generation_ = tail_.generation_at_start();
  started_ = true;
  // Before anything of a file is taken in, the cursor names it: it may be rotated while we are
  // dead.
  Commit();
  OnTick();
  return absl::OkStatus();
}

void JournalTailer::Stop() {
  if (!started_) return;
  Commit();
  started_ = false;
  tick_.reset();
}

// The timer is what finds appends when no watcher does, rotations, a registry that changed, and
// retries of a full disk.
void JournalTailer::OnTick() {
  if (!started_) return;
  const absl::Time now = dispatcher_->Now();
  if (now >= next_registry_) {
    next_registry_ = now + options_.registry_interval;
    registry_->ReloadIfChanged();
  }
  const bool nothing = caught_up() && trouble().empty();
  quiet_ticks_ = nothing ? std::min(quiet_ticks_ + 1, JournalOptions::kQuietTicks) : 0;
  Schedule();
  ArmTick();
}

void JournalTailer::ArmTick() {
  const int factor = quiet() ? JournalOptions::kQuietFactor : 1;
  tick_ = dispatcher_->After(factor * options_.poll, [this] { OnTick(); });
}

void JournalTailer::Schedule() {
  if (scheduled_ || !started_) return;
  scheduled_ = true;
  dispatcher_->Post([this, alive = std::weak_ptr<bool>(alive_)] {
    if (alive.expired()) return;
    scheduled_ = false;
    Work();
  });
}

// One chunk at most, then others have their turn.
void JournalTailer::Work() {
  if (!started_) return;
  const absl::Time now = dispatcher_->Now();
  if (letters_->buffered() > kMaxBufferedLetters && !SyncLetters()) return;
  SwitchJobs();
  const bool more = PushStaged() && ReadSome();
  const bool unsaved = done_ != saved_ || letters_->buffered() > 0 ||
                       (source() != nullptr && source()->place().generation != saved_generation_);
  if (unsaved && now >= next_commit_) {
    next_commit_ = now + options_.cursor_interval;
    Commit();
  }
  const TailFile* const file = source();
  if (file != nullptr) {
    progress_.Report(now, metrics_.lines, metrics_.bytes, file->lag_bytes());
  }
  SwitchJobs();
  if (quiet() && !caught_up()) {
    quiet_ticks_ = 0;
    ArmTick();
  }
  if (more) Schedule();
}

// True when there may be more to read now.
bool JournalTailer::ReadSome() {
  // A replay waits for the window. When that is empty and the cursor still cannot be saved, the
  // file may have been replaced, and only reading finds that out.
  if (job_ == nullptr && !jobs_.empty() && !Drained()) return false;
  TailFile* const file = source();
  return file == nullptr ? ReadLetters() : ReadFile(*file);
}

bool JournalTailer::ReadFile(TailFile& file) {
  absl::StatusOr<LineRead> read = file.Next(dispatcher_->Now(), Drained());
  if (!read.ok()) {
    ++metrics_.read_errors;
    read_trouble_ = absl::StrCat("the journal cannot be read: ", read.status().message());
    static runtime::LogEvery log(absl::Seconds(10));
    log.Log(Level::kError, kComponent, "the journal cannot be read; trying again",
            {{"path", file.path()}, {"error", read.status()}});
    return false;
  }
  read_trouble_.clear();
  const LinePlace place = file.place();
  if (place.generation != place_.generation)
    done_ = 0;  // another file, and nothing of the old one is under way
  place_ = place;
  if (read->kind == LineRead::Kind::kFinished) {
    if (Commit()) FinishJob(absl::OkStatus());
    return false;
  }
  if (read->kind == LineRead::Kind::kEnd) {
    if (letters_known_ && job_ == nullptr && Drained() && place.path == options_.path &&
        file.lag_bytes() == 0) {
      letters_->Forget();
      letters_known_ = false;
    }
    return false;
  }
  TakeRead(*std::move(read));
  return PushStaged();
}

bool JournalTailer::ReadLetters() {
  absl::StatusOr<std::shared_ptr<const Chunk>> chunk = job_->letters->Next();
  if (!chunk.ok()) {
    if (Drained()) FinishJob(chunk.status());
    return false;
  }
  if (*chunk == nullptr) {
    if (!Drained()) return false;
    if (SyncLetters()) FinishJob(absl::OkStatus());
    return false;
  }
  if (!(*chunk)->bytes.empty()) TakeChunk(*std::move(chunk));
  return PushStaged();
}

// True when nothing waits for room.
bool JournalTailer::PushStaged() {
  while (!staged_.empty() && !window_.full()) {
    Batch batch = std::move(staged_.front());
    staged_.pop_front();
    window_.Push(std::move(batch));
  }
  return staged_.empty();
}

void JournalTailer::TakeRead(LineRead read) {
  if (read.kind == LineRead::Kind::kLines) {
    TakeChunk(std::move(read.chunk));
    return;
  }
  BuryLong(
      read.kind == LineRead::Kind::kPartial ? RejectReason::kNoNewline : RejectReason::kTooLong,
      read.long_line);
  ++metrics_.lines;
  metrics_.bytes += read.long_line.length;
  Batch batch;
  batch.end = read.long_line.offset + read.long_line.length;
  batch.letters = letters_->position();
  staged_.push_back(std::move(batch));
}

void JournalTailer::TakeChunk(std::shared_ptr<const Chunk> chunk) {
  const std::string& bytes = chunk->bytes;
  Batch batch;
  for (size_t begin = 0; begin < bytes.size();) {
    const size_t end = bytes.find('\n', begin) + 1;
    COFFER_CHECK(end != 0, "a chunk ends in the middle of a line");
    TakeLine(*chunk,
             {.begin = static_cast<uint32_t>(begin), .length = static_cast<uint32_t>(end - begin)},
             batch);
    begin = end;
    if (batch.lines.size() < options_.max_events && begin < bytes.size()) continue;
    batch.chunk = chunk;
    batch.end = chunk->base + end;
    batch.letters = letters_->position();
    staged_.push_back(std::exchange(batch, Batch()));
  }
  metrics_.bytes += bytes.size();
}

void JournalTailer::TakeLine(const Chunk& chunk, LineRef ref, Batch& batch) {
  const std::string_view line = std::string_view(chunk.bytes).substr(ref.begin, ref.length);
  const uint64_t offset = chunk.base + ref.begin;
  ++metrics_.lines;
  if (job_ != nullptr) ++job_->summary.lines;
  const ParsedLine parsed = parser_.Parse(line);
  if (const Skipped* const skipped = std::get_if<Skipped>(&parsed)) {
    ++(skipped->kind == Skipped::Kind::kZero ? metrics_.skipped_zero
                                             : metrics_.skipped_set_balance);
    return;
  }
  if (const Rejected* const rejected = std::get_if<Rejected>(&parsed)) {
    Bury(rejected->reason, 0, rejected->detail, line, offset);
    return;
  }
  const Credit& credit = std::get<Credit>(parsed);
  const ethereum::Address* const recipient = registry_->Find(credit.orchestrator_id);
  if (recipient == nullptr) {
    Bury(RejectReason::kUnknownOrchestrator, v1::ERROR_UNSPECIFIED,
         "the registry has no such orchestrator_id; add it, then replay the dead letters", line,
         offset);
    return;
  }
  ++metrics_.credits;
  if (batch.lines.empty()) {
    batch.events.reserve(options_.max_events * kUsualEventBytes);
    batch.lines.reserve(options_.max_events);
  }
  AddEvent(credit, *recipient, &batch.events);
  batch.lines.push_back(ref);
}

// The same message serves one event after the other, so that its texts keep their room.
// Concatenated, requests of one event are one request of all of them (protobuf's encoding of
// repeated fields).
void JournalTailer::AddEvent(const Credit& credit, const ethereum::Address& recipient,
                             std::string* out) {
  v1::Event& event = one_.events_size() == 0 ? *one_.add_events() : *one_.mutable_events(0);
  event.set_id(credit.event_id.text.data(), credit.event_id.text.size());
  event.set_kind(credit.kind == Credit::Kind::kCredit ? v1::Event::KIND_CREDIT
                                                      : v1::Event::KIND_ADJUST_DOWN);
  event.set_account(credit.orchestrator_id);
  event.set_recipient(recipient.bytes.data(), recipient.bytes.size());
  event.mutable_amount()->set_high(absl::Uint128High64(credit.wei));
  event.mutable_amount()->set_low(absl::Uint128Low64(credit.wei));
  COFFER_CHECK(one_.AppendToString(out), "an event can be written");
}

// The same lines give the same events: the registry forgets and changes nothing that it once told.
std::string JournalTailer::BuildEvents(const Batch& batch) {
  std::string events;
  for (size_t i = 0; i < batch.lines.size(); ++i) {
    const ParsedLine parsed = parser_.Parse(batch.line(i));
    const Credit* const credit = std::get_if<Credit>(&parsed);
    const ethereum::Address* const recipient =
        credit == nullptr ? nullptr : registry_->Find(credit->orchestrator_id);
    COFFER_CHECK(recipient != nullptr, "a line that was an event is none any more");
    AddEvent(*credit, *recipient, &events);
  }
  return events;
}

void JournalTailer::Bury(RejectReason reason, int code, std::string_view detail,
                         std::string_view line, uint64_t offset) {
  if (job_ != nullptr) ++job_->summary.left;
  if (job_ != nullptr && job_->letters != nullptr) return;  // it is in there
  ++metrics_.dead_letters[static_cast<size_t>(reason)];
  LinePlace place = place_;
  place.offset = offset;
  letters_->Add({.place = std::move(place),
                 .reason = reason,
                 .code = code,
                 .detail = detail,
                 .line = line,
                 .length = line.size(),
                 .sha256 = sha256_.Hash(line)},
                dispatcher_->WallNow());
}

void JournalTailer::BuryLong(RejectReason reason, const LongLine& line) {
  if (job_ != nullptr) {
    ++job_->summary.lines;
    ++job_->summary.left;
  }
  ++metrics_.dead_letters[static_cast<size_t>(reason)];
  LinePlace place = place_;
  place.offset = line.offset;
  letters_->Add({.place = std::move(place),
                 .reason = reason,
                 .code = 0,
                 .detail = reason == RejectReason::kTooLong
                               ? "the line is longer than 1 MiB"
                               : "the file ends without a newline and is not written any more",
                 .line = line.head,
                 .length = line.length,
                 .sha256 = line.sha256},
                dispatcher_->WallNow());
}

void JournalTailer::OnDone(const Batch& batch, const std::vector<v1::EventRefusal>& refusals) {
  std::vector<bool> refused(batch.lines.size(), false);
  for (const v1::EventRefusal& refusal : refusals) {
    refused[refusal.index()] = true;
    const LineRef& line = batch.lines[refusal.index()];
    Bury(RejectReason::kRefused, refusal.error().code(), refusal.error().message(),
         batch.line(refusal.index()), batch.chunk->base + line.begin);
  }
  if (job_ != nullptr) {
    job_->summary.events += batch.lines.size();
    job_->summary.refused += refusals.size();
  }
  if (job_ == nullptr || job_->letters == nullptr) {
    done_ = batch.end;
    if (!letters_known_) letters_done_ = std::max(letters_done_, batch.letters);
    return;
  }
  for (size_t i = 0; i < batch.lines.size(); ++i) {
    if (refused[i]) continue;
    ++metrics_.resolved;
    letters_->Resolve(sha256_.Hash(batch.line(i)), dispatcher_->WallNow());
  }
}

void JournalTailer::OnRoom() { Schedule(); }

}  // namespace coffer::host
