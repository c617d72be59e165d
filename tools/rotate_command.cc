// `coffer rotate`: asks the host, and waits.
#include <unistd.h>

#include "absl/strings/str_cat.h"
#include "actors/host/json_text.h"
#include "tools/attest/report_text.h"
#include "tools/host_commands.h"

namespace coffer::tools {
namespace {

constexpr char kPath[] = "/api/tee/rotate-state-key";
constexpr useconds_t kPauseMicros = 300'000;

std::string Sentence(const std::string& step, const Json::Value& progress) {
  const std::string epoch = progress["epoch"].isUInt64() ? progress["epoch"].asString() : "?";
  if (step == "asking") return "asking the enclave which key is in use";
  if (step == "key") return absl::StrCat("having the state key of epoch ", epoch, " made");
  if (step == "adopting") return "its ciphertext is stored; the enclave takes it into use";
  if (step == "snapshot") return "in use; storing the state under it";
  if (step == "done") return absl::StrCat("done: the state is sealed under epoch ", epoch);
  return step;
}

}  // namespace

absl::Status RotateStateKey(const HostClient& host, const std::string& key_id, std::ostream& out) {
  std::string body;
  if (!key_id.empty()) {
    if (!host::IsUtf8(key_id)) return absl::InvalidArgumentError("--kms-key-id: is not UTF-8");
    body = "{\"key_id\":";
    host::AppendJsonString(key_id, body);
    body += "}";
  }
  absl::StatusOr<Json::Value> progress = host.Post(kPath, body);
  std::string said;
  while (progress.ok()) {
    const std::string step = (*progress)["step"].isString() ? (*progress)["step"].asString() : "?";
    if (step == "failed") {
      return absl::FailedPreconditionError(
          Printable((*progress)["why"].isString() ? (*progress)["why"].asString() : ""));
    }
    if (step != said) out << Printable(Sentence(step, *progress)) << std::endl;
    if (step == "done") return absl::OkStatus();
    // Idle after a start: the host was restarted meanwhile.
    if (step == "idle" || step == "?") {
      return absl::UnavailableError("the host was restarted meanwhile: run this again");
    }
    said = step;
    usleep(kPauseMicros);
    progress = host.Get(kPath);
  }
  return progress.status();
}

}  // namespace coffer::tools
