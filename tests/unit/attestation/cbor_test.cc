#include "enclave_core/attestation/cbor.h"

#include <cbor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "enclave_core/ethereum/types.h"

namespace coffer::attestation::cbor {
namespace {

using testing::HasSubstr;

std::string Bytes(std::string_view hex) { return *ethereum::FromHex(hex); }

absl::Status SkipAll(std::string_view bytes) {
  Reader reader(bytes);
  const absl::Status status = reader.Skip();
  return status.ok() ? reader.End() : status;
}

// RFC 8949, appendix A, as far as it is what the reader takes.
TEST(Cbor, ReadsTheExamplesOfTheRfc) {
  const struct {
    const char* hex;
    uint64_t value;
  } numbers[] = {{"00", 0},
                 {"17", 23},
                 {"1818", 24},
                 {"18ff", 255},
                 {"1903e8", 1000},
                 {"1a000f4240", 1000000},
                 {"1b000000e8d4a51000", 1000000000000},
                 {"1bffffffffffffffff", UINT64_MAX}};
  for (const auto& one : numbers) {
    const std::string bytes = Bytes(one.hex);
    Reader reader(bytes);
    EXPECT_EQ(reader.Unsigned().value(), one.value);
    EXPECT_TRUE(reader.End().ok());
    EXPECT_EQ(Writer().Unsigned(one.value).Take(), bytes);
  }
  const std::pair<const char*, int64_t> negatives[] = {{"20", -1},
                                                       {"29", -10},
                                                       {"3863", -100},
                                                       {"3903e7", -1000},
                                                       {"3b7fffffffffffffff", INT64_MIN}};
  for (const auto& [hex, value] : negatives) {
    const std::string bytes = Bytes(hex);
    EXPECT_EQ(Reader(bytes).Integer().value(), value);
    EXPECT_EQ(Writer().Integer(value).Take(), bytes);
  }
  EXPECT_FALSE(Reader(Bytes("3bffffffffffffffff")).Integer().ok());
  EXPECT_FALSE(Reader(Bytes("1bffffffffffffffff")).Integer().ok());
  EXPECT_EQ(Reader(Bytes("f5")).Bool().value(), true);
  EXPECT_EQ(Reader(Bytes("f4")).Bool().value(), false);
  EXPECT_TRUE(Reader(Bytes("f6")).TakeNull().value());
  EXPECT_FALSE(Reader(Bytes("f4")).TakeNull().value());
}

TEST(Cbor, ReadsStringsWithinTheirBound) {
  const std::string bytes = Bytes("4401020304");
  EXPECT_EQ(Reader(bytes).Bytes(4).value(), Bytes("01020304"));
  EXPECT_THAT(Reader(bytes).Bytes(3).status().message(), HasSubstr("at most 3"));
  EXPECT_EQ(Reader(Bytes("62c3bc")).Text(2).value(), "\xc3\xbc");
  EXPECT_THAT(Reader(Bytes("62c328")).Text(2).status().message(), HasSubstr("UTF-8"));
  EXPECT_FALSE(Reader(bytes).Text(4).ok());
  // A length that is not there, and one that would overflow an offset.
  EXPECT_FALSE(Reader(Bytes("440102")).Bytes(100).ok());
  EXPECT_FALSE(Reader(Bytes("5bffffffffffffffff01")).Bytes(SIZE_MAX).ok());
}

TEST(Cbor, ReadsArraysAndMapsOfBothKinds) {
  for (const char* hex : {"83010203", "9f010203ff"}) {
    const std::string bytes = Bytes(hex);
    Reader reader(bytes);
    Count count = reader.Array(3).value();
    for (uint64_t i = 1; i <= 3; ++i) {
      ASSERT_TRUE(reader.More(count).value());
      EXPECT_EQ(reader.Unsigned().value(), i);
    }
    EXPECT_FALSE(reader.More(count).value());
    EXPECT_TRUE(reader.End().ok());
  }
  EXPECT_FALSE(Reader(Bytes("83010203")).Array(2).ok());
  const std::string bytes = Bytes("bf01020304ff");
  Reader reader(bytes);
  Count count = reader.Map(1).value();
  ASSERT_TRUE(reader.More(count).value());
  ASSERT_TRUE(reader.Unsigned().ok() && reader.Unsigned().ok());
  EXPECT_FALSE(reader.More(count).ok()) << "a second pair, where one is allowed";
}

TEST(Cbor, RefusesWhatIsNotItsPart) {
  for (const char* hex : {"",
                          "1c",
                          "1f",
                          "3f",
                          "5f4101ff",
                          "7f6161ff",
                          "dfff",
                          "f7",
                          "f0",
                          "f820",
                          "f90000",
                          "fa00000000",
                          "fb0000000000000000",
                          "ff",
                          "18",
                          "1900",
                          "1a000000",
                          "8201",
                          "9f01",
                          "bf01ff",
                          "a101",
                          "d2",
                          "8301ff02"}) {
    EXPECT_FALSE(SkipAll(Bytes(hex)).ok()) << hex;
  }
  EXPECT_THAT(SkipAll(Bytes("0000")).message(), HasSubstr("follow the end"));
}

TEST(Cbor, NestsNoDeeperThanItsBound) {
  const std::string deep(kMaxDepth, '\x81');
  EXPECT_TRUE(SkipAll(deep + "\x01").ok());
  EXPECT_THAT(SkipAll(deep + "\x81\x01").message(), HasSubstr("nested"));
  EXPECT_FALSE(SkipAll(std::string(100'000, '\x81')).ok());
  EXPECT_FALSE(SkipAll(std::string(100'000, '\xd2')).ok());
}

// Lengths in more bytes than they need are well-formed.
TEST(Cbor, TakesLongForms) {
  EXPECT_EQ(Reader(Bytes("1b0000000000000001")).Unsigned().value(), 1u);
  EXPECT_EQ(Reader(Bytes("59000101")).Bytes(1).value(), "\x01");
}

// What the writer writes, libcbor reads, and the other way round.
// (Not with tag 18: libcbor 0.8 takes tags 6 to 20 for malformed.)
TEST(Cbor, AgreesWithLibcbor) {
  Writer writer;
  writer.Tag(55799).Array(6).Unsigned(1'000'000).Integer(-35).Bytes("bytes").Text("text");
  writer.Map(2).Text("a").Bool(true).Text("b").Null().IndefiniteMap().Text("c").Bool(false).Break();
  cbor_load_result result;
  cbor_item_t* item = cbor_load(reinterpret_cast<const unsigned char*>(writer.bytes().data()),
                                writer.bytes().size(), &result);
  ASSERT_NE(item, nullptr);
  EXPECT_EQ(result.read, writer.bytes().size());
  unsigned char* again = nullptr;
  size_t size = 0;
  const size_t written = cbor_serialize_alloc(item, &again, &size);
  EXPECT_EQ(ethereum::ToHex({reinterpret_cast<char*>(again), written}),
            ethereum::ToHex(writer.bytes()));
  EXPECT_TRUE(SkipAll({reinterpret_cast<char*>(again), written}).ok());
  std::free(again);
  cbor_decref(&item);
}

}  // namespace
}  // namespace coffer::attestation::cbor
