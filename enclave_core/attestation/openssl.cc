#include "enclave_core/attestation/openssl.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/obj_mac.h>

#include <array>

namespace coffer::attestation {

bool IsP384(const EVP_PKEY* key) {
  if (key == nullptr || EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  std::array<char, 64> name{};
  size_t size = 0;
  if (EVP_PKEY_get_group_name(key, name.data(), name.size(), &size) != 1) return false;
  return std::string_view(name.data(), size) == SN_secp384r1;
}

QuietErrors::~QuietErrors() { ERR_clear_error(); }

}  // namespace coffer::attestation
