// coffer-init: the first process (PID 1) of an enclave's image. It mounts what a program expects,
// loads the kernel's modules, tells the parent that the enclave is up, runs one program and ends
// the enclave when that one ends. It opens no port, reads nothing from outside but the one byte of
// the parent's answer, and does what /etc/coffer/boot says, which is part of the image and so
// measured:
//
//   # a comment
//   module PATH        load this module; in the order of the lines
//   hello CID PORT     say hello to the parent there once vsock works (facts: the parent is CID 3,
//                      port 9000; it is sent 0xB7 and answers 0xB7; nitro-cli waits for that)
//   arg TEXT           the program's path, then its arguments, a line each
//
// Whatever fails ends the enclave, with a sentence on the console.
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

namespace {

constexpr char kBootFile[] = "/etc/coffer/boot";
constexpr uint8_t kHello = 0xB7;
constexpr int kHelloAttempts = 100;
constexpr useconds_t kHelloPause = 50'000;  // microseconds

struct Boot {
  struct Address {
    unsigned cid = 0;
    unsigned port = 0;
  };
  std::vector<std::string> modules;
  std::optional<Address> hello;
  std::vector<std::string> command;
};

[[noreturn]] void EndEnclave() {
  std::fflush(stdout);
  tcdrain(STDOUT_FILENO);
  reboot(RB_AUTOBOOT);  // to the hypervisor a reboot is the end; there is nothing to sync
  for (;;) pause();
}

[[noreturn]] void Die(const std::string& what, bool with_errno = true) {
  const int error = errno;
  std::printf("coffer-init: %s%s%s\n", what.c_str(), with_errno ? ": " : "",
              with_errno ? std::strerror(error) : "");
  EndEnclave();
}

void Mount(const char* type, const char* folder) {
  mkdir(folder, 0755);
  if (mount(type, folder, type, MS_NOSUID | MS_NOEXEC, nullptr) != 0 && errno != EBUSY)
    Die(std::string("cannot mount ") + folder);
}

void OpenConsole() {
  const int console = open("/dev/console", O_RDWR | O_NOCTTY);
  const int nothing = open("/dev/null", O_RDONLY);
  if (console < 0 || nothing < 0) EndEnclave();  // nobody would hear
  dup2(nothing, STDIN_FILENO);
  dup2(console, STDOUT_FILENO);
  dup2(console, STDERR_FILENO);
  for (const int fd : {console, nothing}) {
    if (fd > STDERR_FILENO) close(fd);
  }
}

Boot ReadBoot() {
  std::ifstream file(kBootFile);
  if (!file) Die(std::string("cannot read ") + kBootFile);
  Boot boot;
  std::string line;
  while (std::getline(file, line)) {
    const size_t space = line.find(' ');
    const std::string word = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (word == "module") {
      boot.modules.push_back(rest);
    } else if (word == "hello") {
      Boot::Address address;
      std::istringstream numbers(rest);
      if (!(numbers >> address.cid >> address.port))
        Die("hello wants a CID and a port in " + line, false);
      boot.hello = address;
    } else if (word == "arg") {
      boot.command.push_back(rest);
    } else if (!line.empty() && word != "#") {
      Die("no such instruction: " + line, false);
    }
  }
  if (boot.command.empty()) Die("the boot file names no program", false);
  return boot;
}

void LoadModule(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) Die("cannot open " + path);
  if (syscall(SYS_finit_module, file, "", 0) != 0 && errno != EEXIST) Die("cannot load " + path);
  close(file);
}

void BringUpLoopback() {
  const int any = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (any < 0) return;  // a kernel without IP has nothing to bring up
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(any, SIOCSIFFLAGS, &request) != 0) Die("cannot bring up lo");
  close(any);
}

bool SayHello(const Boot::Address& to) {
  const int parent = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (parent < 0) return false;
  sockaddr_vm address{};
  address.svm_family = AF_VSOCK;
  address.svm_cid = to.cid;
  address.svm_port = to.port;
  uint8_t answer = 0;
  const bool heard =
      connect(parent, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
      write(parent, &kHello, 1) == 1 && read(parent, &answer, 1) == 1 && answer == kHello;
  const int error = errno;
  close(parent);
  errno = error;
  return heard;
}

// The transport needs a moment after its module is loaded, and the parent may listen late.
void SayHelloUntilHeard(const Boot::Address& to) {
  for (int attempt = 0; attempt < kHelloAttempts; ++attempt) {
    if (SayHello(to)) return;
    usleep(kHelloPause);
  }
  Die("the parent does not answer the hello");
}

pid_t Start(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  char path[] = "PATH=/bin";
  char home[] = "HOME=/";
  char* environment[] = {path, home, nullptr};
  const pid_t child = fork();
  if (child < 0) Die("cannot fork");
  if (child == 0) {
    setsid();
    execve(arguments[0], arguments.data(), environment);
    Die("cannot run " + command[0]);
  }
  return child;
}

// Buries every orphan on the way, as PID 1 has to.
int WaitFor(pid_t program) {
  for (;;) {
    int status = 0;
    const pid_t ended = wait(&status);
    if (ended == program) return status;
    if (ended < 0 && errno != EINTR) Die("lost the program");
  }
}

}  // namespace

int main() {
  if (getpid() != 1) {
    std::fprintf(stderr, "coffer-init: this is the first process of an enclave's image\n");
    return 2;
  }
  Mount("devtmpfs", "/dev");
  OpenConsole();
  Mount("proc", "/proc");
  Mount("sysfs", "/sys");
  const Boot boot = ReadBoot();
  for (const std::string& module : boot.modules) LoadModule(module);
  BringUpLoopback();
  if (boot.hello) SayHelloUntilHeard(*boot.hello);
  std::printf("coffer-init: starting %s\n", boot.command[0].c_str());
  std::fflush(stdout);
  const int status = WaitFor(Start(boot.command));
  if (WIFSIGNALED(status)) {
    std::printf("coffer-init: %s was killed by signal %d\n", boot.command[0].c_str(),
                WTERMSIG(status));
  } else {
    std::printf("coffer-init: %s ended with exit code %d\n", boot.command[0].c_str(),
                WEXITSTATUS(status));
  }
  EndEnclave();
}
