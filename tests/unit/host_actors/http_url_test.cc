#include "actors/host/http_url.h"

#include <gtest/gtest.h>

namespace coffer::host {
namespace {

TEST(HttpUrl, Accepted) {
  struct Row {
    const char* text;
    bool tls;
    const char* host;
    uint16_t port;
    const char* target;
    const char* authorization;
    const char* masked;
    const char* header;
  };
  const Row rows[] = {
      {"http://127.0.0.1:8545", false, "127.0.0.1", 8545, "/", "", "http://127.0.0.1:8545/",
       "127.0.0.1:8545"},
      {"https://node.example/v3/0123KEY", true, "node.example", 443, "/v3/0123KEY", "",
       "https://node.example:443/***", "node.example"},
      {"HTTPS://node.example?key=KEY", true, "node.example", 443, "/?key=KEY", "",
       "https://node.example:443/***", "node.example"},
      {"http://user:p%40ss@node.example/", false, "node.example", 80, "/", "Basic dXNlcjpwQHNz",
       "http://node.example:80/***", "node.example"},
      {"http://[::1]:80/", false, "::1", 80, "/", "", "http://[::1]:80/", "[::1]"},
  };
  for (const Row& row : rows) {
    const auto url = HttpUrl::Parse(row.text);
    ASSERT_TRUE(url.ok()) << row.text << ": " << url.status();
    EXPECT_EQ(url->tls, row.tls) << row.text;
    EXPECT_EQ(url->host, row.host) << row.text;
    EXPECT_EQ(url->port, row.port) << row.text;
    EXPECT_EQ(url->target, row.target) << row.text;
    EXPECT_EQ(url->authorization, row.authorization) << row.text;
    EXPECT_EQ(url->Masked(), row.masked) << row.text;
    EXPECT_EQ(url->HostHeader(), row.header) << row.text;
  }
}

TEST(HttpUrl, RefusedWithoutShowingTheSecret) {
  const std::string rows[] = {
      "",
      "node.example/SECRET",
      "ftp://node.example/SECRET",
      "http:///SECRET",
      "http://node.example:0/SECRET",
      "http://node.example:65536/SECRET",
      "http://node.example:/SECRET",
      "http://node.example:+1/SECRET",
      "http://node .example/SECRET",
      "http://node.example/SECRET\r\nX: y",
      "http://node.example/SECRET#f",
      "http://SECRET%4@node.example/",
      "http://[::1/SECRET",
      "http://[node]/SECRET",
      "http://[::1]8/SECRET",
      "http://n\xc3\xb6"
      "de.example/SECRET",
      "http://node.example/SECRET" + std::string(3000, 'x'),
  };
  for (const std::string& text : rows) {
    const auto url = HttpUrl::Parse(text);
    EXPECT_FALSE(url.ok()) << text;
    EXPECT_EQ(url.status().message().find("SECRET"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace coffer::host
