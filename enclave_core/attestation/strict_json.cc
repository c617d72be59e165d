#include "enclave_core/attestation/strict_json.h"

#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace coffer::attestation {
namespace {

using nlohmann::json;

// What nlohmann-json does not refuse by itself; asked at every event of its parser.
class Rules {
 public:
  bool operator()(int depth, json::parse_event_t event, const json& parsed) {
    if (event == json::parse_event_t::object_start || event == json::parse_event_t::array_start) {
      too_deep_ = too_deep_ || depth >= kMaxJsonDepth;
      names_.resize(static_cast<size_t>(std::min(depth, kMaxJsonDepth)) + 1);
      names_.back().clear();
    } else if (event == json::parse_event_t::key && !too_deep_) {
      // A key is one level deeper than its object's start.
      const auto level = static_cast<size_t>(depth) - 1;
      names_.resize(level + 1);
      twice_ = twice_ || !names_[level].insert(parsed.get_ref<const std::string&>()).second;
    }
    return !too_deep_ && !twice_;  // false: what follows is read over and not kept
  }
  bool too_deep() const { return too_deep_; }
  bool twice() const { return twice_; }

 private:
  std::vector<std::set<std::string>> names_;
  bool too_deep_ = false, twice_ = false;
};

}  // namespace

absl::StatusOr<json> ReadStrictJson(std::string_view text, size_t max_bytes) {
  if (text.size() > max_bytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", text.size(), " bytes, more than the ", max_bytes, " that it may"));
  }
  Rules rules;
  json tree;
  try {
    tree = json::parse(text, std::ref(rules));
  } catch (const json::parse_error& error) {
    const auto end = text.begin() + static_cast<ptrdiff_t>(std::min(error.byte, text.size()));
    return absl::InvalidArgumentError(
        absl::StrCat("is no JSON in UTF-8: line ", 1 + std::count(text.begin(), end, '\n')));
  } catch (const json::exception&) {  // a number that no double holds
    return absl::InvalidArgumentError("has a number that is too large");
  }
  if (rules.too_deep()) {
    return absl::InvalidArgumentError(absl::StrCat("is nested deeper than ", kMaxJsonDepth));
  }
  if (rules.twice()) return absl::InvalidArgumentError("has a name twice in one object");
  if (!tree.is_object()) return absl::InvalidArgumentError("is no JSON object");
  return tree;
}

}  // namespace coffer::attestation
