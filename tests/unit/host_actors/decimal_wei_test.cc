#include "actors/host/decimal_wei.h"

#include <gtest/gtest.h>

#include <boost/multiprecision/cpp_int.hpp>
#include <cstdlib>
#include <iostream>
#include <random>
#include <string>

namespace coffer::host {
namespace {

using boost::multiprecision::cpp_int;

constexpr absl::uint128 kEth = 1'000'000'000'000'000'000u;

TEST(DecimalWei, Accepts) {
  struct Case {
    std::string_view text;
    bool negative;
    absl::uint128 wei;
  };
  const Case cases[] = {
      {"1", false, kEth},
      {"0", false, 0},
      {"-0", false, 0},
      {"-0.000", false, 0},
      {"0E-18", false, 0},
      {"0E-999999999999", false, 0},
      {"0e9999", false, 0},
      {"0.00001606079", false, 16'060'790'000'000u},
      {"1E-7", false, 100'000'000'000u},
      {"1e-7", false, 100'000'000'000u},
      {"1.5E+3", false, kEth * 1500},
      {"1e0003", false, kEth * 1000},
      {"-0.5", true, kEth / 2},
      {"0.000000000000000001", false, 1},
      {"1E-18", false, 1},
      {"10E-19", false, 1},
      {"0.0000000000000000010000000", false, 1},
      {"00012.50", false, kEth * 25 / 2},
      {"123456789.123456789123456789", false,
       absl::uint128{123456789} * kEth + 123456789123456789u},
      // 2^127 - 1 wei
      {"170141183460469231731.687303715884105727", false, (absl::uint128{1} << 127) - 1},
      {"-170141183460469231731687303715884105727e-18", true, (absl::uint128{1} << 127) - 1},
  };
  for (const Case& c : cases) {
    const auto wei = ParseEthToWei(c.text);
    ASSERT_TRUE(wei.ok()) << c.text << ": " << wei.status();
    EXPECT_EQ(wei->negative, c.negative) << c.text;
    EXPECT_EQ(wei->magnitude, c.wei) << c.text;
  }
}

TEST(DecimalWei, Rejects) {
  struct Case {
    std::string text;
    absl::StatusCode code;
  };
  constexpr auto kForm = absl::StatusCode::kInvalidArgument;
  constexpr auto kDecimals = absl::StatusCode::kFailedPrecondition;
  constexpr auto kRange = absl::StatusCode::kOutOfRange;
  const Case cases[] = {
      {"", kForm},
      {"-", kForm},
      {".", kForm},
      {"1.", kForm},
      {".5", kForm},
      {"+1", kForm},
      {"--1", kForm},
      {" 1", kForm},
      {"1 ", kForm},
      {"1,5", kForm},
      {"1_000", kForm},
      {"0x10", kForm},
      {"NaN", kForm},
      {"nan", kForm},
      {"Infinity", kForm},
      {"-inf", kForm},
      {"1e", kForm},
      {"1e+", kForm},
      {"1e5.0", kForm},
      {"1e5e5", kForm},
      {"1.2.3", kForm},
      {std::string("1\0", 2), kForm},
      {"\xd9\xa1", kForm},
      {std::string(257, '1'), kForm},
      {"1E-19", kDecimals},
      {"0.0000000000000000001", kDecimals},
      {"1.0000000000000000010000001", kDecimals},
      {"1e-9999", kDecimals},
      {"1e-99999999999999999999", kDecimals},
      {"1e30", kRange},
      {"1e21", kRange},
      {"1e9999", kRange},
      {"1e99999999999999999999", kRange},
      {std::string(256, '1'), kRange},
      {"170141183460469231731.687303715884105728", kRange},  // 2^127
      {"-340282366920938463463.374607431768211456", kRange},
      {"999999999999999999999", kRange},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(ParseEthToWei(c.text).status().code(), c.code) << c.text;
  }
}

// The same meaning in another way: arbitrary precision, by multiplication and division.
std::string Reference(std::string text) {
  const bool negative = text[0] == '-';
  if (negative) text.erase(0, 1);
  long exponent = 18;
  if (const size_t e = text.find_first_of("eE"); e != text.npos) {
    exponent += std::strtol(text.c_str() + e + 1, nullptr, 10);
    text.resize(e);
  }
  if (const size_t dot = text.find('.'); dot != text.npos) {
    exponent -= static_cast<long>(text.size() - dot - 1);
    text.erase(dot, 1);
  }
  cpp_int value = 0;
  for (const char c : text) value = value * 10 + (c - '0');
  if (exponent < 0) {
    const cpp_int divisor = pow(cpp_int(10), static_cast<unsigned>(-exponent));
    if (value % divisor != 0) return "decimals";
    value /= divisor;
  } else {
    value *= pow(cpp_int(10), static_cast<unsigned>(exponent));
  }
  if (value >= (cpp_int(1) << 127)) return "range";
  return (negative && value != 0 ? "-" : "") + value.str();
}

std::string Ours(const std::string& text) {
  const auto wei = ParseEthToWei(text);
  if (absl::IsFailedPrecondition(wei.status())) return "decimals";
  if (absl::IsOutOfRange(wei.status())) return "range";
  if (!wei.ok()) return std::string(wei.status().message());
  cpp_int value = absl::Uint128High64(wei->magnitude);
  value = (value << 64) + absl::Uint128Low64(wei->magnitude);
  return (wei->negative ? "-" : "") + value.str();
}

TEST(DecimalWei, AgreesWithArbitraryPrecision) {
  const char* const given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "COFFER_TEST_SEED=" << seed << "\n";
  std::mt19937_64 random(seed);
  const auto digits = [&](size_t min, size_t max) {
    std::string out(min + random() % (max - min + 1), '0');
    const bool sparse = random() % 2 == 0;
    for (char& c : out) {
      if (!sparse || random() % 4 == 0) c = static_cast<char>('0' + random() % 10);
    }
    return out;
  };
  size_t exact = 0;
  for (int i = 0; i < 50'000; ++i) {
    std::string text = random() % 3 == 0 ? "-" : "";
    text += digits(1, 1 + random() % 24);
    if (random() % 4 != 0) text += "." + digits(1, 1 + random() % 24);
    if (random() % 2 == 0) {
      text += random() % 2 == 0 ? "e" : "E";
      if (random() % 3 == 0) text += random() % 2 == 0 ? "+" : "-";
      text += std::to_string(random() % 30);
    }
    const std::string expected = Reference(text);
    ASSERT_EQ(Ours(text), expected) << text;
    exact += expected != "range" && expected != "decimals";
  }
  EXPECT_GT(exact, 10'000u);
}

}  // namespace
}  // namespace coffer::host
