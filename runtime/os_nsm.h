// The Nitro Secure Module as the kernel shows it: a character device that takes a CBOR request and
// gives a CBOR answer, by one ioctl. What is in them is not this file's business
// (enclave_core/attestation/nsm.h). Source of the numbers: the driver's ABI,
// aws/aws-nitro-enclaves-nsm-api and Linux include/uapi/linux/nsm.h.
#ifndef COFFER_RUNTIME_OS_NSM_H_
#define COFFER_RUNTIME_OS_NSM_H_

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "runtime/socket_address.h"

namespace coffer::runtime {

class OsNsm {
 public:
  static constexpr const char* kPath = "/dev/nsm";

  static bool Present(const std::string& path = kPath);
  // NotFound: there is no such device; Unavailable says why it cannot be opened.
  static absl::StatusOr<std::unique_ptr<OsNsm>> Open(const std::string& path = kPath);

  // Blocks until the module has answered, milliseconds as a rule, so it belongs on a thread of its
  // own. `answer_bytes`: the room for the answer. Unavailable when the driver refuses or fails.
  absl::StatusOr<std::string> Exchange(std::string_view request, size_t answer_bytes) const;

 private:
  explicit OsNsm(Fd fd) : fd_(std::move(fd)) {}
  const Fd fd_;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_OS_NSM_H_
