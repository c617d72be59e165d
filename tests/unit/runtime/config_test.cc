#include "runtime/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "runtime/config_values.h"

namespace coffer::runtime {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

ConfigSpec Spec() {
  ConfigSpec spec("coffer-host", "Moves bytes.",
                  "Example:\n  coffer-host --listen tcp://127.0.0.1:1");
  spec.Add({.name = "listen", .default_text = "tcp://127.0.0.1:8080", .help = "Where."})
      .Add({.name = "journal.poll",
            .type = OptionType::kDuration,
            .default_text = "2s",
            .help = "How often."})
      .Add({.name = "journal.max-line",
            .type = OptionType::kBytes,
            .default_text = "1MiB",
            .help = "Longest line.",
            .min = 1024,
            .max = 16u << 20})
      .Add({.name = "payout.tickets",
            .type = OptionType::kUint64,
            .default_text = "10",
            .help = "A batch.",
            .min = 1,
            .max = 100})
      .Add({.name = "payout.offset",
            .type = OptionType::kInt64,
            .default_text = "-3",
            .help = "Signed."})
      .Add({.name = "payout.autofund",
            .type = OptionType::kBool,
            .default_text = "true",
            .help = "Fund."})
      .Add({.name = "chain.rpc-urls", .type = OptionType::kStringList, .help = "URLs."})
      .Add({.name = "log.level",
            .default_text = "info",
            .help = "Level.",
            .choices = {"debug", "info"}})
      .Add({.name = "signer-key", .help = "Key.", .secret = true, .env = {"SIGNER_PRIVATE_KEY"}});
  return spec;
}

// A file that goes with the test.
struct TempFile {
  explicit TempFile(const std::string& text)
      : path(absl::StrCat(testing::TempDir(), "cf-config-", getpid(), "-", ++counter, ".toml")) {
    std::ofstream(path) << text;
  }
  ~TempFile() { unlink(path.c_str()); }
  static inline int counter = 0;
  const std::string path;
};

TEST(ConfigTest, FlagsWinOverEnvironmentOverFileOverDefault) {
  const TempFile file("[payout]\ntickets = 20\n");
  const struct {
    bool in_file, in_env, in_flag;
    uint64_t want;
    std::string source;
  } kCases[] = {
      {false, false, false, 10, "default"},
      {true, false, false, 20, file.path + ":2:11"},
      {false, true, false, 30, "environment COFFER_PAYOUT_TICKETS"},
      {true, true, false, 30, "environment COFFER_PAYOUT_TICKETS"},
      {false, false, true, 40, "flag --payout.tickets"},
      {true, false, true, 40, "flag --payout.tickets"},
      {false, true, true, 40, "flag --payout.tickets"},
      {true, true, true, 40, "flag --payout.tickets"},
  };
  for (const auto& test : kCases) {
    std::vector<std::string> args;
    Environment env;
    if (test.in_file) args = {"--config", file.path};
    if (test.in_flag) args.push_back("--payout.tickets=40");
    if (test.in_env) env["COFFER_PAYOUT_TICKETS"] = "30";
    const auto loaded = Spec().Load(args, env);
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->config.Uint64("payout.tickets"), test.want);
    EXPECT_EQ(loaded->config.Source("payout.tickets"), test.source);
    EXPECT_EQ(loaded->config.IsSet("payout.tickets"), test.source != "default");
  }
}

