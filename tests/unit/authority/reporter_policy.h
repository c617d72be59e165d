// What the tests of signed credits share.
#ifndef COFFER_TESTS_UNIT_AUTHORITY_REPORTER_POLICY_H_
#define COFFER_TESTS_UNIT_AUTHORITY_REPORTER_POLICY_H_

#include "tests/support/bank.h"

namespace coffer::test {

inline constexpr v1::Event::Kind kUp = v1::Event::KIND_ADJUST_UP;
inline constexpr v1::Event::Kind kDown = v1::Event::KIND_ADJUST_DOWN;

// Credits are reported by the key 0x2222...22.
inline policy::Policy Guarded(bool required) {
  policy::Policy policy = WidePolicy();
  policy.credit_reporter = Key(0x22).address();
  policy.require_credit_signature = required;
  return policy;
}

}  // namespace coffer::test

#endif  // COFFER_TESTS_UNIT_AUTHORITY_REPORTER_POLICY_H_
