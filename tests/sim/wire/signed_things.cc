#include "tests/sim/wire/signed_things.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "enclave_core/ethereum/rlp.h"
#include "enclave_core/ethereum/signature.h"

namespace coffer::sim::wire {
namespace {

namespace rlp = ethereum::rlp;

// livepeer/protocol, TicketBroker: the first four bytes of each function's signature's keccak.
constexpr std::string_view kRedeem("\xec\x8b\x3c\xb6", 4);
constexpr std::string_view kBatchRedeem("\xd0\x1b\x80\x8e", 4);
constexpr std::string_view kFundDeposit("\x6c\xaa\x73\x6b", 4);
constexpr std::string_view kFundReserve("\x6f\x9c\x3c\x8f", 4);
constexpr std::string_view kUnlock("\xa6\x9d\xf4\xb5", 4);
constexpr std::string_view kWithdraw("\x3c\xcf\xd6\x0b", 4);

// A reader of ABI words that remembers that it ran over the end.
class Words {
 public:
  explicit Words(std::string_view bytes) : bytes_(bytes) {}
  U256 Uint(size_t at) {
    const absl::StatusOr<U256> value = ethereum::U256FromBytes(Bytes(at, 32));
    return value.ok() ? *value : U256(0);
  }
  size_t Size(size_t at) {
    const U256 value = Uint(at);
    if (value > bytes_.size()) wrong_ = true;
    return wrong_ ? 0 : static_cast<size_t>(value);
  }
  Address AddressAt(size_t at) {
    if ((Uint(at) >> 160) != 0) wrong_ = true;
    return wrong_ ? Address{} : *Address::FromBytes(Bytes(at + 12, 20));
  }
  Hash HashAt(size_t at) { return *Hash::FromBytes(Bytes(at, 32)); }
  // A dynamic `bytes`, whose length is at `at`.
  std::string Dynamic(size_t at) {
    const size_t length = Size(at);
    return Bytes(at + 32, length);
  }
  bool wrong() const { return wrong_; }

