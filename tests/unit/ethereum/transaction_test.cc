#include "enclave_core/ethereum/transaction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

#include "enclave_core/ethereum/rlp.h"

namespace coffer::ethereum {
namespace {

using testing::HasSubstr;
using Type = Transaction::Type;

// The key of EIP-155's example.
PrivateKey Key() { return PrivateKey::FromBytes(std::string(32, '\x46')).value(); }

Transaction Example(Type type) {
  Transaction tx;
  tx.type = type;
  tx.chain_id = 42161;
  tx.nonce = 7;
  tx.gas_limit = 330172;
  tx.to = Address::FromHex("0xa8bb618b1520e284046f3dfc448851a1ff26e41b").value();
  tx.value = U256("1234567890123456789");
  tx.data = FromHex("0x6caa736b").value();
  if (type == Type::kDynamicFee) {
    tx.max_fee_per_gas = 30000000;
  } else {
    tx.gas_price = 20000000;
  }
  if (type != Type::kLegacy) {
    Hash ones;
    ones.bytes.fill(0x11);
    Address other;
    other.bytes.fill(0x35);
    tx.access_list = {
        {Address::FromHex("0xde709f2102306220921060314715629080e2fb77").value(), {ones, Hash{}}},
        {other, {}}};
  }
  return tx;
}

Transaction Creation() {
  Transaction tx = Example(Type::kDynamicFee);
  tx.to.reset();
  tx.value = 0;
  tx.max_priority_fee_per_gas = 1;
  tx.data = FromHex("0x6000").value();
  tx.access_list.clear();
  return tx;
}

Transaction Eip155() {
  Transaction tx;
  tx.type = Type::kLegacy;
  tx.chain_id = 1;
  tx.nonce = 9;
  tx.gas_price = 20000000000;
  tx.gas_limit = 21000;
  tx.to = Address::FromHex("0x3535353535353535353535353535353535353535").value();
  tx.value = U256("1000000000000000000");
  return tx;
}

struct Golden {
  Transaction transaction;
  const char* signing_hash;
  const char* raw;
  const char* hash;
};

// The first is the example of EIP-155, the others were made with ethers 6.
std::vector<Golden> Goldens() {
  return {
      {Eip155(), "0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53",
       "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a"
       "0"
       "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304"
       "b"
       "3800ccf555c9f3dc64214b297fb1966a3b6d83",
       "0x33469b22e9f636356c4160a87eb19df52b7412e8eac32a4a55ffe88ea8350788"},
      {Example(Type::kLegacy), "0x87dbd44e1a548eae4d9915b30a9b1918bedc1a4c039edd2eba26764ecb54726c",
       "0xf873078401312d00830509bc94a8bb618b1520e284046f3dfc448851a1ff26e41b88112210f47de9811584"
       "6caa736b83014986a057db4799579d128b34dc229e84a90e93731f8ca500bb3b2298ea7046f0212661a06932"
       "f70e464ab3b5367907d0c60334864422c4b7ced9ee39441f5cbfb6736315",
       "0x99f9ddd03ffa85ca250645481a20332c4a055fec8097f24e2c7b75cf13df2df1"},
      {Example(Type::kAccessList),
       "0x0ad609f689474bdc8b4daed1a12ea86da24b3092645f2b0dbc5093d74f534654",
       "0x01f8e782a4b1078401312d00830509bc94a8bb618b1520e284046f3dfc448851a1ff26e41b88112210f47d"
       "e98115846caa736bf872f85994de709f2102306220921060314715629080e2fb77f842a01111111111111111"
       "111111111111111111111111111111111111111111111111a000000000000000000000000000000000000000"
       "00000000000000000000000000d6943535353535353535353535353535353535353535c001a08a438c92f766"
       "9616e0abae85112743aaf9219f1539815dc718eca43dee5242f5a04c4e653dcc1dd227b03a5990cfe885cbf8"
       "030faa80ca1580af34e928fce20f5e",
       "0x0d3bca8236dda985252ecbeedf887987f6da4d8a154c42425b13f420ebde97b2"},
      {Example(Type::kDynamicFee),
       "0x0b6c0bbb66b888ff2b63605aa4d4c3073c68e24cd0cab4230bb75e9753d3755c",
       "0x02f8e882a4b107808401c9c380830509bc94a8bb618b1520e284046f3dfc448851a1ff26e41b88112210f4"
       "7de98115846caa736bf872f85994de709f2102306220921060314715629080e2fb77f842a011111111111111"
       "11111111111111111111111111111111111111111111111111a0000000000000000000000000000000000000"
       "0000000000000000000000000000d6943535353535353535353535353535353535353535c001a0923e349eb9"
       "d75580f325523ebacb47d81dc849285ba9ebbd5f0eb76aabc4b703a0717e8b948c24c59293d8b36d192a206f"
       "354d824d2dad344442051f251323e95b",
       "0xb7a1cc73b8fb566ce1648b51c0e26a02fd5796d2130824160d5d0275d391ff69"},
      {Creation(), "0xc938b77d877cd7570d5a78f841ff9efdd282b1ccd1c7694e650db841a9085a4a",
       "0x02f85782a4b107018401c9c380830509bc8080826000c001a0301e8ad103b6679785a8be15c43888fae429"
       "f3332aef1a84ef0e05967498d98aa07d285f43a827e5bee189815bddd29505245ce872fdd047cfe899a34a01"
       "48f610",
       "0xdcef719d7efc3871f4748ee2d0865f85731322e9c6f72156d2b6801c9feb7d04"},
  };
}

TEST(TransactionTest, GoldenBytes) {
  for (const Golden& golden : Goldens()) {
    SCOPED_TRACE(golden.raw);
    EXPECT_EQ(golden.transaction.SigningHash().ToHex(), golden.signing_hash);
    const SignedTransaction made = SignTransaction(golden.transaction, Key());
    EXPECT_EQ(ToHex(made.Encode()), golden.raw);
    EXPECT_EQ(made.TransactionHash().ToHex(), golden.hash);
    EXPECT_EQ(made.Sender().value(), Key().address());
    const auto parsed = ParseSignedTransaction(FromHex(golden.raw).value());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->transaction, golden.transaction);
    EXPECT_EQ(parsed->signature, made.signature);
  }
}

TEST(TransactionTest, EveryPrefixAndEveryTrailingByteIsRefused) {
  for (const Golden& golden : Goldens()) {
    const std::string raw = FromHex(golden.raw).value();
    for (size_t size = 0; size < raw.size(); ++size) {
      ASSERT_FALSE(ParseSignedTransaction(std::string_view(raw).substr(0, size)).ok()) << size;
    }
    EXPECT_FALSE(ParseSignedTransaction(raw + '\0').ok());
  }
}

TEST(TransactionTest, LargestNumbersRoundTrip) {
  for (const Type type : {Type::kLegacy, Type::kAccessList, Type::kDynamicFee}) {
    Transaction tx = Example(type);
    tx.chain_id = tx.nonce = tx.gas_limit = ~uint64_t{0};
    tx.value = ~U256(0);
    (type == Type::kDynamicFee ? tx.max_fee_per_gas : tx.gas_price) = ~U256(0);
    const auto parsed = ParseSignedTransaction(SignTransaction(tx, Key()).Encode());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->transaction, tx);
  }
}

