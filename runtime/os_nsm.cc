#include "runtime/os_nsm.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::runtime {
namespace {

// struct nsm_raw of linux/nsm.h, which Debian 12's headers do not have.
struct RawExchange {
  iovec request;
  iovec response;
};
constexpr unsigned long kExchange = _IOWR(0x0A, 0, RawExchange);
static_assert(kExchange == 0xC0200A00, "the driver's number for it");

}  // namespace

bool OsNsm::Present(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

absl::StatusOr<std::unique_ptr<OsNsm>> OsNsm::Open(const std::string& path) {
  Fd fd(open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (fd.valid()) return std::unique_ptr<OsNsm>(new OsNsm(std::move(fd)));
  const int error = errno;
  const std::string sentence = absl::StrCat(path, " cannot be opened: ", ErrnoText(error));
  return error == ENOENT ? absl::NotFoundError(sentence) : absl::UnavailableError(sentence);
}

absl::StatusOr<std::string> OsNsm::Exchange(std::string_view request, size_t answer_bytes) const {
  std::string question(request);
  std::string answer(answer_bytes, '\0');
  RawExchange raw{};
  int result = 0;
  do {
    raw.request = {question.data(), question.size()};
    raw.response = {answer.data(), answer.size()};
    result = ioctl(fd_.get(), kExchange, &raw);
  } while (result < 0 && errno == EINTR);
  if (result < 0) {
    return absl::UnavailableError(
        absl::StrCat("the Nitro Secure Module's driver: ", ErrnoText(errno)));
  }
  if (raw.response.iov_len > answer.size()) {
    return absl::UnavailableError(absl::StrCat("the Nitro Secure Module's driver says ",
                                               raw.response.iov_len,
                                               " bytes of answer, more than there is room for"));
  }
  answer.resize(raw.response.iov_len);
  return answer;
}

}  // namespace coffer::runtime
