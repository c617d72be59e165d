#include "actors/host/log/content_store.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

// "ab/ab12...": no folder gets too long.
std::string PathOf(const audit::Hash& hash) {
  const std::string digits = hash.ToHex().substr(2);
  return absl::StrCat(digits.substr(0, 2), "/", digits, ".json");
}

absl::Status WriteAll(LogFiles& files, const std::vector<std::string>& texts) {
  for (const std::string& text : texts) {
    const std::string path = PathOf(audit::Sha256(text));
    const absl::StatusOr<std::string> there = files.Read(path);
    if (there.ok() && *there == text) continue;
    if (absl::Status s = files.WriteDurably(path, text); !s.ok()) return s;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadOne(LogFiles& files, const audit::Hash& hash) {
  absl::StatusOr<std::string> text = files.Read(PathOf(hash));
  if (text.ok() && audit::Sha256(*text) != hash) {
    return absl::DataLossError(absl::StrCat("the text ", hash.ToHex(), " in ", files.path(),
                                            " was altered: it does not have this hash any more"));
  }
  return text;
}

}  // namespace

ContentStore::ContentStore(LogFiles* files, runtime::Dispatcher* work, runtime::Dispatcher* home)
    : files_(files), work_(work), home_(home) {}

template <typename Answer>
void ContentStore::Work(absl::AnyInvocable<Answer()> work, absl::AnyInvocable<void(Answer)> done) {
  work_->Post([work = std::move(work), done = std::move(done), alive = std::weak_ptr<bool>(alive_),
               home = home_]() mutable {
    home->Post([answer = work(), done = std::move(done), alive = std::move(alive)]() mutable {
      if (!alive.expired()) done(std::move(answer));
    });
  });
}

void ContentStore::Keep(std::vector<std::string> texts, Kept done) {
  Work<absl::Status>([files = files_, texts = std::move(texts)] { return WriteAll(*files, texts); },
                     std::move(done));
}

void ContentStore::Find(const audit::Hash& hash, Found done) {
  Work<absl::StatusOr<std::string>>([files = files_, hash] { return ReadOne(*files, hash); },
                                    std::move(done));
}

}  // namespace coffer::host
