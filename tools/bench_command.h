// `coffer bench`: the load harness (bench/, JavaScript), wherever it is installed.
#ifndef COFFER_TOOLS_BENCH_COMMAND_H_
#define COFFER_TOOLS_BENCH_COMMAND_H_

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace coffer::tools {

// For the list of commands; its arguments are the harness's, so that RunBench reads them.
void AddBench(CLI::App& app);

// `arguments`: what follows `coffer bench`. Becomes the harness; when that cannot be, says why on
// stderr and gives the exit code 2. With --help it says what it does itself before the harness does
// the same; then a harness that is missing is no error.
int RunBench(const std::vector<std::string>& arguments);

}  // namespace coffer::tools

#endif  // COFFER_TOOLS_BENCH_COMMAND_H_