TEST(ConfigTest, EveryTypeFromEverySource) {
  const TempFile file(R"(
listen = "unix:///run/c.sock"
[journal]
poll = "500ms"
max_line = 65536
[payout]
offset = -7
autofund = false
[chain]
rpc-urls = ["http://a", "http://b,c"]
)");
  const auto from_file = Spec().Load({}, {{"COFFER_CONFIG", file.path}});
  ASSERT_TRUE(from_file.ok()) << from_file.status();
  EXPECT_EQ(from_file->config.String("listen"), "unix:///run/c.sock");
  EXPECT_EQ(from_file->config.Duration("journal.poll"), absl::Milliseconds(500));
  EXPECT_EQ(from_file->config.Bytes("journal.max-line"), 65536u);
  EXPECT_EQ(from_file->config.Int64("payout.offset"), -7);
  EXPECT_FALSE(from_file->config.Bool("payout.autofund"));
  EXPECT_THAT(from_file->config.StringList("chain.rpc-urls"),
              ElementsAre("http://a", "http://b,c"));

  const auto from_env = Spec().Load({}, {{"COFFER_JOURNAL_MAX_LINE", "2MiB"},
                                         {"COFFER_PAYOUT_AUTOFUND", "off"},
                                         {"COFFER_CHAIN_RPC_URLS", "http://a,http://b"},
                                         {"COFFER_LISTEN", ""},
                                         {"SIGNER_PRIVATE_KEY", "0xabc"}});
  ASSERT_TRUE(from_env.ok()) << from_env.status();
  EXPECT_EQ(from_env->config.Bytes("journal.max-line"), 2u << 20);
  EXPECT_FALSE(from_env->config.Bool("payout.autofund"));
  EXPECT_THAT(from_env->config.StringList("chain.rpc-urls"), ElementsAre("http://a", "http://b"));
  EXPECT_EQ(from_env->config.String("listen"), "tcp://127.0.0.1:8080")
      << "set and empty is not set";
  EXPECT_EQ(from_env->config.String("signer-key"), "0xabc");
  EXPECT_EQ(from_env->config.Source("signer-key"), "environment SIGNER_PRIVATE_KEY");

  const auto from_flags =
      Spec().Load({"--payout.offset", "-9", "--no-payout.autofund", "--journal.max_line=8KiB",
                   "--chain.rpc-urls", "http://a", "--chain.rpc-urls=http://b"},
                  {{"COFFER_CHAIN_RPC_URLS", "http://replaced"}});
  ASSERT_TRUE(from_flags.ok()) << from_flags.status();
  EXPECT_EQ(from_flags->config.Int64("payout.offset"), -9);
  EXPECT_FALSE(from_flags->config.Bool("payout.autofund"));
  EXPECT_EQ(from_flags->config.Bytes("journal.max-line"), 8192u);
  EXPECT_THAT(from_flags->config.StringList("chain.rpc-urls"), ElementsAre("http://a", "http://b"));
}

TEST(ConfigTest, TheFirstOfSeveralVariablesWins) {
  const auto loaded =
      Spec().Load({}, {{"SIGNER_PRIVATE_KEY", "weaker"}, {"COFFER_SIGNER_KEY", "stronger"}});
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(loaded->config.String("signer-key"), "stronger");
}

