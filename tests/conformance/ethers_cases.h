// Random cases that a script of ours makes with ethers, one JSON object a line. The seed is
// printed; COFFER_TEST_SEED repeats a run.
#ifndef COFFER_TESTS_CONFORMANCE_ETHERS_CASES_H_
#define COFFER_TESTS_CONFORMANCE_ETHERS_CASES_H_

#include <gtest/gtest.h>
#include <json/json.h>
#include <sys/wait.h>

#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>

namespace coffer::conformance {

inline std::filesystem::path SourceFolder() { return COFFER_SOURCE_DIR; }
inline bool HasEthers() {
  return std::filesystem::exists(SourceFolder() / "tests/js/node_modules/ethers");
}
inline constexpr char kNoEthers[] =
    "tests/js/node_modules is absent: run `npm ci` in tests/js to compare with ethers";

// Letters and digits only, so that it may stand in a command line.
inline std::string Seed() {
  const char* const given = std::getenv("COFFER_TEST_SEED");
  std::string digits;
  for (const char* c = given; c != nullptr && *c != '\0'; ++c) {
    if (std::isalnum(static_cast<unsigned char>(*c)) != 0) digits.push_back(*c);
  }
  return digits.empty() ? std::to_string(std::random_device()()) : digits;
}

struct PipeCloser {
  void operator()(std::FILE* pipe) const { pclose(pipe); }
};

inline bool ReadLine(std::FILE* pipe, std::string& line) {
  line.clear();
  for (int c = std::fgetc(pipe); c != EOF; c = std::fgetc(pipe)) {
    if (c == '\n') return true;
    line.push_back(static_cast<char>(c));
  }
  return false;
}

// A check for each kind of case, and how many of them there must be at least: a script that prints
// nothing must not pass.
struct Check {
  std::function<void(const Json::Value&)> run;
  int at_least = 2;
};
using Checks = std::map<std::string, Check>;

// Runs `script` of tests/conformance and holds every case against its check. Fatal failures are the
// caller's test's.
inline void RunCases(const std::string& script, const Checks& checks) {
  const std::string seed = Seed();
  std::printf("COFFER_TEST_SEED=%s\n", seed.c_str());
  const std::string command =
      "node '" + (SourceFolder() / "tests/conformance" / script).string() + "' " + seed;
  // The command is ours: the path of the sources and a seed of letters and digits.
  // NOLINTNEXTLINE(cert-env33-c)
  std::unique_ptr<std::FILE, PipeCloser> pipe(popen(command.c_str(), "r"));
  ASSERT_NE(pipe, nullptr);
  std::map<std::string, int> seen;
  std::string line;
  const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
  while (ReadLine(pipe.get(), line)) {
    Json::Value json;
    std::string errors;
    ASSERT_TRUE(reader->parse(line.data(), line.data() + line.size(), &json, &errors)) << errors;
    const std::string kind = json["kind"].asString();
    SCOPED_TRACE("seed " + seed + ": " + line.substr(0, 2000));
    ASSERT_TRUE(checks.contains(kind)) << kind;
    ASSERT_NO_FATAL_FAILURE(checks.at(kind).run(json));
    ASSERT_FALSE(testing::Test::HasFailure());  // the first case that differs says enough
    ++seen[kind];
  }
  const int status = pclose(pipe.release());
  ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the script failed: " << command;
  for (const auto& [kind, check] : checks) EXPECT_GE(seen[kind], check.at_least) << kind;
}

}  // namespace coffer::conformance

#endif  // COFFER_TESTS_CONFORMANCE_ETHERS_CASES_H_
