#include "enclave_core/audit/quorum.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "enclave_core/audit/text.h"

namespace coffer::audit {
namespace {

absl::Status Wrong(const std::string& what) { return absl::InvalidArgumentError(what); }

// The items of a line, divided by spaces and tabs.
std::vector<std::string_view> ItemsOf(std::string_view line) {
  std::vector<std::string_view> items;
  for (;;) {
    const size_t begin = line.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return items;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(" \t"), line.size());
    items.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

bool AllowedOctets(std::string_view line) {
  return std::all_of(line.begin(), line.end(), [](char c) {
    const auto octet = static_cast<uint8_t>(c);
    return octet == '\t' || (octet >= 0x20 && octet != 0x7F);
  });
}

}  // namespace

// Reads a policy line by line into the object under construction.
class PolicyParser {
 public:
  absl::Status Line(std::string_view line) {
    if (!AllowedOctets(line)) return Wrong("has a control character");
    const std::vector<std::string_view> items = ItemsOf(line);
    if (items.empty() || items[0][0] == '#') return absl::OkStatus();
    if (items[0] == "log") return Log(items);
    if (items[0] == "witness") return WitnessLine(items);
    if (items[0] == "group") return Group(items);
    if (items[0] == "quorum") return Quorum(items);
    return Wrong("begins with neither log, witness, group, quorum nor #");
  }
  absl::StatusOr<QuorumPolicy> Finish() && {
    if (!quorum_seen_) return Wrong("the policy has no quorum line");
    return std::move(policy_);
  }

 private:
  using Items = std::vector<std::string_view>;

  absl::Status Log(const Items& items) {
    if (items.size() < 2 || items.size() > 3) return Wrong("is not: log <vkey> [<url>]");
    absl::StatusOr<VerifierKey> key = VerifierKey::Parse(items[1]);
    if (!key.ok()) return key.status();
    if (key->type() != KeyType::kEd25519) return Wrong("has a key that is not a log's");
    for (const PolicyLog& log : policy_.logs_) {
      if (log.key.public_key() == key->public_key()) return Wrong("repeats a log's key");
    }
    if (policy_.logs_.size() == kMaxPolicyMembers) return Wrong("is one log too many");
    policy_.logs_.push_back({*std::move(key), std::string(items.size() == 3 ? items[2] : "")});
    return absl::OkStatus();
  }

  absl::Status WitnessLine(const Items& items) {
    if (items.size() < 3 || items.size() > 4) return Wrong("is not: witness <name> <vkey> [<url>]");
    absl::StatusOr<VerifierKey> key = VerifierKey::Parse(items[2]);
    if (!key.ok()) return key.status();
    if (key->type() != KeyType::kCosignatureV1) return Wrong("has a key that is not a witness's");
    for (const PolicyWitness& witness : policy_.witnesses_) {
      if (witness.key.public_key() == key->public_key()) return Wrong("repeats a witness's key");
    }
    if (policy_.witnesses_.size() == kMaxPolicyMembers) return Wrong("is one witness too many");
    if (absl::Status status = Define(items[1]); !status.ok()) return status;
    policy_.nodes_.back().witness = policy_.witnesses_.size();
    policy_.witnesses_.push_back(
        {std::string(items[1]), *std::move(key), std::string(items.size() == 4 ? items[3] : "")});
    return absl::OkStatus();
  }

  absl::Status Group(const Items& items) {
    if (items.size() < 4) return Wrong("is not: group <name> all|any|<k> <name>...");
    std::vector<size_t> members;
    for (size_t i = 3; i < items.size(); ++i) {
      const std::optional<size_t> member = Find(items[i]);
      if (!member) return Wrong("names a member that no line before it defines");
      if (std::exchange(policy_.nodes_[*member].used, true)) {
        return Wrong("names a member that is in a group already");
      }
      members.push_back(*member);
    }
    std::optional<uint64_t> threshold = ParseDecimal(items[2]);
    if (items[2] == "any") threshold = 1;
    if (items[2] == "all") threshold = members.size();
    if (!threshold || *threshold < 1 || *threshold > members.size()) {
      return Wrong("has a threshold that is not all, any or 1 to the number of members");
    }
    if (++groups_ > kMaxPolicyMembers) return Wrong("is one group too many");
    if (absl::Status status = Define(items[1]); !status.ok()) return status;
    policy_.nodes_.back().threshold = *threshold;
    policy_.nodes_.back().members = std::move(members);
    return absl::OkStatus();
  }

