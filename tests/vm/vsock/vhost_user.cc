#include "tests/vm/vsock/vhost_user.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace coffer::vm {

using runtime::Fd;

namespace {

enum Request : uint32_t {
  kGetFeatures = 1,
  kSetFeatures = 2,
  kSetOwner = 3,
  kSetMemoryTable = 5,
  kSetRingSize = 8,
  kSetRingAddresses = 9,
  kSetRingBase = 10,
  kGetRingBase = 11,
  kSetRingKick = 12,
  kSetRingCall = 13,
  kSetRingError = 14,
  kGetProtocolFeatures = 15,
  kSetProtocolFeatures = 16,
  kGetQueueCount = 17,
  kSetRingEnabled = 18,
  kGetConfig = 24,
};

constexpr uint32_t kVersion = 1;  // in the flags of every message
constexpr uint32_t kReply = 4;
constexpr uint32_t kNeedReply = 8;
constexpr uint64_t kFeatures = (1ull << 32)            // VIRTIO_F_VERSION_1
                               | (1ull << 30);         // VHOST_USER_F_PROTOCOL_FEATURES
constexpr uint64_t kProtocolFeatures = (1ull << 3)     // REPLY_ACK
                                       | (1ull << 9);  // CONFIG
constexpr uint64_t kNoFile = 1u << 8;                  // in SET_VRING_KICK and SET_VRING_CALL
constexpr size_t kHeaderSize = 12;
constexpr size_t kMaxPayload = 4096;
constexpr size_t kMaxFiles = 8;
constexpr size_t kRegionSize = 32;

std::string Bytes(uint64_t number) {
  return std::string(reinterpret_cast<const char*>(&number), sizeof(number));
}

absl::Status Malformed(uint32_t request) {
  return absl::InvalidArgumentError(absl::StrCat("malformed vhost-user message ", request));
}

// All of it; the peer sends a message at once, so this does not wait for long.
absl::Status ReadAll(int fd, char* to, size_t size) {
  while (size > 0) {
    const ssize_t got = recv(fd, to, size, MSG_WAITALL);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return absl::UnavailableError("QEMU has gone");
    to += got;
    size -= static_cast<size_t>(got);
  }
  return absl::OkStatus();
}

}  // namespace

uint64_t VhostUser::Message::Number() const {
  uint64_t number = 0;
  std::memcpy(&number, payload.data(), std::min(payload.size(), sizeof(number)));
  return number;
}

std::pair<uint32_t, uint32_t> VhostUser::Message::Ring() const {
  const uint64_t both = Number();
  return {static_cast<uint32_t>(both), static_cast<uint32_t>(both >> 32)};
}

absl::Status VhostUser::Serve() {
  absl::StatusOr<Message> message = Receive();
  if (!message.ok()) return message.status();
  absl::StatusOr<std::string> answer = Handle(*message);
  if (!answer.ok()) return answer.status();
  if (answer->empty() && (message->flags & kNeedReply) != 0) *answer = Bytes(0);  // done
  return answer->empty() ? absl::OkStatus() : Send(message->request, *answer);
}

absl::StatusOr<VhostUser::Message> VhostUser::Receive() {
  uint32_t header[3] = {};
  alignas(cmsghdr) char control[CMSG_SPACE(kMaxFiles * sizeof(int))] = {};
  iovec piece{header, kHeaderSize};
  msghdr envelope{};
  envelope.msg_iov = &piece;
  envelope.msg_iovlen = 1;
  envelope.msg_control = control;
  envelope.msg_controllen = sizeof(control);
  const ssize_t got = recvmsg(qemu_.get(), &envelope, MSG_CMSG_CLOEXEC | MSG_WAITALL);
  if (got != static_cast<ssize_t>(kHeaderSize)) return absl::UnavailableError("QEMU has gone");
  Message message;
  message.request = header[0];
  message.flags = header[1];
  for (cmsghdr* part = CMSG_FIRSTHDR(&envelope); part != nullptr;
       part = CMSG_NXTHDR(&envelope, part)) {
    if (part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      message.files.emplace_back(fd);
    }
  }
  if (header[2] > kMaxPayload) return Malformed(message.request);
  message.payload.resize(header[2]);
  if (absl::Status read = ReadAll(qemu_.get(), message.payload.data(), message.payload.size());
      !read.ok()) {
    return read;
  }
  return message;
}

