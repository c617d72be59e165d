#include "actors/host/log/tile_proofs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "absl/strings/str_cat.h"
#include "runtime/test_dispatcher.h"
#include "tests/unit/audit/support.h"

namespace coffer::host {
namespace {

using ::testing::HasSubstr;

// A log's folder in memory that is only read.
class MemoryFiles final : public LogFiles {
 public:
  absl::Status Write(std::string_view, std::string_view) override { return Never(); }
  absl::Status WriteDurably(std::string_view, std::string_view) override { return Never(); }
  absl::StatusOr<std::string> Read(std::string_view path) override {
    const auto found = files.by_path.find(std::string(path));
    if (found == files.by_path.end()) return absl::NotFoundError("not there");
    return found->second;
  }
  absl::Status RemoveFolder(std::string_view) override { return Never(); }
  absl::Status SyncAll() override { return Never(); }
  const std::string& path() const override { return name_; }

  audit::Files files;

 private:
  static absl::Status Never() {
    ADD_FAILURE() << "proofs only read";
    return absl::OkStatus();
  }
  const std::string name_ = "memory";
};

class TileProofsTest : public ::testing::Test {
 protected:
  // The log grows to `size`, and its tiles are written.
  void Cut(uint64_t size) {
    while (writer.size() < size) {
      const std::string entry = absl::StrCat("entry ", writer.size());
      ASSERT_TRUE(writer.Append(entry).ok());
      leaves.push_back(audit::LeafHash(entry));
    }
    files.files.Put(writer.Take());
  }
  absl::StatusOr<audit::Proof> Ask(uint64_t first, uint64_t second) {
    std::optional<absl::StatusOr<audit::Proof>> got;
    proofs->Consistency(first, second, [&](auto proof) { got = std::move(proof); });
    EXPECT_FALSE(got.has_value());
    scheduler.RunUntilIdle();
    return got.value_or(absl::InternalError("no answer"));
  }

  runtime::TestScheduler scheduler{audit::TestSeed()};
  runtime::TestDispatcher* home = scheduler.NewDispatcher("home");
  runtime::TestDispatcher* work = scheduler.NewDispatcher("work");
  audit::TileWriter writer;
  audit::Hashes leaves;
  MemoryFiles files;
  std::unique_ptr<TileProofs> proofs = std::make_unique<TileProofs>(&files, work, home);
};

TEST_F(TileProofsTest, LeadFromAnySizeToTheOneThatWasCut) {
  for (const uint64_t size : {1, 2, 3, 255, 256, 257, 511, 512, 700}) {
    Cut(size);
    for (const uint64_t first : {1, 2, 200, 255, 256, 257, 512, 699}) {
      if (first > size) continue;
      const auto proof = Ask(first, size);
      ASSERT_TRUE(proof.ok()) << first << " " << size << ": " << proof.status();
      EXPECT_TRUE(audit::VerifyConsistency(first, size, audit::NaiveRoot(leaves, 0, first),
                                           audit::NaiveRoot(leaves, 0, size), *proof)
                      .ok());
    }
  }
}

TEST_F(TileProofsTest, SayWhatIsMissing) {
  Cut(300);
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(0, 300).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Ask(301, 300).status()));
  EXPECT_THAT(std::string(Ask(10, 299).status().message()),
              HasSubstr("tile/0/001.p/43 is missing"));
  files.files.by_path["tile/0/000"].pop_back();
  EXPECT_TRUE(absl::IsDataLoss(Ask(10, 300).status()));
}

TEST_F(TileProofsTest, NothingIsAnsweredAfterItsEnd) {
  Cut(9);
  proofs->Consistency(3, 9, [](const auto&) { ADD_FAILURE() << "answered"; });
  proofs.reset();
  scheduler.RunUntilIdle();
}

}  // namespace
}  // namespace coffer::host
