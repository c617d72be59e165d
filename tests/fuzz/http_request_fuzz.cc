// Any bytes on a connection of the HTTP API, in any pieces: every request that is whole gets one
// answer of a known form, the connection is not served beyond the first that is none, and the
// pieces change no request.
//
// Input: a byte for the size of the pieces, and what the client sends.
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>

#include <algorithm>
#include <boost/beast/http.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host_proxy/api.h"
#include "host_proxy/http_connection.h"
#include "host_proxy/json_text.h"
#include "invariant/check.h"
#include "runtime/test_dispatcher.h"
#include "tests/fuzz/input.h"

namespace coffer::host_proxy {
namespace {

namespace http = boost::beast::http;

// Answers everything with the state of an enclave that has one account.
class Enclave final : public host::EnclaveClient {
 public:
  void Call(boundary::v1::ClientFrame request, Reply reply) override {
    std::string bytes;
    COFFER_CHECK(request.SerializeToString(&bytes), "a request is protobuf");
    COFFER_CHECK(boundary::v1::ClientFrame().ParseFromString(bytes),
                 "what a stranger sends becomes a request that the enclave can read");
    boundary::v1::ServerFrame frame;
    if (request.has_apply_events()) {
      for (const auto& event : request.apply_events().events()) {
        COFFER_CHECK(event.recipient() == std::string(20, '\x11'),
                     "recipients come from the registry");
      }
      frame.mutable_events_applied()->set_applied(1);
    } else {
      frame.mutable_error()->set_code(boundary::v1::ERROR_NOT_READY);
    }
    reply(std::move(frame));
  }
  bool ready() const override { return true; }
  void Watch(absl::AnyInvocable<void(bool)>) override {}
};

ApiPorts Ports(Enclave* enclave, runtime::Metrics* metrics) {
  ApiPorts ports;
  ports.enclave = enclave;
  ports.metrics = metrics;
  ports.recipient_of = [](const std::string& account) -> absl::StatusOr<std::string> {
    if (account.size() > 8) return absl::NotFoundError("not in the registry");
    return std::string(20, '\x11');
  };
  ports.reload_registry = []() -> absl::StatusOr<Json::Value> { return Json::Value("reloaded"); };
  ports.not_ready = [] { return std::vector<std::string>(); };
  return ports;
}

struct Served {
  std::string bytes;
  size_t requests = 0;
};

Served Serve(std::string_view sent, size_t piece) {
  static event_base* const base = event_base_new();
  static runtime::Metrics metrics;
  Enclave enclave;
  Router router(BearerTokens("", ""), true);
  router.AddOpen("/file/{path...}", {}, [](RoutedRequest request, HttpResponder respond) {
    COFFER_CHECK(!request.path.at("path").empty(), "a tail has a part");
    respond(HttpResponse());
  });
  Api api(Ports(&enclave, &metrics));
  api.AddTo(router);
  Served served;
  HttpHandler handler = [&](HttpRequest request, HttpResponder respond) {
    ++served.requests;
    COFFER_CHECK(request.path.find('?') == std::string::npos, "a path has no query");
    router.Handle(std::move(request), std::move(respond));
  };
  runtime::TestScheduler scheduler(1);
  runtime::TestDispatcher* const dispatcher = scheduler.NewDispatcher("http");
  bufferevent* pair[2];
  COFFER_CHECK(bufferevent_pair_new(base, 0, pair) == 0, "a pair");
  bool closed = false;
  auto connection = std::make_shared<HttpConnection>(pair[0], "127.0.0.1", HttpLimits(), dispatcher,
                                                     &handler, [&] { closed = true; });
  bufferevent_enable(pair[1], EV_READ | EV_WRITE);
  connection->Start();
  const auto turn = [&] {
    scheduler.RunUntilIdle();
    event_base_loop(base, EVLOOP_NONBLOCK);
    evbuffer* const input = bufferevent_get_input(pair[1]);
    const size_t size = evbuffer_get_length(input);
    served.bytes.append(reinterpret_cast<const char*>(evbuffer_pullup(input, -1)), size);
    evbuffer_drain(input, size);
  };
  for (size_t at = 0; at < sent.size() && !closed; at += piece) {
    const std::string_view part = sent.substr(at, piece);
    bufferevent_write(pair[1], part.data(), part.size());
    turn();
  }
  // What waited behind answers.
  for (int i = 0; i < 8 && !closed; ++i) turn();
  connection.reset();
  bufferevent_free(pair[1]);
  return served;
}

// The answers, read by a client's parser; how many.
size_t CheckAnswers(std::string_view bytes) {
  size_t answers = 0;
  while (!bytes.empty()) {
    http::response_parser<http::string_body> parser;
    parser.eager(true);
    boost::beast::error_code error;
    const size_t used = parser.put(boost::asio::buffer(bytes.data(), bytes.size()), error);
    // The answer to a HEAD has a length and no body, which nobody can tell from its bytes.
    if (error == http::error::need_more || (!error && !parser.is_done())) return answers + 1;
    COFFER_CHECK(!error && parser.is_done(), "an answer is HTTP");
    const auto& message = parser.get();
    COFFER_CHECK(std::string_view(HttpReason(static_cast<int>(message.result_int()))) != "Unknown",
                 "a status has a reason");
    if (message[http::field::content_type] == "application/json" && !message.body().empty() &&
        message.result_int() != 200) {
      COFFER_CHECK(FromText(message.body()).ok(), "a refusal is JSON");
    }
    bytes.remove_prefix(used);
    ++answers;
  }
  return answers;
}

}  // namespace
}  // namespace coffer::host_proxy

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace coffer::host_proxy;  // NOLINT(google-build-using-namespace): one function
  coffer::fuzz::Input input(data, size);
  const size_t piece = 1 + input.Byte();
  const std::string_view sent = input.rest();
  if (sent.size() > 8192) return 0;
  const Served whole = Serve(sent, std::max<size_t>(1, sent.size()));
  const Served pieces = Serve(sent, piece);
  if (sent.find("HEAD") == std::string_view::npos &&
      sent.find("/metrics") == std::string_view::npos) {
    const size_t answers = CheckAnswers(whole.bytes);
    COFFER_CHECK(answers == whole.requests || answers == whole.requests + 1,
                 "one answer a request, and one complaint at most");
  }
  // Only when a header that is malformed before its end is refused depends on the pieces.
  COFFER_CHECK(whole.requests == pieces.requests, "the pieces change nothing");
  COFFER_CHECK(whole.bytes.size() != pieces.bytes.size() || whole.bytes == pieces.bytes,
               "nor the answers");
  return 0;
}
