#include "actors/host/log/content_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <random>

#include "actors/host/log/os_log_files.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/faulty_log_files.h"

namespace coffer::host {
namespace {

class ContentStoreTest : public ::testing::Test {
 protected:
  absl::Status Keep(std::vector<std::string> texts) {
    std::optional<absl::Status> kept;
    store->Keep(std::move(texts), [&](absl::Status status) { kept = std::move(status); });
    EXPECT_FALSE(kept.has_value()) << "later, not inside the call";
    scheduler.RunUntilIdle();
    return kept.value_or(absl::InternalError("no answer"));
  }
  absl::StatusOr<std::string> Find(const audit::Hash& hash) {
    absl::StatusOr<std::string> found = absl::InternalError("no answer");
    store->Find(hash, [&](absl::StatusOr<std::string> text) { found = std::move(text); });
    scheduler.RunUntilIdle();
    return found;
  }

  runtime::TestScheduler scheduler{1};
  runtime::TestDispatcher* work = scheduler.NewDispatcher("work");
  runtime::TestDispatcher* home = scheduler.NewDispatcher("home");
  FaultyLogFiles files;
  std::unique_ptr<ContentStore> store = std::make_unique<ContentStore>(&files, work, home);
};

TEST_F(ContentStoreTest, ATextIsFoundByItsHash) {
  ASSERT_TRUE(Keep({R"({"reason":"one"})", R"({"reason":"two"})"}).ok());
  ASSERT_TRUE(Keep({R"({"reason":"one"})"}).ok()) << "again is no error";
  EXPECT_EQ(Find(audit::Sha256(R"({"reason":"two"})")).value(), R"({"reason":"two"})");
  EXPECT_TRUE(absl::IsNotFound(Find(audit::Sha256("three")).status()));
}

TEST_F(ContentStoreTest, WhatWasKeptIsThereAfterACrash) {
  ASSERT_TRUE(Keep({"text"}).ok());
  std::mt19937_64 random(1);  // NOLINT(cert-msc51-cpp): the same faults each time
  files.Restart(random);
  EXPECT_EQ(Find(audit::Sha256("text")).value(), "text");
}

TEST_F(ContentStoreTest, AnAlteredTextIsNotGivenOut) {
  ASSERT_TRUE(Keep({"text"}).ok());
  const std::string digits = audit::Sha256("text").ToHex().substr(2);
  ASSERT_TRUE(files.Write(digits.substr(0, 2) + "/" + digits + ".json", "taxt").ok());
  EXPECT_TRUE(absl::IsDataLoss(Find(audit::Sha256("text")).status()));
  ASSERT_TRUE(Keep({"text"}).ok());
  EXPECT_EQ(Find(audit::Sha256("text")).value(), "text") << "kept again, it is whole again";
}

TEST_F(ContentStoreTest, AnswersEndWithTheStore) {
  bool answered = false;
  store->Keep({"text"}, [&](const absl::Status&) { answered = true; });
  store.reset();
  scheduler.RunUntilIdle();
  EXPECT_FALSE(answered);
}

}  // namespace
}  // namespace coffer::host
