// Trust policies in the text form of c2sp.org/tlog-policy: which logs, which witnesses, and how
// many of them make a checkpoint a witnessed one.
//
//   log <vkey> [<url>]
//   witness <name> <vkey> [<url>]
//   group <name> all|any|<k> <name>...
//   quorum <name>|none
#ifndef COFFER_ENCLAVE_CORE_AUDIT_QUORUM_H_
#define COFFER_ENCLAVE_CORE_AUDIT_QUORUM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "enclave_core/audit/checkpoint.h"

namespace coffer::audit {

// The specification recommends at least 32 of each.
inline constexpr size_t kMaxPolicyMembers = 64;  // logs, witnesses and groups, each
inline constexpr size_t kMaxPolicyBytes = 64 * 1024;

struct PolicyLog {
  VerifierKey key;
  std::string url;  // may be empty
};
struct PolicyWitness {
  std::string name;  // within the policy
  VerifierKey key;
  std::string url;
};

// What was found out about a checkpoint.
struct QuorumVerdict {
  struct Cosigner {
    std::string witness;  // its name within the policy
    uint64_t time = 0;    // seconds since 1970, the earliest that it states
  };
  std::vector<Cosigner> cosigners;  // valid ones, in the policy's order
  bool satisfied = false;
  std::string sentence;
};

class QuorumPolicy {
 public:
  // InvalidArgument with the line's number. Exactly one quorum line; names defined before they are
  // used, once, and members of one group at most; no key twice; keys of the two types of note.h.
  static absl::StatusOr<QuorumPolicy> Parse(std::string_view text);

  const std::vector<PolicyLog>& logs() const { return logs_; }
  const std::vector<PolicyWitness>& witnesses() const { return witnesses_; }

  // OK when a log of the policy signed it. A policy without logs needs the log key from elsewhere,
  // so it answers FailedPrecondition.
  absl::Status CheckLog(const SignedCheckpoint& checkpoint) const;
  // Whether the quorum's witnesses cosigned. Lines of unknown keys are ignored; a wrong cosignature
  // of a known witness counts as none and is named in the sentence.
  QuorumVerdict Judge(const SignedCheckpoint& checkpoint) const;

 private:
  friend class PolicyParser;
  // A witness, or a group when `witness` is absent. Members come before their group.
  struct Node {
    std::string name;
    std::optional<size_t> witness;  // index in witnesses_
    size_t threshold = 0;
    std::vector<size_t> members;  // indices in nodes_
    bool used = false;            // is a member of a group
  };
  std::vector<PolicyLog> logs_;
  std::vector<PolicyWitness> witnesses_;
  std::vector<Node> nodes_;
  std::optional<size_t> quorum_;  // absent: none is needed
};

}  // namespace coffer::audit

#endif  // COFFER_ENCLAVE_CORE_AUDIT_QUORUM_H_
