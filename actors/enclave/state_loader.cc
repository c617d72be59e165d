#include "actors/enclave/state_loader.h"

#include <google/protobuf/arena.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/error.h"

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
  return absl::OkStatus();
}

absl::Status StateLoader::Add(std::string_view sealed) {
  const absl::StatusOr<sealing::ChainReader::Item> item = reader_.Next(sealed);
  if (!item.ok()) return Refused(item.status());
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

}  // namespace coffer::enclave
