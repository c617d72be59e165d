// Who is paid where: the host's registry file, {"orchestrators":{"orch-0001":"0x..."}}.
//
// The enclave fixes an account's recipient at its first event (I1). The registry keeps to the same
// rule as far as it can see: a recipient that was read once is never replaced by another; the
// attempt is reported and refused.
#ifndef COFFER_ACTORS_HOST_REGISTRY_H_
#define COFFER_ACTORS_HOST_REGISTRY_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "actors/host/journal_file.h"
#include "enclave_core/ethereum/types.h"

namespace coffer::host {

inline constexpr size_t kMaxRegistryBytes = 256u << 20;

class Registry {
 public:
  // A change of recipient that the file asked for and did not get.
  struct Conflict {
    std::string orchestrator_id;
    ethereum::Address kept;
    ethereum::Address refused;
    bool operator==(const Conflict&) const = default;
  };
  struct Counters {
    uint64_t reloads = 0;   // files taken in
    uint64_t failures = 0;  // files that could not be read; what was known before stays
    uint64_t refused = 0;   // conflicts met, each as often as a file had it
  };

  // `files` outlives this object; without it, the files of the machine.
  explicit Registry(std::string path, JournalFiles* files = nullptr);
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  // Reads the file now. An error (missing, too large, not of this form, an address whose EIP-55
  // checksum is wrong) says where, is logged, and leaves everything as it was: a file is taken in
  // whole or not at all, conflicts apart.
  absl::Status Reload();
  // Reload(), if the file is another one, or was modified, since it was last looked at. True when
  // new ids were added.
  bool ReloadIfChanged();

  // Null when unknown. Valid until the next reload.
  const ethereum::Address* Find(const std::string& orchestrator_id) const {
    const auto it = recipients_.find(orchestrator_id);
    return it == recipients_.end() ? nullptr : &it->second;
  }

  size_t size() const { return recipients_.size(); }
  // Those of the newest file that was taken in.
  const std::vector<Conflict>& conflicts() const { return conflicts_; }
  const Counters& counters() const { return counters_; }

 private:
  using Recipients = absl::flat_hash_map<std::string, ethereum::Address>;
  absl::Status Load();
  void Merge(Recipients file);

  const std::string path_;
  OsJournalFiles os_files_;
  JournalFiles* const files_;
  Recipients recipients_;
  std::vector<Conflict> conflicts_;
  Counters counters_;
  FileFacts seen_;
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_REGISTRY_H_
