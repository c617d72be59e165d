#include "tools/attest/attestation_command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <iterator>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/types.h"
#include "runtime/os_clock.h"
#include "runtime/os_random.h"
#include "tools/attest/document_source.h"
#include "tools/attest/ear.h"
#include "tools/attest/report_text.h"
#include "tools/small_files.h"

namespace coffer::tools {
namespace {

constexpr size_t kMaxNonceBytes = 32;  // what a host passes on
constexpr size_t kMaxTokenBytes = 4096;

int CouldNot(const absl::Status& why) {
  std::cerr << "coffer: " << Printable(std::string(why.message())) << "\n";
  return kCouldNotTell;
}

// Absent when no nonce is asked for: of a file without --nonce.
absl::StatusOr<std::optional<std::string>> Nonce(const AttestationArguments& arguments) {
  if (arguments.nonce.empty() && arguments.url.empty()) return std::nullopt;
  if (!arguments.nonce.empty() && arguments.nonce != "auto") {
    absl::StatusOr<std::string> bytes = ethereum::FromHex(arguments.nonce);
    if (!bytes.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("--nonce: ", bytes.status().message()));
    }
    return *std::move(bytes);
  }
  if (arguments.url.empty()) {
    return absl::InvalidArgumentError(
        "--nonce auto is for --url: who made the document of a file has chosen its nonce");
  }
  std::array<uint8_t, kMaxNonceBytes> nonce{};
  runtime::OsRandom().Fill(absl::MakeSpan(nonce));
  return std::string(nonce.begin(), nonce.end());
}

absl::StatusOr<std::string> Token(const std::string& file) {
  if (file.empty()) return std::string();
  absl::StatusOr<std::string> token = ReadWholeFile(file, kMaxTokenBytes);
  if (!token.ok()) return token.status();
  absl::StripAsciiWhitespace(&*token);
  return token;
}

absl::StatusOr<std::string> GetDocument(const AttestationArguments& arguments,
                                        const std::optional<std::string>& nonce) {
  if (arguments.document == "-") {
    std::string content(kMaxDocumentText + 1, '\0');
    std::cin.read(content.data(), static_cast<std::streamsize>(content.size()));
    content.resize(static_cast<size_t>(std::cin.gcount()));
    if (content.size() > kMaxDocumentText) {
      return absl::ResourceExhaustedError("standard input has more than a document");
    }
    return DocumentBytes(content);
  }
  if (!arguments.document.empty()) return ReadDocumentFile(arguments.document);
  if (nonce->size() > kMaxNonceBytes) {
    return absl::InvalidArgumentError("--nonce: a host takes at most 32 bytes");
  }
  absl::StatusOr<std::string> token = Token(arguments.token_file);
  if (!token.ok()) return token.status();
  return FetchDocument(
      {arguments.url, *std::move(token), arguments.ca_file, absl::Seconds(arguments.timeout)},
      *nonce);
}

}  // namespace

void AddAttestationOptions(CLI::App* command, const std::string& name,
                           AttestationArguments& arguments) {
  CLI::Option_group* const where = command->add_option_group("where");
  where->add_option("--document", arguments.document,
                    "A file with the document: as it is, in base64, or JSON with document_b64; - "
                    "for standard input");
  where->add_option("--url", arguments.url,
                    "A host to ask for one: http(s)://HOST[:PORT], or the address of its endpoint");
  where->require_option(1);
  command->add_option("--nonce", arguments.nonce,
                      "The nonce that must be in it, in hex; auto, as --url does without it: "
                      "32 random bytes");
  command->add_option("--address", arguments.expectations.address,
                      "The signing address that it must be of");
  command->add_option("--policy-hash", arguments.expectations.policy_hash,
                      "The hash of the policy that must be in force");
  command->add_option("--log-key", arguments.expectations.log_key,
                      "The verifier key that the transparency log must have");
  AddExpectationOptions(command, arguments.expectations);
  command->add_option("--timeout", arguments.timeout, "Seconds to wait for a host's answer")
      ->check(CLI::Range(0.1, 3600.0))
      ->capture_default_str();
  command->add_option("--ca-file", arguments.ca_file,
                      "Certificate authorities (PEM) for https instead of the system's");
  command->add_option("--token-file", arguments.token_file,
                      "A file with a bearer token, for an endpoint that wants one");
  command->add_flag("--json", arguments.json, "An EAT Attestation Result in JSON instead of lines");
  command->footer(absl::StrCat(
      "Ends with 0 verified, 1 not verified, 2 could not tell.\nExample: ", name,
      " --url https://pay.example --measurements releases.json --address 0x...\n         ", name,
      " --document doc.bin --pcr0 HEX --at 2026-01-31T12:00:00Z"));
}

int RunVerifyAttestation(const AttestationArguments& arguments) {
  const absl::Time now = runtime::OsWallNow();
  absl::StatusOr<OwnedExpectations> read = ReadExpectations(arguments.expectations, now);
  if (!read.ok()) return CouldNot(read.status());
  absl::StatusOr<std::optional<std::string>> nonce = Nonce(arguments);
  if (!nonce.ok()) return CouldNot(nonce.status());
  read->expected.nonce = *std::move(nonce);
  const absl::StatusOr<std::string> document = GetDocument(arguments, read->expected.nonce);
  if (!document.ok()) return CouldNot(document.status());
  const attestation::Verification found = attestation::Verify(*document, read->expected);
  if (arguments.json) {
    // What is not UTF-8 in a stranger's words becomes U+FFFD.
    std::cout << EarJson(found, read->expected, now)
                     .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
              << "\n";
  } else {
    PrintReport(found.report, std::cout);
  }
  return found.report.ExitCode();
}

}  // namespace coffer::tools
