// Looks for branches and addresses that depend on secrets. Secrets are declared undefined to
// valgrind's memcheck, which then complains about every conditional jump and every address that is
// made from them; public results are declared defined again (declassify.cc). Two leaks on purpose
// show that it would see one.
//
// Run by valgrind; exits with 77 without it, and with 1 when a case has another outcome than it
// should have.
#include <valgrind/memcheck.h>

#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/ethereum/secret.h"
#include "enclave_core/ethereum/secret_hex.h"
#include "enclave_core/ethereum/signature.h"
#include "enclave_core/payouts/signing.h"
#include "enclave_core/sealing/vault.h"
#include "host_proxy/bearer_tokens.h"
#include "host_proxy/keystore.h"
#include "invariant/check.h"

namespace coffer {
namespace {

using ethereum::PrivateKey;
using ethereum::SecretBytes;

constexpr char kKeyHex[] = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318";

void MakePublic(std::string_view bytes) { VALGRIND_MAKE_MEM_DEFINED(bytes.data(), bytes.size()); }

// The same bytes; memcheck takes them for secret.
std::string Secret(std::string_view bytes) {
  std::string out(bytes);
  VALGRIND_MAKE_MEM_UNDEFINED(out.data(), out.size());
  return out;
}

PrivateKey Key() {
  PrivateKey key = PrivateKey::FromBytes(Secret(absl::HexStringToBytes(kKeyHex))).value();
  VALGRIND_MAKE_MEM_DEFINED(&key.address(), sizeof(ethereum::Address));
  return key;
}

ethereum::Hash Fill(uint8_t byte) {
  ethereum::Hash hash;
  hash.bytes.fill(byte);
  return hash;
}

void ParseHex() {
  for (const std::string& text : {std::string(kKeyHex), absl::StrCat("0x", kKeyHex)}) {
    std::string hex = Secret(text);
    MakePublic(std::string_view(hex).substr(0, hex.size() - 64));
    COFFER_CHECK(ethereum::SecretFromHex(hex, 32).value().size() == 32, "a key is 32 bytes");
  }
}

void ParseKey() { COFFER_CHECK(!Key().address().IsZero(), "a key has an address"); }

void SignMessage() {
  const ethereum::Signature signature = Key().Sign(ethereum::Eip191Hash("a message"));
  COFFER_CHECK(signature.parity <= 1, "a signature has a parity");
}

// A redemption: recipientRand from the key, tickets, their batch, the transaction.
void SignPayout() {
  const PrivateKey key = Key();
  payouts::SigningJob job;
  job.payout_id = 1;
  job.sender = key.address();
  job.strategy = boundary::v1::STRATEGY_LIVEPEER_TICKET;
  job.chain_id = 42161;
  job.to.bytes.fill(7);
  job.nonce = 3;
  job.fees = {1'000'000'000, 1'000'000, 800'000};
  job.first_signing = true;
  for (const uint64_t nonce : {1, 2}) {
    payouts::SigningJob::TicketToSign ticket;
    ticket.sender_nonce = nonce;
    ticket.recipient.bytes.fill(9);
    ticket.face_value = 1'000'000;
    job.tickets.push_back(ticket);
  }
  COFFER_CHECK(payouts::Sign(key, job).tickets.size() == 2, "two tickets are signed");
  job.strategy = boundary::v1::STRATEGY_ETH_TRANSFER;
  job.tickets.clear();
  COFFER_CHECK(!payouts::Sign(key, job).attempt.raw_tx.empty(), "a transfer is signed");
}

void DeriveSecrets() {
  const PrivateKey key = Key();
  COFFER_CHECK(key.DeriveSecret("state key v1").value().size() == 32, "a derived secret");
}

// Ed25519 and the audit address, both derived from the signing key.
void SignLog() {
  const auto keys = audit::LogKeys::Derive(Key()).value();
  COFFER_CHECK(!keys.SignHead(5, Fill(1)).empty(), "a head is signed");
  COFFER_CHECK(keys.SignEntry(4, Fill(2)).parity <= 1, "an entry is signed");
}

// HKDF, then AES-256-GCM both ways, of a plaintext that is secret too.
void SealRecord() {
  sealing::Vault vault(SecretBytes::CopyOf(Secret(std::string(32, 'k'))).value(), 0, Fill(3));
  sealing::Header header;
  header.kind = sealing::Kind::kRecord;
  header.sequence = 1;
  for (const size_t size : {0, 1, 16, 300}) {
    const std::string sealed = vault.Seal(header, Secret(std::string(size, 'p')));
    MakePublic(sealed);
    COFFER_CHECK(vault.Open(sealed).value().plaintext.size() == size, "it opens");
  }
}

void CompareSecrets() {
  const SecretBytes secret = SecretBytes::CopyOf(Secret(std::string(32, 'a'))).value();
  COFFER_CHECK(secret.ConstantTimeEquals(Secret(std::string(32, 'a'))), "the same");
  COFFER_CHECK(!secret.ConstantTimeEquals(std::string(32, 'b')), "another");
  COFFER_CHECK(!secret.ConstantTimeEquals("short"), "a short one");
}

void CheckTokens() {
  const std::string token = "0123456789abcdef0123456789abcdef";
  const host_proxy::BearerTokens tokens(Secret(std::string(32, 'v')), Secret(token));
  COFFER_CHECK(tokens.RoleOf("Bearer " + token) == host_proxy::Role::kAdmin, "the admin's token");
  COFFER_CHECK(tokens.RoleOf("Bearer " + token + "x") == host_proxy::Role::kNobody, "nobody's");
}

// pbkdf2. Not scrypt, whose addresses depend on the password by its very design.
void OpenKeystore() {
  const std::string json = R"({"version":3,"crypto":{"cipher":"aes-128-ctr",
    "cipherparams":{"iv":"6087dab2f9fdbbfaddc31a909735c1e6"},
    "ciphertext":"5f3bf34786be3b8fe7f8ba0111a9120eb10d2cd39e972a29e071f9ae0eccd078","kdf":"pbkdf2",
    "kdfparams":{"c":2,"dklen":32,"prf":"hmac-sha256","salt":"ae3cd4e7013836a3df6bd7241b12db06"},
    "mac":"d4ce96021ed9065887bde4ae3186d570f07d8cba57b6f8414553ac0cbbe968de"}})";
  const absl::StatusOr<SecretBytes> key = host_proxy::OpenKeystore(json, Secret("testpassword"));
  COFFER_CHECK(key.ok() && key->size() == 32, "the keystore opens");
}