absl::StatusOr<std::string> VhostUser::Handle(Message& message) {
  switch (message.request) {
    case kGetFeatures:
      return Bytes(kFeatures);
    case kGetProtocolFeatures:
      return Bytes(kProtocolFeatures);
    case kGetQueueCount:
      return Bytes(queues_.size());
    case kGetConfig:
      return Config(message);
    case kSetFeatures:
    case kSetProtocolFeatures:
    case kSetOwner:
    case kSetRingError:
      return std::string();
    case kSetMemoryTable:
      if (absl::Status mapped = MapMemory(message); !mapped.ok()) return mapped;
      return std::string();
    case kSetRingAddresses:
      if (absl::Status set = SetRings(message); !set.ok()) return set;
      return std::string();
    case kSetRingKick:
    case kSetRingCall:
      SetDoorbell(message);
      return std::string();
    default:
      break;
  }
  const auto [index, number] = message.Ring();
  absl::StatusOr<Virtqueue*> queue = QueueAt(index);
  if (!queue.ok()) return Malformed(message.request);
  switch (message.request) {
    case kSetRingSize:
      (*queue)->set_size(number);
      return std::string();
    case kSetRingBase:
      (*queue)->set_next(static_cast<uint16_t>(number));
      return std::string();
    case kSetRingEnabled:
      (*queue)->set_enabled(number != 0);
      return std::string();
    case kGetRingBase: {  // it also stops the queue
      const uint64_t next = (*queue)->next();
      (*queue)->set_enabled(false);
      (*queue)->set_kick(Fd());
      return Bytes(index | next << 32);
    }
    default:
      return absl::UnimplementedError(
          absl::StrCat("vhost-user message ", message.request, " is not known here"));
  }
}

absl::Status VhostUser::MapMemory(Message& message) {
  const uint32_t count = message.Ring().first;
  if (count > message.files.size() || message.payload.size() < 8 + count * kRegionSize)
    return Malformed(message.request);
  memory_.Clear();
  for (uint32_t i = 0; i < count; ++i) {
    GuestMemory::Region region;
    static_assert(sizeof(region) == kRegionSize, "the wire's layout is the structure's");
    std::memcpy(&region, message.payload.data() + 8 + i * kRegionSize, kRegionSize);
    if (absl::Status mapped = memory_.Map(region, message.files[i]); !mapped.ok()) return mapped;
  }
  for (Virtqueue& queue : queues_) {
    if (!queue.Locate(memory_)) return Malformed(message.request);
  }
  return absl::OkStatus();
}

absl::Status VhostUser::SetRings(const Message& message) {
  Virtqueue::Rings rings;
  if (message.payload.size() < 8 + sizeof(rings)) return Malformed(message.request);
  std::memcpy(&rings, message.payload.data() + 8, sizeof(rings));  // in the wire's order
  absl::StatusOr<Virtqueue*> queue = QueueAt(message.Ring().first);
  if (!queue.ok()) return Malformed(message.request);
  (*queue)->set_rings(rings);
  return (*queue)->Locate(memory_) ? absl::OkStatus() : Malformed(message.request);
}

void VhostUser::SetDoorbell(Message& message) {
  const uint64_t number = message.Number();
  absl::StatusOr<Virtqueue*> queue = QueueAt(number & 0xFF);
  if (!queue.ok()) return;
  Fd file;
  if ((number & kNoFile) == 0 && !message.files.empty()) file = std::move(message.files[0]);
  if (file.valid()) fcntl(file.get(), F_SETFL, O_NONBLOCK);
  if (message.request == kSetRingCall) return (*queue)->set_call(std::move(file));
  (*queue)->set_kick(std::move(file));
  (*queue)->set_enabled(true);
}

// The configuration space has the guest's CID and nothing else (virtio 1.2, 5.10.4).
std::string VhostUser::Config(const Message& message) const {
  const auto [offset, size] = message.Ring();
  std::string answer = message.payload;
  const std::string config = Bytes(guest_cid_);
  constexpr size_t kConfigHeader = 12;
  for (size_t i = 0; i < size && kConfigHeader + i < answer.size(); ++i)
    answer[kConfigHeader + i] = offset + i < config.size() ? config[offset + i] : '\0';
  return answer;
}

absl::Status VhostUser::Send(uint32_t request, std::string_view payload) {
  const uint32_t header[3] = {request, kVersion | kReply, static_cast<uint32_t>(payload.size())};
  std::string bytes(reinterpret_cast<const char*>(header), kHeaderSize);
  bytes.append(payload);
  const ssize_t sent = send(qemu_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(bytes.size())) return absl::UnavailableError("QEMU has gone");
  return absl::OkStatus();
}

absl::StatusOr<Virtqueue*> VhostUser::QueueAt(uint32_t index) {
  if (index >= queues_.size()) return absl::InvalidArgumentError("no such queue");
  return &queues_[index];
}

}  // namespace coffer::vm
