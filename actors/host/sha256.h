// SHA-256 (FIPS 180-4) for the host's own bookkeeping: ids of journal lines, fingerprints of files.
#ifndef COFFER_ACTORS_HOST_SHA256_H_
#define COFFER_ACTORS_HOST_SHA256_H_

#include <openssl/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace coffer::host {

using Sha256Digest = std::array<uint8_t, 32>;

// One hash at a time; the algorithm is fetched once and the context reused, because OpenSSL 3's
// fetch costs more than hashing a journal line.
class Sha256 {
 public:
  Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  ~Sha256();

  void Update(std::string_view bytes);
  // The digest of what was given since the last Finish; the object is then ready for the next.
  Sha256Digest Finish();
  Sha256Digest Hash(std::string_view bytes) {
    Update(bytes);
    return Finish();
  }

 private:
  EVP_MD* const algorithm_;
  EVP_MD_CTX* const context_;
};

// 64 lower-case digits to `out`.
void WriteHex(const Sha256Digest& digest, char* out);
std::string ToHex(const Sha256Digest& digest);

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_SHA256_H_