// ---- leaks on purpose

bool LeakyEquals(std::string_view a, std::string_view b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i]) return false;
  }
  return true;
}

void LeakyComparison() {
  volatile bool equal = LeakyEquals(Secret("0123456789abcdef"), "0123456789abcdef");
  VALGRIND_MAKE_MEM_DEFINED(&equal, sizeof equal);
}

void LeakyLookup() {
  static volatile char table[256] = "what a table of S-boxes would be";
  const std::string secret = Secret("s");
  volatile char found = table[static_cast<uint8_t>(secret[0])];
  VALGRIND_MAKE_MEM_DEFINED(&found, sizeof found);
}

void LeakyHex() {  // how keys used to be read
  volatile bool ok = ethereum::FromHex(Secret(kKeyHex)).ok();
  VALGRIND_MAKE_MEM_DEFINED(&ok, sizeof ok);
}

struct Case {
  const char* name;
  void (*run)();
  bool leaks = false;
};

constexpr Case kCases[] = {
    {"a private key is read from hex", ParseHex},
    {"a private key is taken and its address computed", ParseKey},
    {"a message is signed", SignMessage},
    {"tickets, a redemption and a transfer are signed", SignPayout},
    {"secrets are derived from the key", DeriveSecrets},
    {"log keys are derived, a head and an entry signed", SignLog},
    {"records are sealed and opened", SealRecord},
    {"secrets are compared", CompareSecrets},
    {"bearer tokens are checked", CheckTokens},
    {"a keystore is opened", OpenKeystore},
    {"a comparison that stops early", LeakyComparison, true},
    {"a table read at a secret place", LeakyLookup, true},
    {"a private key read by branches", LeakyHex, true},
};

int Main() {
  if (RUNNING_ON_VALGRIND == 0) {
    std::puts("not run by valgrind: nothing is checked");
    return 77;
  }
  int failed = 0;
  for (const Case& c : kCases) {
    const unsigned before = VALGRIND_COUNT_ERRORS;
    c.run();
    const unsigned found = VALGRIND_COUNT_ERRORS - before;
    const bool ok = (found != 0) == c.leaks;
    failed += ok ? 0 : 1;
    std::printf("%s %-52s %s\n", ok ? "ok    " : "FAILED", c.name,
                found == 0 ? "nothing depends on the secret"
                : c.leaks  ? "seen, as it should be"
                           : "a branch or an address depends on the secret; valgrind says where");
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace coffer

int main() { return coffer::Main(); }
