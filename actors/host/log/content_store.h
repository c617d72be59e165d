// The texts that leaves bind by their hash and do not hold: reason and metadata of events. Each is
// a file named by its SHA-256, below a folder that is not the log's, because it is not for
// everybody.
#ifndef COFFER_ACTORS_HOST_LOG_CONTENT_STORE_H_
#define COFFER_ACTORS_HOST_LOG_CONTENT_STORE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actors/host/log/log_files.h"
#include "enclave_core/audit/tree.h"
#include "runtime/dispatcher.h"

namespace coffer::host {

class ContentStore {
 public:
  // Works on `work`, where it may block, and answers on `home`, where it is called and destroyed.
  // `files` is used on `work` alone and outlives what runs there, as `home` outlives it.
  ContentStore(LogFiles* files, runtime::Dispatcher* work, runtime::Dispatcher* home);

  // Makes every text durable; `done` is called once, later. An error says that some may not be.
  using Kept = absl::AnyInvocable<void(absl::Status)>;
  void Keep(std::vector<std::string> texts, Kept done);

  // NotFound; DataLoss when the file is not what its name says.
  using Found = absl::AnyInvocable<void(absl::StatusOr<std::string>)>;
  void Find(const audit::Hash& hash, Found done);

 private:
  template <typename Answer>
  void Work(absl::AnyInvocable<Answer()> work, absl::AnyInvocable<void(Answer)> done);

  LogFiles* const files_;
  runtime::Dispatcher* const work_;
  runtime::Dispatcher* const home_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace coffer::host

#endif  // COFFER_ACTORS_HOST_LOG_CONTENT_STORE_H_