TEST(TransactionTest, ManyAccessListEntriesFitIntoTheLimits) {
  Transaction tx = Example(Type::kAccessList);
  tx.access_list.assign(5600, AccessListEntry{});  // 23 bytes each
  const std::string raw = SignTransaction(tx, Key()).Encode();
  ASSERT_LE(raw.size(), kMaxTransactionBytes);
  EXPECT_TRUE(ParseSignedTransaction(raw).ok());
  tx.data.assign(kMaxTransactionBytes, 'x');
  EXPECT_THAT(
      std::string(ParseSignedTransaction(SignTransaction(tx, Key()).Encode()).status().message()),
      HasSubstr("allowed are 131072"));
}

std::string RlpBytes(std::string_view bytes) {
  std::string out;
  rlp::AppendBytes(bytes, out);
  return out;
}

// The fields of a valid type-2 transaction, each as its encoding, to be broken one at a time.
std::vector<std::string> Fields() {
  const std::string raw = SignTransaction(Example(Type::kDynamicFee), Key()).Encode();
  const std::string_view list = std::string_view(raw).substr(1);
  std::vector<std::string> fields;
  const rlp::Item item = rlp::Decode(list).value();
  for (const rlp::Item& field : item.items) fields.emplace_back(field.encoding);
  return fields;
}

std::string Join(const std::vector<std::string>& fields) {
  std::string payload;
  for (const std::string& field : fields) payload += field;
  return '\x02' + rlp::EncodeList(payload);
}