 private:
  std::string Bytes(size_t at, size_t length) {
    if (wrong_ || at > bytes_.size() || length > bytes_.size() - at) {
      wrong_ = true;
      return std::string(length, '\0');  // a length that was read is at most all bytes
    }
    return std::string(bytes_.substr(at, length));
  }
  const std::string_view bytes_;
  bool wrong_ = false;
};

std::string Word(const U256& value) { return ethereum::ToBytes32(value); }

// abi.encodePacked of all fields, auxData last.
Hash TicketHash(const Ticket& ticket, const Hash& rand_hash) {
  return ethereum::Keccak256(
      absl::StrCat(std::string(ticket.recipient.view()), std::string(ticket.sender.view()),
                   Word(ticket.face_value), Word(ticket.win_prob), Word(ticket.sender_nonce),
                   std::string(rand_hash.view()), Word(ticket.creation_round),
                   std::string(ticket.creation_round_block_hash.view())));
}

// The tuple at `tuple`, its signature at `signature` and its preimage.
std::string ReadTicket(Words& words, size_t tuple, size_t signature, const U256& rand,
                       const Address& signer, Ticket* out) {
  out->recipient = words.AddressAt(tuple);
  out->sender = words.AddressAt(tuple + 32);
  out->face_value = words.Uint(tuple + 64);
  out->win_prob = words.Uint(tuple + 96);
  out->sender_nonce = words.Uint(tuple + 128);
  const Hash rand_hash = words.HashAt(tuple + 160);
  const std::string aux = words.Dynamic(tuple + words.Size(tuple + 192));
  const std::string sig = words.Dynamic(signature);
  if (words.wrong()) return "calldata of a redemption that does not end where it must";
  if (aux.size() != 64) return "a ticket whose auxData is not 64 bytes";
  out->creation_round = *ethereum::U256FromBytes(aux.substr(0, 32));
  out->creation_round_block_hash = *Hash::FromBytes(aux.substr(32));
  out->recipient_rand = rand;
  if (ethereum::Keccak256(Word(rand)) != rand_hash) return "a recipientRand without its hash";
  if (out->sender != signer) return "a ticket of another sender";
  out->hash = TicketHash(*out, rand_hash);
  const auto parsed = ethereum::Signature::FromBytes65(sig);
  if (!parsed.ok()) return "a ticket whose signature is none";
  const auto who = ethereum::RecoverAddress(ethereum::Eip191Hash(out->hash.view()), *parsed);
  if (!who.ok() || *who != signer) return "a ticket that its transaction's key did not sign";
  return {};
}

std::string ReadTickets(std::string_view arguments, bool batch, const Address& signer,
                        std::vector<Ticket>* out) {
  Words words(arguments);
  if (!batch) {
    out->emplace_back();
    return ReadTicket(words, words.Size(0), words.Size(32), words.Uint(64), signer, &out->back());
  }
  const size_t tickets = words.Size(0);
  const size_t signatures = words.Size(32);
  const size_t rands = words.Size(64);
  const size_t count = words.Size(tickets);
  if (words.Size(signatures) != count || words.Size(rands) != count || words.wrong()) {
    return "a batch whose three arrays are not of one length";
  }
  for (size_t i = 0; i < count; ++i) {
    const size_t word = 32 * (i + 1);
    const size_t tuple = tickets + 32 + words.Size(tickets + word);
    const size_t signature = signatures + 32 + words.Size(signatures + word);
    out->emplace_back();
    std::string wrong =
        ReadTicket(words, tuple, signature, words.Uint(rands + word), signer, &out->back());
    if (!wrong.empty()) return wrong;
  }
  return {};
}

std::string ReadCall(std::string_view data, const Address& signer, SignedTransaction* out) {
  using Kind = SignedTransaction::Kind;
  if (data.empty()) return {};
  const std::string_view selector = data.substr(0, 4);
  if (selector == kFundDeposit || selector == kFundReserve) {
    out->kind = selector == kFundDeposit ? Kind::kFundDeposit : Kind::kFundReserve;
    return data.size() == 4 ? "" : "a funding with arguments";
  }
  if (selector == kUnlock || selector == kWithdraw) {
    out->kind = selector == kUnlock ? Kind::kUnlock : Kind::kWithdraw;
    return data.size() == 4 ? "" : "a withdrawal with arguments";
  }
  if (selector != kRedeem && selector != kBatchRedeem) return "a call that nobody knows";
  const bool batch = selector == kBatchRedeem;
  out->kind = batch ? Kind::kBatchRedeem : Kind::kRedeem;
  return ReadTickets(data.substr(4), batch, signer, &out->tickets);
}

bool IsEvent(const boundary::v1::Log& log, std::string_view signature) {
  return log.topics_size() == 3 &&
         log.topics(0) == std::string(ethereum::Keccak256(signature).view());
}

Address Party(const boundary::v1::Log& log, int topic) {
  const std::string& word = log.topics(topic);
  if (word.size() != 32) return {};
  return *Address::FromBytes(std::string_view(word).substr(12));
}

}  // namespace

bool Redemption::Redeems(const Ticket& ticket) const {
  return sender == ticket.sender && recipient == ticket.recipient &&
         face_value == ticket.face_value && win_prob == ticket.win_prob &&
         sender_nonce == ticket.sender_nonce && recipient_rand == ticket.recipient_rand &&
         creation_round == ticket.creation_round &&
         creation_round_block_hash == ticket.creation_round_block_hash;
}

std::string ReadTransaction(std::string_view raw, absl::Span<const Address> signers,
                            const Address& broker, SignedTransaction* out) {
  if (raw.empty() || raw[0] != 2) return "a transaction that is not of type 2";
  const auto list = rlp::Decode(raw.substr(1));
  if (!list.ok() || !list->is_list || list->items.size() != 12) return "no RLP of 12 fields";
  const auto number = [&](size_t i) {
    const absl::StatusOr<U256> value = rlp::ToU256(list->items[i]);
    return value.ok() ? *value : ~U256(0);
  };
  out->hash = ethereum::Keccak256(raw);
  out->chain_id = number(0);
  out->nonce = number(1);
  out->max_priority_fee = number(2);
  out->max_fee = number(3);
  out->gas_limit = number(4);
  const auto to = Address::FromBytes(list->items[5].bytes);
  if (!to.ok()) return "a contract creation";
  out->to = *to;
  out->value = number(6);
  if (!list->items[8].items.empty()) return "a transaction with an access list";
  std::string unsigned_fields;
  for (size_t i = 0; i < 9; ++i) unsigned_fields += list->items[i].encoding;
  const Hash digest = ethereum::Keccak256(absl::StrCat("\x02", rlp::EncodeList(unsigned_fields)));
  const auto signature = ethereum::Signature::FromParts(*Hash::FromBytes(Word(number(10))),
                                                        *Hash::FromBytes(Word(number(11))),
                                                        static_cast<uint8_t>(number(9) & 0xff));
  if (!signature.ok()) return "a transaction whose signature is none";
  const auto who = ethereum::RecoverAddress(digest, *signature);
  if (!who.ok() || std::find(signers.begin(), signers.end(), *who) == signers.end()) {
    return "a transaction that no key of the enclave's signed";
  }
  out->signer = *who;
  if (std::string wrong = ReadCall(list->items[7].bytes, *who, out); !wrong.empty()) return wrong;
  if (out->kind != SignedTransaction::Kind::kTransfer && out->to != broker) {
    return absl::StrCat("a call of the broker's that goes to ", out->to.ToHex());
  }
  return {};
}

std::vector<Redemption> ReadRedemptions(
    const Address& broker, const google::protobuf::RepeatedPtrField<boundary::v1::Log>& logs) {
  static constexpr char kTransfer[] = "WinningTicketTransfer(address,address,uint256)";
  static constexpr char kRedeemed[] =
      "WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)";
  std::vector<Redemption> out;
  std::optional<U256> transferred;
  Address transferred_from, transferred_to;
  for (const boundary::v1::Log& log : logs) {
    if (log.address() != broker.view()) continue;
    Words words(log.data());
    if (IsEvent(log, kTransfer)) {
      transferred = words.Uint(0);
      transferred_from = Party(log, 1);
      transferred_to = Party(log, 2);
    } else if (IsEvent(log, kRedeemed)) {
      Redemption one;
      one.sender = Party(log, 1);
      one.recipient = Party(log, 2);
      one.face_value = words.Uint(0);
      one.win_prob = words.Uint(32);
      one.sender_nonce = words.Uint(64);
      one.recipient_rand = words.Uint(96);
      const std::string aux = words.Dynamic(words.Size(128));
      if (transferred.has_value() && transferred_from == one.sender &&
          transferred_to == one.recipient) {
        one.paid = *transferred;
      }
      transferred.reset();
      if (words.wrong() || aux.size() != 64) continue;
      one.creation_round = *ethereum::U256FromBytes(aux.substr(0, 32));
      one.creation_round_block_hash = *Hash::FromBytes(aux.substr(32));
      out.push_back(one);
    }
  }
  return out;
}

}  // namespace coffer::sim::wire
