#include "enclave_core/audit/leaf.h"

#include <array>

#include "absl/strings/str_cat.h"

namespace coffer::audit {
namespace {

enum Field : uint16_t {
  kEventId = 1 << 0,
  kPayout = 1 << 1,
  kItem = 1 << 2,
  kAccount = 1 << 3,
  kRecipient = 1 << 4,
  kBalances = 1 << 5,
  kAmount = 1 << 6,
  kTxHash = 1 << 7,
  kTicketHash = 1 << 8,
  kContentHash = 1 << 9,
  kDigest = 1 << 10,
  kHostsWord = 1 << 11,
};

enum class Sign : uint8_t { kAny, kNotNegative, kNotPositive };

struct KindRule {
  std::string_view name;
  uint16_t required;
  uint16_t optional;
  Sign delta;
};

constexpr uint16_t kChange = kAccount | kRecipient | kBalances;
constexpr uint16_t kItemChange = kPayout | kItem | kChange;

// By number; the first is no kind.
constexpr std::array<KindRule, 18> kRules = {{
    {"unknown", 0, 0, Sign::kAny},
    {"genesis", kRecipient | kContentHash, 0, Sign::kAny},
    {"account_opened", kAccount | kRecipient, 0, Sign::kAny},
    {"credit", kEventId | kChange, kContentHash, Sign::kNotNegative},
    {"adjust_up", kEventId | kChange, kContentHash, Sign::kNotNegative},
    {"adjust_down", kEventId | kChange, kContentHash, Sign::kNotPositive},
    {"payout_reserved", kItemChange, kContentHash, Sign::kNotPositive},
    {"payout_signed", kPayout | kTxHash, kContentHash, Sign::kAny},
    {"ticket_signed", kPayout | kItem | kTicketHash, kAccount | kRecipient | kAmount, Sign::kAny},
    {"item_paid", kItemChange | kAmount | kTxHash, kTicketHash | kHostsWord, Sign::kNotNegative},
    {"item_voided", kItemChange, kTicketHash | kContentHash, Sign::kNotNegative},
    {"payout_reverted", kPayout | kTxHash, kItem | kChange | kAmount | kTicketHash, Sign::kAny},
    {"funding", kPayout | kAmount, kTxHash | kHostsWord, Sign::kAny},
    {"policy_changed", kContentHash, 0, Sign::kAny},
    {"signature", kDigest, kRecipient | kAmount | kTxHash | kTicketHash | kContentHash, Sign::kAny},
    {"carried_over", kChange, 0, Sign::kNotNegative},
    {"signing_key_added", kRecipient, 0, Sign::kAny},
    {"signing_key_retired", kRecipient, 0, Sign::kAny},
}};

const KindRule* RuleOf(uint8_t kind) {
  return kind == 0 || kind >= kRules.size() ? nullptr : &kRules[kind];
}

uint16_t FieldsOf(const Leaf& leaf) {
  const auto bit = [](bool present, Field field) { return present ? field : 0; };
  return static_cast<uint16_t>(
      bit(!leaf.event_id.empty(), kEventId) | bit(leaf.payout.has_value(), kPayout) |
      bit(leaf.item.has_value(), kItem) | bit(!leaf.account.empty(), kAccount) |
      bit(leaf.recipient.has_value(), kRecipient) | bit(leaf.balances.has_value(), kBalances) |
      bit(leaf.amount.has_value(), kAmount) | bit(leaf.tx_hash.has_value(), kTxHash) |
      bit(leaf.ticket_hash.has_value(), kTicketHash) |
      bit(leaf.content_hash.has_value(), kContentHash) | bit(leaf.digest.has_value(), kDigest) |
      bit(leaf.hosts_word, kHostsWord));
}

// Empty when the fields fit the kind; else what is wrong.
std::string FieldsError(uint8_t kind, uint16_t fields) {
  const KindRule* rule = RuleOf(kind);
  if (rule == nullptr) return absl::StrCat("leaf kind ", kind, " is unknown");
  if ((fields & rule->required) != rule->required) {
    return absl::StrCat("a leaf of kind ", std::string(rule->name), " lacks fields: it has bits ",
                        absl::Hex(fields), " and needs ", absl::Hex(rule->required));
  }
  const int extra = fields & ~(rule->required | rule->optional);
  if (extra == 0) return {};
  return absl::StrCat("a leaf of kind ", std::string(rule->name), " has no fields of bits ",
                      absl::Hex(extra));
}

constexpr absl::uint128 kMaxWei = (absl::uint128(1) << 127) - 1;

std::string BalancesError(const Leaf& leaf) {
  if (leaf.amount.value_or(0) > kMaxWei) return "a leaf's amount is above 2^127 - 1 wei";
  if (!leaf.balances) return {};
  const Balances& balances = *leaf.balances;
  if (balances.available > kMaxWei || balances.reserved > kMaxWei || balances.paid > kMaxWei) {
    return "a leaf's balance is above 2^127 - 1 wei";
  }
  const Sign sign = RuleOf(static_cast<uint8_t>(leaf.kind))->delta;
  if ((sign == Sign::kNotNegative && balances.delta < 0) ||
      (sign == Sign::kNotPositive && balances.delta > 0)) {
    return absl::StrCat("a leaf of kind ", std::string(KindName(leaf.kind)),
                        " moves the available balance the wrong way");
  }
  return {};
}

// Big-endian, in as many bytes as the type has.
template <typename T>
void AppendInteger(T value, std::string* out) {
  std::array<char, sizeof(T)> big{};
  for (size_t i = 0; i < sizeof(T); ++i) {
    big[i] = static_cast<char>(value >> (8 * (sizeof(T) - 1 - i)));
  }
  out->append(big.data(), big.size());
}

void AppendWei(absl::uint128 value, std::string* out) {
  AppendInteger(absl::Uint128High64(value), out);
  AppendInteger(absl::Uint128Low64(value), out);
}

void AppendId(const std::string& id, std::string* out) {
  out->push_back(static_cast<char>(id.size()));
  out->append(id);
}

void AppendHash(const std::optional<Hash>& hash, std::string* out) {
  if (hash) out->append(hash->view());
}

// Takes fields off the front; once something is missing every further read is empty and ok() false.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in) {}
  bool ok() const { return ok_; }
  size_t left() const { return in_.size(); }
  std::string_view Bytes(size_t size) {
    if (!ok_ || in_.size() < size) {
      ok_ = false;
      return {};
    }
    const std::string_view out = in_.substr(0, size);
    in_.remove_prefix(size);
    return out;
  }
  uint64_t Integer(size_t size) {
    uint64_t value = 0;
    for (const char c : Bytes(size)) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  absl::uint128 Wei() {
    const uint64_t high = Integer(8);
    return absl::MakeUint128(high, Integer(8));
  }
  std::string Id() {
    const uint64_t size = Integer(1);
    if (size == 0 || size > kMaxLeafIdBytes) ok_ = false;
    return std::string(Bytes(size));
  }
  template <typename T>
  T Fixed() {
    const std::string_view bytes = Bytes(T::kSize);
    T out;
    if (ok_) std::copy(bytes.begin(), bytes.end(), out.bytes.begin());
    return out;
  }

 private:
  std::string_view in_;
  bool ok_ = true;
};

void ReadFields(Reader& in, uint16_t fields, Leaf& leaf) {
  if (fields & kEventId) leaf.event_id = in.Id();
  if (fields & kPayout) leaf.payout = in.Integer(8);
  if (fields & kItem) leaf.item = static_cast<uint32_t>(in.Integer(4));
  if (fields & kAccount) leaf.account = in.Id();
  if (fields & kRecipient) leaf.recipient = in.Fixed<Address>();
  if (fields & kBalances) {
    Balances& balances = leaf.balances.emplace();
    balances.delta = absl::int128(in.Wei());
    balances.available = in.Wei();
    balances.reserved = in.Wei();
    balances.paid = in.Wei();
  }
  if (fields & kAmount) leaf.amount = in.Wei();
  if (fields & kTxHash) leaf.tx_hash = in.Fixed<Hash>();
  if (fields & kTicketHash) leaf.ticket_hash = in.Fixed<Hash>();
  if (fields & kContentHash) leaf.content_hash = in.Fixed<Hash>();
  if (fields & kDigest) leaf.digest = in.Fixed<Hash>();
  leaf.hosts_word = (fields & kHostsWord) != 0;
}

}  // namespace

std::string_view KindName(LeafKind kind) {
  const KindRule* rule = RuleOf(static_cast<uint8_t>(kind));
  return rule == nullptr ? kRules[0].name : rule->name;
}

absl::Status AppendLeaf(const Leaf& leaf, std::string* out) {
  const auto kind = static_cast<uint8_t>(leaf.kind);
  const uint16_t fields = FieldsOf(leaf);
  if (std::string error = FieldsError(kind, fields); !error.empty()) {
    return absl::InvalidArgumentError(error);
  }
  if (leaf.event_id.size() > kMaxLeafIdBytes || leaf.account.size() > kMaxLeafIdBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("an id in a leaf is longer than ", kMaxLeafIdBytes, " bytes"));
  }
  if (std::string error = BalancesError(leaf); !error.empty()) {
    return absl::InvalidArgumentError(error);
  }
  out->push_back(static_cast<char>(kLeafVersion));
  out->push_back(static_cast<char>(kind));
  AppendInteger(static_cast<uint16_t>(fields), out);
  AppendInteger(leaf.sequence, out);
  AppendInteger(leaf.claimed_time, out);
  if (fields & kEventId) AppendId(leaf.event_id, out);
  if (leaf.payout) AppendInteger(*leaf.payout, out);
  if (leaf.item) AppendInteger(*leaf.item, out);
  if (fields & kAccount) AppendId(leaf.account, out);
  if (leaf.recipient) out->append(leaf.recipient->view());
  if (leaf.balances) {
    AppendWei(absl::uint128(leaf.balances->delta), out);
    AppendWei(leaf.balances->available, out);
    AppendWei(leaf.balances->reserved, out);
    AppendWei(leaf.balances->paid, out);
  }
  if (leaf.amount) AppendWei(*leaf.amount, out);
  AppendHash(leaf.tx_hash, out);
  AppendHash(leaf.ticket_hash, out);
  AppendHash(leaf.content_hash, out);
  AppendHash(leaf.digest, out);
  return absl::OkStatus();
}

