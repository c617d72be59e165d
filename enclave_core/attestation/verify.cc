#include "enclave_core/attestation/verify.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "enclave_core/attestation/cose.h"

namespace coffer::attestation {
namespace {

using audit::Outcome;

constexpr uint32_t kReportedPcrs[] = {0, 1, 2, 3, 4, 8};
constexpr const char* kUnreadable = "the document can't be read that far";

// Hex without 0x, as AWS's tools print PCR values.
std::string Hex(std::string_view bytes) { return ethereum::ToHex(bytes).substr(2); }

std::string Message(const absl::Status& status) { return std::string(status.message()); }

bool IsAws(const Certificate& root) { return root.der() == AwsNitroRoot().der(); }

class Verifier {
 public:
  Verifier(std::string_view bytes, const Expectations& expected)
      : expected_(expected),
        root_(expected.root != nullptr ? *expected.root : AwsNitroRoot()),
        bytes_(bytes) {}

  Verification Run() && {
    Read();
    Root();
    Certificates();
    Signature();
    Debug();
    Image();
    Pcrs();
    Nonce();
    Age();
    UserDataChecks();
    return std::move(out_);
  }

 private:
  void Pass(std::string name, std::string sentence) {
    out_.report.Add(std::move(name), Outcome::kPassed, std::move(sentence));
  }
  void Fail(std::string name, std::string sentence) {
    out_.report.Add(std::move(name), Outcome::kFailed, std::move(sentence));
  }
  void Skip(std::string name, std::string sentence) {
    out_.report.Add(std::move(name), Outcome::kSkipped, std::move(sentence));
  }
  void Unknown(std::string name, std::string sentence = kUnreadable) {
    out_.report.Add(std::move(name), Outcome::kUnknown, std::move(sentence));
  }
  void PassIf(bool passed, std::string name, std::string sentence) {
    out_.report.Add(std::move(name), passed ? Outcome::kPassed : Outcome::kFailed,
                    std::move(sentence));
  }
  // Passed with `good`, or failed with what the status says.
  void Judge(std::string name, const absl::Status& status, std::string good) {
    PassIf(status.ok(), std::move(name), status.ok() ? std::move(good) : Message(status));
  }

  void Read();
  void ReadFields();
  void ReadCertificates();
  void Root();
  void Certificates();
  void Signature();
  void Debug();
  void Image();
  void Release();
  void Pcrs();
  void Pcr(uint32_t index);
  void Nonce();
  void Age();
  void UserDataChecks();
  template <typename T>
  void Bound(const char* name, const char* what, const std::optional<T>& wanted,
             std::optional<T> UserData::*member, std::string (*text)(const T&));

  const std::optional<Document>& document() const { return out_.document; }

