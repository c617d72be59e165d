#include "tests/sim/chain/sim_nodes.h"

#include <json/reader.h>
#include <json/writer.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "tests/sim/chain/node_rpc.h"

namespace coffer::sim::chain {
namespace {

using host::HttpResponse;
using host::HttpTransport;

std::string Write(const Json::Value& json) {
  Json::StreamWriterBuilder builder;
  builder["indentation"] = "";
  return Json::writeString(builder, json);
}

std::optional<Json::Value> Read(const std::string& body) {
  const std::unique_ptr<Json::CharReader> reader(Json::CharReaderBuilder().newCharReader());
  Json::Value json;
  if (!reader->parse(body.data(), body.data() + body.size(), &json, nullptr)) return std::nullopt;
  return json;
}

// What eth_sendRawTransaction brings, and from whom; none when that cannot be read.
std::optional<std::pair<ethereum::SignedTransaction, Address>> ReadSent(const Json::Value& call) {
  const std::string hex = call["params"].isArray() ? call["params"][0].asString() : "";
  const absl::StatusOr<std::string> raw = ethereum::FromHex(hex);
  if (!raw.ok()) return std::nullopt;
  absl::StatusOr<ethereum::SignedTransaction> tx = ethereum::ParseSignedTransaction(*raw);
  if (!tx.ok()) return std::nullopt;
  const absl::StatusOr<Address> from = tx->Sender();
  if (!from.ok()) return std::nullopt;
  return std::pair(*std::move(tx), *from);
}

}  // namespace

// The requests of one transport that have no answer yet. Answers find it weakly.
struct OpenRequests {
  runtime::TestDispatcher* dispatcher = nullptr;
  std::map<uint64_t, HttpTransport::Done> waiting;
  uint64_t next = 0;
};

class SimNodes::Impl : public std::enable_shared_from_this<SimNodes::Impl> {
 public:
  Impl(runtime::TestScheduler* scheduler, ChainModel* chain, size_t count)
      : nodes(count),
        scheduler_(scheduler),
        chain_(chain),
        dispatcher_(scheduler->NewDispatcher("nodes")) {
    for (Node& node : nodes) node.chain_id = chain->options().chain_id;
  }

  void Post(const std::shared_ptr<OpenRequests>& from, uint64_t id, const host::HttpUrl& url,
            std::string body, absl::Duration timeout);

  struct Node {
    NodeFaults faults;
    bool down = false;
    uint64_t chain_id = 0;
  };
  std::vector<Node> nodes;
  Counters counters;

 private:
  // Whether a fault of this rate happens now.
  bool Draw(uint32_t per_mille) {
    const bool drawn = per_mille > 0 && scheduler_->random().Below(1000) < per_mille;
    if (drawn) ++counters.faults;
    return drawn;
  }
  uint64_t Below(uint64_t bound) { return scheduler_->random().Below(bound); }
  size_t NodeOf(const host::HttpUrl& url) const {
    const size_t node = url.port - 1u;
    COFFER_CHECK(node < nodes.size(), "sim: there is no such node");
    return node;
  }
  void AnswerAt(absl::Time time, const std::shared_ptr<OpenRequests>& to, uint64_t id,
                absl::StatusOr<HttpResponse> response);
  HttpResponse Serve(size_t index, const std::string& body);
  Json::Value AnswerAll(size_t index, const Json::Value& request);
  Json::Value AnswerOne(size_t index, const Json::Value& call);
  void CheckOrder(const ethereum::SignedTransaction& tx, const Address& from);
  void SpoilIds(Json::Value& answer);
  std::string Spoil(const NodeFaults& faults, Json::Value answer);

  runtime::TestScheduler* const scheduler_;
  ChainModel* const chain_;
  runtime::TestDispatcher* const dispatcher_;
  std::map<Address, std::set<uint64_t>> taken_;  // nonces that some node has said yes to
};

class SimNodes::Transport final : public HttpTransport {
 public:
  Transport(std::weak_ptr<Impl> nodes, runtime::TestDispatcher* dispatcher)
      : nodes_(std::move(nodes)), open_(std::make_shared<OpenRequests>()) {
    open_->dispatcher = dispatcher;
  }
  ~Transport() override {
    // What the callbacks hold may end this object's owner; they go after the map was left.
    const auto dropped = std::exchange(open_->waiting, {});
  }

