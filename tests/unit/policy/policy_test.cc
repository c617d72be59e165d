#include "enclave_core/policy/policy.h"

#include <functional>

#include "tests/unit/policy/samples.h"

namespace coffer::policy {
namespace {

using ProtoPolicy = boundary::v1::Policy;

ProtoPolicy Proto(const Policy& policy) {
  ProtoPolicy out;
  ToProto(policy, &out);
  return out;
}

std::string Bytes(size_t count, char fill) { return std::string(count, fill); }

TEST(PolicyWireTest, RoundTrip) {
  for (const Policy& policy : {FullPolicy(), PlainPolicy(), Unrestricted()}) {
    const ProtoPolicy proto = Proto(policy);
    EXPECT_EQ(proto.format(), 1u);
    const absl::StatusOr<Policy> again = FromProto(proto);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*again, policy);
    EXPECT_EQ(DifferingFields(*again, policy), "");
  }
}

TEST(PolicyWireTest, UnrestrictedHasNothingButItsName) {
  const ProtoPolicy proto = Proto(Unrestricted());
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  proto.GetReflection()->ListFields(proto, &fields);
  EXPECT_EQ(fields.size(), 2u);  // format, unrestricted
}

// What was sealed before there were more limits.
TEST(PolicyWireTest, Format0) {
  const Policy old = PlainPolicy();
  ProtoPolicy proto;
  proto.set_chain_id(old.chain_id);
  proto.set_broker(std::string(old.broker.view()));
  proto.set_allow_tickets(true);
  ledger::ToProto(old.max_face_value, proto.mutable_max_face_value());
  ledger::ToProto(old.max_batch_total, proto.mutable_max_batch_total());
  proto.set_max_tickets(old.max_tickets);
  proto.set_max_gas_limit(old.max_gas_limit);
  ledger::ToProto(old.max_fee_per_gas, proto.mutable_max_fee_per_gas());
  ledger::ToProto(old.max_priority_fee_per_gas, proto.mutable_max_priority_fee_per_gas());
  ledger::ToProto(old.max_fund_deposit, proto.mutable_max_fund_deposit());
  proto.set_ticket_validity_rounds(old.ticket_validity_rounds);
  const absl::StatusOr<Policy> read = FromProto(proto);
  ASSERT_TRUE(read.ok()) << read.status();
  Policy expected = old;
  expected.max_transfer = old.max_face_value;
  EXPECT_EQ(*read, expected);
  EXPECT_EQ(read->win_prob, ~ethereum::U256(0));
  EXPECT_EQ(read->max_transaction_cost, kNoLimit);
  EXPECT_EQ(read->velocity_window, 0u);

  // A field that format 0 does not have must not be passed over.
  proto.set_require_allowlist(true);
  const absl::StatusOr<Policy> mixed = FromProto(proto);
  ASSERT_FALSE(mixed.ok());
  EXPECT_NE(std::string(mixed.status().message()).find("require_allowlist"), std::string::npos);
}

TEST(PolicyWireTest, RangesJustInsideAndJustOutside) {
  using Change = std::function<void(ProtoPolicy&)>;
  const auto wei = [](Wei value) {
    boundary::v1::Wei out;
    ledger::ToProto(value, &out);
    return out;
  };
  const auto addresses = [](google::protobuf::RepeatedPtrField<std::string>* list, size_t count) {
    list->Clear();
    for (size_t i = 1; i <= count; ++i) {
      std::string address(20, '\0');
      address[0] = static_cast<char>(i >> 8);
      address[1] = static_cast<char>(i & 255);
      list->Add(std::move(address));
    }
  };
  const Change nothing = [](ProtoPolicy&) {};
  const struct {
    const char* field;  // is in the sentence
    Change inside, outside;
  } rows[] = {
      {"format", nothing, [](auto& p) { p.set_format(2); }},
      {"chain_id", [](auto& p) { p.set_chain_id(1); }, [](auto& p) { p.set_chain_id(0); }},
      {"broker", nothing, [](auto& p) { p.set_broker(Bytes(19, 'b')); }},
      {"broker", nothing, [](auto& p) { p.clear_broker(); }},
      {"broker",
       [](auto& p) {
         p.set_broker(Bytes(20, '\0'));
         p.set_allow_tickets(false);
         p.mutable_max_fund_deposit()->Clear();
         p.mutable_max_fund_reserve()->Clear();
       },
       [](auto& p) { p.set_broker(Bytes(20, '\0')); }},
      {"max_fund_deposit", nothing,
       [](auto& p) {
         p.set_broker(Bytes(20, '\0'));
         p.set_allow_tickets(false);
       }},
      {"max_tickets", [](auto& p) { p.set_max_tickets(1); }, [](auto& p) { p.set_max_tickets(0); }},
      {"max_tickets", [](auto& p) { p.set_max_tickets(100); },
       [](auto& p) { p.set_max_tickets(101); }},
      {"max_face_value", [&](auto& p) { *p.mutable_max_face_value() = wei(kNoLimit); },
       [&](auto& p) { *p.mutable_max_face_value() = wei(kNoLimit + 1); }},
      {"max_face_value", nothing, [](auto& p) { p.clear_max_face_value(); }},
      {"max_batch_total", nothing, [](auto& p) { p.clear_max_batch_total(); }},
      {"max_fee_per_gas", nothing, [](auto& p) { p.clear_max_fee_per_gas(); }},
      {"max_priority_fee_per_gas", nothing, [](auto& p) { p.clear_max_priority_fee_per_gas(); }},
      {"max_fund_deposit", nothing, [](auto& p) { p.clear_max_fund_deposit(); }},
      {"max_fund_reserve", nothing, [](auto& p) { p.clear_max_fund_reserve(); }},
      {"max_transfer", [&](auto& p) { *p.mutable_max_transfer() = wei(0); },
       [](auto& p) { p.clear_max_transfer(); }},
      {"max_transaction_cost", nothing,
       [&](auto& p) { *p.mutable_max_transaction_cost() = wei(kNoLimit + 1); }},
      {"velocity_total", nothing, [](auto& p) { p.clear_velocity_total(); }},
      {"velocity_recipient", nothing,
       [&](auto& p) { *p.mutable_velocity_recipient() = wei(~Wei(0)); }},
      {"win_prob", nothing, [](auto& p) { p.set_win_prob(Bytes(31, '\1')); }},
      {"win_prob", [](auto& p) { p.set_win_prob(Bytes(31, '\0') + '\1'); },
       [](auto& p) { p.set_win_prob(Bytes(32, '\0')); }},
      {"velocity_window", [](auto& p) { p.set_velocity_window(31 * 24 * 3600); },
       [](auto& p) { p.set_velocity_window(31 * 24 * 3600 + 1); }},
      {"velocity_signatures", [](auto& p) { p.set_velocity_signatures(1); },
       [](auto& p) { p.set_velocity_signatures(0); }},
      {"velocity_signatures", [](auto& p) { p.set_velocity_signatures(100'000); },
       [](auto& p) { p.set_velocity_signatures(100'001); }},
      {"allowed_recipients", [&](auto& p) { addresses(p.mutable_allowed_recipients(), 10'000); },
       [&](auto& p) { addresses(p.mutable_allowed_recipients(), 10'001); }},
      {"allowed_recipients[1]", nothing,
       [](auto& p) { p.set_allowed_recipients(1, p.allowed_recipients(0)); }},
      {"allowed_recipients[1]", nothing,
       [](auto& p) { p.mutable_allowed_recipients()->SwapElements(0, 1); }},
      {"allowed_recipients[0]", nothing,
       [](auto& p) { p.set_allowed_recipients(0, Bytes(20, '\0')); }},
      {"allowed_recipients[1]", nothing,
       [](auto& p) { p.set_allowed_recipients(1, Bytes(21, 'x')); }},
      {"admins", [&](auto& p) { addresses(p.mutable_admins(), 20); },
       [&](auto& p) { addresses(p.mutable_admins(), 21); }},
      {"admins[1]", nothing, [](auto& p) { p.mutable_admins()->SwapElements(0, 1); }},
      {"admin_threshold", [](auto& p) { p.set_admin_threshold(1); },
       [](auto& p) { p.set_admin_threshold(0); }},
      {"admin_threshold", [](auto& p) { p.set_admin_threshold(3); },
       [](auto& p) { p.set_admin_threshold(4); }},
      {"admin_threshold",
       [](auto& p) {
         p.clear_admins();
         p.set_admin_threshold(0);
       },
       [](auto& p) {
         p.clear_admins();
         p.set_admin_threshold(1);
       }},
      {"credit_reporter", [](auto& p) { p.set_credit_reporter(Bytes(20, 'r')); },
       [](auto& p) { p.set_credit_reporter(Bytes(21, 'r')); }},
      {"credit_reporter", nothing, [](auto& p) { p.set_credit_reporter(Bytes(20, '\0')); }},
      {"credit_reporter",
       [](auto& p) {
         p.clear_credit_reporter();
         p.set_require_credit_signature(false);
       },
       [](auto& p) { p.clear_credit_reporter(); }},
      {"chain_id",
       [](auto& p) {
         p.Clear();
         p.set_format(1);
         p.set_unrestricted(true);
       },
       [](auto& p) { p.set_unrestricted(true); }},
      {"unrestricted",
       [](auto& p) {
         p.Clear();
         p.set_format(1);
         p.set_unrestricted(true);
       },
       [](auto& p) {
         p.Clear();
         p.set_unrestricted(true);
       }},
      {"a field that this version does not know", nothing,
       [](auto& p) { p.GetReflection()->MutableUnknownFields(&p)->AddVarint(99, 1); }},
  };
  for (const auto& row : rows) {
    ProtoPolicy proto = Proto(FullPolicy());
    row.inside(proto);
    const absl::StatusOr<Policy> inside = FromProto(proto);
    EXPECT_TRUE(inside.ok()) << row.field << ": " << inside.status();
    proto = Proto(FullPolicy());
    row.outside(proto);
    const absl::StatusOr<Policy> outside = FromProto(proto);
    ASSERT_FALSE(outside.ok()) << row.field << "\n" << proto.DebugString();
    EXPECT_EQ(outside.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(std::string(outside.status().message()).find(row.field), std::string::npos)
        << row.field << ": " << outside.status();
  }
}

TEST(PolicyChecksTest, ItemsByStrategy) {
  using boundary::v1::STRATEGY_ETH_TRANSFER;
  using boundary::v1::STRATEGY_LIVEPEER_TICKET;
  const Policy policy = FullPolicy();
  EXPECT_TRUE(policy.CheckItemAmount(STRATEGY_LIVEPEER_TICKET, 1000).ok());
  ExpectRefused(policy.CheckItemAmount(STRATEGY_LIVEPEER_TICKET, 1001), "max_face_value",
                {"1000", "1001"});
  EXPECT_TRUE(policy.CheckItemAmount(STRATEGY_ETH_TRANSFER, 700).ok());
  ExpectRefused(policy.CheckItemAmount(STRATEGY_ETH_TRANSFER, 701), "max_transfer", {"700", "701"});
}

TEST(PolicyChecksTest, BatchesAndFundings) {
  using boundary::v1::STRATEGY_FUND_DEPOSIT;
  using boundary::v1::STRATEGY_FUND_RESERVE;
  const Policy policy = FullPolicy();
  EXPECT_TRUE(policy.CheckBatch(7, 5000).ok());
  ExpectRefused(policy.CheckBatch(8, 5000), "max_tickets", {"7", "8"});
  ExpectRefused(policy.CheckBatch(7, 5001), "max_batch_total", {"5000", "5001"});
  EXPECT_TRUE(policy.CheckFunding(STRATEGY_FUND_DEPOSIT, 9000).ok());
  ExpectRefused(policy.CheckFunding(STRATEGY_FUND_DEPOSIT, 9001), "max_fund_deposit",
                {"9000", "9001"});
  EXPECT_TRUE(policy.CheckFunding(STRATEGY_FUND_RESERVE, 8000).ok());
  ExpectRefused(policy.CheckFunding(STRATEGY_FUND_RESERVE, 8001), "max_fund_reserve",
                {"8000", "8001"});
}

TEST(PolicyChecksTest, CostIsAProductThatNeverWraps) {
  Policy policy = FullPolicy();
  policy.max_gas_limit = UINT64_MAX;
  policy.max_fee_per_gas = policy.max_priority_fee_per_gas = kNoLimit;
  policy.max_transaction_cost = 1'000'000;
  EXPECT_TRUE(policy.CheckFees({50'000, 20, 0}).ok());
  ExpectRefused(policy.CheckFees({50'001, 20, 0}), "max_transaction_cost", {"1000000", "1000020"});
  // 2^64 * 2^64 is 0 modulo 2^128.
  ExpectRefused(policy.CheckFees({uint64_t{1} << 63, Wei(1) << 65, 0}), "max_transaction_cost",
                {"1000000", "340282366920938463463374607431768211456"});
}

TEST(PolicyChecksTest, StrategiesAndUnrestrictedPolicies) {
  using boundary::v1::STRATEGY_ETH_TRANSFER;
  using boundary::v1::STRATEGY_FUND_DEPOSIT;
  using boundary::v1::STRATEGY_LIVEPEER_TICKET;
  Policy policy = FullPolicy();
  EXPECT_TRUE(policy.CheckStrategy(STRATEGY_LIVEPEER_TICKET).ok());
  EXPECT_TRUE(policy.CheckStrategy(STRATEGY_ETH_TRANSFER).ok());
  EXPECT_EQ(CodeOf(policy.CheckStrategy(STRATEGY_FUND_DEPOSIT)), boundary::v1::ERROR_MALFORMED);
  policy.allow_tickets = policy.allow_eth_transfer = false;
  ExpectRefused(policy.CheckStrategy(STRATEGY_LIVEPEER_TICKET), "allow_tickets", {"false"});
  ExpectRefused(policy.CheckStrategy(STRATEGY_ETH_TRANSFER), "allow_eth_transfer", {"false"});
  for (Policy unlimited : {Unrestricted(), FullPolicy()}) {
    unlimited.unrestricted = true;
    ExpectRefused(unlimited.CheckStrategy(STRATEGY_LIVEPEER_TICKET), "unrestricted", {});
    ExpectRefused(unlimited.CheckFunding(STRATEGY_FUND_DEPOSIT, 0), "unrestricted", {});
  }
}

}  // namespace
}  // namespace coffer::policy
