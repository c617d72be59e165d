#include "enclave_core/kms/http.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace coffer::kms {
namespace {

constexpr absl::string_view kLineEnd = "\r\n";
constexpr size_t kMaxDigits = 8;  // of a length: what has more is too long anyhow

// RFC 9110, 5.6.2.
bool IsToken(std::string_view text) {
  constexpr std::string_view kMarks = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           kMarks.find(c) != std::string_view::npos;
  });
}

// Visible ASCII, spaces and tabs: nothing that a line could end or a byte be lost by.
bool IsFieldValue(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= ' ' && c <= '~') || c == '\t'; });
}

bool IsTarget(std::string_view path) {
  return !path.empty() && path[0] == '/' && std::all_of(path.begin(), path.end(), [](char c) {
    return c > ' ' && c <= '~' && c != '?' && c != '#';
  });
}

std::string_view Trim(std::string_view text) {
  const size_t from = text.find_first_not_of(" \t");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t") - from + 1);
}

// Digits of the base alone, at least one: no sign, no space, no prefix.
bool ParseLength(std::string_view text, unsigned base, size_t* out) {
  if (text.empty() || text.size() > kMaxDigits) return false;
  size_t value = 0;
  for (const char c : text) {
    unsigned digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (c >= 'A' && c <= 'F') digit = static_cast<unsigned>(c - 'A') + 10;
    if (digit >= base) return false;
    value = value * base + digit;
  }
  *out = value;
  return true;
}

// "HTTP/1.1 200 OK" or "HTTP/1.1 200 " (RFC 9112, 4).
bool ParseStatusLine(std::string_view line, int* status) {
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr size_t kDigits = 3;
  if (line.substr(0, kVersion.size()) != kVersion) return false;
  line.remove_prefix(kVersion.size());
  size_t code = 0;
  if (line.size() < kDigits || !ParseLength(line.substr(0, kDigits), 10, &code)) return false;
  line.remove_prefix(kDigits);
  if (!line.empty() && line[0] != ' ') return false;
  *status = static_cast<int>(code);
  return IsFieldValue(line);
}

}  // namespace

std::string_view HttpResponse::Header(std::string_view name) const {
  std::string_view found;
  size_t times = 0;
  for (const HttpHeader& header : headers) {
    if (header.name != name) continue;
    found = header.value;
    ++times;
  }
  return times == 1 ? found : std::string_view();
}

absl::StatusOr<std::string> SerializeRequest(const HttpRequest& request) {
  if (!IsToken(request.method) || !IsTarget(request.path) || !request.query.empty()) {
    return absl::InvalidArgumentError("the HTTP request's method or target cannot be sent");
  }
  std::string out = absl::StrCat(request.method, " ", request.path, " HTTP/1.1\r\n");
  for (const HttpHeader& header : request.headers) {
    if (!IsToken(header.name) || !IsFieldValue(header.value) ||
        Trim(header.value) != header.value) {
      return absl::InvalidArgumentError("a header of the HTTP request cannot be sent");
    }
    absl::StrAppend(&out, header.name, ": ", header.value, kLineEnd);
  }
  absl::StrAppend(&out, "content-length: ", request.body.size(), "\r\nconnection: close\r\n\r\n",
                  request.body);
  return out;
}

absl::Status ResponseParser::Wrong(absl::string_view what) {
  failed_ = absl::DataLossError(absl::StrCat("the HTTP response ", what));
  buffer_.clear();
  return failed_;
}

absl::Status ResponseParser::Feed(std::string_view bytes) {
  if (!failed_.ok()) return failed_;
  buffer_.append(bytes);
  while (state_ != State::kDone) {
    const absl::StatusOr<bool> stepped = Step();
    if (!stepped.ok()) return stepped.status();
    if (!*stepped) return absl::OkStatus();
  }
  if (!buffer_.empty()) return Wrong("is followed by more bytes");
  return absl::OkStatus();
}

absl::Status ResponseParser::FeedEnd() {
  if (!failed_.ok() || done()) return failed_;
  return Wrong("was cut off: the connection ended before it was whole");
}

absl::StatusOr<bool> ResponseParser::Step() {
  switch (state_) {
    case State::kHead:
      return TakeHead();
    case State::kBody:
    case State::kChunk:
      return TakeBody();
    case State::kChunkSize:
      return TakeChunkSize();
    case State::kChunkEnd:
    case State::kLastEnd:
      return TakeLineEnd();
    case State::kDone:
      break;
  }
  return false;
}

