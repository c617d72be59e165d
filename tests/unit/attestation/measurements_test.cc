#include "enclave_core/attestation/measurements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "enclave_core/attestation/strict_json.h"

namespace coffer::attestation {
namespace {

using testing::HasSubstr;

std::string Pcr(char digit) { return ParsePcr(std::string(96, digit)).value(); }
absl::Time At(std::string_view text) { return ParseUtc(text).value(); }

Release Made(const char* version, char digit, const char* from, const char* until = nullptr) {
  Release release;
  release.name = "coffer";
  release.version = version;
  release.pcrs = {Pcr(digit), Pcr('b'), Pcr('c'), {}};
  release.from = At(from);
  if (until != nullptr) release.until = At(until);
  return release;
}

// 1.0.0 until the 8th, 1.1.0 from the 1st: a week of both.
Measurements RollOut() {
  return {{Made("1.0.0", '1', "2026-11-01T00:00:00Z", "2026-12-08T00:00:00Z"),
           Made("1.1.0", '2', "2026-12-01T00:00:00Z")}};
}

Standing StandingOf(const Measurements& pins, char digit, const char* at) {
  return MatchMeasurements(pins, {Pcr(digit), Pcr('b'), Pcr('c'), Pcr('0')}, At(at)).standing;
}

TEST(Measurements, HaveOneForm) {
  Measurements pins = RollOut();
  pins.releases[0].commit = std::string(40, 'd');
  pins.releases[0].pcrs.pcr8 = Pcr('8');
  pins.releases[0].note = "erste Ausgabe \u2014 \"gut\"";
  const std::string text = FormatMeasurements(pins);
  EXPECT_EQ(ParseMeasurements(text).value(), pins);
  EXPECT_EQ(FormatMeasurements(ParseMeasurements(text).value()), text);
  EXPECT_THAT(
      text, testing::StartsWith(absl::StrCat(
                "{\n  \"format\": 1,\n  \"platform\": \"nitro\",\n  \"releases\": [\n    {\n"
                "      \"name\": \"coffer\",\n      \"version\": \"1.0.0\",\n      \"commit\": \"",
                std::string(40, 'd'), "\",\n      \"pcr0\": \"", std::string(96, '1'), "\",\n")));
  EXPECT_THAT(text, HasSubstr("      \"until\": \"2026-12-08T00:00:00Z\",\n      \"note\": "));
  EXPECT_EQ(FormatMeasurements({}),
            "{\n  \"format\": 1,\n  \"platform\": \"nitro\",\n  \"releases\": []\n}\n");
}

TEST(Measurements, ARollOutHasATimeOfBoth) {
  const Measurements pins = RollOut();
  const struct {
    const char* at;
    Standing old_one, new_one;
  } table[] = {
      {"2026-10-31T23:59:59Z", Standing::kNotYet, Standing::kNotYet},
      {"2026-11-01T00:00:00Z", Standing::kAllowed, Standing::kNotYet},
      {"2026-11-30T23:59:59Z", Standing::kAllowed, Standing::kNotYet},
      {"2026-12-01T00:00:00Z", Standing::kAllowed, Standing::kAllowed},
      {"2026-12-07T23:59:59Z", Standing::kAllowed, Standing::kAllowed},
      {"2026-12-08T00:00:00Z", Standing::kRetired, Standing::kAllowed},
      {"2036-01-01T00:00:00Z", Standing::kRetired, Standing::kAllowed},
  };
  for (const auto& row : table) {
    EXPECT_EQ(StandingOf(pins, '1', row.at), row.old_one) << row.at;
    EXPECT_EQ(StandingOf(pins, '2', row.at), row.new_one) << row.at;
    EXPECT_EQ(StandingOf(pins, '3', row.at), Standing::kUnknown) << row.at;
  }
}

TEST(Measurements, SentencesSayWhatAndWhen) {
  const Measurements pins = RollOut();
  const auto sentence = [&](const ReportedPcrs& reported, const char* at) {
    return MatchMeasurements(pins, reported, At(at)).sentence;
  };
  EXPECT_EQ(sentence({Pcr('1'), {}, {}, {}}, "2026-11-02T00:00:00Z"),
            "coffer 1.0.0, allowed from 2026-11-01T00:00:00Z until 2026-12-08T00:00:00Z");
  EXPECT_EQ(sentence({Pcr('1'), {}, {}, {}}, "2027-01-01T00:00:00Z"),
            "coffer 1.0.0, retired since 2026-12-08T00:00:00Z");
  EXPECT_EQ(sentence({Pcr('2'), {}, {}, {}}, "2026-11-02T00:00:00Z"),
            "coffer 1.1.0, allowed only from 2026-12-01T00:00:00Z on");
  EXPECT_EQ(sentence({Pcr('2'), {}, {}, {}}, "2027-01-01T00:00:00Z"),
            "coffer 1.1.0, allowed since 2026-12-01T00:00:00Z");
  EXPECT_THAT(sentence({Pcr('3'), {}, {}, {}}, "2027-01-01T00:00:00Z"),
              HasSubstr("is none of the 2 pinned releases"));
}

TEST(Measurements, EveryPinnedRegisterCounts) {
  Measurements pins = RollOut();
  pins.releases[1].pcrs.pcr8 = Pcr('8');
  const absl::Time at = At("2026-12-02T00:00:00Z");
  const auto standing = [&](const ReportedPcrs& reported) {
    return MatchMeasurements(pins, reported, at).standing;
  };
  EXPECT_EQ(standing({Pcr('2'), Pcr('b'), Pcr('c'), Pcr('8')}), Standing::kAllowed);
  EXPECT_EQ(standing({Pcr('2'), {}, {}, {}}),
            Standing::kAllowed);  // what is not given is not compared
  EXPECT_EQ(standing({Pcr('1'), Pcr('b'), Pcr('c'), Pcr('9')}),
            Standing::kAllowed);  // PCR8 unpinned
  const std::pair<const char*, ReportedPcrs> others[] = {
      {"but PCR1 is not", {Pcr('2'), Pcr('f'), Pcr('c'), Pcr('8')}},
      {"but PCR2 is not", {Pcr('2'), Pcr('b'), Pcr('f'), Pcr('8')}},
      {"but PCR8 is not", {Pcr('2'), Pcr('b'), Pcr('c'), Pcr('0')}},
  };
  for (const auto& [sentence, reported] : others) {
    EXPECT_EQ(standing(reported), Standing::kUnknown) << sentence;
    EXPECT_THAT(MatchMeasurements(pins, reported, at).sentence, HasSubstr(sentence));
  }
}

// The same image signed again with a new certificate: two pins, and an allowed one counts first.
TEST(Measurements, OfTwoPinsOfOneImageAnAllowedOneCounts) {
  Measurements pins = RollOut();
  Release again = Made("1.0.0-resigned", '1', "2026-12-01T00:00:00Z");
  again.pcrs.pcr8 = Pcr('8');
  ASSERT_TRUE(AddRelease(pins, again).ok());
  const MeasurementMatch match =
      MatchMeasurements(pins, {Pcr('1'), {}, {}, Pcr('8')}, At("2027-01-01T00:00:00Z"));
  EXPECT_EQ(match.standing, Standing::kAllowed);
  EXPECT_EQ(match.release->version, "1.0.0-resigned");
}

TEST(Measurements, BadFilesAreRefused) {
  const std::string good = FormatMeasurements(RollOut());
  ASSERT_TRUE(ParseMeasurements(good).ok());
  const std::string ones(96, '1');
  const struct {
    const char* sentence;
    const char* what;
    std::string with;
  } table[] = {
      {"format must be 1", "\"format\": 1", "\"format\": 2"},
      {"format must be 1", "\"format\": 1", "\"format\": 1.0"},
      {"format must be 1", "\"format\": 1", "\"format\": \"1\""},
      {"platform must be \"nitro\"", "\"nitro\"", "\"tdx\""},
      {"platform must be \"nitro\"", "  \"platform\": \"nitro\",\n", ""},
      {"has a field that is not known", "\"format\": 1,", "\"format\": 1, \"comment\": \"\","},
      {"release 1: has a field that is not known",
       "\"name\": \"coffer\",\n      \"version\": \"1.0.0\"",
       "\"name\": \"coffer\", \"Until\": \"\",\n      \"version\": \"1.0.0\""},
      {"has a name twice in one object", "\"format\": 1,", "\"format\": 1, \"format\": 1,"},
      {"has a name twice in one object", "\"version\": \"1.0.0\"",
       "\"version\": \"1.0.0\", \"version\": \"1.0.0\""},
      {"is no JSON in UTF-8: line 4", "\"nitro\",", "\"nitro\""},
      {"is no JSON in UTF-8: line 2", "1,", "1, // a comment"},
      {"is no JSON in UTF-8: line 2", "1,", "1, \"\xff\": 1,"},
      {"release 2: version is missing", "      \"version\": \"1.1.0\",\n", ""},
      {"release 2: version is empty", "\"1.1.0\"", "\"\""},
      {"release 2: version is no string", "\"1.1.0\"", "1.1"},
      {"release 2: version must be 1 to 64 letters", "1.1.0", "1.1 0"},
      {"release 2: version must be 1 to 64 letters", "1.1.0", std::string(65, '1')},
      {"release 2: coffer 1.0.0 is there twice", "1.1.0", "1.0.0"},
      {"release 2: the registers of coffer 1.1.0 are there twice",
       "2222222222222222222222222222222222222222222222222222222222222222222222222222222222222222222"
       "22222",
       ones},
      {"release 1: pcr0: a PCR has 96 hexadecimal digits (SHA-384), and this 97", "\"111",
       "\"1111"},
      {"release 1: pcr0: digit 1 of a PCR is not hexadecimal", "\"1111", "\"g111"},
      {"release 1: pcr0 must be in lower case, without 0x", "\"1111", "\"A111"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00+00:00"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "2026-11-31T00:00:00Z"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "2026-11-01T00:00:60Z"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "2026-11-01T00:00:00.5Z"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "infinite-past"},
      {"release 1: from: a time must be UTC", "2026-11-01T00:00:00Z", "1969-12-31T23:59:59Z"},
      {"release 1: until must be after from", "2026-12-08T00:00:00Z", "2026-11-01T00:00:00Z"},
      {"release 1: commit must be 40 or 64", "\"version\": \"1.0.0\"",
       "\"version\": \"1.0.0\", \"commit\": \"main\""},
      {"release 1: note must be one line", "\"version\": \"1.0.0\"",
       "\"version\": \"1.0.0\", \"note\": \"a\\nb\""},
      {"release 1: note must be one line", "\"version\": \"1.0.0\"",
       absl::StrCat("\"version\": \"1.0.0\", \"note\": \"", std::string(501, 'x'), "\"")},
      {"release 1: pcr8 is zero", "\"version\": \"1.0.0\"",
       absl::StrCat("\"version\": \"1.0.0\", \"pcr8\": \"", std::string(96, '0'), "\"")},
  };
  for (const auto& row : table) {
    // The first place alone, so that no second mistake hides the first.
    std::string text = good;
    const size_t at = text.find(row.what);
    ASSERT_NE(at, std::string::npos) << row.sentence;
    text.replace(at, std::string_view(row.what).size(), row.with);
    const absl::Status status = ParseMeasurements(text).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << row.sentence;
    EXPECT_THAT(status.message(), HasSubstr(row.sentence));
  }
  const std::string debug = absl::StrReplaceAll(good, {{ones, std::string(96, '0')}});
  EXPECT_THAT(ParseMeasurements(debug).status().message(),
              HasSubstr("pcr0 is zero, as it is in a debug"));
  EXPECT_THAT(ParseMeasurements(good + "{}").status().message(), HasSubstr("is no JSON"));
  for (const char* releases : {"", R"(,"releases":{})", R"(,"releases":null)"}) {
    const std::string text = absl::StrCat(R"({"format":1,"platform":"nitro")", releases, "}");
    EXPECT_THAT(ParseMeasurements(text).status().message(), HasSubstr("releases must be a list"));
  }
  EXPECT_THAT(ParseMeasurements("[]").status().message(), HasSubstr("is no JSON object"));
  EXPECT_THAT(ParseMeasurements(std::string(kMaxMeasurementsBytes + 1, ' ')).status().message(),
              HasSubstr("more than the 1048576"));
}

TEST(Measurements, TooManyReleasesAreRefused) {
  Measurements pins;
  const std::string tail = PcrText(Pcr('a')).substr(8);
  for (size_t i = 0; i <= kMaxReleases; ++i) {
    Release release = Made("x", '1', "2026-11-01T00:00:00Z");
    release.version = absl::StrCat(i);
    release.pcrs.pcr0 = ParsePcr(absl::StrCat(10000000 + i) + tail).value();
    const absl::Status status = AddRelease(pins, release);
    EXPECT_EQ(status.ok(), i < kMaxReleases) << status;
    if (!status.ok()) pins.releases.push_back(release);
  }
  EXPECT_THAT(CheckMeasurements(pins).message(), HasSubstr("has 1001 releases"));
  EXPECT_THAT(ParseMeasurements(FormatMeasurements(pins)).status().message(),
              HasSubstr("1001 releases"));
  pins.releases.pop_back();
  EXPECT_EQ(ParseMeasurements(FormatMeasurements(pins)).value(), pins);
}

TEST(Measurements, AddingRefusesWhatIsThere) {
  Measurements pins = RollOut();
  EXPECT_THAT(AddRelease(pins, Made("1.1.0", '5', "2026-12-01T00:00:00Z")).message(),
              HasSubstr("coffer 1.1.0 is there already"));
  EXPECT_EQ(
      AddRelease(pins, Made("1.0.1", '1', "2027-12-01T00:00:00Z")).message(),
      "the same image is there already, as coffer 1.0.0; to allow it again, restore that release");
  EXPECT_EQ(AddRelease(pins, Made("1 2", '5', "2026-12-01T00:00:00Z")).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pins, RollOut());
}

TEST(Measurements, RetiringKeepsTheLastOne) {
  Measurements pins{{Made("1.0.0", '1', "2026-11-01T00:00:00Z")}};
  const auto retire = [&](const char* version, const char* at,
                          LastRelease last = LastRelease::kKeep) {
    return RetireRelease(pins, "coffer", version, At(at), last);
  };
  EXPECT_THAT(retire("1.0.0", "2026-12-08T00:00:00Z").message(),
              HasSubstr("without coffer 1.0.0 every enclave would be refused"));
  EXPECT_EQ(retire("2.0.0", "2026-12-08T00:00:00Z").code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(AddRelease(pins, Made("1.1.0", '2', "2026-12-01T00:00:00Z")).ok());
  // At that time the next one is not allowed yet.
  EXPECT_EQ(retire("1.0.0", "2026-11-30T00:00:00Z").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(retire("1.1.0", "2026-12-01T00:00:00Z").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(pins.releases[0].until, std::nullopt);
  EXPECT_EQ(retire("1.0.0", "2026-12-08T00:00:00Z"), absl::OkStatus());
  EXPECT_EQ(pins, RollOut());
  EXPECT_EQ(retire("1.1.0", "2026-12-09T00:00:00Z").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(retire("1.1.0", "2026-12-09T00:00:00Z", LastRelease::kMayGo), absl::OkStatus());
  EXPECT_EQ(StandingOf(pins, '2', "2026-12-09T00:00:00Z"), Standing::kRetired);
}

TEST(Measurements, ARetiredReleaseIsRestored) {
  Measurements pins = RollOut();
  EXPECT_EQ(RestoreRelease(pins, "coffer", "1.1.0").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(RestoreRelease(pins, "coffer", "3.0.0").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RestoreRelease(pins, "coffer", "1.0.0"), absl::OkStatus());
  EXPECT_EQ(StandingOf(pins, '1', "2036-01-01T00:00:00Z"), Standing::kAllowed);
}

TEST(StrictJson, NestingIsBounded) {
  const auto nested = [](int depth) {
    return "{\"a\":" + std::string(static_cast<size_t>(depth), '[') +
           std::string(static_cast<size_t>(depth), ']') + "}";
  };
  EXPECT_TRUE(ReadStrictJson(nested(kMaxJsonDepth - 1), 1000).ok());
  EXPECT_THAT(ReadStrictJson(nested(kMaxJsonDepth), 1000).status().message(),
              HasSubstr("is nested deeper than 16"));
  EXPECT_FALSE(ReadStrictJson(nested(100000), 1 << 20).ok());
}

TEST(StrictJson, NamesAreComparedWithinTheirObjectAlone) {
  for (const char* text : {R"({"a":{"a":1},"b":{"a":2}})", R"({"a":[{"a":1},{"a":1}],"b":1})",
                           R"({"a":[],"b":[[{"a":1}]]})"}) {
    EXPECT_TRUE(ReadStrictJson(text, 1000).ok()) << text;
  }
  for (const char* text :
       {R"({"a":{"a":1},"a":{"a":2}})", R"({"b":[{"a":1,"c":{},"a":1}]})",
        R"({"a":{"b":{"c":1,"c":1}}})", R"({"a":1,"\u0061":1})", R"({"a":[{}],"a":1})"}) {
    EXPECT_THAT(ReadStrictJson(text, 1000).status().message(), HasSubstr("twice")) << text;
  }
  EXPECT_THAT(ReadStrictJson(R"({"a":1e999})", 1000).status().message(), HasSubstr("too large"));
}

}  // namespace
}  // namespace coffer::attestation
