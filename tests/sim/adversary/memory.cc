#include "tests/sim/adversary/memory.h"

#include <algorithm>

#include "enclave_core/audit/tree.h"
#include "enclave_core/ethereum/abi.h"

namespace coffer::sim {
namespace {

using ethereum::Hash;

Hash PreviousOf(const std::string& sealed) {
  return *Hash::FromBytes(std::string_view(sealed).substr(17, 32));
}
std::string_view SequenceOf(std::string_view sealed) { return sealed.substr(9, 8); }

}  // namespace

int Memory::Keep(const boundary::v1::Store& store) {
  const Hash previous = PreviousOf(store.sealed());
  if (store.kind() == boundary::v1::Store::KIND_SNAPSHOT_CHUNK) {
    Snapshot& snapshot = snapshots_[previous];
    if (store.chunk_index() == 0) snapshot = {store.chunk_count(), {}};
    snapshot.chunks[store.chunk_index()] = store.sealed();
    return -1;
  }
  const Hash hash = audit::Sha256(store.sealed());
  const auto [known, fresh] = by_hash_.try_emplace(hash, static_cast<int>(records_.size()));
  if (!fresh) return known->second;
  const auto parent = by_hash_.find(previous);
  records_.push_back(
      {store.sequence(), parent == by_hash_.end() ? -1 : parent->second, store.sealed(), hash});
  return known->second;
}

void Memory::Learn(const boundary::v1::Payout& payout, absl::Span<const ethereum::Address> signers,
                   const ethereum::Address& broker) {
  highest_payout = std::max(highest_payout, payout.id());
  for (const auto& attempt : payout.attempts()) {
    uint64_t& highest = highest_nonce.try_emplace(payout.sender(), 0).first->second;
    highest = std::max(highest, attempt.nonce());
    if (attempt.raw_tx().empty()) continue;
    const Hash hash = *Hash::FromBytes(attempt.tx_hash());
    if (!by_transaction_.try_emplace(hash, transactions_.size()).second) continue;
    KeptTransaction kept;
    kept.payout = payout.id();
    // What cannot be read is the auditor's to report.
    ReadTransaction(attempt.raw_tx(), signers, broker, &kept.transaction);
    kept.transaction.hash = hash;
    transactions_.push_back(std::move(kept));
  }
}

bool Memory::BuildsOn(int newer, int older) const {
  while (newer > older) newer = records_[static_cast<size_t>(newer)].parent;
  return newer == older;
}

std::vector<std::string> Memory::Pieces(int record, bool snapshot) const {
  std::vector<std::string> pieces;
  for (int at = record; at >= 0; at = records_[static_cast<size_t>(at)].parent) {
    const KeptRecord& kept = records_[static_cast<size_t>(at)];
    const auto found = snapshots_.find(kept.hash);
    if (snapshot && found != snapshots_.end() &&
        found->second.chunks.size() == found->second.count) {
      std::vector<std::string> chunks;
      for (const auto& [index, chunk] : found->second.chunks) chunks.push_back(chunk);
      pieces.insert(pieces.end(), chunks.rbegin(), chunks.rend());
      break;
    }
    pieces.push_back(kept.sealed);
  }
  std::reverse(pieces.begin(), pieces.end());
  return pieces;
}

std::vector<std::string> Memory::ChunksLike(const std::string& chunk) const {
  std::vector<std::string> out;
  const auto own = snapshots_.find(PreviousOf(chunk));
  if (own == snapshots_.end()) return out;
  for (const auto& [index, bytes] : own->second.chunks) {
    if (bytes != chunk) continue;
    for (const auto& [record, other] : snapshots_) {
      const auto found = other.chunks.find(index);
      if (record != own->first && other.count == own->second.count && found != other.chunks.end() &&
          SequenceOf(found->second) == SequenceOf(chunk)) {
        out.push_back(found->second);
      }
    }
  }
  return out;
}

void AppendLogs(const ethereum::Address& broker, const wire::Ticket& ticket,
                const ethereum::U256& paid,
                google::protobuf::RepeatedPtrField<boundary::v1::Log>* logs) {
  namespace abi = ethereum::abi;
  const auto begin = [&](std::string_view event) {
    boundary::v1::Log* log = logs->Add();
    log->set_address(std::string(broker.view()));
    log->add_topics(std::string(ethereum::Keccak256(event).view()));
    for (const ethereum::Address& who : {ticket.sender, ticket.recipient}) {
      std::string word;
      abi::AppendAddress(who, word);
      log->add_topics(word);
    }
    return log;
  };
  if (paid != 0) {
    boundary::v1::Log* log = begin("WinningTicketTransfer(address,address,uint256)");
    log->set_data(ethereum::ToBytes32(paid));
  }
  std::string data;
  for (const ethereum::U256& word :
       {ticket.face_value, ticket.win_prob, ticket.sender_nonce, ticket.recipient_rand,
        ethereum::U256(160), ethereum::U256(64), ticket.creation_round}) {
    abi::AppendUint(word, data);
  }
  abi::AppendHash(ticket.creation_round_block_hash, data);
  begin("WinningTicketRedeemed(address,address,uint256,uint256,uint256,uint256,bytes)")
      ->set_data(data);
}

}  // namespace coffer::sim