absl::StatusOr<bool> ResponseParser::TakeHead() {
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  const size_t end = buffer_.find(kHeadEnd);
  if (std::min(end, buffer_.size()) > kMaxHttpHeadBytes) return Wrong("has too long a head");
  if (end == std::string::npos) return false;
  // With its last line end, so that every line has one.
  std::string_view head = std::string_view(buffer_).substr(0, end + kLineEnd.size());
  bool first = true;
  while (!head.empty()) {
    const size_t line_end = head.find(kLineEnd.data());
    const std::string_view line = head.substr(0, line_end);
    head.remove_prefix(line_end + kLineEnd.size());
    if (first && !ParseStatusLine(line, &response_.status)) {
      return Wrong("does not begin with a status line of HTTP/1.1");
    }
    if (!first) {
      if (absl::Status status = ParseHeader(line); !status.ok()) return status;
    }
    first = false;
  }
  buffer_.erase(0, end + kHeadEnd.size());
  if (absl::Status status = ChooseFraming(); !status.ok()) return status;
  return true;
}

absl::Status ResponseParser::ParseHeader(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !IsToken(line.substr(0, colon)) ||
      !IsFieldValue(line.substr(colon + 1))) {
    return Wrong("has a line that is no header");
  }
  if (response_.headers.size() == kMaxHttpHeaders) return Wrong("has too many headers");
  response_.headers.push_back({absl::AsciiStrToLower(std::string(line.substr(0, colon))),
                               std::string(Trim(line.substr(colon + 1)))});
  return absl::OkStatus();
}

absl::Status ResponseParser::ChooseFraming() {
  // 1xx comes only to who asked for it, and 204 and 304 have no body by a rule of their own.
  if (response_.status < 200 || response_.status > 599 || response_.status == 204 ||
      response_.status == 304) {
    return Wrong(absl::StrCat("has a status that was not asked for: ", response_.status));
  }
  std::vector<std::string_view> lengths;
  std::vector<std::string_view> encodings;
  for (const HttpHeader& header : response_.headers) {
    if (header.name == "content-length") lengths.push_back(header.value);
    if (header.name == "transfer-encoding") encodings.push_back(header.value);
  }
  if (lengths.size() + encodings.size() != 1) {
    return Wrong("does not say its length in exactly one way");
  }
  if (!encodings.empty()) {
    if (absl::AsciiStrToLower(std::string(encodings[0])) != "chunked") {
      return Wrong("has a transfer encoding that is unknown");
    }
    state_ = State::kChunkSize;
    return absl::OkStatus();
  }
  if (!ParseLength(lengths[0], 10, &wanted_)) return Wrong("has a Content-Length that is none");
  if (wanted_ > kMaxHttpBodyBytes) return Wrong("is too long");
  state_ = State::kBody;
  return absl::OkStatus();
}

absl::StatusOr<bool> ResponseParser::TakeBody() {
  if (buffer_.size() < wanted_) return false;
  response_.body.append(buffer_, 0, wanted_);
  buffer_.erase(0, wanted_);
  state_ = state_ == State::kBody ? State::kDone : State::kChunkEnd;
  return true;
}

absl::StatusOr<bool> ResponseParser::TakeChunkSize() {
  const size_t end = buffer_.find(kLineEnd.data());
  if (std::min(end, buffer_.size()) > kMaxDigits + 1) return Wrong("has a chunk without a size");
  if (end == std::string::npos) return false;
  if (!ParseLength(std::string_view(buffer_).substr(0, end), 16, &wanted_)) {
    return Wrong("has a chunk without a size");
  }
  if (wanted_ > kMaxHttpBodyBytes - response_.body.size()) return Wrong("is too long");
  buffer_.erase(0, end + kLineEnd.size());
  state_ = wanted_ == 0 ? State::kLastEnd : State::kChunk;
  return true;
}

absl::StatusOr<bool> ResponseParser::TakeLineEnd() {
  if (buffer_.size() < kLineEnd.size()) return false;
  if (!absl::StartsWith(buffer_, kLineEnd)) {
    return Wrong(state_ == State::kLastEnd ? "has trailers" : "has a chunk of another size");
  }
  buffer_.erase(0, kLineEnd.size());
  state_ = state_ == State::kLastEnd ? State::kDone : State::kChunkSize;
  return true;
}

}  // namespace coffer::kms
