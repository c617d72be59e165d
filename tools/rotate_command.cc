// `coffer rotate`: asks the host, and waits.
#include <unistd.h>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "actors/host/json_text.h"
#include "tools/attest/report_text.h"
#include "tools/host_commands.h"

namespace coffer::tools {
namespace {

constexpr char kStateKeyPath[] = "/api/tee/rotate-state-key";
constexpr char kSigningKeyPath[] = "/api/tee/rotate-signing-key";
constexpr useconds_t kPauseMicros = 300'000;

// A member that is a text, or what to say without one.
std::string TextOf(const Json::Value& json, const char* name, const char* without) {
  return json[name].isString() ? json[name].asString() : without;
}

absl::Status Restarted() {
  return absl::UnavailableError("the host was restarted meanwhile: run this again");
}

// What is to be said of the progress; the same again is not said. An error ends the waiting, and so
// does `last`.
struct Said {
  std::string sentence;
  bool last = false;
};
using Judge =
    absl::FunctionRef<absl::StatusOr<Said>(const std::string& step, const Json::Value& progress)>;

// `patient`: a host that does not answer once the rotation has begun is waited for.
absl::Status Rotate(const HostClient& host, const char* path, const std::string& body, bool patient,
                    std::ostream& out, Judge judge) {
  absl::StatusOr<Json::Value> progress = host.Post(path, body);
  std::string said;
  while (progress.ok()) {
    const std::string step = TextOf(*progress, "step", "?");
    if (step == "failed") {
      return absl::FailedPreconditionError(Printable(TextOf(*progress, "why", "")));
    }
    const absl::StatusOr<Said> now = judge(step, *progress);
    if (!now.ok()) return now.status();
    if (now->sentence != said) out << Printable(now->sentence) << std::endl;
    if (now->last) return absl::OkStatus();
    said = now->sentence;
    do {
      usleep(kPauseMicros);
      progress = host.Get(path);
    } while (patient && absl::IsUnavailable(progress.status()));
  }
  return progress.status();
}

absl::StatusOr<Said> JudgeStateKey(const std::string& step, const Json::Value& progress) {
  const std::string epoch = progress["epoch"].isUInt64() ? progress["epoch"].asString() : "?";
  if (step == "asking") return Said{"asking the enclave which key is in use"};
  if (step == "key") return Said{absl::StrCat("having the state key of epoch ", epoch, " made")};
  if (step == "adopting") return Said{"its ciphertext is stored; the enclave takes it into use"};
  if (step == "snapshot") return Said{"in use; storing the state under it"};
  if (step == "done") {
    return Said{absl::StrCat("done: the state is sealed under epoch ", epoch), true};
  }
  // Idle after a start: the host was restarted meanwhile.
  if (step == "idle" || step == "?") return Restarted();
  return Said{step};
}

// Follows one rotation of the signing key over restarts of the host, which goes on by itself.
class SigningKeyJudge {
 public:
  explicit SigningKeyJudge(bool wait_drained) : wait_drained_(wait_drained) {}

  absl::StatusOr<Said> operator()(const std::string& step, const Json::Value& progress) {
    const std::string from = TextOf(progress, "from_address", "?");
    const std::string address = TextOf(progress, "address", "");
    if (step == "idle") return Idle(from, address);
    if (!address.empty()) address_ = address;
    if (step == "asking") return Said{"asking the enclave which keys it has"};
    if (step == "key") return Said{"having the next signing key made"};
    if (step == "adopting")
      return Said{absl::StrCat("stored; the enclave takes ", address_, " into use")};
    if (step == "snapshot") {
      return Said{
          absl::StrCat(address_, " signs what is new; storing the state under its state key")};
    }
    if (step == "draining") return Draining(from, progress);
    if (step == "done") return Retired();
    return Restarted();
  }

 private:
  Said Retired() const {
    return {absl::StrCat("done: ", address_, " is the only signing key in use"), true};
  }
  Said Draining(const std::string& from, const Json::Value& progress) const {
    const std::string why = TextOf(progress, "why", "");
    if (!why.empty())
      return {absl::StrCat(from, " is retired, and the host cannot note it: ", why)};
    const std::string open =
        progress["open_payouts"].isUInt64() ? progress["open_payouts"].asString() : "?";
    return {absl::StrCat(address_, " signs what is new; ", from, " drains, open payouts: ", open),
            !wait_drained_};
  }
  absl::StatusOr<Said> Idle(const std::string& from, const std::string& address) {
    if (!address.empty())
      return Said{"the host was restarted, and goes on when the enclave is ready"};
    // Nothing follows the key in use any more: it is the new one, or none was stored.
    if (!address_.empty() && from == address_) return Retired();
    return Restarted();
  }

  const bool wait_drained_;
  std::string address_;
};

}  // namespace

absl::Status RotateStateKey(const HostClient& host, const std::string& key_id, std::ostream& out) {
  std::string body;
  if (!key_id.empty()) {
    if (!host::IsUtf8(key_id)) return absl::InvalidArgumentError("--kms-key-id: is not UTF-8");
    body = "{\"key_id\":";
    host::AppendJsonString(key_id, body);
    body += "}";
  }
  return Rotate(host, kStateKeyPath, body, false, out, JudgeStateKey);
}

absl::Status RotateSigningKey(const HostClient& host, bool wait_drained, std::ostream& out) {
  SigningKeyJudge judge(wait_drained);
  return Rotate(host, kSigningKeyPath, "", wait_drained, out,
                [&judge](const std::string& step, const Json::Value& progress) {
                  return judge(step, progress);
                });
}

}  // namespace coffer::tools
