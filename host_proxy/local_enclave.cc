#include "host_proxy/local_enclave.h"

#include <event2/event.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "invariant/check.h"
#include "runtime/log.h"
#include "runtime/os_env.h"

namespace coffer::host_proxy {
namespace {

constexpr char kProgram[] = "coffer-enclave";

absl::Status Failed(const char* what) {
  return absl::InternalError(
      absl::StrCat("the local enclave: ", what, ": ", runtime::ErrnoText(errno)));
}

absl::StatusOr<std::string> FindProgram(const std::string& named) {
  std::string path = named;
  if (path.empty()) {
    std::error_code error;
    const auto self = std::filesystem::read_symlink("/proc/self/exe", error);
    path = (self.parent_path() / kProgram).string();
  }
  if (access(path.c_str(), X_OK) == 0) return path;
  return absl::NotFoundError(absl::StrCat("the local enclave: ", path,
                                          " cannot be run: ", runtime::ErrnoText(errno),
                                          "; name the program with --local-enclave"));
}

// A file without a name, mode 0600, that holds the key as the 64 hex digits that --key-file wants.
absl::StatusOr<runtime::Fd> KeyFile(const ethereum::SecretBytes& key) {
  runtime::Fd fd(memfd_create("coffer-key", MFD_CLOEXEC));
  if (!fd.valid() || fchmod(fd.get(), 0600) != 0) return Failed("no file for the key");
  constexpr char kDigits[] = "0123456789abcdef";
  std::array<char, 64> text{};
  COFFER_CHECK(2 * key.size() == text.size(), "a key has 32 bytes");
  for (size_t i = 0; i < key.size(); ++i) {
    text[2 * i] = kDigits[key.data()[i] >> 4];
    text[2 * i + 1] = kDigits[key.data()[i] & 15];
  }
  const ssize_t written = pwrite(fd.get(), text.data(), text.size(), 0);
  OPENSSL_cleanse(text.data(), text.size());
  if (written != static_cast<ssize_t>(text.size())) return Failed("the key cannot be written");
  return fd;
}

std::vector<char*> Pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& word : words) out.push_back(word.data());
  out.push_back(nullptr);
  return out;
}

// What the child needs of this process's environment, and what is meant for it. Not
// NOTIFY_SOCKET: it is not the service.
std::vector<std::string> ChildEnvironment(const SignerOptions& options) {
  std::vector<std::string> out;
  for (const char* name : {"PATH", "HOME", "LANG", "TZ", "TMPDIR"}) {
    const std::optional<std::string> value = runtime::OsEnv(name);
    if (value.has_value()) out.push_back(absl::StrCat(name, "=", *value));
  }
  for (const auto& [name, value] : options.local_environment) {
    out.push_back(absl::StrCat(name, "=", value));
  }
  return out;
}

// In the child, between fork and exec: only calls that are safe after fork in a process with
// threads.
[[noreturn]] void Exec(const char* program, char* const* arguments, char* const* environment,
                       int key_file, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // it died before the line above
  setpgid(0, 0);                        // Ctrl-C is for the host, which then stops the child
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  fcntl(key_file, F_SETFD, 0);
  execve(program, arguments, environment);
  _exit(127);
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return absl::StrCat("by signal ", WTERMSIG(status));
  return absl::StrCat("with exit code ", WEXITSTATUS(status));
}

}  // namespace

LocalEnclave::LocalEnclave(runtime::EventLoop* loop,
                           absl::AnyInvocable<void(const std::string&)> on_exit)
    : loop_(loop), on_exit_(std::move(on_exit)) {
  child_signal_ = evsignal_new(loop->base(), SIGCHLD, &OnChild, this);
  COFFER_CHECK(child_signal_ != nullptr && evsignal_add(child_signal_, nullptr) == 0,
               "SIGCHLD cannot be watched");
}

LocalEnclave::~LocalEnclave() {
  event_free(child_signal_);
  ForgetKey();
  if (pid_ < 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

absl::StatusOr<std::unique_ptr<LocalEnclave>> LocalEnclave::Start(
    runtime::EventLoop* loop, const SignerOptions& options, const ethereum::SecretBytes& key,
    absl::AnyInvocable<void(const std::string&)> on_exit) {
  const absl::StatusOr<std::string> program = FindProgram(options.local_enclave);
  if (!program.ok()) return program.status();
  absl::StatusOr<runtime::Fd> key_file = KeyFile(key);
  if (!key_file.ok()) return key_file.status();
  std::unique_ptr<LocalEnclave> enclave(new LocalEnclave(loop, std::move(on_exit)));
  enclave->key_file_ = *std::move(key_file);
  if (absl::Status s = enclave->Spawn(options, *program); !s.ok()) return s;
  runtime::Log(
      runtime::Level::kInfo, "host", "local enclave started",
      {{"program", *program}, {"pid", enclave->pid_}, {"endpoint", options.endpoint.ToString()}});
  return enclave;
}

absl::Status LocalEnclave::Spawn(const SignerOptions& options, const std::string& program) {
  std::vector<std::string> arguments = {
      program,      "--insecure-dev-key",
      "--listen",   options.endpoint.ToString(),
      "--key-file", absl::StrCat("/proc/self/fd/", key_file_.get())};
  if (!options.local_enclave_config.empty()) {
    arguments.insert(arguments.end(), {"--config", options.local_enclave_config});
  }
  std::vector<std::string> environment = ChildEnvironment(options);
  const std::vector<char*> argument_pointers = Pointers(arguments);
  const std::vector<char*> environment_pointers = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return Failed("no process");
  if (pid == 0) {
    Exec(program.c_str(), argument_pointers.data(), environment_pointers.data(), key_file_.get(),
         parent);
  }
  pid_ = pid;
  return absl::OkStatus();
}

void LocalEnclave::ForgetKey() {
  if (!key_file_.valid()) return;
  const std::array<char, 64> zeros{};
  if (pwrite(key_file_.get(), zeros.data(), zeros.size(), 0) != ssize_t{64} ||
      ftruncate(key_file_.get(), 0) != 0) {
    runtime::Log(runtime::Level::kWarn, "host", "the local key could not be wiped from its file");
  }
  key_file_ = runtime::Fd();
}

void LocalEnclave::OnChild(int, short, void* self) { static_cast<LocalEnclave*>(self)->Reap(); }

void LocalEnclave::Reap() {
  int status = 0;
  if (pid_ < 0 || waitpid(pid_, &status, WNOHANG) != pid_) return;
  pid_ = -1;
  patience_.reset();
  if (stopped_) return std::exchange(stopped_, nullptr)();
  on_exit_(absl::StrCat("the local enclave ended ", HowItEnded(status),
                        "; what it said stands above in this log"));
}

void LocalEnclave::Stop(absl::Duration patience, runtime::Task done) {
  if (pid_ < 0) return loop_->Post(std::move(done));
  stopped_ = std::move(done);
  kill(pid_, SIGTERM);
  patience_ = loop_->After(patience, [this] { kill(pid_, SIGKILL); });
}

}  // namespace coffer::host_proxy
