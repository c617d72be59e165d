// What the tests of the JSON protocol share: frames written as text, with bytes as hex(0x..).
#ifndef COFFER_TESTS_UNIT_JSON_PROTOCOL_SUPPORT_H_
#define COFFER_TESTS_UNIT_JSON_PROTOCOL_SUPPORT_H_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "enclave_core/error.h"
#include "enclave_core/json_protocol/json_protocol.h"

namespace coffer::json_protocol {

inline constexpr char kAddress[] = "1a642f0e3c3af545e7acbd38b07251b3990914f1";
inline constexpr char kBroker[] = "a8bb618b1520e284046f3dfc448851a1ff26e41b";
inline constexpr char kHash[] = "c0ffee00000000000000000000000000000000000000000000000000000000ee";

// $ADDRESS, $BROKER and $HASH stand for the digits above; `hex(0a0b)` for the bytes.
inline std::string Filled(std::string_view text) {
  return absl::StrReplaceAll(std::string(text),
                             {{"$ADDRESS", kAddress}, {"$BROKER", kBroker}, {"$HASH", kHash}});
}

template <typename Message>
Message FromText(std::string_view text) {
  std::string filled = Filled(text);
  for (size_t at = filled.find("hex("); at != filled.npos; at = filled.find("hex(", at)) {
    const size_t end = filled.find(')', at);
    std::string bytes = "\"";
    for (size_t i = at + 4; i < end; i += 2) absl::StrAppend(&bytes, "\\x", filled.substr(i, 2));
    filled.replace(at, end + 1 - at, bytes + "\"");
    ++at;
  }
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(filled, &message)) << filled;
  return message;
}

// A sign_transaction with these members besides those that every one has.
inline std::string Tx(std::string_view members) {
  return absl::StrCat(R"({"method":"sign_transaction","params":{"tx":{"chainId":42161,"nonce":7,)",
                      R"("gas":21000,)", std::string(members), "}}}");
}

inline boundary::v1::Error Refusal(std::string_view payload) {
  boundary::v1::ClientFrame frame;
  frame.mutable_status();
  const absl::StatusOr<Call> call = ParseRequest(payload, &frame);
  boundary::v1::Error error;
  if (call.ok()) {
    ADD_FAILURE() << "accepted: " << payload.substr(0, 300) << "\n" << frame.ShortDebugString();
    return error;
  }
  ToProto(call.status(), &error);
  return error;
}

}  // namespace coffer::json_protocol

#endif  // COFFER_TESTS_UNIT_JSON_PROTOCOL_SUPPORT_H_
