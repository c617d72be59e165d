// The reader on its own thread: answers come home, overload is said, the index follows the head.
#include "actors/host/log/log_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <future>

#include "runtime/event_loop.h"
#include "tests/unit/host_log/reader_support.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

class LogReaderTest : public ::testing::Test {
 protected:
  void Start(size_t questions = 256, absl::Duration poll = absl::Milliseconds(10)) {
    reader_ = std::make_unique<LogReader>(LogReader::Options{.folder = log_.folder(),
                                                             .index_path = log_.index_path(),
                                                             .questions = questions,
                                                             .poll = poll},
                                          own_.loop(), home_.loop());
    own_.RunAndWait([&] { reader_->Start(); });
  }

 public:
  ~LogReaderTest() override {
    if (reader_ != nullptr) own_.RunAndWait([&] { reader_->Stop(); });
    own_.StopAndJoin();
    home_.StopAndJoin();
  }

 protected:
  template <typename T>
  std::future<absl::StatusOr<T>> Ask(absl::AnyInvocable<absl::StatusOr<T>(LogView&)> question) {
    auto promise = std::make_shared<std::promise<absl::StatusOr<T>>>();
    auto future = promise->get_future();
    reader_->Ask<T>(std::move(question), [this, promise](absl::StatusOr<T> answer) {
      EXPECT_EQ(std::this_thread::get_id(), home_id_);
      promise->set_value(std::move(answer));
    });
    return future;
  }
  std::future<absl::StatusOr<LogLeaf>> AskLeaf(const std::string& event_id) {
    return Ask<LogLeaf>([event_id](LogView& view) -> absl::StatusOr<LogLeaf> {
      return view.Leaf(EventName{event_id});
    });
  }

  static std::thread::id IdOf(runtime::EventLoopThread& thread) {
    std::thread::id id;
    thread.RunAndWait([&] { id = std::this_thread::get_id(); });
    return id;
  }

  TestLog log_;
  runtime::EventLoopThread own_{"reader"};
  runtime::EventLoopThread home_{"home"};
  const std::thread::id home_id_ = IdOf(home_);
  std::unique_ptr<LogReader> reader_;
};

TEST_F(LogReaderTest, ANewHeadIsSeenWhenTheReaderIsTold) {
  Start(256, absl::Hours(1));
  log_.Publish(300);
  own_.RunAndWait([] {});
  EXPECT_EQ(reader_->stats().published, 0u) << "nobody has told it";
  own_.RunAndWait([&] { reader_->Wake(); });
  EXPECT_EQ(reader_->stats().published, 300u);
  EXPECT_GT(reader_->stats().indexed, 0u);
}

TEST_F(LogReaderTest, AnswersAtHomeAndFollowsTheHead) {
  Start();
  EXPECT_EQ(AskLeaf("ev-1").get().status().code(), absl::StatusCode::kOutOfRange);
  log_.Publish(300);
  EXPECT_EQ(AskLeaf("ev-299").get()->index, 299u) << "findable as soon as it is published";
  log_.Publish(310);
  EXPECT_EQ(AskLeaf("ev-309").get()->index, 309u);
  EXPECT_EQ(AskLeaf("ev-311").get().status().code(), absl::StatusCode::kNotFound);
  std::promise<absl::StatusOr<audit::Proof>> proof;
  reader_->Consistency(300, 310,
                       [&](absl::StatusOr<audit::Proof> p) { proof.set_value(std::move(p)); });
  EXPECT_GT(proof.get_future().get()->size(), 0u);
  const LogReader::Stats stats = reader_->stats();
  EXPECT_EQ(stats.questions, 5u);
  EXPECT_EQ(stats.published, 310u);
  EXPECT_EQ(stats.indexed, 310u);
  EXPECT_EQ(stats.failures + stats.overloads + stats.rebuilds, 0u);
}

TEST_F(LogReaderTest, CatchesUpInTheBackground) {
  log_.Publish(20'000);
  Start();
  for (int tries = 0; tries < 1000 && reader_->stats().indexed < 20'000; ++tries) usleep(10'000);
  EXPECT_EQ(reader_->stats().indexed, 20'000u);
  EXPECT_EQ(AskLeaf("ev-19999").get()->index, 19'999u);
  // After a restart nothing is done twice.
  own_.RunAndWait([&] { reader_->Stop(); });
  reader_.reset();
  Start();
  EXPECT_EQ(reader_->stats().indexed, 20'000u);
}

TEST_F(LogReaderTest, OneQuestionTooManyIsTurnedAwayAndSaid) {
  log_.Publish(300);
  Start(4);
  std::promise<void> hold;
  std::promise<void> begun;
  std::shared_future<void> held = hold.get_future().share();
  auto first = Ask<int>([&begun, held](LogView&) -> absl::StatusOr<int> {
    begun.set_value();
    held.wait();
    return 1;
  });
  begun.get_future().wait();
  std::deque<std::future<absl::StatusOr<int>>> waiting;
  for (int i = 0; i < 4; ++i) {
    waiting.push_back(Ask<int>([i](LogView&) -> absl::StatusOr<int> { return i; }));
  }
  const absl::StatusOr<int> refused =
      Ask<int>([](LogView&) -> absl::StatusOr<int> { return 9; }).get();
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("ask again"));
  hold.set_value();
  EXPECT_EQ(*first.get(), 1);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(*waiting[static_cast<size_t>(i)].get(), i);
  EXPECT_EQ(reader_->stats().overloads, 1u);
}

}  // namespace
}  // namespace coffer::host
