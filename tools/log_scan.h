// Reads a whole log, every leaf and every tile, and holds it against the signed head.
#ifndef COFFER_TOOLS_LOG_SCAN_H_
#define COFFER_TOOLS_LOG_SCAN_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "enclave_core/audit/checkpoint.h"
#include "enclave_core/audit/leaf.h"
#include "tools/log_source.h"
#include "tools/verify_report.h"

namespace coffer::tools {

struct ScanOptions {
  unsigned threads = 2;  // that read, hash and parse
  // Takes the leaves, in order, on the caller's thread, as long as all before were readable and
  // are those of the signed tree. May be empty. `event_hashes`: EventHash of each leaf that has an
  // event id, else 0.
  std::function<void(uint64_t first, const std::vector<audit::Leaf>& leaves,
                     const std::vector<uint64_t>& event_hashes)>
      on_leaves = {};
  // After each 256 leaves, on the caller's thread. May be empty.
  std::function<void(uint64_t done, uint64_t total)> on_progress = {};
};

struct ScanResult {
  // Not OK: the source could not be read to the end; nothing more can be said.
  absl::Status source = absl::OkStatus();
  Problems tiles;   // files that are missing or not what the signed tree has
  Problems leaves;  // leaves that are not canonical, or in the wrong place
  uint64_t bytes = 0;
  // How many leaves from the start were given to on_leaves: the size, when nothing was wrong.
  uint64_t read = 0;
  // Files that are not the signed tree's, for whoever can fetch them again.
  std::vector<std::string> bad_files;
};

ScanResult ScanLog(LogSource& source, const audit::Checkpoint& head, const ScanOptions& options);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_LOG_SCAN_H_