  void Post(const host::HttpUrl& url, std::string body, absl::Duration timeout,
            Done done) override {
    const uint64_t id = ++open_->next;
    open_->waiting.emplace(id, std::move(done));
    if (const auto nodes = nodes_.lock()) nodes->Post(open_, id, url, std::move(body), timeout);
  }

 private:
  const std::weak_ptr<Impl> nodes_;
  const std::shared_ptr<OpenRequests> open_;
};

void SimNodes::Impl::Post(const std::shared_ptr<OpenRequests>& from, uint64_t id,
                          const host::HttpUrl& url, std::string body, absl::Duration timeout) {
  ++counters.requests;
  const size_t index = NodeOf(url);
  const NodeFaults& faults = nodes[index].faults;
  const auto spread =
      static_cast<uint64_t>(absl::ToInt64Microseconds(faults.max_delay - faults.min_delay));
  const absl::Duration delay =
      faults.min_delay + absl::Microseconds(static_cast<int64_t>(Below(spread + 1)));
  const absl::Time now = scheduler_->Now();
  if (nodes[index].down || Draw(faults.refused)) {
    AnswerAt(now + delay, from, id, absl::UnavailableError("connection refused"));
    return;
  }
  const bool late = Draw(faults.timeout) || delay > timeout;
  if (late) {
    AnswerAt(now + timeout, from, id, absl::DeadlineExceededError("no answer in time"));
    if (Below(2) == 0) return;  // lost on the way there; else on the way back
  }
  scheduler_->PostAt(now + delay / 2, scheduler_->NewSource(), dispatcher_,
                     [this, weak = weak_from_this(), from = std::weak_ptr<OpenRequests>(from), id,
                      index, late, body = std::move(body), back = now + delay] {
                       const auto self = weak.lock();
                       if (self == nullptr) return;
                       HttpResponse response = Serve(index, body);
                       const auto open = from.lock();
                       if (open != nullptr && !late) AnswerAt(back, open, id, std::move(response));
                     });
}

void SimNodes::Impl::AnswerAt(absl::Time time, const std::shared_ptr<OpenRequests>& to, uint64_t id,
                              absl::StatusOr<HttpResponse> response) {
  scheduler_->PostAt(
      time, scheduler_->NewSource(), to->dispatcher,
      [weak = std::weak_ptr<OpenRequests>(to), id, response = std::move(response)]() mutable {
        const auto open = weak.lock();
        if (open == nullptr) return;
        auto request = open->waiting.extract(id);
        if (!request.empty()) request.mapped()(std::move(response));
      });
}

HttpResponse SimNodes::Impl::Serve(size_t index, const std::string& body) {
  const NodeFaults& faults = nodes[index].faults;
  HttpResponse response;
  response.status = 200;
  if (Draw(faults.rate_limited) && Below(2) == 0) {
    response.status = 429;
    if (Below(2) == 0) response.retry_after = absl::Seconds(static_cast<int64_t>(Below(5)));
    return response;
  }
  const bool breaks = Draw(faults.server_error);
  const std::optional<Json::Value> request = Read(body);
  // Half of the servers that break do so before they have done what was asked.
  if (breaks && Below(2) == 0) {
    response.status = Below(2) == 0 ? 503 : 502;
    response.body = "<html>try again later</html>";
    return response;
  }
  Json::Value answer = request ? AnswerAll(index, *request) : Json::Value();
  if (breaks) {
    response.status = 500;
    response.body = "<html>something went wrong</html>";
    return response;
  }
  response.body = Spoil(faults, std::move(answer));
  return response;
}

Json::Value SimNodes::Impl::AnswerAll(size_t index, const Json::Value& request) {
  if (!request.isArray()) return AnswerOne(index, request);
  Json::Value answers(Json::arrayValue);
  for (const Json::Value& call : request) answers.append(AnswerOne(index, call));
  // JSON-RPC 2.0, 6: in any order.
  if (Below(2) == 0) return answers;
  Json::Value reversed(Json::arrayValue);
  for (Json::ArrayIndex i = answers.size(); i-- > 0;) reversed.append(answers[i]);
  return reversed;
}

void SimNodes::Impl::CheckOrder(const ethereum::SignedTransaction& tx, const Address& from) {
  const uint64_t nonce = tx.transaction.nonce;
  std::set<uint64_t>& taken = taken_[from];
  if (chain_->Nonce(from) > 0) taken.insert(chain_->Nonce(from) - 1);
  if (nonce == 0 || nonce <= *taken.begin() || taken.contains(nonce - 1)) return;
  ++counters.out_of_order;
}

Json::Value SimNodes::Impl::AnswerOne(size_t index, const Json::Value& call) {
  ++counters.calls;
  const Node& node = nodes[index];
  const NodeFaults& faults = node.faults;
  const bool sends = call["method"] == "eth_sendRawTransaction";
  NodeMood mood;
  mood.chain_id = node.chain_id;
  mood.max_log_range = faults.max_log_range;
  mood.wording = static_cast<uint32_t>(index);
  mood.rate_limits = Draw(faults.rate_limited / 4);
  if (Draw(faults.stale)) mood.lag = 1 + Below(std::max<uint64_t>(faults.max_lag, 1));
  if (call["method"] == "eth_getTransactionReceipt") {
    mood.contradictory = Draw(faults.contradictory);
  }
  if (sends && node.chain_id != chain_->options().chain_id) ++counters.astray;
  if (sends) mood.forgets = Draw(faults.forgets);
  if (sends && Draw(faults.odd_refusals)) {
    mood.odd_refusal = 1 + static_cast<uint32_t>(Below(2));
    mood.wording += static_cast<uint32_t>(Below(3));
  }
  const auto sent = sends ? ReadSent(call) : std::nullopt;
  if (sent) CheckOrder(sent->first, sent->second);
  bool known = true;
  Json::Value answer = NodeRpc(chain_, mood).Answer(call, &known);
  // Also what it said in other words.
  if (sent && (answer.isMember("result") || mood.odd_refusal != 0 ||
               chain_->Pending(sent->first.TransactionHash()) ||
               chain_->FindReceipt(sent->first.TransactionHash()))) {
    taken_[sent->second].insert(sent->first.transaction.nonce);
  }
  if (!known) ++counters.unknown_methods;
  answer["jsonrpc"] = "2.0";
  answer["id"] = call["id"];
  return answer;
}

void SimNodes::Impl::SpoilIds(Json::Value& answer) {
  if (!answer.isArray()) {
    answer["id"] = answer["id"].asUInt64() + 1 + Below(3);
    return;
  }
  const Json::ArrayIndex size = answer.size();
  switch (Below(3)) {
    case 0:  // one twice, and one not at all
      answer[0]["id"] = answer[size - 1]["id"];
      return;
    case 1:
      answer.resize(size - 1);
      return;
    default:
      answer.append(answer[0]);
  }
}

std::string SimNodes::Impl::Spoil(const NodeFaults& faults, Json::Value answer) {
  if (Draw(faults.wrong_ids)) SpoilIds(answer);
  std::string body = Write(answer);
  if (Draw(faults.truncated)) body.resize(Below(body.size()));
  if (!Draw(faults.garbage)) return body;
  switch (Below(4)) {
    case 0:
      return "";
    case 1:
      return "[]";
    case 2:
      return std::string(1000, '[');
    default:  // never a well-formed lie: a node that lies is the adversary's
      body[0] = static_cast<char>(128 + Below(128));
      return body;
  }
}

SimNodes::SimNodes(runtime::TestScheduler* scheduler, ChainModel* chain, size_t count)
    : impl_(std::make_shared<Impl>(scheduler, chain, count)) {
  COFFER_CHECK(count > 0, "sim: a node at least");
}

SimNodes::~SimNodes() = default;

// The port is the node.
std::vector<host::HttpUrl> SimNodes::urls() const {
  std::vector<host::HttpUrl> urls;
  for (size_t i = 0; i < impl_->nodes.size(); ++i) {
    urls.push_back(*host::HttpUrl::Parse(absl::StrCat("http://node.test:", i + 1, "/")));
  }
  return urls;
}

std::unique_ptr<HttpTransport> SimNodes::NewTransport(runtime::TestDispatcher* dispatcher) {
  return std::make_unique<Transport>(impl_, dispatcher);
}

void SimNodes::SetFaults(const NodeFaults& faults) {
  for (Impl::Node& node : impl_->nodes) node.faults = faults;
}

void SimNodes::SetFaults(size_t node, const NodeFaults& faults) {
  impl_->nodes.at(node).faults = faults;
}

void SimNodes::SetDown(size_t node, bool down) { impl_->nodes.at(node).down = down; }

void SimNodes::SetChainId(size_t node, uint64_t chain_id) {
  impl_->nodes.at(node).chain_id = chain_id;
}

const SimNodes::Counters& SimNodes::counters() const { return impl_->counters; }

}  // namespace coffer::sim::chain
