// Any bytes through every text parser of the log that reads what strangers send: notes,
// checkpoints, witness requests, policies, paths. What is accepted is written back byte for byte.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "enclave_core/audit/quorum.h"
#include "enclave_core/audit/tiles.h"
#include "enclave_core/audit/witness.h"
#include "invariant/check.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  namespace audit = coffer::audit;
  const std::string_view raw(reinterpret_cast<const char*>(data), size);
  if (const auto note = audit::ParseNote(raw); note.ok()) {
    COFFER_CHECK(audit::FormatNote(*note) == raw, "a note has one form");
    COFFER_CHECK(note->signatures.size() <= audit::kMaxSignatures, "limits are kept");
  }
  if (const auto head = audit::ParseCheckpoint(raw); head.ok()) {
    COFFER_CHECK(audit::CheckpointText(head->checkpoint) == head->note.text,
                 "a checkpoint has one form");
  }
  if (const auto request = audit::ParseAddCheckpoint(raw); request.ok()) {
    COFFER_CHECK(audit::FormatAddCheckpoint(*request) == raw, "a request has one form");
  }
  if (const auto tile = audit::ParseTilePath(raw); tile.ok()) {
    COFFER_CHECK(audit::TilePath(*tile) == raw, "a tile has one path");
  }
  if (const auto key = audit::VerifierKey::Parse(raw); key.ok()) {
    COFFER_CHECK(key->ToString() == raw, "a key has one text");
  }
  (void)audit::QuorumPolicy::Parse(raw);
  (void)audit::ParseSizeAnswer(raw);
  (void)audit::ParseBundle(raw, 3);
  return 0;
}
