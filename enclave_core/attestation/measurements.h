// Which enclave images are allowed, and when: the pinned releases of deploy/measurements/*.json.
// docs/measurements.md has the format with an example, and how it is used for a roll-out.
//
// A release is allowed from `from` on and until `until`, exclusive. Releases may overlap: the new
// one is allowed before it is deployed, the old one retired after.
#ifndef COFFER_ENCLAVE_CORE_ATTESTATION_MEASUREMENTS_H_
#define COFFER_ENCLAVE_CORE_ATTESTATION_MEASUREMENTS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "enclave_core/attestation/pcrs.h"

namespace coffer::attestation {

inline constexpr size_t kMaxMeasurementsBytes = 1 << 20;
inline constexpr size_t kMaxReleases = 1000;
inline constexpr size_t kMaxReleaseName = 64;  // bytes; of its version too
inline constexpr size_t kMaxReleaseNote = 500;

struct Release {
  std::string name;     // letters, digits, '.', '_', '-'
  std::string version;  // the same, and '+'
  std::string commit;   // 40 or 64 hexadecimal digits in lower case; empty when unknown
  ImagePcrs pcrs;       // pcr8 only when it is pinned as well
  absl::Time from;      // whole seconds
  std::optional<absl::Time> until;
  std::string note;  // UTF-8 in one line; may be empty
  bool operator==(const Release&) const = default;
};

struct Measurements {
  std::vector<Release> releases;  // in the file's order
  bool operator==(const Measurements&) const = default;
};

// Reads a file that anybody may have written. InvalidArgument names the release and the field: not
// JSON, an unknown or missing field, a value out of its form, a release or a set of registers that
// is there twice, registers of zero (a debug enclave's), `until` not after `from`.
absl::StatusOr<Measurements> ParseMeasurements(std::string_view json);

// The one form in which files are written: two spaces, a fixed order of fields, a newline at the
// end. What it writes ParseMeasurements reads, when CheckMeasurements is OK.
std::string FormatMeasurements(const Measurements& measurements);

// The rules of ParseMeasurements, for what was put together otherwise.
absl::Status CheckMeasurements(const Measurements& measurements);

enum class Standing { kAllowed, kNotYet, kRetired, kUnknown };
const char* StandingName(Standing standing);  // "allowed", "not yet", "retired", "unknown"
// Never kUnknown.
Standing StandingAt(const Release& release, absl::Time at);

// Registers that somebody reports, kPcrBytes each. Those that are absent are not compared: a
// document has them all, a person often PCR0 alone.
struct ReportedPcrs {
  std::string pcr0;
  std::optional<std::string> pcr1, pcr2, pcr8;
};

struct MeasurementMatch {
  Standing standing = Standing::kUnknown;
  const Release* release = nullptr;  // within the measurements; nullptr when kUnknown
  std::string sentence;              // for a person, with names and times
};
// The release that these registers are, as it stands at the time `at`. When several are, an allowed
// one counts first. PCR8 is compared where it is pinned.
MeasurementMatch MatchMeasurements(const Measurements& measurements, const ReportedPcrs& reported,
                                   absl::Time at);

// Adds `release`. InvalidArgument when a rule is broken, AlreadyExists when its name and version or
// its registers are there.
absl::Status AddRelease(Measurements& measurements, Release release);

enum class LastRelease { kKeep, kMayGo };
// The release is allowed until `at`, exclusive. NotFound when there is no such release;
// InvalidArgument when `at` is not after its `from`; FailedPrecondition when with `kKeep` no
// release would be allowed at the time `at` any more: every enclave would be refused.
absl::Status RetireRelease(Measurements& measurements, std::string_view name,
                           std::string_view version, absl::Time at, LastRelease last);
// Takes the `until` of a release away: a roll-back to it. NotFound; FailedPrecondition when it has
// none.
absl::Status RestoreRelease(Measurements& measurements, std::string_view name,
                            std::string_view version);

// "2026-11-29T19:00:00Z": UTC, whole seconds, no other form. InvalidArgument shows the form.
absl::StatusOr<absl::Time> ParseUtc(std::string_view text);
std::string FormatUtc(absl::Time time);

}  // namespace coffer::attestation

#endif  // COFFER_ENCLAVE_CORE_ATTESTATION_MEASUREMENTS_H_
