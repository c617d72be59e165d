#include "actors/host/aws/profile_files.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "actors/host/aws/credentials.h"

namespace coffer::host::aws {
namespace {

using ethereum::SecretBytes;

// Settings that make credentials by asking somebody else.
constexpr std::array<std::string_view, 6> kElsewhere = {
    "role_arn",      "credential_process",      "sso_session",
    "sso_start_url", "web_identity_token_file", "login_session"};

std::string_view Strip(std::string_view text) {
  const absl::string_view stripped =
      absl::StripAsciiWhitespace(absl::string_view(text.data(), text.size()));
  return {stripped.data(), stripped.size()};
}

absl::Status Wrong(size_t line, std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("line ", line, " ", std::string(what)));
}

// The name of the profile that a section is of; none: the section is of something else.
std::optional<std::string_view> ProfileOf(std::string_view section, ProfileFile kind) {
  if (kind == ProfileFile::kCredentials || section == "default") return section;
  constexpr std::string_view kPrefix = "profile";
  if (!section.starts_with(kPrefix)) return std::nullopt;
  section.remove_prefix(kPrefix.size());
  if (section.empty() || (section.front() != ' ' && section.front() != '\t')) return std::nullopt;
  return Strip(section);
}

absl::Status Take(std::string_view value, size_t most, std::string* out) {
  if (value.size() > most) return absl::InvalidArgumentError("");
  *out = std::string(value);
  return absl::OkStatus();
}

absl::Status Take(std::string_view value, size_t most, SecretBytes* out) {
  if (value.size() > most) return absl::InvalidArgumentError("");
  if (value.empty()) {
    *out = SecretBytes();
    return absl::OkStatus();
  }
  absl::StatusOr<SecretBytes> secret = SecretBytes::CopyOf(value);
  if (!secret.ok()) return secret.status();
  *out = *std::move(secret);
  return absl::OkStatus();
}

absl::Status Set(std::string_view name, std::string_view value, Profile* profile) {
  if (name == "aws_access_key_id") return Take(value, kMaxAccessKeyBytes, &profile->access_key_id);
  if (name == "aws_secret_access_key") {
    return Take(value, kMaxSecretBytes, &profile->secret_access_key);
  }
  if (name == "aws_session_token") return Take(value, kMaxTokenBytes, &profile->session_token);
  if (name == "region") return Take(value, kMaxRegionBytes, &profile->region);
  if (std::find(kElsewhere.begin(), kElsewhere.end(), name) != kElsewhere.end()) {
    profile->elsewhere = std::string(name);
  }
  return absl::OkStatus();
}

// A comment may follow a value behind white space.
std::string_view WithoutComment(std::string_view value) {
  for (size_t i = 1; i < value.size(); ++i) {
    const bool begins = value[i] == '#' || value[i] == ';';
    if (begins && (value[i - 1] == ' ' || value[i - 1] == '\t')) return Strip(value.substr(0, i));
  }
  return value;
}

class Reader {
 public:
  Reader(ProfileFile kind, std::string_view wanted) : kind_(kind), wanted_(wanted) {}

  absl::Status Line(std::string_view line) {
    ++number_;
    const bool indented = line.starts_with(' ') || line.starts_with('\t');
    const std::string_view text = Strip(line);
    if (text.empty() || text.front() == '#' || text.front() == ';') return absl::OkStatus();
    if (indented && in_section_) return absl::OkStatus();
    return text.front() == '[' ? Section(text) : Setting(text);
  }
  Profile Result() { return std::move(profile_); }

 private:
  absl::Status Section(std::string_view text) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return Wrong(number_, "has no ] to its [");
    in_section_ = true;
    wanted_here_ = ProfileOf(Strip(text.substr(1, end - 1)), kind_) == wanted_;
    if (wanted_here_) profile_.found = true;
    return absl::OkStatus();
  }

  absl::Status Setting(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      return Wrong(number_, "is neither [a section] nor a setting (name = value)");
    }
    if (!in_section_) return Wrong(number_, "comes before any [section]");
    if (!wanted_here_) return absl::OkStatus();
    const std::string name = absl::AsciiStrToLower(std::string(Strip(text.substr(0, equals))));
    const absl::Status set = Set(name, WithoutComment(Strip(text.substr(equals + 1))), &profile_);
    return absl::IsInvalidArgument(set) ? Wrong(number_, "has a value that is too long") : set;
  }

  const ProfileFile kind_;
  const std::string_view wanted_;
  Profile profile_;
  size_t number_ = 0;
  bool in_section_ = false;
  bool wanted_here_ = false;
};

}  // namespace

absl::StatusOr<Profile> ReadProfile(std::string_view text, ProfileFile kind,
                                    std::string_view profile) {
  if (text.size() > kMaxProfileFileBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has more than ", kMaxProfileFileBytes, " bytes"));
  }
  Reader reader(kind, profile);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (absl::Status read = reader.Line(text.substr(0, end)); !read.ok()) return read;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return reader.Result();
}

}  // namespace coffer::host::aws
