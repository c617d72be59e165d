// What the host reads to give an enclave its keys: the folder's files, the shared files of AWS's
// tools, the metadata service's answers. What is read is written back as the same; what is refused
// is refused with a sentence that shows nothing of it, and what was secret is wiped where it lay.
//
// Input: a byte that chooses, and a text.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "actors/host/aws/imds.h"
#include "actors/host/aws/profile_files.h"
#include "actors/host/key_files.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"

namespace coffer::host {
namespace {

using fuzz::Input;

void CheckStateKeyFile(std::string_view text) {
  const auto key = ParseStateKey(text);
  if (!key.ok()) return COFFER_CHECK(!key.status().message().empty(), "a refusal says why");
  COFFER_CHECK(CheckStateKey(*key).ok(), "what is read is a key");
  const auto again = ParseStateKey(StateKeyText(*key));
  COFFER_CHECK(again.ok(), "what was read can be written");
  COFFER_CHECK(again->SerializeAsString() == key->SerializeAsString(), "and is the same");
}

void CheckSigningKeyFile(std::string_view text) {
  const auto signing = ParseSigningKey(text);
  if (!signing.ok()) {
    return COFFER_CHECK(!signing.status().message().empty(), "a refusal says why");
  }
  COFFER_CHECK(CheckSigningKey(signing->key).ok(), "what is read is a key");
  const std::string written = SigningKeyText(*signing);
  const auto again = ParseSigningKey(written);
  COFFER_CHECK(again.ok(), "what was read can be written");
  COFFER_CHECK(again->root == signing->root && SigningKeyText(*again) == written,
               "and is the same");
  LaterSigningKey changed = *signing;
  changed.root = !changed.root;
  COFFER_CHECK(SigningKeyText(changed) != written, "what is the root is seen");
}

// The digest in the text can't be guessed, so it is put there.
void CheckSigningFile(Input input) {
  const std::string ciphertext(input.Text());
  const auto raw = ParseSigning(input.rest(), ciphertext);
  if (raw.ok()) COFFER_CHECK(CheckSigning(*raw).ok(), "what is read is within its bounds");
  SigningCiphertext mine;
  mine.ciphertext = ciphertext;
  mine.key_id = std::string(input.Text());
  mine.encryption_algorithm = std::string(input.Text());
  for (size_t pairs = input.Below(10); pairs > 0; --pairs) {
    const std::string name(input.Text());
    mine.encryption_context[name] = std::string(input.Text());
  }
  if (input.Below(2) == 1) mine.address = *ethereum::Address::FromBytes(std::string(20, '\x5a'));
  mine.policy = std::string(input.Text());
  if (!CheckSigning(mine).ok()) return;
  const std::string text = SigningText(mine);
  const auto again = ParseSigning(text, ciphertext);
  COFFER_CHECK(again.ok() && *again == mine, "what may be is read back");
  COFFER_CHECK(!ParseSigning(text, ciphertext + "x").ok(), "and is of its ciphertext alone");
  std::string torn = text;
  torn.resize(input.Number(2) % (text.size() - 1));  // all but the last line's end is all
  COFFER_CHECK(!ParseSigning(torn, ciphertext).ok(), "half a file is none");
}

void CheckName(std::string_view name) {
  int files = 0;
  for (const KeyFile kind : {KeyFile::kState, KeyFile::kSigning}) {
    const auto epoch = EpochOfName(kind, name);
    if (!epoch.ok() || !epoch->has_value()) continue;
    COFFER_CHECK(KeyFileName(kind, **epoch) == name, "an epoch has one name");
    ++files;
  }
  COFFER_CHECK(files <= 1, "a name is of one kind");
}

// A line's number and one of these sentences: nothing of the file.
void CheckNotShown(std::string_view message) {
  constexpr std::string_view kSentences[] = {
      "has no ] to its [", "is neither [a section] nor a setting (name = value)",
      "comes before any [section]", "has a value that is too long"};
  constexpr std::string_view kLine = "line ";
  if (message.starts_with(kLine)) {
    message.remove_prefix(std::min(message.find(' ', kLine.size()), message.size() - 1) + 1);
    const bool ours =
        std::find(std::begin(kSentences), std::end(kSentences), message) != std::end(kSentences);
    COFFER_CHECK(ours, "nothing is shown");
  } else {
    COFFER_CHECK(message == absl::StrCat("has more than ", aws::kMaxProfileFileBytes, " bytes"),
                 "nothing is shown");
  }
}

void CheckProfile(Input input) {
  const auto kind =
      input.Below(2) == 0 ? aws::ProfileFile::kCredentials : aws::ProfileFile::kConfig;
  const std::string_view text = input.rest();
  const auto profile = aws::ReadProfile(text, kind, "default");
  if (!profile.ok()) return CheckNotShown(std::string(profile.status().message()));
  COFFER_CHECK(
      profile->found || (profile->access_key_id.empty() && profile->secret_access_key.size() == 0),
      "keys are of a section");
  for (const std::string_view value :
       {std::string_view(profile->access_key_id), profile->secret_access_key.view(),
        profile->session_token.view(), std::string_view(profile->region)}) {
    COFFER_CHECK(text.find(value) != std::string_view::npos, "a value is as it was written");
  }
}

void CheckRole(std::string_view text) {
  std::string body(text);
  const auto found = aws::ParseRoleCredentials(&body);
  COFFER_CHECK(std::all_of(body.begin(), body.end(), [](char c) { return c == 0; }),
               "what was read is wiped");
  if (!found.ok()) return;
  COFFER_CHECK(!found->access_key_id.empty() && found->secret_access_key.size() > 0 &&
                   found->session_token.size() > 0 && found->expiration.has_value(),
               "they are whole");
}

}  // namespace
}  // namespace coffer::host

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  switch (input.Below(6)) {
    case 0:
      coffer::host::CheckStateKeyFile(input.rest());
      break;
    case 1:
      coffer::host::CheckSigningFile(input);
      break;
    case 2:
      coffer::host::CheckName(input.rest());
      break;
    case 3:
      coffer::host::CheckProfile(input);
      break;
    case 4:
      coffer::host::CheckRole(input.rest());
      break;
    default:
      coffer::host::CheckSigningKeyFile(input.rest());
  }
  return 0;
}
