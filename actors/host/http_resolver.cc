#include "actors/host/http_resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <array>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "runtime/endpoint.h"
#include "runtime/event_loop.h"
#include "runtime/socket_address.h"

namespace coffer::host {
namespace {

constexpr size_t kMaxLookups = 16;  // threads; a name service that hangs must not pile them up

std::string IpText(const runtime::SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const void* bytes = nullptr;
  if (address.family() == AF_INET6) {
    bytes = &reinterpret_cast<const sockaddr_in6*>(address.get())->sin6_addr;
  } else {
    bytes = &reinterpret_cast<const sockaddr_in*>(address.get())->sin_addr;
  }
  if (inet_ntop(address.family(), bytes, text.data(), text.size()) == nullptr) return "";
  return text.data();
}

absl::StatusOr<std::vector<std::string>> LookUp(const runtime::Endpoint& endpoint) {
  const auto found = runtime::ResolveBlocking(endpoint);
  if (!found.ok()) return found.status();
  std::vector<std::string> texts;
  for (const runtime::SocketAddress& address : *found) texts.push_back(IpText(address));
  if (texts.empty()) return absl::NotFoundError("the name has no address");
  return texts;
}

}  // namespace

// Outlives the resolver as long as a thread runs. `loop` is null once the resolver is gone.
struct HttpResolver::Shared {
  std::mutex mutex;
  runtime::EventLoop* loop = nullptr;  // guarded by mutex
  size_t running = 0;                  // guarded by mutex
  // Loop thread only.
  bool gone = false;
  uint64_t last_id = 0;
  absl::flat_hash_map<uint64_t, Done> waiting;

  void Answer(uint64_t id, absl::StatusOr<std::vector<std::string>> found) {
    if (gone) return;
    auto one = waiting.extract(id);
    if (!one.empty()) one.mapped()(std::move(found));
  }
};

HttpResolver::HttpResolver(runtime::EventLoop* loop)
    : loop_(loop), shared_(std::make_shared<Shared>()) {
  shared_->loop = loop;
}

HttpResolver::~HttpResolver() {
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->loop = nullptr;
  }
  shared_->gone = true;
  shared_->waiting.clear();
}

void HttpResolver::Resolve(const std::string& host, uint16_t port, Done done) {
  const uint64_t id = ++shared_->last_id;
  shared_->waiting.emplace(id, std::move(done));
  runtime::Endpoint endpoint;
  endpoint.host = host;
  endpoint.port = port;
  const auto post = [shared = shared_, id](absl::StatusOr<std::vector<std::string>> found) {
    std::lock_guard<std::mutex> lock(shared->mutex);
    if (shared->loop == nullptr) return;
    shared->loop->Post(
        [shared, id, found = std::move(found)]() mutable { shared->Answer(id, std::move(found)); });
  };
  const auto literal = runtime::LiteralAddress(endpoint, /*listening=*/false);
  if (literal.ok()) return post(std::vector<std::string>{IpText(*literal)});
  if (!absl::IsNotFound(literal.status())) return post(literal.status());
  {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    if (shared_->running >= kMaxLookups) {
      lock.unlock();
      return post(absl::ResourceExhaustedError("too many names are being looked up"));
    }
    ++shared_->running;
  }
  const auto run = [shared = shared_, post, endpoint] {
    auto found = LookUp(endpoint);
    {
      std::lock_guard<std::mutex> lock(shared->mutex);
      --shared->running;
    }
    post(std::move(found));
  };
  try {
    std::thread(run).detach();
  } catch (const std::system_error&) {
    std::unique_lock<std::mutex> lock(shared_->mutex);
    --shared_->running;
    lock.unlock();
    post(absl::ResourceExhaustedError("no thread could be started to look the name up"));
  }
}

}  // namespace coffer::host
