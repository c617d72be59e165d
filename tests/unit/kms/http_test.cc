#include "enclave_core/kms/http.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace coffer::kms {
namespace {

using ::testing::HasSubstr;

constexpr const char* kPlain =
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\nX-Empty:\r\n"
    "Content-Length: 13\r\n\r\n{\"KeyId\":\"k\"}";
constexpr const char* kChunked =
    "HTTP/1.1 400 \r\nTransfer-Encoding: "
    "chunked\r\n\r\n5\r\n{\"Key\r\n8\r\nId\":\"k\"}\r\n0\r\n\r\n";

absl::StatusOr<HttpResponse> Parse(const std::string& text) {
  ResponseParser parser;
  if (absl::Status status = parser.Feed(text); !status.ok()) return status;
  if (absl::Status status = parser.FeedEnd(); !status.ok()) return status;
  return parser.Take();
}

std::string Refusal(const std::string& text) {
  const absl::StatusOr<HttpResponse> parsed = Parse(text);
  EXPECT_EQ(parsed.status().code(), absl::StatusCode::kDataLoss) << text;
  return std::string(parsed.status().message());
}

TEST(HttpResponse, BothFramingsAreRead) {
  const HttpResponse plain = Parse(kPlain).value();
  EXPECT_EQ(plain.status, 200);
  EXPECT_EQ(plain.body, "{\"KeyId\":\"k\"}");
  EXPECT_EQ(plain.Header("content-type"), "application/x-amz-json-1.1");
  EXPECT_EQ(plain.Header("x-empty"), "");
  EXPECT_EQ(plain.Header("nobody"), "");
  const HttpResponse chunked = Parse(kChunked).value();
  EXPECT_EQ(chunked.status, 400);
  EXPECT_EQ(chunked.body, plain.body);
}

TEST(HttpResponse, TornAtEachByteItIsTheSameAndCutOffItIsAnError) {
  for (const std::string text : {kPlain, kChunked}) {
    for (size_t cut = 0; cut < text.size(); ++cut) {
      ResponseParser parser;
      ASSERT_TRUE(parser.Feed(text.substr(0, cut)).ok()) << cut;
      ASSERT_FALSE(parser.done()) << cut;
      ResponseParser ended = parser;
      EXPECT_THAT(ended.FeedEnd().message(), HasSubstr("cut off")) << cut;
      EXPECT_FALSE(ended.Feed(text.substr(cut)).ok()) << "an error stays one";
      ASSERT_TRUE(parser.Feed(text.substr(cut)).ok()) << cut;
      ASSERT_TRUE(parser.done()) << cut;
      EXPECT_EQ(parser.Take().body, "{\"KeyId\":\"k\"}");
    }
    ResponseParser parser;
    for (const char c : text) ASSERT_TRUE(parser.Feed(std::string(1, c)).ok());
    EXPECT_TRUE(parser.done());
    EXPECT_TRUE(parser.FeedEnd().ok());
  }
}

TEST(HttpResponse, WhatTwoReadersCouldUnderstandDifferentlyIsRefused) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string length = "Content-Length: 2\r\n";
  const std::string chunked = "Transfer-Encoding: chunked\r\n";
  EXPECT_TRUE(Parse(ok + length + "\r\n{}").ok());
  const std::vector<std::string> refused = {
      "HTTP/1.0 200 OK\r\n" + length + "\r\n{}",
      "HTTP/1.1  200 OK\r\n" + length + "\r\n{}",
      "HTTP/1.1 2000 OK\r\n" + length + "\r\n{}",
      "HTTP/1.1 20 OK\r\n" + length + "\r\n{}",
      "http/1.1 200 OK\r\n" + length + "\r\n{}",
      "HTTP/1.1 200 O\x01K\r\n" + length + "\r\n{}",
      "\r\n" + ok + length + "\r\n{}",
      "HTTP/1.1 100 Continue\r\n\r\n" + ok + length + "\r\n{}",
      "HTTP/1.1 204 No Content\r\n" + length + "\r\n{}",
      "HTTP/1.1 304 Not Modified\r\n" + length + "\r\n{}",
      "HTTP/1.1 600 ?\r\n" + length + "\r\n{}",
      ok + "\r\n{}",
      ok + length + length + "\r\n{}",
      ok + length + chunked + "\r\n{}",
      ok + "Content-Length: 2, 2\r\n\r\n{}",
      ok + "Content-Length: +2\r\n\r\n{}",
      ok + "Content-Length: 0x2\r\n\r\n{}",
      ok + "Content-Length: \r\n\r\n",
      ok + "Content-Length: 2a\r\n\r\n{}",
      ok + "Content-Length : 2\r\n\r\n{}",
      ok + " Content-Length: 2\r\n\r\n{}",
      ok + length + " folded\r\n\r\n{}",
      ok + length + "X: a\rb\r\n\r\n{}",
      ok + length + "X: a\nb\r\n\r\n{}",
      ok + length + "X: \x80\r\n\r\n{}",
      ok + length + ": nameless\r\n\r\n{}",
      ok + length + "no colon\r\n\r\n{}",
      ok + "Content-Length: 2\n\n{}",
      ok + length + "\r\n{}x",
      ok + length + "\r\n{}" + ok + length + "\r\n{}",
      ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
      ok + "Transfer-Encoding: identity\r\n\r\n{}",
      ok + chunked + chunked + "\r\n0\r\n\r\n",
      ok + chunked + "\r\n2;x=y\r\n{}\r\n0\r\n\r\n",
      ok + chunked + "\r\n 2\r\n{}\r\n0\r\n\r\n",
      ok + chunked + "\r\n0x2\r\n{}\r\n0\r\n\r\n",
      ok + chunked + "\r\n\r\n{}\r\n0\r\n\r\n",
      ok + chunked + "\r\n3\r\n{}\r\n0\r\n\r\n",
      ok + chunked + "\r\n2\r\n{}0\r\n\r\n",
      ok + chunked + "\r\n2\r\n{}\r\n0\r\nTrailer: 1\r\n\r\n",
      ok + chunked + "\r\n2\r\n{}\r\n0\r\n\r\nmore",
      ok + chunked + "\r\n000000002\r\n{}\r\n0\r\n\r\n"};
  for (const std::string& text : refused) {
    EXPECT_THAT(Refusal(text), HasSubstr("the HTTP response")) << text;
  }
}

