// Where a program listens or dials: tcp://HOST:PORT, unix:///PATH, vsock://CID:PORT.
#ifndef COFFER_RUNTIME_ENDPOINT_H_
#define COFFER_RUNTIME_ENDPOINT_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace coffer::runtime {

struct Endpoint {
  enum class Kind { kTcp, kUnix, kVsock };
  Kind kind = Kind::kTcp;
  std::string host;   // tcp: a name or an IP address, IPv6 without its brackets
  std::string path;   // unix: an absolute path
  uint32_t cid = 0;   // vsock; a listener binds VMADDR_CID_ANY whatever is written here
  uint32_t port = 0;  // tcp (0..65535, 0 = any) and vsock

  // An error names the part that was wrong and shows the three forms.
  static absl::StatusOr<Endpoint> Parse(std::string_view text);
  std::string ToString() const;
  // True for unix, vsock and loopback addresses: nobody on another machine can reach it.
  bool IsLocal() const;
};

}  // namespace coffer::runtime

#endif  // COFFER_RUNTIME_ENDPOINT_H_