  const Expectations& expected_;
  const Certificate& root_;
  std::string_view bytes_;
  std::optional<Sign1> message_;
  std::vector<Certificate> path_;      // whole, or empty when one of them can't be read
  absl::Status path_status_;           // why it is empty
  std::optional<Certificate> signer_;  // the document's own
  absl::Status user_data_status_;
  Verification out_;
};

void Verifier::Read() {
  absl::StatusOr<Sign1> message = ParseSign1(bytes_);
  if (!message.ok()) {
    Fail("cose", Message(message.status()));
    Unknown("algorithm");
    Unknown("fields");
    return;
  }
  message_ = *std::move(message);
  Pass("cose", absl::StrCat("a COSE_Sign1 of ", bytes_.size(), " bytes, ",
                            message_->tagged ? "with tag 18" : "without a tag"));
  Judge("algorithm", CheckEs384Header(message_->protected_header), "ES384, and nothing else");
  ReadFields();
}

void Verifier::ReadFields() {
  absl::StatusOr<Document> read = ParseDocument(message_->payload);
  if (!read.ok()) return Fail("fields", Message(read.status()));
  out_.document = *std::move(read);
  const Document& document = *out_.document;
  Pass("fields",
       absl::StrCat("module ", document.module_id, ", made ",
                    UtcText(absl::FromUnixMillis(static_cast<int64_t>(document.timestamp_ms)))));
  ReadCertificates();
  absl::StatusOr<UserData> user_data =
      document.user_data ? ParseUserData(*document.user_data)
                         : absl::InvalidArgumentError("the document has no user_data");
  user_data_status_ = user_data.status();
  if (user_data.ok()) out_.user_data = *std::move(user_data);
}

void Verifier::ReadCertificates() {
  const auto add = [&](absl::string_view place, const std::string& der) {
    absl::StatusOr<Certificate> read = Certificate::FromDer(der);
    if (read.ok()) return path_.push_back(*std::move(read));
    path_status_.Update(
        absl::FailedPreconditionError(absl::StrCat(place, ": ", read.status().message())));
  };
  for (size_t i = 0; i < document()->cabundle.size(); ++i) {
    add(absl::StrCat("cabundle[", i, "]"), document()->cabundle[i]);
    if (i == 0 && path_status_.ok()) out_.root_fingerprint = path_[0].Fingerprint();
  }
  add("certificate", document()->certificate);
  if (!path_status_.ok()) path_.clear();
  absl::StatusOr<Certificate> signer = Certificate::FromDer(document()->certificate);
  if (signer.ok()) signer_ = *std::move(signer);
}

void Verifier::Root() {
  if (!document()) return Unknown("root");
  const std::string& der = document()->cabundle[0];
  const bool own = der == root_.der();
  out_.development = der != AwsNitroRoot().der();
  const std::string fingerprint =
      out_.root_fingerprint.empty() ? "unreadable" : out_.root_fingerprint;
  if (own && !out_.development) {
    return Pass("root", "the AWS Nitro Enclaves root, SHA-256 " + fingerprint);
  }
  if (own) {
    return Pass("root", absl::StrCat("A DEVELOPMENT DOCUMENT: no TEE vouches for it, but the root ",
                                     "that was given by hand, SHA-256 ", fingerprint));
  }
  Fail("root", absl::StrCat("the chain begins with ", fingerprint, " and not with ",
                            IsAws(root_) ? "the AWS Nitro Enclaves root " : "the root given, ",
                            root_.Fingerprint(),
                            out_.development && IsAws(root_)
                                ? "; a development document needs its root given (--root)"
                                : ""));
}

void Verifier::Certificates() {
  if (path_.empty()) {
    if (path_status_.ok()) {
      Unknown("chain");
    } else {
      Fail("chain", Message(path_status_));
    }
    for (const char* name : {"usage", "validity", "validity-at"}) Unknown(name);
    return;
  }
  Judge("chain", CheckChain(path_),
        absl::StrCat(path_.size(), " certificates, each issued by the one before it, down to ",
                     path_.back().subject()));
  Judge("usage", CheckUsage(path_), "CAs are CAs within their path length, the last one signs");
  const absl::Time made = absl::FromUnixMillis(static_cast<int64_t>(document()->timestamp_ms));
  const auto validity = [&](const char* name, absl::Time time, absl::string_view whose) {
    const absl::Status status = CheckValidity(path_, time);
    const std::string when = absl::StrCat(whose, ", ", UtcText(time));
    Judge(name,
          status.ok()
              ? status
              : absl::FailedPreconditionError(absl::StrCat("at ", when, ": ", status.message())),
          absl::StrCat("all certificates are valid at ", when));
  };
  validity("validity", made, "the document's own time");
  validity("validity-at", expected_.at, "the time of the verification");
}

void Verifier::Signature() {
  if (!signer_) return Unknown("signature");
  Judge("signature", VerifySign1(*message_, signer_->key()),
        "of the whole document, by the key of its certificate");
}

void Verifier::Debug() {
  if (!document()) return Unknown("debug");
  for (uint32_t index = 0; index < 3; ++index) {
    if (document()->pcrs.count(index) == 0) {
      return Fail("debug", absl::StrCat("PCR", index, " is missing, so nothing is measured"));
    }
  }
  if (!document()->IsDebug()) return Pass("debug", "not in debug mode");
  PassIf(expected_.allow_debug, "debug",
         absl::StrCat("DEBUG MODE: PCR0 to PCR2 are zero, so any image could run, and its host ",
                      "reads its console", expected_.allow_debug ? "; allowed by hand" : ""));
}

void Verifier::Image() {
  if (expected_.measurements != nullptr) return Release();
  if (expected_.pcrs.count(0) != 0 || expected_.pcrs.count(8) != 0) {
    return Skip("image", "no file of measurements was given; PCR values were");
  }
  if (expected_.any_image) return Skip("image", "any image was allowed by hand");
  Unknown("image",
          "nobody said which image is meant, and anybody can attest an image of their own: give "
          "--pcr0 or --measurements");
}

void Verifier::Release() {
  if (!document()) return Unknown("image");
  const auto pcr = [&](uint32_t index) -> std::optional<std::string> {
    const auto found = document()->pcrs.find(index);
    if (found == document()->pcrs.end()) return std::nullopt;
    return found->second;
  };
  if (!pcr(0) || !pcr(1) || !pcr(2)) return Fail("image", "PCR0, PCR1 or PCR2 is missing");
  const MeasurementMatch match =
      MatchMeasurements(*expected_.measurements, {*pcr(0), pcr(1), pcr(2), pcr(8)}, expected_.at);
  PassIf(match.standing == Standing::kAllowed, "image", match.sentence);
}

void Verifier::Pcrs() {
  for (const uint32_t index : kReportedPcrs) Pcr(index);
  for (const auto& [index, values] : expected_.pcrs) {
    if (std::count(std::begin(kReportedPcrs), std::end(kReportedPcrs), index) == 0) Pcr(index);
  }
}

void Verifier::Pcr(uint32_t index) {
  const std::string name = absl::StrCat("pcr", index);
  const auto wanted = expected_.pcrs.find(index);
  const bool asked = wanted != expected_.pcrs.end();
  if (!document()) return asked ? Unknown(name) : Skip(name, "not asked for");
  const auto found = document()->pcrs.find(index);
  const std::string value = found == document()->pcrs.end() ? "missing" : Hex(found->second);
  if (!asked) return Skip(name, "not asked for; it is " + value);
  const auto& values = wanted->second;
  if (found != document()->pcrs.end() &&
      std::find(values.begin(), values.end(), found->second) != values.end()) {
    return Pass(name, value);
  }
  const std::string allowed = absl::StrJoin(
      values, ", ", [](std::string* out, const std::string& v) { out->append(Hex(v)); });
  Fail(name, absl::StrCat("it is ", value, "; allowed: ", allowed));
}

void Verifier::Nonce() {
  if (!document()) {
    return expected_.nonce ? Unknown("nonce") : Skip("nonce", "not asked for");
  }
  const std::string is = document()->nonce ? Hex(*document()->nonce) : "absent";
  if (!expected_.nonce) return Skip("nonce", "not asked for; it is " + is);
  const bool same = document()->nonce == expected_.nonce;
  PassIf(same, "nonce", same ? is : absl::StrCat("it is ", is, " and not ", Hex(*expected_.nonce)));
}

void Verifier::Age() {
  if (!document()) return expected_.max_age ? Unknown("age") : Skip("age", "not asked for");
  const absl::Time made = absl::FromUnixMillis(static_cast<int64_t>(document()->timestamp_ms));
  const absl::Duration age = expected_.at - made;
  const std::string text = absl::FormatDuration(absl::Trunc(age, absl::Seconds(1)));
  if (age < -kClockSkew) {
    return Fail("age",
                absl::StrCat("made ", UtcText(made), ", after the time of the verification"));
  }
  if (!expected_.max_age) return Skip("age", absl::StrCat("no limit was given; it is ", text));
  PassIf(age <= *expected_.max_age, "age",
         absl::StrCat("it is ", text, "; allowed: ", absl::FormatDuration(*expected_.max_age)));
}

template <typename T>
void Verifier::Bound(const char* name, const char* what, const std::optional<T>& wanted,
                     std::optional<T> UserData::*member, std::string (*text)(const T&)) {
  if (!document()) return wanted ? Unknown(name) : Skip(name, "not asked for");
  std::string is = absl::StrCat("no ", what, ": ", user_data_status_.message());
  if (out_.user_data) {
    const std::optional<T>& value = (*out_.user_data).*member;
    is = value ? text(*value) : absl::StrCat("user_data names no ", what);
    if (wanted && value == wanted) return Pass(name, is);
  }
  if (!wanted) return Skip(name, "not asked for; " + is);
  Fail(name, absl::StrCat(is, "; wanted: ", text(*wanted)));
}

void Verifier::UserDataChecks() {
  // While one signing key follows another, either is this enclave's.
  const bool by_draining = expected_.address && out_.user_data && out_.user_data->draining &&
                           *out_.user_data->draining == *expected_.address;
  Bound<ethereum::Address>("address", by_draining ? "draining signing address" : "signing address",
                           expected_.address,
                           by_draining ? &UserData::draining : &UserData::address,
                           [](const ethereum::Address& value) { return value.ToHex(); });
  Bound<ethereum::Hash>("policy", "policy hash", expected_.policy_hash, &UserData::policy_hash,
                        [](const ethereum::Hash& value) { return value.ToHex(); });
  Bound<audit::VerifierKey>("log", "log key", expected_.log_key, &UserData::log_key,
                            [](const audit::VerifierKey& value) { return value.ToString(); });
}

}  // namespace

Verification Verify(std::string_view document, const Expectations& expectations) {
  return Verifier(document, expectations).Run();
}

}  // namespace coffer::attestation
