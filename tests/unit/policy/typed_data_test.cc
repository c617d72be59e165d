#include "enclave_core/policy/typed_data.h"

#include <functional>

#include "tests/unit/policy/samples.h"

namespace coffer::policy {
namespace {

// Made with ethers 6: TypedDataEncoder.hashStruct and TypedDataEncoder.hash (sequence 5, signer
// 0x7777...). docs/policy.md has the first two.
TEST(PolicyHashTest, Golden) {
  const struct {
    const char* name;
    Policy policy;
    const char* hash;
    const char* digest;
  } rows[] = {
      {"unrestricted", Unrestricted(),
       "0xee48af5070981b17d4748e7d31ca850040a895ded8e0fcfd42f3db560e83eef6",
       "0x9a705036772722127ce4054203db174233436df5ebc872d6d073d2769f54a3c2"},
      {"plain", PlainPolicy(), "0x19b65cd1e7bd76f2a2684893b50ff55a0c435a94d700476598a9e67561f8b2da",
       "0x56c4ebfede1a1abaf409d4881730ff5a92cbe56f4c55432aa1090414377f6cfa"},
      {"full", FullPolicy(), "0x8828d534aab1128fb434aed880df0a8cbb3a66fbaa691a4cb13450fba7091ae9",
       "0x65b43257e255591ffdea0007386adb9b83501d03ceb46b6b8a0f08a31e77dba3"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(PolicyHash(row.policy).ToHex(), row.hash) << row.name;
    EXPECT_EQ(PolicyChangeDigest(kSigner, 5, row.policy).ToHex(), row.digest) << row.name;
  }
}

TEST(PolicyHashTest, EveryFieldChangesIt) {
  const std::vector<std::function<void(Policy&)>> changes = {
      [](Policy& p) { p.chain_id += 1; },
      [](Policy& p) { p.broker = kOther; },
      [](Policy& p) { p.allow_tickets = false; },
      [](Policy& p) { p.allow_eth_transfer = false; },
      [](Policy& p) { p.max_face_value += 1; },
      [](Policy& p) { p.max_batch_total += 1; },
      [](Policy& p) { p.max_tickets += 1; },
      [](Policy& p) { p.win_prob += 1; },
      [](Policy& p) { p.ticket_validity_rounds += 1; },
      [](Policy& p) { p.void_on_host_word = false; },
      [](Policy& p) { p.max_transfer += 1; },
      [](Policy& p) { p.max_fund_deposit += 1; },
      [](Policy& p) { p.max_fund_reserve += 1; },
      [](Policy& p) { p.require_allowlist = false; },
      [](Policy& p) { p.allowed_recipients.pop_back(); },
      [](Policy& p) { p.max_gas_limit += 1; },
      [](Policy& p) { p.max_fee_per_gas += 1; },
      [](Policy& p) { p.max_priority_fee_per_gas += 1; },
      [](Policy& p) { p.max_transaction_cost += 1; },
      [](Policy& p) { p.allow_access_list = false; },
      [](Policy& p) { p.allow_raw_messages = false; },
      [](Policy& p) { p.velocity_window += 1; },
      [](Policy& p) { p.velocity_total += 1; },
      [](Policy& p) { p.velocity_recipient += 1; },
      [](Policy& p) { p.velocity_signatures += 1; },
      [](Policy& p) { p.credit_reporter = kOther; },
      [](Policy& p) { p.require_credit_signature = false; },
      [](Policy& p) { p.admins.pop_back(); },
      [](Policy& p) { p.admin_threshold = 1; },
      [](Policy& p) { p.unrestricted = true; },
  };
  // One a field: format is not a field of the policy but of its encoding.
  EXPECT_EQ(changes.size() + 1,
            static_cast<size_t>(boundary::v1::Policy::descriptor()->field_count()));
  for (size_t i = 0; i < changes.size(); ++i) {
    Policy changed = FullPolicy();
    changes[i](changed);
    EXPECT_NE(PolicyHash(changed), PolicyHash(FullPolicy())) << i;
    const std::string names = DifferingFields(FullPolicy(), changed);
    EXPECT_FALSE(names.empty()) << i;
    EXPECT_EQ(names.find(','), std::string::npos) << names;
    EXPECT_NE(boundary::v1::Policy::descriptor()->FindFieldByName(names), nullptr) << names;
  }
}

TEST(TypedDataTest, IsWhatAWalletIsShown) {
  const std::string json = PolicyChangeTypedData(kSigner, 5, FullPolicy());
  for (
      const char* part :
      {R"("types":{"EIP712Domain":[{"name":"name","type":"string"},)",
       R"("PolicyChange":[{"name":"signer","type":"address"},{"name":"sequence","type":"uint64"},)",
       R"({"name":"allowedRecipients","type":"address[]"})", R"("primaryType":"PolicyChange")",
       R"("domain":{"name":"Coffer policy","version":"1","chainId":"31337"})",
       R"("message":{"signer":"0x7777777777777777777777777777777777777777","sequence":"5",)",
       R"("policy":{"unrestricted":false,"chainId":"31337",)",
       R"("allowedRecipients":["0x2121212121212121212121212121212121212121","0x)",
       R"("maxTransactionCost":"170141183460469231731687303715884105726")",
       R"("adminThreshold":"2"}}})"}) {
    EXPECT_NE(json.find(part), std::string::npos) << part << "\nis not in " << json;
  }
}

std::string Signed(char key, const ethereum::Hash& digest) {
  return KeyOf(key).Sign(digest).ToBytes65();
}

TEST(PolicyChangeTest, NeedsTheThresholdOfDifferentAdmins) {
  const Policy current = FullPolicy();
  Policy next = FullPolicy();
  next.max_face_value = 5;
  next.admins.clear();
  next.admin_threshold = 0;
  const ethereum::Hash digest = PolicyChangeDigest(kSigner, 8, next);
  const std::string a = Signed(0x31, digest);
  const std::string b = Signed(0x32, digest);
  const std::string c = Signed(0x33, digest);
  const std::string stranger = Signed(0x34, digest);
  const std::string other = Signed(0x32, PolicyChangeDigest(kSigner, 9, next));
  std::string high_s = b;
  high_s[32] = '\x7f';
  high_s[33] = '\xff';
  // The same signature with v of 0 and 1 is the same admin's.
  std::string a_again = a;
  a_again[64] = static_cast<char>(a_again[64] - 27);
  const std::vector<std::string> crowd(kMaxAdmins, stranger);
  std::vector<std::string> behind_the_crowd = crowd;
  behind_the_crowd.insert(behind_the_crowd.end(), {a, b});

  const struct {
    const char* name;
    std::vector<std::string> signatures;
    const char* words;  // nullptr: accepted
  } rows[] = {
      {"two", {a, b}, nullptr},
      {"other two", {c, a}, nullptr},
      {"three", {a, b, c}, nullptr},
      {"noise between", {"", stranger, a, std::string(65, '\0'), b}, nullptr},
      {"none", {}, "0 different ones"},
      {"one", {a}, "signatures of 2 of 3 admins"},
      {"one twice", {a, a}, "1 different ones"},
      {"one in two forms", {a, a_again}, "1 different ones"},
      {"a stranger", {a, stranger}, "1 were malformed or of nobody"},
      {"another sequence", {a, other}, "1 different ones"},
      {"high s", {a, high_s}, "1 different ones"},
      {"64 bytes", {a, b.substr(0, 64)}, "1 different ones"},
      {"beyond the first 20", behind_the_crowd, "0 different ones"},
  };
  for (const auto& row : rows) {
    const absl::Status status = CheckPolicyChange(current, kSigner, 8, next, row.signatures);
    EXPECT_EQ(status.ok(), row.words == nullptr) << row.name << ": " << status;
    if (status.ok() || row.words == nullptr) continue;
    EXPECT_EQ(CodeOf(status), boundary::v1::ERROR_SIGNATURE) << row.name;
    EXPECT_NE(std::string(status.message()).find(row.words), std::string::npos)
        << row.name << ": " << status;
  }
}

TEST(PolicyChangeTest, IsOfOneKeyAndOneSequenceAndOnePolicy) {
  const Policy current = FullPolicy();
  const Policy next = FullPolicy();
  const ethereum::Hash digest = PolicyChangeDigest(kSigner, 8, next);
  const std::vector<std::string> both = {Signed(0x31, digest), Signed(0x32, digest)};
  Policy wider = next;
  wider.max_face_value += 1;
  Policy elsewhere = next;
  elsewhere.chain_id += 1;
  EXPECT_TRUE(CheckPolicyChange(current, kSigner, 8, next, both).ok());
  EXPECT_FALSE(CheckPolicyChange(current, kSigner, 9, next, both).ok());
  EXPECT_FALSE(CheckPolicyChange(current, kOther, 8, next, both).ok());
  EXPECT_FALSE(CheckPolicyChange(current, kSigner, 8, wider, both).ok());
  EXPECT_FALSE(CheckPolicyChange(current, kSigner, 8, elsewhere, both).ok());
}

TEST(PolicyChangeTest, NobodyChangesAPolicyWithoutAdmins) {
  Policy current = FullPolicy();
  current.admins.clear();
  current.admin_threshold = 0;
  const Policy next = FullPolicy();
  const ethereum::Hash digest = PolicyChangeDigest(kSigner, 1, next);
  ExpectRefused(
      CheckPolicyChange(current, kSigner, 1, next, {Signed(0x31, digest), Signed(0x32, digest)}),
      "admins", {"0 admins"});
  ExpectRefused(CheckPolicyChange(Unrestricted(), kSigner, 1, next, {}), "admins", {});
}

}  // namespace
}  // namespace coffer::policy
