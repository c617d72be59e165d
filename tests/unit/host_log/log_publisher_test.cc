// The publisher in virtual time, against a writer and witnesses that a test plays.
#include "actors/host/log/log_publisher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/host_log/support.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

const audit::NoteSigner& Signer() {
  static const audit::NoteSigner signer = TestSigner("coffer/0xabc");
  return signer;
}

boundary::v1::AuditCheckpoint HeadOf(uint64_t size, const audit::Hash& root) {
  boundary::v1::AuditCheckpoint head;
  head.set_note(NoteOf(size, root));
  head.set_size(size);
  head.set_root(std::string(root.view()));
  return head;
}
boundary::v1::AuditCheckpoint Head(uint64_t size) { return HeadOf(size, RootOf(size)); }

// Answers at once with what the test set.
struct FakeWriter final : runtime::Actor<LogCommand> {
  explicit FakeWriter(runtime::Mailbox<LogEvent>* mailbox) : events(mailbox) {}
  void Receive(LogCommand command) override {
    if (const auto* c = std::get_if<CutLog>(&command)) {
      cuts.push_back(c->size);
      if (!mute) events->Send(LogCut{c->size, cut});
    } else {
      published.push_back(std::get<PublishLog>(command));
      events->Send(LogPublished{published.back().size, publish});
    }
  }
  runtime::Mailbox<LogEvent>* const events;
  absl::Status cut;
  absl::Status publish;
  bool mute = false;
  std::vector<uint64_t> cuts;
  std::vector<PublishLog> published;
};

struct FakeCosigner final : Cosigner {
  explicit FakeCosigner(runtime::Dispatcher* d) : dispatcher(d) {}
  void Cosign(const audit::Checkpoint& head, std::string note, Done done) override {
    asked.push_back(head.size);
    Cosigned answer{change ? change(note) : note, satisfied, sentence};
    timer = dispatcher->After(delay, [done = std::move(done), answer]() mutable { done(answer); });
  }
  runtime::Dispatcher* const dispatcher;
  absl::Duration delay = absl::Milliseconds(300);
  std::function<std::string(const std::string&)> change;
  bool satisfied = true;
  std::string sentence = "one of one";
  std::vector<uint64_t> asked;
  std::unique_ptr<runtime::Timer> timer;
};

