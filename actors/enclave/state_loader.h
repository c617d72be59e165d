// Reads a stored state back into a fresh Authority: the newest snapshot's chunks, then the records
// after it.
#ifndef COFFER_ACTORS_ENCLAVE_STATE_LOADER_H_
#define COFFER_ACTORS_ENCLAVE_STATE_LOADER_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/status/status.h"
#include "enclave_core/authority/authority.h"
#include "enclave_core/sealing/vault.h"

namespace coffer::enclave {

class StateLoader {
 public:
  // `vault` opens the records; it must outlive the loader.
  explicit StateLoader(sealing::Vault* vault)
      : reader_(vault), authority_(std::make_unique<authority::Authority>()) {}

  // One record or chunk. An error (ERROR_STATE_REFUSED) says which record and why; the loader is
  // useless afterwards.
  absl::Status Add(std::string_view sealed);
  // After the last one. The state that was read, perhaps not founded.
  absl::StatusOr<std::unique_ptr<authority::Authority>> Finish();

  const sealing::ChainReader& chain() const { return reader_; }
  // Of the state keys that what was read is sealed under; UINT32_MAX before there is anything.
  uint32_t oldest_epoch() const { return oldest_epoch_; }

 private:
  absl::Status Apply(const sealing::ChainReader::Item& item);

  sealing::ChainReader reader_;
  uint32_t oldest_epoch_ = UINT32_MAX;
  std::unique_ptr<authority::Authority> authority_;
};

// The state that a blob (sealing/blob.h) holds. Refused with ERROR_STATE_REFUSED.
absl::StatusOr<std::unique_ptr<authority::Authority>> StateFromBlob(sealing::Vault* vault,
                                                                    std::string_view blob);

}  // namespace coffer::enclave

#endif  // COFFER_ACTORS_ENCLAVE_STATE_LOADER_H_
