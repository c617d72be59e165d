// For the auditor's own tests: an enclave's door made by hand. Whoever writes a test says which
// frames pass, with leaves, records and signatures that are well made, and breaks one rule.
#ifndef COFFER_TESTS_SIM_WIRE_DOOR_H_
#define COFFER_TESTS_SIM_WIRE_DOOR_H_

#include <string>
#include <utility>
#include <vector>

#include "enclave_core/audit/leaf.h"
#include "enclave_core/audit/log_keys.h"
#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/ticket_broker_calls.h"
#include "enclave_core/ethereum/transaction.h"
#include "enclave_core/policy/typed_data.h"
#include "tests/sim/adversary/hostile_world.h"
#include "tests/sim/adversary/memory.h"
#include "tests/sim/wire/wire_auditor.h"

namespace coffer::sim {

using audit::Leaf;
using audit::LeafKind;
using boundary::v1::ClientFrame;
using boundary::v1::ServerFrame;
using ethereum::Address;
using ethereum::Hash;

inline const Address kAlice = *Address::FromBytes(std::string(20, '\x77'));
inline const Address kBroker = *Address::FromBytes(std::string(20, '\xb0'));

// The signing keys of a story, by epoch.
inline ethereum::PrivateKey DoorKey(size_t epoch) {
  if (epoch == 0) return HostileWorldKey();
  return *ethereum::PrivateKey::FromBytes(std::string(32, static_cast<char>('\x60' + epoch)));
}

inline std::string Text(const Address& address) { return std::string(address.view()); }

inline policy::Policy DoorPolicy() {
  policy::Policy policy;
  policy.chain_id = 42161;
  policy.broker = kBroker;
  policy.allow_eth_transfer = true;
  policy.max_face_value = policy.max_transfer = 1000;
  policy.max_batch_total = 2000;
  policy.max_tickets = 2;
  policy.max_gas_limit = 1'000'000;
  policy.max_fee_per_gas = policy.max_priority_fee_per_gas = 1000;
  policy.max_fund_deposit = 1000;
  policy.ticket_validity_rounds = 2;
  policy.admins = {AdminKey(0).address()};
  policy.admin_threshold = 1;
  return policy;
}

class Door {
 public:
  explicit Door(const policy::Policy& policy = DoorPolicy())
      : auditor(policy, HostileWorldKey().address()), policy_(policy) {
    auditor.OnEnclaveStarted(1);
  }

  // ---- frames
  uint64_t Ask(ClientFrame frame) {
    frame.set_request_id(++id_);
    auditor.OnToEnclave(enclave, 1, frame.SerializeAsString());
    return id_;
  }
  void Say(ServerFrame frame, uint64_t id) {
    frame.set_request_id(id);
    auditor.OnFromEnclave(enclave, 1, frame.SerializeAsString());
  }
  void Stored(uint64_t connection = 1) {
    ClientFrame frame;
    frame.mutable_stored()->set_sequence(sequence);
    auditor.OnToEnclave(enclave, connection, frame.SerializeAsString());
  }

  // ---- records
  Leaf& Add(LeafKind kind) {
    leaves_.emplace_back();
    leaves_.back().kind = kind;
    leaves_.back().sequence = tree.size() + leaves_.size() - 1;
    return leaves_.back();
  }
  // Hands out a record with the leaves added since the last one.
  void HandOut() {
    ServerFrame frame;
    boundary::v1::Store* store = frame.mutable_store();
    store->set_kind(boundary::v1::Store::KIND_RECORD);
    store->set_sequence(++sequence);
    for (const Leaf& leaf : leaves_) {
      std::string bytes;
      (void)audit::AppendLeaf(leaf, &bytes);
      hashes.push_back(audit::LeafHash(bytes));
      tree.Append(hashes.back());
      store->mutable_leaves()->push_back(static_cast<char>(bytes.size() >> 8));
      store->mutable_leaves()->push_back(static_cast<char>(bytes.size()));
      store->mutable_leaves()->append(bytes);
    }
    leaves_.clear();
    store->set_tree_size(tree.size());
    std::string sealed = std::string("CFR1\x01\0\0\0", 8);
    sealed.push_back(static_cast<char>(state_epoch));
    for (int shift = 56; shift >= 0; shift -= 8) {
      sealed.push_back(static_cast<char>(sequence >> shift));
    }
    // Chunk index and count, salt, a counter that no other record has, a text and its tag.
    sealed += std::string(head.view()) + std::string(40, 'x') + std::string(7, '\0');
    sealed.push_back(static_cast<char>(++seals));
    sealed += std::string(40, 'x');
    store->set_sealed(sealed);
    head = audit::Sha256(sealed);
    records.push_back(sealed);
    auditor.OnFromEnclave(enclave, 1, frame.SerializeAsString());
  }
  void HandOutAndStore() {
    HandOut();
    Stored();
  }

