// The published transparency log as a reader sees it: read leaf by leaf as heads appear, added up,
// and held against each head.
#ifndef COFFER_TESTS_SIM_PUBLISHED_LOG_H_
#define COFFER_TESTS_SIM_PUBLISHED_LOG_H_

#include <map>
#include <string>

#include "actors/host/log/log_files.h"
#include "actors/host/log/log_publisher.h"
#include "tests/support/leaf_auditor.h"

namespace coffer::sim {

class PublishedLog {
 public:
  // `files` outlives this object.
  explicit PublishedLog(host::LogFiles* files) : files_(files) {}

  // Reads what is new, as a stranger would.
  void OnPublished(const host::LogPublisher::Published& published);
  // A head that the publisher refused.
  void OnRefused(const absl::Status& status);

  const test::LeafAuditor& sums() const { return sums_; }
  // The leaves of events, by event id.
  const std::map<std::string, audit::Leaf>& events() const { return events_; }
  // The first thing that was wrong; empty while nothing was.
  const std::string& broken() const { return broken_; }

 private:
  void Wrong(const std::string& sentence);

  host::LogFiles* const files_;
  test::LeafAuditor sums_;
  std::map<std::string, audit::Leaf> events_;
  std::string broken_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_PUBLISHED_LOG_H_
