#include "actors/host/journal_tailer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/unit/host_actors/journal_fixture.h"

namespace coffer::host {
namespace {

using JournalTailerTest = JournalFixture;

TEST_F(JournalTailerTest, AppliesWhatIsThereAndWhatComes) {
  Append(Line(1, "1.5", 0) + Line(2, "-0.25", 1));
  Begin();
  Run();
  ASSERT_EQ(ledger_.order.size(), 2u);
  const auto& up = ledger_.applied[IdOf(Line(1, "1.5", 0))];
  EXPECT_EQ(up.kind(), boundary::v1::Event::KIND_CREDIT);
  EXPECT_EQ(up.account(), "orch-1");
  EXPECT_EQ(up.recipient(), std::string(19, '\0') + '\2');
  EXPECT_EQ(up.amount().low(), 1'500'000'000'000'000'000u);
  EXPECT_EQ(ledger_.applied[IdOf(Line(2, "-0.25", 1))].kind(),
            boundary::v1::Event::KIND_ADJUST_DOWN);
  const std::string late = Line(3, "2", 2);
  Append(late.substr(0, 20));
  Run();
  EXPECT_EQ(ledger_.order.size(), 2u) << "a partial line waits";
  Append(late.substr(20));
  Run();
  EXPECT_EQ(ledger_.order.size(), 3u);
  EXPECT_TRUE(tailer_->caught_up());
  EXPECT_EQ(tailer_->metrics().offset, std::filesystem::file_size(options_.path));
}

TEST_F(JournalTailerTest, WaitsForAJournalThatIsNotThereYet) {
  Begin();
  Run();
  Append(Line(1, "1", 0));
  Run();
  EXPECT_EQ(ledger_.order.size(), 1u);
}

// Without a watcher, so that the timer alone finds what comes.
TEST_F(JournalTailerTest, LooksLessOftenWhileNothingHappens) {
  const auto takes = [&](size_t lines) {
    const absl::Time before = scheduler_->Now();
    while (ledger_.order.size() < lines && scheduler_->Now() < before + absl::Seconds(5))
      Run(absl::Milliseconds(10));
    return scheduler_->Now() - before;
  };
  Append(Line(1, "1", 0));
  Begin();
  absl::Duration longest;
  for (int i = 1; i <= 10; ++i) {
    Run(absl::Milliseconds(10'000 + 90 * i));
    Append(Line(1, "1", 2 * i));
    longest = std::max(longest, takes(2 * i));
    Append(Line(1, "1", 2 * i + 1));
    EXPECT_LE(takes(2 * i + 1), options_.poll + absl::Milliseconds(50)) << "something happens";
  }
  EXPECT_GT(longest, 2 * options_.poll) << "nothing had happened for a while";
  EXPECT_LE(longest, JournalOptions::kQuietFactor * options_.poll + absl::Milliseconds(50));
}

TEST_F(JournalTailerTest, AHostileJournalNeverStopsTheTail) {
  const std::string good = Line(1, "1", 1);
  const std::string crlf = good.substr(0, good.size() - 1) + "\r\n";
  std::vector<std::pair<std::string, RejectReason>> bad = {
      {std::string("\0\x01\x02\xfe\n", 5), RejectReason::kBadUtf8},
      {"\n", RejectReason::kBlank},
      {Line(1, "1e30", 2), RejectReason::kAmountOutOfRange},
      {Line(1, "0.0000000000000000001", 2), RejectReason::kTooManyDecimals},
      {Line(1, "NaN", 2), RejectReason::kBadAmount},
      {Line(77, "1", 2), RejectReason::kUnknownOrchestrator},
      {Line(5, "1", 2), RejectReason::kRefused},
      {good.substr(0, 30) + "\n", RejectReason::kNotJson},
  };
  ledger_.refused_accounts.insert("orch-5");
  std::string journal = good + crlf + good;
  for (const auto& [line, reason] : bad) journal += line;
  journal += Line(1, "0", 3) + "{\"event\":\"set_balance\",\"amount\":\"1\"}\n" + Line(2, "2", 4);
  Append(journal);
  Begin();
  Run();
  EXPECT_EQ(ledger_.order,
            (std::vector<std::string>{IdOf(good), IdOf(crlf), IdOf(Line(2, "2", 4))}));
  const Letters letters = ReadLetters();
  EXPECT_EQ(letters.count.size(), bad.size());
  for (const auto& [line, reason] : bad) {
    EXPECT_EQ(letters.reason.at(IdOf(line)), RejectReasonName(reason)) << line;
  }
  const JournalMetrics metrics = tailer_->metrics();
  EXPECT_EQ(metrics.skipped_zero, 1u);
  EXPECT_EQ(metrics.skipped_set_balance, 1u);
  EXPECT_EQ(metrics.batches.duplicates, 1u);
  EXPECT_EQ(metrics.lines, 14u);
}

TEST_F(JournalTailerTest, AHundredMegabyteLineIsALetterAndNotMemory) {
  options_.chunk_bytes = 512 << 10;
  Append(Line(1, "1", 0));
  {
    std::ofstream file(options_.path, std::ios::app);
    const std::string piece(1 << 20, 'x');
    for (int i = 0; i < 100; ++i) file << piece;
    file << "\n";
  }
  Append(Line(1, "1", 1));
  const auto peak = [] {  // VmHWM, KiB
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
      if (line.rfind("VmHWM:", 0) == 0) return std::strtol(line.c_str() + 6, nullptr, 10);
    }
    return -1L;
  };
  const long before = peak();
  Begin();
  Run();
#if !defined(COFFER_ADDRESS_SANITIZER) && \
    !defined(COFFER_THREAD_SANITIZER)  // their own memory is counted too
  EXPECT_LT(peak() - before, 32 << 10);
#else
  EXPECT_GE(peak(), before);
#endif
  EXPECT_EQ(ledger_.order.size(), 2u);
  EXPECT_EQ(Dead(RejectReason::kTooLong), 1u);
  EXPECT_LT(disk_.Contents(options_.dead_letters).size(), 6000u);
}

TEST_F(JournalTailerTest, TheWindowIsBoundedAndPushesBack) {
  for (int i = 0; i < 500; ++i) Append(Line(1, "1", i));
  options_.window = 3;
  Begin();
  enclave_->Hold();
  Run();
  EXPECT_EQ(enclave_->pending(), 3u);
  EXPECT_LT(tailer_->metrics().bytes, 3000u) << "reading stops when the window is full";
  enclave_->Resume();
  Run();
  EXPECT_EQ(ledger_.order.size(), 500u);
  EXPECT_EQ(enclave_->max_pending(), 3u);
}

TEST_F(JournalTailerTest, ALostConnectionRepeatsInOrder) {
  for (int i = 0; i < 200; ++i) Append(Line(1, "1", i));
  Begin();
  enclave_->Hold();
  Run();
  enclave_->Lose(2);
  enclave_->Resume();
  Run();
  EXPECT_EQ(ledger_.order.size(), 14u) << "nothing is sent while the link is down";
  EXPECT_EQ(tailer_->metrics().offset, 0u);
  enclave_->SetReady(true);
  Run();
  ASSERT_EQ(ledger_.order.size(), 200u);
  for (int i = 0; i < 200; ++i)
    ASSERT_EQ(ledger_.order[static_cast<size_t>(i)], IdOf(Line(1, "1", i)));
}

TEST_F(JournalTailerTest, AnOverloadedEnclaveIsAskedAgain) {
  for (int i = 0; i < 50; ++i) Append(Line(1, "1", i));
  Begin();
  enclave_->FailNext(boundary::v1::ERROR_OVERLOADED, 20);
  Run(absl::Minutes(1));
  EXPECT_EQ(ledger_.order.size(), 50u);
  EXPECT_TRUE(ReadLetters().count.empty());
}

TEST_F(JournalTailerTest, AnEventThatSpoilsItsBatchIsFoundAndBuried) {
  ledger_.malformed_accounts.insert("orch-5");
  for (int i = 0; i < 30; ++i) Append(Line(i == 11 ? 5 : 1, "1", i));
  Begin();
  Run(absl::Minutes(1));
  EXPECT_EQ(ledger_.order.size(), 29u);
  EXPECT_EQ(ReadLetters().reason.at(IdOf(Line(5, "1", 11))), "refused");
  EXPECT_TRUE(tailer_->caught_up());
}

TEST_F(JournalTailerTest, ReplaysOldFilesAndDeadLetters) {
  std::string old;
  for (int i = 0; i < 40; ++i)
    old += Line(i % 12, "1", i);  // orch-10 and orch-11 are not registered
  Append(old + "partial", folder_ + "/old.jsonl");
  Append(Line(1, "1", 100));
  Begin();
  std::optional<absl::StatusOr<ReplaySummary>> first, second, missing, letters;
  tailer_->ReplayFile(folder_ + "/old.jsonl", [&](auto result) { first = result; });
  tailer_->ReplayFile(folder_ + "/missing", [&](auto result) { missing = result; });
  Run();
  ASSERT_TRUE(first.has_value() && first->ok());
  EXPECT_EQ((*first)->lines, 41u);
  EXPECT_EQ((*first)->events, 34u);
  EXPECT_EQ((*first)->left, 7u);
  ASSERT_TRUE(missing.has_value());
  EXPECT_TRUE(absl::IsNotFound(missing->status()));
  EXPECT_EQ(ledger_.order.size(), 35u);
  tailer_->ReplayFile(folder_ + "/old.jsonl", [&](auto result) { second = result; });
  Run();
  ASSERT_TRUE(second.has_value() && second->ok());
  EXPECT_EQ((*second)->lines, 0u) << "its cursor says that it is done";

  WriteRegistry(11);
  Run();  // the registry is taken in
  ledger_.refused_accounts.clear();
  tailer_->ReplayDeadLetters([&](auto result) { letters = result; });
  Run();
  ASSERT_TRUE(letters.has_value() && letters->ok());
  EXPECT_EQ((*letters)->events, 3u);
  EXPECT_EQ((*letters)->left, 3u);
  EXPECT_EQ(ledger_.order.size(), 38u);
  EXPECT_EQ(ReadLetters().resolved.size(), 3u);
  tailer_->ReplayDeadLetters([&](auto result) { letters = result; });
  Run();
  EXPECT_EQ((*letters)->events, 0u);
  Append(Line(1, "1", 101));
  Run();
  EXPECT_EQ(ledger_.order.size(), 39u) << "the tail goes on";
}

TEST_F(JournalTailerTest, AFullDiskHoldsTheCursorBack) {
  Append("noise\n" + Line(1, "1", 0));
  Begin();
  disk_.FailSyncs(absl::ResourceExhaustedError("full"));
  Run();
  EXPECT_FALSE(tailer_->caught_up());
  EXPECT_GT(tailer_->metrics().disk_errors, 0u);
  disk_.FailSyncs(absl::OkStatus());
  Run();
  EXPECT_TRUE(tailer_->caught_up());
  EXPECT_EQ(ReadLetters().count.size(), 1u);
}

// Crashes of the host with its disk, of the connection, and appends and rotations, in any order: in
// the end every line is applied once or in the dead letters once.
TEST_F(JournalTailerTest, RandomCrashesLoseAndDoubleNothing) {
  const char* const given = std::getenv("COFFER_TEST_SEED");
  seed_ = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "COFFER_TEST_SEED=" << seed_ << "\n";
  std::mt19937_64 random(seed_);
  options_.rotation_grace = absl::Milliseconds(600);
  std::map<std::string, bool> expected;  // id, and whether it can be applied
  int rotations = 0;
  // Rotations of one kernel tick cannot be ordered by time; real ones are not that close.
  const auto began = std::filesystem::file_time_type::clock::now();
  const auto append = [&](const std::string& bytes, int round) {
    Append(bytes);
    std::filesystem::last_write_time(options_.path, began + std::chrono::seconds(round));
  };
  Begin();
  for (int round = 0, unique = 0; round < 400; ++round) {
    switch (random() % 12) {
      case 0:
        Kill();
        disk_.CrashAt(disk_.operations() + 1);
        disk_.Restart(random);
        Begin();
        break;
      case 1:
        disk_.CrashAt(disk_.operations() + 1 + random() % 12);
        Run(absl::Milliseconds(random() % 2000));
        Kill();
        disk_.Restart(random);
        Begin();
        break;
      case 2:
        enclave_->Lose(random() % 9);
        Run(absl::Milliseconds(random() % 100));
        enclave_->SetReady(true);
        break;
      case 3:
        enclave_->Hold();
        Run(absl::Milliseconds(random() % 400));
        if (random() % 2 == 0) enclave_->Lose(random() % 9);
        enclave_->Resume();
        enclave_->SetReady(true);
        break;
      case 4:
        if (!std::filesystem::exists(options_.path) || random() % 4 != 0) break;
        std::filesystem::rename(options_.path, options_.path + "." + std::to_string(++rotations));
        break;
      default: {
        std::string lines;
        for (size_t n = random() % 40; n > 0; --n) {
          const int orchestrator = static_cast<int>(random() % 12);
          std::string line = random() % 9 == 0 ? "noise " + std::to_string(++unique) + "\n"
                                               : Line(orchestrator, "0.1", ++unique);
          expected[IdOf(line)] = line[0] == '{' && orchestrator < 10;
          lines += line;
        }
        const size_t cut = lines.empty() ? 0 : random() % lines.size();
        append(lines.substr(0, cut), round);
        Run(absl::Milliseconds(random() % 300));
        append(lines.substr(cut), round);
      }
    }
    Run(absl::Milliseconds(random() % 300));
  }
  enclave_->SetReady(true);
  Run(absl::Minutes(2));
  ASSERT_TRUE(tailer_->caught_up());
  const Letters letters = ReadLetters();
  size_t applied = 0;
  for (const auto& [id, good] : expected) {
    ASSERT_EQ(ledger_.applied.count(id), good ? 1u : 0u) << id;
    ASSERT_EQ(letters.count.count(id), good ? 0u : 1u) << id;
    if (!good) {
      ASSERT_EQ(letters.count.at(id), 1) << id;
    }
    applied += good;
  }
  EXPECT_EQ(ledger_.order.size(), applied);
  EXPECT_GT(applied, 1000u);
}

}  // namespace
}  // namespace coffer::host
