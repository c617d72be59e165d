// The Nitro Secure Module's requests and answers, byte by byte: against bytes written by hand from
// RFC 8949, and against libcbor.
#include "enclave_core/attestation/nsm.h"

#include <cbor.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/attestation/document.h"

namespace coffer::attestation {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string Bytes(std::string hex) {
  hex.erase(std::remove(hex.begin(), hex.end(), ' '), hex.end());
  return absl::HexStringToBytes(hex);
}

// ---- a second encoder, libcbor's

std::string Encoded(cbor_item_t* item) {
  unsigned char* buffer = nullptr;
  size_t size = 0;
  const size_t written = cbor_serialize_alloc(item, &buffer, &size);
  std::string out(reinterpret_cast<char*>(buffer), written);
  free(buffer);
  cbor_decref(&item);
  return out;
}
cbor_item_t* Text(const char* text) { return cbor_build_string(text); }
cbor_item_t* Blob(const std::string& bytes) {
  return cbor_build_bytestring(reinterpret_cast<cbor_data>(bytes.data()), bytes.size());
}
cbor_item_t* BlobOrNull(const std::string& bytes) {
  return bytes.empty() ? cbor_move(cbor_new_null()) : cbor_move(Blob(bytes));
}
using Pairs = std::vector<std::pair<const char*, cbor_item_t*>>;
cbor_item_t* Map(const Pairs& pairs, bool indefinite = false) {
  cbor_item_t* map = indefinite ? cbor_new_indefinite_map() : cbor_new_definite_map(pairs.size());
  for (const auto& [key, value] : pairs) {
    EXPECT_TRUE(cbor_map_add(map, {cbor_move(Text(key)), value}));
  }
  return map;
}
std::string Answer(const char* name, const Pairs& fields, bool indefinite = false) {
  return Encoded(Map({{name, cbor_move(Map(fields, indefinite))}}, indefinite));
}
cbor_item_t* Number(uint8_t value) { return cbor_move(cbor_build_uint8(value)); }

// ---- requests

TEST(NsmRequestTest, AreTheBytesOfTheSpecification) {
  EXPECT_EQ(nsm::EncodeDescribeNsm(), Bytes("6b 4465736372696265 4e534d"));
  EXPECT_EQ(nsm::EncodeGetRandom(), Bytes("69 47657452616e646f6d"));
  EXPECT_EQ(nsm::EncodeDescribePcr(3), Bytes("a1 6b 4465736372696265504352 a1 65 696e646578 03"));
  EXPECT_EQ(nsm::EncodeDescribePcr(24),
            Bytes("a1 6b 4465736372696265504352 a1 65 696e646578 1818"));
  EXPECT_EQ(nsm::EncodeDescribePcr(0x1234),
            Bytes("a1 6b 4465736372696265504352 a1 65 696e646578 191234"));
  EXPECT_EQ(nsm::EncodeLockPcr(16), Bytes("a1 67 4c6f636b504352 a1 65 696e646578 10"));
  EXPECT_EQ(nsm::EncodeLockPcrs(16), Bytes("a1 68 4c6f636b50435273 a1 65 72616e6765 10"));
  EXPECT_EQ(*nsm::EncodeExtendPcr(16, Bytes("00ff")),
            Bytes("a1 69 457874656e64504352 a2 65 696e646578 10 64 64617461 42 00ff"));
  EXPECT_EQ(*nsm::EncodeAttestation({}),
            Bytes("a1 6b 4174746573746174696f6e a3 69 757365725f64617461 f6 65 6e6f6e6365 f6"
                  "6a 7075626c69635f6b6579 f6"));
  EXPECT_EQ(*nsm::EncodeAttestation({"u", Bytes("0102"), "key"}),
            Bytes("a1 6b 4174746573746174696f6e a3 69 757365725f64617461 41 75"
                  "65 6e6f6e6365 42 0102 6a 7075626c69635f6b6579 43 6b6579"));
}

TEST(NsmRequestTest, AreThoseOfLibcbor) {
  for (const size_t size : {0u, 1u, 23u, 24u, 255u, 256u, 512u}) {
    const Fields fields{std::string(size, 'u'), std::string(size, '\0'),
                        std::string(2 * size, 'k')};
    EXPECT_EQ(*nsm::EncodeAttestation(fields),
              Answer("Attestation", {{"user_data", BlobOrNull(fields.user_data)},
                                     {"nonce", BlobOrNull(fields.nonce)},
                                     {"public_key", BlobOrNull(fields.public_key)}}))
        << size;
    EXPECT_EQ(*nsm::EncodeExtendPcr(17, fields.nonce),
              Answer("ExtendPCR", {{"index", Number(17)}, {"data", cbor_move(Blob(fields.nonce))}}))
        << size;
  }
  EXPECT_EQ(nsm::EncodeGetRandom(), Encoded(Text("GetRandom")));
}

TEST(NsmRequestTest, FieldsAreBoundedBeforeTheDeviceIsAsked) {
  const std::string at_most(kMaxRequestedBytes, 'x'), key(kMaxPublicKeyBytes, 'k');
  const absl::StatusOr<std::string> most = nsm::EncodeAttestation({at_most, at_most, key});
  ASSERT_TRUE(most.ok());
  EXPECT_LE(most->size(), kMaxNsmRequestBytes);
  for (const auto& [fields, name] : std::vector<std::pair<Fields, std::string>>{
           {{at_most + "x", "", ""}, "user_data has 513 bytes; at most 512"},
           {{"", at_most + "x", ""}, "nonce has 513 bytes; at most 512"},
           {{"", "", key + "k"}, "public_key has 1025 bytes; at most 1024"}}) {
    const absl::Status refused = nsm::EncodeAttestation(fields).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(refused.message()), HasSubstr(name));
  }
  EXPECT_TRUE(nsm::EncodeExtendPcr(16, std::string(4000, 'x')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(nsm::EncodeExtendPcr(16, std::string(4096, 'x')).status()));
}

// ---- answers

TEST(NsmAnswerTest, AreRead) {
  const std::string random(256, 'r'), pcr(48, 'p'), document(9000, 'd');
  for (const bool indefinite : {false, true}) {
    EXPECT_EQ(*nsm::ParseGetRandom(
                  Answer("GetRandom", {{"random", cbor_move(Blob(random))}}, indefinite)),
              random);
    const auto described = nsm::ParseDescribePcr(Answer(
        "DescribePCR", {{"lock", cbor_move(cbor_build_bool(true))}, {"data", cbor_move(Blob(pcr))}},
        indefinite));
    ASSERT_TRUE(described.ok()) << described.status();
    EXPECT_TRUE(described->locked);
    EXPECT_EQ(described->value, pcr);
    EXPECT_EQ(
        *nsm::ParseExtendPcr(Answer("ExtendPCR", {{"data", cbor_move(Blob(pcr))}}, indefinite)),
        pcr);
    EXPECT_EQ(*nsm::ParseAttestation(
                  Answer("Attestation", {{"document", cbor_move(Blob(document))}}, indefinite)),
              document);
  }
  EXPECT_TRUE(nsm::ParseLockPcr(Bytes("67 4c6f636b504352")).ok());
  EXPECT_TRUE(nsm::ParseLockPcrs(Bytes("68 4c6f636b50435273")).ok());
}

TEST(NsmAnswerTest, DescribeNsmHasAllItsFields) {
  cbor_item_t* locked = cbor_new_definite_array(2);
  EXPECT_TRUE(cbor_array_push(locked, Number(0)));
  EXPECT_TRUE(cbor_array_push(locked, Number(15)));
  const auto fields = [&] {
    return Pairs{{"digest", cbor_move(Text("SHA384"))},
                 {"max_pcrs", Number(32)},
                 {"module_id", cbor_move(Text("i-1-enc2"))},
                 {"locked_pcrs", locked},
                 {"version_major", Number(1)},
                 {"version_minor", Number(2)},
                 {"version_patch", Number(3)},
                 {"added_by_a_newer_one", cbor_move(Text("passed over"))}};
  };
  const auto about = nsm::ParseDescribeNsm(Answer("DescribeNSM", fields()));
  ASSERT_TRUE(about.ok()) << about.status();
  EXPECT_EQ(about->module_id, "i-1-enc2");
  EXPECT_EQ(about->digest, "SHA384");
  EXPECT_EQ(about->max_pcrs, 32u);
  EXPECT_THAT(about->locked_pcrs, ElementsAre(0u, 15u));
  EXPECT_EQ(about->version_major * 100 + about->version_minor * 10 + about->version_patch, 123u);
  for (size_t i = 0; i < 7; ++i) {
    Pairs without = fields();
    // What no map takes over is nobody's.
    cbor_item_t* left_out = cbor_incref(without[i].second);
    cbor_decref(&left_out);
    without.erase(without.begin() + static_cast<ptrdiff_t>(i));
    const absl::Status refused = nsm::ParseDescribeNsm(Answer("DescribeNSM", without)).status();
    EXPECT_THAT(std::string(refused.message()), HasSubstr("a field is missing")) << i;
  }
  cbor_decref(&locked);
}

TEST(NsmAnswerTest, RefusalsSayWhy) {
  const std::string refusal = Bytes("a1 65 4572726f72 6d 496e707574546f6f4c61726765");
  for (const absl::Status& status :
       {nsm::ParseAttestation(refusal).status(), nsm::ParseGetRandom(refusal).status(),
        nsm::ParseDescribePcr(refusal).status(), nsm::ParseDescribeNsm(refusal).status(),
        nsm::ParseExtendPcr(refusal).status(), nsm::ParseLockPcr(refusal),
        nsm::ParseLockPcrs(refusal)}) {
    EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(status.message()), HasSubstr("it refuses: InputTooLarge"));
  }
}