TEST(TransactionTest, RefusesBrokenFieldsAndNamesThem) {
  using Fs = std::vector<std::string>;
  const std::string list = rlp::EncodeList("");
  const struct {
    std::function<void(Fs&)> change;
    const char* error;
  } cases[] = {
      {[](Fs& f) { f.pop_back(); }, "12 fields, got 11"},
      {[](Fs& f) { f.push_back("\x80"); }, "12 fields, got 13"},
      {[](Fs& f) { f[0] = std::string(1, '\0'); }, "chainId"},
      {[](Fs& f) { f[1] = RlpBytes(std::string(9, '\x01')); }, "nonce"},
      {[](Fs& f) { f[2] = RlpBytes(std::string(33, '\x01')); }, "maxPriorityFeePerGas"},
      {[&](Fs& f) { f[3] = list; }, "maxFeePerGas"},
      {[](Fs& f) { f[4] = RlpBytes(std::string("\0\x01", 2)); }, "gasLimit"},
      {[](Fs& f) { f[5] = RlpBytes(std::string(19, 'a')); }, "to"},
      {[](Fs& f) { f[5] = RlpBytes(std::string(21, 'a')); }, "to"},
      {[&](Fs& f) { f[5] = list; }, "to is a list"},
      {[&](Fs& f) { f[6] = list; }, "value"},
      {[&](Fs& f) { f[7] = list; }, "data is a list"},
      {[](Fs& f) { f[8] = RlpBytes(""); }, "accessList is not a list"},
      {[&](Fs& f) { f[8] = rlp::EncodeList(list); }, "accessList has an entry"},
      {[&](Fs& f) { f[8] = rlp::EncodeList(rlp::EncodeList(RlpBytes("short") + list)); },
       "accessList address"},
      {[&](Fs& f) {
         f[8] = rlp::EncodeList(rlp::EncodeList(RlpBytes(std::string(20, 'a')) +
                                                rlp::EncodeList(RlpBytes(std::string(31, 'k')))));
       },
       "storage key"},
      {[](Fs& f) { f[9] = RlpBytes("\x02"); }, "parity"},
      {[](Fs& f) { f[9] = RlpBytes("\x1b"); }, "parity"},
      {[](Fs& f) { f[10] = RlpBytes(""); }, "r or s is zero"},
      {[](Fs& f) { f[10] = RlpBytes(std::string(32, '\xff')); }, "group order"},
      {[](Fs& f) { f[11] = RlpBytes(std::string(32, '\xf0')); }, "EIP-2"},
      {[](Fs& f) { f[11] = RlpBytes(std::string(33, '\x01')); }, "s is wrong"},
  };
  ASSERT_TRUE(ParseSignedTransaction(Join(Fields())).ok());
  for (const auto& c : cases) {
    Fs fields = Fields();
    c.change(fields);
    const auto parsed = ParseSignedTransaction(Join(fields));
    ASSERT_FALSE(parsed.ok()) << c.error;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(c.error));
  }
}

TEST(TransactionTest, RefusesOtherEnvelopes) {
  const struct {
    const char* hex;
    const char* error;
  } cases[] = {
      {"", "no bytes"},
      {"0x00c0", "type 0 is not known"},
      {"0x03c0", "type 3 is not known"},
      {"0x7f", "not known"},
      {"0xbf", "not known"},
      {"0x02", "missing"},
      {"0x0280", "12 fields"},
      {"0x01c0", "11 fields, got 0"},
      {"0xc0", "9 fields, got 0"},
  };
  for (const auto& c : cases) {
    const auto parsed = ParseSignedTransaction(FromHex(c.hex).value());
    ASSERT_FALSE(parsed.ok()) << c.hex;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(c.error)) << c.hex;
  }
}

TEST(TransactionTest, RefusesLegacyWithoutReplayProtection) {
  const std::string raw = SignTransaction(Eip155(), Key()).Encode();
  const size_t v = raw.find('\x25', raw.size() - 68);  // 37 = 1 * 2 + 35 + 0
  ASSERT_EQ(v, raw.size() - 67);
  for (const int value : {0, 1, 26, 27, 28, 35, 36}) {
    std::string changed = raw;
    changed[v] = static_cast<char>(value == 0 ? 0x80 : value);
    const auto parsed = ParseSignedTransaction(changed);
    ASSERT_FALSE(parsed.ok()) << value;
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("EIP-155")) << value;
  }
}

TEST(TransactionDeathTest, LegacyForEveryChainIsABug) {
  Transaction tx = Eip155();
  tx.chain_id = 0;
  EXPECT_DEATH((void)SignTransaction(tx, Key()), "replay-protected");
}

}  // namespace
}  // namespace coffer::ethereum
