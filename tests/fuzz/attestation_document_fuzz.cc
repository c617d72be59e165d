// Any bytes as an attestation document: nothing that nobody signed is verified. The first byte
// chooses: a whole message, a payload that is then signed properly, user_data.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/attestation/verify.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tests/support/nitro.h"

namespace {

namespace attestation = coffer::attestation;

const attestation::Certificate& Root() {
  static const auto* const root =
      new attestation::Certificate(attestation::NitroChain()[0].certificate());
  return *root;
}

attestation::Expectations Expected() {
  attestation::Expectations expected;
  expected.root = &Root();
  expected.at = attestation::Made();
  expected.any_image = true;
  return expected;
}

void CheckReport(const attestation::Verification& found) {
  COFFER_CHECK(found.report.checks.size() == 22, "every check is reported, whatever fails");
}

void Message(std::string_view bytes) {
  const attestation::Verification found = attestation::Verify(bytes, Expected());
  CheckReport(found);
  COFFER_CHECK(found.report.ExitCode() != coffer::audit::kVerified, "nobody signed it");
  const auto message = attestation::ParseSign1(bytes);
  if (!message.ok()) return;
  COFFER_CHECK(attestation::ParseSign1(attestation::EncodeSign1(*message)).value() == *message,
               "a message survives being written");
}

void Payload(std::string_view payload) {
  if (payload.empty() || payload.size() > attestation::kMaxPayloadBytes) return;
  const auto document = attestation::ParseDocument(payload);
  const attestation::Verification found =
      attestation::Verify(attestation::SignPayload(std::string(payload)), Expected());
  CheckReport(found);
  COFFER_CHECK(found.document.has_value() == document.ok(), "what can be read is read");
  if (!document.ok()) return;
  const auto encoded = attestation::EncodeDocument(*document);
  COFFER_CHECK(encoded.ok(), "what is read can be written");
  COFFER_CHECK(attestation::ParseDocument(*encoded).value() == *document, "and is read again");
  if (found.report.ExitCode() == coffer::audit::kVerified) {
    COFFER_CHECK(document->cabundle[0] == Root().der(), "only on the root that is trusted");
    COFFER_CHECK(!document->IsDebug(), "not in debug mode");
  }
}

void UserDataText(std::string_view text) {
  const auto data = attestation::ParseUserData(text);
  if (!data.ok()) return;
  const auto made = attestation::MakeUserData(*data);
  COFFER_CHECK(!made.ok() || attestation::ParseUserData(*made).value() == *data,
               "user_data is read again");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  coffer::fuzz::Input input(data, size);
  switch (input.Below(3)) {
    case 0:
      Message(input.rest());
      break;
    case 1:
      Payload(input.rest());
      break;
    default:
      UserDataText(input.rest());
  }
  return 0;
}
