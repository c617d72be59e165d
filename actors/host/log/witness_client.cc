#include "actors/host/log/witness_client.h"

#include <algorithm>
#include <fstream>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "enclave_core/audit/witness.h"
#include "invariant/check.h"
#include "runtime/log.h"

namespace coffer::host {

using audit::NoteSignature;
using runtime::Level;
using runtime::Log;

namespace {

constexpr size_t kMaxShownBody = 200;
constexpr absl::Duration kTick = absl::Milliseconds(20);  // timers may fire that much early

// What a witness said with its refusal, made short; it is a stranger's text.
std::string Said(const HttpResponse& response) {
  std::string text = response.body.substr(0, kMaxShownBody);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text.empty() ? absl::StrCat("HTTP ", response.status)
                      : absl::StrCat("HTTP ", response.status, ": ", text);
}

absl::StatusOr<HttpUrl> AddCheckpointUrl(std::string prefix) {
  while (!prefix.empty() && prefix.back() == '/') prefix.pop_back();
  return HttpUrl::Parse(prefix + "/add-checkpoint");
}

}  // namespace

struct WitnessClient::Witness {
  Witness(audit::VerifierKey k, const WitnessClientOptions& options, runtime::Random* random)
      : key(std::move(k)), backoff(options.first_pause, options.max_pause, random) {}