  // ---- a story
  void Load(const std::vector<std::string>& sealed = {}) {
    ClientFrame frame;
    ServerFrame answer;
    frame.mutable_load_begin();
    answer.mutable_load_begun();
    Say(answer, Ask(frame));
    for (const std::string& piece : sealed) {
      frame.mutable_load_record()->set_sealed(piece);
      answer.mutable_record_loaded();
      Say(answer, Ask(frame));
    }
    frame.mutable_load_end();
    answer.mutable_load_done();
    Say(answer, Ask(frame));
  }
  void Found() {
    Load();
    Leaf& genesis = Add(LeafKind::kGenesis);
    genesis.recipient = HostileWorldKey().address();
    genesis.content_hash = policy::PolicyHash(policy_);
    HandOutAndStore();
  }
  static ClientFrame CreditRequest(const std::string& id, uint64_t amount) {
    ClientFrame frame;
    boundary::v1::Event* event = frame.mutable_apply_events()->add_events();
    event->set_id(id);
    event->set_kind(boundary::v1::Event::KIND_CREDIT);
    event->set_account("alice");
    event->set_recipient(std::string(kAlice.view()));
    event->mutable_amount()->set_low(amount);
    return frame;
  }
  static ServerFrame Applied(uint32_t count = 1) {
    ServerFrame frame;
    frame.mutable_events_applied()->set_applied(count);
    return frame;
  }
  Leaf& AddOpened() {
    Leaf& leaf = Add(LeafKind::kAccountOpened);
    leaf.account = "alice";
    leaf.recipient = kAlice;
    return leaf;
  }
  // A leaf that moves alice's funds, `available` by `delta`.
  Leaf& AddMove(LeafKind kind, int64_t delta, int64_t held = 0, int64_t spent = 0) {
    available += delta;
    reserved += held;
    paid += spent;
    Leaf& leaf = Add(kind);
    leaf.account = "alice";
    leaf.recipient = kAlice;
    leaf.balances = audit::Balances{delta, absl::uint128(available), absl::uint128(reserved),
                                    absl::uint128(paid)};
    return leaf;
  }
  // Founded, and alice has 100.
  void FoundAndCredit() {
    Found();
    const uint64_t id = Ask(CreditRequest("e1", 100));
    AddOpened();
    AddMove(LeafKind::kCredit, 100).event_id = "e1";
    HandOutAndStore();
    Say(Applied(), id);
  }
  boundary::v1::Account Account() const {
    boundary::v1::Account account;
    account.set_id("alice");
    account.set_recipient(std::string(kAlice.view()));
    account.mutable_available()->set_low(static_cast<uint64_t>(available));
    account.mutable_reserved()->set_low(static_cast<uint64_t>(reserved));
    account.mutable_paid()->set_low(static_cast<uint64_t>(paid));
    account.mutable_credited()->set_low(static_cast<uint64_t>(available + reserved + paid));
    return account;
  }

