// A host that gives an enclave any mixture of what was ever sealed, damaged or not: the enclave
// refuses it, or has exactly a state that it was in. What is accepted is also accepted by a second
// statement of the rule, and what that accepts is accepted (sealing/vault.h, ChainReader).
//
// Input: steps of two bytes. First the history: commands, batches sealed, snapshots, forks that two
// enclaves make from one state. After a step 0xff: what the host hands over, one sealed piece a
// step, damaged if the input says so.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "actors/enclave/state_loader.h"
#include "enclave_core/sealing/blob.h"
#include "invariant/check.h"
#include "tests/fuzz/input.h"
#include "tests/support/bank.h"

namespace {

using coffer::fuzz::Input;
using coffer::test::Bank;
namespace sealing = coffer::sealing;
using State = std::vector<std::string>;  // a state's bytes

sealing::Vault MakeVault(uint8_t run) {
  return sealing::Vault(coffer::ethereum::SecretBytes::CopyOf(std::string(32, '\x42')).value(), 0,
                        sealing::RecordHash(std::string(1, static_cast<char>(run))));
}

// A piece that was sealed, and what the model knows of it.
struct Piece {
  sealing::Header header;
  std::string sealed;
  size_t set = 0;  // a snapshot's chunks, or a blob's
  State after;     // a record: the state after it; a chunk: of the snapshot
};

class History {
 public:
  History() : bank_(coffer::test::WidePolicy()), vault_(MakeVault(0)) { Seal(); }

  void Step(uint8_t what, uint8_t how) {
    switch (what % 8) {
      case 0:
      case 1:
        bank_.Credit(std::string(1, static_cast<char>('a' + how % 3)), 100 + how);
        return Seal();
      case 2:
        (void)bank_.Pay({{std::string(1, static_cast<char>('a' + how % 3)), 50}});
        return Seal();
      case 3: {
        const uint64_t payouts = bank_.state.payouts().size();
        if (payouts == 0) return;
        (void)bank_.Report(bank_.ReceiptOf(1 + how % payouts, 0, {{0, how % 60}}));
        return Seal();
      }
      case 4:
        return Snapshot();
      case 5:
        return Export();
      default:
        // Several commands, one record.
        bank_.Credit("a", 1 + how);
        bank_.Credit("b", 2);
        return Seal();
    }
  }

  std::vector<Piece> pieces;
  std::vector<std::string> blobs;
  std::vector<State> exported;

 private:
  void Seal() {
    Bank::Batch batch;
    const std::vector<Bank::Batch>& all = bank_.Batches();
    for (; sealed_batches_ < all.size(); ++sealed_batches_) {
      batch.mutable_events()->MergeFrom(all[sealed_batches_].events());
      if (all[sealed_batches_].audit_tree().empty()) continue;
      batch.set_audit_tree(all[sealed_batches_].audit_tree());
      batch.set_audit_head(all[sealed_batches_].audit_head());
    }
    if (batch.events_size() == 0) return;
    Piece piece;
    piece.header.sequence = ++sequence_;
    piece.header.previous = head_;
    piece.sealed = vault_.Seal(piece.header, batch.SerializeAsString());
    piece.after = coffer::test::SnapshotBytes(bank_.state);
    head_ = sealing::RecordHash(piece.sealed);
    pieces.push_back(std::move(piece));
  }

  std::vector<std::string> Parts() {
    std::vector<std::string> parts;
    bank_.state.WriteSnapshot([&](const coffer::sealed::v1::SnapshotPart& part) {
      // Smaller parts than a state of this size has, so that there are several.
      coffer::sealed::v1::SnapshotPart head = part;
      const std::string ids = head.event_ids();
      head.clear_event_ids();
      if (head.ByteSizeLong() != 0) parts.push_back(head.SerializeAsString());
      constexpr size_t kBytes = coffer::ledger::EventIds::kBytesPerId;
      for (size_t at = 0; at < ids.size(); at += kBytes) {
        coffer::sealed::v1::SnapshotPart one;
        one.set_event_ids(ids.substr(at, kBytes));
        parts.push_back(one.SerializeAsString());
      }
    });
    return parts;
  }

  void Snapshot() {
    const std::vector<std::string> parts = Parts();
    ++sets_;
    for (size_t i = 0; i < parts.size(); ++i) {
      Piece piece;
      piece.header.kind = sealing::Kind::kSnapshotChunk;
      piece.header.sequence = sequence_;
      piece.header.previous = head_;
      piece.header.chunk_index = static_cast<uint32_t>(i);
      piece.header.chunk_count = static_cast<uint32_t>(parts.size());
      piece.set = sets_;
      piece.sealed = vault_.Seal(piece.header, parts[i]);
      piece.after = coffer::test::SnapshotBytes(bank_.state);
      pieces.push_back(std::move(piece));
    }
  }

