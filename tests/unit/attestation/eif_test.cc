#include "enclave_core/attestation/eif.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/crc.hpp>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <random>
#include <string>

namespace coffer::attestation {
namespace {

using testing::HasSubstr;
using enum EifSectionType;

Eif Image() {
  Eif eif;
  eif.sections = {{kKernel, "kernel"}, {kCmdline, "console=ttyS0"}, {kMetadata, "{}"},
                  {kRamdisk, "boot"},  {kRamdisk, "application"},   {kRamdisk, "data"}};
  return eif;
}

void Put(std::string& file, size_t at, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) file[at + i] = static_cast<char>(value >> (8 * (size - 1 - i)));
}

// After which a file is wrong for the reason that was planted and for no other.
void MendChecksum(std::string& file) {
  if (file.size() < kEifHeaderBytes) return;
  boost::crc_32_type crc;
  crc.process_bytes(file.data(), kEifHeaderBytes - 4);
  crc.process_bytes(file.data() + kEifHeaderBytes, file.size() - kEifHeaderBytes);
  Put(file, kEifHeaderBytes - 4, crc.checksum(), 4);
}

uint64_t Seed() {
  const char* given = std::getenv("COFFER_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device()();
  std::cout << "COFFER_TEST_SEED=" << seed << std::endl;
  return seed;
}

TEST(Eif, LayoutIsTheOneOfTheFormat) {
  const std::string file = BuildEif(Image()).value();
  EXPECT_EQ(file.substr(0, 8), std::string(".eif\0\4\0\0", 8));
  EXPECT_EQ(file.substr(8, 16), std::string("\0\0\0\0\x40\0\0\0\0\0\0\0\0\0\0\2", 16));
  EXPECT_EQ(file.substr(24, 4), std::string("\0\0\0\6", 4));
  EXPECT_EQ(file.substr(28, 8), std::string("\0\0\0\0\0\0\2\x24", 8));      // 548
  EXPECT_EQ(file.substr(28 + 256, 8), std::string("\0\0\0\0\0\0\0\6", 8));  // the kernel's size
  EXPECT_EQ(file.substr(548, 12), std::string("\0\1\0\0\0\0\0\0\0\0\0\6", 12));
  EXPECT_EQ(file.substr(560, 6), "kernel");
  EXPECT_EQ(file.size(),
            548 + 6 * 12 + std::string("kernelconsole=ttyS0{}bootapplicationdata").size());
}

// Computed by hand: printf 'kernelconsole=ttyS0...' | openssl dgst -sha384 -binary behind 48 zeros,
// once more through SHA-384.
TEST(Eif, RegistersAreThoseComputedByHand) {
  const ImagePcrs pcrs = MeasureEif(Image()).value();
  EXPECT_EQ(
      PcrText(pcrs.pcr0),
      "57b7cf7e5d0966bfe4c6fc54e99bfc37e05154af010fc8d7c7181f964334ed97ea620f800a7570141aee5936"
      "b4ff0838");
  EXPECT_EQ(
      PcrText(pcrs.pcr1),
      "478dea37c4cbf7a807c622e20cd75a7fd0d1777b28707720faf3a8ab2b12c9d724d304ac3875a53b4e7f4636"
      "69f7507b");
  EXPECT_EQ(
      PcrText(pcrs.pcr2),
      "8710778d21cc146f95a4c7850a7fdad0838606ca26c6f882905a2c8c7341c38dba9469e88f8412cd4be63ff8"
      "94a16500");
  EXPECT_EQ(pcrs.pcr8, std::nullopt);
}

TEST(Eif, OfOneRamdiskTheApplicationIsEmpty) {
  Eif eif = Image();
  eif.sections.resize(4);
  const ImagePcrs pcrs = MeasureEif(eif).value();
  EXPECT_EQ(pcrs.pcr0, pcrs.pcr1);
  EXPECT_EQ(
      PcrText(pcrs.pcr2),
      "21b9efbc184807662e966d34f390821309eeac6802309798826296bf3e8bec7c10edb30948c90ba67310f7b9"
      "64fc500a");
}

TEST(Eif, WhatIsNotMeasuredChangesNoRegister) {
  Eif eif = Image();
  const ImagePcrs before = MeasureEif(eif).value();
  eif.sections[2].data = "{\"ImageName\":\"other\"}";
  eif.default_memory = 1;
  eif.default_cpus = 77;
  std::swap(eif.sections[2], eif.sections[5]);  // metadata at the end
  std::swap(eif.sections[3], eif.sections[2]);  // and the ramdisks in their order again
  std::swap(eif.sections[4], eif.sections[3]);
  EXPECT_EQ(MeasureEif(ParseEif(BuildEif(eif).value()).value()).value(), before);
}

TEST(Eif, ReadingIsTheInverseOfBuilding) {
  std::mt19937_64 random(Seed());
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> texts(2 + 1 + random() % 20);
    for (std::string& text : texts) {
      text.resize(1 + random() % 300);
      for (char& c : text) c = static_cast<char>(1 + random() % 255);
    }
    Eif eif;
    eif.architecture = random() % 2 == 0 ? EifArchitecture::kX86_64 : EifArchitecture::kArm64;
    eif.default_memory = random();
    eif.default_cpus = random();
    for (size_t i = 0; i < texts.size(); ++i) {
      eif.sections.push_back({i == 0 ? kKernel : i == 1 ? kCmdline : kRamdisk, texts[i]});
    }
    const std::string metadata = "{}";
    const auto place = static_cast<ptrdiff_t>(random() % (eif.sections.size() + 1));
    eif.sections.insert(eif.sections.begin() + place, {kMetadata, metadata});
    const std::string file = BuildEif(eif).value();
    const absl::StatusOr<Eif> read = ParseEif(file);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(BuildEif(*read).value(), file);
    EXPECT_EQ(MeasureEif(*read).value(), MeasureEif(eif).value());
  }
}

TEST(Eif, EveryTruncationAndEveryFlippedByteIsRefused) {
  const std::string file = BuildEif(Image()).value();
  for (size_t size = 0; size < file.size(); ++size) {
    EXPECT_FALSE(ParseEif(std::string_view(file).substr(0, size)).ok()) << size;
  }
  for (size_t at = 0; at < file.size(); ++at) {
    std::string changed = file;
    changed[at] = static_cast<char>(changed[at] ^ 1 << at % 8);
    EXPECT_EQ(ParseEif(changed).status().code(), absl::StatusCode::kInvalidArgument) << at;
  }
}

struct Malformation {
  const char* sentence;
  std::function<void(std::string&)> plant;
};

// Where the second section's offset, size and own head are: 548 + 12 + 6 bytes of kernel.
constexpr size_t kOffset1 = 28 + 8, kSize1 = 28 + 256 + 8, kHead1 = 566;

TEST(Eif, EachMalformationHasItsSentence) {
  const Malformation table[] = {
      {"has 547 bytes; its header alone has 548", [](auto& f) { f.resize(547); }},
      {"does not begin with \".eif\"", [](auto& f) { f[0] = 'x'; }},
      {"is of EIF version 5; 3 and 4 are known", [](auto& f) { f[5] = 5; }},
      {"version 3 has no metadata section", [](auto& f) { f[5] = 3; }},
      {"has flags 3", [](auto& f) { f[7] = 3; }},
      {"the reserved field of its header is not zero", [](auto& f) { f[25] = 1; }},
      {"the unused field of its header is not zero", [](auto& f) { f[540] = 1; }},
      {"says that it has 33 sections; at most 32", [](auto& f) { f[27] = 33; }},
      {"says that it has 65535 sections", [](auto& f) { Put(f, 26, 65535, 2); }},
      {"has no kernel",
       [](auto& f) { f.resize(548), Put(f, 26, 0, 2), f.replace(28, 512, 512, '\0'); }},
      {"bytes after its last section", [](auto& f) { f[27] = 5; }},
      {"section 6 is said to begin at byte 0, but what is before it ends at",
       [](auto& f) { f[27] = 7; }},
      {"has 1 bytes after its last section", [](auto& f) { f += 'x'; }},
      {"section 1 is said to begin at byte 565, but what is before it ends at 566",
       [](auto& f) { Put(f, kOffset1, 565, 8); }},
      {"section 1 is said to begin at byte 567", [](auto& f) { Put(f, kOffset1, 567, 8); }},
      {"section 1 is said to begin at byte 18446744073709551615",
       [](auto& f) { Put(f, kOffset1, ~uint64_t{0}, 8); }},
      {"section 1 has 13 bytes by its own head and 14 by the file's header",
       [](auto& f) { Put(f, kSize1, 14, 8); }},
      {"section 1 is said to have 18446744073709551615 bytes; the file has",
       [](auto& f) { Put(f, kSize1, ~uint64_t{0}, 8), Put(f, kHead1 + 4, ~uint64_t{0}, 8); }},
      {"within the head of section 1", [](auto& f) { f.resize(kHead1 + 11); }},
      {"section 1 is of the unknown type 0", [](auto& f) { Put(f, kHead1, 0, 2); }},
      {"section 1 is of the unknown type 6", [](auto& f) { Put(f, kHead1, 6, 2); }},
      {"section 1 has the unknown flags 1", [](auto& f) { Put(f, kHead1 + 2, 1, 2); }},
      {"section 1 is a second kernel", [](auto& f) { Put(f, kHead1, 1, 2); }},
      {"section 1, a ramdisk, is out of order", [](auto& f) { Put(f, kHead1, 3, 2); }},
      {"section 0, a cmdline, is out of order", [](auto& f) { Put(f, 548, 2, 2); }},
      {"section 3, a ramdisk, is out of order", [](auto& f) { Put(f, kHead1, 4, 2); }},
      {"has an offset or a size for section 6, but it has 6 sections",
       [](auto& f) { Put(f, 28 + 48, 1, 8); }},
      {"has an offset or a size for section 31", [](auto& f) { Put(f, 28 + 256 + 248, 1, 8); }},
      {"a zero byte, where the kernel would stop", [](auto& f) { f[kHead1 + 12] = '\0'; }},
  };
  for (const Malformation& one : table) {
    std::string file = BuildEif(Image()).value();
    one.plant(file);
    MendChecksum(file);
    const absl::Status status = ParseEif(file).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << one.sentence;
    EXPECT_THAT(status.message(), HasSubstr(one.sentence));
  }
}

TEST(Eif, ADamagedImageIsToldByItsChecksum) {
  std::string file = BuildEif(Image()).value();
  file.back() = 'X';
  EXPECT_THAT(ParseEif(file).status().message(), HasSubstr("is damaged: its CRC-32 is "));
}

TEST(Eif, TheBuilderRefusesWhatTheReaderWould) {
  const std::string long_line(kMaxCmdlineBytes + 1, 'x'), large(kMaxMetadataBytes + 1, ' ');
  const std::string signature(kMaxEifSignatureBytes + 1, ' ');
  const std::pair<const char*, std::function<void(Eif&)>> table[] = {
      {"has no ramdisk", [](Eif& e) { e.sections.resize(3); }},
      {"has no cmdline", [](Eif& e) { e.sections.resize(1); }},
      {"is a second metadata",
       [](Eif& e) {
         e.sections.push_back({kMetadata, "{}"});
       }},
      {"says that it has 33 sections",
       [](Eif& e) {
         e.sections.resize(33, {kRamdisk, "x"});
       }},
      {"section 0, a kernel, is empty", [](Eif& e) { e.sections[0].data = ""; }},
      {"section 5, a ramdisk, is empty", [](Eif& e) { e.sections[5].data = ""; }},
      {"the cmdline, has 4097 bytes, more than the 4096",
       [&](Eif& e) { e.sections[1].data = long_line; }},
      {"the metadata, has 1048577 bytes", [&](Eif& e) { e.sections[2].data = large; }},
      {"the signature, has 65537 bytes",
       [&](Eif& e) {
         e.sections.push_back({kSignature, signature});
       }},
      {"is of EIF version 2", [](Eif& e) { e.version = 2; }},
  };
  for (const auto& [sentence, plant] : table) {
    Eif eif = Image();
    plant(eif);
    EXPECT_THAT(BuildEif(eif).status().message(), HasSubstr(sentence));
  }
}

TEST(Eif, AnOldImageWithoutMetadataIsRead) {
  Eif eif = Image();
  eif.version = 3;
  eif.sections.erase(eif.sections.begin() + 2);
  const ImagePcrs pcrs = MeasureEif(ParseEif(BuildEif(eif).value()).value()).value();
  EXPECT_EQ(pcrs, MeasureEif(Image()).value());
}

TEST(Pcrs, AreReadInAnyCase) {
  const std::string digits(95, 'a');
  EXPECT_EQ(ParsePcr("0x" + digits + "B").value(), ParsePcr(digits + "b").value());
  EXPECT_EQ(PcrText(ParsePcr(digits + "B").value()), digits + "b");
  EXPECT_THAT(ParsePcr(digits).status().message(), HasSubstr("and this 95"));
  EXPECT_THAT(ParsePcr("0x" + digits + "g").status().message(), HasSubstr("digit 96 of a PCR"));
  EXPECT_TRUE(IsZeroPcr(ParsePcr(std::string(96, '0')).value()));
  EXPECT_FALSE(IsZeroPcr(ParsePcr(std::string(95, '0') + "1").value()));
}

}  // namespace
}  // namespace coffer::attestation
