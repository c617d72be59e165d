#include "runtime/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace coffer::runtime {
namespace {

using testing::HasSubstr;

TEST(EndpointTest, ParsesAndPrintsItsThreeForms) {
  const struct {
    const char* text;
    Endpoint::Kind kind;
    bool local;
  } kCases[] = {
      {"tcp://127.0.0.1:5000", Endpoint::Kind::kTcp, true},
      {"tcp://127.9.8.7:5000", Endpoint::Kind::kTcp, true},
      {"tcp://127.example.com:5000", Endpoint::Kind::kTcp, false},
      {"tcp://127.0.0.1.example.com:5000", Endpoint::Kind::kTcp, false},
      {"tcp://localhost:0", Endpoint::Kind::kTcp, true},
      {"tcp://[::1]:65535", Endpoint::Kind::kTcp, true},
      {"tcp://[::]:1", Endpoint::Kind::kTcp, false},
      {"tcp://[fe80::1%eth0]:1", Endpoint::Kind::kTcp, false},
      {"tcp://0.0.0.0:1", Endpoint::Kind::kTcp, false},
      {"tcp://enclave_1.internal-net:1", Endpoint::Kind::kTcp, false},
      {"unix:///run/coffer/enclave.sock", Endpoint::Kind::kUnix, true},
      {"vsock://3:5000", Endpoint::Kind::kVsock, true},
      {"vsock://4294967295:4294967295", Endpoint::Kind::kVsock, true},
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(test.text);
    ASSERT_TRUE(endpoint.ok()) << endpoint.status();
    EXPECT_EQ(endpoint->kind, test.kind);
    EXPECT_EQ(endpoint->ToString(), test.text);
    EXPECT_EQ(endpoint->IsLocal(), test.local) << test.text;
  }
}

TEST(EndpointTest, RejectsAndSaysWhichPart) {
  const std::string zero("unix:///a\0b", 11);
  const struct {
    std::string text;
    const char* why;
  } kCases[] = {
      {"", "no scheme"},
      {"127.0.0.1:5000", "no scheme"},
      {"http://h:1", "scheme is unknown"},
      {"TCP://h:1", "scheme is unknown"},
      {"tcp://h", "port is missing"},
      {"tcp://h:", "port is not a number"},
      {"tcp://h: 1", "port is not a number"},
      {"tcp://h:+1", "port is not a number"},
      {"tcp://h:-1", "port is not a number"},
      {"tcp://h:65536", "port is not a number"},
      {"tcp://h:99999999999999", "port is not a number"},
      {"tcp://h:1/x", "port is not a number"},
      {"tcp://:1", "host is missing"},
      {"tcp://a b:1", "neither a name nor"},
      {"tcp://user@h:1", "neither a name nor"},
      {"tcp://::1:1", "[brackets]"},
      {"tcp://[::1:1", "ends with ]"},
      {"tcp://[]:1", "ends with ]"},
      {"tcp://[localhost]:1", "no IPv6 address"},
      {"tcp://[1:2]:1", "no IPv6 address"},
      {"tcp://[::1%]:1", "no IPv6 address"},
      {"tcp://" + std::string(300, 'h') + ":1", "neither a name nor"},
      {"unix://run/x", "not absolute"},
      {"unix:///", "names no file"},
      {"unix:///run/", "names no file"},
      {"unix:///" + std::string(200, 'p'), "longer than 107 bytes"},
      {zero, "zero byte"},
      {"vsock://3", "port is missing"},
      {"vsock://x:1", "CID is not a number"},
      {"vsock://-1:1", "CID is not a number"},
      {"vsock://4294967296:1", "CID is not a number"},
      {"vsock://3:4294967296", "port is not a number"},
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<Endpoint> endpoint = Endpoint::Parse(test.text);
    ASSERT_FALSE(endpoint.ok()) << test.text;
    EXPECT_THAT(endpoint.status().message(), HasSubstr(test.why)) << test.text;
    EXPECT_THAT(endpoint.status().message(), HasSubstr("tcp://HOST:PORT"));
    EXPECT_LT(endpoint.status().message().size(), 300u);
  }
}

}  // namespace
}  // namespace coffer::runtime
