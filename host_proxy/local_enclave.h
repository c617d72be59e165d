// Mode local: coffer-enclave as a child of this host, with a key of this machine. For development
// and for those who have no TEE: whoever controls the machine has the key.
#ifndef COFFER_HOST_PROXY_LOCAL_ENCLAVE_H_
#define COFFER_HOST_PROXY_LOCAL_ENCLAVE_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "enclave_core/ethereum/secret.h"
#include "host_proxy/signer_options.h"
#include "runtime/event_loop.h"
#include "runtime/socket_address.h"

struct event;

namespace coffer::host_proxy {

class LocalEnclave {
 public:
  // Starts the program; it listens at `options.endpoint`, a unix socket. The key goes over in a
  // file in memory that only this user and the child can open, never in an argument or a variable.
  // The child dies with this process's calling thread, which must be the main one. `on_exit` is
  // called on the loop, with a sentence, if it ends before Stop. NotFound when there is no such
  // program.
  static absl::StatusOr<std::unique_ptr<LocalEnclave>> Start(
      runtime::EventLoop* loop, const SignerOptions& options, const ethereum::SecretBytes& key,
      absl::AnyInvocable<void(const std::string&)> on_exit);
  ~LocalEnclave();  // kills it if it still runs
  LocalEnclave(const LocalEnclave&) = delete;
  LocalEnclave& operator=(const LocalEnclave&) = delete;

  // The child has read the key: it is wiped from the file.
  void ForgetKey();
  // SIGTERM, and after `patience` SIGKILL; then `done`.
  void Stop(absl::Duration patience, runtime::Task done);

 private:
  LocalEnclave(runtime::EventLoop* loop, absl::AnyInvocable<void(const std::string&)> on_exit);
  absl::Status Spawn(const SignerOptions& options, const std::string& program);
  static void OnChild(int, short, void* self);
  void Reap();

  runtime::EventLoop* const loop_;
  absl::AnyInvocable<void(const std::string&)> on_exit_;
  event* child_signal_ = nullptr;
  runtime::Fd key_file_;
  pid_t pid_ = -1;  // -1: none runs
  runtime::Task stopped_;
  std::unique_ptr<runtime::Timer> patience_;
};

}  // namespace coffer::host_proxy

#endif  // COFFER_HOST_PROXY_LOCAL_ENCLAVE_H_
