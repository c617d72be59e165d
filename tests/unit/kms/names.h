// Names and the example credentials of AWS's documentation, for the tests.
#ifndef COFFER_TESTS_UNIT_KMS_NAMES_H_
#define COFFER_TESTS_UNIT_KMS_NAMES_H_

namespace coffer::kms {

inline constexpr const char* kHost = "kms.us-east-2.amazonaws.com";
inline constexpr const char* kArn = "arn:aws:kms:us-east-2:111122223333:key/1234abcd";
inline constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

}  // namespace coffer::kms

#endif  // COFFER_TESTS_UNIT_KMS_NAMES_H_
