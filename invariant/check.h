// COFFER_CHECK: a broken invariant stops the process, in every build type (NDEBUG is ignored).
//
// Bad input is never checked with this: it is answered with an absl::Status. What fails here is a
// bug of ours, and going on would risk money. The message names the rule (I1..I10) where one is
// meant; it must never contain key material (I8), so it takes a literal and no values.
#ifndef COFFER_INVARIANT_CHECK_H_
#define COFFER_INVARIANT_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace coffer {

[[noreturn]] inline void CheckFailed(const char* condition, const char* message, const char* file,
                                     int line) {
  std::fprintf(stderr, "%s:%d: broken invariant: %s (%s)\n", file, line, message, condition);
  std::fflush(stderr);
  std::abort();
}

}  // namespace coffer

#define COFFER_CHECK(condition, message)               \
  (static_cast<bool>(condition) ? static_cast<void>(0) \
                                : ::coffer::CheckFailed(#condition, message, __FILE__, __LINE__))

#endif  // COFFER_INVARIANT_CHECK_H_