  // One payout to alice with one ticket; a test changes what it wants before it is signed.
  struct Payment {
    uint64_t id = 1;
    uint64_t amount = 60;
    size_t key = 0;  // epoch of the one that signs
    ethereum::Ticket ticket;
    ethereum::Transaction transaction;
    ethereum::SignedTransaction made;
    ethereum::RedemptionArguments redemption;
    wire::Ticket shown;  // for receipts
  };
  Payment NewPayment(uint64_t payout, uint64_t nonce, uint64_t amount, size_t key = 0) const {
    Payment p;
    p.id = payout;
    p.amount = amount;
    p.key = key;
    p.redemption.recipient_rand = 1000 + payout;
    p.ticket.recipient = kAlice;
    p.ticket.sender = DoorKey(key).address();
    p.ticket.face_value = amount;
    p.ticket.sender_nonce = payout;
    p.ticket.recipient_rand_hash = ethereum::RecipientRandHash(p.redemption.recipient_rand);
    p.ticket.aux_data = {100, Hash{{1}}};
    p.transaction.chain_id = 42161;
    p.transaction.nonce = nonce;
    p.transaction.gas_limit = 500'000;
    p.transaction.max_fee_per_gas = 100;
    p.transaction.max_priority_fee_per_gas = 10;
    p.transaction.to = kBroker;
    return p;
  }
  void Sign(Payment& p) const {
    const ethereum::PrivateKey key = DoorKey(p.key);
    p.redemption.ticket = p.ticket;
    p.redemption.signature = key.Sign(p.ticket.SigningHash()).ToBytes65();
    ethereum::BrokerCall call;
    call.tickets = {p.redemption};
    p.transaction.data = ethereum::EncodeBrokerCall(call);
    p.made = ethereum::SignTransaction(p.transaction, key);
    p.shown = {p.ticket.recipient,
               p.ticket.sender,
               p.ticket.face_value,
               p.ticket.win_prob,
               p.ticket.sender_nonce,
               p.redemption.recipient_rand,
               p.ticket.aux_data.creation_round,
               p.ticket.aux_data.creation_round_block_hash,
               p.ticket.TicketHash()};
  }
  ClientFrame PrepareRequest(const Payment& p) const {
    ClientFrame frame;
    auto* prepare = frame.mutable_prepare_payout();
    prepare->set_strategy(boundary::v1::STRATEGY_LIVEPEER_TICKET);
    prepare->add_items()->set_account("alice");
    prepare->mutable_items(0)->mutable_amount()->set_low(p.amount);
    prepare->mutable_reading()->set_account_nonce(7);
    prepare->mutable_reading()->mutable_deposit()->set_low(1'000'000);
    prepare->mutable_reading()->set_round(100);
    prepare->mutable_reading()->set_round_block_hash(std::string(Hash{{1}}.view()));
    return frame;
  }
  void AddReserved(const Payment& p) {
    const auto amount = static_cast<int64_t>(p.amount);
    Leaf& leaf = AddMove(LeafKind::kPayoutReserved, -amount, amount);
    leaf.payout = p.id;
    leaf.item = 0;
  }
  void AddSigned(const Payment& p) {
    Leaf& leaf = Add(LeafKind::kPayoutSigned);
    leaf.payout = p.id;
    leaf.tx_hash = p.made.TransactionHash();
  }
  Leaf& AddTicket(const Payment& p) {
    Leaf& leaf = Add(LeafKind::kTicketSigned);
    leaf.payout = p.id;
    leaf.item = 0;
    leaf.ticket_hash = p.ticket.TicketHash();
    leaf.account = "alice";
    leaf.recipient = kAlice;
    leaf.amount = p.amount;
    return leaf;
  }
  ServerFrame PayoutAnswer(const Payment& p) const {
    ServerFrame frame;
    boundary::v1::Payout* out = frame.mutable_payout();
    out->set_id(p.id);
    out->set_strategy(boundary::v1::STRATEGY_LIVEPEER_TICKET);
    out->set_state(boundary::v1::PAYOUT_STATE_SIGNED);
    out->set_under_way(true);
    out->set_sender(std::string(DoorKey(p.key).address().view()));
    out->mutable_total()->set_low(p.amount);
    auto* item = out->add_items();
    item->set_account("alice");
    item->set_recipient(std::string(kAlice.view()));
    item->mutable_amount()->set_low(p.amount);
    item->set_state(boundary::v1::PayoutItem::STATE_OPEN);
    item->set_sender_nonce(static_cast<uint64_t>(p.ticket.sender_nonce));
    item->set_ticket_hash(std::string(p.ticket.TicketHash().view()));
    item->set_creation_round(100);
    AddAttempt(p, out);
    return frame;
  }
  static void AddAttempt(const Payment& p, boundary::v1::Payout* out) {
    auto* attempt = out->add_attempts();
    attempt->set_nonce(p.transaction.nonce);
    attempt->set_tx_hash(std::string(p.made.TransactionHash().view()));
    attempt->set_raw_tx(p.made.Encode());
    attempt->mutable_fees()->set_gas_limit(p.transaction.gas_limit);
    attempt->mutable_fees()->mutable_max_fee_per_gas()->set_low(
        static_cast<uint64_t>(p.transaction.max_fee_per_gas));
    attempt->mutable_fees()->mutable_max_priority_fee_per_gas()->set_low(
        static_cast<uint64_t>(p.transaction.max_priority_fee_per_gas));
  }
  // Asked for, reserved, signed, stored, answered.
  void Pay(Payment& p) {
    Sign(p);
    const uint64_t id = Ask(PrepareRequest(p));
    AddReserved(p);
    AddSigned(p);
    AddTicket(p);
    HandOutAndStore();
    Say(PayoutAnswer(p), id);
  }
  ClientFrame ReceiptRequest(const Payment& p, uint64_t amount, bool logs = true) const {
    ClientFrame frame;
    auto* receipt = frame.mutable_report_receipt();
    receipt->set_tx_hash(std::string(p.made.TransactionHash().view()));
    receipt->set_succeeded(true);
    receipt->set_block_hash(std::string(32, '\x0b'));
    if (logs) AppendLogs(kBroker, p.shown, amount, receipt->mutable_logs());
    return frame;
  }
  Leaf& AddPaid(const Payment& p, uint64_t amount) {
    const auto face = static_cast<int64_t>(p.amount);
    const auto spent = static_cast<int64_t>(amount);
    Leaf& leaf = AddMove(LeafKind::kItemPaid, face - spent, -face, spent);
    leaf.payout = p.id;
    leaf.item = 0;
    leaf.amount = amount;
    leaf.tx_hash = p.made.TransactionHash();
    leaf.ticket_hash = p.ticket.TicketHash();
    leaf.hosts_word = true;
    return leaf;
  }

