// A fuzzer's inputs make thousands of log lines a second that nobody reads.
#ifndef COFFER_TESTS_FUZZ_QUIET_H_
#define COFFER_TESTS_FUZZ_QUIET_H_

#include "runtime/log.h"

namespace coffer::fuzz {

// To be called by every input.
inline void QuietLog() {
  static const bool done = [] {
    runtime::LogOptions options;
    options.level = runtime::Level::kOff;
    runtime::InitLog(options);
    return true;
  }();
  (void)done;
}

}  // namespace coffer::fuzz

#endif  // COFFER_TESTS_FUZZ_QUIET_H_