TEST(NsmAnswerTest, WhatIsNoAnswerIsRefused) {
  const std::string good = Answer("GetRandom", {{"random", cbor_move(Blob("r"))}});
  ASSERT_TRUE(nsm::ParseGetRandom(good).ok());
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"", "ends where an item must be"},
      {good + "\x01", "1 bytes follow the end"},
      {good.substr(0, good.size() - 1), "ends within a string"},
      {Bytes("a0"), "an empty map"},
      {Bytes("69 47657452616e646f6d"), "a map must be here"},
      {Bytes("a1 67 4c6f636b504352 a0"), "it is one to LockPCR"},
      {Bytes("a1 69 47657452616e646f6d f6"), "a map must be here"},
      {Bytes("a1 69 47657452616e646f6d a0"), "random is missing or empty"},
      {Answer("GetRandom", {{"random", cbor_move(Blob(""))}}), "random is missing or empty"},
      {Answer("GetRandom", {{"random", cbor_move(Text("r"))}}), "a byte string must be here"},
      {Answer("GetRandom", {{"random", cbor_move(Blob(std::string(257, 'r')))}}), "at most 256"},
      {Bytes("a1 69 47657452616e646f6d a2 66 72616e646f6d 41 72 66 72616e646f6d 41 72"),
       "random is there twice"},
      {Bytes("a2 69 47657452616e646f6d a1 66 72616e646f6d 41 72 65 4572726f72 60"), "at most 1"},
      {Bytes("a1 65 4572726f72 01"), "a text string must be here"},
      {Bytes("a1 41 45 60"), "a text string must be here"},
  };
  for (const auto& [answer, why] : wrong) {
    const absl::Status refused = nsm::ParseGetRandom(answer).status();
    EXPECT_EQ(refused.code(), absl::StatusCode::kUnavailable) << absl::BytesToHexString(answer);
    EXPECT_THAT(std::string(refused.message()), HasSubstr(why)) << absl::BytesToHexString(answer);
  }
  EXPECT_THAT(std::string(nsm::ParseLockPcr(Bytes("68 4c6f636b50435273")).message()),
              HasSubstr("it is one to LockPCRs"));
  EXPECT_THAT(std::string(nsm::ParseLockPcr(Bytes("a1 67 4c6f636b504352 a0")).message()),
              HasSubstr("its name must be here"));
}

