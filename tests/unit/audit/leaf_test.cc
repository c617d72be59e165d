#include "enclave_core/audit/leaf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/tiles.h"

namespace coffer::audit {
namespace {

using testing::HasSubstr;

static_assert(kMaxLeafBytes <= kMaxEntryBytes);

template <typename T>
T Filled(uint8_t byte) {
  T out;
  out.bytes.fill(byte);
  return out;
}

Leaf Credit() {
  Leaf leaf;
  leaf.sequence = 7;
  leaf.claimed_time = 1'700'000'000'123;
  leaf.kind = LeafKind::kCredit;
  leaf.event_id = "ev-1";
  leaf.account = "alice";
  leaf.recipient = Filled<Address>(0x11);
  leaf.balances = Balances{.delta = 5, .available = 12, .reserved = 0x0100, .paid = 0};
  leaf.content_hash = Filled<Hash>(0x22);
  return leaf;
}

// Every optional field of every kind, and the least of each.
Leaf Example(LeafKind kind, bool full) {
  Leaf leaf;
  leaf.kind = kind;
  const auto event = [&] { leaf.event_id = "e"; };
  const auto item = [&] { leaf.payout = 1ull << 63, leaf.item = 0xFFFFFFFF; };
  const auto account = [&] { leaf.account = std::string(128, 'a'), leaf.recipient = Address(); };
  const auto change = [&](int delta) { account(), leaf.balances.emplace().delta = delta; };
  const Hash hash = Filled<Hash>(0xFF);
  switch (kind) {
    case LeafKind::kGenesis:
      leaf.recipient = Address(), leaf.content_hash = hash;
      break;
    case LeafKind::kAccountOpened:
      account();
      break;
    case LeafKind::kCredit:
    case LeafKind::kAdjustUp:
      event(), change(1);
      if (full) leaf.content_hash = hash;
      break;
    case LeafKind::kAdjustDown:
      event(), change(-1);
      if (full) leaf.content_hash = hash;
      break;
    case LeafKind::kPayoutReserved:
      item(), change(-1);
      if (full) leaf.content_hash = hash;
      break;
    case LeafKind::kPayoutSigned:
      leaf.payout = 0, leaf.tx_hash = hash;
      if (full) leaf.content_hash = hash;
      break;
    case LeafKind::kTicketSigned:
      item(), leaf.ticket_hash = hash;
      if (full) account(), leaf.amount = 9;
      break;
    case LeafKind::kItemPaid:
      item(), change(0), leaf.amount = 0, leaf.tx_hash = hash;
      if (full) leaf.ticket_hash = hash, leaf.hosts_word = true;
      break;
    case LeafKind::kItemVoided:
      item(), change(1);
      if (full) leaf.ticket_hash = hash, leaf.content_hash = hash;
      break;
    case LeafKind::kPayoutReverted:
      leaf.payout = 1, leaf.tx_hash = hash;
      if (full) item(), change(-5), leaf.amount = 5, leaf.ticket_hash = hash;
      break;
    case LeafKind::kFunding:
      leaf.payout = 1, leaf.amount = 1;
      if (full) leaf.tx_hash = hash, leaf.hosts_word = true;
      break;
    case LeafKind::kPolicyChanged:
      leaf.content_hash = hash;
      break;
    case LeafKind::kSignature:
      leaf.digest = hash;
      if (full) {
        leaf.recipient = Address(), leaf.amount = (absl::uint128(1) << 127) - 1;
        leaf.tx_hash = leaf.ticket_hash = leaf.content_hash = hash;
      }
      break;
    case LeafKind::kCarriedOver:
      change(1);
      break;
    case LeafKind::kSigningKeyAdded:
    case LeafKind::kSigningKeyRetired:
      leaf.recipient = Address();
      break;
  }
  return leaf;
}

std::string Encoded(const Leaf& leaf) {
  std::string out;
  const absl::Status status = AppendLeaf(leaf, &out);
  EXPECT_TRUE(status.ok()) << status;
  return out;
}

std::string Bytes(const std::string& hex) { return ethereum::FromHex(hex).value(); }
std::string Repeat(const std::string& hex, int times) {
  std::string out;
  while (times-- > 0) out += hex;
  return out;
}

// Golden bytes: this encoding is hashed into trees that witnesses have signed. It never changes.
TEST(Leaf, GoldenCredit) {
  const std::string wei = Repeat("00", 14);
  EXPECT_EQ(ethereum::ToHex(Encoded(Credit())),
            "0x01"
            "03"
            "0239"
            "0000000000000007"
            "0000018bcfe5687b"
            "04"
            "65762d31"
            "05"
            "616c696365" +
                Repeat("11", 20) + wei + "0005" + wei + "000c" + wei + "0100" + wei + "0000" +
                Repeat("22", 32));
}

TEST(Leaf, GoldenPaidItemOnTheHostsWord) {
  Leaf leaf = Example(LeafKind::kItemPaid, false);
  leaf.account = "b";
  leaf.payout = 0x0102;
  leaf.item = 3;
  leaf.recipient = Filled<Address>(0xAA);
  leaf.amount = 0x0A;
  leaf.tx_hash = Filled<Hash>(0xBB);
  leaf.hosts_word = true;
  EXPECT_EQ(ethereum::ToHex(Encoded(leaf)),
            "0x01"
            "09"
            "08fe" +
                Repeat("00", 16) +
                "0000000000000102"
                "00000003"
                "01"
                "62" +
                Repeat("aa", 20) + Repeat("00", 64) + Repeat("00", 15) + "0a" + Repeat("bb", 32));
}

// The worked example of docs/transparency.md, which is followed there with sha256sum.
TEST(Leaf, WorkedExample) {
  Leaf genesis;
  genesis.claimed_time = 1'700'000'000'000;
  genesis.recipient = Filled<Address>(0x11);
  genesis.content_hash = Filled<Hash>(0x22);
  Leaf opened;
  opened.sequence = 1;
  opened.claimed_time = 1'700'000'000'001;
  opened.kind = LeafKind::kAccountOpened;
  opened.account = "alice";
  opened.recipient = Filled<Address>(0xAA);
  Leaf credit = opened;
  credit.sequence = 2;
  credit.claimed_time = 1'700'000'000'002;
  credit.kind = LeafKind::kCredit;
  credit.event_id = "ev-1";
  credit.balances = Balances{.delta = 5, .available = 5};
  Tree tree;
  for (const Leaf& leaf : {genesis, opened, credit}) tree.Append(LeafHash(Encoded(leaf)));
  EXPECT_EQ(tree.Root().ToHex(),
            "0xbd6475e1b297d6f0301c2f8bebb59a38d1037e19ce4ec0c74e381d9034d1dade");
}

TEST(Leaf, NegativeDeltasAreTwosComplement) {
  const std::string bytes = Encoded(Example(LeafKind::kAdjustDown, false));
  const size_t at = 20 + 2 + 129 + 20;
  EXPECT_EQ(bytes.substr(at, 16), std::string(16, '\xFF'));
}

TEST(Leaf, EveryKindComesBackAndNoKindIsNamedTwice) {
  std::vector<std::string_view> names;
  for (uint8_t kind = 1; kind <= 17; ++kind) {
    for (const bool full : {false, true}) {
      const Leaf leaf = Example(static_cast<LeafKind>(kind), full);
      const std::string bytes = Encoded(leaf);
      const absl::StatusOr<Leaf> parsed = ParseLeaf(bytes);
      ASSERT_TRUE(parsed.ok()) << static_cast<int>(kind) << parsed.status();
      EXPECT_EQ(*parsed, leaf) << static_cast<int>(kind);
      EXPECT_EQ(Encoded(*parsed), bytes);
    }
    const std::string_view name = KindName(static_cast<LeafKind>(kind));
    EXPECT_THAT(names, testing::Not(testing::Contains(name)));
    names.push_back(name);
  }
  EXPECT_EQ(KindName(static_cast<LeafKind>(18)), "unknown");
}

TEST(Leaf, AppendsBehindWhatIsThere) {
  std::string out = "before";
  ASSERT_TRUE(AppendLeaf(Credit(), &out).ok());
  EXPECT_EQ(out, "before" + Encoded(Credit()));
}

TEST(Leaf, EveryPrefixAndEveryLongerOneIsRefused) {
  for (uint8_t kind = 1; kind <= 17; ++kind) {
    const std::string bytes = Encoded(Example(static_cast<LeafKind>(kind), true));
    for (size_t size = 0; size < bytes.size(); ++size) {
      EXPECT_FALSE(ParseLeaf(bytes.substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(ParseLeaf(bytes + '\0').ok());
  }
}

// One encoding a leaf: whatever single byte is changed, what still decodes encodes to those bytes.
TEST(Leaf, ChangedBytesAreRefusedOrAnotherLeaf) {
  const std::string bytes = Encoded(Example(LeafKind::kItemPaid, true));
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (const int flip : {1, 2, 4, 8, 16, 32, 64, 128}) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ flip);
      const absl::StatusOr<Leaf> parsed = ParseLeaf(changed);
      if (parsed.ok()) {
        EXPECT_EQ(Encoded(*parsed), changed) << at;
      }
    }
  }
}

TEST(Leaf, RefusedBytes) {
  const struct {
    const char* what;
    std::string bytes;
    const char* sentence;
  } kCases[] = {
      {"nothing", "", "header of 20 bytes"},
      {"version 2",
       Bytes("02"
             "0e"
             "0400") +
           std::string(48, 'x'),
       "version 2"},
      {"kind 0",
       Bytes("01"
             "00"
             "0000") +
           std::string(16, '\0'),
       "kind 0"},
      {"kind 18",
       Bytes("01"
             "12"
             "0000") +
           std::string(16, '\0'),
       "kind 18"},
      {"an unknown bit",
       Bytes("01"
             "0e"
             "1400") +
           std::string(48, 'x'),
       "bits 1000"},
      {"a field its kind has not",
       Bytes("01"
             "0e"
             "0401") +
           std::string(50, '\x01'),
       "bits 1"},
      {"a missing field",
       Bytes("01"
             "0e"
             "0000") +
           std::string(16, '\0'),
       "lacks fields"},
      {"too long", std::string(kMaxLeafBytes + 1, '\x01'), "too long"},
      {"an empty id",
       Bytes("01"
             "02"
             "0018") +
           std::string(16, '\0') + std::string(21, '\0'),
       "id"},
      {"an id of 129",
       Bytes("01"
             "02"
             "0018") +
           std::string(16, '\0') + '\x81' + std::string(129 + 20, 'a'),
       "id"},
  };
  for (const auto& test : kCases) {
    const absl::StatusOr<Leaf> parsed = ParseLeaf(test.bytes);
    ASSERT_FALSE(parsed.ok()) << test.what;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(test.sentence)) << test.what;
  }
}

TEST(Leaf, RefusedLeavesLeaveTheBufferAlone) {
  const struct {
    const char* what;
    std::function<void(Leaf&)> change;
  } kCases[] = {
      {"no kind", [](Leaf& leaf) { leaf.kind = static_cast<LeafKind>(0); }},
      {"no recipient", [](Leaf& leaf) { leaf.recipient.reset(); }},
      {"no balances", [](Leaf& leaf) { leaf.balances.reset(); }},
      {"a payout", [](Leaf& leaf) { leaf.payout = 1; }},
      {"the host's word", [](Leaf& leaf) { leaf.hosts_word = true; }},
      {"a long id", [](Leaf& leaf) { leaf.event_id = std::string(129, 'x'); }},
      {"a credit that takes", [](Leaf& leaf) { leaf.balances->delta = -1; }},
      {"2^127 wei", [](Leaf& leaf) { leaf.balances->paid = absl::uint128(1) << 127; }},
  };
  for (const auto& test : kCases) {
    Leaf leaf = Credit();
    test.change(leaf);
    std::string out = "kept";
    EXPECT_FALSE(AppendLeaf(leaf, &out).ok()) << test.what;
    EXPECT_EQ(out, "kept");
  }
}

}  // namespace
}  // namespace coffer::audit