// The note with a witness's line.
std::string Cosigned(const std::string& note) {
  audit::Note parsed = *audit::ParseNote(note);
  auto secret = ethereum::SecretBytes::CopyOf(std::string(32, 'w'));
  const auto witness =
      audit::NoteSigner::Create("witness/1", audit::KeyType::kCosignatureV1, *std::move(secret));
  parsed.signatures.push_back(audit::Cosign(parsed.text, 1'700'000'000, *witness));
  return audit::FormatNote(parsed);
}

class LogPublisherTest : public ::testing::Test {
 protected:
  LogPublisherTest()
      : scheduler_(9),
        main_(scheduler_.NewDispatcher("main")),
        thread_(scheduler_.NewDispatcher("store")),
        to_writer_(thread_, "writer", 4),
        from_writer_(main_, "publisher", 4),
        writer_(&from_writer_),
        cosigner_(main_) {
    to_writer_.Bind(&writer_);
    Make(nullptr);
  }

 public:
  ~LogPublisherTest() override {
    main_->Crash();
    thread_->Crash();
  }

 protected:
  void Make(Cosigner* cosigner) {
    publisher_ =
        std::make_unique<LogPublisher>(LogPublisher::Options{}, main_, &to_writer_, cosigner);
    from_writer_.Bind(publisher_.get());
    publisher_->Watch([this](const LogPublisher::Published& p) { seen_.push_back(p); });
    ASSERT_TRUE(publisher_->UseLogKey(Signer().key().ToString()).ok());
  }
  absl::Status Give(const boundary::v1::AuditCheckpoint& head) {
    absl::Status status;
    main_->Post([&] { status = publisher_->OnSignedHead(head); });
    scheduler_.RunUntilIdle();
    return status;
  }
  LogPublisher::Status status() const { return publisher_->status(); }

  runtime::TestScheduler scheduler_;
  runtime::TestDispatcher* main_;
  runtime::TestDispatcher* thread_;
  runtime::Mailbox<LogCommand> to_writer_;
  runtime::Mailbox<LogEvent> from_writer_;
  FakeWriter writer_;
  FakeCosigner cosigner_;
  std::unique_ptr<LogPublisher> publisher_;
  std::vector<LogPublisher::Published> seen_;
};

TEST_F(LogPublisherTest, AHeadIsCutPublishedAndAnnounced) {
  EXPECT_EQ(status().age, absl::InfiniteDuration());
  ASSERT_TRUE(Give(Head(7)).ok());
  EXPECT_EQ(writer_.cuts, std::vector<uint64_t>{7});
  ASSERT_EQ(writer_.published.size(), 1u);
  EXPECT_EQ(writer_.published[0].note, NoteOf(7, RootOf(7)));
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_EQ(seen_[0].size, 7u);
  EXPECT_EQ(seen_[0].root, RootOf(7));
  EXPECT_TRUE(seen_[0].satisfied);
  scheduler_.Advance(absl::Seconds(5));
  EXPECT_EQ(status().age, absl::Seconds(5));
  EXPECT_EQ(status().published_size, 7u);
  EXPECT_EQ(status().waiting, absl::ZeroDuration());
  EXPECT_EQ(status().cycles, 1u) << "once is enough";
}

TEST_F(LogPublisherTest, OfManyHeadsOneASecondIsPublishedTheNewest) {
  for (uint64_t size = 1; size <= 40; ++size) {
    ASSERT_TRUE(Give(Head(size)).ok());
    scheduler_.Advance(absl::Milliseconds(100));
  }
  scheduler_.Advance(absl::Seconds(2));
  EXPECT_EQ(writer_.published.size(), 5u);
  EXPECT_EQ(writer_.cuts.front(), 1u);
  EXPECT_EQ(writer_.cuts[1], 10u) << "the newest after a second";
  EXPECT_EQ(status().published_size, 40u);
  EXPECT_EQ(status().signed_size, 40u);
}

TEST_F(LogPublisherTest, WhatIsRefused) {
  ASSERT_TRUE(Give(Head(7)).ok());
  boundary::v1::AuditCheckpoint other_size = Head(9);
  other_size.set_size(8);
  boundary::v1::AuditCheckpoint other_root = Head(9);
  other_root.set_root(std::string(32, 'r'));
  boundary::v1::AuditCheckpoint no_note = Head(9);
  no_note.set_note("not a note");
  boundary::v1::AuditCheckpoint other_key = Head(9);
  other_key.set_note(
      audit::SignCheckpoint({"coffer/0xabc", 9, RootOf(9), {}}, TestSigner("coffer/0xabc", 'o')));
  boundary::v1::AuditCheckpoint other_log = Head(9);
  other_log.set_note(
      audit::SignCheckpoint({"coffer/2/0xabc", 9, RootOf(9), {}}, TestSigner("coffer/2/0xabc")));
  for (const auto& head : {other_size, other_root, no_note, other_key, other_log}) {
    EXPECT_FALSE(Give(head).ok());
    EXPECT_THAT(status().trouble, HasSubstr("refused"));
  }
  EXPECT_EQ(status().refused, 5u);
  EXPECT_EQ(status().alarm, "");
  EXPECT_EQ(status().signed_size, 7u);
  ASSERT_TRUE(Give(Head(9)).ok());
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(status().published_size, 9u);
  EXPECT_EQ(status().trouble, "");
}

TEST_F(LogPublisherTest, TwoHistoriesAreAnAlarmThatStays) {
  struct Case {
    uint64_t size;
    audit::Hash root;
  };
  for (const Case& c : {Case{6, RootOf(6)}, Case{7, RootOf(8)}}) {
    Make(nullptr);
    ASSERT_TRUE(Give(Head(7)).ok());
    EXPECT_TRUE(absl::IsDataLoss(Give(HeadOf(c.size, c.root))));
    EXPECT_THAT(status().alarm, HasSubstr("two histories"));
    ASSERT_TRUE(Give(Head(20)).ok());
    scheduler_.Advance(absl::Seconds(2));
    EXPECT_EQ(status().published_size, 20u);
    EXPECT_NE(status().alarm, "");
  }
}

TEST_F(LogPublisherTest, AHeadThatIsNotOfTheLogHereIsNeverPublished) {
  writer_.cut = absl::DataLossError("not the one that the enclave signed");
  ASSERT_TRUE(Give(Head(7)).ok());
  scheduler_.Advance(absl::Seconds(30));
  EXPECT_THAT(status().alarm, HasSubstr("not the one"));
  EXPECT_TRUE(writer_.published.empty());
  EXPECT_EQ(writer_.cuts.size(), 1u);
  EXPECT_GE(status().waiting, absl::Seconds(30));
}

TEST_F(LogPublisherTest, LeavesThatAreNotThereYetAreAskedForAgain) {
  writer_.cut = absl::UnavailableError("the log has 3 leaves here yet");
  ASSERT_TRUE(Give(Head(7)).ok());
  scheduler_.Advance(absl::Milliseconds(4500));
  EXPECT_EQ(writer_.cuts.size(), 5u);
  EXPECT_THAT(status().trouble, HasSubstr("3 leaves"));
  writer_.cut = absl::OkStatus();
  writer_.publish = absl::UnavailableError("the log's disk is full");
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_THAT(status().trouble, HasSubstr("full"));
  EXPECT_TRUE(seen_.empty());
  writer_.publish = absl::OkStatus();
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(status().trouble, "");
  EXPECT_EQ(seen_.size(), 1u);
}

TEST_F(LogPublisherTest, WitnessesLinesArePublished) {
  Make(&cosigner_);
  cosigner_.change = Cosigned;
  ASSERT_TRUE(Give(Head(7)).ok());
  EXPECT_TRUE(writer_.published.empty()) << "the tiles first, then the witnesses";
  EXPECT_EQ(writer_.cuts.size(), 1u);
  scheduler_.Advance(absl::Milliseconds(400));
  ASSERT_EQ(writer_.published.size(), 1u);
  EXPECT_EQ(writer_.published[0].note, Cosigned(NoteOf(7, RootOf(7))));
  EXPECT_EQ(status().witnesses, "one of one");
  EXPECT_EQ(seen_[0].sentence, "one of one");
}

TEST_F(LogPublisherTest, SlowWitnessesHoldUpOneHeadAndTheNewestIsNext) {
  Make(&cosigner_);
  cosigner_.delay = absl::Seconds(3);
  for (uint64_t size = 1; size <= 40; ++size) {
    ASSERT_TRUE(Give(Head(size)).ok());
    scheduler_.Advance(absl::Milliseconds(100));
  }
  scheduler_.Advance(absl::Seconds(6));
  EXPECT_EQ(cosigner_.asked, (std::vector<uint64_t>{1, 30, 40}));
}

TEST_F(LogPublisherTest, AnUnsatisfiedQuorumIsPublishedSaidAndAskedAgain) {
  Make(&cosigner_);
  cosigner_.satisfied = false;
  cosigner_.sentence = "witness/1 did not answer";
  ASSERT_TRUE(Give(Head(7)).ok());
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_EQ(seen_.size(), 1u);
  EXPECT_FALSE(seen_[0].satisfied);
  EXPECT_FALSE(status().satisfied);
  scheduler_.Advance(absl::Seconds(16));
  EXPECT_EQ(cosigner_.asked.size(), 2u);
  EXPECT_EQ(seen_.size(), 1u) << "nothing new to publish";
  cosigner_.satisfied = true;
  cosigner_.change = Cosigned;
  scheduler_.Advance(absl::Seconds(16));
  ASSERT_EQ(seen_.size(), 2u);
  EXPECT_TRUE(status().satisfied);
  EXPECT_EQ(writer_.published.back().note, Cosigned(NoteOf(7, RootOf(7))));
  cosigner_.satisfied = false;
  ASSERT_TRUE(Give(Head(8)).ok());
  scheduler_.Advance(absl::Seconds(1));
  ASSERT_TRUE(Give(Head(9)).ok()) << "a new head does not wait for the old one's witnesses";
  scheduler_.Advance(absl::Seconds(1));
  EXPECT_EQ(cosigner_.asked.back(), 9u);
}

TEST_F(LogPublisherTest, WitnessesCannotChangeTheHead) {
  for (const std::function<std::string(const std::string&)>& change :
       {std::function<std::string(const std::string&)>(
            [](const std::string&) { return NoteOf(8, RootOf(8)); }),
        std::function<std::string(const std::string&)>(
            [](const std::string&) { return std::string("garbage"); })}) {
    writer_.published.clear();
    Make(&cosigner_);
    cosigner_.change = change;
    ASSERT_TRUE(Give(Head(7)).ok());
    scheduler_.Advance(absl::Seconds(1));
    ASSERT_EQ(writer_.published.size(), 1u);
    EXPECT_EQ(writer_.published[0].note, NoteOf(7, RootOf(7)));
    EXPECT_FALSE(status().satisfied);
  }
}

TEST_F(LogPublisherTest, AnotherLogKeyIsAnotherLog) {
  EXPECT_TRUE(publisher_->UseLogKey(Signer().key().ToString()).ok());
  EXPECT_FALSE(publisher_->UseLogKey("nonsense").ok());
  EXPECT_EQ(status().alarm, "");
  EXPECT_TRUE(absl::IsFailedPrecondition(
      publisher_->UseLogKey(TestSigner("coffer/0xabc", 'o').key().ToString())));
  EXPECT_THAT(status().alarm, HasSubstr("another log"));
}

TEST_F(LogPublisherTest, AHeadBeforeTheKeyIsRefused) {
  publisher_ = std::make_unique<LogPublisher>(LogPublisher::Options{}, main_, &to_writer_, nullptr);
  from_writer_.Bind(publisher_.get());
  EXPECT_FALSE(Give(Head(7)).ok());
  EXPECT_TRUE(writer_.cuts.empty());
}

}  // namespace
}  // namespace coffer::host
