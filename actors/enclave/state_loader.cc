#include "actors/enclave/state_loader.h"

#include <google/protobuf/arena.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"
#include "enclave_core/sealing/blob.h"

namespace coffer::enclave {
namespace {

absl::Status Refused(const absl::Status& why) {
  return Refuse(boundary::v1::ERROR_STATE_REFUSED, why.message());
}

}  // namespace

absl::Status StateLoader::Apply(const sealing::ChainReader::Item& item) {
  google::protobuf::Arena arena;
  if (item.kind == sealing::Kind::kSnapshotChunk) {
    auto* part = google::protobuf::Arena::CreateMessage<sealed::v1::SnapshotPart>(&arena);
    if (!part->ParseFromString(item.plaintext))
      return absl::DataLossError("its content cannot be read");
    if (absl::Status s = authority_->RestorePart(*part); !s.ok()) return s;
    return item.snapshot_complete ? authority_->FinishRestore() : absl::OkStatus();
  }
  auto* batch = google::protobuf::Arena::CreateMessage<sealed::v1::Batch>(&arena);
  if (!batch->ParseFromString(item.plaintext))
    return absl::DataLossError("its content cannot be read");
  for (const sealed::v1::StateEvent& event : batch->events()) {
    if (absl::Status s = authority_->Apply(event); !s.ok()) return s;
  }
  if (!batch->audit_tree().empty()) {
    return authority_->RestoreLog(batch->audit_tree(), batch->audit_head());
  }
  // I9. Only a version that knows no log writes such a record behind one.
  if (authority_->log().size() != 0 && authority::ChangesWhatIsLogged(*batch)) {
    return absl::DataLossError("it changes balances or signs without a leaf in the log");
  }
  return absl::OkStatus();
}

absl::Status StateLoader::Add(std::string_view sealed) {
  const absl::StatusOr<sealing::ChainReader::Item> item = reader_.Next(sealed);
  if (!item.ok()) return Refused(item.status());
  oldest_epoch_ = std::min(oldest_epoch_, item->key_epoch);
  const absl::Status applied = Apply(*item);
  if (applied.ok()) return absl::OkStatus();
  return Refuse(boundary::v1::ERROR_STATE_REFUSED,
                absl::StrCat("record ", item->sequence, " was opened, but ", applied.message(),
                             "; a newer version may have written it"));
}

absl::StatusOr<std::unique_ptr<authority::Authority>> StateLoader::Finish() {
  if (const absl::Status whole = reader_.Finish(); !whole.ok()) return Refused(whole);
  return std::move(authority_);
}

absl::StatusOr<std::unique_ptr<authority::Authority>> StateFromBlob(sealing::Vault* vault,
                                                                    std::string_view blob) {
  const absl::StatusOr<std::vector<std::string>> parts = sealing::OpenBlob(vault, blob);
  if (!parts.ok()) return Refused(parts.status());
  auto state = std::make_unique<authority::Authority>();
  for (const std::string& bytes : *parts) {
    google::protobuf::Arena arena;
    auto* part = google::protobuf::Arena::CreateMessage<sealed::v1::SnapshotPart>(&arena);
    if (!part->ParseFromString(bytes)) {
      return Refused(absl::DataLossError("a part of the exported state cannot be read"));
    }
    if (absl::Status s = state->RestorePart(*part); !s.ok()) return Refused(s);
  }
  if (absl::Status s = state->FinishRestore(); !s.ok()) return Refused(s);
  return state;
}

}  // namespace coffer::enclave
