#include "actors/host/inotify_watcher.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "runtime/event_loop.h"

namespace coffer::host {
namespace {

TEST(InotifyWatcher, WakesForItsFileOnly) {
  char name[] = "/tmp/coffer-inotify-XXXXXX";
  const std::string folder = mkdtemp(name);
  const std::string path = folder + "/journal.jsonl";
  int changes = 0;
  {
    runtime::EventLoop loop;
    auto watcher = InotifyWatcher::Start(loop.base(), path, [&] { ++changes; });
    ASSERT_TRUE(watcher.ok()) << watcher.status();
    const auto run = [&] {
      const auto stop = loop.After(absl::Milliseconds(50), [&] { loop.Stop(); });
      loop.Run();
      return std::exchange(changes, 0);
    };
    std::ofstream(folder + "/other") << "x";
    EXPECT_EQ(run(), 0);
    std::ofstream(path) << "x";
    EXPECT_GE(run(), 1);
    std::filesystem::rename(path, path + ".1");
    EXPECT_GE(run(), 1);
    std::ofstream(path, std::ios::app) << "y";
    EXPECT_GE(run(), 1);
    EXPECT_FALSE(InotifyWatcher::Start(loop.base(), folder + "/none/x", [] {}).ok());
  }
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace coffer::host