  audit::VerifierKey key;
  std::optional<HttpUrl> url;
  runtime::Backoff backoff;
  absl::Time paused_until = absl::InfinitePast();
  WitnessReport report;
  // In the round under way.
  bool asked = false;
  bool corrected = false;  // was asked a second time, from the size it named
};

// A proof from one size, for all witnesses that have it.
struct WitnessClient::SharedProof {
  std::optional<absl::StatusOr<audit::Proof>> proof;
  std::vector<size_t> waiting;
};

struct WitnessClient::Round {
  audit::Checkpoint head;
  audit::SignedCheckpoint shown;  // collects the cosignatures
  std::string note;               // as it came
  Done done;
  absl::Time deadline;
  size_t pending = 0;
  std::map<uint64_t, SharedProof> proofs;
  std::unique_ptr<runtime::Timer> timer;
  std::unique_ptr<runtime::Timer> grace;
};

absl::StatusOr<std::unique_ptr<WitnessClient>> WitnessClient::Create(
    runtime::Dispatcher* dispatcher, HttpTransport* http, LogProofs* proofs,
    runtime::Random* random, audit::QuorumPolicy policy, WitnessClientOptions options) {
  auto client = std::unique_ptr<WitnessClient>(
      new WitnessClient(dispatcher, http, proofs, std::move(policy), options));
  for (const audit::PolicyWitness& entry : client->policy_.witnesses()) {
    auto witness = std::make_unique<Witness>(entry.key, client->options_, random);
    witness->report.name = entry.name;
    if (!entry.url.empty()) {
      absl::StatusOr<HttpUrl> url = AddCheckpointUrl(entry.url);
      if (!url.ok()) {
        return absl::InvalidArgumentError(
            absl::StrCat("the URL of witness ", entry.name, ": ", url.status().message()));
      }
      witness->report.url = url->Masked();
      witness->url = *std::move(url);
    }
    client->witnesses_.push_back(std::move(witness));
  }
  return client;
}

WitnessClient::WitnessClient(runtime::Dispatcher* dispatcher, HttpTransport* http,
                             LogProofs* proofs, audit::QuorumPolicy policy,
                             WitnessClientOptions options)
    : dispatcher_(dispatcher),
      http_(http),
      proofs_(proofs),
      policy_(std::move(policy)),
      options_(options),
      self_(std::make_shared<WitnessClient*>(this)) {}

WitnessClient::~WitnessClient() = default;

void WitnessClient::Cosign(const audit::Checkpoint& head, std::string note, Done done) {
  COFFER_CHECK(round_ == nullptr, "one head at a time is cosigned");
  ++rounds_;
  round_ = std::make_unique<Round>();
  round_->head = head;
  round_->note = std::move(note);
  round_->done = std::move(done);
  round_->deadline = dispatcher_->Now() + options_.timeout;
  absl::StatusOr<audit::SignedCheckpoint> shown = audit::ParseCheckpoint(round_->note);
  const bool ours = shown.ok() && shown->checkpoint == head &&
                    (policy_.logs().empty() || policy_.CheckLog(*shown).ok());
  if (shown.ok()) round_->shown = *std::move(shown);
  const absl::Time now = dispatcher_->Now();
  std::vector<size_t> to_ask;
  for (size_t i = 0; i < witnesses_.size(); ++i) {
    Witness& witness = *witnesses_[i];
    witness.asked = ours && witness.url && now >= witness.paused_until;
    witness.corrected = false;
    if (witness.asked) {
      to_ask.push_back(i);
    } else if (!ours) {
      witness.report.last_error = "the head is not one that the policy's log signed";
    } else if (!witness.url) {
      witness.report.last_error = "the policy has no URL for it";
    } else {
      ++witness.report.skipped;
    }
  }
  round_->pending = to_ask.size();
  const std::weak_ptr<WitnessClient*> weak = self_;
  round_->timer = dispatcher_->After(
      to_ask.empty() ? absl::ZeroDuration() : options_.timeout, [weak, round = rounds_] {
        const auto self = weak.lock();
        if (self == nullptr || (*self)->round_ == nullptr || (*self)->rounds_ != round) return;
        (*self)->FinishRound();
      });
  for (const size_t index : to_ask) Ask(index);
}

void WitnessClient::Ask(size_t index) {
  const uint64_t old_size = witnesses_[index]->report.size;
  const uint64_t size = round_->head.size;
  if (old_size == 0 || old_size == size) return WithProof(index, old_size, audit::Proof());
  if (old_size > size) {
    return Refuse(
        index,
        absl::StrCat("it has size ", old_size, " already, which is more than this head's ", size,
                     ": the log here went back, or somebody else shows it too"),
        /*alarm=*/true);
  }
  SharedProof& shared = round_->proofs[old_size];
  if (shared.proof) return WithProof(index, old_size, *shared.proof);
  shared.waiting.push_back(index);
  if (shared.waiting.size() > 1) return;
  const std::weak_ptr<WitnessClient*> weak = self_;
  proofs_->Consistency(old_size, size,
                       [weak, old_size, round = rounds_](absl::StatusOr<audit::Proof> proof) {
                         const auto self = weak.lock();
                         if (self == nullptr) return;
                         WitnessClient& client = **self;
                         if (client.round_ == nullptr || client.rounds_ != round) return;
                         SharedProof& entry = client.round_->proofs[old_size];
                         entry.proof = std::move(proof);
                         for (const size_t waiting : std::exchange(entry.waiting, {})) {
                           // The last witness's answer ends the round, and the entry with it.
                           if (client.round_ == nullptr || client.rounds_ != round) return;
                           client.WithProof(waiting, old_size, *entry.proof);
                         }
                       });
}

void WitnessClient::WithProof(size_t index, uint64_t old_size,
                              const absl::StatusOr<audit::Proof>& proof) {
  Witness& witness = *witnesses_[index];
  if (!proof.ok()) {
    // Not the witness's fault: it is asked again with the next head.
    witness.report.last_error =
        absl::StrCat("no proof from size ", old_size, ": ", proof.status().message());
    ++witness.report.unavailable;
    return Settle(index);
  }
  const absl::Duration left = round_->deadline - dispatcher_->Now();
  if (left <= absl::ZeroDuration()) return;  // the deadline's timer is due
  const std::weak_ptr<WitnessClient*> weak = self_;
  http_->Post(*witness.url, audit::FormatAddCheckpoint({old_size, *proof, round_->note}), left,
              [weak, index, old_size, round = rounds_](absl::StatusOr<HttpResponse> response) {
                const auto self = weak.lock();
                if (self == nullptr || (*self)->round_ == nullptr || (*self)->rounds_ != round) {
                  return;
                }
                (*self)->OnAnswer(index, old_size, std::move(response));
              });
}

void WitnessClient::OnAnswer(size_t index, uint64_t old_size,
                             absl::StatusOr<HttpResponse> response) {
  if (!response.ok()) return Unavailable(index, std::string(response.status().message()));
  switch (response->status) {
    case 200:
      return OnCosignature(index, response->body);
    case 409:
      return OnConflict(index, old_size, *response);
    case 422:
      return Refuse(
          index,
          absl::StrCat("it refused the proof from size ", old_size, " to ", round_->head.size, " (",
                       Said(*response), "): it saw another history, or the tiles here are damaged"),
          /*alarm=*/true);
    case 400:
      return Refuse(index, "it takes the request for malformed (" + Said(*response) + ")");
    case 403:
      return Refuse(index, "it does not accept the log's key (" + Said(*response) + ")");
    case 404:
      return Refuse(index, "it does not watch this log (" + Said(*response) + ")");
    default:
      return Unavailable(index, Said(*response));
  }
}

void WitnessClient::OnCosignature(size_t index, const std::string& body) {
  Witness& witness = *witnesses_[index];
  const absl::StatusOr<std::vector<NoteSignature>> lines =
      audit::ParseCosignatureAnswer(body, round_->shown.note.text, witness.key);
  if (!lines.ok()) {
    return Refuse(index, absl::StrCat("its answer is no cosignature: ", lines.status().message()));
  }
  std::vector<NoteSignature>& signatures = round_->shown.note.signatures;
  std::erase_if(signatures, [&](const NoteSignature& s) { return witness.key.Claims(s); });
  if (signatures.size() == audit::kMaxSignatures) {
    return Refuse(index, "the note has as many signatures as a note may have");
  }
  signatures.push_back(lines->front());
  witness.report.size = round_->head.size;
  ++witness.report.cosigned;
  witness.report.last_error.clear();
  witness.backoff.Reset();
  Settle(index);
}

void WitnessClient::OnConflict(size_t index, uint64_t old_size, const HttpResponse& response) {
  Witness& witness = *witnesses_[index];
  ++witness.report.conflicts;
  const absl::StatusOr<uint64_t> size = audit::ParseSizeAnswer(response.body);
  if (old_size == round_->head.size && (!size.ok() || *size == old_size)) {
    return Refuse(index,
                  absl::StrCat("it has another root at size ", old_size, " (", Said(response),
                               "): two histories of this log were shown"),
                  /*alarm=*/true);
  }
  if (!size.ok()) return Unavailable(index, "a conflict without its size (" + Said(response) + ")");
  if (witness.corrected || *size == old_size) {
    return Unavailable(index, absl::StrCat("it named size ", *size, " and then did not take it"));
  }
  witness.corrected = true;
  witness.report.size = *size;
  Ask(index);
}

void WitnessClient::Refuse(size_t index, std::string why, bool alarm) {
  Witness& witness = *witnesses_[index];
  ++witness.report.refused;
  if (alarm) {
    if (witness.report.alarm.empty()) {
      Log(Level::kError, "witness", "ALARM",
          {{"witness", witness.report.name}, {"size", round_->head.size}, {"why", why}});
      witness.report.alarm = why;
    }
    witness.report.size = 0;  // ask it anew what it has
  } else if (why != witness.report.last_error) {
    Log(Level::kWarn, "witness", "refused to cosign",
        {{"witness", witness.report.name}, {"size", round_->head.size}, {"why", why}});
  }
  witness.report.last_error = std::move(why);
  Settle(index);
}

void WitnessClient::Unavailable(size_t index, std::string why) {
  Witness& witness = *witnesses_[index];
  ++witness.report.unavailable;
  witness.paused_until = dispatcher_->Now() + witness.backoff.Next();
  if (witness.backoff.attempts() == 1) {
    Log(Level::kWarn, "witness", "no cosignature",
        {{"witness", witness.report.name}, {"size", round_->head.size}, {"why", why}});
  }
  witness.report.last_error = std::move(why);
  Settle(index);
}

void WitnessClient::Settle(size_t index) {
  witnesses_[index]->asked = false;
  if (--round_->pending == 0) {
    // Later, as Cosigner has it: this may run inside Cosign.
    round_->timer = nullptr;
    round_->grace = nullptr;
  } else if (round_->grace != nullptr || !Judge().satisfied) {
    return;
  }
  const std::weak_ptr<WitnessClient*> weak = self_;
  round_->grace = dispatcher_->After(
      round_->pending == 0 ? absl::ZeroDuration() : options_.grace, [weak, round = rounds_] {
        const auto self = weak.lock();
        if (self == nullptr || (*self)->round_ == nullptr || (*self)->rounds_ != round) return;
        (*self)->FinishRound();
      });
}

audit::QuorumVerdict WitnessClient::Judge() const { return policy_.Judge(round_->shown); }

std::string WitnessClient::Sentence(const audit::QuorumVerdict& verdict) const {
  std::vector<std::string> failed;
  for (const auto& witness : witnesses_) {
    const bool cosigned = std::any_of(
        verdict.cosigners.begin(), verdict.cosigners.end(),
        [&](const audit::QuorumVerdict::Cosigner& c) { return c.witness == witness->report.name; });
    if (!cosigned) failed.push_back(witness->report.name + ": " + witness->report.last_error);
  }
  const std::string by = absl::StrJoin(
      verdict.cosigners, ", ",
      [](std::string* out, const audit::QuorumVerdict::Cosigner& c) { out->append(c.witness); });
  return absl::StrCat(verdict.sentence, by.empty() ? "" : "; cosigned by ", by,
                      failed.empty() ? "" : "; not by ", absl::StrJoin(failed, "; "));
}

void WitnessClient::FinishRound() {
  const absl::Time now = dispatcher_->Now();
  const bool whole_time = now + kTick >= round_->deadline;
  for (auto& witness : witnesses_) {
    if (!std::exchange(witness->asked, false)) continue;
    ++witness->report.unavailable;
    witness->report.last_error =
        whole_time ? "no answer in time" : "not waited for, because the quorum was met";
    if (whole_time) witness->paused_until = now + witness->backoff.Next();
  }
  const audit::QuorumVerdict verdict = Judge();
  Cosigned result;
  result.note =
      round_->shown.note.text.empty() ? round_->note : audit::FormatNote(round_->shown.note);
  result.satisfied = verdict.satisfied;
  result.sentence = Sentence(verdict);
  const std::unique_ptr<Round> ended = std::move(round_);
  ended->done(std::move(result));
}

std::vector<WitnessReport> WitnessClient::reports() const {
  std::vector<WitnessReport> out;
  out.reserve(witnesses_.size());
  for (const auto& witness : witnesses_) out.push_back(witness->report);
  return out;
}

std::vector<std::string> WitnessClient::alarms() const {
  std::vector<std::string> out;
  for (const auto& witness : witnesses_) {
    if (witness->report.alarm.empty()) continue;
    out.push_back(absl::StrCat("witness ", witness->report.name, ": ", witness->report.alarm));
  }
  return out;
}

absl::StatusOr<audit::QuorumPolicy> ReadWitnessPolicy(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(audit::kMaxPolicyBytes + 1, '\0');
  if (!file || !file.read(text.data(), static_cast<std::streamsize>(text.size())).eof()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " cannot be read, or is longer than ",
                                                   audit::kMaxPolicyBytes, " bytes"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  absl::StatusOr<audit::QuorumPolicy> policy = audit::QuorumPolicy::Parse(text);
  if (!policy.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", policy.status().message()));
  }
  return policy;
}

}  // namespace coffer::host
