// coffer-verify: verifies attestation documents, and needs nothing of Coffer's server.
#include <CLI/CLI.hpp>
#include <csignal>

#include "tools/attest/attestation_command.h"

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app("coffer-verify: checks what an enclave's attestation document proves.");
  app.set_version_flag("--version", COFFER_VERSION);
  coffer::tools::AttestationArguments arguments;
  coffer::tools::AddAttestationOptions(&app, "coffer-verify", arguments);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return coffer::tools::RunVerifyAttestation(arguments);
}