  absl::Status Quorum(const Items& items) {
    if (items.size() != 2) return Wrong("is not: quorum <name>");
    if (std::exchange(quorum_seen_, true)) return Wrong("is a second quorum line");
    if (items[1] == "none") return absl::OkStatus();
    policy_.quorum_ = Find(items[1]);
    if (!policy_.quorum_) return Wrong("names what no line before it defines");
    return absl::OkStatus();
  }

  std::optional<size_t> Find(std::string_view name) const {
    for (size_t i = 0; i < policy_.nodes_.size(); ++i) {
      if (policy_.nodes_[i].name == name) return i;
    }
    return std::nullopt;
  }

  absl::Status Define(std::string_view name) {
    if (name == "none" || Find(name)) return Wrong("defines a name that is taken");
    policy_.nodes_.emplace_back().name = name;
    return absl::OkStatus();
  }

  QuorumPolicy policy_;
  size_t groups_ = 0;
  bool quorum_seen_ = false;
};

absl::StatusOr<QuorumPolicy> QuorumPolicy::Parse(std::string_view text) {
  if (text.size() > kMaxPolicyBytes) return Wrong("a policy of more than 64 KiB is not read");
  PolicyParser parser;
  for (int number = 1; !text.empty(); ++number) {
    const std::optional<std::string_view> line = TakeLine(text);
    if (!line) return Wrong("the policy's last line has no newline");
    if (const absl::Status status = parser.Line(*line); !status.ok()) {
      return Wrong(absl::StrCat("policy line ", number, ": ", status.message()));
    }
  }
  return std::move(parser).Finish();
}

absl::Status QuorumPolicy::CheckLog(const SignedCheckpoint& checkpoint) const {
  if (logs_.empty()) {
    return absl::FailedPreconditionError("the policy names no log, so no log key is trusted");
  }
  std::vector<VerifierKey> keys;
  for (const PolicyLog& log : logs_) {
    if (log.key.name() == checkpoint.checkpoint.origin) keys.push_back(log.key);
  }
  if (keys.empty()) {
    return absl::PermissionDeniedError(
        absl::StrCat("the policy does not name the log ", checkpoint.checkpoint.origin));
  }
  return VerifyNote(checkpoint.note, keys).status();
}

QuorumVerdict QuorumPolicy::Judge(const SignedCheckpoint& checkpoint) const {
  QuorumVerdict verdict;
  std::string wrong;
  std::vector<bool> cosigned(witnesses_.size());
  for (size_t i = 0; i < witnesses_.size(); ++i) {
    std::optional<uint64_t> earliest;
    for (const NoteSignature& line : checkpoint.note.signatures) {
      if (!witnesses_[i].key.Claims(line)) continue;
      const auto time = VerifyCosignature(checkpoint.note.text, line, witnesses_[i].key);
      if (!time.ok()) absl::StrAppend(&wrong, "; ", time.status().message());
      if (time.ok()) earliest = std::min(earliest.value_or(*time), *time);
    }
    cosigned[i] = earliest.has_value();
    if (earliest) verdict.cosigners.push_back({witnesses_[i].name, *earliest});
  }
  std::vector<bool> holds(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto met = static_cast<size_t>(std::count_if(
        node.members.begin(), node.members.end(), [&](size_t member) { return holds[member]; }));
    holds[i] = node.witness ? cosigned[*node.witness] : met >= node.threshold;
  }
  verdict.satisfied = !quorum_ || holds[*quorum_];
  verdict.sentence = absl::StrCat(verdict.cosigners.size(), " of ", witnesses_.size(),
                                  " known witnesses cosigned; the quorum ",
                                  quorum_ ? nodes_[*quorum_].name : "none",
                                  verdict.satisfied ? " is met" : " is not met", wrong);
  return verdict;
}

}  // namespace coffer::audit
