// The payload and what is around it: what is read is what was written, and nothing else is read.
#include "enclave_core/attestation/document.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "enclave_core/attestation/cbor.h"
#include "enclave_core/attestation/cose.h"
#include "tests/support/nitro.h"

namespace coffer::attestation {
namespace {

using testing::HasSubstr;

// The fields of a small document as pairs of encoded items, to be altered and put together again.
using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string Text(std::string_view text) { return cbor::Writer().Text(text).Take(); }
std::string Blob(size_t size) { return cbor::Writer().Bytes(std::string(size, 'x')).Take(); }

Pairs SmallPairs() {
  return {{Text("module_id"), Text("m")},
          {Text("digest"), Text("SHA384")},
          {Text("timestamp"), cbor::Writer().Unsigned(1).Take()},
          {Text("pcrs"), cbor::Writer().Map(1).Unsigned(0).Bytes(std::string(48, 'p')).Take()},
          {Text("certificate"), Blob(10)},
          {Text("cabundle"), cbor::Writer().Array(1).Bytes("root").Take()}};
}

std::string Join(const Pairs& pairs) {
  std::string out = cbor::Writer().Map(pairs.size()).Take();
  for (const auto& [key, value] : pairs) out += key + value;
  return out;
}

std::string ErrorOf(const Pairs& pairs) {
  const auto read = ParseDocument(Join(pairs));
  return read.ok() ? "none" : std::string(read.status().message());
}

TEST(Document, IsReadAsItWasWritten) {
  Document document = NitroDocument();
  EXPECT_EQ(ParseDocument(*EncodeDocument(document)).value(), document);
  document.public_key = std::string(1024, 'k');
  document.user_data = std::string(1024, '\0');
  document.nonce.reset();
  EXPECT_EQ(ParseDocument(*EncodeDocument(document)).value(), document);
  document.nonce = "";
  EXPECT_EQ(ParseDocument(*EncodeDocument(document)).value(), document);
}

TEST(Document, OptionalFieldsMayBeAbsentOrNull) {
  Pairs pairs = SmallPairs();
  const Document absent = ParseDocument(Join(pairs)).value();
  EXPECT_FALSE(absent.nonce || absent.user_data || absent.public_key);
  for (const char* name : {"nonce", "user_data", "public_key"}) {
    pairs.emplace_back(Text(name), cbor::Writer().Null().Take());
  }
  EXPECT_EQ(ParseDocument(Join(pairs)).value(), absent);
}

TEST(Document, TheMapMayBeIndefiniteAndInAnyOrder) {
  Pairs pairs = SmallPairs();
  const Document document = ParseDocument(Join(pairs)).value();
  std::swap(pairs[0], pairs[5]);
  std::string indefinite = cbor::Writer().IndefiniteMap().Take();
  for (const auto& [key, value] : pairs) indefinite += key + value;
  EXPECT_FALSE(ParseDocument(indefinite).ok());
  EXPECT_EQ(ParseDocument(indefinite + "\xff").value(), document);
  EXPECT_FALSE(ParseDocument(indefinite + "\xff\xff").ok());
}

TEST(Document, EveryRequiredFieldIsMissed) {
  for (size_t drop = 0; drop < 6; ++drop) {
    Pairs pairs = SmallPairs();
    pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(drop));
    EXPECT_THAT(ErrorOf(pairs), HasSubstr("is missing"));
  }
}

TEST(Document, RepeatedAndUnknownKeysAreRefused) {
  for (size_t again = 0; again < 6; ++again) {
    Pairs pairs = SmallPairs();
    pairs.push_back(pairs[again]);
    EXPECT_THAT(ErrorOf(pairs), HasSubstr("is there twice"));
  }
  Pairs pairs = SmallPairs();
  pairs.emplace_back(Text("nitrotpm_pcrs"), cbor::Writer().Null().Take());
  EXPECT_THAT(ErrorOf(pairs), HasSubstr("no field"));
  pairs.back().first = cbor::Writer().Unsigned(1).Take();
  EXPECT_THAT(ErrorOf(pairs), HasSubstr("a text string must be here"));
  pairs = SmallPairs();
  pairs[3].second = cbor::Writer()
                        .Map(2)
                        .Unsigned(0)
                        .Bytes(std::string(48, 'p'))
                        .Unsigned(0)
                        .Bytes(std::string(48, 'q'))
                        .Take();
  EXPECT_THAT(ErrorOf(pairs), HasSubstr("index 0 is there twice"));
}

TEST(Document, LimitsOfEachField) {
  const auto map = [](uint64_t index, size_t size) {
    return cbor::Writer().Map(1).Unsigned(index).Bytes(std::string(size, 'p')).Take();
  };
  const struct {
    size_t field;
    std::string value;
    bool allowed;
  } cases[] = {
      {0, Text(""), false},
      {0, Text(std::string(256, 'm')), true},
      {0, Text(std::string(257, 'm')), false},
      {0, Blob(3), false},
      {1, Text("SHA256"), false},
      {2, cbor::Writer().Unsigned(0).Take(), false},
      {2, cbor::Writer().Unsigned(INT64_MAX).Take(), true},
      {2, cbor::Writer().Unsigned(UINT64_MAX).Take(), false},
      {2, cbor::Writer().Integer(-1).Take(), false},
      {3, cbor::Writer().Map(0).Take(), false},
      {3, map(31, 48), true},
      {3, map(32, 48), false},
      {3, map(0, 32), true},
      {3, map(0, 64), true},
      {3, map(0, 47), false},
      {3, map(0, 65), false},
      {4, Blob(0), false},
      {4, Blob(1024), true},
      {4, Blob(1025), false},
      {5, cbor::Writer().Array(0).Take(), false},
      {5, cbor::Writer().Array(1).Take() + Blob(0), false},
      {5, cbor::Writer().Array(1).Take() + Blob(1024), true},
      {5, cbor::Writer().Array(1).Take() + Blob(1025), false},
      {5, cbor::Writer().Array(17).Take(), false},
      {6, Text("public_key") + Blob(0), false},
      {6, Text("public_key") + Blob(1024), true},
      {6, Text("public_key") + Blob(1025), false},
      {6, Text("nonce") + Blob(0), true},
      {6, Text("nonce") + Blob(1025), false},
      {6, Text("user_data") + Text("text"), false},
  };
  for (const auto& one : cases) {
    Pairs pairs = SmallPairs();
    if (one.field == 6) {
      pairs.emplace_back("", one.value);
    } else {
      pairs[one.field].second = one.value;
    }
    EXPECT_EQ(ParseDocument(Join(pairs)).ok(), one.allowed) << one.field << " " << ErrorOf(pairs);
  }
}

TEST(Document, WhatCannotBeReadIsNotWritten) {
  const std::vector<std::function<void(Document&)>> wrongs = {[](Document& d) { d.module_id.clear(); },
                                                              [](Document& d) { d.digest = "SHA512"; },
                                                              [](Document& d) { d.timestamp_ms = 0; },
                                                              [](Document& d) { d.pcrs[32] = std::string(48, 'p'); },
                                                              [](Document& d) { d.pcrs[0] = "short"; },
                                                              [](Document& d) { d.pcrs.clear(); },
                                                              [](Document& d) { d.cabundle.clear(); },
                                                              [](Document& d) { d.certificate.clear(); },
                                                              [](Document& d) { d.public_key = ""; },
                                                              [](Document& d) { d.nonce = std::string(1025, 'n'); }};
  for (const auto& wrong : wrongs) {
    Document document = NitroDocument();
    wrong(document);
    EXPECT_FALSE(EncodeDocument(document).ok());
  }
}

TEST(Sign1, IsReadAsItWasWritten) {
  Sign1 message = *SignSign1("payload", NitroChain()[4].key.get());
  EXPECT_EQ(ParseSign1(EncodeSign1(message)).value(), message);
  message.tagged = true;
  EXPECT_EQ(ParseSign1(EncodeSign1(message)).value(), message);
  EXPECT_TRUE(CheckEs384Header(message.protected_header).ok());
  EXPECT_TRUE(VerifySign1(message, NitroChain()[4].key.get()).ok());
  EXPECT_FALSE(VerifySign1(message, NitroChain()[3].key.get()).ok());
  message.payload += "x";
  EXPECT_FALSE(VerifySign1(message, NitroChain()[4].key.get()).ok());
}

// RFC 9052, section 4.4, put together by hand.
TEST(Sign1, SignsTheStructureOfTheRfc) {
  Sign1 message;
  message.protected_header = "\xa1\x01\x38\x22";
  message.payload = "hi";
  EXPECT_EQ(SignedBytes(message), std::string("\x84\x6aSignature1\x44\xa1\x01\x38\x22\x40\x42hi"));
}

TEST(Sign1, OnlyOneFormIsRead) {
  const Sign1 message = *SignSign1("payload", NitroChain()[4].key.get());
  const auto with = [&](const std::string& unprotected, const std::string& payload,
                        const std::string& signature, uint64_t items = 4) {
    return ParseSign1(cbor::Writer().Array(items).Bytes(message.protected_header).Take() +
                      unprotected + payload + signature);
  };
  const std::string none = cbor::Writer().Map(0).Take(), blob = Blob(7), signature = Blob(96);
  EXPECT_TRUE(with(none, blob, signature).ok());
  EXPECT_FALSE(with(cbor::Writer().Map(1).Unsigned(4).Bytes("key").Take(), blob, signature).ok());
  EXPECT_FALSE(with("\xbf\xff", blob, signature).ok());
  EXPECT_FALSE(with(none, cbor::Writer().Null().Take(), signature).ok()) << "detached";
  EXPECT_FALSE(with(none, Blob(0), signature).ok());
  EXPECT_FALSE(with(none, Blob(16385), signature).ok());
  EXPECT_FALSE(with(none, blob, Blob(95)).ok());
  EXPECT_FALSE(with(none, blob, Blob(97)).ok());
  EXPECT_FALSE(with(none, blob, signature, 3).ok());
  EXPECT_FALSE(with(none, blob, signature + blob, 5).ok());
  EXPECT_FALSE(ParseSign1(std::string(kMaxSign1Bytes + 1, '\x84')).ok());
}

TEST(Sign1, TheProtectedHeaderIsEs384AndNothingElse) {
  const auto error = [](const std::string& header) {
    return std::string(CheckEs384Header(header).message());
  };
  EXPECT_EQ(error(cbor::Writer().Map(1).Integer(1).Integer(-35).Take()), "");
  EXPECT_THAT(error(cbor::Writer().Map(1).Integer(1).Integer(-36).Take()), HasSubstr("-36"));
  EXPECT_THAT(error(cbor::Writer().Map(1).Integer(2).Integer(-35).Take()), HasSubstr("label"));
  EXPECT_THAT(error(cbor::Writer().Map(0).Take()), HasSubstr("no algorithm"));
  EXPECT_NE(error(cbor::Writer().Map(1).Integer(1).Text("ES384").Take()), "");
  EXPECT_NE(error(cbor::Writer().Map(2).Integer(1).Integer(-35).Integer(1).Integer(-35).Take()),
            "");
  EXPECT_NE(error(cbor::Writer().Map(1).Integer(1).Integer(-35).Null().Take()), "");
  EXPECT_NE(error(""), "");
}

}  // namespace
}  // namespace coffer::attestation
