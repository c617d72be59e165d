// What a reporter signs, of one credit and of a batch, against ethers on random cases made by
// credit_vectors.mjs. The seed is printed; COFFER_TEST_SEED repeats a run.
#include <gtest/gtest.h>
#include <json/json.h>

#include <string>

#include "enclave_core/authority/credit_signature.h"
#include "enclave_core/error.h"
#include "enclave_core/ledger/wei.h"
#include "tests/conformance/ethers_cases.h"

namespace coffer::authority {
namespace {

using Json = ::Json::Value;

std::string Raw(const Json& hex) { return ethereum::FromHex(hex.asString()).value(); }

void CheckBatch(const Json& json) {
  boundary::v1::ApplyEvents request;
  for (const Json& fields : json["events"]) {
    boundary::v1::Event& event = *request.add_events();
    event.set_kind(static_cast<boundary::v1::Event::Kind>(fields["kind"].asInt()));
    ledger::ToProto(
        ledger::WeiFromU256(ethereum::U256FromString(fields["amount"].asString()).value()).value(),
        event.mutable_amount());
    event.set_recipient(Raw(fields["recipient"]));
    event.set_account(Raw(fields["account"]));
    event.set_id(Raw(fields["id"]));
    event.set_content_hash(Raw(fields["contentHash"]));
    EXPECT_EQ(CreditDigest(event).ToHex(), fields["digest"].asString());
  }
  EXPECT_EQ(CreditBatchDigest(request).ToHex(), json["digest"].asString());

  policy::Policy policy;
  policy.credit_reporter = ethereum::AddressFromText(json["reporter"].asString()).value();
  request.set_batch_signature(Raw(json["signature"]));
  const absl::StatusOr<bool> taken = CheckBatchSignature(policy, request);
  EXPECT_TRUE(taken.ok() && *taken) << taken.status();
  request.mutable_events()->RemoveLast();
  EXPECT_EQ(CodeOf(CheckBatchSignature(policy, request).status()), boundary::v1::ERROR_SIGNATURE);
}

TEST(CreditConformance, AgreesWithEthersOnRandomCases) {
  if (!conformance::HasEthers()) GTEST_SKIP() << conformance::kNoEthers;
  conformance::RunCases("credit_vectors.mjs", {{"batch", {CheckBatch, 50}}});
}

}  // namespace
}  // namespace coffer::authority
