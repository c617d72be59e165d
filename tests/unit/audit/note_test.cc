#include "enclave_core/audit/note.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_replace.h"
#include "enclave_core/audit/text.h"
#include "tests/unit/audit/support.h"

namespace coffer::audit {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The example of the format's first implementation (golang.org/x/mod/sumdb/note), with its keys.
constexpr char kVkey[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
constexpr char kSeed[] = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";  // type byte and seed
constexpr char kText[] =
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n";
constexpr char kLine[] =
    "\u2014 PeterNeumann "
    "x08go/ZJkuBS9UG/"
    "SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

std::string Example() { return std::string(kText) + "\n" + kLine; }

// The specification's example: its key is not published, its structure is.
constexpr char kPoem[] =
    "Ognuno sta solo sul cuor della terra\n"
    "trafitto da un raggio di sole:\n"
    "\n"
    "ed \u00e8 subito sera.\n"
    "\n"
    "\u2014 quasimodo.example/salvatore "
    "NnugSzTjtVAewIS+Z/iJhUPeFDkO/"
    "5QQ2i5ddnGITLlC+EhfLW9oJKONrMouFSQU0xMcXxj99ihAQwaqP3ZekRwNtIc=\n";

NoteSigner Peter() {
  const std::string seed = DecodeBase64(kSeed).value().substr(1);
  return NoteSigner::Create("PeterNeumann", KeyType::kEd25519,
                            ethereum::SecretBytes::CopyOf(seed).value())
      .value();
}

TEST(Note, PublishedExampleVerifies) {
  const VerifierKey key = VerifierKey::Parse(kVkey).value();
  EXPECT_EQ(key.name(), "PeterNeumann");
  EXPECT_EQ(key.id(), 0xc74f20a3u);
  EXPECT_EQ(key.ToString(), kVkey);
  const Note note = ParseNote(Example()).value();
  EXPECT_EQ(note.text, kText);
  EXPECT_THAT(VerifyNote(note, {key}).value(), ElementsAre(0));
  EXPECT_EQ(FormatNote(note), Example());
}

TEST(Note, PublishedExampleIsWhatWeSign) {
  const NoteSigner signer = Peter();
  EXPECT_EQ(signer.key().ToString(), kVkey);
  EXPECT_EQ(FormatNote({kText, {signer.Sign(kText)}}), Example());
}

TEST(Note, SpecificationsExampleDividesAtTheLastEmptyLine) {
  const Note note = ParseNote(kPoem).value();
  EXPECT_THAT(note.text, testing::EndsWith("\n\ned \u00e8 subito sera.\n"));
  ASSERT_EQ(note.signatures.size(), 1u);
  EXPECT_EQ(note.signatures[0].name, "quasimodo.example/salvatore");
  EXPECT_EQ(note.signatures[0].key_id, 0x367ba04bu);
  EXPECT_EQ(note.signatures[0].bytes.size(), 64u);
  EXPECT_EQ(FormatNote(note), kPoem);
}

TEST(Note, RefusedBytes) {
  const auto with_line = [](const std::string& line) { return std::string(kText) + "\n" + line; };
  const std::string long_lines = [] {
    std::string out;
    for (size_t i = 0; i <= kMaxSignatures; ++i) out += kLine;
    return out;
  }();
  const struct {
    const char* what;
    std::string note;
  } kCases[] = {
      {"nothing", ""},
      {"no signature", std::string(kText) + "\n"},
      {"no empty line", std::string(kText) + kLine},
      {"no text", std::string("\n") + kLine},
      {"no newline at the end", with_line(std::string(kLine).substr(0, sizeof(kLine) - 2))},
      {"bytes after the signatures", Example() + "x\n"},
      {"a hyphen", with_line(absl::StrReplaceAll(kLine, {{"\u2014", "-"}}))},
      {"no name", with_line("\u2014  x08go/ZJ\n")},
      {"two spaces", with_line(absl::StrReplaceAll(kLine, {{"Neumann ", "Neumann  "}}))},
      {"a plus in the name", with_line(absl::StrReplaceAll(kLine, {{"PeterN", "Peter+N"}}))},
      {"a Unicode space", with_line(absl::StrReplaceAll(kLine, {{"PeterN", "Peter\u00a0N"}}))},
      {"a wide space", with_line(absl::StrReplaceAll(kLine, {{"PeterN", "Peter\u3000N"}}))},
      {"no padding", with_line(absl::StrReplaceAll(kLine, {{"=", ""}}))},
      {"white space in base64", with_line(absl::StrReplaceAll(kLine, {{"x08go", "x08 go"}}))},
      {"other last bits", with_line(absl::StrReplaceAll(kLine, {{"nAM=", "nAN="}}))},
      {"the other alphabet", with_line(absl::StrReplaceAll(kLine, {{"/", "_"}}))},
      {"only a key ID", with_line("\u2014 PeterNeumann x08gow==\n")},
      {"a tab", absl::StrReplaceAll(Example(), {{"you don't", "you\tdon't"}})},
      {"a carriage return", absl::StrReplaceAll(Example(), {{"problem,", "problem,\r"}})},
      {"a zero byte", std::string("\0", 1) + Example()},
      {"no UTF-8", "\xff" + Example()},
      {"an overlong form", "\xc0\xaf" + Example()},
      {"a surrogate", "\xed\xa0\x80" + Example()},
      {"above U+10FFFF", "\xf4\x90\x80\x80" + Example()},
      {"too many signatures", with_line(long_lines)},
      {"too long", std::string(kMaxNoteBytes, 'x') + "\n" + Example()},
  };
  for (const auto& test : kCases) EXPECT_FALSE(ParseNote(test.note).ok()) << test.what;
}

TEST(Note, SixteenSignaturesAreAccepted) {
  std::string note = std::string(kText) + "\n";
  for (int i = 0; i < 16; ++i) {
    note += FormatSignatureLine({absl::StrCat("w", i), 1, std::string(5000, 's')});
  }
  EXPECT_EQ(ParseNote(note + kLine).value().signatures.size(), 17u);
}

TEST(Note, WhoSigned) {
  const VerifierKey peter = VerifierKey::Parse(kVkey).value();
  const NoteSigner other = SignerOf("other.example", KeyType::kEd25519, 'o');
  const NoteSigner namesake = SignerOf("PeterNeumann", KeyType::kEd25519, 'p');
  Note note{kText, {other.Sign(kText), Peter().Sign(kText)}};
  EXPECT_THAT(VerifyNote(note, {peter}).value(), ElementsAre(0));
  EXPECT_THAT(VerifyNote(note, {namesake.key(), peter, other.key()}).value(), ElementsAre(1, 2));
  EXPECT_FALSE(VerifyNote(note, {namesake.key()}).ok()) << "a key of that name, but another";
  EXPECT_FALSE(VerifyNote(note, {}).ok());
  // An unknown signature may be wrong; a known one must not, whoever else signed.
  note.signatures[0].bytes[5] ^= 1;
  EXPECT_TRUE(VerifyNote(note, {peter}).ok());
  const auto status = VerifyNote(note, {peter, other.key()}).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("other.example"));
  note.signatures[0].bytes.pop_back();
  EXPECT_FALSE(VerifyNote(note, {peter, other.key()}).ok());
  note.text += "more\n";
  EXPECT_FALSE(VerifyNote(note, {peter}).ok());
}

TEST(VerifierKey, RefusedTexts) {
  const std::string vkey = kVkey;
  for (size_t begin = 0; begin < vkey.size(); ++begin) {
    for (size_t end = begin; end <= vkey.size(); ++end) {
      if (begin == 0 && end == vkey.size()) continue;
      EXPECT_FALSE(VerifierKey::Parse(vkey.substr(begin, end - begin)).ok()) << begin << " " << end;
    }
  }
  for (size_t i = 0; i < vkey.size(); ++i) {
    std::string changed = vkey;
    ++changed[i];
    EXPECT_FALSE(VerifierKey::Parse(changed).ok()) << i;
  }
  EXPECT_FALSE(VerifierKey::Parse(absl::StrReplaceAll(vkey, {{"c74f20a3", "C74F20A3"}})).ok());
  EXPECT_FALSE(VerifierKey::Parse("a b+00000000+" + std::string(44, 'A')).ok());
}

TEST(VerifierKey, TypesHaveIdsOfTheirOwn) {
  const NoteSigner log = SignerOf("same.example", KeyType::kEd25519, 's');
  const NoteSigner witness = SignerOf("same.example", KeyType::kCosignatureV1, 's');
  EXPECT_EQ(log.key().public_key(), witness.key().public_key());
  EXPECT_NE(log.key().id(), witness.key().id());
  for (const NoteSigner* signer : {&log, &witness}) {
    EXPECT_EQ(VerifierKey::Parse(signer->key().ToString()).value(), signer->key());
  }
}

TEST(NoteSigner, RefusesOtherSeedsAndNames) {
  const auto seed = [](size_t size) { return ethereum::SecretBytes::Create(size).value(); };
  EXPECT_FALSE(NoteSigner::Create("a", KeyType::kEd25519, seed(31)).ok());
  EXPECT_FALSE(NoteSigner::Create("a", KeyType::kEd25519, seed(33)).ok());
  EXPECT_FALSE(NoteSigner::Create("", KeyType::kEd25519, seed(32)).ok());
  EXPECT_FALSE(NoteSigner::Create("a b", KeyType::kEd25519, seed(32)).ok());
}

// RFC 8032, 7.1, TEST 3.
TEST(NoteSigner, PublishedEd25519Vector) {
  const auto raw = [](const char* hex) { return ethereum::FromHex(hex).value(); };
  const NoteSigner signer =
      NoteSigner::Create(
          "rfc8032", KeyType::kEd25519,
          ethereum::SecretBytes::CopyOf(
              raw("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
              .value())
          .value();
  EXPECT_EQ(signer.key().public_key().ToHex(),
            "0xfc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025");
  EXPECT_EQ(ethereum::ToHex(signer.SignBytes(raw("af82"))),
            "0x6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
            "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a");
}

}  // namespace
}  // namespace coffer::audit
