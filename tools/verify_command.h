// `coffer verify log`, `coffer verify receipt` and `coffer log mirror`.
#ifndef COFFER_TOOLS_VERIFY_COMMAND_H_
#define COFFER_TOOLS_VERIFY_COMMAND_H_

#include <string>

#include "tools/attest/attested_log.h"
#include "tools/log_access.h"

namespace coffer::tools {

struct VerifyArguments {
  LogAccessArguments access;
  bool full = false;
  bool json = false;
  unsigned threads = 0;  // 0: by the machine
  std::string address;
  std::string account;
  std::string balance;  // wei
  std::string accounts_file;
  std::string api;
  std::string token_file;
  std::string rpc;
  std::string registry;
  std::string audit_address;
  std::string receipt_file;
  AttestedLogArguments attested;
};

// Add a subcommand each below `verify` and `log`.
CLI::App* AddVerifyLog(CLI::App* verify, VerifyArguments& arguments);
CLI::App* AddVerifyReceipt(CLI::App* verify, VerifyArguments& arguments);
CLI::App* AddLogMirror(CLI::App* log, VerifyArguments& arguments);

// Exit codes: kVerified, kNotVerified, kCouldNotTell.
int RunVerifyLog(const VerifyArguments& arguments);
int RunVerifyReceipt(const VerifyArguments& arguments);
int RunLogMirror(const VerifyArguments& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_VERIFY_COMMAND_H_
