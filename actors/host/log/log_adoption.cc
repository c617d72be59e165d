#include "actors/host/log/log_adoption.h"

#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"

namespace coffer::host {
namespace {

constexpr int kBundlesAStep = 256;

}  // namespace

absl::Status LogAdoption::CheckBundle() {
  audit::TileRef tile{.entries = true, .index = tiles_.size() / audit::kTileWidth};
  tile.width = audit::TileWidthAt(0, tile.index, target_.size);
  const uint32_t width = tile.width;
  absl::StatusOr<std::string> bundle = files_->Read(audit::TilePath(tile));
  if (absl::IsNotFound(bundle.status()) && width < audit::kTileWidth) {
    tile.width = audit::kTileWidth;
    bundle = files_->Read(audit::TilePath(tile));
  }
  if (!bundle.ok() && !absl::IsNotFound(bundle.status())) return bundle.status();
  absl::StatusOr<std::vector<std::string_view>> entries =
      bundle.ok() ? audit::ParseBundle(*bundle, tile.width) : bundle.status();
  if (!entries.ok()) {
    return absl::DataLossError(
        absl::StrCat(files_->path(), "/", audit::TilePath(tile), ": ", entries.status().message()));
  }
  for (uint32_t i = 0; i < width; ++i) {
    if (absl::Status s = tiles_.Append((*entries)[i]); !s.ok()) return s;
  }
  for (const audit::TileFile& file : tiles_.TakeFull()) {
    const std::string path = audit::TilePath(file.tile);
    const absl::StatusOr<std::string> there = files_->Read(path);
    if (!there.ok() && !absl::IsNotFound(there.status())) return there.status();
    if (!there.ok() || *there != file.content) {
      return absl::DataLossError(absl::StrCat(
          files_->path(), "/", path,
          there.ok() ? " is not what the log's entries make it" : " of the log is missing"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> LogAdoption::Step() {
  for (int i = 0; i < kBundlesAStep && tiles_.size() < target_.size; ++i) {
    if (absl::Status s = CheckBundle(); !s.ok()) return s;
  }
  if (tiles_.size() < target_.size) return false;
  if (tiles_.Root() == target_.root) return true;
  return absl::DataLossError(absl::StrCat(files_->path(), ": the entries of the log of size ",
                                          target_.size,
                                          " do not lead to the root of its checkpoint"));
}

}  // namespace coffer::host
