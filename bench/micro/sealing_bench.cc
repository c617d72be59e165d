// Sealing and opening records, beside AES-256-GCM and SHA-256 as OpenSSL gives them; keccak-256.
#include <benchmark/benchmark.h>
#include <openssl/evp.h>

#include <cstdint>
#include <string>
#include <utility>

#include "enclave_core/ethereum/types.h"
#include "enclave_core/sealing/vault.h"
#include "invariant/check.h"

namespace coffer::bench {
namespace {

sealing::Vault NewVault() {
  absl::StatusOr<ethereum::SecretBytes> key = ethereum::SecretBytes::CopyOf(std::string(32, 's'));
  COFFER_CHECK(key.ok(), "the benchmark's key");
  return sealing::Vault(*std::move(key), 0, sealing::Hash());
}

void Finish(benchmark::State& run) { run.SetBytesProcessed(run.iterations() * run.range(0)); }

void BM_Seal(benchmark::State& run) {
  sealing::Vault vault = NewVault();
  const std::string plaintext(static_cast<size_t>(run.range(0)), 'p');
  for (auto _ : run) benchmark::DoNotOptimize(vault.Seal({}, plaintext));
  Finish(run);
}
BENCHMARK(BM_Seal)->Arg(256)->Arg(4096)->Arg(1 << 20);

void BM_Open(benchmark::State& run) {
  sealing::Vault vault = NewVault();
  const std::string sealed = vault.Seal({}, std::string(static_cast<size_t>(run.range(0)), 'p'));
  for (auto _ : run) benchmark::DoNotOptimize(vault.Open(sealed));
  Finish(run);
}
BENCHMARK(BM_Open)->Arg(256)->Arg(4096)->Arg(1 << 20);

void BM_LimitAesGcm(benchmark::State& run) {
  const std::string key(32, 'k');
  std::string data(static_cast<size_t>(run.range(0)), 'p');
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  auto* bytes = reinterpret_cast<uint8_t*>(data.data());
  uint8_t nonce[12] = {};
  uint8_t tag[16];
  EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), nullptr,
                     reinterpret_cast<const uint8_t*>(key.data()), nullptr);
  for (auto _ : run) {
    ++nonce[11];
    int length = 0;
    EVP_EncryptInit_ex(context, nullptr, nullptr, nullptr, nonce);
    EVP_EncryptUpdate(context, bytes, &length, bytes, static_cast<int>(data.size()));
    EVP_EncryptFinal_ex(context, bytes, &length);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, sizeof(tag), tag);
    benchmark::DoNotOptimize(tag);
  }
  EVP_CIPHER_CTX_free(context);
  Finish(run);
}
BENCHMARK(BM_LimitAesGcm)->Arg(256)->Arg(4096)->Arg(1 << 20);

void BM_LimitSha256(benchmark::State& run) {
  const std::string data(static_cast<size_t>(run.range(0)), 'p');
  EVP_MD* sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  uint8_t digest[32];
  for (auto _ : run) {
    EVP_DigestInit_ex(context, sha256, nullptr);
    EVP_DigestUpdate(context, data.data(), data.size());
    EVP_DigestFinal_ex(context, digest, nullptr);
    benchmark::DoNotOptimize(digest);
  }
  EVP_MD_CTX_free(context);
  EVP_MD_free(sha256);
  Finish(run);
}
BENCHMARK(BM_LimitSha256)->Arg(256)->Arg(4096)->Arg(1 << 20);

void BM_RecordHash(benchmark::State& run) {
  const std::string data(static_cast<size_t>(run.range(0)), 'p');
  for (auto _ : run) benchmark::DoNotOptimize(sealing::RecordHash(data));
  Finish(run);
}
BENCHMARK(BM_RecordHash)->Arg(256)->Arg(1 << 20);

void BM_Keccak256(benchmark::State& run) {
  const std::string data(static_cast<size_t>(run.range(0)), 'p');
  for (auto _ : run) benchmark::DoNotOptimize(ethereum::Keccak256(data));
  Finish(run);
}
BENCHMARK(BM_Keccak256)->Arg(32)->Arg(400)->Arg(64 << 10);

}  // namespace
}  // namespace coffer::bench