  void Export() {
    const auto blob = sealing::SealBlob(&vault_, Parts());
    COFFER_CHECK(blob.ok(), "a small state fits a blob");
    blobs.push_back(*blob);
    exported.push_back(coffer::test::SnapshotBytes(bank_.state));
  }

  Bank bank_;
  sealing::Vault vault_;
  uint64_t sequence_ = 0;
  sealing::Hash head_;
  size_t sealed_batches_ = 0;
  size_t sets_ = 0;
};

// What ChainReader accepts, stated again: the chunks of one snapshot from the first to the last,
// then records, each the one after.
class Rule {
 public:
  bool Next(const Piece& piece) {
    const sealing::Header& h = piece.header;
    if (h.kind == sealing::Kind::kSnapshotChunk) {
      if (recorded_ || (expected_ != 0 && next_chunk_ == expected_)) return false;
      if (h.chunk_index != next_chunk_) return false;
      if (next_chunk_ > 0 && (h.sequence != sequence_ || h.previous != head_)) return false;
      if (next_chunk_ > 0 && h.chunk_count != expected_) return false;
      expected_ = h.chunk_count;
      ++next_chunk_;
      sequence_ = h.sequence;
      head_ = h.previous;
      mixed_ = mixed_ || (set_ != 0 && set_ != piece.set);
      set_ = piece.set;
      return true;
    }
    if (next_chunk_ != expected_) return false;
    if (h.sequence != sequence_ + 1 || h.previous != head_) return false;
    recorded_ = true;
    sequence_ = h.sequence;
    head_ = sealing::RecordHash(piece.sealed);
    return true;
  }
  bool Whole() const { return next_chunk_ == expected_; }
  // Chunks of two snapshots of one record: equal in content, so nobody is told apart.
  bool mixed() const { return mixed_; }

 private:
  bool recorded_ = false;
  uint32_t next_chunk_ = 0;
  uint32_t expected_ = 0;
  uint64_t sequence_ = 0;
  size_t set_ = 0;
  bool mixed_ = false;
  sealing::Hash head_;
};

void Load(const History& history, Input input) {
  sealing::Vault vault = MakeVault(1);
  coffer::enclave::StateLoader loader(&vault);
  Rule rule;
  const Piece* last = nullptr;
  while (!input.empty()) {
    const Piece& piece = history.pieces[input.Below(history.pieces.size())];
    const uint8_t damage = input.Byte();
    std::string sealed = piece.sealed;
    if (damage >= 0xf0) {
      const size_t at = input.Number(2) % sealed.size();
      if (damage == 0xf0) sealed.resize(at);
      if (damage == 0xf1) sealed += 'x';
      if (damage >= 0xf2) sealed[at] = static_cast<char>(sealed[at] ^ (damage - 0xf1));
    }
    const bool accepted = loader.Add(sealed).ok();
    COFFER_CHECK(accepted == (sealed == piece.sealed && rule.Next(piece)),
                 "accepted is what the rule accepts");
    if (!accepted) return;
    last = &piece;
  }
  const auto state = loader.Finish();
  COFFER_CHECK(state.ok() == rule.Whole(), "whole is what the rule says is whole");
  if (!state.ok() || last == nullptr) return;
  COFFER_CHECK(coffer::test::SnapshotBytes(**state) == last->after,
               "the state that was sealed, byte for byte");
}

void Import(const History& history, Input input) {
  const size_t which = input.Below(history.blobs.size());
  std::string blob = history.blobs[which];
  const uint8_t damage = input.Byte();
  const size_t at = input.Number(2) % blob.size();
  if (damage % 4 == 1) blob.resize(at);
  if (damage % 4 == 2) blob[at] = static_cast<char>(blob[at] ^ (1 + damage / 4));
  if (damage % 4 == 3) {
    const std::string& other = history.blobs[input.Below(history.blobs.size())];
    blob = blob.substr(0, at) + other.substr(std::min(at, other.size()));
  }
  sealing::Vault vault = MakeVault(1);
  const auto state = coffer::enclave::StateFromBlob(&vault, blob);
  for (size_t i = 0; i < history.blobs.size(); ++i) {
    if (history.blobs[i] != blob) continue;
    COFFER_CHECK(state.ok() && coffer::test::SnapshotBytes(**state) == history.exported[i],
                 "a blob is the state that was exported");
    return;
  }
  COFFER_CHECK(!state.ok(), "what was not exported is refused");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 400) return 0;
  Input input(data, size);
  History history;
  while (!input.empty()) {
    const uint8_t what = input.Byte();
    if (what == 0xff) break;
    history.Step(what, input.Byte());
  }
  if (input.empty()) return 0;
  if (!history.blobs.empty() && input.Byte() % 2 == 1) {
    Import(history, input);
  } else {
    Load(history, input);
  }
  return 0;
}