  // ---- signing keys
  // What rotate_signing_key is answered with, once this key signs.
  static boundary::v1::NextSigningKey Next(size_t epoch) {
    const std::string address(DoorKey(epoch).address().view());
    const std::string before = DoorKey(epoch - 1).address().ToHex();
    boundary::v1::NextSigningKey next;
    boundary::v1::SigningKey* key = next.mutable_signing_key();
    key->set_epoch(static_cast<uint32_t>(epoch));
    key->set_address(address);
    key->set_ciphertext("signing key " + std::to_string(epoch));
    key->set_tag(std::string(32, 't'));
    (*key->mutable_encryption_context())["coffer:after"] = before;
    next.mutable_state_key()->set_epoch(static_cast<uint32_t>(epoch + 1));
    next.mutable_state_key()->set_address(address);
    next.mutable_state_key()->set_ciphertext("state key " + std::to_string(epoch + 1));
    return next;
  }
  void Rotate(size_t epoch) {
    ClientFrame frame;
    ServerFrame answer;
    frame.mutable_rotate_signing_key();
    *answer.mutable_next_signing_key() = Next(epoch);
    Say(answer, Ask(frame));
  }
  uint64_t AskAdopt(size_t epoch) {
    ClientFrame frame;
    frame.mutable_adopt_signing_key()->set_address(std::string(DoorKey(epoch).address().view()));
    return Ask(frame);
  }
  uint64_t AskRetire(size_t epoch) {
    ClientFrame frame;
    frame.mutable_retire_signing_key()->set_address(std::string(DoorKey(epoch).address().view()));
    return Ask(frame);
  }
  void AddKeyLeaf(LeafKind kind, size_t epoch) { Add(kind).recipient = DoorKey(epoch).address(); }
  // Made, adopted, stored, answered; and the other one retired.
  void RotateAndAdopt(size_t epoch) {
    Rotate(epoch);
    const uint64_t id = AskAdopt(epoch);
    AddKeyLeaf(LeafKind::kSigningKeyAdded, epoch);
    HandOutAndStore();
    ServerFrame answer;
    answer.mutable_signing_key_adopted()->set_address(std::string(DoorKey(epoch).address().view()));
    Say(answer, id);
  }
  void Retire(size_t epoch) {
    const uint64_t id = AskRetire(epoch);
    AddKeyLeaf(LeafKind::kSigningKeyRetired, epoch);
    HandOutAndStore();
    ServerFrame answer;
    answer.mutable_signing_key_retired();
    Say(answer, id);
  }
  // A payment is reported as mined and paid in full.
  void Settle(const Payment& p) {
    const uint64_t id = Ask(ReceiptRequest(p, p.amount));
    AddPaid(p, p.amount);
    HandOutAndStore();
    ServerFrame known;
    known.mutable_receipt()->set_known(true);
    Say(known, id);
  }
  // UNLOCK, WITHDRAW or SWEEP, or a funding; a test changes what it wants before DoMove.
  Payment NewMove(uint64_t payout, uint64_t nonce, std::string data, uint64_t amount = 0) const {
    Payment p = NewPayment(payout, nonce, amount);
    p.transaction.data = std::move(data);
    p.transaction.value = amount;
    if (p.transaction.data.empty()) p.transaction.to = DoorKey(1).address();
    return p;
  }
  void DoMove(Payment& p, boundary::v1::Strategy strategy) {
    p.made = ethereum::SignTransaction(p.transaction, DoorKey(p.key));
    ClientFrame frame;
    frame.mutable_prepare_funding()->set_strategy(strategy);
    frame.mutable_prepare_funding()->mutable_amount()->set_low(p.amount);
    frame.mutable_prepare_funding()->mutable_reading()->set_account_nonce(7);
    const uint64_t id = Ask(frame);
    Leaf& leaf = Add(LeafKind::kFunding);
    leaf.payout = p.id;
    leaf.amount = p.amount;
    AddSigned(p);
    HandOutAndStore();
    ServerFrame answer;
    boundary::v1::Payout* out = answer.mutable_payout();
    out->set_id(p.id);
    out->set_strategy(strategy);
    out->set_state(boundary::v1::PAYOUT_STATE_SIGNED);
    out->set_under_way(true);
    out->set_sender(std::string(DoorKey(p.key).address().view()));
    out->mutable_total()->set_low(p.amount);
    AddAttempt(p, out);
    Say(answer, id);
  }
  void ReportMined(const Payment& p) {
    const uint64_t id = Ask(ReceiptRequest(p, 0, /*logs=*/false));
    Leaf& leaf = Add(LeafKind::kFunding);
    leaf.payout = p.id;
    leaf.amount = p.amount;
    leaf.tx_hash = p.made.TransactionHash();
    leaf.hosts_word = true;
    HandOutAndStore();
    ServerFrame known;
    known.mutable_receipt()->set_known(true);
    Say(known, id);
  }
  // True of alice's account and of nothing else.
  boundary::v1::Status Status(size_t key) const {
    boundary::v1::Status status;
    status.set_phase(boundary::v1::PHASE_READY);
    status.set_address(std::string(DoorKey(key).address().view()));
    status.set_stored_sequence(sequence);
    status.set_stored_hash(std::string(head.view()));
    status.mutable_audit()->set_log_key("coffer/" + HostileWorldKey().address().ToHex() + "+key");
    status.mutable_audit()->set_size(tree.size());
    status.mutable_audit()->set_root(std::string(tree.Root().view()));
    const boundary::v1::Account account = Account();
    *status.mutable_totals()->mutable_credited() = account.credited();
    *status.mutable_totals()->mutable_available() = account.available();
    *status.mutable_totals()->mutable_reserved() = account.reserved();
    *status.mutable_totals()->mutable_paid() = account.paid();
    status.set_accounts(1);
    status.set_events(1);
    return status;
  }

  WireAuditor auditor;
  uint64_t enclave = 1;
  uint32_t state_epoch = 0;  // that records are sealed under
  uint64_t sequence = 0;
  uint8_t seals = 0;
  Hash head;
  audit::Tree tree;
  std::vector<Hash> hashes;
  std::vector<std::string> records;
  int64_t available = 0, reserved = 0, paid = 0;

 private:
  const policy::Policy policy_;
  uint64_t id_ = 0;
  std::vector<Leaf> leaves_;
};

}  // namespace coffer::sim

#endif  // COFFER_TESTS_SIM_WIRE_DOOR_H_
