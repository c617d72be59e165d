// What is said where AF_VSOCK may not be opened, as in most containers: a filter on system calls
// plays the container.
#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/socket_address.h"

namespace coffer::runtime {
namespace {

// From now on socket(AF_VSOCK, ...) answers with `error` in this process.
bool RefuseVsock(int error) {
  sock_filter program[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[0])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_VSOCK, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter = {sizeof(program) / sizeof(program[0]), program};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

// In a process of its own, because a filter stays: 0 when the sentences are right.
[[noreturn]] void Check(int error) {
  if (!RefuseVsock(error)) _exit(4);
  const Endpoint endpoint = Endpoint::Parse("vsock://16:5000").value();
  for (const absl::Status& status :
       {NewStreamSocket(AF_VSOCK).status(), ListenOn(endpoint).status()}) {
    const std::string text(status.message());
    if (status.code() != absl::StatusCode::kPermissionDenied) _exit(1);
    if (text.find("coffer bridge --listen tcp://127.0.0.1:5001 --to vsock://16:5000") ==
        std::string::npos) {
      _exit(2);
    }
  }
  _exit(NewStreamSocket(AF_UNIX).ok() ? 0 : 3);
}

TEST(VsockRefusedDeathTest, TheErrorNamesTheBridge) {
  for (const int error : {EPERM, EACCES, EAFNOSUPPORT}) {
    EXPECT_EXIT(Check(error), testing::ExitedWithCode(0), "") << ErrnoText(error);
  }
}

}  // namespace
}  // namespace coffer::runtime
