#include "enclave_core/attestation/measurements.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"

namespace coffer::attestation {
namespace {

constexpr absl::string_view kUtcForm = "%Y-%m-%d%ET%H:%M:%SZ";

template <typename... Parts>
absl::Status Wrong(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

std::string Label(const Release& release) {
  return absl::StrCat(release.name, " ", release.version);
}

bool IsName(std::string_view text, std::string_view also) {
  return !text.empty() && text.size() <= kMaxReleaseName &&
         std::all_of(text.begin(), text.end(), [&](char c) {
           return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                  also.find(c) != std::string_view::npos;
         });
}

bool IsCommit(std::string_view text) {
  return text.empty() || ((text.size() == 40 || text.size() == 64) &&
                          text.find_first_not_of("0123456789abcdef") == std::string_view::npos);
}

absl::Status CheckPcrs(const ImagePcrs& pcrs) {
  for (const auto& [name, pcr] :
       {std::pair("pcr0", &pcrs.pcr0), {"pcr1", &pcrs.pcr1}, {"pcr2", &pcrs.pcr2}}) {
    if (pcr->size() != kPcrBytes)
      return Wrong(name, " has ", pcr->size(), " bytes instead of ", kPcrBytes);
    if (IsZeroPcr(*pcr))
      return Wrong(name, " is zero, as it is in a debug enclave, which holds no secrets");
  }
  if (!pcrs.pcr8) return absl::OkStatus();
  if (pcrs.pcr8->size() != kPcrBytes)
    return Wrong("pcr8 has ", pcrs.pcr8->size(), " bytes instead of ", kPcrBytes);
  if (IsZeroPcr(*pcrs.pcr8)) return Wrong("pcr8 is zero: an unsigned image's is left out");
  return absl::OkStatus();
}

absl::Status CheckTime(const char* field, absl::Time time) {
  const absl::StatusOr<absl::Time> again = ParseUtc(FormatUtc(time));
  if (again.ok() && *again == time) return absl::OkStatus();
  return Wrong(field, " is not a whole second of the years 1970 to 9999");
}

absl::Status CheckRelease(const Release& release) {
  if (!IsName(release.name, "._-")) {
    return Wrong("name must be 1 to ", kMaxReleaseName, " letters, digits, '.', '_' or '-'");
  }
  if (!IsName(release.version, "._-+")) {
    return Wrong("version must be 1 to ", kMaxReleaseName,
                 " letters, digits, '.', '_', '-' or '+'");
  }
  if (!IsCommit(release.commit))
    return Wrong("commit must be 40 or 64 hexadecimal digits in lower case");
  if (absl::Status status = CheckPcrs(release.pcrs); !status.ok()) return status;
  if (absl::Status status = CheckTime("from", release.from); !status.ok()) return status;
  if (release.until) {
    if (absl::Status status = CheckTime("until", *release.until); !status.ok()) return status;
    if (*release.until <= release.from) return Wrong("until must be after from");
  }
  const bool one_line =
      release.note.find('\n') == std::string::npos && audit::IsNoteText(release.note);
  if (release.note.size() > kMaxReleaseNote || !one_line) {
    return Wrong("note must be one line of UTF-8 of at most ", kMaxReleaseNote, " bytes");
  }
  return absl::OkStatus();
}

bool SamePcrs(const Release& a, const Release& b) { return a.pcrs == b.pcrs; }

Release* Find(Measurements& measurements, std::string_view name, std::string_view version) {
  for (Release& release : measurements.releases) {
    if (release.name == name && release.version == version) return &release;
  }
  return nullptr;
}

absl::Status NoSuch(std::string_view name, std::string_view version) {
  return absl::NotFoundError(
      absl::StrCat("there is no release ", std::string(name), " ", std::string(version)));
}

bool Matches(const Release& release, const ReportedPcrs& reported) {
  const auto equal = [](const std::string& pinned, const std::optional<std::string>& said) {
    return !said || *said == pinned;
  };
  return release.pcrs.pcr0 == reported.pcr0 && equal(release.pcrs.pcr1, reported.pcr1) &&
         equal(release.pcrs.pcr2, reported.pcr2) &&
         (!release.pcrs.pcr8 || equal(*release.pcrs.pcr8, reported.pcr8));
}

std::string UnknownSentence(const Measurements& measurements, const ReportedPcrs& reported) {
  for (const Release& release : measurements.releases) {
    if (release.pcrs.pcr0 != reported.pcr0) continue;
    const auto other = [](const std::string& pinned, const std::optional<std::string>& said) {
      return said && *said != pinned;
    };
    const char* name = other(release.pcrs.pcr1, reported.pcr1)   ? "PCR1"
                       : other(release.pcrs.pcr2, reported.pcr2) ? "PCR2"
                                                                 : "PCR8";
    return absl::StrCat("PCR0 is that of ", Label(release), ", but ", name, " is not");
  }
  return absl::StrCat("PCR0 ", PcrText(reported.pcr0), " is none of the ",
                      measurements.releases.size(), " pinned releases");
}

std::string Sentence(const Release& release, Standing standing) {
  switch (standing) {
    case Standing::kAllowed:
      if (!release.until)
        return absl::StrCat(Label(release), ", allowed since ", FormatUtc(release.from));
      return absl::StrCat(Label(release), ", allowed from ", FormatUtc(release.from), " until ",
                          FormatUtc(*release.until));
    case Standing::kNotYet:
      return absl::StrCat(Label(release), ", allowed only from ", FormatUtc(release.from), " on");
    case Standing::kRetired:
      return absl::StrCat(Label(release), ", retired since ", FormatUtc(*release.until));
    case Standing::kUnknown:
      break;
  }
  return "";
}

}  // namespace

const char* StandingName(Standing standing) {
  switch (standing) {
    case Standing::kAllowed:
      return "allowed";
    case Standing::kNotYet:
      return "not yet";
    case Standing::kRetired:
      return "retired";
    case Standing::kUnknown:
      break;
  }
  return "unknown";
}

Standing StandingAt(const Release& release, absl::Time at) {
  if (at < release.from) return Standing::kNotYet;
  return release.until && at >= *release.until ? Standing::kRetired : Standing::kAllowed;
}

absl::Status CheckMeasurements(const Measurements& measurements) {
  if (measurements.releases.size() > kMaxReleases) {
    return Wrong("has ", measurements.releases.size(), " releases, more than the ", kMaxReleases,
                 " that it may");
  }
  std::set<std::pair<std::string, std::string>> labels;
  std::set<std::string> registers;
  for (size_t i = 0; i < measurements.releases.size(); ++i) {
    const Release& release = measurements.releases[i];
    if (absl::Status status = CheckRelease(release); !status.ok()) {
      return Wrong("release ", i + 1, ": ", status.message());
    }
    if (!labels.emplace(release.name, release.version).second) {
      return Wrong("release ", i + 1, ": ", Label(release), " is there twice");
    }
    const ImagePcrs& pcrs = release.pcrs;
    if (!registers.insert(absl::StrCat(pcrs.pcr0, pcrs.pcr1, pcrs.pcr2, pcrs.pcr8.value_or("")))
             .second) {
      return Wrong("release ", i + 1, ": the registers of ", Label(release), " are there twice");
    }
  }
  return absl::OkStatus();
}

MeasurementMatch MatchMeasurements(const Measurements& measurements, const ReportedPcrs& reported,
                                   absl::Time at) {
  MeasurementMatch best;
  for (const Release& release : measurements.releases) {
    if (!Matches(release, reported)) continue;
    // The enum's order is the order of what counts first.
    const Standing standing = StandingAt(release, at);
    if (standing < best.standing) best = {standing, &release, Sentence(release, standing)};
  }
  if (best.release == nullptr) best.sentence = UnknownSentence(measurements, reported);
  return best;
}

absl::Status AddRelease(Measurements& measurements, Release release) {
  if (absl::Status status = CheckRelease(release); !status.ok()) return status;
  if (Find(measurements, release.name, release.version) != nullptr) {
    return absl::AlreadyExistsError(absl::StrCat(Label(release), " is there already"));
  }
  for (const Release& other : measurements.releases) {
    if (!SamePcrs(other, release)) continue;
    return absl::AlreadyExistsError(
        absl::StrCat("the same image is there already, as ", Label(other),
                     other.until ? "; to allow it again, restore that release" : ""));
  }
  if (measurements.releases.size() == kMaxReleases) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", kMaxReleases, " releases, as many as a file may have"));
  }
  measurements.releases.push_back(std::move(release));
  return absl::OkStatus();
}

absl::Status RetireRelease(Measurements& measurements, std::string_view name,
                           std::string_view version, absl::Time at, LastRelease last) {
  Release* const release = Find(measurements, name, version);
  if (release == nullptr) return NoSuch(name, version);
  if (at <= release->from) {
    return Wrong(Label(*release), " is allowed from ", FormatUtc(release->from),
                 " on and cannot be retired before");
  }
  if (absl::Status status = CheckTime("the time", at); !status.ok()) return status;
  const bool other = std::any_of(
      measurements.releases.begin(), measurements.releases.end(), [&](const Release& candidate) {
        return &candidate != release && StandingAt(candidate, at) == Standing::kAllowed;
      });
  if (last == LastRelease::kKeep && !other) {
    return absl::FailedPreconditionError(absl::StrCat("no other release is allowed at ",
                                                      FormatUtc(at), ": without ", Label(*release),
                                                      " every enclave would be refused"));
  }
  release->until = at;
  return absl::OkStatus();
}

absl::Status RestoreRelease(Measurements& measurements, std::string_view name,
                            std::string_view version) {
  Release* const release = Find(measurements, name, version);
  if (release == nullptr) return NoSuch(name, version);
  if (!release->until) {
    return absl::FailedPreconditionError(absl::StrCat(Label(*release), " was not retired"));
  }
  release->until.reset();
  return absl::OkStatus();
}

absl::StatusOr<absl::Time> ParseUtc(std::string_view text) {
  absl::Time time;
  std::string error;
  // Written again it must be the same text: that leaves no other form, and no 30th of February.
  if (text.size() == 20 &&
      absl::ParseTime(kUtcForm, std::string(text), absl::UTCTimeZone(), &time, &error) &&
      time >= absl::UnixEpoch() && FormatUtc(time) == text) {
    return time;
  }
  return Wrong("a time must be UTC in whole seconds, as in 2026-11-29T19:00:00Z");
}

std::string FormatUtc(absl::Time time) {
  return absl::FormatTime(kUtcForm, time, absl::UTCTimeZone());
}

}  // namespace coffer::attestation
