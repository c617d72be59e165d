// A journal in a temporary folder, its tailer on virtual time, a disk that can crash, and an
// enclave that can be lost.
#ifndef COFFER_TESTS_UNIT_HOST_ACTORS_JOURNAL_FIXTURE_H_
#define COFFER_TESTS_UNIT_HOST_ACTORS_JOURNAL_FIXTURE_H_

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "actors/host/dead_letters.h"
#include "actors/host/journal_tailer.h"
#include "actors/host/registry.h"
#include "runtime/test_dispatcher.h"
#include "tests/support/fake_enclave_client.h"
#include "tests/support/faulty_disk.h"

namespace coffer::host {

class JournalFixture : public ::testing::Test {
 public:
  ~JournalFixture() override {
    Kill();
    std::filesystem::remove_all(folder_);
  }

 protected:
  JournalFixture() {
    char name[] = "/tmp/coffer-journal-XXXXXX";
    folder_ = mkdtemp(name);
    options_.path = folder_ + "/journal.jsonl";
    options_.max_events = 7;
    options_.chunk_bytes = 1000;
    WriteRegistry(10);
  }
  void WriteRegistry(int orchestrators) {
    std::string text = R"({"orchestrators":{)";
    for (int i = 0; i < orchestrators; ++i) {
      char entry[100];
      snprintf(entry, sizeof entry, R"(%s"orch-%d":"0x%040x")", i == 0 ? "" : ",", i, i + 1);
      text += entry;
    }
    std::ofstream(folder_ + "/registry.json") << text << "}}";
  }
  static std::string Line(int orchestrator, const std::string& amount, int unique) {
    return "{\"event\":\"credit\",\"orchestrator_id\":\"orch-" + std::to_string(orchestrator) +
           "\",\"amount\":\"" + amount + "\",\"n\":" + std::to_string(unique) + "}\n";
  }
  void Append(const std::string& bytes, std::string path = "") {
    std::ofstream(path.empty() ? options_.path : path, std::ios::app | std::ios::binary) << bytes;
  }
  std::string IdOf(const std::string& line) { return std::string(parser_.Id(line).view()); }

  // A new process on the same disk, journal and ledger.
  void Begin() {
    scheduler_ = std::make_unique<runtime::TestScheduler>(++seed_);
    dispatcher_ = scheduler_->NewDispatcher("host");
    registry_ = std::make_unique<Registry>(folder_ + "/registry.json");
    ASSERT_TRUE(registry_->Reload().ok());
    enclave_ = std::make_unique<FakeEnclaveClient>(dispatcher_, &ledger_);
    tailer_ = std::make_unique<JournalTailer>(dispatcher_, &files_, &disk_, enclave_.get(),
                                              registry_.get(), options_);
    const absl::Status status = tailer_->Start();
    ASSERT_TRUE(status.ok()) << status;
  }
  void Kill() {
    tailer_.reset();
    enclave_.reset();
    registry_.reset();
    scheduler_.reset();
  }
  void Run(absl::Duration time = absl::Seconds(5)) { scheduler_->Advance(time); }

  // The letters by the hash of their line, with how often each is there.
  struct Letters {
    std::map<std::string, int> count;
    std::map<std::string, std::string> reason;
    std::map<std::string, int> resolved;
  };
  Letters ReadLetters() {
    Letters letters;
    auto file = disk_.Open(options_.dead_letters);
    if (!file.ok()) return letters;
    DeadLetterReader reader(file->get(), 0, *(*file)->Size());
    for (auto entry = reader.Next(); entry.ok() && entry->has_value(); entry = reader.Next()) {
      if ((*entry)->resolution) {
        ++letters.resolved["ledger:" + (*entry)->sha256];
      } else {
        ++letters.count["ledger:" + (*entry)->sha256];
        letters.reason["ledger:" + (*entry)->sha256] = (*entry)->reason;
      }
    }
    return letters;
  }
  uint64_t Dead(RejectReason reason) {
    return tailer_->metrics().dead_letters[static_cast<size_t>(reason)];
  }

  uint64_t seed_ = 1;
  std::string folder_;
  JournalOptions options_;
  FaultyDisk disk_;
  OsJournalFiles files_;
  FakeLedger ledger_;
  LineParser parser_;
  std::unique_ptr<runtime::TestScheduler> scheduler_;
  runtime::TestDispatcher* dispatcher_ = nullptr;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<FakeEnclaveClient> enclave_;
  std::unique_ptr<JournalTailer> tailer_;
};

}  // namespace coffer::host

#endif  // COFFER_TESTS_UNIT_HOST_ACTORS_JOURNAL_FIXTURE_H_