absl::StatusOr<Leaf> ParseLeaf(std::string_view bytes) {
  if (bytes.size() > kMaxLeafBytes) {
    return absl::DataLossError(absl::StrCat("a leaf of ", bytes.size(),
                                            " bytes is too long: the most is ", kMaxLeafBytes));
  }
  Reader in(bytes);
  const uint64_t version = in.Integer(1);
  if (in.ok() && version != kLeafVersion) {
    return absl::DataLossError(absl::StrCat("leaf version ", version, " is unknown; this reads ",
                                            static_cast<int>(kLeafVersion)));
  }
  const auto kind = static_cast<uint8_t>(in.Integer(1));
  const auto fields = static_cast<uint16_t>(in.Integer(2));
  Leaf leaf;
  leaf.sequence = in.Integer(8);
  leaf.claimed_time = in.Integer(8);
  if (!in.ok()) return absl::DataLossError("a leaf ends before its header of 20 bytes does");
  if (std::string error = FieldsError(kind, fields); !error.empty()) {
    return absl::DataLossError(error);
  }
  leaf.kind = static_cast<LeafKind>(kind);
  ReadFields(in, fields, leaf);
  if (!in.ok()) {
    return absl::DataLossError("a leaf is cut off, or an id in it has a length outside 1..128");
  }
  if (in.left() != 0) {
    return absl::DataLossError(
        absl::StrCat("a leaf has ", in.left(), " bytes after its last field"));
  }
  if (std::string error = BalancesError(leaf); !error.empty()) return absl::DataLossError(error);
  return leaf;
}

}  // namespace coffer::audit
