// docs/protocol.md: every method has an example in its profile, and every example is a request that
// is understood. Whether its answer is the one that is shown is an end-to-end test's business.
#include <fstream>
#include <set>

#include "tests/unit/json_protocol/support.h"

namespace coffer::json_protocol {
namespace {

TEST(Docs, EveryExampleIsUnderstood) {
  std::ifstream file(std::string(COFFER_SOURCE_DIR) + "/docs/protocol.md");
  ASSERT_TRUE(file.is_open());
  std::set<Method> seen;
  std::string request;
  std::string heading;
  bool inside = false;
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("### ", 0) == 0) heading = line.substr(4);
    if (line == "```json request") {
      inside = true;
      request.clear();
    } else if (inside && line == "```") {
      inside = false;
      SCOPED_TRACE(request);
      EXPECT_NE(request.find("\"" + heading + "\""), std::string::npos) << heading;
      boundary::v1::ClientFrame frame;
      const absl::StatusOr<Call> call = ParseRequest(
          absl::StrReplaceAll(request, {{"$tx_hash", absl::StrCat("0x", kHash)}}), &frame);
      if (heading == "audit_event") {  // I9
        EXPECT_FALSE(call.ok());
        EXPECT_EQ(CodeOf(call.status()), boundary::v1::ERROR_POLICY) << call.status();
        continue;
      }
      ASSERT_TRUE(call.ok()) << call.status();
      seen.insert(call->method);
    } else if (inside) {
      absl::StrAppend(&request, line, "\n");
    }
  }
  // All but audit_event; audit_checkpoint is the last.
  EXPECT_EQ(seen.size(), static_cast<size_t>(Method::kAuditCheckpoint));
}

}  // namespace
}  // namespace coffer::json_protocol
