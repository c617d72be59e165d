// A server's bytes at the KMS client's TLS: made up, or a real server's with changes on the way.
// Whoever is not the server never gets the client to connect or to take a byte of plaintext.
//
// Input: one byte to choose. 0: the bytes, in pieces of the size that the next byte gives.
// 1: what the real server says (a length and the text), then changes: which byte of the stream
// (two bytes), and what to (one).
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "absl/time/clock.h"
#include "enclave_core/kms/tls.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tests/unit/kms/tls_server.h"

namespace {

namespace host = coffer::host;
namespace kms = coffer::kms;

constexpr char kHost[] = "kms.us-east-2.amazonaws.com";

struct World {
  const host::KeyAndCertificate ca = host::MakeCertificate("ca", nullptr, "");
  const host::KeyAndCertificate own =
      host::MakeCertificate("kms", &ca, "DNS:kms.us-east-2.amazonaws.com", 86'400);
  const kms::TlsOptions options{kHost, absl::Now(), kms::PemOf(ca)};
};
const World& TheWorld() {
  static const World* const world = new World();
  return *world;
}

void MadeUp(coffer::fuzz::Input input) {
  const auto client = kms::TlsClient::Create(TheWorld().options).value();
  const size_t piece = 1 + input.Byte();
  while (!input.empty()) (void)client->FeedWire(input.Take(piece));
  COFFER_CHECK(!client->connected(), "nobody connects without the server's key");
  COFFER_CHECK(!client->Write("secret").ok(), "nothing is said to nobody");
  COFFER_CHECK(client->TakePlaintext().empty(), "nothing is heard of nobody");
  COFFER_CHECK(!client->FeedWireEnd().ok(), "nobody ends a stream as a server would");
  (void)client->TakeOutput();
}

void Changed(coffer::fuzz::Input input) {
  const std::string said(input.Text());
  std::map<size_t, char> changes;
  while (!input.empty()) {
    const size_t at = input.Number(2);
    changes[at] = static_cast<char>(input.Byte());
  }
  const auto client = kms::TlsClient::Create(TheWorld().options).value();
  kms::TlsServer server(TheWorld().own);
  size_t at = 0;
  bool changed = false, spoken = false;
  absl::Status status;
  for (int round = 0; round < 8 && status.ok(); ++round) {
    server.Feed(client->TakeOutput());
    if (server.connected() && !spoken) {
      if (!said.empty()) server.Write(said);
      server.SayEnd();
      spoken = true;
    }
    std::string bytes = server.TakeOutput();
    for (char& byte : bytes) {
      const auto change = changes.find(at++);
      if (change == changes.end() || change->second == byte) continue;
      byte = change->second;
      changed = true;
    }
    if (!bytes.empty()) status = client->FeedWire(bytes);
  }
  const std::string heard = client->TakePlaintext();
  COFFER_CHECK(said.substr(0, heard.size()) == heard, "what is heard is what was said");
  if (!changed) {
    COFFER_CHECK(status.ok() && heard == said && client->closed(), "without changes all is heard");
  } else if (client->closed() && status.ok()) {
    COFFER_CHECK(heard == said, "an end that is believed comes after everything");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  if (input.Below(2) == 0) {
    MadeUp(input);
  } else {
    Changed(input);
  }
  return 0;
}