TEST(ConfigTest, WrongInputNamesItsPlaceAndWhatWasExpected) {
  const struct {
    const char* toml;
    std::vector<std::string> args;
    Environment env;
    std::vector<const char*> wants;
  } kCases[] = {
      {"[journal]\npol = '2s'",
       {},
       {},
       {":2:7", "journal.pol is not", "did you mean journal.poll?"}},
      {"[journal]\n\npoll = 2", {}, {}, {":3:8", "journal.poll", "duration", "an integer"}},
      {"[journal]\npoll = '-2s'", {}, {}, {"journal.poll", "duration", "got \"-2s\""}},
      {"[journal]\nmax-line = 12", {}, {}, {"journal.max-line", "from 1024 to 16777216"}},
      {"[journal]\nmax-line = -1", {}, {}, {"journal.max-line", "number of bytes"}},
      {"[payout]\ntickets = '10'", {}, {}, {"payout.tickets", "not negative", "a string"}},
      {"[payout]\ntickets = 1.5", {}, {}, {"payout.tickets", "a decimal number"}},
      {"[payout]\nautofund = 'yes'", {}, {}, {"payout.autofund", "true or false", "a string"}},
      {"[chain]\nrpc-urls = 'http://a'", {}, {}, {"chain.rpc-urls", "list of strings"}},
      {"[chain]\nrpc-urls = ['a', 1]", {}, {}, {"chain.rpc-urls", "list of strings"}},
      {"[log]\nlevel = 'loud'", {}, {}, {"log.level", "one of debug, info", "loud"}},
      {"[journal]\nmax-line = 2048\nmax_line = 4096", {}, {}, {"given twice"}},
      {"[journal", {}, {}, {":1:", "not TOML"}},
      {"\n[=journal]", {}, {}, {":2:", "not TOML", "saw '='"}},
      {"# \u00fc\nlisten\u0424 = 'x'", {}, {}, {":2:", "not TOML"}},
      {"listen = 1979-05-27", {}, {}, {"listen", "a string", "a date or time"}},
      {"", {"--journal.pol", "2s"}, {}, {"--journal.pol is not", "--journal.poll?"}},
      {"", {"--hlep"}, {}, {"did you mean --help?"}},
      {"", {"--journal.poll"}, {}, {"--journal.poll needs a value"}},
      {"", {"--journal.poll=5"}, {}, {"flag --journal.poll", "duration"}},
      {"", {"--payout.tickets=0"}, {}, {"from 1 to 100", "got 0"}},
      {"", {"--payout.tickets= 5"}, {}, {"not negative"}},
      {"", {"--payout.tickets=99999999999999999999"}, {}, {"not negative"}},
      {"", {"--listen", "a", "--listen", "b"}, {}, {"given twice"}},
      {"", {"--no-listen"}, {}, {"is not a flag"}},
      {"", {"word"}, {}, {"argument number 3 is not expected"}},
      {"", {"-x"}, {}, {"not expected"}},
      {"", {"--payout.autofund=maybe"}, {}, {"true or false"}},
      {"", {}, {{"COFFER_JOURNAL_POLL", "x"}}, {"environment COFFER_JOURNAL_POLL", "duration"}},
  };
  for (const auto& test : kCases) {
    const TempFile file(test.toml);
    std::vector<std::string> args = {"--config", file.path};
    args.insert(args.end(), test.args.begin(), test.args.end());
    const auto loaded = Spec().Load(args, test.env);
    ASSERT_FALSE(loaded.ok()) << test.toml << testing::PrintToString(test.args);
    for (const char* want : test.wants) {
      EXPECT_THAT(std::string(loaded.status().message()), HasSubstr(want)) << test.toml;
    }
  }
  EXPECT_EQ(Spec().Load({"--config", "/nonexistent.toml"}, {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_FALSE(Spec().Load({"--config", testing::TempDir()}, {}).ok()) << "a folder is no file";
}

TEST(ConfigTest, SecretsAreShownNowhere) {
  const char* const kSecret = "0xdeadbeefcafe";
  const auto loaded = Spec().Load({}, {{"SIGNER_PRIVATE_KEY", kSecret}});
  ASSERT_TRUE(loaded.ok());
  const std::string effective = loaded->config.Effective();
  EXPECT_THAT(effective, Not(HasSubstr(kSecret)));
  EXPECT_THAT(effective, HasSubstr("signer-key = (set, masked)  # environment SIGNER_PRIVATE_KEY"));
  EXPECT_THAT(effective, HasSubstr("journal.max-line = 1MiB  # default"));
  EXPECT_THAT(effective, HasSubstr("journal.poll = 2s  # default"));
  EXPECT_THAT(Spec().Load({}, {})->config.Effective(), HasSubstr("signer-key = (not set)"));

  ConfigSpec number("p", "s", "e");
  number.Add(
      {.name = "pin", .type = OptionType::kUint64, .help = "h", .secret = true, .max = 9999});
  for (const char* wrong : {"123456x", "123456"}) {
    const auto refused = number.Load({"--pin", wrong}, {});
    ASSERT_FALSE(refused.ok());
    EXPECT_THAT(std::string(refused.status().message()), Not(HasSubstr("123456")));
  }
}

TEST(ConfigTest, RequiredOptionsMustComeFromSomewhere) {
  ConfigSpec spec("p", "s", "e");
  spec.Add({.name = "data-dir", .help = "h", .required = true});
  for (const std::vector<std::string>& args :
       std::vector<std::vector<std::string>>{{}, {"--data-dir="}}) {
    const auto missing = spec.Load(args, {});
    ASSERT_FALSE(missing.ok());
    EXPECT_THAT(std::string(missing.status().message()), HasSubstr("set COFFER_DATA_DIR"));
  }
  EXPECT_TRUE(spec.Load({"--data-dir", "/d"}, {}).ok());
}

TEST(ConfigTest, StringsAndCommentsHaveAnyCharacter) {
  for (const char* text :
       {"# gr\u00fc\u00dfe\nlisten = '\u0424'  # \u0424", "listen = \"\\\"\u0424\"",
        "\xef\xbb\xbflisten = '''\n\u0424'''", "listen = \"\"\"\\\n  \u0424\"\"\""}) {
    const TempFile file(text);
    const auto loaded = Spec().Load({"--config", file.path}, {});
    ASSERT_TRUE(loaded.ok()) << text << loaded.status();
    EXPECT_THAT(loaded->config.String("listen"), HasSubstr("\u0424")) << text;
  }
}

TEST(ConfigTest, ActionsAndWords) {
  EXPECT_EQ(Spec().Load({"--help", "--nonsense"}, {})->action, ConfigSpec::Action::kHelp);
  EXPECT_EQ(Spec().Load({"-h"}, {})->action, ConfigSpec::Action::kHelp);
  EXPECT_EQ(Spec().Load({"--version"}, {})->action, ConfigSpec::Action::kVersion);
  EXPECT_EQ(Spec().Load({"--check-config"}, {})->action, ConfigSpec::Action::kCheckConfig);
  EXPECT_FALSE(Spec().Load({"--check-config", "--listne=x"}, {}).ok());
  ConfigSpec spec("coffer", "s", "e");
  spec.Add({.name = "json", .type = OptionType::kBool, .help = "h"}).AllowWords("COMMAND");
  const auto loaded = spec.Load({"verify", "--json", "file", "--", "--odd"}, {});
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_THAT(loaded->words, ElementsAre("verify", "file", "--odd"));
  EXPECT_TRUE(loaded->config.Bool("json"));
}

TEST(ConfigTest, HelpNamesEveryOptionItsVariableAndDefault) {
  const std::string help = Spec().Help();
  for (const char* want :
       {"Moves bytes.", "coffer-host --listen tcp://", "--journal.poll DURATION", "Default: 2s.",
        "COFFER_JOURNAL_MAX_LINE", "COFFER_SIGNER_KEY or SIGNER_PRIVATE_KEY",
        "One of: debug, info.", "--check-config"}) {
    EXPECT_THAT(help, HasSubstr(want));
  }
}

TEST(ConfigDeathTest, ReadingAsAnotherTypeIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto loaded = Spec().Load({}, {});
  EXPECT_DEATH(loaded->config.String("payout.tickets"), "as another type");
  EXPECT_DEATH(loaded->config.String("never-declared"), "never declared");
}

TEST(ConfigValuesTest, Bytes) {
  const struct {
    const char* text;
    int64_t want;  // -1: refused
  } kCases[] = {
      {"0", 0},
      {"4096", 4096},
      {"512B", 512},
      {"64KiB", 65536},
      {"1GB", 1000000000},
      {"1TiB", 1ll << 40},
      {"", -1},
      {"KiB", -1},
      {"-1", -1},
      {"1.5MiB", -1},
      {"1 MiB", -1},
      {"1mib", -1},
      {"1KiBs", -1},
      {"99999999999999999999", -1},
      {"16777216TiB", -1},
  };
  for (const auto& test : kCases) {
    const auto bytes = ParseBytesText(test.text);
    ASSERT_EQ(bytes.ok(), test.want >= 0) << test.text;
    if (bytes.ok()) {
      EXPECT_EQ(*bytes, static_cast<uint64_t>(test.want));
      EXPECT_EQ(ParseBytesText(FormatBytes(*bytes)).value(), *bytes);
    }
  }
  EXPECT_EQ(FormatBytes(16u << 20), "16MiB");
  EXPECT_EQ(FormatBytes(1000), "1000");
}

TEST(ConfigValuesTest, Durations) {
  EXPECT_EQ(ParseDurationText("1h30m").value(), absl::Minutes(90));
  EXPECT_EQ(ParseDurationText("0s").value(), absl::ZeroDuration());
  for (const char* wrong : {"", "5", "-1s", "inf", "s", "1 s", "1x", "+1s"}) {
    EXPECT_FALSE(ParseDurationText(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace coffer::runtime
