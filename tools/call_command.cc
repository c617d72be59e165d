#include "tools/call_command.h"

#include <iostream>
#include <iterator>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "actors/host/json_text.h"
#include "host_proxy/json_text.h"
#include "runtime/event_loop.h"
#include "runtime/event_network.h"
#include "tools/json_lines.h"

namespace coffer::tools {
namespace {

constexpr int kAnsweredError = 1;
constexpr int kNoAnswer = 2;

absl::StatusOr<absl::Duration> ReadTimeout(const std::string& text) {
  absl::Duration timeout;
  double seconds = 0;
  if (absl::SimpleAtod(text, &seconds)) {
    timeout = absl::Seconds(seconds);
  } else if (!absl::ParseDuration(text, &timeout)) {
    timeout = absl::ZeroDuration();
  }
  if (timeout < absl::Milliseconds(1) || timeout > absl::Hours(24)) {
    return absl::InvalidArgumentError("--timeout: write it as 10s, 500ms or 1m; at most 24h");
  }
  return timeout;
}

absl::StatusOr<std::string> ReadParams(const std::vector<std::string>& params) {
  std::string out = "{";
  std::set<std::string> names;
  for (const std::string& param : params) {
    const size_t equals = param.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--param number ", names.size() + 1, ": write it as NAME=VALUE"));
    }
    const std::string name = param.substr(0, equals);
    const std::string value = param.substr(equals + 1);
    if (!host::IsUtf8(param)) {
      return absl::InvalidArgumentError(
          absl::StrCat("--param number ", names.size() + 1, " is not UTF-8"));
    }
    if (!names.insert(name).second) {
      return absl::InvalidArgumentError(absl::StrCat("--param ", name, " is given twice"));
    }
    if (out.size() > 1) out.push_back(',');
    host::AppendJsonString(name, out);
    out.push_back(':');
    if (CheckJson(value).ok()) {
      out.append(value);
    } else {
      host::AppendJsonString(value, out);
    }
  }
  return out + "}";
}

// Sends one frame and keeps the first that comes back.
class Exchange final : private runtime::StreamHandler {
 public:
  absl::StatusOr<std::string> Run(const runtime::Endpoint& endpoint, const std::string& request,
                                  absl::Duration timeout) {
    runtime::NetworkOptions options;
    options.connect_timeout = timeout;
    const std::unique_ptr<runtime::Network> network = runtime::NewEventNetwork(&loop_, options);
    const std::unique_ptr<runtime::Timer> deadline = loop_.After(timeout, [&] {
      End(absl::UnavailableError(absl::StrCat("no answer from ", endpoint.ToString(), " within ",
                                              absl::FormatDuration(timeout))));
    });
    network->Connect(endpoint, [&](absl::StatusOr<std::unique_ptr<runtime::FramedStream>> stream) {
      if (!stream.ok()) return End(stream.status());
      stream_ = *std::move(stream);
      stream_->SetHandler(this);
      stream_->Send(request);
    });
    loop_.Run();
    stream_.reset();
    return std::move(answer_);
  }

 private:
  void OnFrame(runtime::FramedStream&, std::string payload) override { End(std::move(payload)); }
  void OnWritable(runtime::FramedStream&) override {}
  void OnClosed(runtime::FramedStream&, const absl::Status& why) override {
    End(absl::UnavailableError(
        absl::StrCat("the connection was closed without an answer: ", why.message())));
  }
  void End(absl::StatusOr<std::string> answer) {
    if (ended_) return;
    ended_ = true;
    answer_ = std::move(answer);
    loop_.Stop();
  }

  runtime::EventLoop loop_;
  std::unique_ptr<runtime::FramedStream> stream_;
  absl::StatusOr<std::string> answer_ = absl::UnavailableError("no answer");
  bool ended_ = false;
};

int Fail(const absl::Status& why, int code) {
  std::cerr << "coffer: " << why.message() << "\n";
  return code;
}

// The sentence of an error answer; empty when it is none.
std::string ErrorText(const std::string& answer) {
  const absl::StatusOr<Json::Value> json = host_proxy::FromText(answer);
  if (!json.ok() || !json->isObject() || !json->isMember("error")) return "";
  const Json::Value& error = (*json)["error"];
  if (error.isObject() && error["message"].isString()) return error["message"].asString();
  if (error.isString()) return error.asString();
  return "an error without a message";
}

// What a terminal could take for a command is shown as '?'.
std::string Printable(std::string text) {
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) c = '?';
  }
  return text;
}

}  // namespace

absl::StatusOr<std::string> CallRequest(const CallArguments& arguments, std::istream& input) {
  if (arguments.method.empty() || !host::IsUtf8(arguments.method)) {
    return absl::InvalidArgumentError("a method is a word, as in: coffer call status");
  }
  std::string request = "{\"method\":";
  host::AppendJsonString(arguments.method, request);
  request.append(",\"params\":");
  if (arguments.json.empty()) {
    absl::StatusOr<std::string> params = ReadParams(arguments.params);
    if (!params.ok()) return params.status();
    request.append(*params);
  } else {
    std::string json = arguments.json;
    if (json == "-") json.assign(std::istreambuf_iterator<char>(input), {});
    const size_t first = json.find_first_not_of(" \t\r\n");
    absl::Status valid = CheckJson(json);
    if (valid.ok() && json[first] != '{') {
      valid = absl::InvalidArgumentError("it must be an object, {...}");
    }
    if (!valid.ok()) return absl::InvalidArgumentError(absl::StrCat("--json: ", valid.message()));
    request.append(json);
  }
  request.push_back('}');
  if (request.size() > runtime::kMaxFrameBytes) {
    return absl::InvalidArgumentError("the request is longer than a frame may be (16 MiB)");
  }
  return request;
}

int RunCall(const CallArguments& arguments) {
  const absl::StatusOr<absl::Duration> timeout = ReadTimeout(arguments.timeout);
  if (!timeout.ok()) return Fail(timeout.status(), kNoAnswer);
  const absl::StatusOr<runtime::Endpoint> endpoint = runtime::Endpoint::Parse(arguments.endpoint);
  if (!endpoint.ok()) {
    return Fail(
        absl::InvalidArgumentError(absl::StrCat("--endpoint: ", endpoint.status().message())),
        kNoAnswer);
  }
  const absl::StatusOr<std::string> request = CallRequest(arguments, std::cin);
  if (!request.ok()) return Fail(request.status(), kNoAnswer);
  const absl::StatusOr<std::string> answer = Exchange().Run(*endpoint, *request, *timeout);
  if (!answer.ok()) return Fail(answer.status(), kNoAnswer);
  const absl::StatusOr<std::string> lines = IndentJson(*answer);
  if (!lines.ok()) {
    return Fail(absl::UnavailableError(
                    absl::StrCat("what answers at ", endpoint->ToString(),
                                 " does not speak this protocol: ", lines.status().message())),
                kAnsweredError);
  }
  if (const std::string error = ErrorText(*answer); !error.empty()) {
    std::cerr << "coffer: " << arguments.method << ": " << Printable(error) << "\n";
    return kAnsweredError;
  }
  std::cout << *lines << "\n";
  return 0;
}

}  // namespace coffer::tools