TEST(NsmAnswerTest, EveryByteCutOffIsRefused) {
  const std::string good = Answer("DescribePCR", {{"lock", cbor_move(cbor_build_bool(false))},
                                                  {"data", cbor_move(Blob(std::string(48, 'p')))}});
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(nsm::ParseDescribePcr(good.substr(0, size)).ok()) << size;
  }
  EXPECT_TRUE(nsm::ParseDescribePcr(good).ok());
}

// ---- the device

class ScriptedDevice final : public NsmDevice {
 public:
  absl::StatusOr<std::string> Exchange(std::string_view request) override {
    requests.emplace_back(request);
    if (answers.empty()) return absl::UnavailableError("the device is gone");
    std::string answer = answers.front();
    answers.pop_front();
    return answer;
  }
  std::vector<std::string> requests;
  std::deque<std::string> answers;
};

TEST(NsmTest, AsksAndReads) {
  ScriptedDevice device;
  Nsm nsm(&device);
  device.answers = {Answer("GetRandom", {{"random", cbor_move(Blob("rrr"))}}),
                    Bytes("67 4c6f636b504352"), Bytes("68 4c6f636b50435273"),
                    Answer("ExtendPCR", {{"data", cbor_move(Blob("new"))}}),
                    Answer("Attestation", {{"document", cbor_move(Blob("doc"))}})};
  EXPECT_EQ(*nsm.GetRandom(), "rrr");
  EXPECT_TRUE(nsm.LockPcr(16).ok());
  EXPECT_TRUE(nsm.LockPcrs(17).ok());
  EXPECT_EQ(*nsm.ExtendPcr(18, "data"), "new");
  EXPECT_EQ(*nsm.Attest({"user", "nonce", ""}), "doc");
  EXPECT_EQ(nsm.kind(), Kind::kNitro);
  EXPECT_THAT(device.requests,
              ElementsAre(nsm::EncodeGetRandom(), nsm::EncodeLockPcr(16), nsm::EncodeLockPcrs(17),
                          *nsm::EncodeExtendPcr(18, "data"),
                          *nsm::EncodeAttestation({"user", "nonce", ""})));
}

TEST(NsmTest, PassesOnWhatTheDeviceSays) {
  ScriptedDevice device;
  Nsm nsm(&device);
  EXPECT_THAT(std::string(nsm.Describe().status().message()), HasSubstr("the device is gone"));
  EXPECT_TRUE(absl::IsUnavailable(nsm.DescribePcr(0).status()));
  device.answers = {std::string(kMaxNsmAnswerBytes + 1, 'x')};
  EXPECT_THAT(std::string(nsm.Attest({}).status().message()), HasSubstr("12289 bytes"));
  const size_t before = device.requests.size();
  EXPECT_TRUE(absl::IsInvalidArgument(nsm.Attest({std::string(513, 'u'), "", ""}).status()));
  EXPECT_EQ(device.requests.size(), before);
}

}  // namespace
}  // namespace coffer::attestation