TEST(HttpResponse, EverythingIsBounded) {
  const std::string ok = "HTTP/1.1 200 OK\r\n";
  const std::string most(kMaxHttpBodyBytes, 'x');
  EXPECT_EQ(Parse(absl::StrCat(ok, "Content-Length: ", most.size(), "\r\n\r\n", most))->body, most);
  EXPECT_EQ(
      Parse(ok + "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + most + "\r\n0\r\n\r\n")->body,
      most);
  // Refused by what is announced, before any of it has come.
  EXPECT_THAT(Refusal(ok + "Content-Length: 65537\r\n\r\n"), HasSubstr("too long"));
  EXPECT_THAT(Refusal(ok + "Content-Length: 18446744073709551618\r\n\r\n{}"), HasSubstr("none"));
  EXPECT_THAT(Refusal(ok + "Transfer-Encoding: chunked\r\n\r\n10001\r\n"), HasSubstr("too long"));
  EXPECT_THAT(Refusal(ok + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"), HasSubstr("too long"));
  EXPECT_THAT(Refusal(ok + "Transfer-Encoding: chunked\r\n\r\n10000\r\n" + most +
                      "\r\n1\r\nx\r\n0\r\n\r\n"),
              HasSubstr("too long"));
  EXPECT_THAT(Refusal(ok + "X: " + std::string(kMaxHttpHeadBytes, 'x')), HasSubstr("head"));
  std::string headers;
  for (size_t i = 0; i < kMaxHttpHeaders; ++i) headers += "x: y\r\n";
  EXPECT_THAT(Refusal(ok + headers + "Content-Length: 2\r\n\r\n{}"), HasSubstr("too many headers"));
  // Nothing endless is buffered: no line end, no head's end, no chunk's size.
  ResponseParser parser;
  absl::Status status;
  size_t fed = 0;
  while (status.ok() && fed < 2 * kMaxHttpHeadBytes) {
    status = parser.Feed("HTTP/1.1");
    fed += 8;
  }
  EXPECT_FALSE(status.ok());
  EXPECT_LE(fed, kMaxHttpHeadBytes + 8);
}

TEST(HttpRequest, BytesAreWhatWasMeant) {
  const HttpRequest request{"POST", "/", {}, {{"host", "kms.eu-west-1.amazonaws.com"}}, "{}"};
  EXPECT_EQ(SerializeRequest(request).value(),
            "POST / HTTP/1.1\r\nhost: kms.eu-west-1.amazonaws.com\r\ncontent-length: 2\r\n"
            "connection: close\r\n\r\n{}");
}

TEST(HttpRequest, NothingCanBeSlippedIntoIt) {
  const HttpRequest good{"POST", "/", {}, {{"host", "h"}}, ""};
  ASSERT_TRUE(SerializeRequest(good).ok());
  const auto refused = [&](auto change) {
    HttpRequest request = good;
    change(request);
    return SerializeRequest(request).status().code() == absl::StatusCode::kInvalidArgument;
  };
  for (const std::string bad : {"", "PO ST", "POST\r\n"}) {
    EXPECT_TRUE(refused([&](auto& r) { r.method = bad; })) << bad;
  }
  for (const std::string bad : {"", "x", "/ HTTP/1.1\r\n", "/?q", "/#f", "/\x7f"}) {
    EXPECT_TRUE(refused([&](auto& r) { r.path = bad; })) << bad;
  }
  EXPECT_TRUE(refused([&](auto& r) { r.query = {{"a", "b"}}; }));
  for (const std::string bad : {"", "host:", "ho st", "h\r\n"}) {
    EXPECT_TRUE(refused([&](auto& r) { r.headers[0].name = bad; })) << bad;
  }
  for (const std::string bad : {"a\r\nb: c", " a", "a ", "a\x80"}) {
    EXPECT_TRUE(refused([&](auto& r) { r.headers[0].value = bad; })) << bad;
  }
  EXPECT_TRUE(refused([&](auto& r) { r.headers[0].value = std::string("a\0", 2); }));
}

}  // namespace
}  // namespace coffer::kms
